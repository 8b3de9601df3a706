//! The service without a server: a test passes requests to it directly and chooses their deadlines.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use aws_sdk_dynamodb::Client as DynamoDb;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use jiff::Timestamp;
use serde_json::{Value, json};
use service::Service as Functions;
use service::oauth::Fetch;
use service::request::{Request, encoded_segments, parameters};
use service::response::Response;
use service::routes;
use shared::schema::Schemas;
use tokio::time::{Duration, Instant};

use crate::client::{Client, SCIM_JSON};
use crate::service::{TABLE, TIME_LIMIT};
use crate::strict::Violations;

/// A service with its own DynamoDB client and its own cache of credentials.
pub struct InProcess {
    functions: Functions,
    /// The endpoint and the credentials of the requests.
    pub client: Client,
    /// The address that the requests come from.
    pub address: IpAddr,
}

impl InProcess {
    /// A service for the connector of this client. The credentials are in its cache, as in a warm function.
    ///
    /// # Panics
    /// When the service cannot start.
    pub async fn new(dynamodb: DynamoDb, client: Client) -> Self {
        Self::with_schemas(dynamodb, client, Schemas::built_in()).await
    }

    /// The same as [`InProcess::new`], with other schemas.
    ///
    /// # Panics
    /// When the service cannot start.
    pub async fn with_schemas(dynamodb: DynamoDb, client: Client, schemas: &Arc<Schemas>) -> Self {
        let service = Self::make(dynamodb, client, schemas, Timestamp::now);
        service.send("GET", "/ServiceProviderConfig", None, TIME_LIMIT).await;
        service
    }

    /// A service whose cache of credentials is empty, as in a cold function.
    ///
    /// # Panics
    /// When the service cannot start.
    pub fn uncached(dynamodb: DynamoDb, client: Client) -> Self {
        Self::with_clock(dynamodb, client, Timestamp::now)
    }

    /// The same as [`InProcess::uncached`], with this clock.
    ///
    /// # Panics
    /// When the service cannot start.
    pub fn with_clock(dynamodb: DynamoDb, client: Client, now: fn() -> Timestamp) -> Self {
        Self::make(dynamodb, client, Schemas::built_in(), now)
    }

    /// The same service, which fetches the keys of issuers with this function.
    #[must_use]
    pub fn with_fetch(self, fetch: Fetch) -> Self {
        Self { functions: self.functions.with_fetch(Some(fetch)), ..self }
    }

    /// The same as [`InProcess::uncached`], with the timeout of a deployment for writes of the request trail.
    ///
    /// # Panics
    /// When the service cannot start.
    pub fn with_short_trail_timeout(dynamodb: DynamoDb, client: Client) -> Self {
        Self::over(Self::functions(dynamodb, Schemas::built_in(), Timestamp::now), client)
    }

    fn make(dynamodb: DynamoDb, client: Client, schemas: &Arc<Schemas>, now: fn() -> Timestamp) -> Self {
        Self::over(Self::functions(dynamodb, schemas, now).with_trail_timeout(TIME_LIMIT), client)
    }

    fn functions(dynamodb: DynamoDb, schemas: &Arc<Schemas>, now: fn() -> Timestamp) -> Functions {
        let functions = Functions::new(directory::Table::new(dynamodb, TABLE.to_owned()), None, schemas, now);
        functions.expect("the service starts")
    }

    fn over(functions: Functions, client: Client) -> Self {
        Self { functions, client, address: IpAddr::V4(Ipv4Addr::LOCALHOST) }
    }

    /// Sends a request whose deadline is after this time.
    ///
    /// # Panics
    /// When the client's URL or credentials are invalid.
    pub async fn send(&self, method: &str, target: &str, body: Option<&Value>, time: Duration) -> Response {
        let authorization =
            HeaderValue::from_str(&self.client.basic()).expect("the credentials fit a header");
        self.send_with(Some(authorization), method, target, body, time).await
    }

    /// Sends a request without credentials and body, whose deadline is after this time.
    ///
    /// # Panics
    /// When the client's URL is invalid.
    pub async fn send_without_credentials(&self, method: &str, target: &str, time: Duration) -> Response {
        self.send_with(None, method, target, None, time).await
    }

    /// Sends a request with a bearer token and without a body.
    ///
    /// # Panics
    /// When the client's URL is invalid.
    pub async fn send_with_token(&self, method: &str, target: &str, token: &str) -> Response {
        let authorization =
            HeaderValue::from_str(&format!("Bearer {token}")).expect("the token fits a header");
        self.send_with(Some(authorization), method, target, None, TIME_LIMIT).await
    }

    /// Asks for an access token with a secret. Returns the status and the body of the answer.
    ///
    /// # Panics
    /// When the client's URL is not that of the SCIM API, or the answer is not JSON.
    pub async fn request_token(&self, client_id: &str, secret: &str) -> (u16, Value) {
        let body =
            json!({ "grant_type": "client_credentials", "client_id": client_id, "client_secret": secret });
        self.request_token_with(&body).await
    }

    /// Asks for an access token with these parameters. Returns the status and the body of the answer.
    ///
    /// # Panics
    /// When the client's URL is not that of the SCIM API, or the answer is not JSON.
    pub async fn request_token_with(&self, body: &Value) -> (u16, Value) {
        let base_url =
            self.client.base_url.strip_suffix("/scim/v2").expect("the URL is that of the SCIM API");
        let reply = self.send_to(
            base_url,
            None,
            "application/json",
            ("POST", "/oauth2/token"),
            Some(body),
            TIME_LIMIT,
        );
        let reply = reply.await;
        (reply.status().as_u16(), json_of(&reply))
    }

    async fn send_with(
        &self,
        authorization: Option<HeaderValue>,
        method: &str,
        target: &str,
        body: Option<&Value>,
        time: Duration,
    ) -> Response {
        self.send_to(&self.client.base_url, authorization, SCIM_JSON, (method, target), body, time).await
    }

    async fn send_to(
        &self,
        base_url: &str,
        authorization: Option<HeaderValue>,
        content_type: &'static str,
        (method, target): (&str, &str),
        body: Option<&Value>,
        time: Duration,
    ) -> Response {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (origin, base) = base_url.rsplit_once(":").expect("the base URL has a port");
        let (port, base) = base.split_once('/').expect("the base URL has a path");
        let content_type = (CONTENT_TYPE, HeaderValue::from_static(content_type));
        let authorization = authorization.map(|value| (AUTHORIZATION, value));
        let request = Request {
            id: "in process".to_owned(),
            method: Method::from_bytes(method.as_bytes()).expect("the method is a token"),
            path: encoded_segments(&format!("/{base}{path}")),
            query: parameters(query),
            headers: authorization.into_iter().chain([content_type]).collect(),
            body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default(),
            origin: format!("{origin}:{port}"),
            deadline: Instant::now() + time,
            address: Some(self.address),
        };
        let answer = self.functions.answer(request, routes::BY_ROUTE).await;
        Violations::of_this_process().assert_none(self.client.connector());
        answer
    }
}

/// The body of an answer as JSON.
///
/// # Panics
/// When the body is not JSON.
pub fn json_of(response: &Response) -> Value {
    serde_json::from_slice(response.body()).expect("the body is JSON")
}
