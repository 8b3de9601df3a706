//! Nesting: groups that are members of groups. Finds the direct and indirect groups of a member, and prevents cycles.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;

use crate::Directory;
use crate::dynamodb::attributes::{get_number, get_text, number};
use crate::dynamodb::conditions::Requirement;
use crate::dynamodb::items;
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::concurrently;
use crate::dynamodb::transaction::{Expression, Transaction};
use crate::group_graph::{Belonging, GroupGraph};
use shared::error::ScimError;
use shared::resource::{GroupReference, ResourceId, ResourceKind};

/// The maximum number of levels of groups above a group.
const MAX_NESTING: usize = 32;

/// Some groups and all groups that contain them, directly or indirectly.
#[derive(Debug, Default)]
pub(crate) struct Ancestry {
    graph: GroupGraph,
    names: BTreeMap<ResourceId, String>,
    depth: usize,
}

impl Ancestry {
    /// Lists the `groups` of a direct member of the groups `direct` (RFC 7643 §4.1.2): the direct groups
    /// first, then the indirect ones.
    pub fn references(&self, direct: &[ResourceId]) -> Vec<GroupReference> {
        let reference = |Belonging { group, is_direct }| GroupReference {
            id: group,
            display: self.names.get(&group).cloned(),
            direct: is_direct,
        };
        self.graph.groups_of_member(direct).into_iter().map(reference).collect()
    }
}

impl Directory {
    /// Reads the `groups` of a direct member of the groups `direct` (RFC 7643 §4.1.2).
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn group_references(&self, direct: &[ResourceId]) -> Result<Vec<GroupReference>, ScimError> {
        Ok(self.nesting().ancestry(direct.iter().copied().collect()).await?.references(direct))
    }

    pub(crate) fn nesting(&self) -> Nesting<'_> {
        Nesting(self)
    }
}

/// The nesting of a directory's groups.
#[derive(Clone, Copy)]
pub(crate) struct Nesting<'d>(&'d Directory);

impl Nesting<'_> {
    /// Reads some groups and, level by level, all groups that contain them.
    pub async fn ancestry(&self, groups: BTreeSet<ResourceId>) -> Result<Ancestry, ScimError> {
        let mut ancestry = Ancestry::default();
        let mut seen = groups;
        let mut level: Vec<ResourceId> = seen.iter().copied().collect();
        while !level.is_empty() {
            let keys: Vec<Key> = level
                .iter()
                .map(|id| keys::resource(&self.0.connector.id, ResourceKind::Group, *id))
                .collect();
            let mut reads = Vec::new();
            for item in self.0.table.get_all(&keys).await? {
                let Some((id, None)) = items::ids(&item) else { continue };
                // A group that was deleted, or is being deleted, has no members.
                if items::is_deleting(&item) {
                    continue;
                }
                if let Some(name) = get_text(&item, items::unique_attribute(ResourceKind::Group)) {
                    ancestry.names.insert(id, name.to_owned());
                }
                reads.push(self.with_parents(id, items::is_nested(&item)).boxed());
            }
            level.clear();
            for (id, parents) in concurrently(reads).await? {
                level.extend(parents.iter().copied().filter(|id| seen.insert(*id)));
                ancestry.graph.insert(id, parents);
            }
            ancestry.depth += 1;
        }
        Ok(ancestry)
    }

    /// Reads the groups that a group is a direct member of. Nothing is read for a group that was never
    /// nested.
    async fn with_parents(
        &self,
        group: ResourceId,
        is_nested: bool,
    ) -> Result<(ResourceId, Vec<ResourceId>), ScimError> {
        let parents = if is_nested {
            self.0.memberships().groups_of(ResourceKind::Group, group).await?
        } else {
            Vec::new()
        };
        Ok((group, parents))
    }

    /// Counts the levels of groups from `groups` downwards, including `groups`. Stops one level after the
    /// maximum.
    async fn levels_below(&self, groups: Vec<ResourceId>) -> Result<usize, ScimError> {
        let mut levels = 0;
        let mut level = groups;
        while !level.is_empty() && levels <= MAX_NESTING {
            levels += 1;
            let below = level.iter().map(|id| self.groups_in(*id).boxed()).collect();
            let below: BTreeSet<ResourceId> = concurrently(below).await?.into_iter().flatten().collect();
            level = below.into_iter().collect();
        }
        Ok(levels)
    }

    /// Reads the groups among the members of a group.
    async fn groups_in(&self, group: ResourceId) -> Result<Vec<ResourceId>, ScimError> {
        let (members, _) = self.0.memberships().members(group, usize::MAX).await?;
        let groups = members.iter().filter(|member| member.kind == ResourceKind::Group);
        Ok(groups.map(|member| member.id).collect())
    }

    /// Checks that groups can join a group: none of them is that group or contains it. Returns the guard that keeps this
    /// true until the transaction, or `None` when no group joins.
    ///
    /// # Errors
    /// `invalidValue` when a group would contain itself (the error names it), or when the nesting would be too deep.
    pub async fn guard(
        &self,
        group: ResourceId,
        joining: impl Iterator<Item = ResourceId>,
    ) -> Result<Option<NestingGuard>, ScimError> {
        let joining: Vec<ResourceId> = joining.collect();
        if joining.is_empty() {
            return Ok(None);
        }
        // The guard is read before the groups: every later change of the nesting changes the guard.
        let key = keys::nesting(&self.0.connector.id);
        let item = self.0.table.get(&key).await?;
        let seen = item.and_then(|item| get_number(&item, "n")).unwrap_or_default();
        let ancestry = self.ancestry(BTreeSet::from([group])).await?;
        if let Some(cycle) = joining.iter().find(|id| **id == group || ancestry.graph.contains(**id)) {
            return Err(ScimError::invalid_value(format!(
                "members: group {cycle} cannot be a member of group {group}, because it is that group or contains it"
            )));
        }
        // The levels above include the group itself; the levels below include the groups that join.
        if ancestry.depth + self.levels_below(joining).await? > MAX_NESTING + 1 {
            return Err(ScimError::invalid_value(format!(
                "members: groups would be nested deeper than {MAX_NESTING} levels at group {group}, the maximum"
            )));
        }
        Ok(Some(NestingGuard { key, seen, is_written: false }))
    }
}

/// Lets only one of two concurrent changes of the nesting be applied.
#[derive(Debug)]
pub(crate) struct NestingGuard {
    key: Key,
    seen: u64,
    is_written: bool,
}

impl NestingGuard {
    /// Adds the guard to a transaction, unless the transaction already has it.
    pub fn write_once(&mut self, transaction: &mut Transaction) -> Result<(), ScimError> {
        if self.is_written {
            return Ok(());
        }
        self.is_written = true;
        transaction.update(
            &self.key,
            Expression::new("ADD n :one").with(":one", number(1)),
            Some(Requirement::nesting_is_unchanged(self.seen)),
        )
    }

    /// Prepares for the next transaction, after one was committed.
    pub fn next_transaction(&mut self) {
        self.seen += u64::from(self.is_written);
        self.is_written = false;
    }
}
