//! Feeds: how the platform learns of changes.
//!
//! The outbox is the truth, and everything else is delivery. A connector with a feed writes an item to the feed's outbox in every
//! transaction that changes the directory (`outbox`). Reading the feed merges the waiting items of each resource, and then
//! reads the state of now (`waiting`, `event`). So a consumer learns the present state, and nothing older can follow.
//! Acknowledging an event deletes exactly the items from which it was made.
//!
//! A resource's events say that it changed and how; the consumer reads the rest with the directory API. When a feed is new, or
//! when rules or mapping change, every user, group and role is marked as changed (`marking`). The marks are written only when every
//! process knows the feed or the settings, so that no consumer reads the state before.

mod acknowledge;
mod delivery;
mod event;
mod id;
mod jti;
mod known;
mod lease;
mod marking;
mod namesakes;
mod operations;
mod outbox;
pub(crate) mod signing;
mod token;
mod waiting;

pub use delivery::{Bus, Delivery, Endpoint, NewDelivery, decode_webhook_secret, generate_webhook_secret};
pub use event::{EVENT_URIS, Event};
pub use id::FeedId;
pub use lease::{DeliveryResult, LEASE_TIME, Lease};
pub use marking::Tended;
pub use operations::{FeedInfo, MAX_FEEDS, NewFeed, WaitingForUser};
pub use token::verification_claims;
pub use waiting::Batch;

pub(crate) use known::KnownFeeds;
pub(crate) use marking::begin_marking;
pub(crate) use outbox::with_outbox;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::error::ScimError;

use crate::Directory;
use crate::connectors::ConnectorId;
use crate::dynamodb::attributes::{Item, get_number, get_text};
use crate::dynamodb::keys;
use crate::dynamodb::table::{Range, Table};

/// A feed as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    /// The id.
    pub id: FeedId,
    /// What an operator chose.
    pub settings: FeedSettings,
    /// The number of changes of the settings.
    pub(crate) revision: u64,
    /// The marking of all resources that has not ended.
    pub marking: Option<Marking>,
    /// When its consumer last reported an error, or did not accept an event, and why.
    pub last_error: Option<(Timestamp, String)>,
    /// The number of deliveries to its URL that failed one after another.
    pub failures: u64,
    /// When the next delivery after a failed one is due.
    pub retry_at: Option<Timestamp>,
    /// When its consumer answered 410 Gone. The feed is paused until an operator resumes it.
    pub gone: Option<Timestamp>,
    /// When its consumer last accepted an event that was sent to it, or acknowledged events that it polled. The last is stored at most once
    /// a minute.
    pub delivered: Option<Timestamp>,
}

/// What an operator chose for a feed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct FeedSettings {
    /// When it was created.
    pub created: Timestamp,
    /// When it was paused; `None` while its events are delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Timestamp>,
    /// When an operator deleted it. Its outbox is cleared when every process knows that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Timestamp>,
    /// Who the events are for: the claim `aud` of the tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// How the events reach the consumer.
    #[serde(default, skip_serializing_if = "Delivery::is_poll")]
    pub delivery: Delivery,
}

/// How far all resources are marked as changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Marking {
    /// When it can begin.
    pub due: Timestamp,
    /// The partition and sort key of the last resource that is marked.
    pub(crate) after: Option<String>,
}

impl Feed {
    fn from_item(item: &Item) -> Result<Self, ScimError> {
        let broken = |why: &str| ScimError::internal(format!("a feed cannot be read: {why}"));
        let id = get_text(item, "sk").and_then(FeedId::parse);
        let doc = get_text(item, "doc").ok_or_else(|| broken("doc is missing"))?;
        let due = get_number(item, MARK_DUE).map(Timestamp::from_millisecond).transpose();
        let error = get_text(item, LAST_ERROR).and_then(|error| error.split_once(' '));
        let last_error = error.and_then(|(time, text)| Some((time.parse().ok()?, text.to_owned())));
        let after = get_text(item, MARK_AFTER).map(str::to_owned);
        let time =
            |name: &str| get_number(item, name).and_then(|time| Timestamp::from_millisecond(time).ok());
        Ok(Self {
            id: id.ok_or_else(|| broken("sk is no id"))?,
            settings: serde_json::from_str(doc).map_err(|error| broken(&error.to_string()))?,
            revision: get_number(item, "revision").ok_or_else(|| broken("revision is missing"))?,
            marking: due.map_err(|error| broken(&error.to_string()))?.map(|due| Marking { due, after }),
            last_error,
            failures: get_number(item, FAILURES).unwrap_or_default(),
            retry_at: time(RETRY_AT),
            gone: time(GONE),
            delivered: time(DELIVERED),
        })
    }

    /// Whether its events are not delivered, because an operator paused it, or its consumer wants no more.
    pub fn is_paused(&self) -> bool {
        self.settings.paused.is_some() || self.gone.is_some()
    }

    /// Whether its events are to be sent to a URL at this time.
    pub fn is_due(&self, now: Timestamp) -> bool {
        !self.settings.delivery.is_poll()
            && self.settings.deleted.is_none()
            && !self.is_paused()
            && self.retry_at.is_none_or(|retry_at| retry_at <= now)
    }
}

/// The stored attribute with the time at which the marking of all resources can begin, in milliseconds since 1970.
const MARK_DUE: &str = "mark_due";
/// The stored attribute with the last resource that is marked.
const MARK_AFTER: &str = "mark_after";

/// The stored attribute with the time and text of the last error of the consumer.
const LAST_ERROR: &str = "last_error";
/// The stored attribute with the number of failed deliveries.
const FAILURES: &str = "failures";
/// The stored attribute with the time of the next delivery after a failed one, in milliseconds since 1970.
const RETRY_AT: &str = "retry_at";
/// The stored attribute with the time at which the consumer answered 410, in milliseconds since 1970.
const GONE: &str = "gone";
/// The stored attribute with the time of the last delivery in which the consumer accepted an event, or of an acknowledgement, in
/// milliseconds since 1970.
const DELIVERED: &str = "delivered";

/// The outbox of one feed.
#[derive(Clone, Debug)]
pub struct Outbox {
    directory: Directory,
    feed: FeedId,
}

impl Outbox {
    pub(crate) fn new(directory: Directory, feed: FeedId) -> Self {
        Self { directory, feed }
    }

    /// Whether no change waits.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn is_empty(table: &Table, connector: &ConnectorId, feed: &FeedId) -> Result<bool, ScimError> {
        let pk = keys::outbox(connector, feed);
        Ok(table.query_page(&pk, &Range::All, None, Some(1)).await?.0.is_empty())
    }

    fn partition(&self) -> String {
        keys::outbox(&self.directory.connector.id, &self.feed)
    }
}

/// The connector and the feed of an item of the table's stream with this partition key; `None` if it is no waiting change.
pub fn parse_outbox_partition(pk: &str) -> Option<(ConnectorId, FeedId)> {
    keys::parse_outbox_partition(pk)
}
