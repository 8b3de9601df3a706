//! The members of groups and roles, and whether a user is in a group.

use directory::settings::{Rules, Settings};
use serde_json::{Value, json};
use tests::client::Client;
use tests::provisioning::{create_group, create_user};
use tests::scimctl::run;
use tests::service::{TestConnector, service};

struct Fixture {
    connector: TestConnector,
    client: Client,
    reader: Client,
}

async fn fixture() -> Fixture {
    let rules = Rules {
        exclude_users: vec!["svc-*".to_owned()],
        exclude_groups: vec!["Secret*".to_owned()],
        ..Rules::default()
    };
    let connector = service().connector_with(Settings { rules, ..Settings::default() }).await;
    let (client, reader) = (connector.local(service()), connector.reader(service()).await);
    Fixture { connector, client, reader }
}

/// The type and name of each member, by name, over pages of two.
async fn members(reader: &Client, path: &str) -> Vec<(String, String)> {
    let separator = if path.contains('?') { '&' } else { '?' };
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let reply = reader.get(&format!("{path}{separator}limit=2{cursor}")).await;
        let body = reply.json();
        assert_eq!(reply.status, 200, "{path}: {body}");
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
        let entries = body["entries"].as_array().unwrap().iter();
        found.extend(entries.map(|entry| (text(entry, "name"), text(entry, "type"))));
        match body["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    found.sort_unstable();
    found
}

fn named(members: &[(&str, &str)]) -> Vec<(String, String)> {
    members.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned())).collect()
}

#[tokio::test]
async fn effective_members_are_those_of_all_groups_below_without_hidden_ones() {
    let Fixture { connector, client, reader } = fixture().await;
    let mut users = Vec::new();
    for name in ["ann", "ben", "cat", "dan", "svc-backup"] {
        users.push(create_user(&client, name).await);
    }
    let [ann, ben, cat, dan, svc] = &users[..] else { panic!("{users:?}") };
    let inner = create_group(&client, "Inner", &[ben.clone(), cat.clone(), svc.clone()]).await;
    let secret = create_group(&client, "Secret", &[dan.clone(), inner.clone()]).await;
    let outer = create_group(&client, "Outer", &[ann.clone(), ben.clone(), secret.clone()]).await;
    let of = |group: &str, query: &str| format!("/groups/{group}/members{query}");
    let direct = named(&[("ann", "user"), ("ben", "user")]);
    assert_eq!(members(&reader, &of(&outer, "")).await, direct);
    // The members of a hidden group are members, although the group itself is not shown.
    let effective =
        named(&[("Inner", "group"), ("ann", "user"), ("ben", "user"), ("cat", "user"), ("dan", "user")]);
    assert_eq!(members(&reader, &of(&outer, "?effective=true")).await, effective);
    let with_hidden = members(&reader, &of(&outer, "?effective=true&hidden=true")).await;
    assert_eq!(with_hidden.len(), effective.len() + 2);
    let reply = reader.get(&of(&outer, "?hidden=true")).await.json();
    let hidden = reply["entries"].as_array().unwrap().iter().find(|entry| entry["name"] == "Secret").unwrap();
    let expected =
        json!({ "type": "group", "id": secret, "name": "Secret", "hidden": { "excluded": "Secret*" } });
    assert_eq!(*hidden, expected);
    assert_eq!(reader.get(&of(&secret, "")).await.status, 404);
    assert_eq!(reader.get(&of(ann, "")).await.status, 404);
    // Groups of operators and roles have members too.
    run(&connector, &["group", "create", "Stewards"]).ok();
    run(&connector, &["group", "add", "Stewards", "Outer", "dan"]).ok();
    run(&connector, &["role", "create", "approver"]).ok();
    run(&connector, &["role", "assign", "approver", "Outer", "dan", "svc-backup"]).ok();
    let id = async |list: &str, name: &str| {
        let body = reader.get(list).await.json();
        let entries = body["entries"].as_array().unwrap().iter();
        let entry = entries.clone().find(|entry| entry["name"] == name).unwrap();
        entry["id"].as_str().unwrap().to_owned()
    };
    let (stewards, approver) = (id("/groups", "Stewards").await, id("/roles", "approver").await);
    let direct = named(&[("Outer", "group"), ("dan", "user")]);
    assert_eq!(members(&reader, &of(&stewards, "")).await, direct);
    assert_eq!(members(&reader, &of(&stewards, "?effective=true")).await.len(), 6);
    assert_eq!(members(&reader, &format!("/roles/{approver}/members")).await, direct);
    assert_eq!(members(&reader, &format!("/roles/{approver}/members?hidden=true")).await.len(), 3);
    assert_eq!(reader.get(&format!("/roles/{outer}/members")).await.status, 404);
}

#[tokio::test]
async fn one_request_says_whether_and_how_a_user_is_in_a_group() {
    let Fixture { client, reader, .. } = fixture().await;
    let (ann, svc) = (create_user(&client, "ann").await, create_user(&client, "svc-backup").await);
    let members = [ann.clone(), svc.clone()];
    let one = create_group(&client, "One", &members).await;
    let two = create_group(&client, "Two", std::slice::from_ref(&one)).await;
    let secret = create_group(&client, "Secret", std::slice::from_ref(&two)).await;
    let three = create_group(&client, "Three", std::slice::from_ref(&secret)).await;
    let other = create_group(&client, "Other", &[]).await;
    let ask = async |group: &str, user: &str, query: &str| {
        let reply = reader.get(&format!("/groups/{group}/members/{user}{query}")).await;
        (reply.status, reply.json())
    };
    let named = |id: &str, name: &str| json!({ "id": id, "name": name });
    let (first, second, hidden) = (named(&one, "One"), named(&two, "Two"), named(&secret, "Secret"));
    for (group, query, expected) in [
        (&one, "", json!({ "direct": true, "path": [] })),
        (&two, "", json!({ "direct": false, "path": [first] })),
        (&three, "", json!({ "direct": false, "path": [first, second] })),
        (&three, "?hidden=true", json!({ "direct": false, "path": [first, second, hidden] })),
    ] {
        assert_eq!(ask(group, &ann, query).await, (200, expected), "{group}{query}");
    }
    let missing = |id: &str| format!("Resource {id} not found");
    for (group, user, query, detail) in [
        (&other, &ann, "", format!("User {ann} is not a member of group {other}")),
        (&secret, &ann, "", missing(&secret)),
        (&one, &svc, "", missing(&svc)),
        (&one, &two, "", missing(&two)),
        (&ann, &ann, "", missing(&ann)),
    ] {
        let (status, body) = ask(group, user, query).await;
        assert_eq!((status, &body["detail"]), (404, &json!(detail)), "{group} {user}{query}");
    }
    assert_eq!(ask(&one, &svc, "?hidden=true").await.0, 200);
    assert_eq!(ask(&secret, &ann, "?hidden=true").await.0, 200);
}
