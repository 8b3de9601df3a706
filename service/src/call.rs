//! What a handler gets and what it returns.

use std::sync::Arc;

use directory::connectors::{Connector, ConnectorId};
use directory::{Directory, Table};
use futures_util::future::BoxFuture;
use http::Method;
use jiff::Timestamp;
use shared::entity_tags::EntityTags;
use shared::error::{Schemes, ScimError};
use shared::resource::ResourceId;
use shared::schema::Schemas;

use crate::api::Api;
use crate::authentication::Authenticator;
use crate::oauth::IssuerKeys;
use crate::request::Request;
use crate::response::Response;
use crate::trail::Notes;

/// The response of a handler, when it is ready.
pub type ResponseFuture = BoxFuture<'static, Result<Response, ScimError>>;

/// Answers the requests of a route. Its kind decides who may call the route.
#[derive(Clone, Copy, Debug)]
pub enum Handler {
    /// Answers the clients of the API. A request needs their credentials.
    Client(fn(Arc<Call>) -> ResponseFuture),
    /// Answers anyone. A request without credentials reads nothing from the table; one with credentials needs right ones.
    Anyone(fn(PublicCall) -> ResponseFuture),
    /// Answers anyone with what the connector's record says. Reads of it are limited, as for wrong credentials.
    OfConnector(fn(Arc<Connector>) -> ResponseFuture),
    /// Authenticates the request itself: the token endpoint.
    Token(fn(TokenCall) -> ResponseFuture),
    /// Answers every request by the handler of its route.
    ByRoute(FindHandler),
}

/// Finds the handler of the route for a method and for the segments after the base of an API.
pub type FindHandler = fn(Api, &Method, &[String]) -> Result<Handler, ScimError>;

/// A request that needs no credentials.
#[derive(Debug)]
pub struct PublicCall {
    /// The request.
    pub request: Request,
    /// The segments of the path after the base of the API.
    pub path: Vec<String>,
    /// The schemas of users and groups: those of the connector if the request has its credentials, or else those of the
    /// service provider.
    pub schemas: Arc<Schemas>,
    /// The authentication schemes that a client can use: those of the connector if the request has its credentials, or
    /// else all that a connector can have.
    pub schemes: Schemes,
    /// Whether the connector has feeds, if the request has its credentials.
    pub has_feeds: bool,
    /// The base URL of the API: `https://HOST/{connector}/scim/v2`. The connector need not exist.
    pub base_url: String,
    /// The URL of the connector: `https://HOST/{connector}`. It is the issuer of its access tokens.
    pub issuer: String,
}

/// A request for an access token, which is not authenticated yet.
#[derive(Debug)]
pub struct TokenCall {
    /// The request.
    pub request: Request,
    /// The connector, which need not exist.
    pub connector: ConnectorId,
    /// The table, until the deadline of the request.
    pub table: Table,
    /// The connectors that the process has read.
    pub authenticator: Arc<Authenticator>,
    /// The keys of issuers that the process has fetched.
    pub issuer_keys: Arc<IssuerKeys>,
    /// The URL of the connector: `https://HOST/{connector}`. It is the issuer of the token.
    pub issuer: String,
    /// The time of the request.
    pub now: Timestamp,
    /// What the request trail needs to know.
    pub notes: Arc<Notes>,
}

/// An authenticated request.
#[derive(Debug)]
pub struct Call {
    /// The request.
    pub request: Request,
    /// The API that the request is for.
    pub api: Api,
    /// The segments of the path after the base of the API.
    pub path: Vec<String>,
    /// The connector's users and groups.
    pub directory: Directory,
    /// The connector.
    pub connector: Arc<Connector>,
    /// The base URL of the API: `https://HOST/{connector}/scim/v2`.
    pub base_url: String,
    /// The time of the request.
    pub now: Timestamp,
    /// What the request trail needs to know.
    pub notes: Arc<Notes>,
}

impl Call {
    /// The resource id in the path.
    ///
    /// # Errors
    /// 404 if the path has none, or if it is not a valid id.
    pub fn id(&self) -> Result<ResourceId, ScimError> {
        let id = self.path.get(1).map(String::as_str).unwrap_or_default();
        ResourceId::parse(id).ok_or_else(|| ScimError::not_found(id))
    }

    /// The versions in If-Match: the request fails if the resource has another one (RFC 7644 §3.14).
    pub fn if_match(&self) -> Option<EntityTags> {
        self.request.list("if-match").as_deref().map(EntityTags::parse)
    }

    /// The versions in If-None-Match: the client has these already (RFC 7644 §3.14).
    pub fn if_none_match(&self) -> Option<EntityTags> {
        self.request.list("if-none-match").as_deref().map(EntityTags::parse)
    }
}
