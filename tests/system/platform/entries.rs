//! One user, group or role as the platform reads it.

use directory::settings::{Mapping, Rules, Settings, UsernameCase};
use serde_json::{Value, json};
use tests::client::Client;
use tests::provisioning::{GROUP, USER, create_group, create_user, set_active_body};
use tests::scimctl::run;
use tests::service::{TestConnector, service};

/// Reads an entry.
async fn read(reader: &Client, path: &str) -> Value {
    let reply = reader.get(path).await;
    assert_eq!(reply.status, 200, "{path}: {}", String::from_utf8_lossy(&reply.body));
    reply.json()
}

/// The status and the detail of a refusal.
async fn refusal(reader: &Client, path: &str) -> (u16, String) {
    let reply = reader.get(path).await;
    let body = reply.json();
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{path}: {body}");
    assert_eq!((&body["type"], &body["status"]), (&json!("about:blank"), &json!(reply.status)), "{path}");
    (reply.status, body["detail"].as_str().unwrap().to_owned())
}

/// The id of an entry with this name.
async fn id_of(reader: &Client, list: &str, name: &str) -> String {
    let entries = read(reader, list).await["entries"].clone();
    let entry = entries.as_array().unwrap().iter().find(|entry| entry["name"] == name);
    entry.unwrap_or_else(|| panic!("{name} is not in {entries}"))["id"].as_str().unwrap().to_owned()
}

async fn connector_with(settings: Settings) -> (TestConnector, Client, Client) {
    let connector = service().connector_with(settings).await;
    let reader = connector.reader(service()).await;
    let client = connector.local(service());
    (connector, client, reader)
}

#[tokio::test]
async fn user_has_its_direct_and_effective_groups_and_roles_with_their_ids() {
    let mapping =
        Mapping { username_from_email: true, username_case: UsernameCase::Lower, ..Mapping::default() };
    let (connector, client, reader) = connector_with(Settings { mapping, ..Settings::default() }).await;
    let user = json!({
        "schemas": [USER], "userName": "Ann@Example.com", "name": { "givenName": "Ann", "familyName": "Ash" },
        "emails": [{ "value": "ann@home.com" }, { "value": "ann@work.com", "primary": true }]
    });
    let created = client.post("/Users", &user).await.json();
    let ann = created["id"].as_str().unwrap().to_owned();
    let sales = create_group(&client, "Sales", std::slice::from_ref(&ann)).await;
    let all = create_group(&client, "All", std::slice::from_ref(&sales)).await;
    run(&connector, &["group", "create", "Stewards"]).ok();
    run(&connector, &["group", "add", "Stewards", "Ann@Example.com"]).ok();
    run(&connector, &["role", "create", "approver"]).ok();
    run(&connector, &["role", "assign", "approver", "All"]).ok();
    let stewards = id_of(&reader, "/groups", "Stewards").await;
    let approver = id_of(&reader, "/roles", "approver").await;
    let named = |id: &str, name: &str| json!({ "id": id, "name": name });
    let expected = json!({
        "id": ann,
        "origin": "scim",
        "username": "ann",
        "first_name": "Ann",
        "last_name": "Ash",
        "display_name": "Ann Ash",
        "email": "ann@work.com",
        "groups": [named(&sales, "Sales"), named(&stewards, "Stewards")],
        "effective_groups": [named(&all, "All"), named(&sales, "Sales"), named(&stewards, "Stewards")],
        "roles": [named(&approver, "approver")],
    });
    assert_eq!(read(&reader, &format!("/users/{ann}")).await, expected);
    let listed = read(&reader, "/users").await;
    assert_eq!(listed, json!({ "entries": [expected], "next": null }));
    let group = |id: &str, name: &str, origin: &str| json!({ "id": id, "name": name, "origin": origin });
    assert_eq!(read(&reader, &format!("/groups/{sales}")).await, group(&sales, "Sales", "scim"));
    assert_eq!(read(&reader, &format!("/groups/{stewards}")).await, group(&stewards, "Stewards", "local"));
    assert_eq!(read(&reader, &format!("/roles/{approver}")).await, named(&approver, "approver"));
    for path in [
        format!("/groups/{ann}"),
        format!("/groups/{approver}"),
        format!("/users/{sales}"),
        format!("/roles/{sales}"),
        "/users/no-id".to_owned(),
    ] {
        let id = path.rsplit('/').next().unwrap();
        assert_eq!(refusal(&reader, &path).await, (404, format!("Resource {id} not found")));
    }
}

#[tokio::test]
async fn hidden_users_and_groups_are_shown_only_on_request_and_with_the_reason() {
    let rules = Rules {
        exclude_users: vec!["svc-*".to_owned()],
        exclude_groups: vec!["Secret*".to_owned()],
        ..Rules::default()
    };
    let (_, client, reader) = connector_with(Settings { rules, ..Settings::default() }).await;
    let (ann, svc) = (create_user(&client, "ann").await, create_user(&client, "svc-backup").await);
    let leaver = create_user(&client, "zoe").await;
    assert_eq!(client.patch(&format!("/Users/{leaver}"), &set_active_body(false)).await.status, 200);
    let members = [ann.clone(), svc.clone()];
    let secret = create_group(&client, "Secret", &members).await;
    for (path, reason) in [
        (format!("/users/{svc}"), json!({ "excluded": "svc-*" })),
        (format!("/users/{leaver}"), json!("deactivated")),
        (format!("/groups/{secret}"), json!({ "excluded": "Secret*" })),
    ] {
        let id = path.rsplit('/').next().unwrap().to_owned();
        assert_eq!(refusal(&reader, &path).await, (404, format!("Resource {id} not found")));
        assert_eq!(refusal(&reader, &format!("{path}?hidden=false")).await.0, 404);
        let shown = read(&reader, &format!("{path}?hidden=true")).await;
        assert_eq!((&shown["id"], &shown["hidden"]), (&json!(id), &reason));
    }
    assert_eq!(read(&reader, &format!("/users/{ann}?hidden=true")).await.get("hidden"), None);
    // A hidden group is in no entry of a user.
    let entry = read(&reader, &format!("/users/{ann}")).await;
    assert_eq!((&entry["groups"], &entry["effective_groups"]), (&json!([]), &json!([])));
    let ids = |list: &Value| {
        let entries = list["entries"].as_array().unwrap().iter();
        let mut ids: Vec<String> = entries.map(|entry| entry["id"].as_str().unwrap().to_owned()).collect();
        ids.sort_unstable();
        ids
    };
    let mut all = [ann.clone(), svc, leaver];
    all.sort_unstable();
    assert_eq!(ids(&read(&reader, "/users").await), [ann]);
    assert_eq!(ids(&read(&reader, "/users?hidden=true").await), all);
    assert_eq!(ids(&read(&reader, "/groups").await), [""; 0]);
    assert_eq!(ids(&read(&reader, "/groups?hidden=true").await), [secret]);
}

#[tokio::test]
async fn entity_tag_changes_with_everything_that_the_entry_shows() {
    let (connector, client, reader) = connector_with(Settings::default()).await;
    let ann = create_user(&client, "ann").await;
    let sales = create_group(&client, "Sales", std::slice::from_ref(&ann)).await;
    let tag = async |path: &str| reader.get(path).await.header("etag").unwrap().to_owned();
    let (user, group) = (format!("/users/{ann}"), format!("/groups/{sales}"));
    let before = tag(&user).await;
    assert!(before.starts_with("W/\""), "{before}");
    let get = async |path: &str, tag: &str| {
        let reply = reader.send("GET", path, &[("if-none-match", tag)], "").await;
        (reply.status, reply.body.len(), reply.header("etag").map(str::to_owned))
    };
    assert_eq!(get(&user, &before).await, (304, 0, Some(before.clone())));
    assert_eq!(get(&user, "*").await.0, 304);
    assert_eq!(get(&user, "\"other\"").await.0, 200);
    // A change of a group changes the entry of its member.
    let renamed = json!({ "schemas": [GROUP], "displayName": "Marketing", "members": [{ "value": ann }] });
    assert_eq!(client.put(&format!("/Groups/{sales}"), &renamed).await.status, 200);
    let after = tag(&user).await;
    assert_ne!(after, before);
    assert_eq!(get(&user, &before).await.0, 200);
    // An attribute that the entry does not show does not change it.
    let titled = json!({ "schemas": [USER], "userName": "ann", "title": "Analyst" });
    assert_eq!(client.put(&format!("/Users/{ann}"), &titled).await.status, 200);
    assert_eq!(tag(&user).await, after);
    assert_eq!(get(&group, &tag(&group).await).await.0, 304);
    let member = format!("/groups/{sales}/members/{ann}");
    assert_eq!(get(&member, &tag(&member).await).await.0, 304);
    run(&connector, &["role", "create", "approver"]).ok();
    let role = format!("/roles/{}", id_of(&reader, "/roles", "approver").await);
    assert_eq!(get(&role, &tag(&role).await).await.0, 304);
}

#[tokio::test]
async fn directory_api_does_not_write() {
    let (_, client, reader) = connector_with(Settings::default()).await;
    let ann = create_user(&client, "ann").await;
    for (method, path) in [
        ("POST", "/users".to_owned()),
        ("PUT", format!("/users/{ann}")),
        ("PATCH", format!("/users/{ann}")),
        ("DELETE", format!("/users/{ann}")),
        ("DELETE", format!("/groups/{ann}/members/{ann}")),
    ] {
        let refused = reader.send(method, &path, &[], "").await;
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")), "{method} {path}");
        assert_eq!(refused.json()["title"], "Method Not Allowed", "{method} {path}");
    }
    let head = reader.send("HEAD", &format!("/users/{ann}"), &[], "").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(client.get(&format!("/Users/{ann}")).await.status, 200);
}
