//! Deleting users, groups and roles (RFC 7644 §3.6).
//!
//! The first transaction marks the resource as deleting and frees its name: from then on clients get 404. Then the
//! memberships are deleted, and the item last. A request that was interrupted is completed by the next one.

use shared::entity_tags::EntityTags;
use shared::error::{ErrorKind, ScimError};
use shared::resource::{Origin, Resource, ResourceId, ResourceKind};

use super::{CountChange, check_entity_tag};
use crate::Directory;
use crate::audit::Operation;
use crate::dynamodb::conditions::Requirement;
use crate::dynamodb::items;
use crate::dynamodb::keys;
use crate::dynamodb::table::Outcome;
use crate::settings::OnDelete;

impl Directory {
    /// Deletes a resource. Where the connector's `on-delete` is `deactivate`, a user whom the client deletes is kept for
    /// operators.
    ///
    /// # Errors
    /// 404; 412 when `if_match` does not match; 405 when the connector refuses a client's DELETE; 403 when an operator
    /// deletes a resource that the client still uses.
    pub async fn delete(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        if_match: Option<&EntityTags>,
    ) -> Result<(), ScimError> {
        let is_client = self.origin() == Origin::Scim;
        if is_client && self.settings().on_delete == OnDelete::Refuse {
            return Err(ScimError::new(
                ErrorKind::MethodNotAllowed,
                format!("Connector {} refuses DELETE; deactivate a user instead", self.connector.id),
            ));
        }
        let is_retained =
            is_client && kind == ResourceKind::User && self.settings().on_delete == OnDelete::Deactivate;
        let mut backoff = self.table.backoff();
        let groups = loop {
            let found = self.read(kind, id).await?.ok_or_else(|| ScimError::not_found(id))?;
            if found.stored.is_deleting {
                // To the client, a retained user does not exist. But its memberships may remain from a request that was
                // interrupted.
                if is_client && found.stored.is_retained && found.groups.is_empty() {
                    return Err(ScimError::not_found(id));
                }
                break found.groups;
            }
            let resource = found.stored.resource;
            if !self.is_abandoned(&resource).await? {
                self.check_owner(&resource)?;
            }
            if if_match.is_some() {
                let references = match kind {
                    ResourceKind::User => self.group_references(&found.groups).await?,
                    _ => Vec::new(),
                };
                check_entity_tag(if_match, &resource, &references)?;
            }
            if self.begin_deletion(&resource, is_retained).await? {
                break found.groups;
            }
            backoff.wait().await?;
        };
        self.finish_deletion(kind, id, groups, is_retained).await
    }

    /// Whether the client no longer uses a resource: a user that it deactivated, or a group that it emptied.
    async fn is_abandoned(&self, resource: &Resource) -> Result<bool, ScimError> {
        match resource.kind {
            ResourceKind::User => Ok(!resource.is_active()),
            _ if self.origin() == resource.origin => Ok(true),
            _ => Ok(self.memberships().members(resource.id, 0).await? == (Vec::new(), false)),
        }
    }

    /// Deletes a group that this request created.
    pub(super) async fn undo_creation(&self, kind: ResourceKind, id: ResourceId) -> Result<(), ScimError> {
        let mut backoff = self.table.backoff();
        while let Some(found) = self.read(kind, id).await? {
            if found.stored.is_deleting || self.begin_deletion(&found.stored.resource, false).await? {
                return self.finish_deletion(kind, id, found.groups, false).await;
            }
            backoff.wait().await?;
        }
        Ok(())
    }

    /// Deletes the memberships and the item of a resource whose deletion has begun.
    pub(crate) async fn finish_deletion(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        groups: Vec<ResourceId>,
        is_retained: bool,
    ) -> Result<(), ScimError> {
        self.memberships().leave_all_groups(kind, id, groups).await?;
        if is_retained {
            return Ok(());
        }
        if kind != ResourceKind::User {
            self.memberships().remove_all_members(id).await?;
        }
        self.table.delete_all(&[keys::resource(&self.connector.id, kind, id)]).await
    }

    async fn begin_deletion(&self, resource: &Resource, is_retained: bool) -> Result<bool, ScimError> {
        let (kind, id) = (resource.kind, resource.id);
        let mut transaction = self.table.transaction();
        let key = keys::resource(&self.connector.id, kind, id);
        let is_unchanged = Requirement::is_unchanged(resource.version);
        transaction.update(&key, items::begin_deletion(is_retained), Some(is_unchanged))?;
        for entry in self.index_entries(kind, &resource.document)? {
            transaction.delete(&entry.key(&self.connector.id, kind, id))?;
        }
        let active = -i8::from(kind == ResourceKind::User && resource.is_active());
        self.count(&mut transaction, kind, id, &CountChange { resources: -1, active })?;
        self.record(&mut transaction, Operation::Delete, kind, id, Vec::new())?;
        Ok(self.table.commit(&transaction).await? == Outcome::Committed)
    }
}
