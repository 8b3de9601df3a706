//! Strict connectors: what the SCIM interoperability profile forbids gets 400, and changes nothing. Connectors that are not
//! strict accept the same requests.

use directory::settings::{OnDelete, Settings};
use serde_json::{Value, json};
use tests::client::{Client, Reply};
use tests::provisioning::{ENTERPRISE, GROUP, USER, create_group, patch_body, percent_encoded};
use tests::scimctl::run;
use tests::service::service;

/// The `scimType` and `detail` of a 400.
fn error_of(body: &Value) -> (String, String) {
    assert_eq!(body["status"], json!("400"), "{body}");
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    (text("scimType"), text("detail"))
}

/// A strict connector and one that is not, each with the same user and group.
struct Connectors {
    strict: Client,
    lenient: Client,
}

impl Connectors {
    async fn new() -> Self {
        let strict = service().connector_with(Settings { strict: true, ..Settings::default() }).await;
        Self { strict: strict.local(service()), lenient: service().client().await }
    }
}

/// Creates a user and a group, and returns their paths.
async fn populate(client: &Client) -> (String, String) {
    let user = json!({
        "schemas": [USER, ENTERPRISE], "userName": "ann", "title": "Guide",
        "name": { "givenName": "Ann", "familyName": "Ash" },
        "emails": [{ "value": "a@x", "type": "work" }, { "value": "b@x", "type": "home" }, { "value": "c@x", "type": "home" }],
        ENTERPRISE: { "department": "Tours", "manager": { "value": "7" } }
    });
    let reply = client.post("/Users", &user).await;
    assert_eq!(reply.status, 201);
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    let group = create_group(client, "Tour Guides", std::slice::from_ref(&id)).await;
    (format!("/Users/{id}"), format!("/Groups/{group}"))
}

/// The requests that the profile forbids: a method, a path, a body, and the error of a strict connector.
fn forbidden() -> Vec<(&'static str, &'static str, Value, &'static str, String)> {
    let user = |value: Value| {
        let mut user = json!({ "schemas": [USER], "userName": "bob" });
        user.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        user
    };
    let mut cases = Vec::new();
    for (body, detail) in [
        (user(json!({ "favouriteColour": "blue" })), "A User has no attribute favouriteColour"),
        (user(json!({ "department": "Sales" })), "A User has no attribute department"),
        (user(json!({ "name": { "initials": "J" } })), "There is no attribute name.initials"),
        (
            user(json!({ "emails": [{ "value": "b@x", "kind": "work" }] })),
            "There is no attribute emails.kind",
        ),
        (user(json!({ "displayName": { "value": "Bob" } })), "There is no attribute displayName.value"),
        (user(json!({ "urn:example:Extra": {} })), "A User has no attribute urn:example:Extra"),
        (
            user(json!({ "schemas": [USER, "urn:example:Extra"] })),
            "schemas contains urn:example:Extra, which is no schema of a User",
        ),
        (user(json!({ ENTERPRISE: { "room": "1" } })), &format!("There is no attribute {ENTERPRISE}:room")),
        (
            user(json!({ ENTERPRISE: { "manager": { "name": "7" } } })),
            &format!("There is no attribute {ENTERPRISE}:manager.name"),
        ),
    ] {
        cases.push(("POST", "/Users", body.clone(), "invalidSyntax", detail.to_owned()));
        cases.push(("PUT", "${user}", body, "invalidSyntax", detail.to_owned()));
    }
    let group = json!({ "schemas": [GROUP], "displayName": "Drivers", "members": [{ "value": "${id}", "name": "Ann" }] });
    cases.push(("POST", "/Groups", group, "invalidSyntax", "There is no attribute members.name".to_owned()));
    let no_path = "path is missing; a strict connector requires it in each operation";
    for (operation, scim_type, detail) in [
        (json!({ "op": "replace", "value": { "active": true } }), "invalidSyntax", no_path),
        (json!({ "op": "add", "path": " ", "value": { "title": "x" } }), "invalidSyntax", no_path),
        (json!({ "op": "replace", "path": null, "value": { "title": "x" } }), "invalidSyntax", no_path),
        (
            json!({ "op": "add", "path": "urn:example:Extra:tag", "value": "x" }),
            "invalidSyntax",
            "A User has no attribute urn:example:Extra:tag",
        ),
        (
            json!({ "op": "add", "path": "name", "value": { "initials": "J" } }),
            "invalidSyntax",
            "There is no attribute name.initials",
        ),
        (
            json!({ "op": "add", "path": ENTERPRISE, "value": { "room": "1" } }),
            "invalidSyntax",
            &format!("There is no attribute {ENTERPRISE}:room"),
        ),
        (
            json!({ "op": "add", "path": "emails", "value": [{ "value": "d@x", "kind": "work" }] }),
            "invalidSyntax",
            "There is no attribute emails.kind",
        ),
        (
            json!({ "op": "add", "path": "emails", "value": { "value": "d@x" } }),
            "invalidValue",
            "The value of emails is an object; it must be an array",
        ),
        (
            json!({ "op": "add", "path": "emails", "value": ["{\"value\": \"d@x\"}"] }),
            "invalidValue",
            "The value of emails is an array; it must be an array of objects",
        ),
        (
            json!({ "op": "replace", "path": "name", "value": "{\"givenName\": \"Bo\"}" }),
            "invalidValue",
            "The value of name is a string; it must be an object",
        ),
        (
            json!({ "op": "replace", "path": format!("{ENTERPRISE}:manager"), "value": "8" }),
            "invalidValue",
            "The value of manager is a string; it must be an object",
        ),
        (
            json!({ "op": "replace", "path": "emails[type eq \"work\"]", "value": { "value": "d@x" } }),
            "invalidPath",
            "\"emails[type eq \\\"work\\\"]\": name a sub-attribute after the filter, such as .value",
        ),
        (
            json!({ "op": "replace", "path": "emails[type sw \"wo\"].value", "value": "d@x" }),
            "invalidSyntax",
            "\"emails[type sw \\\"wo\\\"].value\": a filter in a path can only have eq and and",
        ),
        (
            json!({ "op": "remove", "path": "emails[type eq \"home\" or type eq \"work\"]" }),
            "invalidSyntax",
            "\"emails[type eq \\\"home\\\" or type eq \\\"work\\\"]\": a filter in a path can only have eq and and",
        ),
        (
            json!({ "op": "replace", "path": "emails[type eq \"home\"].display", "value": "x" }),
            "invalidFilter",
            "The filter selects 2 elements of emails; it must select one",
        ),
        (
            json!({ "op": "remove", "path": format!("{ENTERPRISE}:manager[value eq \"7\"]") }),
            "invalidPath",
            &format!(
                "\"{ENTERPRISE}:manager[value eq \\\"7\\\"]\": only an attribute with several values can have a filter"
            ),
        ),
    ] {
        let detail = format!("Operation 1: {detail}");
        cases.push(("PATCH", "${user}", patch_body(json!([operation])), scim_type, detail));
    }
    let named = json!({ "op": "replace", "value": { "displayName": "Drivers" } });
    cases.push((
        "PATCH",
        "${group}",
        patch_body(json!([named])),
        "invalidSyntax",
        format!("Operation 1: {no_path}"),
    ));
    cases
}

/// Sends a request to the user or group.
async fn send(
    client: &Client,
    method: &str,
    path: &str,
    body: &Value,
    (user, group): &(String, String),
) -> Reply {
    let id = user.rsplit('/').next().unwrap();
    let body = body.to_string().replace("${id}", id);
    let path = path.replace("${user}", user).replace("${group}", group);
    client.send(method, &path, &[("content-type", "application/scim+json")], body).await
}

#[tokio::test]
async fn forbidden_request_is_refused_by_a_strict_connector_and_accepted_by_another() {
    let Connectors { strict, lenient } = Connectors::new().await;
    let resources = populate(&strict).await;
    let read = async || (strict.get(&resources.0).await.json(), strict.get(&resources.1).await.json());
    let before = read().await;
    for (method, path, body, scim_type, detail) in forbidden() {
        let refused = send(&strict, method, path, &body, &resources).await;
        let expected = (scim_type.to_owned(), detail);
        assert_eq!(error_of(&refused.json()), expected, "{method} {path} {body}");
        let others = populate(&lenient).await;
        let accepted = send(&lenient, method, path, &body, &others).await;
        assert!((200..300).contains(&accepted.status), "{method} {path} {body}: {}", accepted.json());
        if let Some(created) = accepted.json()["id"].as_str().filter(|_| method == "POST") {
            lenient.delete(&format!("{path}/{created}")).await;
        }
        for path in [&others.0, &others.1] {
            lenient.delete(path).await;
        }
    }
    assert_eq!(read().await, before);
    assert_eq!(strict.get("/Users").await.json()["totalResults"], 1);
}

#[tokio::test]
async fn forbidden_operation_of_a_bulk_request_is_refused() {
    let Connectors { strict, .. } = Connectors::new().await;
    let resources = populate(&strict).await;
    let operations: Vec<Value> = [
        json!({ "method": "POST", "path": "/Users", "bulkId": "a", "data": { "schemas": [USER], "userName": "bob", "colour": "blue" } }),
        json!({ "method": "POST", "path": "/Users", "bulkId": "b", "data": { "schemas": [USER], "userName": "bob" } }),
        json!({ "method": "PATCH", "path": resources.0, "data": patch_body(json!([{ "op": "add", "value": { "title": "x" } }])) }),
        json!({ "method": "PATCH", "path": resources.0, "data": patch_body(json!([{ "op": "add", "path": "title", "value": "x" }])) }),
    ]
    .to_vec();
    let bulk = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "failOnErrors": 9, "Operations": operations });
    let reply = strict.post("/Bulk", &bulk).await.json();
    let results: Vec<(&Value, &Value)> = reply["Operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|operation| (&operation["status"], &operation["response"]["scimType"]))
        .collect();
    let (refused, syntax) = (json!("400"), json!("invalidSyntax"));
    let none = Value::Null;
    assert_eq!(
        results,
        [(&refused, &syntax), (&json!("201"), &none), (&refused, &syntax), (&json!("200"), &none)]
    );
}

#[tokio::test]
async fn filter_on_an_undefined_attribute_is_refused() {
    let Connectors { strict, lenient } = Connectors::new().await;
    for client in [&strict, &lenient] {
        populate(client).await;
    }
    for (filter, in_lenient) in [
        ("givenName eq \"Ann\"", 200),
        ("lastName eq \"Ash\"", 200),
        ("favouriteColour eq \"blue\"", 400),
        ("urn:example:Extra:tag eq \"x\"", 400),
        ("emails[kind eq \"work\"]", 400),
    ] {
        let target = format!("/Users?filter={}", percent_encoded(filter));
        assert_eq!(lenient.get(&target).await.status, in_lenient, "{filter}");
        assert_eq!(error_of(&strict.get(&target).await.json()).0, "invalidFilter", "{filter}");
    }
    let search = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": "firstName eq \"Ann\"" });
    assert_eq!(error_of(&strict.post("/Users/.search", &search).await.json()).0, "invalidFilter");
    let defined = percent_encoded("department eq \"Tours\" and name.givenName eq \"ann\"");
    assert_eq!(strict.get(&format!("/Users?filter={defined}")).await.json()["totalResults"], 1);
}

#[tokio::test]
async fn replace_of_a_complex_attribute_keeps_nothing_in_a_strict_connector_and_add_merges() {
    let Connectors { strict, lenient } = Connectors::new().await;
    for (client, replaced) in [
        (strict, json!({ "middleName": "B" })),
        (lenient, json!({ "givenName": "Ann", "familyName": "Ash", "middleName": "B" })),
    ] {
        let (user, _) = populate(&client).await;
        let patch =
            |op: &str| patch_body(json!([{ "op": op, "path": "name", "value": { "middleName": "B" } }]));
        let added = client.patch(&user, &patch("add")).await.json();
        assert_eq!(added["name"], json!({ "givenName": "Ann", "familyName": "Ash", "middleName": "B" }));
        assert_eq!(client.patch(&user, &patch("replace")).await.json()["name"], replaced);
        let cleared = patch_body(json!([{ "op": "replace", "path": "name", "value": null }]));
        assert_eq!(client.patch(&user, &cleared).await.json()["name"], Value::Null);
    }
}

#[tokio::test]
async fn configuration_claims_conformance_only_with_the_credentials_of_a_strict_connector() {
    let Connectors { strict, lenient } = Connectors::new().await;
    let claim = async |client: &Client, headers: &[(&str, &str)]| {
        let config = client.send("GET", "/ServiceProviderConfig", headers, "").await.json();
        config.get("interopProfileConformant").cloned()
    };
    assert_eq!(claim(&strict, &[]).await, Some(json!(true)));
    assert_eq!(claim(&lenient, &[]).await, None);
    assert_eq!(claim(&strict, &[("authorization", "")]).await, None);
    // §5.4: the schema says which types of values clients can use.
    let user = strict.get(&format!("/Schemas/{USER}")).await.json();
    for attribute in
        user["attributes"].as_array().unwrap().iter().filter(|attribute| attribute["multiValued"] == true)
    {
        let kind =
            attribute["subAttributes"].as_array().unwrap().iter().find(|sub| sub["name"] == "type").unwrap();
        assert!(!kind["canonicalValues"].as_array().unwrap().is_empty(), "{}", attribute["name"]);
    }
}

#[tokio::test]
async fn strict_connector_must_delete_on_delete() {
    let connector =
        service().connector_with(Settings { on_delete: OnDelete::Refuse, ..Settings::default() }).await;
    let refused = run(&connector, &["connector", "set", "strict=true"]).failed();
    let expected = "strict is true, so on-delete must be delete: the interoperability profile requires that DELETE deletes";
    assert_eq!(refused, expected);
    let set = run(&connector, &["connector", "set", "strict=true", "on-delete=delete"]).ok();
    assert!(set.contains("strict: false → true"), "{set}");
    let client = connector.local(service());
    assert_eq!(client.get("/ServiceProviderConfig").await.json()["interopProfileConformant"], true);
}
