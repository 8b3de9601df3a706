//! Creating users, groups and roles (RFC 7644 §3.3).

use std::time::Duration;

use shared::error::{ErrorKind, ScimError};
use shared::patch::MemberOperation;
use shared::resource::{Document, Origin, Resource, ResourceKind};

use super::{CountChange, name_conflict, unexpected_refusal};
use crate::Directory;
use crate::audit::{self, Operation};
use crate::dynamodb::conditions::Condition;
use crate::dynamodb::items;
use crate::dynamodb::keys;
use crate::dynamodb::table::Outcome;
use crate::dynamodb::transaction::Transaction;
use crate::secrets::new_resource_id;

/// The time after the deadline in which a group that could not get its members is deleted again. It is less than the time
/// that a function keeps for its response.
const UNDO_TIME: Duration = Duration::from_secs(1);

impl Directory {
    /// Creates a user. If a client creates a user with the name of an operator's user, that user becomes the client's.
    ///
    /// # Errors
    /// `uniqueness` when the userName is taken, 403 when the connector creates no users, `invalidValue` or 413 when the
    /// document is too large.
    pub async fn create_user(&self, document: Document) -> Result<Resource, ScimError> {
        let user = self.new_resource(ResourceKind::User, document);
        if self.origin() == Origin::Scim && self.settings().attribute_only {
            return self.adopt(&user).await?.ok_or_else(|| {
                ScimError::new(
                    ErrorKind::Forbidden,
                    format!(
                        "Connector {} is attribute-only: it updates users that exist and creates none. An operator \
                         creates the user first, or turns attribute-only off",
                        self.connector.id
                    ),
                )
            });
        }
        match self.table.commit(&self.creation(&user)?).await? {
            Outcome::Committed => Ok(user),
            Outcome::Refused(failed) => {
                let error = name_conflict(&user, &failed).unwrap_or_else(|| unexpected_refusal(&failed));
                self.adopt(&user).await?.ok_or(error)
            }
        }
    }

    /// Creates a group or role with members.
    ///
    /// # Errors
    /// `uniqueness` when the displayName is taken; `invalidValue` when a member does not exist.
    pub async fn create_group(
        &self,
        kind: ResourceKind,
        document: Document,
        members: Vec<MemberOperation>,
    ) -> Result<Resource, ScimError> {
        let group = self.new_resource(kind, document);
        self.check_members(&members).await?;
        if let Outcome::Refused(failed) = self.table.commit(&self.creation(&group)?).await? {
            return Err(name_conflict(&group, &failed).unwrap_or_else(|| unexpected_refusal(&failed)));
        }
        if members.is_empty() {
            return Ok(group);
        }
        let unchanged = |document: &Document| Ok(document.clone());
        match self.change_group(kind, group.id, None, unchanged, &members).await {
            Ok(group) => Ok(group),
            // Without its members, the group differs from the request, and a retry would get 409 because of its name.
            Err(error) => {
                let directory = Self { table: self.table.with_extra_time(UNDO_TIME), ..self.clone() };
                if let Err(cause) = directory.undo_creation(kind, group.id).await {
                    tracing::error!(%cause, group = %group.id, "an incomplete group could not be deleted");
                }
                Err(error)
            }
        }
    }

    fn new_resource(&self, kind: ResourceKind, document: Document) -> Resource {
        Resource {
            kind,
            id: new_resource_id(),
            version: 1,
            created: self.now,
            last_modified: self.now,
            origin: self.origin(),
            document,
        }
    }

    /// Makes the transaction that creates a resource.
    fn creation(&self, resource: &Resource) -> Result<Transaction, ScimError> {
        let kind = resource.kind;
        let entries = self.index_entries(kind, &resource.document)?;
        let mut transaction = self.table.transaction();
        let key = keys::resource(&self.connector.id, kind, resource.id);
        transaction.put_new(items::from_resource(&key, resource)?, Condition::IsNew)?;
        self.add_entries(&mut transaction, resource, &entries)?;
        let active = i8::from(kind == ResourceKind::User && resource.is_active());
        self.count(&mut transaction, kind, resource.id, &CountChange { resources: 1, active })?;
        let attributes = audit::changed(&Document::new(), &resource.document);
        self.record(&mut transaction, Operation::Create, kind, resource.id, attributes)?;
        Ok(transaction)
    }
}
