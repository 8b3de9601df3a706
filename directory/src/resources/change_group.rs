//! Changing groups and roles, with their members (RFC 7644 §3.5).
//!
//! Adding members, and removing members by id, commute. So they only require that the group exists and is not being deleted.
//! Every other operation on members, and every request with If-Match, requires the version that was read before the members.
//! If another writer was faster, it starts again from the current members. So if two replacements complete, the group has the
//! members of one of them, never a mixture.

use std::collections::BTreeSet;

use shared::entity_tags::EntityTags;
use shared::error::ScimError;
use shared::patch::MemberOperation;
use shared::resource::{Document, Resource, ResourceId, ResourceKind};

use super::{check_entity_tag, name_conflict};
use crate::Directory;
use crate::audit::{self, Operation};
use crate::dynamodb::conditions::{Condition, Requirement};
use crate::dynamodb::items::Stored;
use crate::dynamodb::keys;
use crate::dynamodb::table::Outcome;
use crate::dynamodb::transaction::Transaction;
use crate::member_changes::{self, Change, check_found, joining_ids, leaving_ids};

/// A group, and the changes of its members.
struct Changes {
    group: Resource,
    changes: Vec<Change>,
}

impl Directory {
    /// Changes a group or role, and its members (RFC 7644 §3.5). `change` makes the new document from the present one; it
    /// is called again if another writer changed the group meanwhile. A group without any change is not written and keeps its version.
    ///
    /// # Errors
    /// 404; 412 if `if_match` does not match; `uniqueness`; `noTarget` if a filter matches no member; `invalidValue` for an
    /// unknown member, a cycle, or nesting that is too deep; 403 if an operator changes a group of the client; and every error
    /// of `change`.
    pub async fn change_group(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        if_match: Option<&EntityTags>,
        change: impl Fn(&Document) -> Result<Document, ScimError>,
        members: &[MemberOperation],
    ) -> Result<Resource, ScimError> {
        let mut backoff = self.table.backoff();
        let mut if_match = if_match;
        let mut has_written_part = false;
        loop {
            // These depend on all members: operations that do not commute, and If-Match.
            let requires_version = if_match.is_some() || !members.iter().all(MemberOperation::commutes);
            let Changes { group, changes } =
                self.read_changes(kind, id, members, requires_version, has_written_part).await?;
            self.check_owner(&group)?;
            check_entity_tag(if_match, &group, &[])?;
            let document = change(&group.document)?;
            let is_new = document != group.document;
            if !is_new && changes.is_empty() {
                return Ok(group);
            }
            let next = is_new.then(|| self.next_version(&group, document));
            match self.write_changes(&group, next, &changes, requires_version).await? {
                Written::All(group) => return Ok(group),
                Written::Part => (has_written_part, if_match) = (true, None),
                Written::Nothing => {}
            }
            backoff.wait().await?;
        }
    }

    /// Reads the group, and finds the changes that are still to be written.
    async fn read_changes(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        operations: &[MemberOperation],
        requires_version: bool,
        has_written_part: bool,
    ) -> Result<Changes, ScimError> {
        if operations.is_empty() {
            return Ok(Changes { group: self.group(kind, id).await?.resource, changes: Vec::new() });
        }
        let memberships = self.memberships();
        let wanted = joining_ids(operations);
        let present = async {
            if operations.iter().all(MemberOperation::commutes) {
                let named = wanted.iter().copied().chain(leaving_ids(operations));
                memberships.members_among(id, named.collect::<BTreeSet<_>>()).await
            } else {
                memberships.members(id, usize::MAX).await.map(|(members, _)| members)
            }
        };
        // If the version is required, it is read first, so that it is not newer than the members. Otherwise both are read at
        // the same time.
        let group_then_present = async {
            if requires_version {
                let group = self.group(kind, id).await?;
                return Ok((group, present.await?));
            }
            let (group, present) = tokio::join!(self.group(kind, id), present);
            Ok((group?, present?))
        };
        let (read, found) = tokio::join!(group_then_present, memberships.find(wanted.clone()));
        let ((Stored { resource: group, .. }, present), found) = (read?, found?);
        // A member who was deleted after the first transaction is not the client's mistake, and is skipped.
        if !has_written_part {
            check_found(operations, &found)?;
        }
        Ok(Changes { group, changes: member_changes::changes(operations, present, &found)? })
    }

    /// Writes the changes, as many in each transaction as fit. If attributes of the group itself change, `next` is its next
    /// version, and the first transaction writes it.
    async fn write_changes(
        &self,
        group: &Resource,
        next: Option<Resource>,
        changes: &[Change],
        requires_version: bool,
    ) -> Result<Written, ScimError> {
        let mut guard =
            self.nesting().guard(group.id, changes.iter().filter_map(Change::joining_group)).await?;
        let mut latest = next.clone().unwrap_or_else(|| self.next_version(group, group.document.clone()));
        let mut rest = changes;
        let mut is_first = true;
        loop {
            let mut transaction = self.table.transaction();
            match &next {
                Some(next) if is_first => self.write_version(&mut transaction, group, next)?,
                _ => self.increment_version(&mut transaction, &latest, requires_version)?,
            }
            let mut attributes =
                if is_first { audit::changed(&group.document, &latest.document) } else { Vec::new() };
            if !rest.is_empty() {
                attributes.push("members".to_owned());
            }
            self.record(&mut transaction, Operation::Update, group.kind, group.id, attributes)?;
            while let Some((change, others)) = rest.split_first() {
                if !self.memberships().write_change(&mut transaction, group.id, change, &mut guard)? {
                    break;
                }
                rest = others;
            }
            match self.table.commit(&transaction).await? {
                Outcome::Committed => {}
                Outcome::Refused(failed) => {
                    // If the group changed since it was read, this group itself may have the name: another writer renamed
                    // it. So a name conflict is reported only if the group is unchanged; otherwise the change is retried.
                    let is_unchanged = !failed.contains(&Condition::IsUnchanged);
                    if let Some(error) = name_conflict(&latest, &failed).filter(|_| is_unchanged) {
                        return Err(error);
                    }
                    return Ok(if is_first { Written::Nothing } else { Written::Part });
                }
            }
            if rest.is_empty() {
                return Ok(Written::All(latest));
            }
            if let Some(guard) = &mut guard {
                guard.next_transaction();
            }
            latest = self.next_version(&latest, latest.document.clone());
            is_first = false;
        }
    }

    /// Increments the version of a group whose attributes do not change. If `requires_version`, requires the previous version;
    /// otherwise any version, if the group is not being deleted.
    fn increment_version(
        &self,
        transaction: &mut Transaction,
        group: &Resource,
        requires_version: bool,
    ) -> Result<(), ScimError> {
        let requirement = if requires_version {
            Requirement::is_unchanged(group.version - 1)
        } else {
            Requirement::stays(group.id)
        };
        let key = keys::resource(&self.connector.id, group.kind, group.id);
        transaction.update(&key, self.memberships().next_group_version(), Some(requirement))
    }
}

/// How many of the changes were written.
enum Written {
    /// All; with the group's last version.
    All(Resource),
    /// Some, then another writer was faster.
    Part,
    /// None: another writer was faster.
    Nothing,
}
