//! An additional extension schema needs only a schema file and its name in a resource type. Then it is in
//! discovery, and its attributes are validated, filtered, patched, selected and indexed.

use std::sync::Arc;

use serde_json::{Value, json};
use service::response::Plan;
use shared::schema::Schemas;
use tests::in_process::{InProcess, json_of};
use tests::provisioning::{USER, patch_body, percent_encoded};
use tests::schemas::edited_schemas;
use tests::service::{TIME_LIMIT, service};

const BADGE: &str = "urn:example:Badge";

/// The schemas of the service, and an extension of users with two indexed attributes.
fn schemas() -> &'static Arc<Schemas> {
    let badge = json!({
        "id": BADGE, "name": "Badge", "description": "What opens doors", "attributes": [
            { "name": "number", "type": "string", "multiValued": false, "caseExact": true, "uniqueness": "server" },
            { "name": "issued", "type": "dateTime", "multiValued": false },
            { "name": "doors", "type": "complex", "multiValued": true, "subAttributes": [
                { "name": "value", "type": "string", "multiValued": false }
            ] },
            { "name": "pin", "type": "string", "multiValued": false, "returned": "never", "mutability": "writeOnly" },
            { "name": "note", "type": "string", "multiValued": false, "returned": "request" }
        ]
    });
    edited_schemas(&[badge], |user_type| {
        let extensions = user_type["schemaExtensions"].as_array_mut().unwrap();
        extensions.push(json!({ "schema": BADGE, "required": false }));
        let indexes = user_type["indexes"].as_array_mut().unwrap();
        indexes.extend([json!(format!("{BADGE}:number")), json!(format!("{BADGE}:doors.value"))]);
    })
}

#[tokio::test]
async fn extension_schema_needs_only_a_schema_file() {
    let connector = service().connector().await;
    service().build_indexes(&connector.id, schemas()).await;
    let requests = InProcess::with_schemas(service().dynamodb(), connector.local(service()), schemas()).await;
    let send = async |method: &str, target: &str, sent: &Value| {
        requests.send(method, target, Some(sent), TIME_LIMIT).await
    };
    let get = async |target: &str| requests.send("GET", target, None, TIME_LIMIT).await;
    let user = |name: &str, badge: Value| json!({ "schemas": [USER, BADGE], "userName": name, BADGE: badge });

    let served = json_of(&get(&format!("/Schemas/{BADGE}")).await);
    assert_eq!((&served["name"], served["attributes"].as_array().unwrap().len()), (&json!("Badge"), 5));
    let types = json_of(&get("/ResourceTypes/User").await);
    assert_eq!(types["schemaExtensions"][1], json!({ "schema": BADGE, "required": false }));

    let badge = json!({
        "NUMBER": "A7", "issued": "2026-01-01T00:00:00Z", "doors": ["north", { "value": "south" }], "pin": "0000",
        "note": "n", "unknown": 1
    });
    let created = send("POST", "/Users", &user("ann", badge)).await;
    assert_eq!(created.status(), 201);
    let created = json_of(&created);
    let stored = json!({ "number": "A7", "issued": "2026-01-01T00:00:00Z", "doors": [{ "value": "north" }, { "value": "south" }] });
    assert_eq!((&created[BADGE], &created["schemas"]), (&stored, &json!([USER, BADGE])));
    let path = format!("/Users/{}", created["id"].as_str().unwrap());

    for (badge, status, scim_type) in [
        (json!({ "issued": "yesterday" }), 400, "invalidValue"),
        (json!(7), 400, "invalidValue"),
        (json!({ "number": "A7" }), 409, "uniqueness"),
    ] {
        let refused = send("POST", "/Users", &user("bob", badge)).await;
        assert_eq!((refused.status().as_u16(), &json_of(&refused)["scimType"]), (status, &json!(scim_type)));
    }
    for (filter, total, plan) in [
        (format!("{BADGE}:number eq \"A7\""), 1, "unique"),
        (format!("{BADGE}:number eq \"a7\""), 0, "unique"),
        (format!("{BADGE}:doors eq \"SOUTH\""), 1, "equal"),
        (format!("{BADGE}:doors[value sw \"nor\"]"), 1, "range"),
        (format!("{BADGE}:issued lt \"2026-01-01T00:00:00+01:00\""), 0, "scan"),
        ("issued eq \"2026-01-01T01:00:00+01:00\"".to_owned(), 1, "scan"),
    ] {
        let encoded = percent_encoded(&filter);
        let found = get(&format!("/Users?filter={encoded}")).await;
        let Plan(used) = found.extensions().get().unwrap();
        assert_eq!((&json_of(&found)["totalResults"], *used), (&json!(total), plan), "{filter}");
    }
    let moved = patch_body(json!([
        { "op": "replace", "path": format!("{BADGE}:number"), "value": "B8" },
        { "op": "remove", "path": format!("{BADGE}:doors[value eq \"north\"]") }
    ]));
    let moved = json_of(&send("PATCH", &path, &moved).await);
    assert_eq!(
        moved[BADGE],
        json!({ "number": "B8", "issued": "2026-01-01T00:00:00Z", "doors": [{ "value": "south" }] })
    );
    // The badge number that the first user no longer has is free.
    assert_eq!(send("POST", "/Users", &user("bob", json!({ "number": "A7" }))).await.status(), 201);
    let selected = json_of(&get(&format!("{path}?attributes={BADGE}:note,{BADGE}:number")).await);
    assert_eq!(selected[BADGE], json!({ "number": "B8", "note": "n" }));
    let without_badge =
        json_of(&send("PATCH", &path, &patch_body(json!([{ "op": "remove", "path": BADGE }]))).await);
    assert_eq!((without_badge.get(BADGE), &without_badge["schemas"]), (None, &json!([USER])));
}
