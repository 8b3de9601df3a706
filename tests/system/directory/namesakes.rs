//! Feeds of a connector whose mapping gives several users one username: when one of them gives it up or takes it, the consumer
//! learns of the others.

use directory::settings::{Mapping, Rules, Settings};
use futures_util::future::join_all;
use serde_json::{Value, json};
use shared::schema::Schemas;
use tests::client::Client;
use tests::consumer::Consumer;
use tests::provisioning::{USER, patch_body, set_active_body};
use tests::service::{TestConnector, service};

fn from_email() -> Mapping {
    Mapping { username_from_email: true, ..Mapping::default() }
}

fn of(path: &str) -> Mapping {
    Mapping { username: path.to_owned(), ..Mapping::default() }
}

async fn feed_with(mapping: Mapping) -> (TestConnector, Client, Consumer) {
    let rules = Rules { exclude_users: vec!["excluded*".to_owned()], ..Rules::default() };
    let connector = service().connector_with(Settings { mapping, rules, ..Settings::default() }).await;
    service().build_indexes(&connector.id, Schemas::built_in()).await;
    let consumer = Consumer::create(service().table(), &connector.id, "platform").await;
    let client = connector.local(service());
    (connector, client, consumer)
}

/// A user whose username is made of `name`, in each of the mappings of these tests. `user` makes the `userName` different.
fn user(user: &str, name: &str) -> Value {
    json!({
        "schemas": [USER],
        "userName": format!("{name}@{user}.example.com"),
        "nickName": name,
        "emails": [{ "value": format!("{name}@{user}.example.org"), "primary": true }],
    })
}

async fn create(client: &Client, body: &Value) -> String {
    let reply = client.post("/Users", body).await;
    assert_eq!(reply.status, 201, "{}", String::from_utf8_lossy(&reply.body));
    format!("/Users/{}", reply.json()["id"].as_str().unwrap())
}

async fn rename(client: &Client, path: &str, body: &Value) {
    assert_eq!(client.put(path, body).await.status, 200);
}

/// The users whom the consumer shows.
async fn shown(consumer: &mut Consumer) -> Vec<String> {
    consumer.drain().await.unwrap();
    consumer.assert_equals_directory().await;
    consumer.shown().users.into_keys().collect()
}

#[tokio::test]
async fn consumer_learns_of_the_user_who_gets_a_name_that_another_gives_up() {
    let long = "x".repeat(600);
    for (mapping, name) in [
        (from_email(), "ann"),
        (of("nickName"), "ann"),
        (of("nickName"), long.as_str()),
        (Mapping { username_from_email: true, ..of("emails[primary eq true].value") }, "ann"),
        (Mapping { username_from_email: true, ..of("emails[primary eq true].value") }, long.as_str()),
    ] {
        let (_, client, mut consumer) = feed_with(mapping).await;
        let first = create(&client, &user("first", name)).await;
        let second = create(&client, &user("second", name)).await;
        assert_eq!(shown(&mut consumer).await, [first.as_str()]);

        rename(&client, &first, &user("first", "bea")).await;
        assert_eq!(shown(&mut consumer).await.len(), 2);
        // The user who was created first takes the name from the other one.
        rename(&client, &first, &user("first", name)).await;
        assert_eq!(shown(&mut consumer).await, [first.as_str()]);

        assert_eq!(client.patch(&first, &set_active_body(false)).await.status, 200);
        assert_eq!(shown(&mut consumer).await, [second.as_str()]);
        assert_eq!(client.patch(&first, &set_active_body(true)).await.status, 200);
        assert_eq!(shown(&mut consumer).await, [first.as_str()]);

        assert_eq!(client.delete(&first).await.status, 204);
        assert_eq!(shown(&mut consumer).await, [second.as_str()]);
    }
}

#[tokio::test]
async fn user_who_gets_a_name_because_a_rule_hides_the_other_is_shown() {
    let (_, client, mut consumer) = feed_with(of("nickName")).await;
    let first = create(&client, &user("first", "ann")).await;
    let second = create(&client, &user("second", "ann")).await;
    assert_eq!(shown(&mut consumer).await, [first.as_str()]);
    let hide = patch_body(json!([{ "op": "replace", "path": "userName", "value": "excluded" }]));
    assert_eq!(client.patch(&first, &hide).await.status, 200);
    assert_eq!(shown(&mut consumer).await, [second.as_str()]);
}

#[tokio::test]
async fn namesake_is_marked_once_until_the_change_is_acknowledged() {
    let (_, client, consumer) = feed_with(from_email()).await;
    let first = create(&client, &user("first", "ann")).await;
    let second = create(&client, &user("second", "ann")).await;
    let third = create(&client, &user("third", "ann")).await;
    for _ in 0..2 {
        let events = consumer.events().await;
        consumer.acknowledge(&events).await;
    }
    assert_eq!(consumer.events().await, []);
    assert_eq!(client.delete(&first).await.status, 204);
    let of = |events: &[directory::feeds::Event]| -> Vec<(String, Vec<String>)> {
        let names = |event: &directory::feeds::Event| event.events.keys().cloned().collect();
        events.iter().map(|event| (event.uri.clone(), names(event))).collect()
    };
    let event = |name: &str| vec![format!("urn:ietf:params:scim:event:{name}")];
    assert_eq!(of(&consumer.events().await), [(first.clone(), event("prov:delete"))]);
    let both = consumer.events().await;
    let mut expected = [(first.clone(), event("prov:delete")), (second.clone(), event("feed:add"))];
    expected.sort();
    assert_eq!(of(&both), expected, "the third user stays hidden");
    assert_eq!(consumer.events().await, both, "the events have the same ids each time");
    consumer.acknowledge(&both).await;
    assert_eq!(consumer.events().await, []);
    assert!(!third.is_empty());
}

#[tokio::test]
async fn consumers_know_who_keeps_each_name_after_concurrent_changes() {
    const NAMES: [&str; 3] = ["ann", "bea", "cyd"];
    let (_, client, mut consumer) = feed_with(from_email()).await;
    let mut paths = Vec::new();
    for worker in 0..6 {
        paths.push(create(&client, &user(&format!("w{worker}"), NAMES[worker % 3])).await);
    }
    // These users are never changed, so only the changes of others show or hide them.
    for name in NAMES {
        create(&client, &user("unchanged", name)).await;
    }
    let work = async |(worker, mut path): (usize, String)| {
        let own = format!("w{worker}");
        for step in 0..20 {
            let name = NAMES[(step * 7 + worker * 5) % 3];
            match (step + worker) % 4 {
                0 => {
                    assert_eq!(client.delete(&path).await.status, 204);
                    path = create(&client, &user(&own, name)).await;
                }
                1 => {
                    let active = set_active_body((step / 4) % 2 == 0);
                    assert_eq!(client.patch(&path, &active).await.status, 200);
                }
                _ => rename(&client, &path, &user(&own, name)).await,
            }
        }
    };
    let follow = async {
        for _ in 0..20 {
            consumer.drain().await.unwrap();
        }
    };
    tokio::join!(join_all(paths.into_iter().enumerate().map(work)), follow);
    consumer.drain().await.unwrap();
    consumer.assert_equals_directory().await;
}

#[tokio::test]
async fn function_has_the_rights_to_look_for_namesakes() {
    let (connector, client, _) = feed_with(of("nickName")).await;
    let first = create(&client, &user("first", "ann")).await;
    let second = create(&client, &user("second", "ann")).await;
    let functions = connector.functions(service());
    let reader = connector.reader(service()).await;
    let consumer = reader.at(&functions.base_url.replace("/scim/v2", "/events/v1"));
    let poll =
        async || consumer.send_json("POST", "/platform/poll", &json!({ "returnImmediately": true })).await;
    let reply = poll().await;
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    assert_eq!(reply.json()["sets"].as_object().unwrap().len(), 2, "{first} {second}");
}
