//! Users, groups and roles: creating, reading, changing and deleting them.
//!
//! Each write is one transaction that holds the resource, the index entries that change, the count and the audit record.

mod adopt;
mod change;
mod change_group;
mod create;
mod delete;
mod read;

pub use create::CreatedGroup;

use std::collections::BTreeSet;

use shared::entity_tags::EntityTags;
use shared::error::{ErrorKind, ScimError};
use shared::resource::{Document, GroupReference, Origin, Resource, ResourceId, ResourceKind};

use crate::Directory;
use crate::dynamodb::attributes::number;
use crate::dynamodb::conditions::{Condition, Requirement};
use crate::dynamodb::items;
use crate::dynamodb::keys;
use crate::dynamodb::transaction::{Expression, Transaction};
use crate::index::{self, Entry};
use crate::view::is_built_in;

/// How a write changes the count of a bucket.
struct CountChange {
    resources: i8,
    active: i8,
}

impl Directory {
    /// Returns the index entries of a resource with this document, for a writer, which must write all of them.
    ///
    /// # Errors
    /// Fails when the connector has an index that this version does not know.
    fn index_entries(&self, kind: ResourceKind, document: &Document) -> Result<BTreeSet<Entry>, ScimError> {
        self.connector.record.indexes.check_writable(self.schemas, &self.connector.id)?;
        Ok(index::entries(document, self.schemas.of(kind)))
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
        for name in entries.iter().filter(|entry| entry.is_unique) {
            if is_built_in(&name.value) {
                return Err(name_taken_elsewhere(resource));
            }
            let is_free = Requirement::is_absent(Condition::IsFreeInOtherOrigin);
            transaction.check(&name.key(&self.connector.id, other, id), is_free)?;
        }
        Ok(())
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
    pub(crate) fn check_owner(&self, resource: &Resource) -> Result<(), ScimError> {
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

    /// Adds the next version of a resource to a transaction, with the index entries and the count that change.
    pub(crate) fn write_version(
        &self,
        transaction: &mut Transaction,
        present: &Resource,
        next: &Resource,
    ) -> Result<(), ScimError> {
        let (kind, id) = (present.kind, present.id);
        let before = self.index_entries(kind, &present.document)?;
        let after = self.index_entries(kind, &next.document)?;
        index::check_limit(&after, self.schemas.of(kind))?;
        let key = keys::resource(&self.connector.id, kind, id);
        let is_unchanged = Requirement::is_unchanged(present.version);
        transaction.update(&key, items::update_to(next)?, Some(is_unchanged))?;
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

/// The error for a name that another resource has, if one of the failed conditions is about a name.
pub(crate) fn name_conflict(resource: &Resource, failed: &[Condition]) -> Option<ScimError> {
    failed.iter().find_map(|condition| match condition {
        Condition::IsUnique { index, value } => {
            let sent = resource.document.get(index).and_then(|value| value.as_str());
            Some(name_taken(index, sent.unwrap_or(value), resource))
        }
        Condition::IsFreeInOtherOrigin => Some(name_taken_elsewhere(resource)),
        _ => None,
    })
}

/// The error of a transaction whose conditions failed for a reason that its operation cannot have.
pub(crate) fn unexpected_refusal(failed: &[Condition]) -> ScimError {
    ScimError::internal(format!("transaction refused by {failed:?}"))
}

fn name_taken(attribute: &str, value: &str, resource: &Resource) -> ScimError {
    let kind = resource.kind.name().to_lowercase();
    ScimError::new(ErrorKind::Uniqueness, format!("{attribute} {value:?} is taken by another {kind}"))
}

/// The error for a group name that the built-in group or a group of the other origin has.
fn name_taken_elsewhere(resource: &Resource) -> ScimError {
    let name = resource.document.get("displayName").and_then(|name| name.as_str()).unwrap_or_default();
    let owner = match (is_built_in(name), resource.kind) {
        (true, _) => "a built-in group",
        (false, ResourceKind::Group) => "a group that an operator created",
        (false, _) => "a group of the identity provider",
    };
    let advice =
        if resource.kind == ResourceKind::Group { "; rename the group in the identity provider" } else { "" };
    ScimError::new(ErrorKind::Uniqueness, format!("displayName {name:?} is taken by {owner}{advice}"))
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
