//! An HTTP/1.1 client that sends requests unchanged: it neither normalises the target nor adds headers except
//! Authorization.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::reference::errors::assert_known;
use crate::strict::Violations;

/// The media type of SCIM (RFC 7644 §8.1).
pub const SCIM_JSON: &str = "application/scim+json";

/// A provisioning client: an endpoint URL, and the credentials for it.
#[derive(Clone, Debug)]
pub struct Client {
    /// The URL that requests are sent to: `http://127.0.0.1:PORT/{connector}/scim/v2`, or one of a stack in AWS.
    pub base_url: String,
    /// The expected beginning of `meta.location`: the base URL, unless requests pass through a gateway.
    pub public_url: String,
    /// The username of Basic credentials.
    pub username: String,
    /// The password of Basic credentials.
    pub password: String,
    /// A bearer token for the same connector.
    pub token: Option<String>,
    http: Http,
}

/// TLS is only for stacks in AWS: reading the system's certificates takes time in each test.
#[derive(Clone, Debug)]
enum Http {
    Plain(legacy::Client<HttpConnector, Full<Bytes>>),
    Tls(legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// The answer to a request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as received, possibly compressed.
    pub body: Vec<u8>,
}

impl Client {
    /// A client with Basic credentials.
    ///
    /// # Panics
    /// When the base URL is not on this machine. Tests write and delete, so they must not reach another
    /// service.
    pub fn new(base_url: &str, username: &str, password: &str) -> Self {
        assert!(base_url.starts_with("http://127.0.0.1:"), "{base_url} is not on this machine");
        let http = Http::Plain(legacy::Client::builder(TokioExecutor::new()).build_http());
        Self::over(http, base_url, username, password)
    }

    /// A client with Basic credentials for a stack in AWS that was made to be tested.
    ///
    /// # Panics
    /// When the system has no certificates.
    pub fn of_stack(base_url: &str, username: &str, password: &str) -> Self {
        let connector =
            HttpsConnectorBuilder::new().with_native_roots().expect("the system has certificates");
        let connector = connector.https_only().enable_http1().build();
        let http = Http::Tls(legacy::Client::builder(TokioExecutor::new()).build(connector));
        Self::over(http, base_url, username, password)
    }

    fn over(http: Http, base_url: &str, username: &str, password: &str) -> Self {
        Self {
            base_url: base_url.to_owned(),
            public_url: base_url.to_owned(),
            username: username.to_owned(),
            password: password.to_owned(),
            token: None,
            http,
        }
    }

    /// The same client with a bearer token as well.
    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// The same client with another base URL.
    #[must_use]
    pub fn at(&self, base_url: &str) -> Self {
        Self { base_url: base_url.to_owned(), ..self.clone() }
    }

    /// The same client, for a service with this public URL.
    pub fn with_public_url(self, public_url: &str) -> Self {
        Self { public_url: public_url.to_owned(), ..self }
    }

    /// The id of the connector, which the base URL contains. It is empty if the URL has no path.
    pub fn connector(&self) -> &str {
        self.base_url.split('/').nth(3).unwrap_or_default()
    }

    /// The value of the Authorization header for Basic credentials (RFC 7617).
    pub fn basic(&self) -> String {
        format!("Basic {}", BASE64.encode(format!("{}:{}", self.username, self.password)))
    }

    /// The value of the Authorization header for its token (RFC 6750).
    ///
    /// # Panics
    /// When the client has no token.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.token.as_ref().expect("the client has a token"))
    }

    /// Sends one request. `target` is the path and the query after the base URL.
    ///
    /// Basic credentials are added, unless `headers` contains Authorization. A header with an empty value is
    /// not sent, so an empty Authorization sends a request without credentials.
    ///
    /// # Panics
    /// When there is no answer, or the request is not valid in HTTP/1.1.
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
        let answer = match &self.http {
            Http::Plain(http) => http.request(request).await,
            Http::Tls(http) => http.request(request).await,
        };
        let answer = answer.unwrap_or_else(|error| panic!("{method} {target}: no answer: {error:?}"));
        let (head, body) = answer.into_parts();
        let body = body.collect().await;
        let body =
            body.unwrap_or_else(|error| panic!("{method} {target}: the answer ended early: {error:?}"));
        Violations::of_this_process().assert_none(self.connector());
        let reply =
            Reply { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes().into() };
        reply.assert_known_error();
        reply
    }

    /// Sends GET.
    pub async fn get(&self, target: &str) -> Reply {
        self.send("GET", target, &[("accept", SCIM_JSON)], Bytes::new()).await
    }

    /// Sends POST with a JSON body.
    pub async fn post(&self, target: &str, body: &Value) -> Reply {
        self.send_json("POST", target, body).await
    }

    /// Sends PUT with a JSON body.
    pub async fn put(&self, target: &str, body: &Value) -> Reply {
        self.send_json("PUT", target, body).await
    }

    /// Sends PATCH with a JSON body.
    pub async fn patch(&self, target: &str, body: &Value) -> Reply {
        self.send_json("PATCH", target, body).await
    }

    /// Sends DELETE.
    pub async fn delete(&self, target: &str) -> Reply {
        self.send("DELETE", target, &[("accept", SCIM_JSON)], Bytes::new()).await
    }

    /// Sends a JSON body.
    pub async fn send_json(&self, method: &str, target: &str, body: &Value) -> Reply {
        let headers = [("accept", SCIM_JSON), ("content-type", SCIM_JSON)];
        self.send(method, target, &headers, body.to_string()).await
    }
}

impl Reply {
    /// Asserts that the catalogue of errors has the error of this answer. Answers that are not from the service are no such errors.
    fn assert_known_error(&self) {
        if self.status < 400 {
            return;
        }
        let Ok(body) = serde_json::from_slice::<Value>(&self.plain_body()) else { return };
        let text = |name: &str| body[name].as_str();
        // The description of an error of a feed begins with the status and `scimType`.
        let of_feed = || text("err").and(text("description")?.split_once(": ")).map(|(_, detail)| detail);
        let detail = text("detail").or_else(|| text("error_description")).or_else(of_feed);
        if let Some(detail) = detail {
            assert_known(self.status, detail);
        }
    }

    /// The value of a header, if the header exists and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, decompressed if its encoding is gzip.
    ///
    /// # Panics
    /// When the encoding is gzip and the body is not.
    pub fn plain_body(&self) -> Vec<u8> {
        if self.header("content-encoding") != Some("gzip") {
            return self.body.clone();
        }
        gunzip(&self.body)
    }

    /// The body as JSON, or `None` when it is empty.
    ///
    /// # Panics
    /// When the body is neither empty nor JSON.
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
    /// When the body is empty or not JSON.
    pub fn json(&self) -> Value {
        self.try_json().unwrap_or_else(|| panic!("the answer with status {} has no body", self.status))
    }
}

/// Decompresses a gzip body.
///
/// # Panics
/// When the body is not gzip.
pub fn gunzip(body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut plain).expect("the body is gzip");
    plain
}
