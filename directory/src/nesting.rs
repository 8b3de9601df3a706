//! Nesting: groups that are members of groups. Finds the direct and indirect groups of a member, and prevents cycles.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::FutureExt as _;

use crate::Directory;
use crate::dynamodb::attributes::{Item, get_number, get_text, number, text};
use crate::dynamodb::conditions::Requirement;
use crate::dynamodb::expressions::Update;
use crate::dynamodb::items;
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::concurrently;
use crate::dynamodb::transaction::Transaction;
use crate::group_graph::{Belonging, GroupGraph};
use crate::member_changes::Change;
use shared::error::ScimError;
use shared::resource::{GroupReference, ResourceId, ResourceKind};

/// The most nestings of one transaction: each needs three of its 100 items.
const MAX_LATEST: usize = 33;
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
        self.ancestry_with(groups, &Joining::default()).await
    }

    /// The same, as if these groups had joined already.
    async fn ancestry_with(
        &self,
        groups: BTreeSet<ResourceId>,
        joining: &Joining,
    ) -> Result<Ancestry, ScimError> {
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
                // A group that is deleted, or is being deleted, has no members.
                if items::is_deleting(&item) && !joining.0.contains_key(&id) {
                    continue;
                }
                if let Some(name) = get_text(&item, items::unique_attribute(ResourceKind::Group)) {
                    ancestry.names.insert(id, name.to_owned());
                }
                reads.push(self.with_parents(id, items::is_nested(&item)).boxed());
            }
            level.clear();
            for (id, mut parents) in concurrently(reads).await? {
                parents.extend(joining.parents(id));
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
    async fn levels_below(&self, groups: Vec<ResourceId>, joining: &Joining) -> Result<usize, ScimError> {
        let mut levels = 0;
        let mut level = groups;
        while !level.is_empty() && levels <= MAX_NESTING {
            levels += 1;
            let below = level.iter().map(|id| self.groups_in(*id).boxed()).collect();
            let found = concurrently(below).await?.into_iter().flatten();
            let below: BTreeSet<ResourceId> =
                found.chain(level.iter().flat_map(|id| joining.children(*id))).collect();
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
    /// true until the transaction, or `None` when no group joins. Groups that an intent will add count as members.
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
        let item = self.0.table.get(&key).await?.unwrap_or_default();
        let seen = get_number(&item, "n").unwrap_or_default();
        let mut begun = self.begun(&item).await?;
        begun.add_latest(&item);
        let ancestry = self.ancestry_with(BTreeSet::from([group]), &begun).await?;
        if let Some(cycle) = joining.iter().find(|id| **id == group || ancestry.graph.contains(**id)) {
            return Err(ScimError::invalid_value(format!(
                "members: group {cycle} cannot be a member of group {group}, because it is that group or contains it"
            )));
        }
        // The levels above include the group itself; the levels below include the groups that join.
        if ancestry.depth + self.levels_below(joining, &begun).await? > MAX_NESTING + 1 {
            return Err(ScimError::invalid_value(format!(
                "members: groups would be nested deeper than {MAX_NESTING} levels at group {group}, the maximum"
            )));
        }
        Ok(Some(NestingGuard { key, seen }))
    }

    /// Reads which groups will join which, because an intent that the guard names has not ended.
    async fn begun(&self, guard: &Item) -> Result<Joining, ScimError> {
        let mut joining = Joining::default();
        let named = guard.get(BEGUN).and_then(|named| named.as_ss().ok()).into_iter().flatten();
        for group in named.filter_map(|id| ResourceId::parse(id)) {
            // Both items at one moment: the transaction that wrote the guard may be visible in part.
            let (item, intent) = self.0.with_intent(ResourceKind::Group, group).await?;
            let progress = item.as_ref().and_then(items::to_progress);
            let (Some(progress), Some(intent)) = (progress, intent) else { continue };
            let found = self.0.changes_of(&intent, &progress.intent).await?;
            let changes = found.map(|(changes, _)| changes).unwrap_or_default();
            joining.0.entry(group).or_default().extend(changes.iter().filter_map(Change::joining_group));
        }
        Ok(joining)
    }

    /// Adds to the last transaction of an intent that the guard need not name its group any more. `written` are the changes of
    /// that transaction.
    pub fn end_intent(
        &self,
        transaction: &mut Transaction,
        group: ResourceId,
        written: &[Change],
    ) -> Result<(), ScimError> {
        let update =
            Update::new().add("n", number(1)).delete(BEGUN, AttributeValue::Ss(vec![group.to_string()]));
        let update = with_latest(update, group, written);
        transaction.update(&keys::nesting(&self.0.connector.id), update, None)
    }
}

/// The attribute of the guard with the groups that other groups will join, because an intent has not ended.
const BEGUN: &str = "begun";
/// The attribute of the guard with the nestings of the transaction that wrote it last, each as group, `/`, member. A query can
/// miss them while that transaction is being committed.
const LATEST: &str = "latest";

/// The groups that will join a group, by that group.
#[derive(Debug, Default)]
struct Joining(BTreeMap<ResourceId, Vec<ResourceId>>);

impl Joining {
    fn parents(&self, child: ResourceId) -> impl Iterator<Item = ResourceId> {
        self.0.iter().filter(move |(_, children)| children.contains(&child)).map(|(parent, _)| *parent)
    }

    /// Adds the nestings of the transaction that wrote the guard last.
    fn add_latest(&mut self, guard: &Item) {
        let latest = guard.get(LATEST).and_then(|latest| latest.as_l().ok()).into_iter().flatten();
        for nesting in latest.filter_map(|nesting| nesting.as_s().ok()?.split_once('/')) {
            if let (Some(group), Some(member)) = (ResourceId::parse(nesting.0), ResourceId::parse(nesting.1))
            {
                self.0.entry(group).or_default().push(member);
            }
        }
    }

    fn children(&self, parent: ResourceId) -> impl Iterator<Item = ResourceId> {
        self.0.get(&parent).into_iter().flatten().copied()
    }
}

/// Lets only one of two concurrent changes of the nesting be applied.
#[derive(Debug)]
pub(crate) struct NestingGuard {
    key: Key,
    seen: u64,
}

impl NestingGuard {
    /// Adds the guard to the transaction that makes these changes of a group. If it is only the first transaction of an intent,
    /// the guard names the group.
    pub fn write(
        &self,
        transaction: &mut Transaction,
        group: ResourceId,
        changes: &[Change],
        is_intent: bool,
    ) -> Result<(), ScimError> {
        let update = with_latest(Update::new().add("n", number(1)), group, changes);
        let update =
            if is_intent { update.add(BEGUN, AttributeValue::Ss(vec![group.to_string()])) } else { update };
        transaction.update(&self.key, update, Some(Requirement::nesting_is_unchanged(self.seen)))
    }
}

/// Adds the nestings among these changes to the update of the guard.
fn with_latest(update: Update, group: ResourceId, changes: &[Change]) -> Update {
    let nestings = changes.iter().filter_map(Change::joining_group).take(MAX_LATEST);
    update.set(LATEST, AttributeValue::L(nestings.map(|member| text(format!("{group}/{member}"))).collect()))
}
