//! Which keys sign the tokens of feeds.
//!
//! A new key signs when every process knows it, so that a consumer that gets a token finds its key.

use jiff::Timestamp;
use shared::error::ScimError;

use crate::connectors::{Connector, time_until_known};
use crate::dynamodb::keys;
use crate::dynamodb::table::Table;
use crate::signing::{PublicKey, Signer};

/// The most keys of a connector: the one that signs, the next one, and one whose tokens can still be on their way.
const MAX_KEYS: usize = 3;

/// The keys after a new one: it is the last, and the oldest of too many are dropped.
///
/// # Errors
/// `invalidValue` if the key that signs now would be dropped, because the others are too new.
pub(super) fn with_new(
    connector: &Connector,
    new: PublicKey,
    now: Timestamp,
) -> Result<Vec<PublicKey>, ScimError> {
    let mut keys = connector.record.signing_keys.clone();
    keys.push(new);
    let surplus = keys.len().saturating_sub(MAX_KEYS);
    let dropped: Vec<PublicKey> = keys.drain(..surplus).collect();
    if signing(connector, now).is_some_and(|key| dropped.contains(key)) {
        return Err(ScimError::invalid_value(format!(
            "the last {} keys of connector {} do not sign yet; try again in three minutes",
            MAX_KEYS - 1,
            connector.id
        )));
    }
    Ok(keys)
}

/// The newest key that every process knows; the oldest if there is none yet.
fn signing(connector: &Connector, now: Timestamp) -> Option<&PublicKey> {
    let keys = &connector.record.signing_keys;
    let is_known = |key: &&PublicKey| !time_until_known(key.created, now).is_positive();
    keys.iter().rev().find(is_known).or_else(|| keys.first())
}

impl Table {
    /// Reads the key that signs for a connector now. `None` when the connector has no feed, and has had none.
    ///
    /// # Errors
    /// Fails when DynamoDB does, or when the key cannot be read.
    pub async fn signer(&self, connector: &Connector, now: Timestamp) -> Result<Option<Signer>, ScimError> {
        let Some(PublicKey { kid, .. }) = signing(connector, now) else { return Ok(None) };
        let item = self.get(&keys::signing_key(&connector.id, kid)).await?;
        Signer::of_item(kid, item.as_ref()).map(Some)
    }
}
