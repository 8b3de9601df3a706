//! The documents that a client reads once and relies on: discovery (RFC 7644 §4), and the bodies and headers of errors (§3.12).
//! They are compared with snapshots. `INSTA_UPDATE=always make test` accepts a change.

use serde_json::{Value, json};
use tests::client::{Client, Reply};
use tests::service::service;

/// The body as text, and the headers that belong to the document, with placeholders for what differs in each run.
fn document(client: &Client, reply: &Reply) -> String {
    let mut text = format!("{}\n", reply.status);
    for name in ["content-type", "allow", "www-authenticate", "location", "etag", "retry-after"] {
        if let Some(value) = reply.header(name) {
            text.push_str(&format!("{name}: {value}\n"));
        }
    }
    text.push_str(&format!("\n{:#}\n", reply.json()));
    text.replace(&client.base_url, "BASE_URL")
}

#[tokio::test]
async fn discovery_documents_are_as_in_the_snapshots() {
    let client = service().client().await;
    for (name, target) in [
        ("service_provider_config", "/ServiceProviderConfig"),
        ("resource_types", "/ResourceTypes"),
        ("resource_type", "/ResourceTypes/User"),
        ("schemas", "/Schemas"),
        ("schema", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group"),
    ] {
        let reply = client.get(target).await;
        insta::assert_snapshot!(name, document(&client, &reply));
    }
}

#[tokio::test]
async fn errors_are_as_in_the_snapshots() {
    let client = service().client().await;
    let user =
        |name: &str| json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name });
    let ann = client.post("/Users", &user("ann")).await.json();
    let path = format!("/Users/{}", ann["id"].as_str().unwrap());
    let send = async |method: &str, target: &str, headers: &[(&str, &str)], body: Value| {
        let json = [("content-type", "application/scim+json")];
        let headers: Vec<_> = headers.iter().chain(&json).copied().collect();
        client.send(method, target, &headers, body.to_string()).await
    };
    for (name, reply) in [
        ("error_400_invalid_value", send("POST", "/Users", &[], user(" ")).await),
        ("error_400_invalid_filter", client.get("/Users?filter=userName%20eq").await),
        ("error_401", send("GET", "/Users", &[("authorization", "Bearer wrong")], Value::Null).await),
        ("error_404_resource", client.get("/Users/00000000-0000-4000-8000-000000000000").await),
        ("error_404_path", client.get("/Nothing").await),
        ("error_405", client.delete("/Users").await),
        ("error_409", client.post("/Users", &user("ANN")).await),
        ("error_412", send("PUT", &path, &[("if-match", "W/\"0\"")], user("ann")).await),
        ("error_415", client.send("POST", "/Users", &[("content-type", "text/html")], "<p>").await),
        ("error_501", client.get("/Me").await),
    ] {
        let mut settings = insta::Settings::clone_current();
        settings.add_filter("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f-]{21}", "UUID");
        settings.add_filter(r#"W/\\?"[^"\\]*\\?""#, "ENTITY_TAG");
        settings.bind(|| insta::assert_snapshot!(name, document(&client, &reply)));
    }
}
