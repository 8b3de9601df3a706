//! Changing users (RFC 7644 §3.5). Groups are changed with their members, in `change_group`.

use shared::entity_tags::EntityTags;
use shared::error::ScimError;
use shared::resource::{Document, GroupReference, Resource, ResourceId, ResourceKind, is_active};

use super::{check_entity_tag, name_conflict, unexpected_refusal};
use crate::audit::{self, Operation};
use crate::dynamodb::conditions::Condition;
use crate::dynamodb::table::Outcome;
use crate::settings::OnDeactivate;
use crate::{Directory, StoredUser};

impl Directory {
    /// Changes a user. `change` makes the new document from the present one; it is called again when another writer was
    /// faster. An inactive user leaves all groups, unless the connector keeps memberships. A client that changes an
    /// operator's user takes it over.
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
            let StoredUser { stored, groups, .. } = self.user(id).await?;
            let present = stored.resource;
            if if_match.is_some() {
                check_entity_tag(if_match, &present, &self.group_references(&groups).await?)?;
            }
            let document = change(&present)?;
            self.check_owner(&present)?;
            let is_changed = document != present.document || present.origin != self.origin();
            let leaves = !is_active(&document) && self.settings().on_deactivate == OnDeactivate::LeaveGroups;
            let user = if is_changed { self.next_version(&present, document) } else { present.clone() };
            let read_groups =
                async { if leaves { Ok(Vec::new()) } else { self.group_references(&groups).await } };
            if !is_changed {
                let references = read_groups.await?;
                // A repeated request completes a deactivation that was interrupted.
                if leaves && !groups.is_empty() {
                    self.memberships().leave_all_groups(ResourceKind::User, id, groups).await?;
                }
                return Ok((user, references));
            }
            let (is_written, references) = tokio::join!(self.write(&present, &user), read_groups);
            if is_written? {
                if leaves && (present.is_active() || !groups.is_empty()) {
                    self.memberships().leave_all_groups(ResourceKind::User, id, groups).await?;
                }
                return Ok((user, references?));
            }
            backoff.wait().await?;
        }
    }

    /// Writes the next version of a resource. Returns `false` when another writer was faster.
    async fn write(&self, present: &Resource, next: &Resource) -> Result<bool, ScimError> {
        let mut transaction = self.table.transaction();
        self.write_version(&mut transaction, present, next)?;
        let operation = if present.origin == next.origin { Operation::Update } else { Operation::Adopt };
        let attributes = audit::changed(&present.document, &next.document);
        self.record(&mut transaction, operation, next.kind, next.id, attributes)?;
        match self.table.commit(&transaction).await? {
            Outcome::Committed => Ok(true),
            Outcome::Refused(failed) if failed.contains(&Condition::IsUnchanged) => Ok(false),
            Outcome::Refused(failed) => {
                Err(name_conflict(next, &failed).unwrap_or_else(|| unexpected_refusal(&failed)))
            }
        }
    }
}
