//! Memberships. Each is stored twice, in the partitions of the group and of the member, and both items are written in one
//! transaction.
//!
//! A transaction that changes the members of a group increments its version. Members join only a group whose deletion has not
//! begun. For each member who joins, it also requires that the member exists and is active (unless `on-deactivate` is `keep-groups`).
//! So only existing, active users can join, and only a group that is not being deleted can be joined.
//!
//! A member's item counts how often it joined a group. The transaction that deactivates or deletes the member requires the
//! count that was read before the memberships. So it removes all of them, and none can be added meanwhile.

use std::collections::{HashMap, HashSet};

use shared::error::ScimError;
use shared::resource::{Member, ResourceId, ResourceKind};

use crate::audit::NamedIds;
use crate::dynamodb::attributes::{is_true, number, text};
use crate::dynamodb::conditions::{Condition, Requirement};
use crate::dynamodb::expressions::Update;
use crate::dynamodb::items;
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::Range;
use crate::dynamodb::transaction::Transaction;
use crate::member_changes::{Change, FoundMembers};
use crate::settings::OnDeactivate;
use crate::{Directory, StoredUser};

/// The number of items that a transaction needs for one member that joins: both sides, and the member.
const ITEMS_TO_JOIN: usize = 3;
/// The number of items that a transaction needs for one member that leaves: both sides.
const ITEMS_TO_LEAVE: usize = 2;
/// The number of items that a transaction needs for one group that a member leaves: both sides, and the group's version.
const ITEMS_TO_LEAVE_A_GROUP: usize = 3;
/// At least the number of members of a group that one transaction can remove: it has 100 items.
const MEMBERS_OF_A_TRANSACTION: usize = 50;
/// The number of memberships of a deleted group that are read and deleted at once.
const MEMBERS_REMOVED_AT_ONCE: i32 = 1_000;

impl Directory {
    /// The memberships of this directory.
    pub fn memberships(&self) -> Memberships<'_> {
        Memberships { directory: self }
    }
}

/// The memberships of a directory.
#[derive(Clone, Copy, Debug)]
pub struct Memberships<'d> {
    directory: &'d Directory,
}

impl Memberships<'_> {
    /// Reads the first `max` members of a group in the order of their ids, and whether there are more.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn members(&self, group: ResourceId, max: usize) -> Result<(Vec<Member>, bool), ScimError> {
        let pk = keys::members(&self.directory.connector.id, group);
        let limit = i32::try_from(max.saturating_add(1)).ok();
        let mut members = Vec::new();
        let mut after = None;
        loop {
            let (page, next) =
                self.directory.table.query_page(&pk, &Range::All, after.as_deref(), limit).await?;
            members.extend(page.iter().filter_map(items::to_member));
            if members.len() > max {
                members.truncate(max);
                return Ok((members, true));
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok((members, false)),
            }
        }
    }

    /// Reads which of these are members of a group.
    pub(crate) async fn members_among(
        &self,
        group: ResourceId,
        ids: impl IntoIterator<Item = ResourceId>,
    ) -> Result<Vec<Member>, ScimError> {
        let keys: Vec<Key> =
            ids.into_iter().map(|id| keys::group_side(&self.directory.connector.id, group, id)).collect();
        Ok(self.directory.table.get_all(&keys).await?.iter().filter_map(items::to_member).collect())
    }

    /// Finds which of these ids exist and can be members of a group or role of kind `of`. The value is the kind, or `None` for an
    /// inactive user, who cannot join a group.
    pub(crate) async fn find(
        &self,
        of: ResourceKind,
        ids: HashSet<ResourceId>,
    ) -> Result<FoundMembers, ScimError> {
        let mut found: FoundMembers = HashMap::with_capacity(ids.len());
        for kind in of.kinds_of_members().iter().copied() {
            let keys: Vec<Key> = ids
                .iter()
                .filter(|id| !found.contains_key(*id))
                .map(|id| keys::resource(&self.directory.connector.id, kind, *id))
                .collect();
            for item in self.directory.table.get_all(&keys).await? {
                let Some((id, None)) = items::ids(&item) else { continue };
                if !items::is_deleting(&item) {
                    found.insert(
                        id,
                        (kind != ResourceKind::User || self.lets_inactive_join() || is_true(&item, "active"))
                            .then_some(kind),
                    );
                }
            }
        }
        Ok(found)
    }

    /// The update that increments the version of a group whose attributes do not change.
    pub(crate) fn next_group_version(&self) -> Update {
        Update::new().set("modified", text(self.directory.now.to_string())).add("version", number(1))
    }

    /// Adds as many of the changes as fit to a transaction, which keeps room for this many more items. Leaves out the members
    /// in `skipped`. Returns the number of changes that are done with the transaction.
    pub(crate) fn fill(
        &self,
        transaction: &mut Transaction,
        group: ResourceId,
        changes: &[Change],
        skipped: &HashSet<ResourceId>,
        reserved: usize,
    ) -> Result<usize, ScimError> {
        for (position, change) in changes.iter().enumerate() {
            if skipped.contains(&change.member().id) {
                continue;
            }
            let needed = match change {
                Change::Join(_) => ITEMS_TO_JOIN,
                Change::Leave(_) => ITEMS_TO_LEAVE,
            };
            if transaction.remaining_items() < needed + reserved {
                return Ok(position);
            }
            self.write_change(transaction, group, change)?;
        }
        Ok(changes.len())
    }

    fn write_change(
        &self,
        transaction: &mut Transaction,
        group: ResourceId,
        change: &Change,
    ) -> Result<(), ScimError> {
        let Member { id, kind, .. } = *change.member();
        let [group_side, member_side] = self.both_sides(group, kind, id);
        match change {
            Change::Leave(_) => {
                transaction.delete(&group_side)?;
                transaction.delete(&member_side)
            }
            Change::Join(member) => {
                let requirement = match kind {
                    ResourceKind::User => Requirement::may_be_member(id, self.lets_inactive_join()),
                    _ => Requirement::stays(id),
                };
                let key = keys::resource(&self.directory.connector.id, kind, id);
                transaction.update(&key, items::join(kind, group), Some(requirement))?;
                transaction.put(items::from_member(&group_side, member))?;
                transaction.put(member_side.attributes())
            }
        }
    }

    /// Whether inactive users can join groups. They can if the connector keeps the memberships of deactivated
    /// users, because the client then sends each membership only once.
    pub(crate) fn lets_inactive_join(&self) -> bool {
        self.directory.settings().on_deactivate == OnDeactivate::KeepGroups
    }

    /// Returns the keys of the two items of a membership: the group's side, then the member's side.
    fn both_sides(&self, group: ResourceId, kind: ResourceKind, member: ResourceId) -> [Key; 2] {
        [
            keys::group_side(&self.directory.connector.id, group, member),
            keys::member_side(&self.directory.connector.id, kind, member, group),
        ]
    }

    /// Reads the groups of which a user or group is a direct member.
    pub(crate) async fn groups_of(
        &self,
        kind: ResourceKind,
        member: ResourceId,
    ) -> Result<Vec<ResourceId>, ScimError> {
        let range = Range::Prefix(keys::member_side_prefix(member));
        let items =
            self.directory.table.query(&keys::resources(&self.directory.connector.id, kind), &range).await?;
        Ok(items.iter().filter_map(|item| items::ids(item)?.1).collect())
    }

    /// Reads the members of a group that is to be deleted. It can have too many to keep all in memory.
    pub(crate) async fn last_members(&self, group: ResourceId) -> Result<LastMembers, ScimError> {
        let pk = keys::members(&self.directory.connector.id, group);
        let (mut last_members, mut after) = (LastMembers::default(), None);
        loop {
            let page = self.directory.table.query_page(&pk, &Range::All, after.as_deref(), None).await?;
            for member in page.0.iter().filter_map(items::to_member) {
                last_members.named.add(member.id);
                if last_members.few.len() < MEMBERS_OF_A_TRANSACTION {
                    last_members.few.push(member);
                }
            }
            match page.1 {
                Some(next) => after = Some(next),
                None => return Ok(last_members),
            }
        }
    }

    /// Adds the removal of the members of a group that is deleted to a transaction. Returns `false` when it does not fit.
    pub(crate) fn write_removal(
        &self,
        transaction: &mut Transaction,
        group: ResourceId,
        last_members: &LastMembers,
    ) -> Result<bool, ScimError> {
        let members = last_members.named.len();
        if members > last_members.few.len() || transaction.remaining_items() < members * ITEMS_TO_LEAVE {
            return Ok(false);
        }
        for member in &last_members.few {
            for key in self.both_sides(group, member.kind, member.id) {
                transaction.delete(&key)?;
            }
        }
        Ok(true)
    }

    /// Adds to a transaction that a member leaves as many of its groups as fit, and keeps room for this many more items.
    /// Returns the number of groups.
    pub(crate) fn fill_leaving(
        &self,
        transaction: &mut Transaction,
        (kind, member): (ResourceKind, ResourceId),
        groups: &[GroupToLeave],
        reserved: usize,
    ) -> Result<usize, ScimError> {
        for (position, GroupToLeave { group, has_version }) in groups.iter().enumerate() {
            if transaction.remaining_items() < ITEMS_TO_LEAVE_A_GROUP + reserved {
                return Ok(position);
            }
            if *has_version {
                let key = keys::resource(&self.directory.connector.id, ResourceKind::Group, *group);
                let exists = Requirement::group_exists(*group);
                transaction.update(&key, self.next_group_version(), Some(exists))?;
            }
            for key in self.both_sides(*group, kind, member) {
                transaction.delete(&key)?;
            }
        }
        Ok(groups.len())
    }

    /// Removes all members of a group whose deletion has begun, so that no member can join it.
    pub(crate) async fn remove_all_members(&self, group: ResourceId) -> Result<(), ScimError> {
        let pk = keys::members(&self.directory.connector.id, group);
        loop {
            let (page, _) = self
                .directory
                .table
                .query_page(&pk, &Range::All, None, Some(MEMBERS_REMOVED_AT_ONCE))
                .await?;
            let members: Vec<Member> = page.iter().filter_map(items::to_member).collect();
            if members.is_empty() {
                return Ok(());
            }
            // The member's side is deleted first. While the group's side exists, a repeated request finds the membership.
            let sides: Vec<[Key; 2]> =
                members.iter().map(|member| self.both_sides(group, member.kind, member.id)).collect();
            let (group_sides, member_sides): (Vec<Key>, Vec<Key>) =
                sides.into_iter().map(|[group_side, member_side]| (group_side, member_side)).unzip();
            self.directory.table.delete_all(&member_sides).await?;
            self.directory.table.delete_all(&group_sides).await?;
        }
    }
}

/// The members of a group that is deleted. A user has none.
#[derive(Debug, Default)]
pub(crate) struct LastMembers {
    /// The first members: all, if one transaction can remove them.
    few: Vec<Member>,
    /// All, as an audit record names them.
    pub named: NamedIds,
}

/// A group that a member leaves.
#[derive(Clone, Debug)]
pub(crate) struct GroupToLeave {
    group: ResourceId,
    /// Whether to increment the version of the group. A role, a group that was deleted, and a group whose membership was not
    /// seen have none.
    has_version: bool,
}

/// The groups that a member has to leave.
pub(crate) fn groups_to_leave(found: &StoredUser) -> Vec<GroupToLeave> {
    let seen = found.groups.iter().map(|group| GroupToLeave { group: *group, has_version: true });
    let unseen = found.unseen_group().map(|group| GroupToLeave { group, has_version: false });
    seen.chain(unseen).collect()
}

/// Learns from the conditions that failed which of these groups have no version. Returns `false` if none of the conditions is
/// about that.
pub(crate) fn learn_versions(groups: &mut [GroupToLeave], failed: &[Condition]) -> bool {
    let mut has_learned = false;
    for one in groups.iter_mut().filter(|one| failed.contains(&Condition::GroupExists(one.group))) {
        has_learned |= one.has_version;
        one.has_version = false;
    }
    has_learned
}
