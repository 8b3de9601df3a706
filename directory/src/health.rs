//! What operators must know of a connector before its identity provider or its consumers complain.

use jiff::Timestamp;
use shared::credential::{Credential, CredentialScope};
use shared::error::ScimError;

use crate::connectors::{Connector, ConnectorId};
use crate::dynamodb::table::Table;

/// The most connectors that are measured at once. Each costs at least four reads, and has metrics of its own.
const MAX_MEASURED: usize = 100;
/// The most waiting changes of a feed that are counted.
const MAX_COUNTED: usize = 10_000;

/// The health of a connector that is neither disabled nor being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorHealth {
    /// The connector.
    pub connector: ConnectorId,
    /// When the credential that expires next does so. If all credentials of a scope have expired, when the last of them did. `None`
    /// if none expires.
    pub expires: Option<Timestamp>,
    /// When the identity provider last used a credential for the SCIM API, to the hour. `None` if it never did.
    pub last_contact: Option<Timestamp>,
    /// What waits in its feeds. `None` if it has no feeds, or only paused ones.
    pub feeds: Option<Waiting>,
}

impl ConnectorHealth {
    /// The days until the credential that expires next does so. Negative if all of a scope have expired.
    pub fn days_left(&self, now: Timestamp) -> Option<f64> {
        self.expires.map(|expires| (expires - now).as_secs_f64() / 86_400.0)
    }

    /// The seconds since the identity provider last used a credential.
    pub fn seconds_since_contact(&self, now: Timestamp) -> Option<f64> {
        self.last_contact.map(|contact| (now - contact).as_secs_f64())
    }
}

impl Waiting {
    /// The age of the oldest change in seconds; 0 if none waits.
    pub fn oldest_age(&self, now: Timestamp) -> f64 {
        self.oldest.map_or(0.0, |oldest| (now - oldest).as_secs_f64())
    }
}

/// The changes that wait in the feeds of a connector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Their number, up to 10,000 for each feed.
    pub changes: usize,
    /// When the oldest of these was made.
    pub oldest: Option<Timestamp>,
}

impl Table {
    /// Measures the first 100 connectors. Returns also how many were left out, and a sentence for each that cannot be read.
    ///
    /// # Errors
    /// Fails when the connectors cannot be listed.
    pub async fn connector_health(&self, now: Timestamp) -> Result<Measured, ScimError> {
        let ids = self.connector_ids().await?;
        let mut measured =
            Measured { left_out: ids.len().saturating_sub(MAX_MEASURED), ..Measured::default() };
        for id in ids.into_iter().take(MAX_MEASURED) {
            match self.health_of(&id, now).await {
                Ok(health) => measured.connectors.extend(health),
                Err(error) => measured.failures.push(format!("{id}: {error}")),
            }
        }
        Ok(measured)
    }

    async fn health_of(
        &self,
        id: &ConnectorId,
        now: Timestamp,
    ) -> Result<Option<ConnectorHealth>, ScimError> {
        let is_active =
            |connector: &Connector| connector.record.disabled.is_none() && !connector.record.is_deleting;
        let Some(connector) = self.connector(id).await?.filter(is_active) else { return Ok(None) };
        let in_scope =
            |scope| connector.credentials.iter().filter(move |credential| credential.scope == scope);
        let expires = [CredentialScope::Scim, CredentialScope::Directory]
            .into_iter()
            .filter_map(|scope| next_expiry(in_scope(scope), now))
            .min();
        let ids: Vec<&str> = in_scope(CredentialScope::Scim).map(|one| one.id.as_str()).collect();
        let last_contact = self.credential_usage(id).last_contact(&ids).await?;
        let feeds = self.waiting_in_feeds(id).await?;
        Ok(Some(ConnectorHealth { connector: connector.id, expires, last_contact, feeds }))
    }

    /// What waits in the feeds of a connector, except those that an operator paused or deleted. A feed whose consumer wants no more
    /// events waits for an operator, so it counts.
    async fn waiting_in_feeds(&self, id: &ConnectorId) -> Result<Option<Waiting>, ScimError> {
        let mut waiting = None;
        for feed in self.feeds(id).await? {
            if feed.settings.paused.is_some() || feed.settings.deleted.is_some() {
                continue;
            }
            let info = self.feed_info_up_to(id, feed, MAX_COUNTED).await?;
            let sum: &mut Waiting = waiting.get_or_insert_default();
            sum.changes += info.waiting;
            sum.oldest = [sum.oldest, info.oldest].into_iter().flatten().min();
        }
        Ok(waiting)
    }
}

/// What [`Table::connector_health`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// The health of each connector.
    pub connectors: Vec<ConnectorHealth>,
    /// The number of connectors that were not measured, because there are too many.
    pub left_out: usize,
    /// A sentence for each connector that cannot be read.
    pub failures: Vec<String>,
}

/// When the valid credential that expires next does so; if none is valid, when the last one expired.
fn next_expiry<'c>(
    credentials: impl Iterator<Item = &'c Credential> + Clone,
    now: Timestamp,
) -> Option<Timestamp> {
    let mut live = credentials.clone().filter(|credential| credential.is_live(now)).peekable();
    if live.peek().is_some() {
        return live.filter_map(|credential| credential.expires).min();
    }
    credentials.filter_map(|credential| credential.expires).max()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use shared::credential::CredentialKind;

    use super::*;

    #[test]
    fn valid_credential_that_expires_next_counts_or_the_last_expired_one() {
        let now = Timestamp::UNIX_EPOCH;
        let day = |day: i64| now + SignedDuration::from_hours(24 * day);
        for (days, expected) in [
            (&[][..], None),
            (&[None], None),
            (&[Some(40), Some(20), None], Some(20)),
            (&[Some(-3), Some(20)], Some(20)),
            // The new credential never expires, so the old one does no harm.
            (&[Some(-3), None], None),
            (&[Some(-3), Some(-1)], Some(-1)),
            (&[Some(0)], Some(0)),
        ] {
            let credential = |days: &Option<i64>| Credential {
                expires: days.map(day),
                ..Credential::of_generated("1".to_owned(), CredentialKind::Bearer, "secret", now)
            };
            let credentials: Vec<Credential> = days.iter().map(credential).collect();
            assert_eq!(next_expiry(credentials.iter(), now), expected.map(day), "{days:?}");
        }
    }
}
