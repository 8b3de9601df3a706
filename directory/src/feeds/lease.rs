//! The lease of a feed: one process at a time delivers its events to a URL. The lease is in the feed's item, with the result of
//! the last delivery.
//!
//! A process whose lease has ended may still be sending. Then an event can be delivered twice, with the same id. Nothing gets
//! lost, because only a delivered event is acknowledged.

use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use shared::error::ScimError;
use uuid::Uuid;

use super::{DELIVERED, FAILURES, Feed, FeedId, GONE, LAST_ERROR, RETRY_AT};
use crate::connectors::ConnectorId;
use crate::dynamodb::attributes::{number, text};
use crate::dynamodb::expressions::{Expression, Update};
use crate::dynamodb::keys;
use crate::dynamodb::table::{Table, concurrently};

/// How long a lease is, from its last renewal. It has to be longer than one request to a consumer and its acknowledgement.
pub const LEASE_TIME: Duration = Duration::from_secs(60);

/// The stored attribute with the process that delivers the feed.
const LEASE_OWNER: &str = "lease_owner";
/// The stored attribute with the end of its lease, in milliseconds since 1970.
const LEASE_END: &str = "lease_end";

/// The right to deliver the events of a feed.
#[derive(Debug)]
pub struct Lease {
    table: Table,
    connector: ConnectorId,
    feed: FeedId,
    owner: String,
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryResult {
    /// Everything that waited was delivered, or there was no time for more.
    Delivered,
    /// The consumer did not accept an event.
    Failed {
        /// What it answered.
        error: String,
        /// The number of deliveries that failed one after another, with this one.
        failures: u64,
        /// When the next attempt is due.
        retry_at: Timestamp,
    },
    /// The consumer wants no more events (410 Gone), so the feed is paused.
    Gone {
        /// What it answered.
        error: String,
    },
}

impl Table {
    /// Lists the feeds whose events are to be sent to a URL at this time, of all connectors. Their outboxes may be empty.
    ///
    /// # Errors
    /// Fails when DynamoDB does, or when a feed cannot be read.
    pub async fn feeds_to_deliver(&self, now: Timestamp) -> Result<Vec<(ConnectorId, Feed)>, ScimError> {
        let ids = self.connector_ids().await?.into_iter();
        let reads = ids.map(|id| {
            async move {
                let feeds = self.feeds(&id).await?.into_iter().filter(|feed| feed.is_due(now));
                Ok(feeds.map(|feed| (id.clone(), feed)).collect::<Vec<_>>())
            }
            .boxed()
        });
        Ok(concurrently(reads.collect()).await?.into_iter().flatten().collect())
    }

    /// Takes the lease of a feed. `None` if another process has it, or if the feed does not exist.
    ///
    /// # Errors
    /// Fails when DynamoDB does, or when the feed cannot be read.
    pub async fn lease_feed(
        &self,
        connector: &ConnectorId,
        feed: &FeedId,
        now: Timestamp,
    ) -> Result<Option<(Lease, Feed)>, ScimError> {
        let owner = Uuid::new_v4().to_string();
        let lease = Lease { table: self.clone(), connector: connector.clone(), feed: feed.clone(), owner };
        let is_free = format!("attribute_not_exists({LEASE_END}) OR {LEASE_END} <= :now");
        let is_free =
            Expression::new(format!("attribute_exists(pk) AND ({is_free} OR {LEASE_OWNER} = :known)"))
                .with(":now", number(now.as_millisecond()))
                .with(":known", text(&lease.owner));
        let feed = lease.set(now, is_free).await?;
        Ok(feed.map(|feed| (lease, feed)))
    }
}

impl Lease {
    /// Renews the lease, and reads the feed again. `None` if another process has taken the lease over, or if the feed is deleted.
    ///
    /// # Errors
    /// Fails when DynamoDB does, or when the feed cannot be read.
    pub async fn renew(&self, now: Timestamp) -> Result<Option<Feed>, ScimError> {
        self.set(now, self.is_own()).await
    }

    async fn set(&self, now: Timestamp, condition: Expression) -> Result<Option<Feed>, ScimError> {
        let end = now + LEASE_TIME;
        let update =
            Update::new().set(LEASE_OWNER, text(&self.owner)).set(LEASE_END, number(end.as_millisecond()));
        let item =
            self.table.update(&keys::feed(&self.connector, &self.feed), update.into(), condition).await?;
        item.map(|item| Feed::from_item(&item)).transpose()
    }

    fn is_own(&self) -> Expression {
        Expression::new(format!("{LEASE_OWNER} = :known")).with(":known", text(&self.owner))
    }

    /// Ends the lease and stores the result, unless another process has taken the lease over. `sent` is the number of events that the
    /// consumer accepted.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn release(
        self,
        result: &DeliveryResult,
        sent: usize,
        now: Timestamp,
    ) -> Result<(), ScimError> {
        let error = |error: &str| Update::new().set(LAST_ERROR, text(format!("{now} {error}")));
        let update = match result {
            DeliveryResult::Delivered => Update::new().remove(&[LEASE_OWNER, LEASE_END, FAILURES, RETRY_AT]),
            DeliveryResult::Failed { error: message, failures, retry_at } => error(message)
                .set(FAILURES, number(failures))
                .set(RETRY_AT, number(retry_at.as_millisecond()))
                .remove(&[LEASE_OWNER, LEASE_END]),
            DeliveryResult::Gone { error: message } => error(message)
                .set(GONE, number(now.as_millisecond()))
                .remove(&[LEASE_OWNER, LEASE_END, FAILURES, RETRY_AT]),
        };
        let update = if sent > 0 { update.set(DELIVERED, number(now.as_millisecond())) } else { update };
        let key = keys::feed(&self.connector, &self.feed);
        self.table.update(&key, update.into(), self.is_own()).await.map(drop)
    }

    /// Ends the lease without a result.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn give_up(self) -> Result<(), ScimError> {
        let key = keys::feed(&self.connector, &self.feed);
        let update = Update::new().remove(&[LEASE_OWNER, LEASE_END]);
        self.table.update(&key, update.into(), self.is_own()).await.map(drop)
    }
}
