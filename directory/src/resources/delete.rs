//! Deleting users, groups and roles (RFC 7644 §3.6).
//!
//! A resource and its memberships are deleted in one transaction if they fit. Otherwise the first transaction marks the
//! resource as deleting, frees its name, and writes an intent: from then on clients get 404. Then the memberships are
//! deleted, and the item last.

use shared::entity_tags::EntityTags;
use shared::error::{ErrorKind, ScimError};
use shared::resource::{Origin, Resource, ResourceId, ResourceKind};
use uuid::Uuid;

use super::{CountChange, check_entity_tag, unexpected_refusal};
use crate::audit::{Changes, NamedIds, Operation};
use crate::dynamodb::conditions::{Condition, Requirement};
use crate::dynamodb::items::{self, Progress, Stored};
use crate::dynamodb::keys;
use crate::dynamodb::table::Outcome;
use crate::dynamodb::transaction::Transaction;
use crate::index::Entry;
use crate::memberships::{GroupToLeave, LastMembers, groups_to_leave, learn_versions};
use crate::settings::OnDelete;
use crate::{Directory, StoredUser};

impl Directory {
    /// Deletes a resource. Where the connector's `on-delete` is `deactivate`, a user whom the client deletes is kept for
    /// operators.
    ///
    /// # Errors
    /// 404, also when a client deletes a local user; 412 when `if_match` does not match; 405 when the connector refuses a
    /// client's DELETE; 403 when an operator deletes a resource that the client still uses.
    pub async fn delete(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        if_match: Option<&EntityTags>,
    ) -> Result<(), ScimError> {
        self.delete_resource(kind, id, if_match, false).await
    }

    /// Deletes a user or group of the client that the client still uses, as far as the directory knows. For operators, when
    /// the client no longer manages it.
    ///
    /// # Errors
    /// 404.
    pub async fn delete_orphaned(&self, kind: ResourceKind, id: ResourceId) -> Result<(), ScimError> {
        self.delete_resource(kind, id, None, true).await
    }

    async fn delete_resource(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        if_match: Option<&EntityTags>,
        is_orphaned: bool,
    ) -> Result<(), ScimError> {
        let is_client = self.origin() == Origin::Scim;
        if is_client && self.settings().on_delete == OnDelete::Refuse {
            let advice = match kind {
                ResourceKind::User => "deactivate the user instead",
                _ => "remove the members of the group instead; an operator can then delete it",
            };
            return Err(ScimError::new(
                ErrorKind::MethodNotAllowed,
                format!("Connector {} refuses DELETE; {advice}", self.connector.id),
            ));
        }
        let is_retained =
            is_client && kind == ResourceKind::User && self.settings().on_delete == OnDelete::Deactivate;
        let mut backoff = self.table.backoff();
        loop {
            let found = self.read(kind, id).await?.ok_or_else(|| ScimError::not_found(id))?;
            if found.stored.is_deleting {
                return self.delete_again(kind, found).await;
            }
            let resource = &found.stored.resource;
            if is_client && resource.origin == Origin::Local && kind == ResourceKind::User {
                return Err(not_linked(id));
            }
            if !is_orphaned && !self.is_abandoned(resource).await? {
                self.check_owner(resource)?;
            }
            if if_match.is_some() {
                let references = match kind {
                    ResourceKind::User => self.group_references(&found.groups).await?,
                    _ => Vec::new(),
                };
                check_entity_tag(if_match, resource, &references)?;
            }
            // The members are read after the group's version, which the transaction requires.
            let last_members = match kind {
                ResourceKind::User => LastMembers::default(),
                _ => self.memberships().last_members(id).await?,
            };
            if self.write_deletion(&found, &last_members, is_retained).await? {
                return Ok(());
            }
            if let Some(progress) = &found.stored.intent {
                // The deletion ends the change of the members, whose progress would refuse it again and again.
                self.take(kind, id, progress).await?;
            }
            backoff.wait().await?;
        }
    }

    /// Handles the deletion of a resource that clients cannot see.
    async fn delete_again(&self, kind: ResourceKind, found: StoredUser) -> Result<(), ScimError> {
        let id = found.stored.resource.id;
        // To the client, a retained user does not exist. But its memberships may remain from a request that was interrupted.
        let is_done = found.stored.is_retained && found.stored.leaving.is_none();
        if found.stored.is_being_created() || (is_done && self.origin() == Origin::Scim) {
            return Err(ScimError::not_found(id));
        }
        if let Some(other) = found.stored.merged_into {
            // A client never had the local user, and may not change roles.
            return match self.origin() {
                Origin::Scim => Err(ScimError::not_found(id)),
                Origin::Local => self.finish_merge(&found, other).await,
            };
        }
        // The setting can have changed since the deletion began: a user who was to be kept then is kept.
        match found
            .stored
            .leaving
            .clone()
            .filter(|_| found.stored.is_retained && self.origin() == Origin::Scim)
        {
            Some(leaving) => self.finish_leaving((kind, id), &leaving, groups_to_leave(&found)).await,
            None => self.finish_deletion((kind, id), groups_to_leave(&found)).await,
        }
    }

    /// Whether the client no longer uses a resource: a user that it deactivated, or a group that it emptied.
    async fn is_abandoned(&self, resource: &Resource) -> Result<bool, ScimError> {
        match resource.kind {
            ResourceKind::User => Ok(!resource.is_active()),
            _ if self.origin() == resource.origin => Ok(true),
            _ => Ok(self.memberships().members(resource.id, 0).await? == (Vec::new(), false)),
        }
    }

    /// Writes a deletion. Returns `false` when another writer was faster.
    async fn write_deletion(
        &self,
        found: &StoredUser,
        last_members: &LastMembers,
        is_retained: bool,
    ) -> Result<bool, ScimError> {
        let (kind, id) = (found.stored.resource.kind, found.stored.resource.id);
        let mut groups = groups_to_leave(found);
        loop {
            let mut transaction = self.transaction();
            self.write_deleted(&mut transaction, &found.stored, is_retained)?;
            self.write_end_of(&mut transaction, found, &last_members.named)?;
            if found.stored.has_intent() {
                self.end_intent(&mut transaction, kind, id)?;
            }
            let has_no_members = self.memberships().write_removal(&mut transaction, id, last_members)?;
            let mut left = self.memberships().fill_leaving(&mut transaction, (kind, id), &groups, 0)?;
            let fits = has_no_members && left == groups.len();
            let leaving = is_retained.then(|| Uuid::new_v4().simple().to_string());
            if !fits {
                transaction = self.transaction();
                let update = items::begin_deletion(is_retained, leaving.as_deref());
                let key = keys::resource(&self.connector.id, kind, id);
                transaction.update(&key, update, Some(has_no_new_membership(&found.stored)))?;
                self.write_end_of(&mut transaction, found, &last_members.named)?;
                self.write_intent(&mut transaction, kind, id, None)?;
                left = self.memberships().fill_leaving(&mut transaction, (kind, id), &groups, 0)?;
            }
            match self.commit(&transaction).await? {
                Outcome::Committed if fits => return Ok(true),
                Outcome::Committed => {
                    let groups = groups.split_off(left);
                    match leaving {
                        Some(leaving) => self.finish_leaving((kind, id), &leaving, groups).await?,
                        None => self.finish_deletion((kind, id), groups).await?,
                    }
                    return Ok(true);
                }
                Outcome::Refused(failed) if failed.contains(&Condition::IsUnchanged) => return Ok(false),
                Outcome::Refused(failed) if learn_versions(&mut groups, &failed) => {}
                Outcome::Refused(failed) => return Err(unexpected_refusal(&failed)),
            }
        }
    }

    /// Adds the deletion of a resource's item to a transaction; the item of a user whom operators keep is only marked.
    fn write_deleted(
        &self,
        transaction: &mut Transaction,
        stored: &Stored,
        is_retained: bool,
    ) -> Result<(), ScimError> {
        let key = keys::resource(&self.connector.id, stored.resource.kind, stored.resource.id);
        if is_retained {
            let update = items::begin_deletion(true, None);
            transaction.update(&key, update, Some(has_no_new_membership(stored)))
        } else {
            transaction.delete_if(&key, has_no_new_membership(stored))
        }
    }

    /// Adds what ends with a resource to a transaction: its index entries, its part of the count, and the groups that it was
    /// about to get. The audit record names the members and groups that it loses.
    pub(super) fn write_end_of(
        &self,
        transaction: &mut Transaction,
        StoredUser { stored, groups, .. }: &StoredUser,
        members: &NamedIds,
    ) -> Result<(), ScimError> {
        let resource = &stored.resource;
        let (kind, id) = (resource.kind, resource.id);
        for entry in self.index_entries(resource)? {
            transaction.delete(&entry.key(&self.connector.id, kind, id))?;
        }
        let active = -i8::from(kind == ResourceKind::User && resource.is_active());
        self.count(transaction, kind, id, &CountChange { resources: -1, active })?;
        if kind == ResourceKind::Group && stored.intent.is_some() {
            self.nesting().end_intent(transaction, id, &[])?;
        }
        let changes = Changes::of_deletion(resource).with_removed(members.clone()).with_left(groups);
        self.record(transaction, Operation::Delete, kind, id, &changes)
    }

    /// Deletes the memberships and the item of a resource whose deletion has begun, and its intent.
    pub(crate) async fn finish_deletion(
        &self,
        (kind, id): (ResourceKind, ResourceId),
        groups: Vec<GroupToLeave>,
    ) -> Result<(), ScimError> {
        if kind != ResourceKind::User {
            self.memberships().remove_all_members(id).await?;
        }
        self.leave((kind, id), groups, |transaction, is_last| {
            if !is_last {
                return Ok(());
            }
            transaction.delete(&keys::resource(&self.connector.id, kind, id))?;
            self.end_intent(transaction, kind, id)
        })
        .await
    }

    /// Rolls back the incomplete creation of a group whose creator counts as dead: frees its name, then deletes it. Does nothing
    /// if another process has done so.
    pub(crate) async fn roll_back(&self, stored: &Stored, progress: &Progress) -> Result<(), ScimError> {
        let group = &stored.resource;
        let (kind, id) = (group.kind, group.id);
        let mut names: Vec<Entry> = self.index_entries(group)?.into_iter().collect();
        names.retain(|entry| entry.is_unique);
        loop {
            let mut transaction = self.transaction();
            let key = keys::resource(&self.connector.id, kind, id);
            let requirement = Requirement::owns_intent(&progress.owner);
            transaction.update(&key, items::without_intent(), Some(requirement))?;
            for entry in &names {
                transaction
                    .delete_if(&entry.key(&self.connector.id, kind, id), Requirement::entry_is_of(id))?;
            }
            if kind == ResourceKind::Group {
                self.nesting().end_intent(&mut transaction, id, &[])?;
            }
            // The intent of the creation becomes that of the deletion.
            self.write_intent(&mut transaction, kind, id, None)?;
            match self.commit(&transaction).await? {
                Outcome::Committed => return self.finish_deletion((kind, id), Vec::new()).await,
                Outcome::Refused(failed) if failed.contains(&Condition::OwnsIntent) => return Ok(()),
                // Only damage gives the name to another group, which keeps it.
                Outcome::Refused(_) if !names.is_empty() => names.clear(),
                Outcome::Refused(failed) => return Err(unexpected_refusal(&failed)),
            }
        }
    }
}

/// The error for a client that deletes a local user. Clients handle 404 as a user that is gone, and go on. With 403, some of
/// them stop all provisioning, because their credentials seem to lack rights.
fn not_linked(id: ResourceId) -> ScimError {
    ScimError::new(
        ErrorKind::NotFound,
        format!(
            "User {id} was created by an operator, so the client cannot delete it. A PUT or PATCH of this user makes it the \
             client's"
        ),
    )
}

/// Requires that a resource is as it was read, and has joined no group since.
pub(super) fn has_no_new_membership(stored: &Stored) -> Requirement {
    Requirement::is_unchanged(stored.resource.version).with_joins(stored.joins)
}
