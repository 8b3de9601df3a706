//! What the proxies between the service and the DynamoDB engine share.

use axum::body::{Body, Bytes};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// Forwards requests to a DynamoDB engine.
#[derive(Clone)]
pub struct Forward {
    engine: String,
    /// The AWS region that the engine reads in a request, if it differs from that of the client.
    region: Option<String>,
    http: Client<HttpConnector, Full<Bytes>>,
}

impl Forward {
    /// Forwards to the engine at this URL.
    pub fn to(engine: &str) -> Self {
        Self {
            engine: engine.to_owned(),
            region: None,
            http: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Changes the region in the signature of each request. Engines for tests keep the tables of each region
    /// apart and do not check signatures.
    pub fn with_region(self, region: String) -> Self {
        Self { region: Some(region), ..self }
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
        if let Some(region) = &self.region {
            let signature = headers.get("authorization").and_then(|signature| signature.to_str().ok());
            let signature = in_region(signature.expect("the request is signed"), region);
            let signature = HeaderValue::from_str(&signature).expect("the signature is text");
            request.headers_mut().insert("authorization", signature);
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
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}

/// A signature (AWS Signature Version 4) that names this region. It is not valid.
fn in_region(signature: &str, region: &str) -> String {
    let mut parts: Vec<&str> = signature.split('/').collect();
    // Credential=KEY/DATE/REGION/SERVICE/aws4_request
    if let Some(service) = parts.iter().position(|part| *part == "dynamodb") {
        parts[service - 1] = region;
    }
    parts.join("/")
}

/// A signature (AWS Signature Version 4) of this access key. It is not valid.
pub(crate) fn of_access_key(signature: &str, access_key: &str) -> String {
    let Some((before, rest)) = signature.split_once("Credential=") else { return signature.to_owned() };
    let after = rest.split_once('/').map(|(_, after)| after).unwrap_or_default();
    format!("{before}Credential={access_key}/{after}")
}

/// The complete body of an answer.
///
/// # Panics
/// When the answer ends early.
pub async fn body_of(answer: Response<Body>) -> Bytes {
    answer.into_body().collect().await.expect("the answer is complete").to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_of_a_signature_is_replaced() {
        let signature = |region: &str| {
            format!(
                "AWS4-HMAC-SHA256 Credential=KEY/20261125/{region}/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
            )
        };
        assert_eq!(in_region(&signature("local"), "test-1"), signature("test-1"));
        let other = signature("local").replace("Credential=KEY/", "Credential=OTHER/");
        assert_eq!(of_access_key(&signature("local"), "OTHER"), other);
    }
}
