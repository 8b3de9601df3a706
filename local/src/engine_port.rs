//! The engine's port: which HTTP requests may reach the table.
//!
//! Every user of the machine can connect to a port on loopback, and every web page in a browser can send requests to it.
//! So a request must have the access key of this run, the name of this machine or the address of the port as its Host, and
//! no Origin, which browsers send. Nothing answers a preflight.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use dynoxide::Database;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde_json::json;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::operations::run_operation;

/// The largest request of DynamoDB, a batch of writes.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");
/// The names of this machine. Containers of Docker Desktop reach it by the last one. The domain `internal` does not exist in
/// public DNS, so no web page has such a name.
const NAMES: [&str; 4] = ["127.0.0.1", "localhost", "[::1]", "host.docker.internal"];

/// An engine, and what requests to its port need.
#[derive(Clone)]
pub struct EnginePort {
    database: Database,
    access_key: Arc<str>,
    address: IpAddr,
}

/// The reason why a request is refused: its status, and the type and message of a DynamoDB error.
struct Refusal {
    status: StatusCode,
    kind: &'static str,
    message: &'static str,
}

impl EnginePort {
    /// Requires this access key for requests to the engine, whose port has this address.
    pub fn new(database: Database, access_key: &str, address: IpAddr) -> Self {
        Self { database, access_key: access_key.into(), address }
    }

    /// Answers a request as DynamoDB does, or refuses it before its body is read.
    pub async fn answer(self, request: Request<Body>) -> Response<Body> {
        if let Err(Refusal { status, kind, message }) = self.check(&request) {
            let body = json!({ "__type": format!("com.amazon.coral.service#{kind}"), "message": message });
            return response(status, body.to_string().into_bytes());
        }
        let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
        let operation = target.and_then(|target| target.rsplit('.').next()).unwrap_or_default().to_owned();
        let Ok(body) = Limited::new(request.into_body(), MAX_BODY_BYTES).collect().await else {
            return response(
                StatusCode::BAD_REQUEST,
                br#"{"__type":"com.amazon.coral.service#SerializationException"}"#.to_vec(),
            );
        };
        let body = body.to_bytes();
        // The engine blocks its thread while it works on its file.
        let ran =
            tokio::task::spawn_blocking(move || match run_operation(&self.database, &operation, &body) {
                Some(Ok(body)) => (StatusCode::OK, body),
                Some(Err(error)) => {
                    let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::BAD_REQUEST);
                    (status, error.to_json().into_bytes())
                }
                None => {
                    let body = br#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#;
                    (StatusCode::BAD_REQUEST, body.to_vec())
                }
            });
        let (status, body) = ran.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the engine failed");
            let body = br#"{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError"}"#;
            (StatusCode::INTERNAL_SERVER_ERROR, body.to_vec())
        });
        response(status, body)
    }

    fn check(&self, request: &Request<Body>) -> Result<(), Refusal> {
        let headers = request.headers();
        let is_here = headers.get(HOST).is_some_and(|host| is_this_machine(host, self.address))
            && request.uri().authority().is_none_or(|authority| is_allowed(authority, self.address));
        if !is_here {
            return Err(forbidden(
                "The Host of a request to the embedded engine must be 127.0.0.1, localhost or the address on which the engine \
                 listens",
            ));
        }
        if headers.contains_key(ORIGIN) {
            return Err(forbidden("The embedded engine does not answer web pages"));
        }
        if request.method() != Method::POST {
            return Err(Refusal {
                status: StatusCode::METHOD_NOT_ALLOWED,
                ..forbidden("Requests to DynamoDB are POST")
            });
        }
        let Some(authorization) = headers.get(AUTHORIZATION) else {
            return Err(Refusal {
                status: StatusCode::BAD_REQUEST,
                kind: "MissingAuthenticationTokenException",
                message: "Request is missing Authentication Token",
            });
        };
        if access_key(authorization)
            .is_some_and(|key| bool::from(key.as_bytes().ct_eq(self.access_key.as_bytes())))
        {
            return Ok(());
        }
        Err(Refusal {
            status: StatusCode::BAD_REQUEST,
            kind: "UnrecognizedClientException",
            message: "The access key is not that of this run of the embedded engine; it is in the data folder, in \
                      dynamodb-access-key",
        })
    }
}

fn forbidden(message: &'static str) -> Refusal {
    Refusal { status: StatusCode::FORBIDDEN, kind: "AccessDeniedException", message }
}

/// Returns the access key of a signed request: `AWS4-HMAC-SHA256 Credential=KEY/…, …`.
fn access_key(authorization: &HeaderValue) -> Option<&str> {
    let parameters = authorization.to_str().ok()?.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let scope = parameters.split(',').find_map(|parameter| parameter.trim().strip_prefix("Credential="))?;
    Some(scope.split_once('/')?.0)
}

/// Whether a Host is this machine, or the address of the port. A web page can make its own name resolve to this address, but
/// not change the Host.
fn is_this_machine(host: &HeaderValue, address: IpAddr) -> bool {
    let authority = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    authority.is_some_and(|authority| is_allowed(&authority, address))
}

fn is_allowed(authority: &Authority, address: IpAddr) -> bool {
    let host = authority.host();
    let is_known = NAMES.iter().any(|name| host.eq_ignore_ascii_case(name))
        || host.trim_matches(['[', ']']).parse() == Ok(address);
    is_known && !authority.as_str().contains('@')
}

fn response(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, MEDIA_TYPE);
    // The SDK shows this id in its errors.
    if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_of_this_machine_and_the_address_of_the_port_are_accepted_as_host() {
        for (host, expected) in [
            ("127.0.0.1:8000", true),
            ("127.0.0.1", true),
            ("LOCALHOST:1", true),
            ("[::1]:8000", true),
            ("host.docker.internal:8000", true),
            ("172.17.0.1:8000", true),
            ("172.17.0.2:8000", false),
            ("172.17.0.1.nip.io:8000", false),
            ("172.17.0.1@example.com", false),
            ("localhost.example.com", false),
            ("127.0.0.1.nip.io:8000", false),
            ("127.0.0.1@example.com", false),
            ("example.com@127.0.0.1", false),
            ("example.com", false),
            ("0.0.0.0:8000", false),
            ("", false),
        ] {
            let host = HeaderValue::from_static(host);
            assert_eq!(is_this_machine(&host, IpAddr::from([172, 17, 0, 1])), expected, "{host:?}");
        }
        let address = IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]);
        assert!(is_this_machine(&HeaderValue::from_static("[fd00::1]:8000"), address));
        assert!(!is_this_machine(&HeaderValue::from_static("[fd00::2]:8000"), address));
    }

    #[test]
    fn access_key_is_read_from_a_signature() {
        for (header, expected) in [
            (
                "AWS4-HMAC-SHA256 Credential=key/20260101/local/dynamodb/aws4_request, SignedHeaders=host",
                Some("key"),
            ),
            ("AWS4-HMAC-SHA256 SignedHeaders=host,Credential=a-b_c/x", Some("a-b_c")),
            ("AWS4-HMAC-SHA256 Credential=key", None),
            ("Credential=key/x", None),
            ("Basic a2V5", None),
            ("", None),
        ] {
            assert_eq!(access_key(&HeaderValue::from_static(header)), expected, "{header}");
        }
    }
}
