//! Credential usage: when each credential was last used, and how many sign-ins failed from each address.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::ConnectorId;
use crate::dynamodb::attributes::{Item, get_number, get_text, number};
use crate::dynamodb::expressions::Expression;
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::{Range, Table};
use shared::error::ScimError;

/// Failed sign-ins are forgotten after this time without another one.
const FAILURE_TTL: SignedDuration = SignedDuration::from_mins(15);
/// After this many failures, sign-ins from the address are refused without a check.
const MAX_FAILURES: u32 = 10;
/// From this failure on, responses are delayed.
const FIRST_DELAYED_FAILURE: u32 = 3;
const FIRST_DELAY: Duration = Duration::from_millis(100);
const MAX_DELAY: Duration = Duration::from_millis(1_600);
/// How often a process records the use of a credential.
pub const USE_RECORDED_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// The failed sign-ins to a connector from one address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    count: u32,
    /// When they are forgotten, in seconds since 1970-01-01T00:00:00Z.
    until: i64,
}

impl Failures {
    /// How many seconds sign-ins are refused; `None` if they are not.
    pub fn blocked_for(self, now: Timestamp) -> Option<u32> {
        let left = u32::try_from(self.until - now.as_second()).ok()?;
        (self.count >= MAX_FAILURES).then_some(left.max(1))
    }

    /// How long the response to the last failure is delayed.
    pub fn delay(self) -> Duration {
        match self.count.checked_sub(FIRST_DELAYED_FAILURE) {
            Some(more) => MAX_DELAY.min(FIRST_DELAY * 2u32.saturating_pow(more)),
            None => Duration::ZERO,
        }
    }

    fn from_item(item: &Item, now: Timestamp) -> Self {
        let until = get_number(item, "expires").unwrap_or_default();
        // DynamoDB can delete an expired item days later.
        if until <= now.as_second() {
            return Self::default();
        }
        Self { count: get_number(item, "failures").unwrap_or_default(), until }
    }
}

/// The credential usage of one connector.
#[derive(Debug)]
pub struct CredentialUsage<'t> {
    table: &'t Table,
    connector: &'t ConnectorId,
}

impl Table {
    /// The credential usage of a connector.
    pub fn credential_usage<'t>(&'t self, connector: &'t ConnectorId) -> CredentialUsage<'t> {
        CredentialUsage { table: self, connector }
    }
}

impl CredentialUsage<'_> {
    /// Reads the failed sign-ins from an address.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn failures(&self, address: &str, now: Timestamp) -> Result<Failures, ScimError> {
        let item = self.table.get(&keys::failed_sign_ins(self.connector, address)).await?;
        Ok(item.map(|item| Failures::from_item(&item, now)).unwrap_or_default())
    }

    /// Counts one more failed sign-in.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn count_failure(&self, address: &str, now: Timestamp) -> Result<Failures, ScimError> {
        let key = keys::failed_sign_ins(self.connector, address);
        let until = (now + FAILURE_TTL).as_second();
        loop {
            let more = Expression::new("SET expires = :until ADD failures :one")
                .with(":until", number(until))
                .with(":one", number(1));
            let is_remembered = Expression::new("expires > :now").with(":now", number(now.as_second()));
            if let Some(item) = self.table.update(&key, more, is_remembered).await? {
                return Ok(Failures::from_item(&item, now));
            }
            let first = Expression::new("SET expires = :until, failures = :one")
                .with(":until", number(until))
                .with(":one", number(1));
            let is_forgotten = Expression::new("attribute_not_exists(pk) OR expires <= :now")
                .with(":now", number(now.as_second()));
            if let Some(item) = self.table.update(&key, first, is_forgotten).await? {
                return Ok(Failures::from_item(&item, now));
            }
        }
    }

    /// Records that a credential was used, unless a use was recorded within the hour.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn record_use(&self, credential: &str, now: Timestamp) -> Result<(), ScimError> {
        let update = Expression::new("SET used = :now").with(":now", number(now.as_second()));
        let before = (now - USE_RECORDED_EVERY).as_second();
        let is_due =
            Expression::new("attribute_not_exists(used) OR used <= :before").with(":before", number(before));
        self.table.update(&keys::last_use(self.connector, credential), update, is_due).await.map(|_| ())
    }

    /// Reads when a credential was last used, to the hour.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn last_used(&self, credential: &str) -> Result<Option<Timestamp>, ScimError> {
        let keys = both_keys(self.connector, credential);
        let items = self.table.get_all(&keys).await?;
        let seconds = items.iter().filter_map(|item| get_number(item, "used")).max();
        Ok(seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()))
    }

    /// Deletes the records of when credentials were last used.
    pub(super) async fn forget(&self, credentials: &[String]) -> Result<(), ScimError> {
        let keys: Vec<Key> =
            credentials.iter().flat_map(|credential| both_keys(self.connector, credential)).collect();
        self.table.delete_all(&keys).await
    }

    /// Deletes the records of all credentials. A function may have written one for a
    /// credential that was retired a moment before.
    pub(super) async fn forget_all(&self) -> Result<(), ScimError> {
        self.table.clear_partition(&keys::last_uses(self.connector)).await?;
        let Key { pk, sk: prefix } = keys::last_use_of_earlier_versions(self.connector, "");
        let items = self.table.query(&pk, &Range::Prefix(prefix)).await?;
        let sk = |item: &Item| get_text(item, "sk").map(str::to_owned);
        let keys: Vec<Key> = items.iter().filter_map(sk).map(|sk| Key { pk: pk.clone(), sk }).collect();
        self.table.delete_all(&keys).await
    }
}

/// Where the last use of a credential is, and where earlier versions stored it.
fn both_keys(connector: &ConnectorId, credential: &str) -> [Key; 2] {
    [keys::last_use(connector, credential), keys::last_use_of_earlier_versions(connector, credential)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_delayed_first_and_then_refused() {
        let now = Timestamp::UNIX_EPOCH;
        let failures = |count| Failures { count, until: 900 };
        let milliseconds = |count| failures(count).delay().as_millis();
        assert_eq!([0, 2, 3, 4, 7, 9, 40].map(milliseconds), [0, 0, 100, 200, 1_600, 1_600, 1_600]);
        assert_eq!(failures(9).blocked_for(now), None);
        assert_eq!(failures(10).blocked_for(now), Some(900));
        assert_eq!(failures(10).blocked_for(now + SignedDuration::from_secs(901)), None);
    }
}
