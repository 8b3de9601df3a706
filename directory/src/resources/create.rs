//! Creating users, groups and roles (RFC 7644 §3.3).

use std::collections::{BTreeSet, HashSet};

use shared::error::{ErrorKind, ScimError};
use shared::patch::MemberOperation;
use shared::resource::{Document, Member, Origin, Resource, ResourceKind};

use super::{name_conflict, unexpected_refusal};
use crate::Directory;
use crate::audit::{Changes, Operation};
use crate::dynamodb::conditions::Condition;
use crate::dynamodb::items;
use crate::dynamodb::keys;
use crate::dynamodb::table::{Outcome, busy};
use crate::dynamodb::transaction::Transaction;
use crate::index;
use crate::intents::{Ended, StagedChanges, Work};
use crate::member_changes::{self, Change, check_found, joining_ids};
use crate::nesting::NestingGuard;
use crate::secrets::new_resource_id;

/// A group that was created.
#[derive(Clone, Debug)]
pub struct CreatedGroup {
    /// The group.
    pub group: Resource,
    /// Its members in the order of their ids.
    pub members: Vec<Member>,
}

impl Directory {
    /// Creates a user. If a client creates a user with the name of an operator's user, that user becomes the client's. If the
    /// connector links users by email, an operator's user with the same email address does too.
    ///
    /// # Errors
    /// `uniqueness` when the userName is taken, or when several local users could be linked by email; 403 when the connector creates no users, `invalidValue` or 413 when the
    /// document is too large.
    pub async fn create_user(&self, document: Document) -> Result<Resource, ScimError> {
        let user = self.new_resource(ResourceKind::User, document);
        if let Some(linked) = self.adopt_by_email(&user).await? {
            return Ok(linked);
        }
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
        let mut transaction = self.transaction();
        self.write_creation(&mut transaction, &user, &[])?;
        match self.commit(&transaction).await? {
            Outcome::Committed => Ok(user),
            Outcome::Refused(failed) => {
                let error = name_conflict(&user, &failed).unwrap_or_else(|| unexpected_refusal(&failed));
                self.adopt(&user).await?.ok_or(error)
            }
        }
    }

    /// Creates a group or role with members. The transaction that creates it also adds the members if they fit (31 users do).
    /// A group with more members is invisible until it has all of them, and its name is reserved.
    ///
    /// # Errors
    /// `uniqueness` when the displayName is taken; `invalidValue` when a member does not exist; 429 when another request is
    /// creating a group with this name.
    pub async fn create_group(
        &self,
        kind: ResourceKind,
        document: Document,
        members: Vec<MemberOperation>,
    ) -> Result<CreatedGroup, ScimError> {
        let group = self.new_resource(kind, document);
        let mut backoff = self.table.backoff();
        loop {
            let found = self.memberships().find(kind, joining_ids(&members)).await?;
            check_found(&members, &found)?;
            let changes = member_changes::changes(&members, Vec::new(), &found)?;
            let joining = changes.iter().filter_map(Change::joining_group);
            let guard = self.nesting().guard(group.id, joining).await?;
            let failed = match self.creation_with_all(&group, &changes, guard.as_ref())? {
                Some(transaction) => match self.commit(&transaction).await? {
                    Outcome::Committed => return Ok(created(group, changes, &HashSet::new())),
                    Outcome::Refused(failed) => failed,
                },
                None => match self.begin_creation(&group, changes, guard.as_ref()).await? {
                    Begun::Work(work) => {
                        // If another process has taken it over, it has rolled it back.
                        let Ended::Done { skipped, .. } = self.carry_out(&work).await? else {
                            return Err(busy());
                        };
                        return Ok(created(work.group, work.changes, &skipped));
                    }
                    Begun::Refused(failed) => failed,
                },
            };
            if let Some(error) = self.settle_name_conflict(&group, &failed).await? {
                return Err(error);
            }
            // A member was deleted or deactivated, or the nesting changed, after they were read; or the name is free now.
            let may_pass = |condition: &Condition| {
                matches!(
                    condition,
                    Condition::MayBeMember(_)
                        | Condition::Stays(_)
                        | Condition::NestingIsUnchanged
                        | Condition::IsUnique { .. }
                        | Condition::IsFreeInOtherOrigin
                )
            };
            if !failed.iter().all(may_pass) {
                return Err(unexpected_refusal(&failed));
            }
            backoff.wait().await?;
        }
    }

    /// Makes the transaction that creates a group with all its members. `None` if they do not fit.
    fn creation_with_all(
        &self,
        group: &Resource,
        changes: &[Change],
        guard: Option<&NestingGuard>,
    ) -> Result<Option<Transaction>, ScimError> {
        let mut transaction = self.transaction();
        self.write_creation(&mut transaction, group, changes)?;
        if let Some(guard) = guard {
            guard.write(&mut transaction, group.id, changes, false)?;
        }
        let count = self.memberships().fill(&mut transaction, group.id, changes, &HashSet::new(), 0)?;
        Ok((count == changes.len()).then_some(transaction))
    }

    /// Writes the first transaction of a group whose members do not fit into it. It reserves the name.
    async fn begin_creation(
        &self,
        group: &Resource,
        changes: Vec<Change>,
        guard: Option<&NestingGuard>,
    ) -> Result<Begun, ScimError> {
        let staged = StagedChanges::new(&changes)?;
        self.write_parts(&staged).await?;
        let mut transaction = self.transaction();
        transaction.hide();
        if let Some(guard) = guard {
            guard.write(&mut transaction, group.id, &changes, group.kind == ResourceKind::Group)?;
        }
        self.write_intent(&mut transaction, group.kind, group.id, Some(&staged))?;
        let entries = self.index_entries(group)?;
        index::check_limit(&BTreeSet::new(), &entries, self.schemas.of(group.kind))?;
        let names = entries.into_iter().filter(|entry| entry.is_unique).collect();
        self.add_entries(&mut transaction, group, &names)?;
        let none = HashSet::new();
        // The item of the group says how many members the transaction adds, so it comes last.
        let done = self.memberships().fill(&mut transaction, group.id, &changes, &none, 1)?;
        let progress = self.new_progress(&staged.intent, done, true);
        let key = keys::resource(&self.connector.id, group.kind, group.id);
        transaction.put_new(items::from_incomplete(&key, group, &progress)?, Condition::IsNew)?;
        match self.commit(&transaction).await? {
            Outcome::Committed => {
                let work = Work { group: group.clone(), progress, changes, parts: staged.parts() };
                Ok(Begun::Work(Box::new(work)))
            }
            Outcome::Refused(failed) => {
                self.discard(&staged).await?;
                Ok(Begun::Refused(failed))
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

    /// Adds the creation of a resource to a transaction. `members` are for its audit record.
    fn write_creation(
        &self,
        transaction: &mut Transaction,
        resource: &Resource,
        members: &[Change],
    ) -> Result<(), ScimError> {
        let kind = resource.kind;
        let entries = self.index_entries(resource)?;
        index::check_limit(&BTreeSet::new(), &entries, self.schemas.of(kind))?;
        let key = keys::resource(&self.connector.id, kind, resource.id);
        transaction.put_new(items::from_resource(&key, resource)?, Condition::IsNew)?;
        self.add_entries(transaction, resource, &entries)?;
        self.count_created(transaction, resource)?;
        self.record_creation(transaction, resource, members.iter())
    }

    /// Adds the audit record of a creation with these members.
    pub(crate) fn record_creation<'c>(
        &self,
        transaction: &mut Transaction,
        resource: &Resource,
        members: impl Iterator<Item = &'c Change> + Clone,
    ) -> Result<(), ScimError> {
        let changes = Changes::of_creation(resource).with_members(members);
        self.record(transaction, Operation::Create, resource.kind, resource.id, &changes)
    }
}

/// The result of the first transaction of a group whose members do not fit into it.
enum Begun {
    /// This process has to carry out the rest.
    Work(Box<Work>),
    /// Nothing was written: these conditions failed.
    Refused(Vec<Condition>),
}

fn created(
    group: Resource,
    changes: Vec<Change>,
    skipped: &HashSet<shared::resource::ResourceId>,
) -> CreatedGroup {
    let joined = changes.into_iter().filter_map(|change| match change {
        Change::Join(member) if !skipped.contains(&member.id) => Some(member),
        _ => None,
    });
    CreatedGroup { group, members: joined.collect() }
}
