//! `scimctl export cedar`: the users, groups and roles that the directory shows, as Cedar's entities.

use std::os::unix::fs::PermissionsExt as _;

use cedar_policy::{Entities, Schema};
use directory::settings::{Mapping, Rules, Settings, UsernameCase};
use serde_json::{Value, json};
use tests::folder::Folder;
use tests::provisioning::{USER, create_group, create_user, set_active_body};
use tests::scimctl::run;
use tests::service::service;

/// The exported entities, in the order of their ids.
fn exported(file: &str) -> Vec<Value> {
    let mut entities: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    for entity in &mut entities {
        entity["parents"].as_array_mut().unwrap().sort_by_key(ToString::to_string);
    }
    in_order(entities)
}

fn in_order(mut entities: Vec<Value>) -> Vec<Value> {
    entities.sort_by_key(|entity| entity["uid"]["id"].as_str().unwrap().to_owned());
    entities
}

fn uid(kind: &str, id: &str) -> Value {
    json!({ "type": format!("Rollcall::{kind}"), "id": id })
}

fn group(id: &str, name: &str, parents: &[Value]) -> Value {
    json!({ "uid": uid("Group", id), "attrs": { "name": name }, "parents": parents })
}

#[tokio::test]
async fn shown_users_groups_and_roles_are_exported_with_their_parents_and_fit_the_schema() {
    let rules = Rules {
        exclude_users: vec!["svc-*".to_owned()],
        exclude_groups: vec!["hidden*".to_owned()],
        ..Rules::default()
    };
    let mapping = Mapping { username_case: UsernameCase::Lower, ..Mapping::default() };
    let connector = service().connector_with(Settings { rules, mapping, ..Settings::default() }).await;
    let client = connector.local(service());
    let ann = json!({
        "schemas": [USER], "userName": "Ann@example.com", "name": { "givenName": "Ann", "familyName": "Ash" },
        "emails": [{ "value": "ann@work.example", "primary": true }]
    });
    let ann = client.post("/Users", &ann).await.json()["id"].as_str().unwrap().to_owned();
    let (ben, svc) = (create_user(&client, "ben").await, create_user(&client, "svc-backup").await);
    let carl = create_user(&client, "carl").await;
    // Ann is in Inner, which is in a hidden group, which is in Outer. Ben is in the hidden group.
    let inner = create_group(&client, "Inner", &[ann.clone(), svc]).await;
    let hidden = create_group(&client, "Hidden Club", &[inner.clone(), ben.clone()]).await;
    let outer = create_group(&client, "Outer", &[hidden, carl.clone()]).await;
    assert_eq!(client.patch(&format!("/Users/{carl}"), &set_active_body(false)).await.status, 200);
    for (role, member) in [("approver", "Outer"), ("club", "Hidden Club"), ("steward", "ann@example.com")] {
        run(&connector, &["role", "create", role]).ok();
        run(&connector, &["role", "assign", role, member]).ok();
    }
    run(&connector, &["group", "create", "Stewards"]).ok();
    run(&connector, &["group", "add", "Stewards", "Inner"]).ok();
    let folder = Folder::new();
    let file = folder.file_path("entities.json");
    let done = run(&connector, &["export", "cedar", &file]);
    let schema_file = folder.file_path("entities.cedarschema");
    assert_eq!(
        (done.code, done.out.as_str(), done.err),
        (
            0,
            "",
            format!(
                "2 users, 3 groups and 3 roles exported, and 2 hidden users and 1 hidden group left out; the schema is {schema_file}\n"
            )
        )
    );
    let id_of = |noun: &str, name: &str| run(&connector, &[noun, "show", name]).value("Id:");
    let [approver, club, steward] = ["approver", "club", "steward"].map(|role| id_of("role", role));
    let stewards = id_of("group", "Stewards");
    let public = || uid("Group", "public");
    let parents = |mut parents: Vec<Value>| {
        parents.sort_by_key(ToString::to_string);
        parents
    };
    let role =
        |id: &str, name: &str| json!({ "uid": uid("Role", id), "attrs": { "name": name }, "parents": [] });
    let expected = vec![
        json!({
            "uid": uid("User", &ann),
            "attrs": {
                "userName": "ann@example.com", "displayName": "Ann Ash", "givenName": "Ann", "familyName": "Ash",
                "email": "ann@work.example", "active": true
            },
            "parents": parents(vec![uid("Group", &inner), uid("Role", &steward), public()])
        }),
        json!({
            "uid": uid("User", &ben),
            "attrs": { "userName": "ben", "displayName": "ben", "active": true },
            "parents": parents(vec![uid("Group", &outer), public()])
        }),
        group(&inner, "Inner", &parents(vec![uid("Group", &outer), uid("Group", &stewards)])),
        group(&outer, "Outer", &[uid("Role", &approver)]),
        group(&stewards, "Stewards", &[]),
        group("public", "public", &[]),
        role(&approver, "approver"),
        role(&club, "club"),
        role(&steward, "steward"),
    ];
    assert_eq!(exported(&file), in_order(expected));
    let (schema, warnings) =
        Schema::from_cedarschema_str(&std::fs::read_to_string(&schema_file).unwrap()).unwrap();
    assert_eq!(warnings.count(), 0);
    let entities = Entities::from_json_str(&std::fs::read_to_string(&file).unwrap(), Some(&schema));
    assert_eq!(entities.unwrap().len(), 9);
    for file in [&file, &schema_file] {
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn renamed_user_and_group_are_the_same_entities() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    let sales = create_group(&client, "Sales", std::slice::from_ref(&ann)).await;
    let folder = Folder::new();
    let file = folder.file_path("entities.json");
    run(&connector, &["export", "cedar", &file]).ok();
    let before = exported(&file);
    for (path, attribute, name) in [
        (format!("/Users/{ann}"), "userName", "anna"),
        (format!("/Groups/{sales}"), "displayName", "Selling"),
    ] {
        let rename = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{ "op": "replace", "path": attribute, "value": name }]
        });
        assert!(client.patch(&path, &rename).await.status < 300);
    }
    run(&connector, &["export", "cedar", &file]).ok();
    let after = exported(&file);
    let without_attributes = |entities: Vec<Value>| -> Vec<Value> {
        entities.into_iter().map(|entity| json!([entity["uid"], entity["parents"]])).collect()
    };
    let names = |entities: &[Value]| -> Vec<Value> {
        let name = |entity: &Value| entity["attrs"].get("userName").or(entity["attrs"].get("name")).cloned();
        let mut names: Vec<Value> = entities.iter().filter_map(name).collect();
        names.sort_by_key(ToString::to_string);
        names
    };
    assert_eq!(names(&before), ["Sales", "ann", "public"]);
    assert_eq!(names(&after), ["Selling", "anna", "public"]);
    assert_eq!(without_attributes(after), without_attributes(before));
}

#[tokio::test]
async fn file_that_is_not_json_is_refused_before_anything_is_written() {
    let connector = service().connector().await;
    let folder = Folder::new();
    let file = folder.file_path("entities.csv");
    assert_eq!(
        run(&connector, &["export", "cedar", &file]).failed(),
        format!("{file}: the file name must end in .json")
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
