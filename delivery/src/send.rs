//! Sends one request to a consumer, and says what its answer means.

use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::Value;
use shared::error::chain;
use tokio::time::{Instant, timeout_at};

use crate::target::{CheckedResolver, Reach};

/// The time for a request and its answer.
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// The most bytes of an answer that are read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// The most characters of an answer that operators see.
const MAX_ERROR_CHARACTERS: usize = 300;

/// Connects to consumers.
#[derive(Clone, Debug)]
pub struct Connections(HttpsConnector<HttpConnector<CheckedResolver>>);

/// The connections of one delivery. A process can be frozen between two, so no connection stays open.
#[derive(Clone, Debug)]
pub struct Http(Client<HttpsConnector<HttpConnector<CheckedResolver>>, Full<Bytes>>);

/// Why an event was not accepted. The text is for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The consumer cannot use this event. It may accept others.
    Event(String),
    /// The consumer cannot be reached, or accepts no event now.
    Consumer {
        /// What happened.
        error: String,
        /// When the consumer wants the next request.
        retry_after: Option<Duration>,
    },
    /// The consumer wants no more events.
    Gone(String),
}

impl Connections {
    /// Prepares TLS with the certificate authorities of the system.
    ///
    /// # Errors
    /// A sentence if the system has none.
    pub fn new(reach: Reach) -> Result<Self, String> {
        let mut http = HttpConnector::new_with_resolver(CheckedResolver(reach));
        http.enforce_http(false);
        http.set_connect_timeout(Some(TIMEOUT));
        http.set_nodelay(true);
        let https = HttpsConnectorBuilder::new().with_native_roots();
        let https = https.map_err(|error| format!("no certificate authority can be read: {error}"))?;
        Ok(Self(https.https_or_http().enable_http1().wrap_connector(http)))
    }

    /// Begins to send.
    pub fn open(&self) -> Http {
        Http(Client::builder(TokioExecutor::new()).build(self.0.clone()))
    }
}

impl Http {
    /// Sends a request, and returns the head of its answer. Redirects are not followed.
    pub(crate) async fn request(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, hyper_util::client::legacy::Error> {
        self.0.request(request).await
    }

    /// Sends a request. Redirects are not followed. Returns the status if the consumer accepted the event.
    ///
    /// # Errors
    /// If it did not.
    pub async fn send(&self, request: Request<Full<Bytes>>, now: Timestamp) -> Result<StatusCode, Refusal> {
        let deadline = Instant::now() + TIMEOUT;
        let failed = |error: String| Refusal::Consumer { error, retry_after: None };
        let slow = || failed(format!("no answer within {} seconds", TIMEOUT.as_secs()));
        let response = timeout_at(deadline, self.request(request)).await.map_err(|_| slow())?;
        let response = response.map_err(|error| failed(chain(&error)))?;
        let (parts, body) = response.into_parts();
        // The status says whether the event is accepted. The body only explains an error, so its end is not waited for.
        let body = timeout_at(deadline, Limited::new(body, MAX_ANSWER_BYTES).collect()).await;
        let body = body.ok().and_then(Result::ok).map(|body| body.to_bytes()).unwrap_or_default();
        if parts.status.is_success() {
            return Ok(parts.status);
        }
        Err(refusal(parts.status, &parts.headers, &body, now))
    }
}

fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Refusal {
    let error = match explanation(body) {
        Some(explanation) => format!("{status}: {explanation}"),
        None if status.is_redirection() => format!("{status}: redirects are not followed"),
        None => status.to_string(),
    };
    match status {
        StatusCode::GONE => Refusal::Gone(error),
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            Refusal::Event(error)
        }
        _ => Refusal::Consumer { error, retry_after: retry_after(headers, now) },
    }
}

/// What a consumer says of an error (RFC 8935 §2.3).
fn explanation(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let texts: Vec<&str> =
        ["err", "description"].iter().filter_map(|name| body.get(name)?.as_str()).collect();
    (!texts.is_empty()).then(|| texts.join(": ").chars().take(MAX_ERROR_CHARACTERS).collect())
}

/// The time of Retry-After (RFC 9110 §10.2.3): seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(error: &str, seconds: Option<u64>) -> Refusal {
        Refusal::Consumer { error: error.to_owned(), retry_after: seconds.map(Duration::from_secs) }
    }

    #[test]
    fn answer_says_whether_the_event_or_the_consumer_is_the_problem() {
        let now: Timestamp = "2026-11-06T08:49:37Z".parse().unwrap();
        for (status, retry_after, body, expected) in [
            (500, "", "", consumer("500 Internal Server Error", None)),
            (302, "", "", consumer("302 Found: redirects are not followed", None)),
            (
                401,
                "",
                r#"{"err":"authentication_failed"}"#,
                consumer("401 Unauthorized: authentication_failed", None),
            ),
            (429, "7", "<html>", consumer("429 Too Many Requests", Some(7))),
            (503, "Fri, 06 Nov 2026 08:50:37 GMT", "", consumer("503 Service Unavailable", Some(60))),
            (503, "Fri, 06 Nov 2026 08:40:37 GMT", "", consumer("503 Service Unavailable", Some(0))),
            (503, "soon", "", consumer("503 Service Unavailable", None)),
            (410, "", "", Refusal::Gone("410 Gone".to_owned())),
            (
                400,
                "",
                r#"{"err":"invalid_key","description":"no key"}"#,
                Refusal::Event("400 Bad Request: invalid_key: no key".to_owned()),
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(refusal(status, &headers, body.as_bytes(), now), expected);
        }
    }
}
