//! The start page and the health endpoint of the local server. They need no credentials and show no secret.

use local::server;
use local::start_page::StartPage;
use serde_json::{Value, json};
use service::Service as ScimService;
use shared::schema::Schemas;
use tests::client::Client;
use tests::provisioning::create_user;
use tests::service::{Service, TABLE, TIME_LIMIT};
use tokio::net::TcpListener;

/// Starts a server with a start page over this table. Returns a client whose base URL is the root of the
/// server.
async fn start_page(table: directory::Table) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let scim = ScimService::new(table.clone(), None, Schemas::built_in(), jiff::Timestamp::now).unwrap();
    let page = StartPage::new(table, format!("{origin}/default/scim/v2"));
    tokio::spawn(server::serve(listener, scim, Some(page), TIME_LIMIT, std::future::pending()));
    Client::new(&origin, "", "")
}

#[tokio::test]
async fn start_page_shows_counts_and_endpoint_url_but_no_secret() {
    let service = Service::start();
    let connector = service.connector_named("default", "okta", "a secret password").await;
    let client = connector.local(&service);
    create_user(&client, "ann").await;
    let page = start_page(service.table()).await;
    let reply = page.send("GET", "/", &[("authorization", "")], "").await;
    let text = String::from_utf8(reply.plain_body()).unwrap();
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(text.contains("<dt>Users</dt><dd>1</dd>"), "{text}");
    assert!(text.contains("/default/scim/v2</code>"), "{text}");
    assert!(!text.contains("a secret password"), "{text}");
    for path in ["/README.md", "/ARCHITECTURE.md"] {
        assert_eq!(page.send("GET", path, &[("authorization", "")], "").await.status, 200, "{path}");
    }
    // All other paths belong to SCIM.
    let other = page.send("GET", "/nothing", &[("authorization", "")], "").await;
    assert_eq!((other.status, &other.json()["status"]), (404, &json!("404")));
}

#[tokio::test]
async fn health_is_ok_or_unavailable_with_the_reason() {
    let service = Service::start();
    service.connector_named("default", "okta", "a secret password").await;
    let healthy = start_page(service.table()).await;
    let reply = healthy.send("GET", "/health", &[("authorization", "")], "").await;
    assert_eq!((reply.status, reply.json()), (200, json!({ "status": "ok" })));
    let unreachable = runtime::dynamodb::client_at("http://127.0.0.1:9").await;
    let unhealthy = start_page(directory::Table::new(unreachable, TABLE.to_owned())).await;
    let reply = unhealthy.send("GET", "/health", &[("authorization", "")], "").await;
    let body: Value = reply.json();
    assert_eq!((reply.status, &body["status"]), (503, &json!("unavailable")));
    assert!(body["reason"].as_str().unwrap().contains("DynamoDB"), "{body}");
}
