//! Polling a feed (RFC 8936), and the tokens that it returns (RFC 8417, RFC 9967).

use directory::feeds::FeedId;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tests::client::{Client, Reply};
use tests::consumer::Consumer;
use tests::in_process::{InProcess, json_of};
use tests::provisioning::{create_group, create_user, create_users};
use tests::service::{Service, TIME_LIMIT, TestConnector, service};
use tests::token::{parts, verify};

/// A connector with a feed, its client, and the consumer of the feed.
struct Polled {
    connector: TestConnector,
    client: Client,
    consumer: Client,
}

impl Polled {
    async fn new(service: &'static Service) -> Self {
        let connector = service.connector().await;
        Consumer::create(service.table(), &connector.id, "platform").await;
        let reader = connector.reader(service).await;
        let client = connector.local(service);
        let base_url = reader.base_url.replace("/directory/v1", "/events/v1");
        let consumer = reader.at(&base_url);
        Self { connector, client, consumer }
    }

    async fn poll(&self, body: &Value) -> Reply {
        self.consumer.send_json("POST", "/platform/poll", body).await
    }

    /// Polls and returns the tokens by their ids.
    async fn tokens(&self, body: &Value) -> Vec<(String, String)> {
        let reply = self.poll(body).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
        let sets = reply.json()["sets"].as_object().unwrap().clone();
        sets.into_iter().map(|(jti, token)| (jti, token.as_str().unwrap().to_owned())).collect()
    }
}

async fn keys_of(connector: &TestConnector) -> Value {
    let base_url = format!("{}/{}", service().origin(), connector.id);
    let anyone = Client::new(&base_url, "", "");
    let reply = anyone.send("GET", "/jwks.json", &[("authorization", "")], "").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/jwk-set+json")));
    reply.json()
}

#[tokio::test]
async fn poll_returns_signed_tokens_until_they_are_acknowledged() {
    let polled = Polled::new(service()).await;
    assert_eq!(polled.tokens(&json!({ "returnImmediately": true })).await, []);
    let before = Timestamp::now().as_second();
    let body = json!({ "schemas": [tests::provisioning::USER], "userName": "ann", "externalId": "00u1" });
    let user = polled.client.post("/Users", &body).await.json()["id"].as_str().unwrap().to_owned();
    let tokens = polled.tokens(&json!({ "returnImmediately": true })).await;
    let [(jti, token)] = tokens.as_slice() else { panic!("{tokens:?}") };
    verify(token, &keys_of(&polled.connector).await);
    let (header, claims) = parts(token);
    let kid = header["kid"].clone();
    assert_eq!(header, json!({ "alg": "ES256", "kid": kid, "typ": "secevent+jwt" }));
    let issued = claims["iat"].as_i64().unwrap();
    assert!((before..=Timestamp::now().as_second()).contains(&issued));
    let event = json!({ "urn:ietf:params:scim:event:prov:create:notice": { "attributes": ["externalId", "userName"] } });
    let expected = json!({
        "iss": format!("{}/{}", service().origin(), polled.connector.id),
        "iat": issued,
        "jti": jti,
        "txn": claims["txn"],
        "sub_id": { "format": "scim", "uri": format!("/Users/{user}"), "externalId": "00u1" },
        "events": event,
    });
    assert_eq!(claims, expected);

    let again = polled.tokens(&json!({ "returnImmediately": true })).await;
    assert_eq!(again.iter().map(|(jti, token)| (jti, parts(token).1)).collect::<Vec<_>>(), [(jti, expected)]);
    let acknowledge = json!({ "ack": [jti], "returnImmediately": true });
    assert_eq!(polled.tokens(&acknowledge).await, []);
    assert_eq!(polled.tokens(&acknowledge).await, []);
}

#[tokio::test]
async fn poll_returns_as_many_events_as_it_asks_for() {
    let polled = Polled::new(service()).await;
    create_users(&polled.client, 3).await;
    for (most, expected, has_more) in
        [(0, 0, false), (1, 1, true), (2, 2, true), (3, 3, false), (10, 3, false)]
    {
        let reply = polled.poll(&json!({ "maxEvents": most, "returnImmediately": true })).await.json();
        let count = reply["sets"].as_object().unwrap().len();
        assert_eq!((count, reply["moreAvailable"].clone()), (expected, json!(has_more)), "{most}");
    }
}

#[tokio::test]
async fn poll_waits_for_the_next_event() {
    let polled = Polled::new(service()).await;
    let body = json!({});
    let create = create_user(&polled.client, "while the consumer waits");
    let (tokens, user) = tokio::join!(polled.tokens(&body), create);
    let [(_, token)] = tokens.as_slice() else { panic!("{tokens:?}") };
    assert_eq!(parts(token).1["sub_id"]["uri"], format!("/Users/{user}"));
}

#[tokio::test]
async fn only_a_reader_of_the_connector_polls_its_feeds() {
    let polled = Polled::new(service()).await;
    let other = Polled::new(service()).await;
    let body = json!({ "returnImmediately": true });
    let url = &polled.consumer.base_url;
    for (client, path, status, code) in [
        (polled.consumer.clone(), "/unknown/poll", 404, "invalid_request"),
        (polled.consumer.clone(), "/UPPER/poll", 404, "invalid_request"),
        (polled.client.at(url), "/platform/poll", 403, "access_denied"),
        (other.consumer.at(url), "/platform/poll", 401, "authentication_failed"),
    ] {
        let reply = client.send_json("POST", path, &body).await;
        assert_eq!((reply.status, reply.json()["err"].as_str()), (status, Some(code)), "{path}");
        assert!(reply.json()["description"].is_string());
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
    let get = polled.consumer.get("/platform/poll").await;
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
}

#[tokio::test]
async fn malformed_poll_is_refused_and_changes_nothing() {
    let polled = Polled::new(service()).await;
    create_user(&polled.client, "ann").await;
    let [(jti, _)] = polled.tokens(&json!({ "returnImmediately": true })).await.try_into().unwrap();
    for body in [
        json!([]),
        json!({ "ack": jti }),
        json!({ "ack": [jti, 1] }),
        json!({ "ack": [jti], "maxEvents": -1 }),
        json!({ "ack": [jti], "maxEvents": "1" }),
        json!({ "ack": [jti], "returnImmediately": "yes" }),
        json!({ "ack": [jti], "setErrs": [] }),
        json!({ "ack": [jti], "setErrs": { "x": { "description": "no code" } } }),
        json!({ "ack": vec![&jti; 10_001] }),
    ] {
        let reply = polled.poll(&body).await;
        assert_eq!((reply.status, reply.json()["err"].as_str()), (400, Some("invalid_request")), "{body}");
    }
    let unknown = json!({ "ack": ["x", format!("{jti}0")], "returnImmediately": true, "extension": 1 });
    assert_eq!(polled.tokens(&unknown).await.len(), 1);
}

#[tokio::test]
async fn error_of_a_consumer_is_kept_for_operators_and_the_event_comes_again() {
    let polled = Polled::new(service()).await;
    create_user(&polled.client, "ann").await;
    let [(jti, _)] = polled.tokens(&json!({ "returnImmediately": true })).await.try_into().unwrap();
    let error = json!({ jti.as_str(): { "err": "invalid_key", "description": "key é".repeat(300) } });
    let again = polled.tokens(&json!({ "setErrs": error, "returnImmediately": true })).await;
    assert_eq!(again.len(), 1);
    let id = FeedId::parse("platform").unwrap();
    let feed = service().table().feed(&polled.connector.id, &id).await.unwrap().unwrap();
    let (_, text) = feed.last_error.unwrap();
    assert!(text.starts_with(&format!("{jti}: invalid_key: key é")) && text.len() <= 500, "{text}");
}

#[tokio::test]
async fn paused_feed_delivers_nothing_and_keeps_everything() {
    let polled = Polled::new(service()).await;
    let id = FeedId::parse("platform").unwrap();
    service().connectors().pause_feed(&polled.connector.id, &id).await.unwrap();
    create_user(&polled.client, "ann").await;
    assert_eq!(polled.tokens(&json!({})).await, []);
    service().connectors().resume_feed(&polled.connector.id, &id).await.unwrap();
    assert_eq!(polled.tokens(&json!({})).await.len(), 1);
}

#[tokio::test]
async fn new_key_is_published_before_it_signs() {
    let polled = Polled::new(service()).await;
    create_user(&polled.client, "ann").await;
    let first = polled.tokens(&json!({})).await.remove(0).1;
    let new = service().connectors().rotate_signing_key(&polled.connector.id).await.unwrap();
    let later = InProcess::with_clock(service().dynamodb(), polled.consumer.clone(), || {
        Timestamp::now() + SignedDuration::from_secs(150)
    });
    let now = InProcess::with_clock(service().dynamodb(), polled.consumer.clone(), Timestamp::now);
    let poll = |process: InProcess| async move {
        let response = process.send("POST", "/platform/poll", Some(&json!({})), TIME_LIMIT).await;
        let sets = json_of(&response)["sets"].as_object().unwrap().clone();
        sets.values().next().unwrap().as_str().unwrap().to_owned()
    };
    let old_kid = parts(&first).0["kid"].clone();
    assert_eq!(parts(&poll(now).await).0["kid"], old_kid);
    assert_eq!(parts(&poll(later).await).0["kid"], json!(new.kid));
    // A rotation that would drop the key that signs is refused.
    service().connectors().rotate_signing_key(&polled.connector.id).await.unwrap();
    let refused = service().connectors().rotate_signing_key(&polled.connector.id).await.unwrap_err();
    assert!(refused.detail.contains("do not sign yet"), "{refused}");
}

#[tokio::test]
async fn functions_write_and_deliver_the_changes_of_a_feed() {
    let polled = Polled::new(service()).await;
    let client = polled.connector.functions(service());
    let users = create_users(&client, 40).await;
    create_group(&client, "g", &users).await;
    assert_eq!(client.delete(&format!("/Users/{}", users[0])).await.status, 204);
    let base_url = client.base_url.replace("/scim/v2", "/events/v1");
    let consumer = polled.consumer.at(&base_url);
    let reply = consumer.send_json("POST", "/platform/poll", &json!({})).await;
    let sets = reply.json()["sets"].as_object().unwrap().clone();
    assert_eq!((reply.status, sets.len()), (200, 41));
    let base_url = client.base_url.replace("/scim/v2", "");
    let keys = client.at(&base_url).send("GET", "/jwks.json", &[("authorization", "")], "").await;
    sets.values().for_each(|token| verify(token.as_str().unwrap(), &keys.json()));
    let acknowledge = json!({ "ack": sets.keys().collect::<Vec<_>>(), "returnImmediately": true });
    let reply = consumer.send_json("POST", "/platform/poll", &acknowledge).await;
    assert_eq!((reply.status, reply.json()), (200, json!({ "sets": {}, "moreAvailable": false })));
}

#[tokio::test]
async fn configuration_lists_the_events_of_a_connector_with_feeds() {
    let polled = Polled::new(service()).await;
    let with = polled.client.get("/ServiceProviderConfig").await.json()["securityEvents"].clone();
    assert_eq!(with["asyncRequest"], "none");
    let uris = with["eventUris"].as_array().unwrap();
    assert!(
        uris.contains(&json!("urn:ietf:params:scim:event:prov:patch:full")) && uris.len() == 8,
        "{uris:?}"
    );
    let without = service().client().await.get("/ServiceProviderConfig").await.json();
    assert_eq!(without.get("securityEvents"), None);
}
