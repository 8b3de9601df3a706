//! The port of the embedded engine: it answers only requests of this machine that have the access key of this run, and
//! it speaks HTTP/1.1 only, as the local server does.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use axum::body::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tests::service::{ACCESS_KEY, service};
use uuid::Uuid;

/// A request that is signed with this access key. The engine does not verify the signature.
fn request(operation: &str, access_key: &str) -> http::request::Builder {
    Request::post(service().engine_url())
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
        .header("x-amz-date", "20260101T000000Z")
        .header(
            "authorization",
            format!(
                "AWS4-HMAC-SHA256 Credential={access_key}/20260101/local/dynamodb/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature=0"
            ),
        )
}

async fn send(request: http::request::Builder, body: &Value) -> Response<Bytes> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = request.body(Full::new(Bytes::from(body.to_string()))).unwrap();
    let (parts, body) = client.request(request).await.unwrap().into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

async fn tables() -> Vec<Value> {
    let listed = send(request("ListTables", ACCESS_KEY), &json!({})).await;
    assert_eq!(listed.status(), 200);
    let listed: Value = serde_json::from_slice(listed.body()).unwrap();
    listed["TableNames"].as_array().unwrap().clone()
}

#[tokio::test]
async fn request_that_may_come_from_elsewhere_is_refused_before_it_is_processed() {
    let table = format!("table-{}", Uuid::new_v4());
    let create = json!({
        "TableName": table,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
    });
    let good = || request("CreateTable", ACCESS_KEY);
    let mut unsigned = good();
    unsigned.headers_mut().unwrap().remove("authorization");
    let preflight = || {
        let request = good().method(Method::OPTIONS).header("access-control-request-method", "POST");
        request.header("access-control-request-headers", "authorization")
    };
    let forbidden = "AccessDeniedException";
    for (name, request, status, kind) in [
        ("wrong key", request("CreateTable", "wrong"), 400, "UnrecognizedClientException"),
        (
            "beginning of the key",
            request("CreateTable", &ACCESS_KEY[..4]),
            400,
            "UnrecognizedClientException",
        ),
        ("empty key", request("CreateTable", ""), 400, "UnrecognizedClientException"),
        ("no signature", unsigned, 400, "MissingAuthenticationTokenException"),
        ("foreign Host", good().header("host", "rebound.example.com:8000"), 403, forbidden),
        ("Origin", good().header("origin", "http://localhost:5173"), 403, forbidden),
        ("null Origin", good().header("origin", "null"), 403, forbidden),
        ("preflight", preflight().header("origin", "http://example.com"), 403, forbidden),
        ("OPTIONS", preflight(), 405, forbidden),
        ("GET", good().method(Method::GET), 405, forbidden),
    ] {
        let refused = send(request, &create).await;
        assert_eq!(refused.status(), status, "{name}");
        let body: Value = serde_json::from_slice(refused.body()).unwrap();
        assert_eq!(body["__type"], format!("com.amazon.coral.service#{kind}"), "{name}");
        let has_cors = refused.headers().keys().any(|name| name.as_str().starts_with("access-control-"));
        assert!(!has_cors, "{name}: {:?}", refused.headers());
        assert!(!tables().await.contains(&json!(table)), "{name}");
    }
    assert_eq!(send(good().header("host", "localhost"), &create).await.status(), 200);
    assert!(tables().await.contains(&json!(table)));
}

#[tokio::test]
async fn sdk_reports_a_wrong_access_key_as_an_unrecognized_client() {
    let engine = runtime::data_folder::RunningEngine {
        endpoint: service().engine_url().to_owned(),
        access_key: "wrong".to_owned(),
    };
    let client = runtime::dynamodb::client_of_engine(&engine).await;
    let error = client.list_tables().send().await.unwrap_err().into_service_error();
    assert_eq!(error.meta().code(), Some("UnrecognizedClientException"));
}

#[test]
fn neither_port_speaks_http_2() {
    for origin in [service().engine_url(), service().origin()] {
        let mut connection = TcpStream::connect(origin.trim_start_matches("http://")).unwrap();
        // The preface of HTTP/2 and an empty SETTINGS frame (RFC 9113 §3.4).
        connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
        let mut answer = Vec::new();
        // A server of HTTP/2 keeps the connection open. This one closes it, perhaps before it read everything.
        let _ = connection.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{origin}: {answer:?}");
    }
}
