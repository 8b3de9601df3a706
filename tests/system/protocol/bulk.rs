//! Bulk requests (RFC 7644 §3.7): references by bulkId, a status for each operation, failOnErrors and limits.

use serde_json::{Value, json};
use tests::client::Client;
use tests::invariants::assert_invariants;
use tests::provisioning::{ENTERPRISE, GROUP, USER, create_user, members_of, patch_body};
use tests::service::service;

/// Sends a Bulk request and returns the operations of its answer.
async fn send(client: &Client, body: Value) -> Vec<Value> {
    let reply = client.post("/Bulk", &body).await;
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let body = reply.json();
    assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:BulkResponse"]));
    body["Operations"].as_array().unwrap().clone()
}

/// The body of a Bulk request with these operations.
fn bulk(operations: Value) -> Value {
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations })
}

fn post_user(bulk_id: &str, data: Value) -> Value {
    let mut data = data;
    data["schemas"] = json!([USER]);
    json!({ "method": "POST", "path": "/Users", "bulkId": bulk_id, "data": data })
}

fn post_group(bulk_id: &str, name: &str, members: &[&str]) -> Value {
    let members: Value = members.iter().map(|member| json!({ "value": member })).collect();
    let data = json!({ "schemas": [GROUP], "displayName": name, "members": members });
    json!({ "method": "POST", "path": "/Groups", "bulkId": bulk_id, "data": data })
}

fn statuses(operations: &[Value]) -> Vec<&str> {
    operations.iter().map(|operation| operation["status"].as_str().unwrap()).collect()
}

fn id(operation: &Value) -> String {
    operation["location"].as_str().unwrap().rsplit_once('/').unwrap().1.to_owned()
}

#[tokio::test]
async fn bulk_id_references_are_resolved_in_any_order() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let done = send(
        &client,
        bulk(json!([
            post_group("guides", "Tour Guides", &["bulkId:ann", "bulkId:inner"]),
            post_user("ann", json!({ "userName": "ann", ENTERPRISE: { "manager": { "value": "bulkId:boss" } } })),
            post_user("boss", json!({ "userName": "boss" })),
            post_group("inner", "Inner", &["bulkId:boss"]),
            { "method": "PATCH", "path": "/Groups/bulkId:inner", "data": patch_body(json!([
                { "op": "add", "path": "members", "value": [{ "value": "bulkId:ann" }] },
                { "op": "remove", "path": "members[value eq \"bulkId:boss\"]" }
            ])) },
        ])),
    )
    .await;
    assert_eq!(statuses(&done), ["201", "201", "201", "201", "200"]);
    let [guides, ann, boss, inner] = [0, 1, 2, 3].map(|index: usize| id(&done[index]));
    assert_eq!(members_of(&client, &guides).await, [ann.clone(), inner.clone()].into());
    assert_eq!(members_of(&client, &inner).await, [ann.clone()].into());
    let found = client.get(&format!("/Users/{ann}")).await.json();
    assert_eq!(found[ENTERPRISE]["manager"]["value"], boss);
    assert_eq!((&done[1]["method"], &done[1]["bulkId"]), (&json!("POST"), &json!("ann")));
    assert_eq!(done[1]["version"], "W/\"1\"");
    assert_eq!(done[4]["location"], format!("{}/Groups/{inner}", client.base_url));
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn circular_bulk_id_references_work_for_managers_but_not_for_groups() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let manager = |of: &str| json!({ "manager": { "value": format!("bulkId:{of}") } });
    let done = send(
        &client,
        bulk(json!([
            post_user("ann", json!({ "userName": "ann", "title": "A", ENTERPRISE: manager("bob") })),
            post_user("bob", json!({ "userName": "bob", ENTERPRISE: manager("ann") })),
        ])),
    )
    .await;
    assert_eq!(statuses(&done), ["201", "201"]);
    for (one, other) in [(0, 1), (1, 0)] {
        let user = client.get(&format!("/Users/{}", id(&done[one]))).await.json();
        assert_eq!(user[ENTERPRISE]["manager"]["value"], id(&done[other]));
        assert_eq!(user["meta"]["version"], done[one]["version"]);
    }
    // Groups must not contain each other, so the group whose members cannot be completed is deleted again.
    let done = send(
        &client,
        bulk(json!([post_group("a", "A", &["bulkId:b"]), post_group("b", "B", &["bulkId:a"])])),
    )
    .await;
    assert_eq!(statuses(&done), ["400", "201"]);
    assert_eq!(done[0]["response"]["scimType"], "invalidValue");
    assert_eq!(client.get("/Groups").await.json()["totalResults"], 1);
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn circular_references_are_complete_before_later_operations() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let manager = |of: &str| json!({ "manager": { "value": format!("bulkId:{of}") } });
    let of_ann =
        |method: &str, data: Value| json!({ "method": method, "path": "/Users/bulkId:ann", "data": data });
    let titled = patch_body(json!([{ "op": "add", "path": "title", "value": "Boss" }]));
    let cycle = [
        post_user("ann", json!({ "userName": "ann", ENTERPRISE: manager("bob") })),
        post_user("bob", json!({ "userName": "bob", ENTERPRISE: manager("cat") })),
        post_user("cat", json!({ "userName": "cat", ENTERPRISE: manager("ann") })),
    ];
    let [ann, bob, cat] = cycle.clone();
    let done = send(&client, bulk(json!([ann, bob, cat, of_ann("PATCH", titled)]))).await;
    assert_eq!(statuses(&done), ["201", "201", "201", "200"]);
    let user = client.get(&format!("/Users/{}", id(&done[0]))).await.json();
    assert_eq!(
        (&user["title"], &user[ENTERPRISE]["manager"]["value"]),
        (&json!("Boss"), &json!(id(&done[1])))
    );
    for created in &done[..3] {
        assert_eq!(client.delete(&format!("/Users/{}", id(created))).await.status, 204);
    }
    let [ann, bob, cat] = cycle;
    let done = send(&client, bulk(json!([ann, bob, cat, of_ann("DELETE", Value::Null)]))).await;
    assert_eq!(statuses(&done), ["201", "201", "201", "204"]);
    let own_manager = post_user("eve", json!({ "userName": "eve", ENTERPRISE: manager("eve") }));
    let done = send(&client, bulk(json!([own_manager]))).await;
    assert_eq!(statuses(&done), ["201"]);
    let user = client.get(&format!("/Users/{}", id(&done[0]))).await.json();
    assert_eq!(user[ENTERPRISE]["manager"]["value"], id(&done[0]));
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn each_bulk_operation_has_its_own_status() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    let path = format!("/Users/{ann}");
    let put = |version: &str, title: &str| {
        let data = json!({ "schemas": [USER], "userName": "ann", "title": title });
        json!({ "method": "PUT", "path": path, "version": version, "data": data })
    };
    let done = send(
        &client,
        bulk(json!([
            put("W/\"7\"", "stale"),
            put("W/\"1\"", "fresh"),
            post_user("one", json!({ "userName": "ann" })),
            post_user("two", json!({ "userName": "two", "active": 7 })),
            { "method": "DELETE", "path": "/Users/00000000-0000-4000-8000-000000000000" },
            { "method": "GET", "path": path },
            { "method": "POST", "path": "/Users", "data": { "schemas": [USER], "userName": "x" } },
            { "method": "DELETE", "path": "/Users/bulkId:unknown" },
            { "method": "DELETE", "path": path },
            post_user("three", json!({ "userName": "ann" })),
        ])),
    )
    .await;
    assert_eq!(statuses(&done), ["412", "200", "409", "400", "404", "400", "400", "400", "204", "201"]);
    assert_eq!(done[2]["response"]["scimType"], "uniqueness");
    assert_eq!(done[3]["response"]["detail"], "active is a number; it must be a boolean");
    assert_eq!(done[5]["response"]["scimType"], "invalidSyntax");
    assert_eq!(
        done[7]["response"]["detail"],
        "bulkId:unknown does not refer to a resource that this request created"
    );
    assert_eq!(done[1]["version"], "W/\"2\"");
    assert_eq!(done[8].get("response"), None);
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn fail_on_errors_stops_the_bulk_request() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let mut body = bulk(json!([
        post_user("a", json!({ "userName": "a" })),
        post_user("b", json!({})),
        post_user("c", json!({ "userName": "c" })),
        post_user("d", json!({})),
        post_user("e", json!({ "userName": "e" })),
    ]));
    body["failOnErrors"] = json!(2);
    assert_eq!(statuses(&send(&client, body).await), ["201", "400", "201", "400"]);
    assert_eq!(client.get("/Users").await.json()["totalResults"], 2);
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn bulk_of_1000_operations_is_processed_and_1001_are_refused() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let users = |count: usize| {
        (0..count)
            .map(|number| post_user(&format!("b{number}"), json!({ "userName": format!("u{number}") })))
            .collect::<Value>()
    };
    let done = send(&client, bulk(users(1_000))).await;
    assert!(statuses(&done).iter().all(|status| *status == "201"));
    assert_eq!(done.len(), 1_000);
    let reply = client.post("/Bulk", &bulk(users(1_001))).await;
    assert_eq!(
        (reply.status, &reply.json()["detail"]),
        (413, &json!("Operations has 1001 elements; the maximum is 1000"))
    );
    let long = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [], "x": "x".repeat(1_048_576) });
    assert_eq!(client.post("/Bulk", &long).await.status, 413);
    for (body, detail) in [
        (
            json!({ "schemas": [USER], "Operations": [] }),
            "schemas must contain urn:ietf:params:scim:api:messages:2.0:BulkRequest",
        ),
        (bulk(json!({})), "Operations is an object; it must be an array of 1 to 1000 operations"),
        (bulk(json!([{ "method": "POST" }])), "Operation 1: path is missing"),
        (
            bulk(json!([post_user("a", json!({})), post_user("a", json!({}))])),
            "Two operations have the bulkId \"a\"; give each its own",
        ),
    ] {
        let reply = client.post("/Bulk", &body).await;
        assert_eq!((reply.status, &reply.json()["detail"]), (400, &json!(detail)));
    }
    assert_eq!(client.get("/Users?count=0").await.json()["totalResults"], 1_000);
    assert_invariants(service(), &connector.id).await;
}
