//! The last good key set of an issuer, as an item of the connector. A new process uses it while the issuer's host is away.

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use shared::error::ScimError;

use super::key_set::KeySet;
use crate::connectors::ConnectorId;
use crate::dynamodb::attributes::{get_number, get_text, number, text};
use crate::dynamodb::expressions::Expression;
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::Table;
use crate::hex::hex;

/// How long a key set is used after it was fetched, if it cannot be fetched again.
pub const MAX_KEY_SET_AGE: SignedDuration = SignedDuration::from_hours(24);
/// How often an unchanged set is written.
const WRITTEN_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// The largest set that is stored, in bytes. An item holds at most 400 KB.
const MAX_STORED_BYTES: usize = 300_000;

impl Table {
    /// Stores the key set that was fetched from a URL, if it differs from the stored one, or if that is an hour old.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn store_key_set(
        &self,
        connector: &ConnectorId,
        url: &str,
        document: &str,
        now: Timestamp,
    ) -> Result<(), ScimError> {
        if document.len() > MAX_STORED_BYTES {
            return Ok(());
        }
        let update = Expression::new("SET doc = :doc, fetched = :now, expires = :expires")
            .with(":doc", text(document))
            .with(":now", number(now.as_second()))
            .with(":expires", number((now + MAX_KEY_SET_AGE).as_second()));
        let is_due = Expression::new("attribute_not_exists(pk) OR doc <> :doc OR fetched < :before")
            .with(":before", number((now - WRITTEN_EVERY).as_second()));
        self.update(&key(connector, url), update, is_due).await.map(drop)
    }

    /// Reads the stored key set of a URL, and when it was fetched. `None` if there is none, or if it is older than a day.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn stored_key_set(
        &self,
        connector: &ConnectorId,
        url: &str,
        now: Timestamp,
    ) -> Result<Option<(KeySet, Timestamp)>, ScimError> {
        let Some(item) = self.get(&key(connector, url)).await? else { return Ok(None) };
        let fetched = get_number(&item, "fetched").and_then(|seconds| Timestamp::from_second(seconds).ok());
        let fetched = fetched.filter(|fetched| now.duration_since(*fetched) < MAX_KEY_SET_AGE);
        let document = get_text(&item, "doc").unwrap_or_default();
        Ok(fetched.zip(KeySet::parse(document.as_bytes()).ok()).map(|(fetched, keys)| (keys, fetched)))
    }
}

fn key(connector: &ConnectorId, url: &str) -> Key {
    keys::issuer_keys(connector, &hex(&Sha256::digest(url)))
}
