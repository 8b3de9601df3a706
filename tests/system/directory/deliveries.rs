//! Delivery of feeds: pushed tokens (RFC 8935), webhooks (Standard Webhooks), Amazon EventBridge, failures and the lease.

use std::collections::BTreeSet;
use std::time::Duration;

use delivery::target::Reach;
use delivery::{Delivered, Deliverer, EventBuses, When};
use directory::Table;
use directory::feeds::{Bus, DeliveryResult, Feed, FeedId, NewDelivery, NewFeed, generate_webhook_secret};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shared::schema::Schemas;
use tests::client::Client;
use tests::event_bus::EventBridge;
use tests::faults::FaultyDynamoDb;
use tests::hooks::Action;
use tests::provisioning::{create_group, create_user, create_users, patch_body};
use tests::receiver::{Answer, Receiver};
use tests::service::{Service, TABLE, TestConnector, service};
use tests::token;
use tokio::time::Instant;

const ISSUER: &str = "https://scim.example.com/okta";

/// A connector with a feed that sends its events to a URL.
struct Sent {
    connector: TestConnector,
    client: Client,
    feed: FeedId,
    table: Table,
}

impl Sent {
    async fn new(service: &'static Service, delivery: NewDelivery) -> Self {
        let connector = service.connector().await;
        let feed = FeedId::parse("platform").unwrap();
        let audience = Some("https://platform.example.com".to_owned());
        let new = NewFeed { id: feed.clone(), audience, delivery };
        service.connectors().create_feed(&connector.id, &new).await.unwrap();
        Self { client: connector.local(service), connector, feed, table: service.table() }
    }

    async fn push(url: &str) -> Self {
        Self::new(service(), push(url)).await
    }

    async fn deliver_with(&self, deliverer: &Deliverer, when: When, later: u64) -> Delivered {
        let now = Timestamp::now() + SignedDuration::from_secs(later.try_into().unwrap());
        let end = Instant::now() + Duration::from_secs(60);
        deliverer.deliver(&self.connector.id, &self.feed, when, now, end).await.unwrap()
    }

    /// Delivers what is due after so many seconds.
    async fn deliver(&self, later: u64) -> Delivered {
        self.deliver_with(&deliverer(&self.table, Reach::Private), When::Due, later).await
    }

    async fn read(&self) -> Feed {
        self.table.feed(&self.connector.id, &self.feed).await.unwrap().unwrap()
    }

    async fn waiting(&self) -> usize {
        self.table.feed_info(&self.connector.id, self.read().await).await.unwrap().waiting
    }

    /// Delivers, and asserts that the consumer did not accept the only event. Returns the error that operators see.
    async fn fail(&self, deliverer: &Deliverer) -> String {
        let delivered = self.deliver_with(deliverer, When::Now, 0).await;
        let Delivered::Sent { events: 0, result: DeliveryResult::Failed { error, .. } } = delivered else {
            panic!("{delivered:?}")
        };
        assert_eq!(self.waiting().await, 1, "{error}");
        assert_eq!(self.read().await.last_error.unwrap().1, error);
        error
    }
}

fn push(url: &str) -> NewDelivery {
    NewDelivery::Push { url: url.to_owned(), issuer: ISSUER.to_owned(), token: Some("t0ken".to_owned()) }
}

fn deliverer(table: &Table, reach: Reach) -> Deliverer {
    let buses = EventBuses::new(|| runtime::dynamodb::aws_loader().load());
    Deliverer::new(table.clone(), Schemas::built_in(), reach, buses).unwrap()
}

fn all(events: usize) -> Delivered {
    Delivered::Sent { events, result: DeliveryResult::Delivered }
}

async fn keys_of(connector: &TestConnector) -> Value {
    let anyone = Client::new(&format!("{}/{}", service().origin(), connector.id), "", "");
    anyone.send("GET", "/jwks.json", &[("authorization", "")], "").await.json()
}

#[tokio::test]
async fn pushed_event_is_a_signed_token_and_is_acknowledged() {
    let receiver = Receiver::start().await;
    let sent = Sent::push(&receiver.url).await;
    let user = create_user(&sent.client, "ann").await;
    assert_eq!(sent.deliver(0).await, all(1));
    assert_eq!((sent.deliver(0).await, sent.waiting().await), (Delivered::Nothing, 0));
    let requests = receiver.requests();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    // RFC 8935 §2.1
    assert_eq!(request.header("content-type"), "application/secevent+jwt");
    assert_eq!(request.header("accept"), "application/json");
    assert_eq!(request.header("authorization"), "Bearer t0ken");
    token::verify(&request.body, &keys_of(&sent.connector).await);
    let claims = request.claims();
    let expected = json!({
        "iss": ISSUER,
        "iat": claims["iat"],
        "jti": claims["jti"],
        "txn": claims["txn"],
        "aud": ["https://platform.example.com"],
        "sub_id": { "format": "scim", "uri": format!("/Users/{user}") },
        "events": { "urn:ietf:params:scim:event:prov:create:notice": { "attributes": ["userName"] } },
    });
    assert_eq!(claims, expected);
}

#[tokio::test]
async fn webhook_is_signed_with_both_secrets_after_a_rotation() {
    let receiver = Receiver::start().await;
    let secrets = [(); 3].map(|()| generate_webhook_secret().unwrap());
    let delivery = NewDelivery::Webhook {
        url: receiver.url.clone(),
        issuer: ISSUER.to_owned(),
        secret: secrets[0].clone(),
    };
    let sent = Sent::new(service(), delivery).await;
    let mut signed = Vec::new();
    for (number, secret) in secrets.iter().enumerate() {
        if number > 0 {
            let connectors = service().connectors();
            connectors.replace_delivery_secret(&sent.connector.id, &sent.feed, secret).await.unwrap();
        }
        create_user(&sent.client, &format!("user {number}")).await;
        assert_eq!(sent.deliver(0).await, all(1));
        let request = receiver.requests().pop().unwrap();
        signed.push(secrets.each_ref().map(|secret| request.is_signed_with(secret)));
    }
    assert_eq!(signed, [[true, false, false], [true, true, false], [false, true, true]]);
    let request = receiver.requests().remove(0);
    let message: Value = serde_json::from_str(&request.body).unwrap();
    let claims = &message["data"];
    let time = Timestamp::from_second(claims["iat"].as_i64().unwrap()).unwrap();
    assert_eq!(message, json!({ "type": "user.created", "timestamp": time.to_string(), "data": claims }));
    assert_eq!((request.header("content-type"), claims["iss"].as_str()), ("application/json", Some(ISSUER)));
    assert_eq!(request.header("webhook-id"), claims["jti"].as_str().unwrap().replace('.', "-"));
    let sent_at: i64 = request.header("webhook-timestamp").parse().unwrap();
    assert!((time.as_second()..=Timestamp::now().as_second()).contains(&sent_at));
}

#[tokio::test]
async fn event_that_the_consumer_does_not_accept_stays_and_its_error_is_kept() {
    let receiver = Receiver::start().await;
    let sent = Sent::push(&receiver.url).await;
    create_user(&sent.client, "ann").await;
    let deliverer = deliverer(&sent.table, Reach::Private);
    let error = r#"{"err":"invalid_key","description":"key é is unknown"}"#;
    for (answer, expected) in [
        (Answer::status(500), "500 Internal Server Error"),
        (Answer::status(404), "404 Not Found"),
        (Answer::Status(302, "location", "/elsewhere", ""), "302 Found: redirects are not followed"),
        (
            Answer::Status(307, "location", "/elsewhere", ""),
            "307 Temporary Redirect: redirects are not followed",
        ),
        (Answer::Status(401, "x-test", "1", error), "401 Unauthorized: invalid_key: key é is unknown"),
        (Answer::Long(500), "500 Internal Server Error"),
        (Answer::status(429), "429 Too Many Requests"),
    ] {
        receiver.answer([answer]);
        assert_eq!(sent.fail(&deliverer).await, expected);
    }
    receiver.answer([Answer::Status(400, "x-test", "1", error)]);
    let found = sent.fail(&deliverer).await;
    assert!(
        found.starts_with("event u") && found.ends_with(": 400 Bad Request: invalid_key: key é is unknown"),
        "{found}"
    );
    let count = receiver.requests().len();
    assert_eq!((count, sent.read().await.failures), (8, 8), "each delivery sends the event once");
    // The body of an answer does not matter if the event is accepted.
    receiver.answer([Answer::Long(200)]);
    assert_eq!(sent.deliver_with(&deliverer, When::Now, 0).await, all(1));
    let feed = sent.read().await;
    assert_eq!((feed.failures, feed.retry_at, sent.waiting().await), (0, None, 0));
}

#[tokio::test]
async fn consumer_that_closes_the_connection_or_does_not_speak_tls_gets_the_event_again() {
    let receiver = Receiver::start().await;
    let https = receiver.url.replace("http://", "https://");
    for url in [Receiver::closing().await, https, "http://127.0.0.1:1/".to_owned()] {
        let sent = Sent::push(&url).await;
        create_user(&sent.client, "ann").await;
        let error = sent.fail(&deliverer(&sent.table, Reach::Private)).await;
        assert!(!error.is_empty());
        assert_eq!(sent.read().await.failures, 1);
    }
    assert_eq!(receiver.requests().len(), 0);
}

#[tokio::test]
async fn other_feeds_are_delivered_while_a_consumer_does_not_answer() {
    let (slow, fast) = (Receiver::start().await, Receiver::start().await);
    slow.answer([Answer::Never]);
    let (waiting, other) = tokio::join!(Sent::push(&slow.url), Sent::push(&fast.url));
    create_user(&waiting.client, "ann").await;
    create_user(&other.client, "ann").await;
    let deliverer = deliverer(&waiting.table, Reach::Private);
    let (error, delivered) = tokio::join!(waiting.fail(&deliverer), other.deliver(0));
    assert_eq!((error.as_str(), delivered), ("no answer within 15 seconds", all(1)));
}

#[tokio::test]
async fn failed_delivery_is_repeated_after_growing_pauses() {
    let receiver = Receiver::start().await;
    let sent = Sent::push(&receiver.url).await;
    create_user(&sent.client, "ann").await;
    let mut later = 0;
    for (failures, pause) in [(1, 5), (2, 300), (3, 1_800)] {
        receiver.answer([Answer::status(503)]);
        let before = Timestamp::now() + SignedDuration::from_secs(later);
        assert!(matches!(sent.deliver(later.try_into().unwrap()).await, Delivered::Sent { events: 0, .. }));
        let feed = sent.read().await;
        let found = feed.retry_at.unwrap().duration_since(before).as_secs();
        // A fifth is added at most, and the delivery takes a moment.
        assert_eq!(feed.failures, failures);
        assert!((pause..=pause + pause / 5 + 60).contains(&found), "{found} s after {failures} failures");
        if failures > 1 {
            let too_early = u64::try_from(later + pause / 2).unwrap();
            assert_eq!(sent.deliver(too_early).await, Delivered::Nothing);
        }
        later += found + 1;
    }
    assert_eq!(sent.deliver(later.try_into().unwrap()).await, all(1));
    assert_eq!(receiver.requests().len(), 4);
}

#[tokio::test]
async fn retry_after_of_the_consumer_is_obeyed() {
    let receiver = Receiver::start().await;
    let sent = Sent::push(&receiver.url).await;
    create_user(&sent.client, "ann").await;
    receiver.answer([Answer::Status(429, "retry-after", "1000", "")]);
    let before = Timestamp::now();
    assert!(matches!(sent.deliver(0).await, Delivered::Sent { events: 0, .. }));
    let retry_at = sent.read().await.retry_at.unwrap().duration_since(before).as_secs();
    assert!((1_000..=1_260).contains(&retry_at), "{retry_at}");
    assert_eq!(sent.deliver(900).await, Delivered::Nothing);
    assert_eq!(sent.deliver(1_300).await, all(1));
}

#[tokio::test]
async fn gone_pauses_the_feed_until_an_operator_resumes_it() {
    let receiver = Receiver::start().await;
    let sent = Sent::push(&receiver.url).await;
    create_user(&sent.client, "ann").await;
    receiver.answer([Answer::status(410)]);
    let gone = DeliveryResult::Gone { error: "410 Gone".to_owned() };
    assert_eq!(sent.deliver(0).await, Delivered::Sent { events: 0, result: gone });
    let feed = sent.read().await;
    assert!(feed.is_paused());
    assert_eq!(feed.last_error.unwrap().1, "410 Gone");
    assert_eq!(sent.deliver(1_000_000).await, Delivered::Nothing);
    assert_eq!(
        sent.deliver_with(&deliverer(&sent.table, Reach::Private), When::Now, 0).await,
        Delivered::Nothing
    );
    service().connectors().resume_feed(&sent.connector.id, &sent.feed).await.unwrap();
    assert_eq!(sent.deliver(0).await, all(1));
}

#[tokio::test]
async fn refused_event_does_not_hold_up_the_others() {
    let receiver = Receiver::start().await;
    let sent = Sent::push(&receiver.url).await;
    create_users(&sent.client, 20).await;
    receiver.answer([Answer::status(400)]);
    let delivered = sent.deliver(0).await;
    assert!(
        matches!(
            &delivered,
            Delivered::Sent { events: 19, result: DeliveryResult::Failed { failures: 1, .. } }
        ),
        "{delivered:?}"
    );
    assert_eq!((sent.waiting().await, receiver.requests().len()), (1, 20));
    assert_eq!(sent.deliver(10).await, all(1));
}

#[tokio::test]
async fn two_deliverers_at_once_deliver_each_event_once() {
    let receiver = Receiver::start().await;
    let sent = Sent::push(&receiver.url).await;
    let mut expected: Vec<String> =
        create_users(&sent.client, 50).await.into_iter().map(|id| format!("/Users/{id}")).collect();
    expected.sort();
    let deliverers = [(); 4].map(|()| deliverer(&sent.table, Reach::Private));
    let [a, b, c, d] = deliverers.each_ref().map(|one| sent.deliver_with(one, When::Now, 0));
    let results: [Delivered; 4] = tokio::join!(a, b, c, d).into();
    assert_eq!(results.iter().filter(|one| **one == all(50)).count(), 1, "{results:?}");
    assert_eq!(receiver.uris(), expected);
}

#[tokio::test]
async fn nothing_is_lost_when_a_deliverer_dies_before_it_acknowledges() {
    let receiver = Receiver::start().await;
    let sent = Sent::push(&receiver.url).await;
    create_users(&sent.client, 3).await;
    let faulty = FaultyDynamoDb::start(service().endpoint()).await;
    let hook = faulty.at_call(0, |call| call.operation == "BatchWriteItem", Action::HoldRequest);
    let table = Table::new(runtime::dynamodb::client_at(&faulty.endpoint).await, TABLE.to_owned());
    let dying = deliverer(&table, Reach::Private);
    let (id, feed) = (sent.connector.id.clone(), sent.feed.clone());
    let task = tokio::spawn(async move {
        let end = Instant::now() + Duration::from_secs(60);
        drop(dying.deliver(&id, &feed, When::Due, Timestamp::now(), end).await);
    });
    hook.reached().await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let first = receiver.requests();
    assert_eq!((first.len(), sent.waiting().await), (3, 3));
    assert_eq!(sent.deliver(0).await, Delivered::Busy, "the lease has not ended");
    assert_eq!(sent.deliver(61).await, all(3));
    let jtis = |requests: &[tests::receiver::Received]| -> BTreeSet<String> {
        requests.iter().map(|request| request.claims()["jti"].to_string()).collect()
    };
    assert_eq!(jtis(&receiver.requests()[3..]), jtis(&first), "the events come again with the same ids");
}

#[tokio::test]
async fn nothing_is_sent_to_addresses_that_are_not_public() {
    let receiver = Receiver::start().await;
    let port = receiver.url.split(':').nth(2).unwrap().to_owned();
    for (url, expected) in [
        (receiver.url.clone(), "http is not allowed here, only https"),
        (format!("https://127.0.0.1:{port}"), "127.0.0.1 has the address 127.0.0.1, which is not public"),
        (format!("https://[::1]:{port}"), "::1 has the address ::1, which is not public"),
        (format!("https://localhost:{port}"), "localhost has the address"),
        ("https://169.254.169.254/latest".to_owned(), "which is not public"),
        ("https://10.0.0.1/".to_owned(), "which is not public"),
    ] {
        let sent = Sent::push(&url).await;
        create_user(&sent.client, "ann").await;
        let error = sent.fail(&deliverer(&sent.table, Reach::Public)).await;
        assert!(error.contains(expected), "{url}: {error}");
    }
    let sent = Sent::push("https://169.254.169.254/").await;
    create_user(&sent.client, "ann").await;
    let error = sent.fail(&deliverer(&sent.table, Reach::Private)).await;
    assert!(error.contains("which is not public"), "{error}");
    assert_eq!(receiver.requests().len(), 0);
}

#[tokio::test]
async fn feed_with_a_url_is_not_polled_and_its_secrets_end_with_it() {
    let receiver = Receiver::start().await;
    let sent = Sent::push(&receiver.url).await;
    let reader = sent.connector.reader(service()).await;
    let consumer = reader.at(&reader.base_url.replace("/directory/v1", "/events/v1"));
    let reply = consumer.send_json("POST", "/platform/poll", &json!({})).await;
    assert_eq!((reply.status, reply.json()["err"].as_str()), (400, Some("invalid_request")));
    let delivery = sent.read().await.settings.delivery;
    let secrets = || service_secrets(&sent, &delivery);
    assert_eq!(secrets().await.unwrap(), ["t0ken"]);
    service().connectors().delete_feed(&sent.connector.id, &sent.feed).await.unwrap();
    secrets().await.unwrap_err();
}

async fn service_secrets(
    sent: &Sent,
    delivery: &directory::feeds::Delivery,
) -> Result<Vec<String>, shared::error::ScimError> {
    sent.table.delivery_secrets(&sent.connector.id, &sent.feed, delivery).await
}

#[tokio::test]
async fn function_delivers_changes_of_the_stream_and_what_is_due() {
    let service = Service::start();
    let connector = service.connector().await;
    let (receiver, feed) = (Receiver::start().await, FeedId::parse("platform").unwrap());
    let new = NewFeed { id: feed.clone(), audience: None, delivery: push(&receiver.url) };
    service.connectors().create_feed(&connector.id, &new).await.unwrap();
    let client = connector.functions(&service);
    let lambda = service.gateway().lambda();
    let file = tests::workspace().join("events/feeds-deliver.json");
    let mut event: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let invoke = async |event: &Value| lambda.invoke("feeds-deliver", event).await.unwrap();
    let nothing_failed = json!({ "batchItemFailures": [] });
    assert_eq!(invoke(&event).await, nothing_failed, "the feed of the example does not exist");

    let user = create_user(&client, "ann").await;
    event["Records"][0]["dynamodb"]["Keys"]["pk"]["S"] = json!(format!("outbox/{}/{feed}", connector.id));
    event["Records"][0]["eventName"] = json!("REMOVE");
    assert_eq!(invoke(&event).await, nothing_failed);
    assert_eq!(receiver.uris(), [""; 0], "removed items deliver nothing");
    event["Records"][0]["eventName"] = json!("INSERT");
    receiver.answer([Answer::status(503)]);
    assert_eq!(invoke(&event).await, nothing_failed, "a failure of the consumer is not one of the record");
    let schedule = json!({ "detail-type": "Scheduled Event", "source": "aws.events" });
    service.connectors().resume_feed(&connector.id, &feed).await.unwrap();
    assert_eq!(invoke(&schedule).await, json!({ "events": 1, "failed": 0 }));
    assert_eq!(invoke(&schedule).await, json!({ "events": 0, "failed": 0 }));
    assert_eq!(receiver.uris(), [format!("/Users/{user}"), format!("/Users/{user}")]);
}

fn to_bus(bridge: &EventBridge, table: &Table) -> Deliverer {
    Deliverer::new(table.clone(), Schemas::built_in(), Reach::Public, bridge.client()).unwrap()
}

async fn sent_to_bus() -> Sent {
    let bus = Bus { name: "platform".to_owned(), issuer: ISSUER.to_owned() };
    Sent::new(service(), NewDelivery::EventBus(bus)).await
}

#[tokio::test]
async fn events_reach_an_event_bus_as_notices() {
    let bridge = EventBridge::start().await;
    let sent = sent_to_bus().await;
    let deliverer = to_bus(&bridge, &sent.table);
    let user = create_user(&sent.client, "ann").await;
    let group = create_group(&sent.client, "guides", &[]).await;
    assert_eq!(sent.deliver_with(&deliverer, When::Due, 0).await, all(2));
    let change = patch_body(json!([
        { "op": "replace", "path": "displayName", "value": "guides of Paris" },
        { "op": "add", "path": "members", "value": [{ "value": user }] },
    ]));
    assert_eq!(sent.client.patch(&format!("/Groups/{group}"), &change).await.status, 200);
    assert_eq!(sent.client.delete(&format!("/Users/{user}")).await.status, 204);
    assert_eq!(sent.deliver_with(&deliverer, When::Due, 0).await, all(2));
    let event = |name: &str| format!("urn:ietf:params:scim:event:prov:{name}");
    let expected = [
        (
            format!("/Groups/{group}"),
            "group.created",
            json!({ event("create:notice"): { "attributes": ["displayName"] } }),
        ),
        (
            format!("/Users/{user}"),
            "user.created",
            json!({ event("create:notice"): { "attributes": ["userName"] } }),
        ),
        (
            format!("/Groups/{group}"),
            "group.updated",
            json!({ event("patch:notice"): { "attributes": ["displayName", "members"] } }),
        ),
        (format!("/Users/{user}"), "user.deleted", json!({ event("delete"): {} })),
    ];
    let found = bridge.accepted();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (entry, (uri, kind, events)) in found.iter().zip(expected) {
        let detail = &entry["Detail"];
        let expected = json!({
            "Time": detail["iat"].as_f64(),
            "Source": "rollcall",
            "DetailType": kind,
            "EventBusName": "platform",
            "Detail": {
                "iss": ISSUER,
                "iat": detail["iat"],
                "jti": detail["jti"],
                "txn": detail["txn"],
                "aud": ["https://platform.example.com"],
                "sub_id": { "format": "scim", "uri": uri },
                "events": events,
                "connector": sent.connector.id.to_string(),
            },
        });
        let mut entry = entry.clone();
        entry["Time"] = json!(entry["Time"].as_f64());
        assert_eq!(entry, expected);
    }
}

#[tokio::test]
async fn entries_that_an_event_bus_refuses_are_sent_again() {
    let bridge = EventBridge::start().await;
    let sent = sent_to_bus().await;
    let deliverer = to_bus(&bridge, &sent.table);
    let mut users: Vec<String> =
        create_users(&sent.client, 30).await.into_iter().map(|id| format!("/Users/{id}")).collect();
    users.sort();
    // The second entry of the first request.
    let throttled = [None, Some("ThrottlingException")];
    bridge.refuse(throttled.into_iter().chain([None; 6]));
    let delivered = sent.deliver_with(&deliverer, When::Now, 0).await;
    let Delivered::Sent { events: 7, result: DeliveryResult::Failed { error, failures: 1, .. } } = delivered
    else {
        panic!("{delivered:?}")
    };
    assert_eq!((error.as_str(), sent.waiting().await), ("ThrottlingException: as the test says", 23));
    bridge.refuse([Some("AccessDeniedException")]);
    let delivered = sent.deliver_with(&deliverer, When::Now, 0).await;
    let Delivered::Sent { events: 0, result: DeliveryResult::Failed { error, failures: 2, .. } } = delivered
    else {
        panic!("{delivered:?}")
    };
    assert!(error.contains("not authorized to perform: events:PutEvents"), "{error}");
    assert_eq!(sent.deliver_with(&deliverer, When::Now, 0).await, all(23));
    let uri = |entry: &Value| entry["Detail"]["sub_id"]["uri"].as_str().unwrap().to_owned();
    let mut found: Vec<String> = bridge.accepted().iter().map(uri).collect();
    found.sort();
    assert_eq!(found, users);
}
