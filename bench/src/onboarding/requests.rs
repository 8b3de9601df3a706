//! Sends requests to a service in this process, as one client with its credentials and headers.

use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;
use service::Service;
use service::request::{Request, encoded_segments, parameters};
use service::response::Response;
use service::routes;
use tests::client::gunzip;
use tokio::time::Instant;

use super::world::PUBLIC_URL;

/// How long a request may take: the timeout of the functions, less the time that `functions/src/lambda.rs` reserves to send
/// the response.
const TIME: Duration = Duration::from_millis(29_000 - 1_500);

/// A client of one API of one connector.
#[derive(Clone)]
pub struct Requests {
    service: Arc<Service>,
    base: String,
    headers: HeaderMap,
}

impl Requests {
    /// Creates a client. `base` is the path of the API, such as `/okta/scim/v2`.
    ///
    /// # Panics
    /// When the credentials do not fit a header.
    pub fn new(service: &Arc<Service>, base: &str, authorization: &str, mut headers: HeaderMap) -> Self {
        headers
            .insert(AUTHORIZATION, HeaderValue::from_str(authorization).expect("credentials fit a header"));
        Self { service: Arc::clone(service), base: base.to_owned(), headers }
    }

    /// Sends a request. `target` is the path and the query after the base.
    pub async fn send(&self, method: Method, target: &str, body: Option<&Value>) -> Response {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request {
            id: "onboarding".to_owned(),
            trace: None,
            method,
            path: encoded_segments(&format!("{}{path}", self.base)),
            query: parameters(query),
            headers: self.headers.clone(),
            body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default(),
            origin: PUBLIC_URL.to_owned(),
            deadline: Instant::now() + TIME,
            address: None,
        };
        self.service.answer(request, routes::BY_ROUTE).await
    }

    /// Sends a GET and returns the body.
    ///
    /// # Panics
    /// When the response is not 200 with a JSON body.
    pub async fn get(&self, target: &str) -> Value {
        let response = self.send(Method::GET, target, None).await;
        assert_eq!(
            response.status(),
            200,
            "GET {target}: {}",
            String::from_utf8_lossy(&plain_body(&response))
        );
        serde_json::from_slice(&plain_body(&response)).expect("JSON")
    }
}

/// The body of a response, decompressed.
pub fn plain_body(response: &Response) -> Vec<u8> {
    match response.headers().get("content-encoding") {
        Some(coding) if coding == "gzip" => gunzip(response.body()),
        _ => response.body().clone(),
    }
}
