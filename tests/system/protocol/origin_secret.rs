//! The origin secret: if it is set, a request without it gets 403 before anything else is looked at, for every route and
//! method. Two values are accepted while the secret is changed.

use http::HeaderValue;
use http::header::AUTHORIZATION;
use serde_json::json;
use service::Service;
use service::origin_secret::OriginSecret;
use service::request::{Request, decoded_segments};
use service::routes;
use shared::schema::Schemas;
use tests::client::Client;
use tests::service::service;
use tokio::time::Instant;

const HEADER: &str = "x-origin-secret";
const FIRST: &str = "first-value-of-the-secret";
const SECOND: &str = "second-value-of-the-secret";

#[tokio::test]
async fn functions_refuse_every_request_without_the_origin_secret() {
    let connector = service().connector().await;
    let gateway = service().gateway_with(&[("ORIGIN_SECRET", &format!("{FIRST},{SECOND}"))]).await;
    let username = connector.local(service()).username;
    let url = gateway.base_url(&connector.id.to_string());
    let client = Client::new(&url, &username, &connector.password);
    let both = format!("{FIRST},{SECOND}");
    for (method, target, value, expected) in [
        ("GET", "/Users", Some(FIRST), 200),
        ("GET", "/Users", Some(SECOND), 200),
        ("GET", "/Users", None, 403),
        ("GET", "/Users", Some("wrong"), 403),
        ("GET", "/Users", Some(&FIRST[1..]), 403),
        ("GET", "/Users", Some(both.as_str()), 403),
        // The fallback.
        ("GET", "/Nothing", Some(FIRST), 404),
        ("GET", "/Nothing", None, 403),
        ("DELETE", "/Users", None, 403),
        ("GET", "/Schemas", None, 403),
    ] {
        let headers: Vec<(&str, &str)> = value.map(|value| (HEADER, value)).into_iter().collect();
        let reply = client.send(method, target, &headers, "").await;
        assert_eq!(reply.status, expected, "{method} {target} {value:?}");
        if expected == 403 {
            let error = json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
                "status": "403",
                "detail": "The header x-origin-secret is missing or wrong. Send requests to the endpoint URL of the \
                           connector, not to the address of the API itself",
            });
            assert_eq!(reply.json(), error, "{method} {target} {value:?}");
        }
    }
    // The secret does not replace credentials.
    let headers = [(HEADER, FIRST), ("authorization", "")];
    assert_eq!(client.send("GET", "/Users", &headers, "").await.status, 401);
}

/// The service has no DynamoDB: a read would fail the request with another status.
#[tokio::test]
async fn request_without_the_origin_secret_reads_nothing() {
    let client = runtime::dynamodb::client_at("http://127.0.0.1:1").await;
    let table = directory::Table::new(client, "no-table".to_owned());
    let service = Service::new(table, None, Schemas::built_in(), jiff::Timestamp::now).unwrap();
    let service = service.with_origin_secret(Some(OriginSecret::parse(FIRST)));
    let authorization = HeaderValue::from_static("Basic b2t0YTpzZWNyZXQ=");
    let request = Request {
        trace: None,
        id: "1".to_owned(),
        method: http::Method::GET,
        path: decoded_segments("/okta/scim/v2/Users"),
        query: Vec::new(),
        headers: http::HeaderMap::from_iter([(AUTHORIZATION, authorization)]),
        body: Vec::new(),
        origin: "https://scim.example.com".to_owned(),
        deadline: Instant::now() + tests::service::TIME_LIMIT,
        address: None,
    };
    assert_eq!(service.answer(request, routes::BY_ROUTE).await.status(), 403);
}
