//! Who is let in, and until when.

use std::time::Duration;

use serde_json::json;
use shared::auth::{CredentialKind, hash_generated};
use tests::client::Client;
use tests::in_process::InProcess;
use tests::service::{PATIENCE, service};

#[tokio::test]
async fn credentials_that_were_taken_away_are_refused_within_a_minute_where_they_were_remembered() {
    let service = service();
    let connector = service.connector().await;
    let client = connector.local(service);
    let renewed = Client::new(&client.base_url, &client.username, "renewed");
    let before = InProcess::new(service.dynamodb().await, client).await;
    let table = service.table().await;
    let mut record = table.connector(&connector.id).await.unwrap().unwrap();
    for credential in &mut record.credentials {
        if matches!(credential.kind, CredentialKind::Basic { .. }) {
            credential.secret = hash_generated("renewed");
        }
    }
    table.put_connector(&record).await.unwrap();
    let status =
        async |requests: &InProcess| requests.send("GET", "/Users", None, PATIENCE).await.status().as_u16();
    assert_eq!(status(&before).await, 200, "the record is believed for a while");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    assert_eq!(status(&before).await, 401);
    assert_eq!(renewed.get("/Users").await.status, 200);
}

#[tokio::test]
async fn a_disabled_connector_is_refused_after_its_credentials_are_checked() {
    let service = service();
    let connector = service.connector().await;
    let mut record = service.table().await.connector(&connector.id).await.unwrap().unwrap();
    record.is_enabled = false;
    service.table().await.put_connector(&record).await.unwrap();
    let client = connector.local(service);
    let reply = client.get("/Users").await;
    assert_eq!(
        (reply.status, &reply.json()["detail"]),
        (403, &json!(format!("The connector {} is disabled", connector.id)))
    );
    let wrong = Client::new(&client.base_url, &client.username, "wrong");
    assert_eq!(wrong.get("/Users").await.status, 401);
}
