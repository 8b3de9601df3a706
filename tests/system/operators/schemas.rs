//! Custom schemas: an operator adds an extension of users or groups to one connector, and clients use it like a built-in one.

use directory::connectors::{ConnectorId, Connectors, Reindexed};
use directory::{Directory, Table};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use service::response::Plan;
use shared::schema::{CustomSchema, Schemas};
use tests::client::{Client, Reply};
use tests::faulty_service::FaultyService;
use tests::folder::Folder;
use tests::hooks::Action;
use tests::in_process::{InProcess, json_of};
use tests::interrupted::expire_intents;
use tests::invariants::assert_invariants;
use tests::layout::Key;
use tests::provisioning::{GROUP, USER, create_users, member_values, patch_body, percent_encoded};
use tests::scimctl::{Done, run, scimctl, scimctl_with};
use tests::service::{Service, TABLE, TIME_LIMIT, TestConnector, actor, service};
use tests::table::{put_item, read_items, read_record, take_item};

const BADGE: &str = "urn:example:schemas:2.0:Badge";
const TEAM: &str = "urn:example:schemas:2.0:Team";

/// An extension of users. Its indexes are those of `doors.value` and of the unique `number`.
fn badge() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"], "id": BADGE, "name": "Badge",
        "description": "What opens doors", "resourceType": "User", "indexes": ["doors.value"],
        "attributes": [
            { "name": "number", "type": "string", "caseExact": true, "uniqueness": "server" },
            { "name": "issued", "type": "dateTime" },
            { "name": "level", "type": "integer" },
            { "name": "doors", "type": "complex", "multiValued": true, "subAttributes": [
                { "name": "value", "type": "string", "required": true },
                { "name": "type", "type": "string", "canonicalValues": ["in", "out"] }
            ] },
            { "name": "serial", "type": "string", "mutability": "immutable" },
            { "name": "pin", "type": "string", "mutability": "writeOnly", "returned": "never" },
            { "name": "note", "type": "string", "returned": "request" }
        ]
    })
}

/// The same extension without indexes.
fn badge_without_indexes() -> Value {
    let mut badge = badge();
    badge["indexes"] = json!([]);
    badge["attributes"][0]["uniqueness"] = json!("none");
    badge
}

/// An extension of groups with a unique attribute.
fn team() -> Value {
    json!({ "id": TEAM, "name": "Team", "resourceType": "Group", "attributes": [
        { "name": "code", "type": "string", "uniqueness": "server" }, { "name": "budget", "type": "decimal" }
    ] })
}

/// Adds a schema from a file, as an operator does.
fn add(connector: &TestConnector, schema: &Value) -> Done {
    let folder = Folder::new();
    run(connector, &["schema", "add", &folder.write("schema.json", &schema.to_string())])
}

/// Operations on connectors whose changes every process knows already.
fn known_operations(service: &Service) -> Connectors {
    Connectors::new(service.table(), actor(), Timestamp::now() - SignedDuration::from_mins(10))
}

/// Adds a schema, so long ago that its indexes can be built at once.
async fn add_known(service: &Service, id: &ConnectorId, schema: &Value) {
    let schema = CustomSchema::parse(&schema.to_string()).unwrap();
    known_operations(service).add_schema(id, &schema, Schemas::built_in()).await.unwrap();
}

async fn build_indexes(service: &Service, id: &ConnectorId) -> Reindexed {
    let connectors = service.connectors();
    let begun = connectors.begin_reindex(id, Schemas::built_in(), Timestamp::now()).await.unwrap();
    assert!(!Connectors::time_until_reindex(&begun, Timestamp::now()).is_positive());
    connectors.reindex(&begun, Schemas::built_in(), |_| ()).await.unwrap()
}

/// A process that reads the connector as it is now.
async fn process(connector: &TestConnector) -> InProcess {
    InProcess::new(service().dynamodb(), connector.local(service())).await
}

async fn send(process: &InProcess, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let response = process.send(method, path, Some(body).filter(|body| !body.is_null()), TIME_LIMIT).await;
    let body = if response.body().is_empty() { Value::Null } else { json_of(&response) };
    (response.status().as_u16(), body)
}

fn user_with(name: &str, badge: Value) -> Value {
    json!({ "schemas": [USER, BADGE], "userName": name, BADGE: badge })
}

fn id_of(reply: &Reply) -> String {
    assert_eq!(reply.status, 201, "{}", String::from_utf8_lossy(&reply.body));
    reply.json()["id"].as_str().unwrap().to_owned()
}

/// Uses both extensions as a client.
async fn use_extensions(client: &Client) {
    let served = client.get(&format!("/Schemas/{}", BADGE.to_ascii_lowercase())).await.json();
    assert_eq!((&served["id"], served["attributes"].as_array().unwrap().len()), (&json!(BADGE), 7));
    assert_eq!((served.get("resourceType"), served.get("indexes")), (None, None));
    assert_eq!(client.get("/Schemas").await.json()["totalResults"], 5);
    for (resource_type, urn) in [("User", BADGE), ("Group", TEAM)] {
        let served = client.get(&format!("/ResourceTypes/{resource_type}")).await.json();
        let extensions = served["schemaExtensions"].as_array().unwrap();
        assert_eq!(extensions.last(), Some(&json!({ "schema": urn, "required": false })));
    }
    // Without credentials, discovery reads nothing, so it shows the built-in schemas only.
    let hidden = client.send("GET", &format!("/Schemas/{BADGE}"), &[("authorization", "")], "").await;
    assert_eq!(hidden.status, 404);

    let badge = json!({
        "NUMBER": "A7", "issued": "2026-01-01T00:00:00Z", "level": "3", "doors": [{ "value": "north", "type": "in" }, "south"],
        "serial": "s1", "pin": "0000", "note": "n", "unknown": 1
    });
    let ann = client.post("/Users", &user_with("ann", badge)).await;
    let shown = json!({
        "number": "A7", "issued": "2026-01-01T00:00:00Z", "level": 3,
        "doors": [{ "value": "north", "type": "in" }, { "value": "south" }], "serial": "s1"
    });
    let ann_path = format!("/Users/{}", id_of(&ann));
    assert_eq!((&ann.json()[BADGE], &ann.json()["schemas"]), (&shown, &json!([USER, BADGE])));
    for (badge, status, scim_type) in [
        (json!({ "issued": "yesterday" }), 400, "invalidValue"),
        (json!({ "level": "high" }), 400, "invalidValue"),
        (json!({ "doors": [{ "type": "in" }] }), 400, "invalidValue"),
        (json!(7), 400, "invalidValue"),
        (json!({ "number": "A7" }), 409, "uniqueness"),
    ] {
        let refused = client.post("/Users", &user_with("bob", badge.clone())).await;
        assert_eq!((refused.status, &refused.json()["scimType"]), (status, &json!(scim_type)), "{badge}");
    }
    client.post("/Users", &user_with("bob", json!({ "number": "a7", "level": 1, "doors": ["west"] }))).await;
    client.post("/Users", &json!({ "schemas": [USER], "userName": "cyd" })).await;
    for (filter, names) in [
        (format!("{BADGE}:number eq \"A7\""), vec!["ann"]),
        (format!("{BADGE}:doors eq \"WEST\""), vec!["bob"]),
        (format!("{BADGE}:doors[value sw \"no\" and type eq \"in\"]"), vec!["ann"]),
        (format!("{BADGE}:issued lt \"2026-01-01T01:00:00+02:00\""), vec![]),
        (format!("{BADGE}:level gt 0 and not ({BADGE}:level ge 3)"), vec!["bob"]),
        ("level pr".to_owned(), vec!["ann", "bob"]),
    ] {
        let target =
            format!("/Users?sortBy=userName&attributes=userName&filter={}", percent_encoded(&filter));
        let found = client.get(&target).await.json();
        let found: Vec<&Value> =
            found["Resources"].as_array().into_iter().flatten().map(|user| &user["userName"]).collect();
        assert_eq!(found, names, "{filter}");
    }
    let refused =
        client.get(&format!("/Users?filter={}", percent_encoded(&format!("{BADGE}:pin eq \"0000\"")))).await;
    assert_eq!((refused.status, &refused.json()["scimType"]), (400, &json!("invalidFilter")));
    let sorted = client
        .get(&format!("/Users?sortBy={BADGE}:level&sortOrder=descending&attributes=userName"))
        .await
        .json();
    let sorted: Vec<&Value> =
        sorted["Resources"].as_array().unwrap().iter().map(|user| &user["userName"]).collect();
    // RFC 7644 §3.4.2.3: in descending order, users without a value come first.
    assert_eq!(sorted, ["cyd", "ann", "bob"]);
    let patch = patch_body(json!([
        { "op": "replace", "path": format!("{BADGE}:number"), "value": "B8" },
        { "op": "remove", "path": format!("{BADGE}:doors[value eq \"north\"]") },
        { "op": "add", "path": BADGE, "value": { "level": 4 } }
    ]));
    let patched = client.patch(&ann_path, &patch).await.json();
    let expected = json!({
        "number": "B8", "issued": "2026-01-01T00:00:00Z", "level": 4, "doors": [{ "value": "south" }], "serial": "s1"
    });
    assert_eq!(patched[BADGE], expected);
    let moved = patch_body(json!([{ "op": "replace", "path": format!("{BADGE}:serial"), "value": "s2" }]));
    assert_eq!(client.patch(&ann_path, &moved).await.json()["scimType"], "mutability");
    let selected = client.get(&format!("{ann_path}?attributes={BADGE}:note,{BADGE}:level")).await.json();
    assert_eq!(selected[BADGE], json!({ "level": 4, "note": "n" }));
    let excluded = client.get(&format!("{ann_path}?excludedAttributes={BADGE}")).await.json();
    assert_eq!(excluded.get(BADGE), None);

    let group = |name: &str, code: &str| json!({ "schemas": [GROUP, TEAM], "displayName": name, TEAM: { "code": code, "budget": 1.5 } });
    let created = client.post("/Groups", &group("Guides", "G1")).await;
    assert_eq!(created.json()[TEAM], json!({ "code": "G1", "budget": 1.5 }));
    assert_eq!(client.post("/Groups", &group("Drivers", "g1")).await.status, 409);
    let removed = patch_body(json!([{ "op": "remove", "path": TEAM }]));
    let without = client.patch(&format!("/Groups/{}", id_of(&created)), &removed).await.json();
    assert_eq!((without.get(TEAM), &without["schemas"]), (None, &json!([GROUP])));
    assert_eq!(client.post("/Groups", &group("Drivers", "G1")).await.status, 201);
    let taken = patch_body(json!([{ "op": "add", "path": format!("{TEAM}:code"), "value": "G1" }]));
    let refused = client.patch(&format!("/Groups/{}", id_of(&created)), &taken).await;
    assert_eq!((refused.status, &refused.json()["scimType"]), (409, &json!("uniqueness")));
    // The name of the built-in group is an ordinary value of another attribute.
    assert_eq!(client.post("/Groups", &group("Cooks", "public")).await.status, 201);
}

#[tokio::test]
async fn added_schema_is_served_validated_filtered_sorted_patched_and_selected() {
    for is_local in [true, false] {
        let connector = service().connector().await;
        let added = add(&connector, &badge()).ok();
        let id = &connector.id;
        let expected = format!(
            "connector {id} has the schema {BADGE} with 9 attributes and 2 indexes; all functions use it within a minute\n\
             filters use its indexes after `scimctl reindex {id}`\n"
        );
        assert_eq!(added, expected);
        add(&connector, &team()).ok();
        use_extensions(&if is_local { connector.local(service()) } else { connector.functions(service()) })
            .await;
        assert_invariants(service(), id).await;
        let audit = run(&connector, &["schema", "list", "--json"]).ok();
        let listed: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (badge, team) = (
            json!({ "id": BADGE, "name": "Badge", "resourceType": "User", "attributes": 9, "indexes": ["doors.value", "number"], "indexesReady": false, "state": "active" }),
            json!({ "id": TEAM, "name": "Team", "resourceType": "Group", "attributes": 2, "indexes": ["code"], "indexesReady": false, "state": "active" }),
        );
        assert_eq!(listed, [badge, team]);
    }
}

#[tokio::test]
async fn indexes_of_a_schema_are_used_after_reindex() {
    let connector = service().connector().await;
    add_known(service(), &connector.id, &badge()).await;
    let find = async |process: &InProcess, filter: &str| {
        let target = format!("/Users?filter={}", percent_encoded(&format!("{BADGE}:{filter}")));
        let found = process.send("GET", &target, None, TIME_LIMIT).await;
        let Plan(plan) = found.extensions().get().unwrap();
        (*plan, json_of(&found)["totalResults"].as_u64().unwrap())
    };
    let building = process(&connector).await;
    for (name, number) in [("ann", "A1"), ("bob", "B2")] {
        let user = user_with(name, json!({ "number": number, "doors": ["north"] }));
        assert_eq!(send(&building, "POST", "/Users", &user).await.0, 201);
    }
    assert_eq!(find(&building, "number eq \"A1\"").await, ("scan", 1));
    assert_eq!(find(&building, "doors eq \"north\"").await, ("scan", 2));
    let doctor = scimctl(service(), &["doctor", &connector.id.to_string()]).out;
    let not_ready = format!("2 indexes are not ready: User.{BADGE}:doors.value, User.{BADGE}:number");
    assert!(doctor.contains(&not_ready), "{doctor}");
    let built = build_indexes(service(), &connector.id).await;
    let ready = vec![format!("User.{BADGE}:doors.value"), format!("User.{BADGE}:number")];
    assert_eq!(built, Reindexed { ready, removed: Vec::new(), added: 0, deleted: 0 });
    let ready = process(&connector).await;
    assert_eq!(find(&ready, "number eq \"A1\"").await, ("unique", 1));
    assert_eq!(find(&ready, "doors eq \"NORTH\"").await, ("equal", 2));
    assert_eq!(find(&ready, "doors sw \"n\"").await, ("range", 2));
    let shown = run(&connector, &["schema", "list"]).ok();
    assert!(shown.contains("doors.value, number  active"), "{shown}");
    assert_eq!(scimctl(service(), &["check", &connector.id.to_string()]).ok(), "no findings\n");
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn process_that_does_not_know_a_schema_yet_damages_nothing_that_reindex_does_not_repair() {
    let connector = service().connector().await;
    let before = process(&connector).await;
    add_known(service(), &connector.id, &badge()).await;
    let after = process(&connector).await;
    let mut paths = Vec::new();
    for name in ["ann", "bob", "cyd"] {
        let user = user_with(name, json!({ "number": name, "level": 1 }));
        let (status, created) = send(&after, "POST", "/Users", &user).await;
        assert_eq!(status, 201);
        paths.push(format!("/Users/{}", created["id"].as_str().unwrap()));
    }
    // A PATCH keeps the values, a PUT loses them, and both hide them.
    let titled = patch_body(json!([{ "op": "add", "path": "title", "value": "Guide" }]));
    let (status, patched) = send(&before, "PATCH", &paths[0], &titled).await;
    assert_eq!((status, patched.get(BADGE), &patched["schemas"]), (200, None, &json!([USER])));
    let kept = send(&after, "GET", &paths[0], &Value::Null).await.1;
    assert_eq!(
        (&kept[BADGE], &kept["schemas"]),
        (&json!({ "number": "ann", "level": 1 }), &json!([USER, BADGE]))
    );
    assert_eq!(send(&before, "PUT", &paths[1], &user_with("bob", json!({ "number": "bob" }))).await.0, 200);
    assert_eq!(send(&before, "DELETE", &paths[2], &Value::Null).await.0, 204);
    assert_eq!(send(&after, "GET", &paths[1], &Value::Null).await.1.get(BADGE), None);
    // The index entries of both are left.
    let again = user_with("dan", json!({ "number": "bob" }));
    assert_eq!(send(&after, "POST", "/Users", &again).await.0, 409);
    let built = build_indexes(service(), &connector.id).await;
    assert_eq!((built.added, built.deleted), (0, 2));
    assert_eq!(send(&after, "POST", "/Users", &again).await.0, 201);
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn removed_schema_hides_its_values_and_a_schema_added_again_shows_them() {
    let connector = service().connector().await;
    let added = add(&connector, &badge_without_indexes()).ok();
    let what = format!("{BADGE} with 9 attributes and 0 indexes");
    assert_eq!(
        added,
        format!("connector {} has the schema {what}; all functions use it within a minute\n", connector.id)
    );
    let with = process(&connector).await;
    let (status, created) =
        send(&with, "POST", "/Users", &user_with("ann", json!({ "number": "A7", "level": 1 }))).await;
    assert_eq!(status, 201);
    let path = format!("/Users/{}", created["id"].as_str().unwrap());
    let (id, urn) = (connector.id.to_string(), BADGE.to_ascii_uppercase());

    let dry = run(&connector, &["schema", "remove", &urn, "--dry-run"]).ok();
    assert_eq!(
        dry,
        format!("1 user has values of schema {BADGE}, which would stay stored and be hidden from clients\n")
    );
    let refused = scimctl_with(service(), &["schema", "remove", &id, &urn], "no\n");
    assert_eq!(refused.code, 1);
    assert_eq!(
        refused.err,
        format!(
            "This removes schema {BADGE} from connector {id}. 1 user has values of it, which stay stored and are hidden from \
             clients. To continue, enter the URN:\nscimctl: \"no\" is not {BADGE}, so nothing is changed\n"
        )
    );
    let removed = scimctl_with(service(), &["schema", "remove", &id, &urn], &format!("{BADGE}\n"));
    assert_eq!(
        removed.ok(),
        format!("schema {BADGE} is removed from connector {id}; no function uses it after a minute\n")
    );

    let without = process(&connector).await;
    let hidden = send(&without, "GET", &path, &Value::Null).await.1;
    assert_eq!((hidden.get(BADGE), &hidden["schemas"]), (None, &json!([USER])));
    assert_eq!(send(&without, "GET", &format!("/Schemas/{BADGE}"), &Value::Null).await.0, 404);
    let filter = percent_encoded(&format!("{BADGE}:number eq \"A7\""));
    assert_eq!(
        send(&without, "GET", &format!("/Users?filter={filter}"), &Value::Null).await.1["scimType"],
        "invalidFilter"
    );
    let patch = patch_body(
        json!([{ "op": "add", "path": "title", "value": "Guide" }, { "op": "add", "path": format!("{BADGE}:level"), "value": 9 }]),
    );
    assert_eq!(send(&without, "PATCH", &path, &patch).await.1["title"], "Guide");

    // A schema that the stored values do not fit is refused.
    let mut other = badge_without_indexes();
    other["attributes"][0]["type"] = json!("boolean");
    let user = path.trim_start_matches("/Users/");
    let refused = add(&connector, &other).failed();
    let expected = format!(
        "1 user has values of an earlier schema {BADGE} that do not fit this one, for example User {user}: number is a string; \
         it must be a boolean; nothing is changed"
    );
    assert_eq!(refused, expected);
    let again = add(&connector, &badge_without_indexes()).ok();
    assert_eq!(
        again,
        format!("1 user has values of an earlier schema with this URN, which clients see again\n{added}")
    );
    let with = process(&connector).await;
    let shown = send(&with, "GET", &path, &Value::Null).await.1;
    assert_eq!(
        (&shown[BADGE], &shown["schemas"]),
        (&json!({ "number": "A7", "level": 1 }), &json!([USER, BADGE]))
    );

    // A PUT of a process without the schema deletes hidden values.
    run(&connector, &["schema", "remove", BADGE, "--yes"]).ok();
    let without = process(&connector).await;
    assert_eq!(send(&without, "PUT", &path, &json!({ "schemas": [USER], "userName": "ann" })).await.0, 200);
    let dry = add(&connector, &badge_without_indexes()).ok();
    assert_eq!(dry, added);
    assert_eq!(send(&process(&connector).await, "GET", &path, &Value::Null).await.1.get(BADGE), None);
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn removal_of_a_schema_with_indexes_deletes_their_entries_and_can_be_continued() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    add_known(service(), &connector.id, &badge()).await;
    build_indexes(service(), &connector.id).await;
    let with = process(&connector).await;
    let user = user_with("ann", json!({ "number": "A7", "doors": ["north"] }));
    assert_eq!(send(&with, "POST", "/Users", &user).await.0, 201);
    let entries = async || {
        let items = read_items(service(), &connector.id).await;
        items.keys().filter(|(pk, _)| pk.contains(BADGE)).count()
    };
    assert_eq!(entries().await, 2);
    // The removal begins, and its process dies.
    known_operations(service()).begin_schema_removal(&connector.id, BADGE).await.unwrap();
    let listed = run(&connector, &["schema", "list"]).ok();
    assert!(listed.contains("doors.value, number (not ready)  removing"), "{listed}");
    assert_eq!(
        read_record(service(), &connector.id).await.unwrap()["indexes"].get(format!("User.{BADGE}:number")),
        None
    );
    // Clients can write meanwhile, and the schema cannot be added again.
    let without = process(&connector).await;
    assert_eq!(send(&without, "POST", "/Users", &user_with("bob", json!({ "number": "A7" }))).await.0, 201);
    let refused = add(&connector, &badge()).failed();
    let expected = format!(
        "the schema {BADGE} is being removed from connector {id}; `scimctl schema remove {id} {BADGE}` completes the removal"
    );
    assert_eq!(refused, expected);
    let removed = run(&connector, &["schema", "remove", BADGE]).ok();
    assert_eq!(
        removed,
        format!("schema {BADGE} is removed from connector {id}; no function uses it after a minute\n")
    );
    assert_eq!(entries().await, 0);
    assert_eq!(run(&connector, &["schema", "list"]).ok().lines().last(), Some("0 custom schemas"));
    assert_eq!(scimctl(service(), &["check", &id]).ok(), "no findings\n");
    // The indexes of a schema that is added again get the hidden values.
    add_known(service(), &connector.id, &badge()).await;
    assert_eq!(build_indexes(service(), &connector.id).await.added, 2);
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn dry_run_and_wrong_files_change_nothing() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    let folder = Folder::new();
    let file = folder.write("badge.json", &badge().to_string());
    let dry = run(&connector, &["schema", "add", &file, "--dry-run"]).ok();
    assert_eq!(
        dry,
        format!("connector {id} would get the User schema {BADGE} with 9 attributes and 2 indexes\n")
    );
    let mut wrong = badge();
    wrong["resourceType"] = json!("Device");
    wrong["attributes"][1]["type"] = json!("date");
    let file = folder.write("wrong.json", &wrong.to_string());
    let refused = run(&connector, &["schema", "add", &file]);
    assert_eq!((refused.code, refused.out.as_str()), (1, ""));
    assert_eq!(
        refused.err,
        format!(
            "{file}: resourceType is \"Device\"; it must be \"User\" or \"Group\"\n\
             {file}: attributes[1] \"issued\": type is \"date\"; it must be string, boolean, decimal, integer, dateTime, binary, \
             reference or complex\n\
             scimctl: {file} has 2 mistakes, so nothing is changed\n"
        )
    );
    assert!(
        run(&connector, &["schema", "add", &folder.file_path("none.json")]).failed().contains("none.json: ")
    );
    let unknown =
        format!("connector {id} has no custom schema urn:x:Y; `scimctl schema list {id}` lists all");
    for arguments in [&["schema", "show", "urn:x:Y"][..], &["schema", "remove", "urn:x:Y", "--yes"]] {
        assert_eq!(run(&connector, arguments).failed(), unknown);
    }
    assert_eq!(read_record(service(), &connector.id).await.unwrap().get("schemas"), None);

    // A schema that was added cannot be added again, and `show --json` prints a file.
    add(&connector, &badge()).ok();
    assert_eq!(add(&connector, &badge()).failed(), format!("there is a schema {BADGE} already"));
    let shown = run(&connector, &["schema", "show", BADGE, "--json"]).ok();
    let other = service().connector().await;
    let file = folder.write("shown.json", &shown);
    run(&other, &["schema", "add", &file]).ok();
    assert_eq!(run(&other, &["schema", "show", BADGE, "--json"]).ok(), shown);
    let shown = run(&connector, &["schema", "show", BADGE]).ok();
    assert!(shown.contains("Indexes:        doors.value, number (not ready)"), "{shown}");
    assert!(
        shown.lines().any(|line| line.split_whitespace().eq([
            "doors.value",
            "string",
            "one",
            "yes",
            "readWrite",
            "default",
            "none"
        ])),
        "{shown}"
    );
    let trail = run(&connector, &["schema", "list"]).ok();
    assert_eq!(trail.lines().last(), Some("1 custom schema"));
    let audit = scimctl(service(), &["audit", &id, "--json", "--resource", &id]).ok();
    let newest: Value = serde_json::from_str(audit.lines().next().unwrap()).unwrap();
    assert_eq!((&newest["operation"], &newest["attributes"]), (&json!("update"), &json!(["schemas"])));
}

#[tokio::test]
async fn connector_with_custom_schemas_has_a_format_that_older_versions_refuse() {
    let connector = service().connector().await;
    let format = async || service().table().connector(&connector.id).await.unwrap().unwrap().format;
    assert_eq!(format().await, 2);
    add(&connector, &badge_without_indexes()).ok();
    add(&connector, &team()).ok();
    assert_eq!(format().await, 3);
    assert!(
        scimctl(service(), &["doctor", &connector.id.to_string()])
            .out
            .contains("stored in format 3, the newest")
    );
    run(&connector, &["schema", "remove", BADGE, "--yes"]).ok();
    assert_eq!(format().await, 3);
    known_operations(service()).begin_schema_removal(&connector.id, TEAM).await.unwrap();
    run(&connector, &["schema", "remove", TEAM]).ok();
    assert_eq!(format().await, 2);
}

#[tokio::test]
async fn strict_connector_accepts_what_a_custom_schema_defines() {
    let connector = service().connector().await;
    service()
        .change_settings(&connector.id, |settings| directory::settings::Settings { strict: true, ..settings })
        .await;
    add(&connector, &badge_without_indexes()).ok();
    let process = process(&connector).await;
    assert_eq!(send(&process, "POST", "/Users", &user_with("ann", json!({ "number": "A7" }))).await.0, 201);
    let (status, refused) =
        send(&process, "POST", "/Users", &user_with("bob", json!({ "colour": "red" }))).await;
    assert_eq!((status, &refused["detail"]), (400, &json!(format!("There is no attribute {BADGE}:colour"))));
}

#[tokio::test]
async fn custom_schemas_cost_no_further_request_to_dynamodb() {
    let faulty = FaultyService::new().await;
    let cold_and_warm = async || {
        let client = runtime::dynamodb::client_at(&faulty.dynamodb.endpoint).await;
        let process = InProcess::uncached(client, faulty.connector.local(&faulty.service));
        let mut calls = Vec::new();
        for _ in 0..2 {
            let hook = faulty.dynamodb.at_call(usize::MAX, |_| true, Action::HoldRequest);
            assert_eq!(process.send("GET", "/Users?count=1", None, TIME_LIMIT).await.status(), 200);
            calls.push(hook.calls());
        }
        calls
    };
    cold_and_warm().await;
    let without = cold_and_warm().await;
    add_known(&faulty.service, &faulty.connector.id, &badge()).await;
    add_known(&faulty.service, &faulty.connector.id, &team()).await;
    assert_eq!(cold_and_warm().await, without);
    assert_eq!(
        without[0] - without[1],
        3,
        "the record, one Query for credentials and schemas, and the use of a credential"
    );
}

#[tokio::test]
async fn connector_whose_schema_is_not_visible_yet_is_read_again() {
    let connector = service().connector().await;
    add_known(service(), &connector.id, &badge()).await;
    let key =
        Key::new(format!("{}#connector", connector.id), format!("schema/{}", BADGE.to_ascii_lowercase()));
    let item = take_item(service(), &key).await;
    // Only the record is visible at first. The schema becomes visible while the reader waits.
    let become_visible = async {
        tokio::task::yield_now().await;
        put_item(service(), item).await;
    };
    let table = service().table();
    let (read, ()) = tokio::join!(table.connector(&connector.id), become_visible);
    assert_eq!(read.unwrap().unwrap().custom_schemas, [CustomSchema::parse(&badge().to_string()).unwrap()]);
}

#[tokio::test]
async fn interrupted_creation_of_a_group_with_a_unique_value_is_rolled_back_by_the_sweeper() {
    let faulty = FaultyService::new().await;
    let id = faulty.connector.id.clone();
    add_known(&faulty.service, &id, &team()).await;
    build_indexes(&faulty.service, &id).await;
    let another = faulty.another().await;
    let users = create_users(&faulty.client(), 60).await;
    let body = json!({ "schemas": [GROUP, TEAM], "displayName": "Guides", "members": member_values(&users), TEAM: { "code": "G1" } });
    another.cut_off("POST", "/Groups", &body).await;
    assert_eq!(expire_intents(&faulty.service, &id).await, 1);
    let entry = (format!("{id}#group.{TEAM}:code"), "g1".to_owned());
    assert!(read_items(&faulty.service, &id).await.contains_key(&entry));
    // The sweeper has the rights of its function only.
    let client = runtime::dynamodb::client_at(&faulty.service.endpoint_for("directory-sweep")).await;
    let swept = Table::new(client, TABLE.to_owned())
        .sweep(Some(&id), Schemas::built_in(), Timestamp::now())
        .await
        .unwrap();
    assert_eq!((swept.left, swept.failures), (0, Vec::<String>::new()));
    assert!(!read_items(&faulty.service, &id).await.contains_key(&entry));
    assert_eq!(another.send("POST", "/Groups", &body).await.status(), 201);
    assert_invariants(&faulty.service, &id).await;
}

#[tokio::test]
async fn deleted_connector_leaves_nothing_of_its_schemas() {
    let connector = service().connector().await;
    for schema in [badge(), team()] {
        add_known(service(), &connector.id, &schema).await;
    }
    let process = process(&connector).await;
    assert_eq!(send(&process, "POST", "/Users", &user_with("ann", json!({ "number": "A7" }))).await.0, 201);
    let group = json!({ "schemas": [GROUP], "displayName": "Guides", TEAM: { "code": "G1" } });
    assert_eq!(send(&process, "POST", "/Groups", &group).await.0, 201);
    known_operations(service()).begin_schema_removal(&connector.id, TEAM).await.unwrap();
    let deleting = service().connectors().begin_deletion(&connector.id, Timestamp::now()).await.unwrap();
    let directory =
        Directory::new(service().table(), deleting.into(), Schemas::built_in(), Timestamp::now(), actor());
    directory.delete_connector(|_| ()).await.unwrap();
    let left = read_items(service(), &connector.id).await;
    assert!(left.keys().all(|(pk, _)| pk.contains("#audit/")), "{:?}", left.keys());
}
