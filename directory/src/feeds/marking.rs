//! Marks every user, group and role as changed, so that a consumer reads all of them: when a feed is new, when rules or mapping
//! changed, and when an operator asks for it.
//!
//! The feed's item says when the marking can begin: when every process knows the feed or the settings. So no consumer reads a
//! user with the settings of before after it got the mark. The marking goes through the resources in the order of their keys
//! and stores how far it is; another process can go on. A resource can be marked twice, which does no harm.

use std::sync::Arc;

use jiff::Timestamp;
use shared::error::ScimError;
use shared::resource::{ResourceId, ResourceKind};

use super::outbox::{Change, order};
use super::{Feed, FeedId, MARK_AFTER, MARK_DUE};
use crate::connectors::{Connector, ConnectorId, time_until_known};
use crate::dynamodb::attributes::{Item, number, text};
use crate::dynamodb::conditions::Requirement;
use crate::dynamodb::expressions::{Expression, Update};
use crate::dynamodb::items;
use crate::dynamodb::keys;
use crate::dynamodb::table::{Outcome, Range, Table};
use crate::dynamodb::transaction::Transaction;

/// The items of a partition that are read at once.
const ITEMS_AT_ONCE: i32 = 1_000;
/// The order in which resources are marked: a consumer knows the groups before their members.
const KINDS: [ResourceKind; 4] =
    [ResourceKind::Group, ResourceKind::LocalGroup, ResourceKind::Role, ResourceKind::User];

/// What was done for the feeds of all connectors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tended {
    /// The feeds for which every resource is marked now.
    pub marked: usize,
    /// The deleted feeds whose outboxes are empty now.
    pub cleared: usize,
    /// A sentence for each feed that failed. The next call tries again.
    pub failures: Vec<String>,
}

/// Adds to a transaction that all resources are marked for the connector's feeds, when every process knows what the
/// transaction changes.
pub(crate) fn begin_marking(
    transaction: &mut Transaction,
    connector: &Connector,
    now: Timestamp,
) -> Result<(), ScimError> {
    let due = now + time_until_known(now, now);
    for feed in &connector.record.feeds {
        let update = Update::new()
            .set(MARK_DUE, number(due.as_millisecond()))
            .remove(&[MARK_AFTER])
            .add("revision", number(1));
        transaction.update(&keys::feed(&connector.id, feed), update, Some(Requirement::feed_exists()))?;
    }
    Ok(())
}

impl Table {
    /// Marks all resources for each feed where that is due, and clears the outboxes of deleted feeds. Calls at the same time do no
    /// harm. A call that was interrupted can be repeated.
    ///
    /// # Errors
    /// Fails when the connectors cannot be listed.
    pub async fn tend_feeds(&self, only: Option<&ConnectorId>, now: Timestamp) -> Result<Tended, ScimError> {
        let ids = match only {
            Some(id) => vec![id.clone()],
            None => self.connector_ids().await?,
        };
        let mut tended = Tended::default();
        for id in ids {
            let feeds = match self.feeds(&id).await {
                Ok(feeds) => feeds,
                Err(error) => {
                    tended.failures.push(format!("{id}: {error}"));
                    continue;
                }
            };
            for feed in feeds {
                match self.tend_feed(&id, &feed, now).await {
                    Ok(done) => {
                        tended.marked += usize::from(done == Done::Marked);
                        tended.cleared += usize::from(done == Done::Cleared);
                    }
                    Err(error) => tended.failures.push(format!("{id}: feed {}: {error}", feed.id)),
                }
            }
        }
        Ok(tended)
    }

    async fn tend_feed(&self, id: &ConnectorId, feed: &Feed, now: Timestamp) -> Result<Done, ScimError> {
        if let Some(deleted) = feed.settings.deleted {
            if time_until_known(deleted, now).is_positive() {
                return Ok(Done::Nothing);
            }
            self.clear_partition(&keys::outbox(id, &feed.id)).await?;
            // Another process may have cleared it, and an operator made a new feed of this name.
            let mut transaction = self.transaction();
            let is_same = Requirement::record_is_unchanged(feed.revision);
            transaction.delete_if(&keys::feed(id, &feed.id), is_same)?;
            let is_cleared = self.commit(&transaction).await? == Outcome::Committed;
            return Ok(if is_cleared { Done::Cleared } else { Done::Nothing });
        }
        let Some(marking) = feed.marking.as_ref().filter(|marking| marking.due <= now) else {
            return Ok(Done::Nothing);
        };
        let Some(connector) =
            self.connector_without_credentials(id).await?.filter(|connector| !connector.record.is_deleting)
        else {
            return Ok(Done::Nothing);
        };
        let walk = Walk { table: self, connector: Arc::new(connector), feed: &feed.id, due: marking.due };
        Ok(if walk.mark_all(marking.after.clone(), now).await? { Done::Marked } else { Done::Nothing })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    Nothing,
    Marked,
    Cleared,
}

/// The marking of all resources for one feed.
struct Walk<'w> {
    table: &'w Table,
    connector: Arc<Connector>,
    feed: &'w FeedId,
    /// When it could begin, which tells it from a later one.
    due: Timestamp,
}

impl Walk<'_> {
    /// Marks all resources after this one. Returns `false` if a later marking began meanwhile, or another process ended this one.
    async fn mark_all(&self, mut after: Option<String>, now: Timestamp) -> Result<bool, ScimError> {
        for kind in KINDS {
            let name = kind.name();
            // A stored position names the kind of resource, which is before or after this one.
            let position = match after.as_deref().and_then(|position| position.split_once('/')) {
                None => None,
                Some((of, id)) if of == name => {
                    let id = id.to_owned();
                    after = None;
                    Some(id)
                }
                Some(_) => continue,
            };
            if !self.mark_kind(kind, position, now).await? {
                return Ok(false);
            }
        }
        self.advance(Update::new().remove(&[MARK_DUE, MARK_AFTER])).await
    }

    async fn mark_kind(
        &self,
        kind: ResourceKind,
        mut after: Option<String>,
        now: Timestamp,
    ) -> Result<bool, ScimError> {
        let pk = keys::resources(&self.connector.id, kind);
        loop {
            let page = self.table.query_page(&pk, &Range::All, after.as_deref(), Some(ITEMS_AT_ONCE));
            let (found, next) = page.await?;
            let resources = found.iter().filter_map(items::ids).filter(|(_, group)| group.is_none());
            let marks: Vec<Item> = resources.map(|(id, _)| self.mark(kind, id, now)).collect();
            self.table.put_all(marks).await?;
            let Some(next) = next else { return Ok(true) };
            let position = format!("{}/{next}", kind.name());
            if !self.advance(Update::new().set(MARK_AFTER, text(position))).await? {
                return Ok(false);
            }
            after = Some(next);
        }
    }

    fn mark(&self, kind: ResourceKind, id: ResourceId, now: Timestamp) -> Item {
        Change::mark(kind, id).item(&self.connector.id, self.feed, &order(now))
    }

    /// Changes how far the marking is. Returns `false` if this marking is not the feed's (any more).
    async fn advance(&self, update: Update) -> Result<bool, ScimError> {
        let is_same = Expression::new(format!("{MARK_DUE} = :known_due"))
            .with(":known_due", number(self.due.as_millisecond()));
        let key = keys::feed(&self.connector.id, self.feed);
        Ok(self.table.update(&key, update.into(), is_same).await?.is_some())
    }
}
