//! Creating users, groups and roles (RFC 7644 §3.3).

use std::time::Duration;

use shared::error::{ErrorKind, ScimError};
use shared::patch::MemberOperation;
use shared::resource::{Document, Member, Origin, Resource, ResourceKind};

use super::{CountChange, name_conflict, unexpected_refusal};
use crate::Directory;
use crate::audit::{self, Operation};
use crate::dynamodb::conditions::Condition;
use crate::dynamodb::items;
use crate::dynamodb::keys;
use crate::dynamodb::table::Outcome;
use crate::dynamodb::transaction::Transaction;
use crate::index;
use crate::member_changes::{self, Change, check_found, joining_ids};
use crate::secrets::new_resource_id;

/// The time after the deadline in which a group that could not get its members is deleted again. It is less than the time
/// that a function keeps for its response.
const UNDO_TIME: Duration = Duration::from_secs(1);

/// A group that was created.
#[derive(Clone, Debug)]
pub struct CreatedGroup {
    /// The group.
    pub group: Resource,
    /// Its members in the order of their ids, if one transaction wrote all of them.
    pub members: Option<Vec<Member>>,
}

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
        match self.table.commit(&self.creation(&user, false)?).await? {
            Outcome::Committed => Ok(user),
            Outcome::Refused(failed) => {
                let error = name_conflict(&user, &failed).unwrap_or_else(|| unexpected_refusal(&failed));
                self.adopt(&user).await?.ok_or(error)
            }
        }
    }

    /// Creates a group or role with members. The transaction that creates it also adds the members if they fit (31 users do). So
    /// other clients see a group that is complete, and an interrupted request leaves nothing.
    ///
    /// # Errors
    /// `uniqueness` when the displayName is taken; `invalidValue` when a member does not exist.
    pub async fn create_group(
        &self,
        kind: ResourceKind,
        document: Document,
        members: Vec<MemberOperation>,
    ) -> Result<CreatedGroup, ScimError> {
        let group = self.new_resource(kind, document);
        let mut backoff = self.table.backoff();
        let (changes, written) = loop {
            let found = self.memberships().find(joining_ids(&members)).await?;
            check_found(&members, &found)?;
            let changes = member_changes::changes(&members, Vec::new(), &found)?;
            let joining = changes.iter().filter_map(Change::joining_group);
            let mut guard = self.nesting().guard(group.id, joining).await?;
            let mut transaction = self.creation(&group, !changes.is_empty())?;
            let mut written = 0;
            for change in &changes {
                if !self.memberships().write_change(&mut transaction, group.id, change, &mut guard)? {
                    break;
                }
                written += 1;
            }
            match self.table.commit(&transaction).await? {
                Outcome::Committed => break (changes, written),
                Outcome::Refused(failed) => {
                    if let Some(error) = name_conflict(&group, &failed) {
                        return Err(error);
                    }
                    // A member was deleted or deactivated, or the nesting changed, after they were read.
                    let is_about_members = |condition: &Condition| {
                        matches!(condition, Condition::MayBeMember(_) | Condition::Stays(_))
                            || *condition == Condition::NestingIsUnchanged
                    };
                    if !failed.iter().all(is_about_members) {
                        return Err(unexpected_refusal(&failed));
                    }
                }
            }
            backoff.wait().await?;
        };
        if written == changes.len() {
            let joined = changes.into_iter().filter_map(|change| match change {
                Change::Join(member) => Some(member),
                Change::Leave(_) => None,
            });
            return Ok(CreatedGroup { group, members: Some(joined.collect()) });
        }
        let unchanged = |document: &Document| Ok(document.clone());
        match self.change_group(kind, group.id, None, unchanged, &members).await {
            Ok(group) => Ok(CreatedGroup { group, members: None }),
            // Without its members the group is not what the client asked for, and its name would refuse the next try.
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

    /// Makes the transaction that creates a resource. `has_members` is for its audit record.
    fn creation(&self, resource: &Resource, has_members: bool) -> Result<Transaction, ScimError> {
        let kind = resource.kind;
        let entries = self.index_entries(kind, &resource.document)?;
        index::check_limit(&entries, self.schemas.of(kind))?;
        let mut transaction = self.table.transaction();
        let key = keys::resource(&self.connector.id, kind, resource.id);
        transaction.put_new(items::from_resource(&key, resource)?, Condition::IsNew)?;
        self.add_entries(&mut transaction, resource, &entries)?;
        let active = i8::from(kind == ResourceKind::User && resource.is_active());
        self.count(&mut transaction, kind, resource.id, &CountChange { resources: 1, active })?;
        let mut attributes = audit::changed(&Document::new(), &resource.document);
        attributes.extend(has_members.then(|| "members".to_owned()));
        self.record(&mut transaction, Operation::Create, kind, resource.id, attributes)?;
        Ok(transaction)
    }
}
