//! Authentication: which credentials are accepted, how long a process may cache them, and the rate limit for
//! wrong passwords.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use shared::credential::CredentialKind;
use tests::client::Client;
use tests::in_process::InProcess;
use tests::service::{TIME_LIMIT, service};

#[tokio::test]
async fn cached_credential_is_refused_a_minute_after_its_removal() {
    let service = service();
    let connector = service.connector().await;
    let client = connector.local(service);
    let with_new_password = Client::new(&client.base_url, &client.username, "new password");
    let cached = InProcess::new(service.dynamodb(), client).await;
    let kind = CredentialKind::Basic { username: "okta".to_owned() };
    let new = directory::secrets::credential_of_generated(kind, "new password", Timestamp::now()).unwrap();
    service.connectors().replace_credentials(&connector.id, &[new]).await.unwrap();
    let status =
        async |requests: &InProcess| requests.send("GET", "/Users", None, TIME_LIMIT).await.status().as_u16();
    assert_eq!(status(&cached).await, 200, "the connector is cached for a minute");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    assert_eq!(status(&cached).await, 401);
    assert_eq!(with_new_password.get("/Users").await.status, 200);
}

#[tokio::test]
async fn disabled_connector_gives_403_with_right_and_401_with_wrong_credentials() {
    let service = service();
    let connector = service.connector().await;
    service.connectors().disable(&connector.id).await.unwrap();
    let client = connector.local(service);
    let reply = client.get("/Users").await;
    assert_eq!(
        (reply.status, &reply.json()["detail"]),
        (403, &json!(format!("Connector {} is disabled", connector.id)))
    );
    let wrong = Client::new(&client.base_url, &client.username, "wrong");
    assert_eq!(wrong.get("/Users").await.status, 401);
}

#[tokio::test]
async fn wrong_passwords_rate_limit_only_uncached_credentials_from_the_same_address() {
    let service = service();
    let connector = service.connector().await;
    let client = connector.local(service);
    let cached = InProcess::new(service.dynamodb(), client.clone()).await;
    let wrong = Client::new(&client.base_url, &client.username, "wrong");
    let status = async |client: &Client| client.get("/Users?count=0").await.status;
    for attempt in 1..=10 {
        assert_eq!(status(&wrong).await, 401, "{attempt}");
    }
    let refused = wrong.get("/Users").await;
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert_eq!((refused.status, refused.json()["status"].as_str()), (429, Some("429")));
    assert!((800..=900).contains(&wait), "{wait}");
    assert_eq!(status(&client).await, 429, "a rate-limited address gets 429 even with the right password");
    let users =
        async |requests: &InProcess| requests.send("GET", "/Users", None, TIME_LIMIT).await.status().as_u16();
    assert_eq!(users(&cached).await, 200, "a cached credential is not rate-limited");
    let mut other_address = InProcess::uncached(service.dynamodb(), client.clone());
    other_address.address = "192.0.2.1".parse().unwrap();
    assert_eq!(users(&other_address).await, 200);
    let other_connector = service.connector().await.local(service);
    assert_eq!(status(&other_connector).await, 200, "failures are counted for each connector separately");
}

#[tokio::test]
async fn concurrent_wrong_passwords_are_rate_limited() {
    let service = service();
    let client = service.connector().await.local(service);
    let wrong = Client::new(&client.base_url, &client.username, "wrong");
    let requests: Vec<_> = (0..40)
        .map(|_| {
            let wrong = wrong.clone();
            tokio::spawn(async move { wrong.get("/Users?count=0").await.status })
        })
        .collect();
    let mut refused = 0;
    for request in requests {
        let status = request.await.unwrap();
        assert!(matches!(status, 401 | 429), "{status}");
        refused += usize::from(status == 401);
    }
    // The service checks two passwords at the same time, so an 11th check may have begun before the limit of
    // 10.
    assert!((10..=11).contains(&refused), "{refused}");
}

#[tokio::test]
async fn last_use_of_a_credential_is_recorded_once_an_hour() {
    let service = service();
    let connector = service.connector().await;
    let began = Timestamp::now().as_second();
    let client = connector.local(service);
    for _ in 0..2 {
        assert_eq!(client.get("/Users?count=0").await.status, 200);
    }
    let table = service.table();
    let credentials = table.connector(&connector.id).await.unwrap().unwrap().credentials;
    let of =
        |scheme: &str| credentials.iter().find(|one| directory::connectors::scheme(one) == scheme).unwrap();
    let (basic, bearer) = (of("Basic"), of("Bearer"));
    let used = table.credential_usage(&connector.id).last_used(&basic.id).await.unwrap().unwrap();
    assert!((began..began + 60).contains(&used.as_second()));
    assert_eq!(table.credential_usage(&connector.id).last_used(&bearer.id).await.unwrap(), None);
    let later = |minutes| used + SignedDuration::from_mins(minutes);
    for (minutes, noted) in [(59, used), (60, later(60)), (119, later(60)), (121, later(121))] {
        table.credential_usage(&connector.id).record_use(&basic.id, later(minutes)).await.unwrap();
        assert_eq!(
            table.credential_usage(&connector.id).last_used(&basic.id).await.unwrap(),
            Some(noted),
            "{minutes}"
        );
    }
}

#[tokio::test]
async fn expired_credential_is_refused() {
    let service = service();
    let connector = service.connector().await;
    service.expire_password(&connector.id, Timestamp::now()).await;
    let client = connector.local(service);
    assert_eq!(client.get("/Users").await.status, 401);
    let bearer = client.bearer();
    assert_eq!(client.send("GET", "/Users", &[("authorization", &bearer)], "").await.status, 200);
}

/// How far the clock of the next test is ahead of the real time, in seconds.
static AHEAD: AtomicI64 = AtomicI64::new(0);

/// The clock of the next test.
fn clock_ahead() -> Timestamp {
    Timestamp::now() + SignedDuration::from_secs(AHEAD.load(Ordering::Relaxed))
}

#[tokio::test]
async fn cached_credential_is_refused_when_it_expires() {
    let service = service();
    let connector = service.connector().await;
    let ends = Timestamp::now() + SignedDuration::from_secs(30);
    service.expire_password(&connector.id, ends).await;
    let requests = InProcess::with_clock(service.dynamodb(), connector.local(service), clock_ahead);
    let status = async || requests.send("GET", "/Users", None, TIME_LIMIT).await.status().as_u16();
    assert_eq!(status().await, 200);
    AHEAD.store(31, Ordering::Relaxed);
    assert_eq!(status().await, 401);
}
