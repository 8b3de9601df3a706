//! Building the missing indexes of a connector while the service runs.
//!
//! 1. [`Connectors::begin_reindex`] lists the missing indexes as building. After that, versions that do not know them refuse
//!    to write, and filters do not use them.
//! 2. The caller waits until every process has read this list ([`Connectors::time_until_reindex`]). After that, every write
//!    also writes the entries of these indexes.
//! 3. [`Directory::build_indexes`] deletes the entries that belong to no resource, and adds those that resources lack.
//! 4. [`Connectors::end_reindex`] lists the indexes as ready.
//!
//! An index that the schemas lack is removed by the same steps: a newer version added it, and was rolled back.
//! If a step is interrupted, repeat it: it reads everything again, and writes only what is still missing.

use std::collections::{BTreeSet, HashSet};

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
use crate::index;

/// The attribute that the audit records name.
const INDEXES: &str = "indexes";

/// What a build changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BuiltIndexes {
    /// The entries that were added.
    pub added: usize,
    /// The entries that were deleted because they belonged to no resource.
    pub deleted: usize,
}

impl Connectors {
    /// Lists the indexes as building that these schemas have and the connector lacks, and those that the connector has and
    /// these schemas lack. Changes nothing if there are none.
    ///
    /// # Errors
    /// 404; `invalidValue` while the connector is being deleted.
    pub async fn begin_reindex(
        &self,
        id: &ConnectorId,
        schemas: &Schemas,
        now: Timestamp,
    ) -> Result<Connector, ScimError> {
        self.change_indexes(id, |present| present.begin(schemas, now)).await
    }

    /// How long to wait until every process knows which indexes are building.
    pub fn time_until_reindex(connector: &Connector, now: Timestamp) -> SignedDuration {
        let since = connector.record.indexes.building_since();
        since.map_or(SignedDuration::ZERO, |since| time_until_known(since, now))
    }

    /// Lists the indexes as ready that were built after [`Connectors::begin_reindex`] returned `begun`, and removes those
    /// that these schemas lack. Indexes that another operator began to build since stay as they are.
    ///
    /// # Errors
    /// 404; `invalidValue` while the connector is being deleted.
    pub async fn end_reindex(&self, begun: &Connector, schemas: &Schemas) -> Result<Connector, ScimError> {
        self.change_indexes(&begun.id, |present| present.end(&begun.record.indexes, schemas)).await
    }

    async fn change_indexes(
        &self,
        id: &ConnectorId,
        change: impl Fn(&Indexes) -> Indexes,
    ) -> Result<Connector, ScimError> {
        let present = self.read(id).await?;
        if !present.record.is_deleting && change(&present.record.indexes) == present.record.indexes {
            return Ok(present);
        }
        let changed = self.change(id, Operation::Reindex, |present| {
            let mut next = present.clone();
            next.record.indexes = change(&present.record.indexes);
            Ok((next, vec![INDEXES.to_owned()]))
        });
        Ok(changed.await?.1)
    }
}

impl Directory {
    /// Builds the indexes that the connector's record lists as building, and deletes the entries of those that the schemas
    /// lack. `passed` is called with the number of users and groups that were read.
    ///
    /// # Errors
    /// `uniqueness` when two resources have the same value of a unique index; and when DynamoDB fails.
    pub async fn build_indexes(&self, passed: impl Fn(u64)) -> Result<BuiltIndexes, ScimError> {
        let mut built = BuiltIndexes::default();
        for kind in ResourceKind::ALL {
            let schema = self.schemas.of(kind);
            let indexes = &self.connector.record.indexes;
            let is_building =
                |index: &&str| matches!(indexes.state(schema, index), Some(IndexState::Building { .. }));
            let building: BTreeSet<&str> = indexes.of(schema).filter(is_building).collect();
            // A stray entry of a unique index would refuse the entry of another resource, so these are deleted first.
            for index in &building {
                built.deleted += self.delete_stray_entries(kind, index).await?;
            }
            if !schema.indexes.iter().any(|index| building.contains(index.name.as_str())) {
                continue;
            }
            let pk = keys::resources(&self.connector.id, kind);
            let mut after = None;
            loop {
                let (items, next) = self.table.query_page(&pk, &Range::All, after.as_deref(), None).await?;
                let resources = items.iter().filter(|item| matches!(items::ids(item), Some((_, None))));
                let resources: Vec<&Item> = resources.collect();
                built.added += self.add_missing_entries(kind, &resources, &building).await?;
                passed(resources.len() as u64);
                let Some(next) = next else { break };
                after = Some(next);
            }
        }
        Ok(built)
    }

    /// Adds the entries of these indexes that resources lack. Returns the number of entries.
    async fn add_missing_entries(
        &self,
        kind: ResourceKind,
        resources: &[&Item],
        building: &BTreeSet<&str>,
    ) -> Result<usize, ScimError> {
        let mut required: Vec<(Key, ResourceId)> = Vec::new();
        for item in resources {
            let stored = items::to_stored(kind, item)?;
            if stored.is_deleting {
                continue;
            }
            let id = stored.resource.id;
            let entries = index::entries(&stored.resource.document, self.schemas.of(kind))?;
            let entries = entries.iter().filter(|entry| building.contains(entry.index.as_str()));
            required.extend(entries.map(|entry| (entry.key(&self.connector.id, kind, id), id)));
        }
        let keys: Vec<Key> = required.iter().map(|(key, _)| key.clone()).collect();
        let stored = self.table.get_all(&keys).await?;
        let present: HashSet<(Key, ResourceId)> =
            stored.iter().filter_map(|item| Some((Key::of(item)?, items::indexed_id(item)?))).collect();
        required.retain(|entry| !present.contains(entry));
        let added = required.len();
        let additions = required.into_iter().map(|(key, id)| self.add_required_entry(kind, id, key).boxed());
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

    /// Deletes the entries of an index that belong to no resource. Returns the number of entries.
    async fn delete_stray_entries(&self, kind: ResourceKind, index: &str) -> Result<usize, ScimError> {
        let pk = keys::index(&self.connector.id, kind, index);
        let (mut deleted, mut after) = (0, None);
        loop {
            let (items, next) = self.table.query_page(&pk, &Range::All, after.as_deref(), None).await?;
            let entries: Vec<(Key, Option<ResourceId>)> =
                items.iter().filter_map(|item| Some((Key::of(item)?, items::indexed_id(item)))).collect();
            let owners: BTreeSet<ResourceId> = entries.iter().filter_map(|(_, id)| *id).collect();
            let owners: Vec<ResourceId> = owners.into_iter().collect();
            let mut required: HashSet<(Key, Option<ResourceId>)> = HashSet::new();
            for owner in self.load(kind, &owners, false).await? {
                let resource = owner.stored.resource;
                let entries = index::entries(&resource.document, self.schemas.of(kind))?;
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
