//! `scimctl feed` for feeds whose events are sent to a URL.

use serde_json::{Value, json};
use tests::event_bus::EventBridge;
use tests::issuer::{Answer as HttpsAnswer, Issuer};
use tests::provisioning::create_user;
use tests::receiver::{Answer, Receiver};
use tests::scimctl::{Done, run, scimctl_as, scimctl_in, scimctl_on_aws};
use tests::service::{ACCESS_KEY, TestConnector, service};

const URL: &str = "https://scim.example.com";

/// Runs a command of a person who may read private keys.
fn as_deliverer(connector: &TestConnector, command: &str) -> Done {
    scimctl_as("DeliverFeeds", service(), &["feed", command, &connector.id.to_string(), "platform"], "")
}

fn create(connector: &TestConnector, options: &[&str], input: &str) -> Done {
    let id = connector.id.to_string();
    let arguments = [&["feed", "create", &id, "platform"], options].concat();
    scimctl_as("OperateDirectory", service(), &arguments, input)
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_is_created_tested_delivered_and_rotated() {
    let receiver = Receiver::start().await;
    let connector = service().connector().await;
    let created = create(&connector, &["--webhook", &receiver.url, "--url", URL], "");
    let secret = created.value("Secret:");
    assert!(created.ok().contains(&format!("Its events are sent to {}\n", receiver.url)));

    let out = as_deliverer(&connector, "test").ok();
    assert_eq!(out, "The consumer of feed platform accepted the test event: 202 Accepted\n");
    let request = receiver.requests().pop().unwrap();
    assert!(request.is_signed_with(&secret));
    let message: Value = serde_json::from_str(&request.body).unwrap();
    let claims = &message["data"];
    assert_eq!(message["type"], "feed.test");
    assert_eq!(claims["iss"], format!("{URL}/{}", connector.id));
    assert_eq!(claims["sub_id"], json!({ "format": "opaque", "id": "platform" }));
    let event = "https://schemas.openid.net/secevent/ssf/event-type/verification";
    assert_eq!(claims["events"], json!({ event: {} }));

    assert_eq!(as_deliverer(&connector, "deliver").ok(), "No event waits in feed platform\n");
    create_user(&connector.local(service()), "ann").await;
    receiver.answer([Answer::status(503)]);
    let failed = as_deliverer(&connector, "deliver");
    assert_eq!((failed.code, failed.out.as_str()), (1, "0 events of feed platform delivered\n"));
    assert!(failed.err.contains("503 Service Unavailable; the next attempt is at"), "{failed:?}");
    let shown: Value =
        serde_json::from_str(&run(&connector, &["feed", "show", "platform", "--json"]).ok()).unwrap();
    let fields = ["state", "delivery", "destination", "failed_deliveries", "last_error"]
        .map(|name| shown[name].clone());
    let expected = ["retrying", "webhook", &receiver.url].map(Value::from);
    assert_eq!(fields[..3], expected);
    assert_eq!(fields[3..], [Value::from(1), Value::from("503 Service Unavailable")]);
    let list = run(&connector, &["feed", "list"]).ok();
    assert!(list.contains("retrying") && list.contains("503 Service Unavailable"), "{list}");

    let rotated = run(&connector, &["feed", "rotate-secret", "platform"]);
    assert_eq!(as_deliverer(&connector, "deliver").ok(), "1 event of feed platform delivered\n");
    let request = receiver.requests().pop().unwrap();
    assert!(request.is_signed_with(&secret) && request.is_signed_with(&rotated.value("Secret:")));

    receiver.answer([Answer::status(410)]);
    let refused = as_deliverer(&connector, "test").failed();
    assert_eq!(refused, "the test event of feed platform was not accepted: 410 Gone");
    let delete = run(&connector, &["feed", "delete", "platform", "--yes"]);
    assert_eq!(delete.ok(), format!("Feed platform of connector {} is deleted\n", connector.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn token_of_a_push_is_read_from_standard_input_and_replaced() {
    let receiver = Receiver::start().await;
    let connector = service().connector().await;
    let push = ["--push", &receiver.url, "--url", URL, "--token", "-"];
    let wrong = create(&connector, &push, "two words\n").failed();
    assert!(wrong.starts_with("the token is empty or has a character other than"), "{wrong}");
    create(&connector, &push, "first\n").ok();
    let sent = |token: &str| {
        as_deliverer(&connector, "test").ok();
        assert_eq!(receiver.requests().pop().unwrap().header("authorization"), format!("Bearer {token}"));
    };
    sent("first");
    let id = connector.id.to_string();
    let missing = run(&connector, &["feed", "rotate-secret", "platform"]).failed();
    assert!(missing.ends_with("enter the new one with --token -"), "{missing}");
    let rotate = ["feed", "rotate-secret", &id, "platform", "--token", "-"];
    scimctl_as("OperateDirectory", service(), &rotate, "second\n").ok();
    sent("second");
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_write_secrets_and_do_not_read_them() {
    let receiver = Receiver::start().await;
    let connector = service().connector().await;
    create(&connector, &["--webhook", &receiver.url, "--url", URL], "").ok();
    for policy in ["OperateDirectory", "AuditDirectory"] {
        let arguments = ["feed", "test", &connector.id.to_string(), "platform"];
        let denied = scimctl_as(policy, service(), &arguments, "");
        assert_eq!(denied.code, 1, "{policy}: {denied:?}");
    }
    assert_eq!(receiver.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn url_of_a_feed_must_be_https_or_loopback() {
    let connector = service().connector().await;
    for url in ["http://platform.example.com/events", "platform", "https://a:b@platform.example.com"] {
        let error = create(&connector, &["--push", url, "--url", URL], "").failed();
        assert!(
            error.starts_with(&format!("{url:?} ")) && error.contains("Enter an https:// URL"),
            "{error}"
        );
    }
    assert_eq!(
        create(&connector, &["--push", "https://platform.example.com"], "").code,
        2,
        "--url is missing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn event_bus_gets_the_test_event_with_the_login_of_the_operator() {
    let bridge = EventBridge::start().await;
    let connector = service().connector().await;
    let arn = "arn:aws:events:eu-central-1:123456789012:event-bus/platform";
    for wrong in ["two words", "arn:aws:events:eu-central-1:123456789012:rule/platform", ""] {
        assert_eq!(create(&connector, &["--event-bus", wrong, "--url", URL], "").code, 2, "{wrong}");
    }
    let created = create(&connector, &["--event-bus", arn, "--url", URL], "").ok();
    assert!(created.contains(&format!("Its events are sent to {arn}\n")), "{created}");
    let environment = [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ENDPOINT_URL_EVENTBRIDGE", &bridge.url),
    ];
    let arguments = ["feed", "test", &connector.id.to_string(), "platform"];
    let out = scimctl_on_aws(service(), &environment, &arguments).await.ok();
    assert_eq!(out, "The consumer of feed platform accepted the test event: event e1\n");
    let entries = bridge.accepted();
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!(entry["EventBusName"], arn);
    assert_eq!(entry["DetailType"], "feed.test");
    assert_eq!(entry["Detail"]["iss"], format!("{URL}/{}", connector.id));
    let refused = run(&connector, &["feed", "rotate-secret", "platform"]).failed();
    assert_eq!(refused, "feed platform sends its events to no URL, so it has no secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn event_is_sent_over_https_only_to_a_server_with_a_trusted_certificate() {
    let server = Issuer::start(HttpsAnswer::Keys(Vec::new())).await;
    let connector = service().connector().await;
    create(&connector, &["--push", &server.jwks, "--url", URL], "").ok();
    let test = |environment: &[(&str, &str)]| {
        let arguments = ["feed", "test", &connector.id.to_string(), "platform"];
        scimctl_in(environment, "DeliverFeeds", service(), &arguments, "")
    };
    let refused = test(&[]).failed();
    assert!(refused.starts_with("the test event of feed platform was not accepted: "), "{refused}");
    assert!(refused.contains("certificate"), "{refused}");
    assert_eq!(server.requests(), 0);
    let accepted = test(&[("SSL_CERT_FILE", server.authority.as_str())]).ok();
    assert_eq!(accepted, "The consumer of feed platform accepted the test event: 200 OK\n");
    assert_eq!(server.requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn feed_to_an_address_that_is_not_public_is_refused_at_its_creation_as_by_feed_test() {
    let not_public = |host: &str, address: &str| {
        format!("{host} has the address {address}, which is not public, so nothing is sent to it")
    };
    // A service can be allowed to send to all of these addresses except the last.
    for (option, url, refusal, can_be_allowed) in [
        ("--webhook", "https://10.0.0.1/events", not_public("10.0.0.1", "10.0.0.1"), true),
        ("--push", "https://[::1]:8443/", not_public("::1", "::1"), true),
        ("--webhook", "https://localhost/", not_public("localhost", "127.0.0.1"), true),
        ("--push", "http://127.0.0.1:9/", "http is not allowed here, only https".to_owned(), true),
        ("--push", "https://169.254.169.254/", not_public("169.254.169.254", "169.254.169.254"), false),
    ] {
        let connector = service().connector().await;
        let id = connector.id.to_string();
        let run_as = |policy: &str, is_allowed: &str, arguments: &[&str]| {
            scimctl_in(&[("ALLOW_PRIVATE_TARGETS", is_allowed)], policy, service(), arguments, "")
        };
        let create = ["feed", "create", &id, "platform", option, url, "--url", URL];
        let refused = run_as("OperateDirectory", "false", &create).failed();
        let remedy = ". If the service may send there (the stack's parameter AllowPrivateTargets, or ALLOW_PRIVATE_TARGETS of `make run`), \
                      set ALLOW_PRIVATE_TARGETS=true for this command too";
        assert_eq!(refused, if can_be_allowed { format!("{refusal}{remedy}") } else { refusal.clone() });
        assert_eq!(run(&connector, &["feed", "list", "--json"]).ok(), "", "{url}");
        let allowed = run_as("OperateDirectory", "true", &create);
        assert_eq!(allowed.code == 0, can_be_allowed, "{allowed:?}");
        if can_be_allowed {
            let tested = run_as("DeliverFeeds", "false", &["feed", "test", &id, "platform"]).failed();
            assert_eq!(tested, format!("the test event of feed platform was not accepted: {refusal}"));
        }
    }
}
