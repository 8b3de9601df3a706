//! Settings that are changed again before all resources are marked because of the first change, or while they are being marked.

use directory::Table;
use directory::connectors::Connectors;
use directory::feeds::FeedId;
use directory::settings::{Rules, Settings};
use jiff::{SignedDuration, Timestamp};
use tests::consumer::Consumer;
use tests::faults::FaultyDynamoDb;
use tests::hooks::Action;
use tests::provisioning::{create_group, create_user};
use tests::service::{TABLE, TestConnector, actor, service};

/// After this time, every process knows a change of the settings.
const LATER: SignedDuration = SignedDuration::from_secs(150);

/// A connector with the groups `one` and `two`, and a consumer that knows them.
async fn groups_and_consumer() -> (TestConnector, Consumer) {
    let connector = service().connector().await;
    let client = connector.local(service());
    let user = create_user(&client, "ann").await;
    for group in ["one", "two"] {
        create_group(&client, group, std::slice::from_ref(&user)).await;
    }
    let mut consumer = Consumer::create(service().table(), &connector.id, "platform").await;
    consumer.tend(LATER).await;
    consumer.drain().await.unwrap();
    assert_eq!(consumer.copy.groups.len(), 2);
    (connector, consumer)
}

/// Hides one group and no other, at this time after now.
async fn hide(connector: &TestConnector, group: &str, later: SignedDuration) {
    let connectors = Connectors::new(service().table(), actor(), Timestamp::now() + later);
    let present = service().table().connector(&connector.id).await.unwrap().unwrap();
    let rules = Rules { exclude_groups: vec![group.to_owned()], ..Rules::default() };
    let settings = Settings { rules, ..Settings::default() };
    assert!(connectors.replace_settings(&present, settings).await.unwrap());
}

fn shown_groups(consumer: &Consumer) -> Vec<&str> {
    let mut names: Vec<&str> = consumer.copy.groups.values().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn settings_that_are_changed_again_are_marked_when_every_process_knows_the_last() {
    let (connector, mut consumer) = groups_and_consumer().await;
    let second = SignedDuration::from_secs(100);
    hide(&connector, "one", SignedDuration::ZERO).await;
    hide(&connector, "two", second).await;
    for later in [LATER, second + SignedDuration::from_secs(140)] {
        consumer.tend(later).await;
        assert_eq!(consumer.events().await, [], "some processes may not know the second change");
    }
    consumer.tend(second + LATER).await;
    consumer.drain().await.unwrap();
    consumer.assert_equals_directory().await;
    assert_eq!(shown_groups(&consumer), ["one"]);
}

#[tokio::test]
async fn settings_that_are_changed_during_the_marking_are_marked_again() {
    let (connector, mut consumer) = groups_and_consumer().await;
    hide(&connector, "one", SignedDuration::ZERO).await;
    let faulty = FaultyDynamoDb::start(service().endpoint()).await;
    let table = Table::new(runtime::dynamodb::client_at(&faulty.endpoint).await, TABLE.to_owned());
    // The request that ends the marking.
    let end = faulty.at_call(0, |call| call.operation == "UpdateItem", Action::HoldRequest);
    let id = connector.id.clone();
    let marking = tokio::spawn(async move { table.tend_feeds(Some(&id), Timestamp::now() + LATER).await });
    end.reached().await;
    consumer.drain().await.unwrap();
    assert_eq!(shown_groups(&consumer), ["two"]);
    hide(&connector, "two", LATER).await;
    end.release();
    let tended = marking.await.unwrap().unwrap();
    assert_eq!((tended.marked, tended.failures), (0, Vec::new()), "another marking has begun");
    let feed = FeedId::parse("platform").unwrap();
    let present = service().connectors().feed(&connector.id, &feed).await.unwrap();
    assert!(present.marking.is_some(), "{present:?}");

    consumer.tend(LATER + LATER).await;
    consumer.drain().await.unwrap();
    consumer.assert_equals_directory().await;
    assert_eq!(shown_groups(&consumer), ["one"]);
}
