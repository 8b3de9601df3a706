//! Building and removing indexes of a connector while the service runs.
//!
//! 1. [`Connectors::begin_reindex`] marks the missing indexes as building, and the indexes that the schemas lack as removing.
//!    A process that reads this does not use these indexes in filters, and refuses to write if its version lacks one of them.
//! 2. The caller waits until every process has read this ([`Connectors::time_until_reindex`]). After that, every write also
//!    writes the entries of the indexes that are building.
//! 3. [`Connectors::reindex`] removes the indexes that are removing from the list, and deletes their entries. For each index
//!    that is building it deletes the stray entries (entries that no resource should have), adds the missing ones, and marks
//!    the index as ready.
//!
//! If a step is interrupted, repeat it: it reads everything again, and writes only what is still missing. If another operator
//! begins to build what this one removes, or the reverse, this one stops: the other also waits before it begins.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use shared::error::{ErrorKind, ScimError};
use shared::resource::{ResourceId, ResourceKind};
use shared::schema::Schemas;

use super::{Connector, ConnectorId, Connectors, IndexState, Indexes, time_until_known};
use crate::Directory;
use crate::audit::Operation;
use crate::check::Checker;
use crate::dynamodb::attributes::Item;
use crate::dynamodb::conditions::Condition;
use crate::dynamodb::items;
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::{Outcome, Range, concurrently};

/// The attribute that the audit records name.
const INDEXES: &str = "indexes";
/// How often a build looks whether another operator changed the indexes. It is less than the time that the other one waits.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// The number of index entries whose resources are read at the same time.
const ENTRIES_AT_ONCE: i32 = 500;

/// What [`Connectors::reindex`] changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reindexed {
    /// The indexes that are ready now, by their full names.
    pub ready: Vec<String>,
    /// The indexes that were removed.
    pub removed: Vec<String>,
    /// The number of entries that were added.
    pub added: usize,
    /// The number of stray entries that were deleted from the indexes that are ready now.
    pub deleted: usize,
}

impl Connectors {
    /// Marks the indexes of the connector's schemas that are not ready as building, and the listed indexes that these schemas lack
    /// as removing. `built_in` are the schemas of the service provider. Changes nothing if there are none.
    ///
    /// # Errors
    /// 404; `invalidValue` while the connector is being deleted.
    pub async fn begin_reindex(
        &self,
        id: &ConnectorId,
        built_in: &Arc<Schemas>,
        now: Timestamp,
    ) -> Result<Connector, ScimError> {
        self.change_indexes(id, |present| {
            let mapping = &present.record.settings.mapping;
            present.record.indexes.begin(&present.schemas(built_in), mapping, now)
        })
        .await
    }

    /// How long to wait until every process knows what [`Connectors::begin_reindex`] marked.
    pub fn time_until_reindex(connector: &Connector, now: Timestamp) -> SignedDuration {
        let since = connector.record.indexes.changing_since();
        since.map_or(SignedDuration::ZERO, |since| time_until_known(since, now))
    }

    /// Builds and removes what [`Connectors::begin_reindex`] marked in `begun`. `on_progress` is called after each page with
    /// the number of resources that were read.
    ///
    /// # Errors
    /// - `invalidValue` if another operator changed the indexes meanwhile, or the connector is being deleted.
    /// - `uniqueness` if two resources have the same value of a unique index.
    /// - Fails when DynamoDB does.
    pub async fn reindex(
        &self,
        begun: &Connector,
        built_in: &Arc<Schemas>,
        on_progress: impl Fn(u64),
    ) -> Result<Reindexed, ScimError> {
        let states = &begun.record.indexes;
        let connector =
            self.change_indexes(&begun.id, |present| present.record.indexes.after_removal(states)).await?;
        let (table, actor) = (self.table.clone(), self.actor.clone());
        let directory = Directory::new(table, Arc::new(connector.clone()), built_in, self.now, actor);
        let changed_meanwhile = self.wait_until_indexes_change(&connector);
        let (added, deleted) = tokio::select! {
            built = directory.build_indexes(begun, on_progress) => built?,
            error = changed_meanwhile => return Err(error),
        };
        let built =
            self.change_indexes(&begun.id, |present| present.record.indexes.after_build(states)).await?;
        let changing = || states.changing().map(str::to_owned);
        let ready = changing().filter(|name| built.record.indexes.is_ready(name) == Some(true)).collect();
        let removed = changing().filter(|name| built.record.indexes.is_ready(name).is_none()).collect();
        if built.record.indexes.changing().next().is_some() {
            return Err(changed_meanwhile_error(&begun.id));
        }
        Ok(Reindexed { ready, removed, added, deleted })
    }

    /// Waits until the indexes of a connector are not as they were read, and returns an error that says so.
    async fn wait_until_indexes_change(&self, connector: &Connector) -> ScimError {
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            match self.read(&connector.id).await {
                Ok(present) if present.record.indexes == connector.record.indexes => {}
                Ok(_) => return changed_meanwhile_error(&connector.id),
                Err(error) => return error,
            }
        }
    }

    async fn change_indexes(
        &self,
        id: &ConnectorId,
        change: impl Fn(&Connector) -> Indexes,
    ) -> Result<Connector, ScimError> {
        let present = self.read(id).await?;
        if !present.record.is_deleting && change(&present) == present.record.indexes {
            return Ok(present);
        }
        let changed = self.change(id, Operation::Reindex, |present| {
            let mut next = present.clone();
            next.record.indexes = change(present);
            Ok((next, vec![INDEXES.to_owned()]))
        });
        Ok(changed.await?.1)
    }
}

fn changed_meanwhile_error(id: &ConnectorId) -> ScimError {
    ScimError::invalid_value(format!(
        "another operator changed the indexes of connector {id}; run `scimctl reindex {id}` again"
    ))
}

impl Directory {
    /// Deletes the entries of the indexes that `begun` marked as removing and this directory's connector no longer lists.
    /// Builds the indexes that the connector lists as building. Returns the number of entries added and deleted.
    async fn build_indexes(
        &self,
        begun: &Connector,
        on_progress: impl Fn(u64),
    ) -> Result<(usize, usize), ScimError> {
        let indexes = &self.connector.record.indexes;
        let (mut added, mut deleted) = (0, 0);
        for kind in ResourceKind::ALL {
            let schema = self.schemas.of(kind);
            for index in
                begun.record.indexes.of(schema).filter(|index| indexes.state(schema, index).is_none())
            {
                self.table.clear_partition(&keys::index(&self.connector.id, kind, index)).await?;
            }
            let is_building =
                |index: &&str| matches!(indexes.state(schema, index), Some(IndexState::Building { .. }));
            let building: BTreeSet<&str> = indexes.of(schema).filter(is_building).collect();
            if building.is_empty() {
                continue;
            }
            // Otherwise a stray entry of a unique index would block the entry of the resource that has the value.
            for index in &building {
                deleted += self.delete_stray_entries(kind, index).await?;
            }
            let pk = keys::resources(&self.connector.id, kind);
            let mut after = None;
            loop {
                let (items, next) = self.table.query_page(&pk, &Range::All, after.as_deref(), None).await?;
                let resources = items.iter().filter(|item| matches!(items::ids(item), Some((_, None))));
                let resources: Vec<&Item> = resources.collect();
                added += self.add_missing_entries(kind, &resources, &building).await?;
                on_progress(resources.len() as u64);
                let Some(next) = next else { break };
                after = Some(next);
            }
        }
        Ok((added, deleted))
    }

    /// Adds the entries of these indexes that resources lack. Returns the number of entries.
    async fn add_missing_entries(
        &self,
        kind: ResourceKind,
        resources: &[&Item],
        building: &BTreeSet<&str>,
    ) -> Result<usize, ScimError> {
        let mut expected: Vec<(Key, ResourceId)> = Vec::new();
        for item in resources {
            let stored = items::to_stored(kind, item)?;
            if stored.is_deleting {
                continue;
            }
            let id = stored.resource.id;
            let entries = self.entries(&stored.resource);
            let entries = entries.iter().filter(|entry| building.contains(entry.index.as_str()));
            expected.extend(entries.map(|entry| (entry.key(&self.connector.id, kind, id), id)));
        }
        let keys: Vec<Key> = expected.iter().map(|(key, _)| key.clone()).collect();
        let stored = self.table.get_all(&keys).await?;
        let existing: HashSet<(Key, ResourceId)> =
            stored.iter().filter_map(|item| Some((Key::of(item)?, items::indexed_id(item)?))).collect();
        expected.retain(|entry| !existing.contains(entry));
        let added = expected.len();
        let additions = expected.into_iter().map(|(key, id)| self.add_required_entry(kind, id, key).boxed());
        concurrently(additions.collect()).await?;
        Ok(added)
    }

    /// Adds an entry if the resource still requires it.
    async fn add_required_entry(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        key: Key,
    ) -> Result<(), ScimError> {
        let mut backoff = self.table.backoff();
        loop {
            let mut transaction = self.table.transaction();
            if !Checker::new(self).add_missing_entry(&mut transaction, kind, id, &key).await? {
                return Ok(());
            }
            let Outcome::Refused(failed) = self.table.commit(&transaction).await? else { return Ok(()) };
            let taken = failed.into_iter().find_map(|condition| match condition {
                Condition::IsUnique { index, value } => Some((index, value)),
                _ => None,
            });
            match (taken, Checker::new(self).owner_of_entry(&key).await?) {
                // Another writer was faster.
                (None, _) | (Some(_), None) => {}
                (Some(_), Some(owner)) if owner == id => return Ok(()),
                (Some((index, value)), Some(owner)) => {
                    let detail = format!(
                        "{kind} {id} and {kind} {owner} have the same {index} {value:?}; change one of them, then run \
                         reindex again",
                        kind = kind.name()
                    );
                    return Err(ScimError::new(ErrorKind::Uniqueness, detail));
                }
            }
            backoff.wait().await?;
        }
    }

    /// Deletes the entries of an index that no resource should have. Returns the number of entries.
    async fn delete_stray_entries(&self, kind: ResourceKind, index: &str) -> Result<usize, ScimError> {
        let pk = keys::index(&self.connector.id, kind, index);
        let (mut deleted, mut after) = (0, None);
        loop {
            let (items, next) =
                self.table.query_page(&pk, &Range::All, after.as_deref(), Some(ENTRIES_AT_ONCE)).await?;
            let entries: Vec<(Key, Option<ResourceId>)> =
                items.iter().filter_map(|item| Some((Key::of(item)?, items::indexed_id(item)))).collect();
            let owners: BTreeSet<ResourceId> = entries.iter().filter_map(|(_, id)| *id).collect();
            let owners: Vec<ResourceId> = owners.into_iter().collect();
            let mut required: HashSet<(Key, Option<ResourceId>)> = HashSet::new();
            for owner in self.load(kind, &owners, false).await? {
                let resource = owner.stored.resource;
                let entries = self.entries(&resource);
                let keys = entries.iter().map(|entry| entry.key(&self.connector.id, kind, resource.id));
                required.extend(keys.map(|key| (key, Some(resource.id))));
            }
            let suspects = entries.into_iter().filter(|entry| !required.contains(entry));
            let deletions = suspects.map(|(key, _)| self.delete_if_stray(key).boxed());
            let results = concurrently(deletions.collect()).await?;
            deleted += results.into_iter().filter(|is_deleted| *is_deleted).count();
            match next {
                Some(next) => after = Some(next),
                None => return Ok(deleted),
            }
        }
    }

    /// Deletes an entry unless its resource requires it. Returns whether it was deleted.
    async fn delete_if_stray(&self, key: Key) -> Result<bool, ScimError> {
        let mut backoff = self.table.backoff();
        loop {
            let mut transaction = self.table.transaction();
            if !Checker::new(self).delete_stray_entry(&mut transaction, &key).await? {
                return Ok(false);
            }
            if self.table.commit(&transaction).await? == Outcome::Committed {
                return Ok(true);
            }
            backoff.wait().await?;
        }
    }
}
