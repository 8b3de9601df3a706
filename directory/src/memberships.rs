//! Memberships. Each is stored twice, in the partitions of the group and of the member, and both items are written in one
//! transaction.
//!
//! Every transaction increments the version of the group once, on condition that the group's deletion has not begun. For
//! each member who joins, it also checks that the member exists and is active (unless `on-deactivate` is `keep-groups`). So
//! only existing, active users can join, and only a group that is not being deleted can be joined.

use std::collections::{BTreeSet, HashMap, HashSet};

use shared::error::ScimError;
use shared::resource::{Member, ResourceId, ResourceKind};

use crate::Directory;
use crate::audit::Operation;
use crate::dynamodb::attributes::{is_true, number, text};
use crate::dynamodb::conditions::{Condition, Requirement};
use crate::dynamodb::items;
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::{Outcome, Range};
use crate::dynamodb::transaction::{Expression, Transaction};
use crate::member_changes::{Change, FoundMembers};
use crate::nesting::NestingGuard;
use crate::settings::OnDeactivate;

/// The number of items that a transaction needs for one member that joins: both sides, and the check of the
/// member.
const ITEMS_TO_JOIN: usize = 3;
/// The number of items that a transaction needs for one member that leaves: both sides.
const ITEMS_TO_LEAVE: usize = 2;
/// The number of groups that a member leaves in one transaction. Each group needs three items: both sides and
/// the group's version. The check of the member and the audit record need one each.
const GROUPS_LEFT_AT_ONCE: usize = 32;
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

    /// Finds which of these ids exist. The value is the kind, or `None` for an inactive user, who cannot join a group.
    pub(crate) async fn find(&self, ids: HashSet<ResourceId>) -> Result<FoundMembers, ScimError> {
        let mut found: FoundMembers = HashMap::with_capacity(ids.len());
        for kind in [ResourceKind::User, ResourceKind::Group] {
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
                        (kind == ResourceKind::Group
                            || self.lets_inactive_join()
                            || is_true(&item, "active"))
                        .then_some(kind),
                    );
                }
            }
        }
        Ok(found)
    }

    /// The update that increments the version of a group whose attributes do not change.
    pub(crate) fn next_group_version(&self) -> Expression {
        Expression::new("SET modified = :modified ADD version :one")
            .with(":modified", text(self.directory.now.to_string()))
            .with(":one", number(1))
    }

    /// Adds one change to a transaction. Returns `false` when it does not fit.
    pub(crate) fn write_change(
        &self,
        transaction: &mut Transaction,
        group: ResourceId,
        change: &Change,
        guard: &mut Option<NestingGuard>,
    ) -> Result<bool, ScimError> {
        match change {
            Change::Leave(member) => {
                if transaction.remaining_items() < ITEMS_TO_LEAVE {
                    return Ok(false);
                }
                for key in self.both_sides(group, member.kind, member.id) {
                    transaction.delete(&key)?;
                }
            }
            Change::Join(member) => {
                let guard_items = usize::from(member.kind == ResourceKind::Group);
                if transaction.remaining_items() < ITEMS_TO_JOIN + guard_items {
                    return Ok(false);
                }
                let key = keys::resource(&self.directory.connector.id, member.kind, member.id);
                match (member.kind, guard.as_mut()) {
                    (ResourceKind::Group, Some(guard)) => {
                        guard.write_once(transaction)?;
                        transaction.update(
                            &key,
                            items::mark_nested(),
                            Some(Requirement::stays(member.id)),
                        )?;
                    }
                    _ => {
                        let is_inactive_allowed = self.lets_inactive_join();
                        transaction
                            .check(&key, Requirement::may_be_member(member.id, is_inactive_allowed))?;
                    }
                }
                let [group_side, member_side] = self.both_sides(group, member.kind, member.id);
                transaction.put(items::from_member(&group_side, member))?;
                transaction.put(member_side.attributes())?;
            }
        }
        Ok(true)
    }

    /// Whether inactive users can join groups. They can if the connector keeps the memberships of deactivated
    /// users, because the client then sends each membership only once.
    fn lets_inactive_join(&self) -> bool {
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

    /// Removes a member that is inactive, or whose deletion has begun, from all groups, beginning with the
    /// `known` ones. Stops if the member is active again, because it can have joined groups since then.
    pub(crate) async fn leave_all_groups(
        &self,
        kind: ResourceKind,
        member: ResourceId,
        known: Vec<ResourceId>,
    ) -> Result<(), ScimError> {
        let mut groups = known;
        loop {
            for chunk in groups.chunks(GROUPS_LEFT_AT_ONCE) {
                if !self.leave_groups(kind, member, chunk).await? {
                    return Ok(());
                }
            }
            // A transaction that was checked before the deactivation may have added a membership.
            groups = self.groups_of(kind, member).await?;
            if groups.is_empty() {
                return Ok(());
            }
        }
    }

    /// Removes a member from some groups. Returns `false` if the member is active again.
    async fn leave_groups(
        &self,
        kind: ResourceKind,
        member: ResourceId,
        groups: &[ResourceId],
    ) -> Result<bool, ScimError> {
        // A group that was deleted has no version to increment.
        let mut deleted: BTreeSet<ResourceId> = BTreeSet::new();
        loop {
            let mut transaction = self.directory.table.transaction();
            let member_key = keys::resource(&self.directory.connector.id, kind, member);
            transaction.check(&member_key, Requirement::must_leave_groups())?;
            for group in groups {
                if !deleted.contains(group) {
                    let key = keys::resource(&self.directory.connector.id, ResourceKind::Group, *group);
                    transaction.update(
                        &key,
                        self.next_group_version(),
                        Some(Requirement::group_exists(*group)),
                    )?;
                }
                for key in self.both_sides(*group, kind, member) {
                    transaction.delete(&key)?;
                }
            }
            self.directory.record(
                &mut transaction,
                Operation::Update,
                kind,
                member,
                vec!["groups".to_owned()],
            )?;
            match self.directory.table.commit(&transaction).await? {
                Outcome::Committed => return Ok(true),
                Outcome::Refused(failed) if failed.contains(&Condition::MustLeaveGroups) => return Ok(false),
                Outcome::Refused(failed) => deleted.extend(failed.iter().filter_map(|failed| match failed {
                    Condition::GroupExists(group) => Some(*group),
                    _ => None,
                })),
            }
        }
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
