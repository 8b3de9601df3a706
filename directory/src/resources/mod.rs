//! Users, groups and roles: creating, reading, changing and deleting them.
//!
//! Each write is one transaction that holds the resource, the index entries that change, the count, the audit record, and the
//! memberships that begin or end. If it does not fit into one, its first transaction writes an intent (see `intents`).

mod adopt;
mod change;
mod change_group;
mod create;
mod delete;
mod display_name;
mod merge;
mod names;
mod read;

pub use create::CreatedGroup;
pub use merge::Merge;

use names::{name_conflict, name_taken, name_taken_elsewhere};

use std::collections::BTreeSet;

use shared::entity_tags::EntityTags;
use shared::error::{ErrorKind, ScimError};
use shared::resource::{Document, GroupReference, Origin, Resource, ResourceId, ResourceKind};

use crate::Directory;
use crate::dynamodb::attributes::number;
use crate::dynamodb::conditions::{Condition, Requirement};
use crate::dynamodb::expressions::{Expression, Update};
use crate::dynamodb::items;
use crate::dynamodb::keys;
use crate::dynamodb::transaction::Transaction;
use crate::index::{self, Entry};
use crate::view::is_built_in;

/// How a write changes the count of a bucket.
struct CountChange {
    resources: i8,
    active: i8,
}

impl Directory {
    /// Returns the index entries of a resource, for a writer, which must write all of them.
    ///
    /// # Errors
    /// Fails when the connector has an index that this version does not know.
    pub(crate) fn index_entries(&self, resource: &Resource) -> Result<BTreeSet<Entry>, ScimError> {
        self.connector.record.indexes.check_writable(&self.schemas, &self.connector.id)?;
        Ok(self.entries(resource))
    }

    /// Returns the index entries of a resource.
    pub(crate) fn entries(&self, resource: &Resource) -> BTreeSet<Entry> {
        let usernames = self.connector.record.indexes.usernames(&self.settings().mapping);
        index::entries(resource, self.schemas.of(resource.kind), usernames.iter().map(String::as_str))
    }

    /// Adds index entries to a transaction.
    ///
    /// A group's name may also not be the name of a group of the other origin, as the directory shows the groups of both.
    fn add_entries(
        &self,
        transaction: &mut Transaction,
        resource: &Resource,
        entries: &BTreeSet<Entry>,
    ) -> Result<(), ScimError> {
        let (kind, id) = (resource.kind, resource.id);
        for entry in entries {
            let item = entry.item(&self.connector.id, kind, id);
            if entry.is_unique {
                let (index, value) = (entry.index.clone(), entry.value.clone());
                transaction.put_new(item, Condition::IsUnique { index, value })?;
            } else {
                transaction.put(item)?;
            }
        }
        let other = match kind {
            ResourceKind::Group => ResourceKind::LocalGroup,
            ResourceKind::LocalGroup => ResourceKind::Group,
            ResourceKind::User | ResourceKind::Role => return Ok(()),
        };
        let is_name = |entry: &&Entry| entry.is_unique && entry.index == items::unique_attribute(kind);
        for name in entries.iter().filter(is_name) {
            if is_built_in(&name.value) {
                return Err(name_taken_elsewhere(resource));
            }
            let is_free = Requirement::is_absent(Condition::IsFreeInOtherOrigin);
            transaction.check(&name.key(&self.connector.id, other, id), is_free)?;
        }
        Ok(())
    }

    /// Adds a new resource to the count of its bucket.
    pub(crate) fn count_created(
        &self,
        transaction: &mut Transaction,
        resource: &Resource,
    ) -> Result<(), ScimError> {
        let active = i8::from(resource.kind == ResourceKind::User && resource.is_active());
        self.count(transaction, resource.kind, resource.id, &CountChange { resources: 1, active })
    }

    fn count(
        &self,
        transaction: &mut Transaction,
        kind: ResourceKind,
        id: ResourceId,
        change: &CountChange,
    ) -> Result<(), ScimError> {
        let update = match kind {
            ResourceKind::User => {
                Expression::new("ADD n :n, active :active").with(":active", number(change.active))
            }
            _ => Expression::new("ADD n :n"),
        };
        let key = keys::count(&self.connector.id, kind, id.bucket());
        transaction.update(&key, update.with(":n", number(change.resources)), None)
    }

    /// Refuses an operator who writes to a resource of the client.
    ///
    /// # Errors
    /// 403 if the resource belongs to the client.
    pub fn check_owner(&self, resource: &Resource) -> Result<(), ScimError> {
        if resource.origin == self.origin() || self.origin() == Origin::Scim {
            return Ok(());
        }
        let detail = format!(
            "{} {} belongs to the identity provider of connector {}; change it there",
            resource.kind.name(),
            resource.id,
            self.connector.id
        );
        Err(ScimError::new(ErrorKind::Forbidden, detail))
    }

    /// Makes the next version of a resource.
    pub(crate) fn next_version(&self, present: &Resource, document: Document) -> Resource {
        let version = present.version + 1;
        Resource { version, last_modified: self.now, origin: self.origin(), document, ..present.clone() }
    }

    /// Adds the next version of a resource to a transaction, with the index entries and the count that change. `also` is what
    /// else changes in the item of the resource, and `requirement` what it requires.
    pub(crate) fn write_version(
        &self,
        transaction: &mut Transaction,
        present: &Resource,
        next: &Resource,
        also: Update,
        requirement: Requirement,
    ) -> Result<(), ScimError> {
        let (kind, id) = (present.kind, present.id);
        let before = self.index_entries(present)?;
        let after = self.index_entries(next)?;
        index::check_limit(&before, &after, self.schemas.of(kind))?;
        let key = keys::resource(&self.connector.id, kind, id);
        transaction.update(&key, items::update_to(next)?.and(also), Some(requirement))?;
        self.add_entries(transaction, next, &after.difference(&before).cloned().collect())?;
        for entry in before.difference(&after) {
            transaction.delete(&entry.key(&self.connector.id, kind, id))?;
        }
        let active = i8::from(next.is_active()) - i8::from(present.is_active());
        if kind == ResourceKind::User && active != 0 {
            self.count(transaction, kind, id, &CountChange { resources: 0, active })?;
        }
        Ok(())
    }
}

/// The error of a transaction whose conditions failed for a reason that its operation cannot have.
pub(crate) fn unexpected_refusal(failed: &[Condition]) -> ScimError {
    ScimError::internal(format!("transaction refused by {failed:?}"))
}

/// Refuses a request whose If-Match does not match (RFC 7644 §3.14).
pub(crate) fn check_entity_tag(
    if_match: Option<&EntityTags>,
    resource: &Resource,
    groups: &[GroupReference],
) -> Result<(), ScimError> {
    let current = resource.etag(groups);
    match if_match {
        Some(tags) if !tags.matches(&current) => Err(ScimError::new(
            ErrorKind::PreconditionFailed,
            format!("If-Match does not match: the entity tag of resource {} is now {current}", resource.id),
        )),
        _ => Ok(()),
    }
}
