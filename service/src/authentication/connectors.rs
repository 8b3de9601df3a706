//! The connectors that a process has read, and how often it may read one again because a check failed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use directory::Table;
use directory::connectors::{CONNECTOR_CACHE_TTL, Connector, ConnectorId};
use shared::error::ScimError;
use tokio::time::{Duration, Instant};

use super::{insert_bounded, lock_ignoring_poison};

/// How many reads a bucket allows at once.
const BURST: u32 = 10;
/// After this time a bucket allows one more read.
const REFILL: Duration = Duration::from_secs(1);

/// The connectors that a process has read.
///
/// A failed check reads the connector again, so that a new password works at once. Strangers can make checks
/// fail as often as they like, so the number of these reads is limited. Each known connector has its own
/// limit. All unknown ones share one, because strangers can invent any number of them.
#[derive(Debug, Default)]
pub struct ConnectorCache {
    known: Mutex<HashMap<ConnectorId, Known>>,
    unknown: Mutex<Bucket>,
}

/// A connector that was read.
#[derive(Debug)]
struct Known {
    connector: Arc<Connector>,
    /// When the read began.
    read: Instant,
    reads: Bucket,
    /// Held by the request that reads the connector again, so that others can use what it reads.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// What a read of a connector found.
#[derive(Debug)]
pub enum Reading {
    /// The connector as it is now; `None` if there is none.
    Read(Option<Arc<Connector>>),
    /// Nothing was read, because the limit is reached.
    TooOften,
}

impl Reading {
    /// The connector, if it was read and there is one.
    pub fn connector(self) -> Option<Arc<Connector>> {
        match self {
            Self::Read(connector) => connector,
            Self::TooOften => None,
        }
    }
}

impl ConnectorCache {
    /// A connector that was read less than [`CONNECTOR_CACHE_TTL`] ago.
    pub fn cached(&self, id: &ConnectorId) -> Option<Arc<Connector>> {
        let known = lock_ignoring_poison(&self.known);
        known.get(id).filter(|known| !known.is_expired()).map(|known| Arc::clone(&known.connector))
    }

    /// Reads a connector as it was at `began` or later. Reading one whose time in the cache is over does not
    /// count towards the limit.
    pub async fn read(&self, table: &Table, id: &ConnectorId, began: Instant) -> Result<Reading, ScimError> {
        let turn = lock_ignoring_poison(&self.known).get(id).map(|known| Arc::clone(&known.turn));
        let turn = turn.unwrap_or_default();
        let _turn = turn.lock().await;
        if let Some(reading) = self.without_reading(id, began) {
            return Ok(reading);
        }
        let read = Instant::now();
        let Some(connector) = table.connector(id).await?.map(Arc::new) else {
            lock_ignoring_poison(&self.known).remove(id);
            return Ok(Reading::Read(None));
        };
        let present = lock_ignoring_poison(&self.known).remove(id);
        let reads = present.map(|known| known.reads).unwrap_or_default();
        let known = Known { connector: Arc::clone(&connector), read, reads, turn: Arc::clone(&turn) };
        insert_bounded(&self.known, id.clone(), known);
        Ok(Reading::Read(Some(connector)))
    }

    /// The result of a read if none is needed or allowed. Otherwise takes one read from the limit.
    fn without_reading(&self, id: &ConnectorId, began: Instant) -> Option<Reading> {
        let is_allowed = match lock_ignoring_poison(&self.known).get_mut(id) {
            Some(known) if known.read >= began => {
                return Some(Reading::Read(Some(Arc::clone(&known.connector))));
            }
            Some(known) => known.is_expired() || known.reads.take(Instant::now()),
            None => lock_ignoring_poison(&self.unknown).take(Instant::now()),
        };
        (!is_allowed).then_some(Reading::TooOften)
    }
}

impl Known {
    fn is_expired(&self) -> bool {
        self.read.elapsed() >= CONNECTOR_CACHE_TTL
    }
}

/// A token bucket: [`BURST`] at once, then one each [`REFILL`].
#[derive(Debug)]
struct Bucket {
    left: u32,
    filled: Instant,
}

impl Default for Bucket {
    fn default() -> Self {
        Self { left: BURST, filled: Instant::now() }
    }
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        let time = now.saturating_duration_since(self.filled);
        let new = u32::try_from(time.as_secs() / REFILL.as_secs()).unwrap_or(u32::MAX);
        self.filled += REFILL.saturating_mul(new);
        self.left = self.left.saturating_add(new).min(BURST);
        let is_allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_allows_ten_reads_at_once_and_then_one_each_second() {
        let mut bucket = Bucket::default();
        let start = bucket.filled;
        let mut take_all = |milliseconds| {
            let now = start + Duration::from_millis(milliseconds);
            std::iter::from_fn(|| bucket.take(now).then_some(())).count()
        };
        let taken = [0, 999, 1_000, 1_999, 4_000, 3_600_000].map(&mut take_all);
        assert_eq!(taken, [10, 0, 1, 0, 3, 10]);
    }
}
