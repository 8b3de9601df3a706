//! The rate limit for wrong passwords, the rotation of credentials, and what requests without right credentials
//! cost. Each [`InProcess`] is one process of a function.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use directory::secrets::{credential_of_chosen, credential_of_generated};
use futures_util::future::join_all;
use http::header::RETRY_AFTER;
use jiff::{SignedDuration, Timestamp};
use shared::credential::CredentialKind;
use tests::client::Client;
use tests::faults::FaultyDynamoDb;
use tests::in_process::InProcess;
use tests::service::{TABLE, TIME_LIMIT, TestConnector, service};
use tests::table::Item;
use tokio::time::Instant;

const PASSWORD: &str = "correct horse battery staple";
/// The beginning of a window of the rate limit, in seconds.
const WINDOW: i64 = 1_790_000_100;

/// A time in the window.
fn now() -> Timestamp {
    Timestamp::from_second(WINDOW + 100).unwrap()
}

/// A time in the same window, after the checks at [`now`] have ended.
fn later() -> Timestamp {
    now() + SignedDuration::from_secs(10)
}

/// A time in the next window.
fn next_window() -> Timestamp {
    Timestamp::from_second(WINDOW + 900).unwrap()
}

fn okta() -> CredentialKind {
    CredentialKind::Basic { username: "okta".to_owned() }
}

/// Creates a connector whose only credential has a password that a person chose.
async fn connector_with_chosen_password() -> TestConnector {
    let connector = service().connector().await;
    let chosen = credential_of_chosen(okta(), PASSWORD, now()).unwrap();
    service().connectors().replace_credentials(&connector.id, &[chosen]).await.unwrap();
    connector
}

fn client(connector: &TestConnector, password: &str) -> Client {
    Client::new(&connector.local(service()).base_url, "okta", password)
}

/// A cold process with this clock, whose requests have this password.
fn cold(connector: &TestConnector, password: &str, clock: fn() -> Timestamp) -> InProcess {
    InProcess::with_clock(service().dynamodb(), client(connector, password), clock)
}

/// The status of a request, and its Retry-After.
async fn send(process: &InProcess) -> (u16, Option<u32>) {
    let response = process.send("GET", "/Users?count=0", None, TIME_LIMIT).await;
    let wait = response.headers().get(RETRY_AFTER).map(|wait| wait.to_str().unwrap().parse().unwrap());
    (response.status().as_u16(), wait)
}

/// The items that count the checks of passwords for connectors whose ids begin with this.
async fn slots(connector: &str) -> Vec<Item> {
    items(connector).await.into_iter().filter(|item| item.contains_key("reserved")).collect()
}

/// The items about wrong credentials of connectors whose ids begin with this.
async fn items(connector: &str) -> Vec<Item> {
    let client = service().dynamodb();
    let prefix = AttributeValue::S(format!("attempts/{connector}"));
    let scan = client.scan().table_name(TABLE).filter_expression("begins_with(pk, :prefix)");
    let scan = scan.expression_attribute_values(":prefix", prefix).into_paginator().items().send();
    scan.collect::<Result<Vec<_>, _>>().await.unwrap()
}

#[tokio::test]
async fn new_password_works_at_once_in_every_warm_process() {
    let service = service();
    for is_chosen in [false, true] {
        let connector = service.connector().await;
        let mut processes = Vec::new();
        for _ in 0..3 {
            processes.push(InProcess::new(service.dynamodb(), connector.local(service)).await);
        }
        let new = match is_chosen {
            true => credential_of_chosen(okta(), PASSWORD, now()),
            false => credential_of_generated(okta(), PASSWORD, now()),
        };
        service.connectors().add_credential(&connector.id, &new.unwrap()).await.unwrap();
        for process in &mut processes {
            process.client = client(&connector, PASSWORD);
            assert_eq!(send(process).await, (200, None), "is chosen: {is_chosen}");
        }
    }
}

#[tokio::test]
async fn right_generated_secret_is_never_refused_because_of_wrong_ones() {
    let connector = service().connector().await;
    let mut process = cold(&connector, "wrong", now);
    let mut failures = 0;
    for attempt in 0..30 {
        let sent = send(&process).await;
        failures += u64::from(sent == (401, None));
        // The first reads the connector. Ten more may read it again.
        let is_expected = sent == (401, None) || attempt > 10 && sent == (429, Some(1));
        assert!(is_expected, "{attempt}: {sent:?}");
    }
    process.client = client(&connector, &connector.password);
    assert_eq!(send(&process).await, (200, None));
    assert_eq!(send(&cold(&connector, &connector.password, now)).await, (200, None));
    assert_eq!(slots(&connector.id.to_string()).await, [], "wrong generated secrets take no slot");
    let table = service().table();
    let counts = table.failed_sign_ins(&connector.id).counts(now(), now()).await.unwrap();
    assert_eq!(counts.iter().map(|count| count.count).collect::<Vec<_>>(), [failures]);
    let new = credential_of_generated(okta(), PASSWORD, now()).unwrap();
    service().connectors().add_credential(&connector.id, &new).await.unwrap();
    process.client = client(&connector, PASSWORD);
    // After a second, the process reads the connector again.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
    assert_eq!(send(&process).await, (200, None));
}

#[tokio::test]
async fn new_generated_password_works_while_the_old_chosen_one_is_refused() {
    let connector = connector_with_chosen_password().await;
    let mut warm = cold(&connector, PASSWORD, now);
    assert_eq!(send(&warm).await, (200, None));
    for _ in 0..10 {
        assert_eq!(send(&cold(&connector, "wrong", now)).await, (401, None));
    }
    let new = credential_of_generated(okta(), "generated", now()).unwrap();
    service().connectors().add_credential(&connector.id, &new).await.unwrap();
    assert_eq!(send(&cold(&connector, PASSWORD, later)).await, (429, Some(790)));
    warm.client = client(&connector, "generated");
    assert_eq!(send(&warm).await, (200, None));
}

#[tokio::test]
async fn ten_wrong_passwords_refuse_the_address_until_the_window_ends() {
    let connector = connector_with_chosen_password().await;
    let warm = cold(&connector, PASSWORD, now);
    assert_eq!(send(&warm).await, (200, None));
    for attempt in 1..=10 {
        assert_eq!(send(&cold(&connector, "wrong", now)).await, (401, None), "{attempt}");
    }
    assert_eq!(send(&cold(&connector, "wrong", later)).await, (429, Some(790)));
    assert_eq!(send(&cold(&connector, PASSWORD, later)).await, (429, Some(790)));
    assert_eq!(send(&warm).await, (200, None), "a password that was right before needs no check");
    let mut elsewhere = cold(&connector, PASSWORD, later);
    elsewhere.address = "192.0.2.1".parse().unwrap();
    assert_eq!(send(&elsewhere).await, (200, None));
    let other = connector_with_chosen_password().await;
    assert_eq!(send(&cold(&other, PASSWORD, later)).await, (200, None), "each connector counts for itself");
    assert_eq!(send(&cold(&connector, PASSWORD, next_window)).await, (200, None));
}

#[tokio::test]
async fn networks_of_an_ipv6_organisation_share_fifty_wrong_passwords() {
    let connector = connector_with_chosen_password().await;
    let from = async |network: u32| {
        let mut process = cold(&connector, "wrong", now);
        process.address = format!("2001:db8:1:{network:x}::1").parse().unwrap();
        send(&process).await
    };
    for network in 0..5 {
        for _ in 0..10 {
            assert_eq!(from(network).await, (401, None), "{network}");
        }
        assert_eq!(from(network).await, (429, Some(1)), "{network}");
    }
    assert_eq!(from(5).await, (429, Some(1)));
    // A refused network has not taken a slot of the organisation, and the refused organisation has no item for the
    // sixth network.
    let reserved = |item: &Item| item["reserved"].as_n().unwrap().clone();
    let mut counts: Vec<String> = slots(&connector.id.to_string()).await.iter().map(reserved).collect();
    counts.sort();
    assert_eq!(counts, ["10", "10", "10", "10", "10", "50"]);
}

#[tokio::test]
async fn processes_that_start_at_once_check_at_most_ten_wrong_passwords() {
    let connector = connector_with_chosen_password().await;
    let processes: Vec<_> = (0..20).map(|_| cold(&connector, "wrong", now)).collect();
    let mut sent = join_all(processes.iter().map(send)).await;
    sent.sort();
    assert_eq!(sent[..10], [(401, None); 10]);
    assert_eq!(sent[10..], [(429, Some(1)); 10]);
}

#[tokio::test]
async fn ten_processes_that_start_at_once_with_the_right_password_give_their_slots_back() {
    let connector = connector_with_chosen_password().await;
    let processes: Vec<_> = (0..10).map(|_| cold(&connector, PASSWORD, now)).collect();
    assert_eq!(join_all(processes.iter().map(send)).await, [(200, None); 10]);
    let number = |value: i64| AttributeValue::N(value.to_string());
    let expected = Item::from([
        ("pk".to_owned(), AttributeValue::S(format!("attempts/{}/127.0.0.1", connector.id))),
        ("sk".to_owned(), AttributeValue::S(WINDOW.to_string())),
        ("reserved".to_owned(), number(0)),
        ("reserved_at".to_owned(), number(WINDOW + 100)),
        ("expires".to_owned(), number(WINDOW + 900)),
    ]);
    assert_eq!(slots(&connector.id.to_string()).await, [expected]);
}

#[tokio::test]
async fn first_requests_of_a_process_are_not_limited() {
    let connector = service().connector().await;
    let process = cold(&connector, &connector.password, now);
    assert_eq!(join_all((0..30).map(|_| send(&process))).await, [(200, None); 30]);
    let mut process = cold(&connector, &connector.password, now);
    for _ in 0..15 {
        let connector = service().connector().await;
        process.client = client(&connector, &connector.password);
        assert_eq!(send(&process).await, (200, None));
    }
}

#[tokio::test]
async fn strangers_write_nothing_and_read_little() {
    let faulty = FaultyDynamoDb::start(service().endpoint()).await;
    let dynamodb = runtime::dynamodb::client_at(&faulty.endpoint).await;
    let origin = service().origin();
    let unknown = |name: &str| Client::new(&format!("{origin}/{name}/scim/v2"), "okta", "wrong");
    let mut process = InProcess::with_clock(dynamodb, unknown("unknown"), now);
    faulty.heal();
    let began = Instant::now();
    for attempt in 0..50 {
        process.client = unknown(&format!("stranger-{attempt}"));
        let sent = send(&process).await;
        assert!(sent == (401, None) || attempt >= 10 && sent == (429, Some(1)), "{attempt}: {sent:?}");
    }
    // A malformed id is not looked up.
    process.client = unknown("not_a_connector%20id");
    assert_eq!(send(&process).await, (401, None));
    // Each read of a connector is two requests: its record and its credentials. One more read is allowed each second.
    let most = 2 * (10 + usize::try_from(began.elapsed().as_secs()).unwrap() + 1);
    let requests = faulty.heal();
    assert!((20..=most).contains(&requests), "{requests} requests; the maximum is {most}");
    assert_eq!(items("stranger-").await, []);
}
