//! Errors (RFC 7644 §3.12): invalid requests get the right status, scimType and detail, and change nothing.

use serde_json::{Value, json};
use tests::client::{Client, SCIM_JSON};
use tests::invariants::assert_invariants;
use tests::provisioning::{GROUP, USER, create_group, create_user, patch_body, set_active_body};
use tests::refusal::{Refusal, assert_refused, error_of, expected_error};
use tests::service::service;

#[tokio::test]
async fn invalid_bodies_and_queries_are_refused_and_change_nothing() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    let guides = create_group(&client, "Tour Guides", std::slice::from_ref(&ann)).await;
    let (of_ann, of_guides) = (format!("/Users/{ann}"), format!("/Groups/{guides}"));

    let unknown_id = "00000000-0000-4000-8000-000000000000";
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let emails: Vec<Value> =
        (0..50).map(|number| json!({ "value": format!("{number}@example.com") })).collect();
    let user_with =
        |name: &str, value: Value| json!({ "schemas": [USER], "userName": "bob", name: value }).to_string();
    let add =
        |value: Value| patch_body(json!([{ "op": "add", "path": "members", "value": value }])).to_string();
    let operation = |operation: Value| patch_body(json!([operation])).to_string();
    let mut cases = Vec::new();
    for (method, target, body, status, scim_type, detail) in [
        ("POST", "/Users", "{".to_owned(), 400, "invalidSyntax", "The request body is not valid JSON: EOF while parsing an object at line 1 column 1"),
        ("POST", "/Users", String::new(), 400, "invalidSyntax", "The request body is empty; it must be a JSON object"),
        ("POST", "/Users", "[]".to_owned(), 400, "invalidSyntax", "The request body is an array; it must be a JSON object"),
        ("POST", "/Users", deep, 400, "invalidSyntax", "The request body is not valid JSON: recursion limit exceeded at line 1 column 128"),
        ("POST", "/Users", json!({ "schemas": [USER] }).to_string(), 400, "invalidValue", "userName is missing or empty; it is required"),
        ("POST", "/Users", json!({ "schemas": [USER], "userName": " " }).to_string(), 400, "invalidValue", "userName is missing or empty; it is required"),
        ("POST", "/Users", json!({ "schemas": [GROUP], "userName": "bob" }).to_string(), 400, "invalidSyntax", "schemas contains urn:ietf:params:scim:schemas:core:2.0:Group; this endpoint expects urn:ietf:params:scim:schemas:core:2.0:User"),
        ("POST", "/Users", user_with("schemas", json!("x")), 400, "invalidSyntax", "schemas is a string; it must be an array of URNs"),
        ("POST", "/Users", user_with("title", json!(true)), 400, "invalidValue", "title is a boolean; it must be a string"),
        ("POST", "/Users", user_with("active", json!("yes")), 400, "invalidValue", "active is a string; it must be a boolean"),
        ("POST", "/Users", user_with("name", json!("Bob")), 400, "invalidValue", "name is a string; it must be an object"),
        ("POST", "/Users", user_with("name", json!({ "givenName": {} })), 400, "invalidValue", "name.givenName is an object; it must be a string"),
        ("POST", "/Users", user_with("x509Certificates", json!([{ "value": "!" }])), 400, "invalidValue", "x509Certificates.value is a string; it must be a base64 string"),
        ("POST", "/Users", user_with("emails", json!([{ "value": "a", "primary": true }, { "value": "b", "primary": true }])), 400, "invalidValue", "emails has more than one primary value; only one is allowed"),
        ("POST", "/Users", user_with("emails", json!(emails)), 400, "invalidValue", "The User has 51 values in indexed attributes (userName, externalId, emails.value, name.givenName, name.familyName, displayName); the maximum is 43"),
        ("POST", "/Users", user_with("title", json!("x".repeat(300_000))), 413, "", "The User is 300089 bytes; the maximum is 300000"),
        // An item contains the userName twice.
        ("POST", "/Users", json!({ "schemas": [USER], "userName": "x".repeat(250_000) }).to_string(), 413, "", "The User is 500072 bytes; the maximum is 300000"),
        ("POST", "/Groups", json!({ "schemas": [GROUP], "displayName": "g", "members": [{ "value": ann, "display": "x".repeat(1_025) }] }).to_string(), 400, "invalidValue", &format!("members: the display of {ann} is 1025 bytes; the maximum is 1024")),
        ("POST", "/Users", json!({ "schemas": [USER], "userName": "ANN" }).to_string(), 409, "uniqueness", "userName \"ANN\" is taken by another user"),
        ("POST", "/Groups", json!({ "schemas": [GROUP] }).to_string(), 400, "invalidValue", "displayName is missing or empty; it is required"),
        ("POST", "/Groups", json!({ "schemas": [GROUP], "displayName": "tour guides" }).to_string(), 409, "uniqueness", "displayName \"tour guides\" is taken by another group"),
        ("POST", "/Groups", json!({ "schemas": [GROUP], "displayName": "g", "members": [{ "value": ann }, { "value": unknown_id }] }).to_string(), 400, "invalidValue", "members: there is no user or group with the id 00000000-0000-4000-8000-000000000000"),
        ("POST", "/Groups", json!({ "schemas": [GROUP], "displayName": "g", "members": [{ "value": "x" }] }).to_string(), 400, "invalidValue", "members: there is no user or group with the id \"x\""),
        ("POST", "/Groups", json!({ "schemas": [GROUP], "displayName": "g", "members": [{ "display": "x" }] }).to_string(), 400, "invalidValue", "members.value is missing; it is required"),
        ("PUT", of_ann.as_str(), json!({ "schemas": [USER] }).to_string(), 400, "invalidValue", "userName is missing or empty; it is required"),
        ("PATCH", &of_guides, add(json!([{ "value": unknown_id }])), 400, "invalidValue", "members: there is no user or group with the id 00000000-0000-4000-8000-000000000000"),
        ("PATCH", &of_guides, add(json!([{ "value": guides }])), 400, "invalidValue", ""),
        ("PATCH", &of_ann, json!({ "schemas": [USER], "Operations": [] }).to_string(), 400, "invalidSyntax", "schemas must contain urn:ietf:params:scim:api:messages:2.0:PatchOp"),
        ("PATCH", &of_ann, json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"] }).to_string(), 400, "invalidSyntax", "Operations is missing; it must be an array of 1 to 1000 operations"),
        ("PATCH", &of_ann, operation(json!({ "op": "move", "path": "title" })), 400, "invalidSyntax", "Operation 1: op is \"move\"; it must be add, remove or replace"),
        ("PATCH", &of_ann, operation(json!({ "op": "remove" })), 400, "noTarget", "Operation 1: remove requires a path"),
        ("PATCH", &of_ann, operation(json!({ "op": "add", "path": "shoe size", "value": 1 })), 400, "invalidPath", "Operation 1: \"shoe size\" is not an attribute path"),
        ("PATCH", &of_ann, operation(json!({ "op": "add", "path": "shoeSize", "value": 1 })), 400, "invalidPath", "Operation 1: A User has no attribute shoeSize"),
        ("PATCH", &of_ann, operation(json!({ "op": "replace", "path": "id", "value": "x" })), 400, "mutability", "Operation 1: id is read-only"),
        ("PATCH", &of_ann, operation(json!({ "op": "remove", "path": "userName" })), 400, "mutability", "Operation 1: userName is required and cannot be removed"),
        ("PATCH", &of_ann, operation(json!({ "op": "replace", "path": "emails[type ne \"work\"].value", "value": "x" })), 400, "noTarget", "Operation 1: No element of emails matches the filter; to create one, use a filter of eq comparisons"),
        ("PATCH", &of_ann, patch_body(json!([{ "op": "replace", "path": "title", "value": "x" }, { "op": "replace", "path": "active", "value": 7 }])).to_string(), 400, "invalidValue", "Operation 2: active is a number; it must be a boolean"),
        ("PATCH", "/Users/x", operation(json!({ "op": "remove", "path": "title" })), 404, "", "Resource x not found"),
        ("DELETE", "/Groups/00000000-0000-4000-8000-000000000000", String::new(), 404, "", "Resource 00000000-0000-4000-8000-000000000000 not found"),
        ("GET", "/Users?filter=userName%20eq", String::new(), 400, "invalidFilter", "Position 12 of the filter: found the end, expected a value (a string in double quotes, a number, true, false or null)"),
        ("GET", "/Users?filter=shoeSize%20pr", String::new(), 400, "invalidFilter", "A User has no attribute shoeSize"),
        ("GET", "/Users?startIndex=x", String::new(), 400, "invalidValue", "startIndex is \"x\"; it must be a whole number"),
        ("GET", "/Users?count=1.5", String::new(), 400, "invalidValue", "count is \"1.5\"; it must be a whole number"),
        ("GET", "/Users?cursor=x", String::new(), 400, "invalidCursor", "The cursor is not valid for this query; request the first page again"),
        ("GET", "/Users?sortBy=name", String::new(), 400, "invalidPath", "Resources cannot be sorted by name; use a readable attribute with simple values, such as displayName"),
        ("GET", "/Users?sortBy=userName&sortOrder=up", String::new(), 400, "invalidValue", "sortOrder is \"up\"; it must be ascending or descending"),
        ("GET", "/Users?attributes=id&excludedAttributes=id", String::new(), 400, "invalidValue", "The request has both attributes and excludedAttributes; send only one of them"),
        ("GET", "/Schemas?filter=id%20pr", String::new(), 403, "", "This endpoint does not support filters (RFC 7644 §4)"),
        ("GET", "/Nothing", String::new(), 404, "", "Unknown path /Nothing"),
        ("DELETE", "/Users", String::new(), 405, "", "/Users does not support DELETE; use GET, HEAD, POST"),
        ("GET", "/Me", String::new(), 501, "", "/Me is not supported, because a connector is not a user"),
    ] {
        let detail = if detail.is_empty() {
            format!("members: group {guides} cannot be a member of group {guides}, because it is that group or contains it")
        } else {
            detail.to_owned()
        };
        cases.push(Refusal { method, target: target.to_owned(), body, status, scim_type, detail });
    }
    assert_refused(service(), &connector, &client, &cases).await;
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn body_of_another_media_type_or_above_the_limit_is_refused() {
    let client = service().client().await;
    let reply = client.send("POST", "/Users", &[("content-type", "text/html")], "<p>").await;
    assert_eq!(
        error_of(&reply),
        expected_error(415, "", "Content-Type is text/html; send application/scim+json")
    );
    let reply =
        client.send("POST", "/Users", &[("content-type", SCIM_JSON)], vec![b' '; 6 * 1024 * 1024 + 1]).await;
    assert_eq!(error_of(&reply), expected_error(413, "", "The body is longer than 6291456 bytes"));
    let reply = client
        .send("POST", "/Users", &[("content-type", SCIM_JSON)], b"{\"userName\":\"\xff\"}".to_vec())
        .await;
    assert_eq!((reply.status, &reply.json()["scimType"]), (400, &json!("invalidSyntax")));
    assert_eq!(client.get("/Users").await.json()["totalResults"], 0);
}

#[tokio::test]
async fn all_wrong_credentials_get_the_same_401() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let good = client.basic();
    let with = |username: &str, password: &str| Client::new(&client.base_url, username, password).basic();
    let wrong = with(&client.username, "wrong");
    let unknown_username = with("unknown", &client.password);
    let unknown = client.base_url.replace(&connector.id.to_string(), "unknown");
    let unknown = Client::new(&unknown, &client.username, &client.password);
    let mut answers = Vec::new();
    let everywhere = &["/Users", "/ServiceProviderConfig", "/Nothing"][..];
    for (client, authorization, targets) in [
        (&client, wrong.as_str(), &everywhere[..1]),
        (&client, &unknown_username, &everywhere[1..2]),
        (&client, "Bearer x", &everywhere[2..]),
        (&client, "", &["/Users", "/Nothing"]),
        (&client, "non-token", everywhere),
        (&client, "Basic !", everywhere),
        (&client, "Digest x", everywhere),
        (&unknown, &good, &everywhere[..1]),
    ] {
        for target in targets {
            let reply = client.send("GET", target, &[("authorization", authorization)], "").await;
            assert_eq!(reply.status, 401, "{authorization}");
            let schemes = match client.connector() {
                "unknown" => "Basic realm=\"scim\"",
                _ => "Basic realm=\"scim\", Bearer realm=\"scim\"",
            };
            assert_eq!(reply.header("www-authenticate"), Some(schemes), "{authorization}");
            answers.push(error_of(&reply));
        }
    }
    answers.dedup();
    let detail =
        "Authentication failed: send the connector's username and password (Basic), or its token (Bearer)";
    assert_eq!(answers, [expected_error(401, "", detail)]);
    assert_eq!(client.get("/Users").await.status, 200);
    let bearer = format!("Bearer {}", client.token.clone().unwrap());
    assert_eq!(client.send("GET", "/Users", &[("authorization", &bearer)], "").await.status, 200);
}

#[tokio::test]
async fn user_with_the_maximum_of_indexed_values_can_be_deactivated() {
    let connector = service().connector().await;
    let client = connector.local(service());
    // The userName is the 43rd value.
    let emails: Vec<Value> =
        (0..42).map(|number| json!({ "value": format!("{number}@example.com") })).collect();
    let user = json!({ "schemas": [USER], "userName": "ann", "emails": emails });
    let created = client.post("/Users", &user).await;
    assert_eq!(created.status, 201, "{created:?}");
    let path = format!("/Users/{}", created.json()["id"].as_str().unwrap());
    let deactivated = client.patch(&path, &set_active_body(false)).await;
    assert_eq!((deactivated.status, &deactivated.json()["active"]), (200, &json!(false)));
    // Every entry is replaced in one transaction, and then deleted in one.
    let others: Vec<Value> =
        (0..42).map(|number| json!({ "value": format!("{number}@example.org") })).collect();
    let user = json!({ "schemas": [USER], "userName": "bob", "active": true, "emails": others });
    let replaced = client.put(&path, &user).await;
    assert_eq!((replaced.status, &replaced.json()["active"]), (200, &json!(true)));
    assert_eq!(client.delete(&path).await.status, 204);
    assert_invariants(service(), &connector.id).await;
}
