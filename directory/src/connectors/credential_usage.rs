//! Credential usage: when each credential was last used.

use jiff::{SignedDuration, Timestamp};

use super::ConnectorId;
use crate::dynamodb::attributes::{Item, get_number, get_text, number};
use crate::dynamodb::expressions::Expression;
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::{Range, Table};
use shared::error::ScimError;

/// How often a process records the use of a credential.
pub const USE_RECORDED_EVERY: SignedDuration = SignedDuration::from_hours(1);

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

    /// Reads when one of these credentials was last used, to the hour, in one request.
    pub(crate) async fn last_contact(&self, credentials: &[&str]) -> Result<Option<Timestamp>, ScimError> {
        let items = self.table.query(&keys::last_uses(self.connector), &Range::All).await?;
        let items = items
            .iter()
            .filter(|item| get_text(item, "sk").is_some_and(|credential| credentials.contains(&credential)));
        let seconds = items.filter_map(|item| get_number(item, "used")).max();
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
