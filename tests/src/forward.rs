//! What the proxies between the service and the DynamoDB engine share.

use axum::body::{Body, Bytes};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// Forwards requests to a DynamoDB engine.
#[derive(Clone)]
pub struct Forward {
    engine: String,
    http: Client<HttpConnector, Full<Bytes>>,
}

impl Forward {
    /// Forwards to the engine at this URL.
    pub fn to(engine: &str) -> Self {
        Self { engine: engine.to_owned(), http: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Forwards a request and returns the answer.
    ///
    /// # Panics
    /// When the engine does not answer.
    pub async fn send(&self, headers: &HeaderMap, body: Bytes) -> Response<Body> {
        let mut request =
            http::Request::post(&self.engine).body(Full::new(body)).expect("the engine has a URL");
        for name in ["content-type", "x-amz-target", "authorization", "x-amz-date"] {
            if let Some(value) = headers.get(name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        let (parts, body) = self.http.request(request).await.expect("the engine answers").into_parts();
        let body = body.collect().await.expect("the engine sends a complete answer").to_bytes();
        Response::from_parts(parts, Body::from(body))
    }
}

/// An answer of DynamoDB with this status and this body.
///
/// # Panics
/// When the status is invalid.
pub fn dynamodb_answer(status: u16, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).expect("the status is valid");
    response
        .headers_mut()
        .insert("content-type", http::HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}

/// The complete body of an answer.
///
/// # Panics
/// When the answer ends early.
pub async fn body_of(answer: Response<Body>) -> Bytes {
    answer.into_body().collect().await.expect("the answer is complete").to_bytes()
}
