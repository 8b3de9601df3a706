//! A feed as operators see it.

use directory::connectors::ConnectorId;
use directory::feeds::{Delivery, Feed, FeedInfo};
use jiff::Timestamp;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::format_time;

/// A feed as it is printed.
#[derive(Serialize)]
pub struct ShownFeed {
    /// The id.
    pub id: String,
    /// `active`, `marking`, `retrying`, `paused` or `deleting`.
    pub state: &'static str,
    /// When an operator created it.
    pub created: Timestamp,
    /// Who the events are for.
    pub audience: Option<String>,
    /// The number of changes that wait, up to 100,000.
    pub waiting: usize,
    /// When the oldest of them was made.
    pub oldest: Option<Timestamp>,
    /// When all users, groups and roles are marked as changed.
    pub marked_at: Option<Timestamp>,
    /// `poll`, `push`, `webhook` or `event-bus`.
    pub delivery: &'static str,
    /// The URL, or the name or ARN of the event bus.
    pub destination: Option<String>,
    /// When the consumer last accepted an event that was sent to it, or acknowledged events that it polled.
    pub delivered: Option<Timestamp>,
    /// The number of deliveries that failed one after another.
    pub failed_deliveries: u64,
    /// When the next delivery after a failed one is due.
    pub next_delivery: Option<Timestamp>,
    /// What the consumer last reported as an error, or answered to an event that it did not accept.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<Timestamp>,
}

impl ShownFeed {
    /// Reads what waits in a feed. In an outbox of 100,000 changes this takes 100 requests.
    pub async fn read(context: &Context, connector: &ConnectorId, feed: Feed) -> Result<Self, Failure> {
        Ok(Self::of(context.table_without_deadline().feed_info(connector, feed).await?))
    }

    /// A feed whose waiting changes were counted.
    pub fn of(FeedInfo { feed, waiting, oldest }: FeedInfo) -> Self {
        let state = if feed.settings.deleted.is_some() {
            "deleting"
        } else if feed.is_paused() {
            "paused"
        } else if feed.failures > 0 {
            "retrying"
        } else if feed.marking.is_some() {
            "marking"
        } else {
            "active"
        };
        let delivery = match feed.settings.delivery {
            Delivery::Poll => "poll",
            Delivery::Push(_) => "push",
            Delivery::Webhook(_) => "webhook",
            Delivery::EventBus(_) => "event-bus",
        };
        let (last_error_at, last_error) = feed.last_error.unzip();
        Self {
            id: feed.id.to_string(),
            state,
            created: feed.settings.created,
            audience: feed.settings.audience,
            waiting,
            oldest,
            marked_at: feed.marking.map(|marking| marking.due),
            delivery,
            destination: destination(&feed.settings.delivery).map(str::to_owned),
            delivered: feed.delivered,
            failed_deliveries: feed.failures,
            next_delivery: feed.retry_at,
            last_error,
            last_error_at,
        }
    }

    /// The time of the oldest change, or nothing.
    pub fn oldest(&self) -> String {
        self.oldest.map(format_time).unwrap_or_default()
    }

    /// The time of the last delivery, or nothing.
    pub fn delivered(&self) -> String {
        self.delivered.map(format_time).unwrap_or_default()
    }

    /// The last error with its time, or nothing.
    pub fn error(&self) -> String {
        let error = self.last_error_at.zip(self.last_error.as_ref());
        error.map(|(time, error)| format!("{} {error}", format_time(time))).unwrap_or_default()
    }
}

/// Where the events of a feed are sent, if its consumer does not poll.
pub fn destination(delivery: &Delivery) -> Option<&str> {
    match delivery {
        Delivery::Poll => None,
        Delivery::Push(endpoint) | Delivery::Webhook(endpoint) => Some(&endpoint.url),
        Delivery::EventBus(bus) => Some(&bus.name),
    }
}
