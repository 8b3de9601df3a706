//! Merging: a user of the client gets the roles and local groups of a local user, who is deleted. This is for a person whom an
//! operator created, and whom the client later pushed under another userName.
//!
//! The first transaction requires everything that can refuse a merge. It marks the local user as deleting, names the other user in
//! it, and writes an intent. Then each membership moves in a transaction of its own: a reader of the other user can miss one
//! membership of a transaction that is being committed, and finds it as the group that was joined last. Each transaction requires
//! that the local user still has the membership, so several processes can carry out a merge at once.

use std::collections::{BTreeSet, HashSet};

use shared::error::{ErrorKind, ScimError};
use shared::resource::{Member, Origin, ResourceId, ResourceKind};

use super::delete::has_no_new_membership;
use super::unexpected_refusal;
use crate::audit::{Changes, NamedIds, Operation};
use crate::dynamodb::attributes::{Item, get_text};
use crate::dynamodb::conditions::{Condition, Requirement};
use crate::dynamodb::items;
use crate::dynamodb::keys;
use crate::dynamodb::table::Outcome;
use crate::member_changes::Change;
use crate::memberships::groups_to_leave;
use crate::{Directory, StoredUser};

/// What a merge does with the memberships of the local user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merge {
    /// The roles and local groups that the other user gets.
    pub joined: Vec<ResourceId>,
    /// The roles and local groups that the other user has already.
    pub kept: Vec<ResourceId>,
    /// The groups of the client, which the local user only leaves: the client decides about their members.
    pub left: Vec<ResourceId>,
}

/// A membership of the user who is merged.
struct Membership {
    group: ResourceId,
    /// The kind, if it is a local group or a role that exists.
    local_kind: Option<ResourceKind>,
    has_local: bool,
    has_other: bool,
}

impl Directory {
    /// Says what [`Directory::merge_users`] would do.
    ///
    /// # Errors
    /// The same.
    pub async fn plan_merge(&self, local: ResourceId, other: ResourceId) -> Result<Merge, ScimError> {
        let (local, _) = self.read_merge(local, other).await?;
        self.plan(&local, other).await
    }

    /// Gives the roles and local groups of a local user to a user of the client, and deletes the local user.
    ///
    /// # Errors
    /// 404 if one of the users does not exist; `invalidValue` if the first is not local, the second is not the client's, or the second
    /// is deactivated.
    pub async fn merge_users(&self, local: ResourceId, other: ResourceId) -> Result<Merge, ScimError> {
        let mut backoff = self.table.backoff();
        loop {
            let (local, other) = self.read_merge(local, other).await?;
            let (stored, other) = (&local.stored, &other.stored.resource);
            let (kind, id) = (stored.resource.kind, stored.resource.id);
            let merge = self.plan(&local, other.id).await?;
            let mut transaction = self.transaction();
            let key = keys::resource(&self.connector.id, kind, id);
            let requirement = Some(has_no_new_membership(stored));
            transaction.update(&key, items::begin_merge(other.id), requirement)?;
            self.write_end_of(&mut transaction, &local, &NamedIds::default())?;
            self.write_intent(&mut transaction, kind, id, None)?;
            let key = keys::resource(&self.connector.id, kind, other.id);
            transaction
                .check(&key, Requirement::may_be_member(other.id, self.memberships().lets_inactive_join()))?;
            let changes = Changes::of_merge(other, id, &merge.joined);
            self.record(&mut transaction, Operation::Merge, kind, other.id, &changes)?;
            match self.commit(&transaction).await? {
                Outcome::Committed => {
                    self.finish_merge(&local, other.id).await?;
                    return Ok(merge);
                }
                Outcome::Refused(failed)
                    if failed.iter().all(|failed| {
                        matches!(failed, Condition::IsUnchanged | Condition::MayBeMember(_))
                    }) => {}
                Outcome::Refused(failed) => return Err(unexpected_refusal(&failed)),
            }
            backoff.wait().await?;
        }
    }

    /// Reads the two users of a merge, and checks that they can be merged.
    async fn read_merge(
        &self,
        local: ResourceId,
        other: ResourceId,
    ) -> Result<(StoredUser, StoredUser), ScimError> {
        let (local, other) = tokio::try_join!(self.settled_user(local), self.settled_user(other))?;
        let id = |user: &StoredUser| user.stored.resource.id;
        let refused = |detail: String| Err(ScimError::new(ErrorKind::InvalidValue, detail));
        if local.stored.resource.origin != Origin::Local {
            return refused(format!(
                "user {} is not local; only a local user can be merged into another",
                id(&local)
            ));
        }
        if other.stored.resource.origin != Origin::Scim {
            return refused(format!(
                "user {} is local; a user can be merged only into one of the identity provider",
                id(&other)
            ));
        }
        if !other.stored.resource.is_active() && !self.memberships().lets_inactive_join() {
            return refused(format!(
                "user {} is deactivated, so it cannot get roles and groups; activate it first in the identity provider",
                id(&other)
            ));
        }
        Ok((local, other))
    }

    /// Reads a user, after an interrupted deactivation of it has ended.
    async fn settled_user(&self, id: ResourceId) -> Result<StoredUser, ScimError> {
        loop {
            let found = self.user(id).await?;
            let Some(leaving) = &found.stored.leaving else { return Ok(found) };
            self.finish_leaving((ResourceKind::User, id), leaving, groups_to_leave(&found)).await?;
        }
    }

    async fn plan(&self, local: &StoredUser, other: ResourceId) -> Result<Merge, ScimError> {
        let mut merge = Merge::default();
        for group in groups_of(local) {
            let membership = self.membership(group, local.stored.resource.id, other).await?;
            match membership {
                Membership { has_local: false, .. } => {}
                Membership { local_kind: None, .. } => merge.left.push(group),
                Membership { has_other: true, .. } => merge.kept.push(group),
                Membership { .. } => merge.joined.push(group),
            }
        }
        Ok(merge)
    }

    /// Reads a membership as it is at one moment.
    async fn membership(
        &self,
        group: ResourceId,
        local: ResourceId,
        other: ResourceId,
    ) -> Result<Membership, ScimError> {
        let connector = &self.connector.id;
        let resource = |kind| keys::resource(connector, kind, group);
        let side = |member| keys::group_side(connector, group, member);
        let keys = BTreeSet::from([
            resource(ResourceKind::LocalGroup),
            resource(ResourceKind::Role),
            side(local),
            side(other),
        ]);
        let found = self.table.get_at_once(&keys).await?;
        let has = |key: &keys::Key| {
            let is_key = |item: &&Item| {
                get_text(item, "pk") == Some(key.pk.as_str()) && get_text(item, "sk") == Some(key.sk.as_str())
            };
            found.iter().find(is_key).is_some_and(|item| !items::is_deleting(item))
        };
        let local_kind =
            [ResourceKind::LocalGroup, ResourceKind::Role].into_iter().find(|kind| has(&resource(*kind)));
        Ok(Membership { group, local_kind, has_local: has(&side(local)), has_other: has(&side(other)) })
    }

    /// Moves the memberships of a local user whose merge has begun, and deletes it with the memberships that remain. If the other
    /// user was deleted or deactivated meanwhile, the memberships only end.
    pub(crate) async fn finish_merge(&self, local: &StoredUser, other: ResourceId) -> Result<(), ScimError> {
        let id = local.stored.resource.id;
        for group in groups_of(local) {
            self.move_membership(group, id, other).await?;
        }
        self.finish_deletion((ResourceKind::User, id), groups_to_leave(local)).await
    }

    async fn move_membership(
        &self,
        group: ResourceId,
        local: ResourceId,
        other: ResourceId,
    ) -> Result<(), ScimError> {
        loop {
            let membership = self.membership(group, local, other).await?;
            let Membership { group, local_kind: Some(kind), has_local: true, has_other: false } = membership
            else {
                return Ok(());
            };
            let mut transaction = self.transaction();
            let side = keys::group_side(&self.connector.id, group, local);
            transaction.delete_if(&side, Requirement::entry_is_unchanged(None))?;
            transaction.delete(&keys::member_side(&self.connector.id, ResourceKind::User, local, group))?;
            let join = Change::Join(Member { id: other, kind: ResourceKind::User, display: None });
            self.memberships().fill(&mut transaction, group, &[join], &HashSet::new(), 0)?;
            let key = keys::resource(&self.connector.id, kind, group);
            let update = self.memberships().next_group_version();
            transaction.update(&key, update, Some(Requirement::stays(group)))?;
            match self.commit(&transaction).await? {
                Outcome::Committed => return Ok(()),
                Outcome::Refused(failed) if failed.contains(&Condition::EntryIsUnchanged) => {}
                // The other user or the group was deleted, or the user was deactivated.
                Outcome::Refused(failed)
                    if failed
                        .iter()
                        .all(|failed| matches!(failed, Condition::MayBeMember(_) | Condition::Stays(_))) =>
                {
                    return Ok(());
                }
                Outcome::Refused(failed) => return Err(unexpected_refusal(&failed)),
            }
        }
    }
}

/// The groups and roles of a user, with the one that was joined last, whose membership may not have been visible.
fn groups_of(user: &StoredUser) -> impl Iterator<Item = ResourceId> {
    user.groups.iter().copied().chain(user.unseen_group())
}
