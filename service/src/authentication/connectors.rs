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
/// A failed check reads the connector again, so that a new password works at once. Strangers can make checks fail as often
/// as they like, so the number of these reads is limited. Each connector that this process has read has its own limit. The
/// reads that find no connector share one limit, because strangers can invent any number of ids.
#[derive(Debug, Default)]
pub struct ConnectorCache {
    entries: Mutex<HashMap<ConnectorId, Entry>>,
    limit_of_missing: Mutex<TokenBucket>,
}

/// A connector that was read.
#[derive(Debug)]
struct Entry {
    connector: Arc<Connector>,
    /// When the read began.
    read_at: Instant,
    read_limit: TokenBucket,
    /// Held by the request that reads the connector again, so that others can use what it reads.
    read_lock: Arc<tokio::sync::Mutex<()>>,
}

/// What a read of a connector found.
#[derive(Debug)]
pub enum ReadOutcome {
    /// The connector as it is now; `None` if there is none.
    Read(Option<Arc<Connector>>),
    /// Nothing was read, because the limit is reached.
    RateLimited,
}

impl ReadOutcome {
    /// The connector, if it was read and there is one.
    pub fn connector(self) -> Option<Arc<Connector>> {
        match self {
            Self::Read(connector) => connector,
            Self::RateLimited => None,
        }
    }
}

impl ConnectorCache {
    /// A connector that was read less than [`CONNECTOR_CACHE_TTL`] ago.
    pub fn cached(&self, id: &ConnectorId) -> Option<Arc<Connector>> {
        let entries = lock_ignoring_poison(&self.entries);
        entries.get(id).filter(|entry| !entry.is_expired()).map(|entry| Arc::clone(&entry.connector))
    }

    /// Whether this process has read a connector with this id, however long ago.
    pub fn has_read(&self, id: &ConnectorId) -> bool {
        lock_ignoring_poison(&self.entries).contains_key(id)
    }

    /// Returns the connector as this or another request has read it at `began` or later. A read of an expired entry does
    /// not count towards the limit.
    pub async fn read(
        &self,
        table: &Table,
        id: &ConnectorId,
        began: Instant,
    ) -> Result<ReadOutcome, ScimError> {
        let read_lock = lock_ignoring_poison(&self.entries).get(id).map(|entry| Arc::clone(&entry.read_lock));
        let read_lock = read_lock.unwrap_or_default();
        let _guard = read_lock.lock().await;
        if let Some(outcome) = self.without_reading(id, began) {
            return Ok(outcome);
        }
        let read_at = Instant::now();
        let Some(connector) = table.connector(id).await?.map(Arc::new) else {
            lock_ignoring_poison(&self.entries).remove(id);
            lock_ignoring_poison(&self.limit_of_missing).take(read_at);
            return Ok(ReadOutcome::Read(None));
        };
        let present = lock_ignoring_poison(&self.entries).remove(id);
        let read_limit = present.map(|entry| entry.read_limit).unwrap_or_default();
        let entry = Entry {
            connector: Arc::clone(&connector),
            read_at,
            read_limit,
            read_lock: Arc::clone(&read_lock),
        };
        insert_bounded(&self.entries, id.clone(), entry);
        Ok(ReadOutcome::Read(Some(connector)))
    }

    /// The result of a read if none is needed or allowed. Otherwise takes one read from the limit.
    fn without_reading(&self, id: &ConnectorId, began: Instant) -> Option<ReadOutcome> {
        let is_allowed = match lock_ignoring_poison(&self.entries).get_mut(id) {
            Some(entry) if entry.read_at >= began => {
                return Some(ReadOutcome::Read(Some(Arc::clone(&entry.connector))));
            }
            Some(entry) => entry.is_expired() || entry.read_limit.take(Instant::now()),
            None => lock_ignoring_poison(&self.limit_of_missing).left(Instant::now()) > 0,
        };
        (!is_allowed).then_some(ReadOutcome::RateLimited)
    }
}

impl Entry {
    fn is_expired(&self) -> bool {
        self.read_at.elapsed() >= CONNECTOR_CACHE_TTL
    }
}

/// A token bucket: [`BURST`] at once, then one each [`REFILL`].
#[derive(Debug)]
struct TokenBucket {
    left: u32,
    filled: Instant,
}

impl Default for TokenBucket {
    fn default() -> Self {
        Self { left: BURST, filled: Instant::now() }
    }
}

impl TokenBucket {
    /// Returns the number of reads that are allowed now.
    fn left(&mut self, now: Instant) -> u32 {
        let time = now.saturating_duration_since(self.filled);
        let new = u32::try_from(time.as_secs() / REFILL.as_secs()).unwrap_or(u32::MAX);
        self.filled += REFILL.saturating_mul(new);
        self.left = self.left.saturating_add(new).min(BURST);
        self.left
    }

    /// Takes one read. Returns whether it is allowed.
    fn take(&mut self, now: Instant) -> bool {
        let is_allowed = self.left(now) > 0;
        self.left = self.left.saturating_sub(1);
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_allows_ten_reads_at_once_and_then_one_each_second() {
        let mut bucket = TokenBucket::default();
        let start = bucket.filled;
        let mut take_all = |milliseconds| {
            let now = start + Duration::from_millis(milliseconds);
            std::iter::from_fn(|| bucket.take(now).then_some(())).count()
        };
        let taken = [0, 999, 1_000, 1_999, 4_000, 3_600_000].map(&mut take_all);
        assert_eq!(taken, [10, 0, 1, 0, 3, 10]);
    }
}
