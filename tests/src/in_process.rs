//! The service without a server: requests are handed to it as a server would, with a deadline of the test's choosing.

use std::net::{IpAddr, Ipv4Addr};

use aws_sdk_dynamodb::Client as DynamoDb;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use serde_json::Value;
use service::Service as Functions;
use service::request::{Request, encoded_segments, parameters};
use service::response::Response;
use service::routes;
use shared::schema::Schemas;
use tokio::time::{Duration, Instant};

use crate::client::{Client, SCIM_JSON};
use crate::service::{PATIENCE, TABLE};

/// A service over a DynamoDB client of its own.
pub struct InProcess {
    functions: Functions,
    client: Client,
    /// Where the requests come from.
    pub address: IpAddr,
}

impl InProcess {
    /// A service for the connector that this client is for. It has checked the credentials already, as a warm function
    /// has.
    ///
    /// # Panics
    /// When it cannot begin.
    pub async fn new(dynamodb: DynamoDb, client: Client) -> Self {
        Self::with_schemas(dynamodb, client, Schemas::built_in()).await
    }

    /// The same with other schemas.
    ///
    /// # Panics
    /// When it cannot begin.
    pub async fn with_schemas(dynamodb: DynamoDb, client: Client, schemas: &'static Schemas) -> Self {
        let service = Self::make(dynamodb, client, schemas, Timestamp::now);
        service.send("GET", "/ServiceProviderConfig", None, PATIENCE).await;
        service
    }

    /// A service that knows nobody yet.
    ///
    /// # Panics
    /// When it cannot begin.
    pub fn unknown(dynamodb: DynamoDb, client: Client) -> Self {
        Self::at(dynamodb, client, Timestamp::now)
    }

    /// The same with a clock of its own.
    ///
    /// # Panics
    /// When it cannot begin.
    pub fn at(dynamodb: DynamoDb, client: Client, now: fn() -> Timestamp) -> Self {
        Self::make(dynamodb, client, Schemas::built_in(), now)
    }

    fn make(dynamodb: DynamoDb, client: Client, schemas: &'static Schemas, now: fn() -> Timestamp) -> Self {
        let functions = Functions::new(directory::Table::new(dynamodb, TABLE.to_owned()), None, schemas, now);
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self { functions: functions.expect("a service"), client, address }
    }

    /// Sends a request that must be answered in this time.
    ///
    /// # Panics
    /// When the client's URL or credentials are none.
    pub async fn send(&self, method: &str, target: &str, body: Option<&Value>, time: Duration) -> Response {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (origin, base) = self.client.base_url.rsplit_once(":").expect("a URL with a port");
        let (port, base) = base.split_once('/').expect("a URL with a path");
        let authorization = HeaderValue::from_str(&self.client.basic()).expect("a header");
        let request = Request {
            id: "in process".to_owned(),
            method: Method::from_bytes(method.as_bytes()).expect("a method"),
            path: encoded_segments(&format!("/{base}{path}")),
            query: parameters(query),
            headers: HeaderMap::from_iter([
                (AUTHORIZATION, authorization),
                (CONTENT_TYPE, HeaderValue::from_static(SCIM_JSON)),
            ]),
            body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default(),
            origin: format!("{origin}:{port}"),
            deadline: Instant::now() + time,
            address: Some(self.address),
        };
        self.functions.answer(request, routes::fallback).await
    }
}
