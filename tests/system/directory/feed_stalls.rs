//! Resources that have no event yet, because they are being created or cannot be read, do not hold up the events of others.

use directory::feeds::{FeedId, Outbox};
use jiff::SignedDuration;
use tests::consumer::Consumer;
use tests::corruption::{Corruption, SmallDirectory};
use tests::faulty_service::FaultyService;
use tests::interrupted::sweep;
use tests::provisioning::{create_user, create_users, group_body};
use tests::service::{Service, TestConnector, service};

/// After this time, every process knows a new feed.
const LATER: SignedDuration = SignedDuration::from_secs(150);

/// Marks all resources.
async fn replay(service: &Service, connector: &TestConnector, consumer: &Consumer) {
    let feed = FeedId::parse("platform").unwrap();
    service.connectors().replay_feed(&connector.id, &feed).await.unwrap();
    consumer.tend(LATER).await;
}

/// Reads and acknowledges one event after another, until a read returns none. Returns their resources.
async fn take_one_by_one(outbox: &Outbox) -> Vec<String> {
    let (mut uris, mut after): (Vec<String>, Option<String>) = Default::default();
    loop {
        let batch = outbox.read(after.as_deref(), 1).await.unwrap();
        let Some(event) = batch.events.first() else {
            assert!(!batch.has_more);
            return uris;
        };
        outbox.acknowledge(std::slice::from_ref(&event.jti)).await.unwrap();
        uris.push(event.uri.clone());
        after = Some(event.jti.clone());
    }
}

#[tokio::test]
async fn groups_that_are_being_created_do_not_hold_up_other_events() {
    let faulty = FaultyService::new().await;
    let (service, connector) = (&*faulty.service, &faulty.connector);
    let users = create_users(&faulty.client(), 60).await;
    let consumer = Consumer::create(service.table(), &connector.id, "platform").await;
    for group in ["a", "b", "c", "d"] {
        faulty.cut_off_after(1, "POST", "/Groups", &group_body(group, &users)).await;
    }
    replay(service, connector, &consumer).await;
    let outbox = consumer.outbox().await.unwrap();
    // Groups come before users.
    let onwards = outbox.read_onwards(None, 3).await.unwrap();
    assert_eq!((onwards.events.len(), onwards.has_more), (3, true));
    assert_eq!(take_one_by_one(&outbox).await.len(), users.len());
    // They are rolled back, and then their events say so.
    assert_eq!(sweep(service, &connector.id).await, 4);
    let uris = take_one_by_one(&outbox).await;
    assert!(uris.len() == 4 && uris.iter().all(|uri| uri.starts_with("/Groups/")), "{uris:?}");
}

#[tokio::test]
async fn user_that_cannot_be_read_does_not_hold_up_other_events() {
    let small = SmallDirectory::create(service()).await;
    let consumer = Consumer::create(service().table(), &small.connector.id, "platform").await;
    small.corrupt(service(), Corruption::UserIsUnreadable).await;
    for number in 0..5 {
        create_user(&small.client, &format!("user{number}")).await;
    }
    replay(service(), &small.connector, &consumer).await;
    let outbox = consumer.outbox().await.unwrap();
    let uris = take_one_by_one(&outbox).await;
    // The group, the other user, and the five.
    assert_eq!(uris.len(), 7, "{uris:?}");
    assert!(!uris.contains(&format!("/Users/{}", small.member)), "{uris:?}");
}
