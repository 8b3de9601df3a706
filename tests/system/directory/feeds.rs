//! Feeds: which events a change makes, and when they are gone.

use directory::feeds::{Event, FeedId};
use directory::settings::{Rules, Settings};
use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::resource::ResourceKind;
use tests::client::Client;
use tests::consumer::Consumer;
use tests::provisioning::{
    USER, add_members, create_group, create_user, create_user_in_groups, create_users, group_body,
    patch_body, remove_members_body, set_active_body,
};
use tests::service::{Service, TestConnector, service};

/// After this time, every process knows a new feed.
const LATER: SignedDuration = SignedDuration::from_secs(150);

async fn feed_of(service: &'static Service) -> (TestConnector, Client, Consumer) {
    let connector = service.connector().await;
    let consumer = Consumer::create(service.table(), &connector.id, "platform").await;
    let client = connector.local(service);
    (connector, client, consumer)
}

/// The waiting events in a short form, acknowledged.
async fn take(consumer: &Consumer) -> Vec<(String, Value)> {
    let events = consumer.events().await;
    consumer.acknowledge(&events).await;
    assert_eq!(consumer.events().await, [], "acknowledged events are gone");
    events.into_iter().map(|event| (event.uri.clone(), short(&event))).collect()
}

/// Acknowledges all waiting events.
async fn take_all(consumer: &Consumer) {
    loop {
        let events = consumer.events().await;
        if events.is_empty() {
            return;
        }
        consumer.acknowledge(&events).await;
    }
}

/// The events of an event without the prefix of their URIs.
fn short(event: &Event) -> Value {
    let name = |uri: &String| uri.strip_prefix("urn:ietf:params:scim:event:").unwrap().to_owned();
    Value::Object(event.events.iter().map(|(uri, payload)| (name(uri), payload.clone())).collect())
}

fn added(members: &[String]) -> Value {
    let values: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
    json!({ "op": "add", "path": "members", "value": values })
}

fn removed(member: &str) -> Value {
    json!({ "op": "remove", "path": format!("members[value eq \"{member}\"]") })
}

fn member_patch(operations: Vec<Value>) -> Value {
    let schema = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
    json!({ "data": { "schemas": [schema], "Operations": operations } })
}

async fn send(client: &Client, method: &str, path: &str, body: &Value) {
    let reply = client.send_json(method, path, body).await;
    assert!((200..300).contains(&reply.status), "{method} {path}: {reply:?}");
}

#[tokio::test]
async fn each_change_makes_one_event_of_its_resource() {
    let (_, client, consumer) = feed_of(service()).await;
    let mut users = create_users(&client, 3).await;
    users.sort();
    let events = take(&consumer).await;
    assert_eq!(events.len(), 3);
    let created = json!({ "prov:create:notice": { "attributes": ["userName"] } });
    assert!(events.iter().all(|(uri, event)| uri.starts_with("/Users/") && *event == created), "{events:?}");

    let ann = format!("/Users/{}", users[0]);
    send(&client, "PATCH", &ann, &patch_body(json!([{ "op": "add", "path": "title", "value": "x" }]))).await;
    assert_eq!(
        take(&consumer).await,
        [(ann.clone(), json!({ "prov:patch:notice": { "attributes": ["title"] } }))]
    );
    send(&client, "PUT", &ann, &json!({ "schemas": [USER], "userName": "new", "title": "x" })).await;
    assert_eq!(
        take(&consumer).await,
        [(ann.clone(), json!({ "prov:patch:notice": { "attributes": ["userName"] } }))]
    );

    let group = create_group(&client, "g", &users[..2]).await;
    let path = format!("/Groups/{group}");
    let created = json!({ "prov:create:notice": { "attributes": ["displayName", "members"] } });
    assert_eq!(take(&consumer).await, [(path.clone(), created)]);
    assert_eq!(add_members(&client, &group, &users[1..]).await.status, 200);
    let full = member_patch(vec![added(&users[2..])]);
    assert_eq!(take(&consumer).await, [(path.clone(), json!({ "prov:patch:full": full }))]);
    send(&client, "PATCH", &path, &remove_members_body(&users[1..2])).await;
    let full = member_patch(vec![removed(&users[1])]);
    assert_eq!(take(&consumer).await, [(path.clone(), json!({ "prov:patch:full": full }))]);
    send(&client, "PUT", &path, &group_body("renamed", &users[1..2])).await;
    let full = member_patch(vec![added(&users[1..2]), removed(&users[0]), removed(&users[2])]);
    let both = json!({ "prov:patch:full": full, "prov:patch:notice": { "attributes": ["displayName"] } });
    assert_eq!(take(&consumer).await, [(path.clone(), both)]);

    // A change that changes nothing makes no event.
    send(&client, "PUT", &path, &group_body("renamed", &users[1..2])).await;
    assert_eq!(take(&consumer).await, []);

    for path in [path, ann] {
        assert_eq!(client.delete(&path).await.status, 204);
        assert_eq!(take(&consumer).await, [(path, json!({ "prov:delete": {} }))]);
    }
}

#[tokio::test]
async fn deactivation_is_one_event_of_the_user() {
    let (_, client, consumer) = feed_of(service()).await;
    for groups in [0, 2, 40] {
        let (user, _) = create_user_in_groups(&client, &format!("u{groups}"), groups).await;
        take(&consumer).await;
        let path = format!("/Users/{user}");
        send(&client, "PATCH", &path, &set_active_body(false)).await;
        let attributes = if groups == 0 { json!(["active"]) } else { json!(["active", "groups"]) };
        let left = json!({ "prov:patch:notice": { "attributes": attributes }, "prov:deactivate": {} });
        assert_eq!(take(&consumer).await, [(path.clone(), left)], "{groups} groups");
        send(&client, "PATCH", &path, &set_active_body(true)).await;
        let back = json!({ "prov:patch:notice": { "attributes": ["active"] }, "prov:activate": {} });
        assert_eq!(take(&consumer).await, [(path, back)], "{groups} groups");
    }
}

#[tokio::test]
async fn members_of_one_request_are_one_event() {
    let (_, client, consumer) = feed_of(service()).await;
    let mut users = create_users(&client, 256).await;
    users.sort();
    let group = create_group(&client, "g", &[]).await;
    take(&consumer).await;
    assert!(add_members(&client, &group, &users).await.status < 300);
    let events = take(&consumer).await;
    assert_eq!(
        events,
        [(format!("/Groups/{group}"), json!({ "prov:patch:full": member_patch(vec![added(&users)]) }))]
    );
    let all = create_group(&client, "all", &users).await;
    let created = json!({ "prov:create:notice": { "attributes": ["displayName", "members"] } });
    assert_eq!(take(&consumer).await, [(format!("/Groups/{all}"), created)], "a new group is one event");
}

#[tokio::test]
async fn merged_changes_tell_the_state_of_now() {
    let (_, client, consumer) = feed_of(service()).await;
    let users = create_users(&client, 2).await;
    let group = create_group(&client, "g", &users[..1]).await;
    take(&consumer).await;
    let path = format!("/Groups/{group}");
    // The second user joins and leaves; the first leaves and joins.
    send(&client, "PATCH", &path, &remove_members_body(&users[..1])).await;
    assert_eq!(add_members(&client, &group, &users).await.status, 200);
    send(&client, "PATCH", &path, &remove_members_body(&users[1..])).await;
    let full = member_patch(vec![added(&users[..1]), removed(&users[1])]);
    assert_eq!(take(&consumer).await, [(path, json!({ "prov:patch:full": full }))]);
    let user = create_user(&client, "short lived").await;
    assert_eq!(client.delete(&format!("/Users/{user}")).await.status, 204);
    assert_eq!(take(&consumer).await, [(format!("/Users/{user}"), json!({ "prov:delete": {} }))]);
}

#[tokio::test]
async fn local_groups_and_roles_make_events() {
    let service = service();
    let (connector, client, consumer) = feed_of(service).await;
    let user = create_user(&client, "ann").await;
    take(&consumer).await;
    let directory = service.directory(&connector.id).await;
    for (kind, endpoint) in [(ResourceKind::LocalGroup, "Groups"), (ResourceKind::Role, "Roles")] {
        let document = json!({ "displayName": "x" }).as_object().unwrap().clone();
        let created = directory.create_group(kind, document, Vec::new()).await.unwrap();
        let path = format!("/{endpoint}/{}", created.group.id);
        let notice = json!({ "prov:create:notice": { "attributes": ["displayName"] } });
        assert_eq!(take(&consumer).await, [(path.clone(), notice)]);
        let join = shared::patch::MemberOperation::Add(vec![shared::patch::MemberValue {
            id: shared::resource::ResourceId::parse(&user).unwrap(),
            display: None,
            kind: None,
        }]);
        directory.change_group(kind, created.group.id, None, |same| Ok(same.clone()), &[join]).await.unwrap();
        let full = json!({ "prov:patch:full": member_patch(vec![added(std::slice::from_ref(&user))]) });
        assert_eq!(take(&consumer).await, [(path.clone(), full)]);
        directory.delete(kind, created.group.id, None).await.unwrap();
        assert_eq!(take(&consumer).await, [(path, json!({ "prov:delete": {} }))]);
    }
}

#[tokio::test]
async fn event_that_is_not_acknowledged_comes_again_with_the_same_id() {
    let (_, client, consumer) = feed_of(service()).await;
    let user = format!("/Users/{}", create_user(&client, "ann").await);
    let first = consumer.events().await;
    assert_eq!(consumer.events().await, first);
    send(&client, "PATCH", &user, &set_active_body(false)).await;
    let merged = consumer.events().await;
    assert_eq!(merged.len(), 1);
    assert_ne!(merged[0].jti, first[0].jti);
    // The first event is acknowledged late: only what it told of is gone.
    consumer.acknowledge(&first).await;
    let rest = consumer.events().await;
    assert_eq!(
        rest.iter().map(short).collect::<Vec<_>>(),
        [json!({ "prov:patch:notice": { "attributes": ["active"] }, "prov:deactivate": {} })]
    );
    consumer.acknowledge(&first).await;
    consumer.acknowledge(&merged).await;
    assert_eq!(consumer.events().await, rest, "repeated and outdated acknowledgements change nothing");
    consumer.acknowledge(&rest).await;
    send(&client, "PATCH", &user, &set_active_body(true)).await;
    consumer.acknowledge(&rest).await;
    assert_eq!(consumer.events().await.len(), 1, "a repeated acknowledgement does not take a new change");
}

#[tokio::test]
async fn unknown_ids_acknowledge_nothing() {
    let (_, client, consumer) = feed_of(service()).await;
    let user = create_user(&client, "ann").await;
    let events = consumer.events().await;
    let jti = events[0].jti.clone();
    let (resource, order) = jti.split_once('/').unwrap();
    let other = "0".repeat(order.len());
    let unknown =
        [String::new(), "x".to_owned(), format!("{resource}/"), format!("{resource}/{other}"), user];
    let many = (0..70).map(|count| format!("{resource}/{count}.{}", "0".repeat(32)));
    let jtis: Vec<String> = unknown.into_iter().chain(many).collect();
    consumer.outbox().await.unwrap().acknowledge(&jtis).await.unwrap();
    assert_eq!(consumer.events().await, events);
}

#[tokio::test]
async fn two_feeds_have_the_same_changes() {
    let service = service();
    let connector = service.connector().await;
    let one = Consumer::create(service.table(), &connector.id, "one").await;
    let other = Consumer::create(service.table(), &connector.id, "other").await;
    create_users(&connector.local(service), 3).await;
    let events = one.events().await;
    assert_eq!((events.len(), other.events().await), (3, events.clone()));
    one.acknowledge(&events).await;
    assert_eq!(other.events().await, events);
}

#[tokio::test]
async fn new_feed_marks_everything_when_every_process_knows_it() {
    let service = service();
    let connector = service.connector().await;
    let client = connector.local(service);
    let users = create_users(&client, 3).await;
    create_group(&client, "g", &users[..2]).await;
    send(&client, "PATCH", &format!("/Users/{}", users[2]), &set_active_body(false)).await;
    let mut consumer = Consumer::create(service.table(), &connector.id, "late").await;
    consumer.tend(SignedDuration::from_secs(140)).await;
    assert_eq!(consumer.events().await, [], "some processes may not know it");
    consumer.tend(LATER).await;
    let events = consumer.events().await;
    let count = |name: &str| events.iter().filter(|event| short(event).get(name).is_some()).count();
    assert_eq!((count("feed:add"), count("feed:remove"), events.len()), (3, 1, 4));
    consumer.drain().await.unwrap();
    consumer.assert_equals_directory().await;
    consumer.tend(LATER).await;
    assert_eq!(consumer.events().await, [], "the marking has ended");
    let id = FeedId::parse("late").unwrap();
    service.connectors().replay_feed(&connector.id, &id).await.unwrap();
    consumer.tend(SignedDuration::from_secs(1)).await;
    assert_eq!(consumer.events().await.len(), 4);
}

#[tokio::test]
async fn changed_rules_mark_everything_when_every_process_knows_them() {
    let service = service();
    let (connector, client, mut consumer) = feed_of(service).await;
    let users = create_users(&client, 3).await;
    create_group(&client, "visible", &users).await;
    create_group(&client, "secret", &users[..1]).await;
    consumer.tend(LATER).await;
    consumer.drain().await.unwrap();
    consumer.assert_equals_directory().await;
    assert_eq!(consumer.copy.groups.len(), 2);
    let rules = Rules { exclude_groups: vec!["secret".to_owned()], ..Rules::default() };
    service.change_settings(&connector.id, |_| Settings { rules, ..Settings::default() }).await;
    consumer.tend(SignedDuration::from_secs(140)).await;
    assert_eq!(consumer.events().await, []);
    consumer.tend(LATER).await;
    assert_eq!(consumer.events().await.len(), 5);
    consumer.drain().await.unwrap();
    consumer.assert_equals_directory().await;
    assert_eq!(consumer.copy.groups.len(), 1);
}

#[tokio::test]
async fn feed_is_read_in_turn() {
    let (_, client, consumer) = feed_of(service()).await;
    create_users(&client, 7).await;
    let outbox = consumer.outbox().await.unwrap();
    let mut seen = Vec::new();
    let mut after: Option<String> = None;
    for expected in [3, 3, 3] {
        let batch = outbox.read(after.as_deref(), 3).await.unwrap();
        assert_eq!((batch.events.len(), batch.has_more), (expected, true));
        seen.extend(batch.events.iter().map(|event| event.jti.clone()));
        after = seen.last().cloned();
    }
    let first: std::collections::BTreeSet<&String> = seen[..7].iter().collect();
    assert_eq!(
        (first.len(), &seen[7..]),
        (7, &seen[..2]),
        "each resource in its turn, and then from the start"
    );
    let batch = outbox.read(after.as_deref(), 7).await.unwrap();
    assert_eq!((batch.events.len(), batch.has_more), (7, false));
}

#[tokio::test]
async fn deleted_feed_leaves_nothing() {
    let service = service();
    let (connector, client, consumer) = feed_of(service).await;
    create_users(&client, 2).await;
    let id = FeedId::parse("platform").unwrap();
    service.connectors().delete_feed(&connector.id, &id).await.unwrap();
    assert_eq!(service.table().feed(&connector.id, &id).await.unwrap(), None);
    consumer.tend(SignedDuration::from_secs(140)).await;
    assert_eq!(consumer.events().await.len(), 2, "processes that know the feed can still write to it");
    consumer.tend(LATER).await;
    assert_eq!(consumer.events().await, []);
    assert_eq!(service.table().feeds(&connector.id).await.unwrap(), []);
    Consumer::create(service.table(), &connector.id, "platform").await;
}

#[tokio::test]
async fn marked_user_keeps_no_group_that_it_left() {
    let service = service();
    let (connector, client, mut consumer) = feed_of(service).await;
    let (user, groups) = create_user_in_groups(&client, "ann", 2).await;
    consumer.drain().await.unwrap();
    let path = format!("/Users/{user}");
    send(&client, "PATCH", &path, &set_active_body(false)).await;
    send(&client, "PATCH", &path, &set_active_body(true)).await;
    // The marking meets the changes that wait.
    service.connectors().replay_feed(&connector.id, &FeedId::parse("platform").unwrap()).await.unwrap();
    consumer.tend(LATER).await;
    consumer.drain().await.unwrap();
    consumer.assert_equals_directory().await;
    assert!(groups.iter().all(|group| consumer.copy.groups[&format!("/Groups/{group}")].1.is_empty()));
}

#[tokio::test]
async fn members_of_a_batch_are_bounded() {
    let (_, client, consumer) = feed_of(service()).await;
    let users = create_users(&client, 2_000).await;
    take_all(&consumer).await;
    for number in 0..4 {
        create_group(&client, &format!("g{number}"), &[]).await;
    }
    take_all(&consumer).await;
    let groups = client.get("/Groups").await.json()["Resources"].as_array().unwrap().clone();
    for group in &groups {
        assert!(add_members(&client, group["id"].as_str().unwrap(), &users).await.status < 300);
    }
    let outbox = consumer.outbox().await.unwrap();
    let batch = outbox.read(None, 100).await.unwrap();
    assert_eq!((batch.events.len(), batch.has_more), (3, true), "a batch ends after 5,000 memberships");
}

#[tokio::test]
async fn large_users_wait_together() {
    let (_, client, consumer) = feed_of(service()).await;
    // Their items have more than 4 MB, the most that one TransactGetItems request reads.
    for number in 0..20 {
        let user =
            json!({ "schemas": [USER], "userName": format!("u{number}"), "title": "x".repeat(290_000) });
        send(&client, "POST", "/Users", &user).await;
    }
    assert_eq!(take(&consumer).await.len(), 20);
}
