//! An HTTP/1.1 client that sends what it is given, byte for byte: no target is normalised, no header is guessed.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// The media type of SCIM (RFC 7644 §8.1).
pub const SCIM_JSON: &str = "application/scim+json";

/// A provisioning client: an endpoint URL on this machine, and the credentials for it.
#[derive(Clone, Debug)]
pub struct Client {
    /// Where requests go: `http://127.0.0.1:PORT/{connector}/scim/v2`.
    pub base_url: String,
    /// What `meta.location` is expected to start with; the base URL, unless something stands in between.
    pub public_url: String,
    /// The username of Basic credentials.
    pub username: String,
    /// The password of Basic credentials.
    pub password: String,
    /// A bearer token for the same connector, for clients that use one.
    pub token: Option<String>,
    http: hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came, compressed if it was.
    pub body: Vec<u8>,
}

impl Client {
    /// A client with Basic credentials.
    ///
    /// # Panics
    /// When the base URL is not on this machine: tests write and delete.
    pub fn new(base_url: &str, username: &str, password: &str) -> Self {
        assert!(base_url.starts_with("http://127.0.0.1:"), "{base_url} is not on this machine");
        Self {
            base_url: base_url.to_owned(),
            public_url: base_url.to_owned(),
            username: username.to_owned(),
            password: password.to_owned(),
            token: None,
            http: hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// The same client with a bearer token as well.
    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// The same client of a service that calls itself by another name.
    pub fn with_public_url(self, public_url: &str) -> Self {
        Self { public_url: public_url.to_owned(), ..self }
    }

    /// The value of the Authorization header for Basic credentials (RFC 7617).
    pub fn basic(&self) -> String {
        format!("Basic {}", BASE64.encode(format!("{}:{}", self.username, self.password)))
    }

    /// The value of the Authorization header for its token (RFC 6750).
    ///
    /// # Panics
    /// When it has none.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.token.as_ref().expect("a token"))
    }

    /// Sends one request. `target` is what follows the base URL, query and all.
    ///
    /// Basic credentials are added, unless `headers` has an Authorization of its own; a header with an empty value
    /// is left out, which is how to send none.
    ///
    /// # Panics
    /// When there is no answer, or the request is not one that HTTP/1.1 can carry.
    pub async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(format!("{}{target}", self.base_url));
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
            request = request.header("authorization", self.basic());
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(body.into()))
            .unwrap_or_else(|error| panic!("{method} {target} cannot be sent: {error}"));
        let answer = self.http.request(request).await;
        let answer = answer.unwrap_or_else(|error| panic!("{method} {target}: no answer: {error:?}"));
        let (head, body) = answer.into_parts();
        let body = body.collect().await;
        let body = body.unwrap_or_else(|error| panic!("{method} {target}: half an answer: {error:?}"));
        Reply { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes().into() }
    }

    /// GET.
    pub async fn get(&self, target: &str) -> Reply {
        self.send("GET", target, &[("accept", SCIM_JSON)], Bytes::new()).await
    }

    /// POST of a JSON body.
    pub async fn post(&self, target: &str, body: &Value) -> Reply {
        self.send_json("POST", target, body).await
    }

    /// PUT of a JSON body.
    pub async fn put(&self, target: &str, body: &Value) -> Reply {
        self.send_json("PUT", target, body).await
    }

    /// PATCH with a JSON body.
    pub async fn patch(&self, target: &str, body: &Value) -> Reply {
        self.send_json("PATCH", target, body).await
    }

    /// DELETE.
    pub async fn delete(&self, target: &str) -> Reply {
        self.send("DELETE", target, &[("accept", SCIM_JSON)], Bytes::new()).await
    }

    async fn send_json(&self, method: &str, target: &str, body: &Value) -> Reply {
        let headers = [("accept", SCIM_JSON), ("content-type", SCIM_JSON)];
        self.send(method, target, &headers, body.to_string()).await
    }
}

impl Reply {
    /// A header's value, when it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, decompressed if it came as gzip.
    ///
    /// # Panics
    /// When it says that it is gzip and is not.
    pub fn plain_body(&self) -> Vec<u8> {
        if self.header("content-encoding") != Some("gzip") {
            return self.body.clone();
        }
        gunzip(&self.body)
    }

    /// The body as JSON; `None` when it is empty.
    ///
    /// # Panics
    /// When there is a body and it is not JSON.
    pub fn try_json(&self) -> Option<Value> {
        let body = self.plain_body();
        (!body.is_empty()).then(|| {
            serde_json::from_slice(&body)
                .unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(&body)))
        })
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is empty or not JSON.
    pub fn json(&self) -> Value {
        self.try_json().unwrap_or_else(|| panic!("a {} without a body", self.status))
    }
}

/// What was compressed.
///
/// # Panics
/// When it is not gzip.
pub fn gunzip(body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut plain).expect("a gzip body");
    plain
}
