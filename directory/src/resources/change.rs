//! Changing users (RFC 7644 §3.5). Groups are changed with their members, in `change_group`.

use shared::entity_tags::EntityTags;
use shared::error::ScimError;
use shared::resource::{Document, GroupReference, Origin, Resource, ResourceId, ResourceKind, is_active};
use uuid::Uuid;

use super::display_name::keep_display_name;
use super::{check_entity_tag, name_conflict, unexpected_refusal};
use crate::audit::{Changes, Operation};
use crate::dynamodb::conditions::{Condition, Requirement};
use crate::dynamodb::expressions::Update;
use crate::dynamodb::items;
use crate::dynamodb::table::Outcome;
use crate::dynamodb::transaction::Transaction;
use crate::memberships::{groups_to_leave, learn_versions};
use crate::settings::OnDeactivate;
use crate::{Directory, StoredUser};

impl Directory {
    /// Changes a user. `change` makes the new document from the present one; it is called again when another writer was
    /// faster. An inactive user leaves all groups in the same transaction (about 30 groups fit), unless the connector keeps
    /// memberships. A client that changes an operator's user takes it over.
    ///
    /// # Errors
    /// 404; 412 when `if_match` does not match; `uniqueness`; 403 when an operator changes a user of the client; and every
    /// error of `change`.
    pub async fn change_user(
        &self,
        id: ResourceId,
        if_match: Option<&EntityTags>,
        change: impl Fn(&Document) -> Result<Document, ScimError>,
    ) -> Result<(Resource, Vec<GroupReference>), ScimError> {
        self.change_resource(id, if_match, |present| change(&present.document)).await
    }

    pub(super) async fn change_resource(
        &self,
        id: ResourceId,
        if_match: Option<&EntityTags>,
        change: impl Fn(&Resource) -> Result<Document, ScimError>,
    ) -> Result<(Resource, Vec<GroupReference>), ScimError> {
        let mut backoff = self.table.backoff();
        loop {
            let found = self.user(id).await?;
            if let Some(leaving) = &found.stored.leaving {
                // An earlier deactivation was interrupted.
                self.finish_leaving((ResourceKind::User, id), leaving, groups_to_leave(&found)).await?;
                continue;
            }
            let present = &found.stored.resource;
            if if_match.is_some() {
                check_entity_tag(if_match, present, &self.group_references(&found.groups).await?)?;
            }
            let document = change(present)?;
            self.check_owner(present)?;
            let must_leave =
                !is_active(&document) && self.settings().on_deactivate == OnDeactivate::LeaveGroups;
            // If a connector kept the memberships of inactive users before, such a user leaves its groups now.
            let leaves = must_leave && (present.is_active() || !found.groups.is_empty());
            if document == present.document && present.origin == self.origin() && !leaves {
                let references =
                    if must_leave { Vec::new() } else { self.group_references(&found.groups).await? };
                return Ok((found.stored.resource, references));
            }
            let user = self.next_version(present, document);
            let read_references = async {
                if must_leave { Ok(Vec::new()) } else { self.group_references(&found.groups).await }
            };
            let (is_written, references) =
                tokio::join!(self.write_user(&found, &user, leaves), read_references);
            if is_written? {
                return Ok((user, references?));
            }
            backoff.wait().await?;
        }
    }

    /// Writes the next version of a user. `leaves` says whether the user leaves all groups. Returns `false` when another writer
    /// was faster.
    async fn write_user(&self, found: &StoredUser, next: &Resource, leaves: bool) -> Result<bool, ScimError> {
        let member = (next.kind, next.id);
        let mut groups = if leaves { groups_to_leave(found) } else { Vec::new() };
        loop {
            let mut transaction = self.transaction();
            self.write_user_version(&mut transaction, found, next, leaves, Update::new())?;
            let mut left = self.memberships().fill_leaving(&mut transaction, member, &groups, 0)?;
            let mut leaving = None;
            if left < groups.len() {
                let change = leaving.insert(Uuid::new_v4().simple().to_string());
                let also = items::begin_leaving(change);
                transaction = self.transaction();
                self.write_user_version(&mut transaction, found, next, leaves, also)?;
                self.write_intent(&mut transaction, next.kind, next.id, None)?;
                left = self.memberships().fill_leaving(&mut transaction, member, &groups, 0)?;
            }
            match self.commit(&transaction).await? {
                Outcome::Committed => {
                    if let Some(leaving) = leaving {
                        self.finish_leaving(member, &leaving, groups.split_off(left)).await?;
                    }
                    return Ok(true);
                }
                Outcome::Refused(failed) if failed.contains(&Condition::IsUnchanged) => return Ok(false),
                Outcome::Refused(failed) => {
                    if let Some(error) = name_conflict(next, &failed) {
                        return Err(error);
                    }
                    if !learn_versions(&mut groups, &failed) {
                        return Err(unexpected_refusal(&failed));
                    }
                }
            }
        }
    }

    fn write_user_version(
        &self,
        transaction: &mut Transaction,
        StoredUser { stored, groups, .. }: &StoredUser,
        next: &Resource,
        leaves: bool,
        also: Update,
    ) -> Result<(), ScimError> {
        let present = &stored.resource;
        let is_adopted = present.origin == Origin::Local && next.origin == Origin::Scim;
        let also = if is_adopted { also.and(keep_display_name(present)) } else { also };
        let is_unchanged = Requirement::is_unchanged(present.version);
        let requirement = if leaves { is_unchanged.with_joins(stored.joins) } else { is_unchanged };
        self.write_version(transaction, present, next, also, requirement)?;
        let operation = if is_adopted { Operation::Adopt } else { Operation::Update };
        let mut changes = Changes::of_update(present, next);
        if is_adopted {
            changes.name = Changes::of_creation(next).name;
        }
        let changes = changes.with_left(if leaves { groups } else { &[] });
        self.record(transaction, operation, next.kind, next.id, &changes)
    }
}
