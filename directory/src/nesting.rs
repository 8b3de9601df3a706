//! Groups in groups: the groups that somebody is in, directly or by way of others, and no circles.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;

use crate::Directory;
use crate::dynamodb::item;
use crate::dynamodb::item::number;
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::concurrently;
use crate::dynamodb::transaction::{Expression, Transaction};
use shared::error::ScimError;
use shared::resource::{GroupReference, ResourceId, ResourceKind};

/// Below how many levels of groups a group may stand.
pub const DEEPEST_NESTING: usize = 32;

/// Some groups and all groups above them.
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
    /// What the `groups` of somebody are who is in these groups directly: first those, then all above them.
    pub fn references(&self, direct: &[ResourceId]) -> Vec<GroupReference> {
        let mut seen = BTreeSet::new();
        let mut references = Vec::new();
        let mut level = direct.to_vec();
        let mut is_direct = true;
        while !level.is_empty() {
            let mut above = Vec::new();
            for id in level {
                // A group that is gone, or going, is nobody's.
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
    /// What the `groups` of somebody are who is in these groups directly.
    pub async fn group_references(&self, direct: &[ResourceId]) -> Result<Vec<GroupReference>, ScimError> {
        Ok(self.ancestry(direct.iter().copied().collect()).await?.references(direct))
    }

    /// Reads some groups and, level by level, all groups above them.
    pub(crate) async fn ancestry(&self, groups: BTreeSet<ResourceId>) -> Result<Ancestry, ScimError> {
        let mut ancestry = Ancestry::default();
        let mut asked = groups;
        let mut level: Vec<ResourceId> = asked.iter().copied().collect();
        while !level.is_empty() {
            let keys: Vec<Key> =
                level.iter().map(|id| keys::resource(&self.connector.id, ResourceKind::Group, *id)).collect();
            let mut found = Vec::new();
            for item in self.table.get_all(&keys).await? {
                let Some((id, None)) = item::name_of(&item) else { continue };
                if !item.contains_key("going") {
                    let name =
                        item.get(item::unique_name(ResourceKind::Group)).and_then(|name| name.as_s().ok());
                    found.push((id, name.cloned(), item.contains_key("nested")));
                }
            }
            // Only a group that was ever put into another is asked for its parents.
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

    /// How many levels of groups there are from these down; one more than there may be stands for any more.
    async fn levels_below(&self, groups: Vec<ResourceId>) -> Result<usize, ScimError> {
        let mut levels = 0;
        let mut level = groups;
        while !level.is_empty() && levels <= DEEPEST_NESTING {
            levels += 1;
            let below = level.iter().map(|id| self.groups_in(*id).boxed()).collect();
            let below: BTreeSet<ResourceId> = concurrently(below).await?.into_iter().flatten().collect();
            level = below.into_iter().collect();
        }
        Ok(levels)
    }

    /// The groups among the members of a group.
    async fn groups_in(&self, group: ResourceId) -> Result<Vec<ResourceId>, ScimError> {
        let (members, _) = self.members(group, usize::MAX).await?;
        let groups = members.iter().filter(|member| member.kind == ResourceKind::Group);
        Ok(groups.map(|member| member.id).collect())
    }

    /// Before groups are put into a group: checks that none of them is, or contains, that group, and reads the guard
    /// that keeps it so until the transaction. `None` when no group is put into it.
    ///
    /// # Errors
    /// `invalidValue` naming the group that would come to contain itself, or when the nesting is too deep.
    pub(crate) async fn guard_nesting(
        &self,
        group: ResourceId,
        joining: impl Iterator<Item = ResourceId>,
    ) -> Result<Option<Guard>, ScimError> {
        let joining: Vec<ResourceId> = joining.collect();
        if joining.is_empty() {
            return Ok(None);
        }
        // The guard is read before the groups are: whatever changes after this, changes the guard.
        let key = keys::nesting(&self.connector.id);
        let item = self.table.get(&key).await?;
        let seen = item.and_then(|item| item.get("n")?.as_n().ok()?.parse().ok()).unwrap_or_default();
        let ancestry = self.ancestry(BTreeSet::from([group])).await?;
        if let Some(circle) = joining.iter().find(|id| ancestry.groups.contains_key(id)) {
            return Err(ScimError::invalid_value(format!(
                "members: group {circle} cannot be in group {group}, which is that group or in it"
            )));
        }
        // The group itself is counted with those above it, those who join with those below them.
        if ancestry.depth + self.levels_below(joining).await? > DEEPEST_NESTING + 1 {
            return Err(ScimError::invalid_value(format!(
                "members: groups would stand in each other more than {DEEPEST_NESTING} levels deep below group {group}"
            )));
        }
        Ok(Some(Guard { key, seen, is_written: false }))
    }
}

/// Lets only one of two changes to the nesting of groups that began at the same time happen.
#[derive(Debug)]
pub(crate) struct Guard {
    key: Key,
    seen: u64,
    is_written: bool,
}

impl Guard {
    /// Puts the guard into a transaction, unless it is there.
    pub fn write_once(&mut self, transaction: &mut Transaction) -> Result<(), ScimError> {
        if self.is_written {
            return Ok(());
        }
        self.is_written = true;
        let is_unchanged = if self.seen == 0 {
            Expression::new("attribute_not_exists(n)")
        } else {
            Expression::new("n = :seen").with(":seen", number(self.seen))
        };
        transaction.update(
            &self.key,
            Expression::new("ADD n :one").with(":one", number(1)),
            Some(is_unchanged),
        )
    }

    /// Goes on to the transaction behind the one that was committed.
    pub fn next_transaction(&mut self) {
        self.seen += u64::from(self.is_written);
        self.is_written = false;
    }
}
