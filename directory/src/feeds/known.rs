//! The feeds that a writer knows.
//!
//! A new feed is marked when every process knows it (`time_until_known`). So a transaction may use what was read of the connector only
//! for [`CONNECTOR_CACHE_TTL`], and its last attempt may begin [`MAX_REQUEST_TIME`] later. A client's request ends before that, by its
//! deadline, so it uses the feeds of its connector. A command of an operator and a sweep can take longer, so they read the
//! connector's record again.

use jiff::Timestamp;
use shared::error::{ErrorKind, ScimError};
use tokio::time::Instant;

use super::FeedId;
use crate::Directory;
use crate::connectors::{CONNECTOR_CACHE_TTL, Connector, MAX_REQUEST_TIME, being_deleted, unknown_connector};
use crate::dynamodb::table::Table;

/// The feeds of a connector, and when they were read.
#[derive(Clone, Debug)]
pub(crate) struct KnownFeeds {
    pub feeds: Vec<FeedId>,
    /// When they were read, by the calendar and by the clock of the process. That clock stands still while a machine sleeps, and the
    /// calendar can be set back.
    time: Timestamp,
    instant: Instant,
}

impl KnownFeeds {
    /// The feeds of a connector that was read at this time, or for a request earlier by at most [`CONNECTOR_CACHE_TTL`].
    pub fn of(connector: &Connector, time: Timestamp) -> Self {
        Self { feeds: connector.record.feeds.clone(), time, instant: Instant::now() }
    }

    fn is_recent(&self) -> bool {
        let by_calendar = Timestamp::now().duration_since(self.time).unsigned_abs();
        by_calendar < CONNECTOR_CACHE_TTL && self.instant.elapsed() < CONNECTOR_CACHE_TTL
    }

    /// A handle of the table for one transaction, whose attempts end in time.
    pub fn limit(&self, table: &Table) -> Table {
        let longest = CONNECTOR_CACHE_TTL + MAX_REQUEST_TIME;
        table.no_later_than(self.instant + longest, self.time + longest)
    }
}

impl Directory {
    /// The feeds to which a transaction has to write now.
    pub(crate) async fn known_feeds(&self) -> Result<KnownFeeds, ScimError> {
        // Only one of several writers reads.
        let mut known = self.known_feeds.lock().await;
        if !known.is_recent() {
            let (time, instant) = (Timestamp::now(), Instant::now());
            let feeds = self.read_connector_again().await?.record.feeds;
            *known = KnownFeeds { feeds, time, instant };
        }
        Ok(known.clone())
    }

    /// Reads the connector again, for work that takes longer than a request. Its feeds can have changed.
    ///
    /// # Errors
    /// 404; 503 if the connector is being deleted, or if its settings, indexes or schemas have changed: they decide which items a
    /// transaction writes.
    pub async fn read_connector_again(&self) -> Result<Connector, ScimError> {
        let id = &self.connector.id;
        let unavailable = |detail| Err(ScimError::new(ErrorKind::Unavailable, detail));
        let Some(present) = self.table.connector_without_credentials(id).await? else {
            return Err(unknown_connector(id));
        };
        let (before, now) = (&self.connector.record, &present.record);
        if now.is_deleting {
            return unavailable(being_deleted(id));
        }
        if (&now.settings, &now.indexes, &now.schemas) != (&before.settings, &before.indexes, &before.schemas)
        {
            return unavailable(format!(
                "the settings, indexes or schemas of connector {id} were changed meanwhile; run the command again"
            ));
        }
        Ok(present)
    }
}
