//! What a handler gets and what it returns.

use std::sync::Arc;

use directory::Directory;
use directory::connectors::Connector;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use shared::entity_tags::EntityTags;
use shared::error::ScimError;
use shared::resource::ResourceId;

use crate::api::Api;
use crate::request::Request;
use crate::response::Response;

/// The response of a handler, when it is ready.
pub type ResponseFuture = BoxFuture<'static, Result<Response, ScimError>>;

/// A function that answers the requests of a route.
pub type Handler = fn(Arc<Call>) -> ResponseFuture;

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
