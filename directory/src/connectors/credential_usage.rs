//! What requests leave behind about credentials: when one was last used, and how many wrong ones came from where.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

use crate::connectors::ConnectorId;
use crate::dynamodb::item::number;
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::{Item, Range, Table};
use crate::dynamodb::transaction::Expression;
use shared::error::ScimError;

/// Wrong passwords are forgotten so long after the last of them.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_mins(15);
/// From this many on, no password from that address is looked at any more.
const MOST_FAILURES: u32 = 10;
/// From this many on, each answer takes longer.
const FREE_FAILURES: u32 = 3;
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_millis(1_600);
/// The use of a credential is noted this often.
pub const NOTED_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// The wrong passwords that came for a connector from one address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    count: u32,
    /// When they are forgotten, in seconds since 1970.
    until: i64,
}

impl Failures {
    /// For how many seconds no password is looked at, if it is so.
    pub fn blocked_for(self, now: Timestamp) -> Option<u32> {
        let left = u32::try_from(self.until - now.as_second()).ok()?;
        (self.count >= MOST_FAILURES).then_some(left.max(1))
    }

    /// How long the answer to the last of them is held back.
    pub fn delay(self) -> Duration {
        match self.count.checked_sub(FREE_FAILURES) {
            Some(more) => LONGEST_DELAY.min(FIRST_DELAY * 2u32.saturating_pow(more)),
            None => Duration::ZERO,
        }
    }

    fn from_item(item: &Item, now: Timestamp) -> Self {
        let number = |name: &str| item.get(name).and_then(|value: &AttributeValue| value.as_n().ok());
        let until = number("expires").and_then(|until| until.parse().ok()).unwrap_or_default();
        // DynamoDB deletes what has expired when it comes to it.
        if until <= now.as_second() {
            return Self::default();
        }
        Self { count: number("failures").and_then(|count| count.parse().ok()).unwrap_or_default(), until }
    }
}

impl Table {
    /// Reads how many wrong passwords came for a connector from an address.
    pub async fn failures(
        &self,
        connector: &ConnectorId,
        address: &str,
        now: Timestamp,
    ) -> Result<Failures, ScimError> {
        let item = self.get(&keys::attempts(connector, address)).await?;
        Ok(item.map(|item| Failures::from_item(&item, now)).unwrap_or_default())
    }

    /// Counts one more.
    pub async fn count_failure(
        &self,
        connector: &ConnectorId,
        address: &str,
        now: Timestamp,
    ) -> Result<Failures, ScimError> {
        let key = keys::attempts(connector, address);
        let until = (now + FORGOTTEN_AFTER).as_second();
        loop {
            let more = Expression::new("SET expires = :until ADD failures :one")
                .with(":until", number(until))
                .with(":one", number(1));
            let is_remembered = Expression::new("expires > :now").with(":now", number(now.as_second()));
            if let Some(item) = self.update(&key, more, is_remembered).await? {
                return Ok(Failures::from_item(&item, now));
            }
            let first = Expression::new("SET expires = :until, failures = :one")
                .with(":until", number(until))
                .with(":one", number(1));
            let is_forgotten = Expression::new("attribute_not_exists(pk) OR expires <= :now")
                .with(":now", number(now.as_second()));
            if let Some(item) = self.update(&key, first, is_forgotten).await? {
                return Ok(Failures::from_item(&item, now));
            }
        }
    }

    /// Notes that a credential was used, unless that was noted within the hour.
    pub async fn note_use(
        &self,
        connector: &ConnectorId,
        credential: &str,
        now: Timestamp,
    ) -> Result<(), ScimError> {
        let update = Expression::new("SET used = :now").with(":now", number(now.as_second()));
        let before = (now - NOTED_EVERY).as_second();
        let is_due =
            Expression::new("attribute_not_exists(used) OR used <= :before").with(":before", number(before));
        self.update(&keys::used(connector, credential), update, is_due).await.map(|_| ())
    }

    /// When a credential was last used, to the hour.
    pub async fn last_used(
        &self,
        connector: &ConnectorId,
        credential: &str,
    ) -> Result<Option<Timestamp>, ScimError> {
        let item = self.get(&keys::used(connector, credential)).await?;
        let seconds = item.and_then(|item| item.get("used")?.as_n().ok()?.parse().ok());
        Ok(seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()))
    }

    /// Forgets when credentials were last used.
    pub async fn forget_uses(
        &self,
        connector: &ConnectorId,
        credentials: &[String],
    ) -> Result<(), ScimError> {
        let keys: Vec<Key> = credentials.iter().map(|credential| keys::used(connector, credential)).collect();
        self.delete_all(&keys).await
    }

    /// Forgets when any credential of a connector was last used: also one that was retired while a function still let it
    /// in, and noted so.
    pub async fn forget_all_uses(&self, connector: &ConnectorId) -> Result<(), ScimError> {
        let Key { pk, sk: prefix } = keys::used(connector, "");
        let items = self.query(&pk, &Range::Prefix(prefix)).await?;
        let sk = |item: &Item| item.get("sk")?.as_s().ok().cloned();
        let keys: Vec<Key> = items.iter().filter_map(sk).map(|sk| Key { pk: pk.clone(), sk }).collect();
        self.delete_all(&keys).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_passwords_first_slow_down_and_then_are_not_looked_at() {
        let now = Timestamp::UNIX_EPOCH;
        let failures = |count| Failures { count, until: 900 };
        let milliseconds = |count| failures(count).delay().as_millis();
        assert_eq!([0, 2, 3, 4, 7, 9, 40].map(milliseconds), [0, 0, 100, 200, 1_600, 1_600, 1_600]);
        assert_eq!(failures(9).blocked_for(now), None);
        assert_eq!(failures(10).blocked_for(now), Some(900));
        assert_eq!(failures(10).blocked_for(now + SignedDuration::from_secs(901)), None);
    }
}
