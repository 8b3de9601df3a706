//! `scimctl feed`: operators create, watch, pause and delete feeds.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use tests::layout::Key;
use tests::provisioning::create_user;
use tests::scimctl::run;
use tests::service::{TestConnector, service};
use tests::table::set_attribute;

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The state of the feed, the number of changes that wait, and its audience.
fn shown(connector: &TestConnector) -> Value {
    let feeds = json_lines(&run(connector, &["feed", "list", "--json"]).ok());
    let [feed] = feeds.as_slice() else { panic!("{feeds:?}") };
    assert_eq!(feed, &json_lines(&run(connector, &["feed", "show", "platform", "--json"]).ok())[0]);
    json!([feed["state"], feed["waiting"], feed["audience"]])
}

#[tokio::test]
async fn operator_creates_watches_and_deletes_a_feed() {
    let connector = service().connector().await;
    let audience = "https://platform.example.com";
    let created = run(&connector, &["feed", "create", "platform", "--audience", audience]).ok();
    let poll = format!("Its consumer polls POST /{}/events/v1/platform/poll\n", connector.id);
    assert!(created.ends_with(&poll), "{created}");
    assert_eq!(shown(&connector), json!(["marking", 0, audience]));
    let user = create_user(&connector.local(service()), "ann").await;
    assert_eq!(shown(&connector), json!(["marking", 1, audience]));
    let events = json_lines(&run(&connector, &["feed", "tail", "platform", "--once"]).ok());
    let [event] = events.as_slice() else { panic!("{events:?}") };
    let notice = json!({ "urn:ietf:params:scim:event:prov:create:notice": { "attributes": ["userName"] } });
    assert_eq!((&event["uri"], &event["events"]), (&json!(format!("/Users/{user}")), &notice));
    assert_eq!(shown(&connector), json!(["marking", 1, audience]), "tail leaves the events in the feed");

    run(&connector, &["feed", "pause", "platform"]).ok();
    assert_eq!(shown(&connector), json!(["paused", 1, audience]));
    run(&connector, &["feed", "resume", "platform"]).ok();
    run(&connector, &["feed", "replay", "platform"]).ok();
    assert_eq!(shown(&connector), json!(["marking", 1, audience]));
    assert!(run(&connector, &["feed", "rotate-key"]).ok().contains("is published"));

    let refused = run(&connector, &["feed", "delete", "platform"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("in which 1 change waits"), "{refused:?}");
    assert_eq!(shown_states(&connector), ["marking"]);
    run(&connector, &["feed", "delete", "platform", "--yes"]).ok();
    assert_eq!(shown_states(&connector), ["deleting"]);
}

fn shown_states(connector: &TestConnector) -> Vec<String> {
    let feeds = json_lines(&run(connector, &["feed", "list", "--json"]).ok());
    feeds.iter().map(|feed| feed["state"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn error_of_a_consumer_is_shown() {
    let connector = service().connector().await;
    run(&connector, &["feed", "create", "platform"]).ok();
    let reader = connector.reader(service()).await;
    let consumer = reader.at(&reader.base_url.replace("/directory/v1", "/events/v1"));
    let error = json!({ "setErrs": { "x": { "err": "invalid_key", "description": "y" } }, "maxEvents": 0 });
    assert_eq!(consumer.send_json("POST", "/platform/poll", &error).await.status, 200);
    let last = run(&connector, &["feed", "show", "platform"]).value("Last error:");
    assert!(last.ends_with(" x: invalid_key: y"), "{last}");
}

#[tokio::test]
async fn acknowledgements_of_a_polling_consumer_are_shown_to_the_minute() {
    let connector = service().connector().await;
    run(&connector, &["feed", "create", "platform"]).ok();
    let reader = connector.reader(service()).await;
    let consumer = reader.at(&reader.base_url.replace("/directory/v1", "/events/v1"));
    let shown = || run(&connector, &["feed", "show", "platform"]).value("Last delivered:");
    let poll = async |body: Value| {
        let reply = consumer.send_json("POST", "/platform/poll", &body).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["sets"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    create_user(&connector.local(service()), "ann").await;
    let events = poll(json!({})).await;
    assert_eq!(shown(), "", "nothing is acknowledged");
    poll(json!({ "ack": events, "returnImmediately": true })).await;
    assert!(shown().ends_with(" UTC"), "{}", shown());
    // A newer time than now stays, and an old one is replaced.
    let key = Key::new(format!("feeds/{}", connector.id), "platform");
    for (stored, is_kept) in [("4102444800000", true), ("1000", false)] {
        set_attribute(service(), &key, "delivered", AttributeValue::N(stored.to_owned())).await;
        let before = shown();
        poll(json!({ "ack": events, "returnImmediately": true })).await;
        assert_eq!(shown() == before, is_kept, "{before}");
        assert_eq!(shown().starts_with("2100-01-01"), is_kept, "{}", shown());
    }
}

#[tokio::test]
async fn feeds_that_cannot_be_are_refused() {
    let connector = service().connector().await;
    assert!(run(&connector, &["feed", "create", "UPPER"]).failed().contains("cannot be the id of a feed"));
    assert!(run(&connector, &["feed", "show", "none"]).failed().contains("has no feed none"));
    assert!(run(&connector, &["feed", "pause", "none"]).failed().contains("has no feed none"));
    assert!(run(&connector, &["feed", "rotate-key"]).failed().contains("its first feed makes one"));
    for feed in ["one", "two", "three"] {
        run(&connector, &["feed", "create", feed]).ok();
    }
    assert!(run(&connector, &["feed", "create", "one"]).failed().contains("maximum"));
    run(&connector, &["feed", "delete", "three", "--yes"]).ok();
    assert!(run(&connector, &["feed", "create", "one"]).failed().contains("has a feed one"));
    assert!(run(&connector, &["feed", "create", "three"]).failed().contains("its deletion has not ended"));
}
