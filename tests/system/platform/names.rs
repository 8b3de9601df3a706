//! Usernames that a mapping gives to several users: one user keeps the name, and the others are hidden.

use std::collections::BTreeMap;

use directory::connectors::Connectors;
use directory::settings::{Mapping, Settings, UsernameCase};
use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::schema::Schemas;
use tests::client::Client;
use tests::invariants::assert_invariants;
use tests::provisioning::{USER, create_group, create_user, percent_encoded, set_active_body};
use tests::scimctl::{run, scimctl};
use tests::service::{TestConnector, service};

fn settings(mapping: Mapping) -> Settings {
    Settings { mapping, ..Settings::default() }
}

fn from_email() -> Mapping {
    Mapping { username_from_email: true, ..Mapping::default() }
}

/// A connector with this mapping, whose index of usernames is ready.
async fn connector_with(mapping: Mapping) -> (TestConnector, Client, Client) {
    let connector = service().connector_with(settings(mapping)).await;
    service().build_indexes(&connector.id, Schemas::built_in()).await;
    let reader = connector.reader(service()).await;
    let client = connector.local(service());
    (connector, client, reader)
}

async fn create(client: &Client, attributes: Value) -> String {
    let mut user = json!({ "schemas": [USER] });
    user.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
    let reply = client.post("/Users", &user).await;
    assert_eq!(reply.status, 201, "{}", String::from_utf8_lossy(&reply.body));
    reply.json()["id"].as_str().unwrap().to_owned()
}

/// The reason why each user is hidden, by id, as the list with hidden users says. It must agree with the other requests.
async fn hidden(reader: &Client) -> BTreeMap<String, Value> {
    let list = reader.get("/users?hidden=true").await.json();
    let shown = reader.get("/users").await.json();
    let shown: Vec<&Value> = shown["entries"].as_array().unwrap().iter().collect();
    let mut found = BTreeMap::new();
    for entry in list["entries"].as_array().unwrap() {
        let id = entry["id"].as_str().unwrap();
        let is_hidden = !entry["hidden"].is_null();
        assert_eq!(shown.iter().any(|shown| shown["id"] == id), !is_hidden, "{entry}");
        let single = reader.get(&format!("/users/{id}")).await;
        assert_eq!(single.status, if is_hidden { 404 } else { 200 }, "{entry}");
        let name = percent_encoded(entry["username"].as_str().unwrap());
        let by_name = reader.get(&format!("/users?username={name}")).await.json();
        let named: Vec<&Value> =
            by_name["entries"].as_array().unwrap().iter().map(|entry| &entry["id"]).collect();
        assert_eq!(named.contains(&&json!(id)), !is_hidden, "{entry}");
        assert_eq!(named.len(), 1, "{entry} {by_name}");
        found.insert(id.to_owned(), entry["hidden"].clone());
    }
    found
}

fn taken_by(id: &str) -> Value {
    json!({ "name_taken_by": id })
}

#[tokio::test]
async fn earlier_user_keeps_the_name_in_every_way_in_which_a_mapping_gives_it_twice() {
    let mapping = |username: &str| Mapping { username: username.to_owned(), ..Mapping::default() };
    let case = |username_case, mapping| Mapping { username_case, ..mapping };
    let mail = |name: &str, address: &str| json!({ "userName": name, "emails": [{ "value": address, "primary": true }] });
    let nick = |name: &str, nick: &str| json!({ "userName": name, "nickName": nick });
    let named = |name: &str| json!({ "userName": name });
    let long = "x".repeat(600);
    for (mapping, first, second) in [
        (from_email(), named("ann@a.com"), named("ann@b.com")),
        (from_email(), named("ann@a.com"), named("ann")),
        (from_email(), named("Ann@a.com"), named("aNN@b.com")),
        (from_email(), named("ann@x@a.com"), named("ann@x@b.com")),
        (from_email(), named("straße@a.com"), named("STRAßE@b.com")),
        (from_email(), named(&format!("{long}@a.com")), named(&format!("{long}@b.com"))),
        (case(UsernameCase::Lower, from_email()), named("Ann@a.com"), named("aNN@b.com")),
        (case(UsernameCase::Upper, from_email()), named("Ann@a.com"), named("aNN@b.com")),
        (mapping("nickName"), nick("a", "ann"), nick("b", "ann")),
        (mapping("nickName"), nick("a", "Ann"), nick("b", "ann ")),
        (case(UsernameCase::Upper, mapping("nickName")), nick("a", "Ann"), nick("b", "ann")),
        (
            Mapping { username_from_email: true, ..mapping("nickName") },
            nick("a", "ann@a"),
            nick("b", "ann@b"),
        ),
        (
            mapping("externalId"),
            json!({ "userName": "a", "externalId": "X" }),
            json!({ "userName": "b", "externalId": "x" }),
        ),
        (mapping("emails[primary eq true].value"), mail("a", "ann@a.com"), mail("b", "ANN@a.com")),
        (
            Mapping { username_from_email: true, ..mapping("emails[primary eq true].value") },
            mail("a", "ann@a.com"),
            mail("b", "ann@b.com"),
        ),
        (mapping("urn:ietf:params:scim:schemas:core:2.0:User:nickName"), nick("a", "ann"), nick("b", "ann")),
    ] {
        let (connector, client, reader) = connector_with(mapping.clone()).await;
        let one = create(&client, first.clone()).await;
        let other = create(&client, second.clone()).await;
        let group = create_group(&client, "Sales", &[one.clone(), other.clone()]).await;
        let expected = BTreeMap::from([(one.clone(), json!(null)), (other.clone(), taken_by(&one))]);
        assert_eq!(hidden(&reader).await, expected, "{mapping:?} {first} {second}");
        let members = reader.get(&format!("/groups/{group}/members")).await.json();
        let ids: Vec<&Value> =
            members["entries"].as_array().unwrap().iter().map(|member| &member["id"]).collect();
        assert_eq!(ids, [&json!(one)], "{mapping:?}");
        assert_eq!(reader.get(&format!("/groups/{group}/members/{other}")).await.status, 404);
        assert_eq!(reader.get(&format!("/groups/{group}/members/{one}")).await.status, 200);
        assert_invariants(service(), &connector.id).await;
    }
}

#[tokio::test]
async fn users_with_different_names_are_all_shown() {
    let mapping = Mapping { username_case: UsernameCase::Upper, ..from_email() };
    let (_, client, reader) = connector_with(mapping).await;
    // The upper case of ß would be SS.
    for name in ["ann@a.com", "anna@a.com", "ann.b@a.com", "an@a.com", "strasse@a.com", "straße@a.com"] {
        create_user(&client, name).await;
    }
    let hidden = hidden(&reader).await;
    assert_eq!(hidden.len(), 6);
    assert!(hidden.values().all(Value::is_null), "{hidden:?}");
}

#[tokio::test]
async fn user_without_a_username_is_hidden() {
    let mapping = Mapping { username: "nickName".to_owned(), ..Mapping::default() };
    let (_, client, reader) = connector_with(mapping).await;
    for name in ["a", "b"] {
        let id = create_user(&client, name).await;
        assert_eq!(reader.get(&format!("/users/{id}")).await.status, 404);
        let shown = reader.get(&format!("/users/{id}?hidden=true")).await.json();
        assert_eq!((&shown["username"], &shown["hidden"]), (&json!(""), &json!("no_username")));
    }
}

#[tokio::test]
async fn name_goes_to_the_next_user_when_the_first_is_hidden_renamed_or_deleted() {
    let (connector, client, reader) = connector_with(from_email()).await;
    // An operator's user was created before those of the client.
    run(&connector, &["user", "create", "ann@local.com"]).ok();
    let (one, two) = (create_user(&client, "ann@a.com").await, create_user(&client, "ann@b.com").await);
    let three = create_user(&client, "ann@c.com").await;
    let found = hidden(&reader).await;
    let local = found.iter().find(|(_, reason)| reason.is_null()).unwrap().0.clone();
    let expected = |first: &str| {
        let ids = [&local, &one, &two, &three].into_iter();
        ids.map(|id| (id.clone(), if id == first { json!(null) } else { taken_by(first) })).collect()
    };
    assert!(![&one, &two, &three].contains(&&local));
    assert_eq!(found, expected(&local));
    run(&connector, &["user", "delete", "ann@local.com"]).ok();
    let without_local = |first: &str| -> BTreeMap<String, Value> {
        let mut expected: BTreeMap<String, Value> = expected(first);
        expected.remove(&local);
        expected
    };
    assert_eq!(hidden(&reader).await, without_local(&one));
    let set_active = async |active: bool| {
        let reply = client.patch(&format!("/Users/{one}"), &set_active_body(active)).await;
        assert_eq!(reply.status, 200);
    };
    set_active(false).await;
    let mut without_one = without_local(&two);
    without_one.insert(one.clone(), json!("deactivated"));
    assert_eq!(hidden_by_list(&reader).await, without_one);
    // A user that is activated again and was created earlier gets the name back.
    set_active(true).await;
    assert_eq!(hidden(&reader).await, without_local(&one));
    assert_eq!(client.delete(&format!("/Users/{one}")).await.status, 204);
    let found = hidden_by_list(&reader).await;
    assert_eq!((&found[&two], &found[&three]), (&json!(null), &taken_by(&two)));
    let renamed = json!({ "schemas": [USER], "userName": "bob@b.com" });
    assert_eq!(client.put(&format!("/Users/{two}"), &renamed).await.status, 200);
    let found = hidden(&reader).await;
    assert_eq!((&found[&two], &found[&three]), (&json!(null), &json!(null)));
}

/// The reason why each user is hidden, by id.
async fn hidden_by_list(reader: &Client) -> BTreeMap<String, Value> {
    let list = reader.get("/users?hidden=true").await.json();
    let entries = list["entries"].as_array().unwrap().iter();
    entries.map(|entry| (entry["id"].as_str().unwrap().to_owned(), entry["hidden"].clone())).collect()
}

#[tokio::test]
async fn one_of_several_users_who_are_created_at_the_same_time_keeps_the_name() {
    let (connector, client, reader) = connector_with(from_email()).await;
    let creations = (0..12).map(|number| {
        let client = client.clone();
        async move { create_user(&client, &format!("ann@{number}.com")).await }
    });
    // Requests that read meanwhile show at most one user of the name.
    let watch = async {
        for _ in 0..10 {
            let list = reader.get("/users?username=ann").await.json();
            assert!(list["entries"].as_array().unwrap().len() <= 1, "{list}");
        }
    };
    let (ids, ()) = tokio::join!(join_all(creations), watch);
    let mut users = Vec::new();
    for id in &ids {
        let created = client.get(&format!("/Users/{id}")).await.json()["meta"]["created"].clone();
        users.push((created.as_str().unwrap().parse::<Timestamp>().unwrap(), id.clone()));
    }
    let (_, first) = users.iter().min().unwrap();
    for (id, reason) in hidden(&reader).await {
        assert_eq!(reason, if id == *first { json!(null) } else { taken_by(first) }, "{users:?}");
    }
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn new_attribute_of_usernames_needs_an_index_which_reindex_builds() {
    let connector = service().connector().await;
    let (client, reader) = (connector.local(service()), connector.reader(service()).await);
    let one = create(&client, json!({ "userName": "a", "nickName": "ann" })).await;
    let other = create(&client, json!({ "userName": "b", "nickName": "ANN" })).await;
    let id = connector.id.to_string();
    let set = run(&connector, &["connector", "set", "mapping.username=nickName"]);
    assert!(set.err.contains(&format!("run `scimctl reindex {id}`")), "{set:?}");
    assert_eq!(set.code, 0, "{set:?}");
    // A new process reads the new settings.
    let fresh = |connector: &TestConnector, reader: &Client| {
        let reader = Client::new(&reader.base_url, &reader.username, &reader.password);
        assert_eq!(reader.connector(), connector.id.to_string());
        tests::in_process::InProcess::uncached(service().dynamodb(), reader)
    };
    let process = fresh(&connector, &reader);
    let get = async |path: &str| {
        let response = process.send("GET", path, None, tests::service::TIME_LIMIT).await;
        (response.status().as_u16(), tests::in_process::json_of(&response))
    };
    let unavailable = format!(
        "The usernames of connector {id} are not indexed yet; an operator builds the index with `scimctl reindex {id}`"
    );
    for path in ["/users", &format!("/users/{one}"), "/users?username=ann"] {
        let (status, body) = get(path).await;
        assert_eq!(
            (status, &body["title"], &body["detail"]),
            (503, &json!("Service Unavailable"), &json!(unavailable))
        );
    }
    assert_eq!(get("/groups").await.0, 200);
    let doctor = scimctl(service(), &["doctor", &id]);
    assert!(doctor.out.contains("1 index is not ready: User.username(nickName)"), "{}", doctor.out);
    service().build_indexes(&connector.id, Schemas::built_in()).await;
    let process = fresh(&connector, &reader);
    let response = process.send("GET", "/users?hidden=true", None, tests::service::TIME_LIMIT).await;
    let list = tests::in_process::json_of(&response);
    let reasons: BTreeMap<&str, &Value> = list["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["id"].as_str().unwrap(), &entry["hidden"]))
        .collect();
    let taken = taken_by(&one);
    assert_eq!(reasons, BTreeMap::from([(one.as_str(), &Value::Null), (other.as_str(), &taken)]));
    assert_invariants(service(), &connector.id).await;
    // The default mapping needs no such index, so it is removed.
    run(&connector, &["connector", "set", "mapping.username=userName"]).ok();
    let connectors: Connectors = service().connectors();
    let begun = connectors.begin_reindex(&connector.id, Schemas::built_in(), Timestamp::now()).await.unwrap();
    let name = "User.username(nickName)";
    assert_eq!(begun.record.indexes.changing().collect::<Vec<_>>(), [name]);
    let done = connectors.reindex(&begun, Schemas::built_in(), |_| ()).await.unwrap();
    assert_eq!(done.removed, [name]);
    let items = tests::table::read_items(service(), &connector.id).await;
    assert!(items.keys().all(|(pk, _)| !pk.contains("username(")), "{:?}", items.keys());
}

#[tokio::test]
async fn operators_see_taken_names_in_check_show_list_and_dry_run() {
    let connector = service().connector().await;
    let (client, id) = (connector.local(service()), connector.id.to_string());
    let (one, other) = (create_user(&client, "ann@a.com").await, create_user(&client, "ann@b.com").await);
    let set = ["connector", "set", "mapping.username-from-email=true"];
    let dry = run(&connector, &[&set[..], &["--dry-run"]].concat()).ok();
    let expected = format!(
        "1 user would disappear, because an earlier user has the same username:\n  ann@b.com → ann: the username is taken by {one}\n"
    );
    assert!(dry.contains(&expected), "{dry}");
    let checked = scimctl(service(), &["check", &id]);
    assert_eq!(checked.out, "no findings\n");
    run(&connector, &set).ok();
    let finding = format!(
        "User {other} is hidden, because User {one} was created earlier and has the same username ann; change one of them, or \
         the mapping"
    );
    for repair in [&[][..], &["--repair"]] {
        let checked = scimctl(service(), &[&["check", id.as_str()], repair].concat());
        assert!(checked.out.contains(&finding), "{checked:?}");
        assert_eq!(
            (checked.code, checked.err.contains("1 finding that `--repair` cannot repair")),
            (1, true),
            "{checked:?}"
        );
    }
    let shown = run(&connector, &["user", "show", "ann@b.com"]);
    assert_eq!(shown.value("Hidden:"), format!("the username is taken by {one}"));
    let json: Value =
        serde_json::from_str(&run(&connector, &["user", "show", "ann@b.com", "--json"]).ok()).unwrap();
    assert_eq!((&json["hidden"], &json["effective_groups"]), (&taken_by(&one), &json!([])));
    assert_eq!(run(&connector, &["user", "show", "ann@a.com"]).value("Hidden:"), "no");
    let list = run(&connector, &["user", "list"]).ok();
    assert!(list.contains("1 user, and 1 hidden"), "{list}");
    assert_eq!(run(&connector, &["group", "members", "public"]).ok(), "ann\n");
}
