//! What proxies in front of the DynamoDB engine share.

use axum::body::{Body, Bytes};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// The way to an engine.
#[derive(Clone)]
pub struct Forward {
    engine: String,
    http: Client<HttpConnector, Full<Bytes>>,
}

impl Forward {
    /// To the engine at this URL.
    pub fn to(engine: &str) -> Self {
        Self { engine: engine.to_owned(), http: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Sends a request on, and gives its answer.
    ///
    /// # Panics
    /// When the engine does not answer.
    pub async fn send(&self, headers: &HeaderMap, body: Bytes) -> Response<Body> {
        let mut request = http::Request::post(&self.engine).body(Full::new(body)).expect("a request");
        for name in ["content-type", "x-amz-target", "authorization", "x-amz-date"] {
            if let Some(value) = headers.get(name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        let (parts, body) = self.http.request(request).await.expect("the engine answers").into_parts();
        let body = body.collect().await.expect("the engine answers in full").to_bytes();
        Response::from_parts(parts, Body::from(body))
    }
}

/// An answer of DynamoDB's that says no.
///
/// # Panics
/// When the status is none.
pub fn refusal(status: u16, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
        .headers_mut()
        .insert("content-type", http::HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}
