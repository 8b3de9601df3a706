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
use shared::error::ScimError;
use shared::resource::{GroupReference, ResourceId, ResourceKind};

/// The most levels of groups above a group.
const MAX_NESTING: usize = 32;

/// Some groups and all groups that contain them, directly or indirectly.
#[derive(Debug, Default)]
pub(crate) struct Ancestry {
    groups: BTreeMap<ResourceId, Node>,
    depth: usize,
}

#[derive(Debug)]
struct Node {
    name: Option<String>,
    parents: Vec<ResourceId>,
}

impl Ancestry {
    /// The `groups` of a direct member of these groups: the direct ones first, then the indirect ones.
    pub fn references(&self, direct: &[ResourceId]) -> Vec<GroupReference> {
        let mut seen = BTreeSet::new();
        let mut references = Vec::new();
        let mut level = direct.to_vec();
        let mut is_direct = true;
        while !level.is_empty() {
            let mut above = Vec::new();
            for id in level {
                // A group that was deleted, or is being deleted, has no members.
                if let Some(node) = self.groups.get(&id)
                    && seen.insert(id)
                {
                    references.push(GroupReference { id, display: node.name.clone(), direct: is_direct });
                    above.extend(&node.parents);
                }
            }
            level = above;
            is_direct = false;
        }
        references
    }
}

impl Directory {
    /// Reads the `groups` of a direct member of these groups (RFC 7643 §4.1.2).
    pub async fn group_references(&self, direct: &[ResourceId]) -> Result<Vec<GroupReference>, ScimError> {
        Ok(self.ancestry(direct.iter().copied().collect()).await?.references(direct))
    }

    /// Reads some groups and, level by level, all groups that contain them.
    pub(crate) async fn ancestry(&self, groups: BTreeSet<ResourceId>) -> Result<Ancestry, ScimError> {
        let mut ancestry = Ancestry::default();
        let mut asked = groups;
        let mut level: Vec<ResourceId> = asked.iter().copied().collect();
        while !level.is_empty() {
            let keys: Vec<Key> =
                level.iter().map(|id| keys::resource(&self.connector.id, ResourceKind::Group, *id)).collect();
            let mut found = Vec::new();
            for item in self.table.get_all(&keys).await? {
                let Some((id, None)) = items::ids(&item) else { continue };
                if !items::is_deleting(&item) {
                    let name = get_text(&item, items::unique_attribute(ResourceKind::Group));
                    found.push((id, name.map(str::to_owned), items::is_nested(&item)));
                }
            }
            // Only groups that have been members of another group can have parents.
            let nodes = found
                .into_iter()
                .map(|(id, name, is_nested)| self.node(id, name, is_nested).boxed())
                .collect();
            let nodes: Vec<(ResourceId, Node)> = concurrently(nodes).await?;
            level = nodes
                .iter()
                .flat_map(|(_, node)| &node.parents)
                .copied()
                .filter(|id| asked.insert(*id))
                .collect();
            ancestry.groups.extend(nodes);
            ancestry.depth += 1;
        }
        Ok(ancestry)
    }

    async fn node(
        &self,
        id: ResourceId,
        name: Option<String>,
        is_nested: bool,
    ) -> Result<(ResourceId, Node), ScimError> {
        let parents = if is_nested { self.groups_of(ResourceKind::Group, id).await? } else { Vec::new() };
        Ok((id, Node { name, parents }))
    }

    /// Counts the levels of groups from these down. Counting stops one level after the maximum.
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
        let (members, _) = self.members(group, usize::MAX).await?;
        let groups = members.iter().filter(|member| member.kind == ResourceKind::Group);
        Ok(groups.map(|member| member.id).collect())
    }

    /// Checks that groups can join a group: none of them is that group or contains it. Returns the guard that keeps this
    /// true until the transaction, or `None` when no group joins.
    ///
    /// # Errors
    /// `invalidValue` when a group would contain itself (the error names it), or when the nesting would be too deep.
    pub(crate) async fn guard_nesting(
        &self,
        group: ResourceId,
        joining: impl Iterator<Item = ResourceId>,
    ) -> Result<Option<NestingGuard>, ScimError> {
        let joining: Vec<ResourceId> = joining.collect();
        if joining.is_empty() {
            return Ok(None);
        }
        // The guard is read before the groups: every later change of the nesting changes the guard.
        let key = keys::nesting(&self.connector.id);
        let item = self.table.get(&key).await?;
        let seen = item.and_then(|item| get_number(&item, "n")).unwrap_or_default();
        let ancestry = self.ancestry(BTreeSet::from([group])).await?;
        if let Some(cycle) = joining.iter().find(|id| ancestry.groups.contains_key(id)) {
            return Err(ScimError::invalid_value(format!(
                "members: group {cycle} cannot be a member of group {group}, because it is that group or contains it"
            )));
        }
        // The levels above include the group itself; the levels below include the groups that join.
        if ancestry.depth + self.levels_below(joining).await? > MAX_NESTING + 1 {
            return Err(ScimError::invalid_value(format!(
                "members: the nesting of groups would be deeper than {MAX_NESTING} levels at group {group}"
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
    /// Adds the guard to a transaction once.
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
