//! Authentication: which credentials are accepted, how long a process may cache them, and what a refusal says.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use directory::secrets::generate_credential;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use shared::credential::CredentialKind;
use tests::client::Client;
use tests::faults::{Fault, FaultyDynamoDb};
use tests::in_process::InProcess;
use tests::layout;
use tests::service::{TIME_LIMIT, service};
use tests::table::put_item;

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
    assert_eq!(status(&cached).await, 200, "the process uses the cached connector");
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

#[tokio::test]
async fn throttled_record_of_a_use_does_not_delay_the_request_and_is_repeated() {
    let service = service();
    let faulty = FaultyDynamoDb::start(service.endpoint()).await;
    let dynamodb = runtime::dynamodb::client_at(&faulty.endpoint).await;
    let connector = service.connector().await;
    let requests = InProcess::uncached(dynamodb, connector.local(service));
    let partition = format!("used/{}", connector.id);
    faulty.fail_matching(&partition, Fault::Throttled);
    let read = async || requests.send("GET", "/Users?count=0", None, TIME_LIMIT).await.status().as_u16();
    assert_eq!(read().await, 200);
    // In 100 ms there are about 5 attempts. Until the deadline of the request there would be about 90.
    let attempts = faulty.matches();
    assert!((1..30).contains(&attempts), "{attempts} attempts");
    faulty.heal();
    let table = service.table();
    let credentials = table.connector(&connector.id).await.unwrap().unwrap().credentials;
    let mut used = Vec::new();
    // A slow machine can take longer than the time that a request gives the record.
    for _ in 0..50 {
        assert_eq!(read().await, 200);
        for credential in &credentials {
            used.extend(table.credential_usage(&connector.id).last_used(&credential.id).await.unwrap());
        }
        if !used.is_empty() {
            break;
        }
    }
    assert_eq!(used.len(), 1);
}

#[tokio::test]
async fn last_use_that_an_earlier_version_recorded_is_known() {
    let service = service();
    let connector = service.connector().await;
    let mut item =
        layout::Key { pk: "used".to_owned(), sk: format!("{}/1f3a5b7c", connector.id) }.attributes();
    item.insert("used".to_owned(), AttributeValue::N("1790000000".to_owned()));
    put_item(service, item).await;
    let table = service.table();
    let used = table.credential_usage(&connector.id).last_used("1f3a5b7c").await.unwrap();
    assert_eq!(used, Some(Timestamp::from_second(1_790_000_000).unwrap()));
}

#[tokio::test]
async fn refusal_names_the_schemes_that_the_connector_has() {
    let service = service();
    let now = Timestamp::now();
    let (basic, bearer) = (CredentialKind::Basic { username: "okta".to_owned() }, CredentialKind::Bearer);
    for (kinds, expected) in [
        (vec![basic.clone()], "Basic realm=\"scim\""),
        (vec![bearer.clone()], "Bearer realm=\"scim\""),
        (vec![basic, bearer], "Basic realm=\"scim\", Bearer realm=\"scim\""),
        (vec![], "Basic realm=\"scim\""),
    ] {
        let connector = service.connector().await;
        let credentials: Vec<_> =
            kinds.into_iter().map(|kind| generate_credential(kind, now).unwrap().0).collect();
        service.connectors().replace_credentials(&connector.id, &credentials).await.unwrap();
        let client = connector.local(service);
        let wrong = client.get("/Users").await;
        assert_eq!((wrong.status, wrong.header("www-authenticate")), (401, Some(expected)));
        let missing = client.send("GET", "/Users", &[("authorization", "")], "").await;
        assert_eq!((missing.status, missing.header("www-authenticate")), (401, Some(expected)));
    }
    let unknown = Client::new(&format!("{}/nobody/scim/v2", service.origin()), "okta", "wrong");
    let refused = unknown.get("/Users").await;
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Basic realm=\"scim\"")));
}

#[tokio::test]
async fn compressed_body_gives_415() {
    let client = service().client().await;
    let body =
        json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ann" }).to_string();
    let send = async |encoding| {
        let headers = [("content-type", "application/scim+json"), ("content-encoding", encoding)];
        client.send("POST", "/Users", &headers, body.clone()).await
    };
    let refused = send("gzip").await;
    assert_eq!(
        (refused.status, refused.header("accept-encoding"), &refused.json()["detail"]),
        (415, Some("identity"), &json!("Content-Encoding is gzip; send the body without compression"))
    );
    assert_eq!(send("identity").await.status, 201);
}
