//! Interrupted work: lets its processes count as dead, and finishes it as the sweeper does.

use aws_sdk_dynamodb::types::AttributeValue;
use directory::connectors::ConnectorId;
use jiff::Timestamp;
use shared::schema::Schemas;

use crate::layout::Key;
use crate::service::Service;
use crate::table::{Item, put_item, read_items, text_of};

/// The time at which every process counted as dead long ago, in milliseconds since 1970.
const LONG_AGO: &str = "1000";

/// The year 2100, in milliseconds since 1970.
const FAR_AWAY: &str = "4102444800000";

/// Lets the processes that carry out changes of this connector count as dead. Returns the number of unfinished changes.
///
/// # Panics
/// When the engine does not answer.
pub async fn expire_intents(service: &Service, connector: &ConnectorId) -> usize {
    set_due(service, connector, LONG_AGO).await
}

/// Lets the processes that carry out changes of this connector count as alive. Returns the number of unfinished changes.
///
/// # Panics
/// When the engine does not answer.
pub async fn prolong_intents(service: &Service, connector: &ConnectorId) -> usize {
    set_due(service, connector, FAR_AWAY).await
}

async fn set_due(service: &Service, connector: &ConnectorId, time: &str) -> usize {
    let mut unfinished = 0;
    for ((pk, _), mut item) in read_items(service, connector).await {
        let due = match pk.strip_prefix(&connector.to_string()) {
            Some("#intent") => "due",
            _ if item.contains_key("intent_due") => "intent_due",
            _ => continue,
        };
        unfinished += usize::from(due == "due");
        item.insert(due.to_owned(), AttributeValue::N(time.to_owned()));
        put_item(service, item).await;
    }
    unfinished
}

/// The number of changes of a connector that are not finished.
///
/// # Panics
/// When the engine does not answer.
pub async fn unfinished(service: &Service, connector: &ConnectorId) -> usize {
    let items = read_items(service, connector).await;
    items.keys().filter(|(pk, _)| *pk == format!("{connector}#intent")).count()
}

/// Lets interrupted changes of a connector count as begun at this time (RFC 3339).
///
/// # Panics
/// When the engine does not answer, or there is no interrupted change.
pub async fn backdate_intents(service: &Service, connector: &ConnectorId, since: &str) {
    let is_intent = |item: &Item| text_of(item, "pk") == format!("{connector}#intent");
    let mut changed = 0;
    for mut item in read_items(service, connector).await.into_values().filter(is_intent) {
        item.insert("since".to_owned(), AttributeValue::S(since.to_owned()));
        put_item(service, item).await;
        changed += 1;
    }
    assert!(changed > 0, "there is an interrupted change");
}

/// Lets the processes that carry out changes count as dead, and finishes the changes. Returns their number.
///
/// # Panics
/// When a change is not finished.
pub async fn sweep(service: &Service, connector: &ConnectorId) -> usize {
    let unfinished = expire_intents(service, connector).await;
    let swept = service
        .table()
        .sweep(Some(connector), Schemas::built_in(), Timestamp::now())
        .await
        .expect("DynamoDB answers");
    assert_eq!((swept.left, &swept.failures[..]), (0, &[] as &[String]), "all interrupted work is finished");
    let left: Vec<Key> = read_items(service, connector)
        .await
        .into_keys()
        .filter(|(pk, _)| pk.contains("#intent"))
        .map(|(pk, sk)| Key::new(pk, sk))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    unfinished
}
