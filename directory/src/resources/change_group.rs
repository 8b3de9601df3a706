//! Changing groups and roles, with their members (RFC 7644 §3.5).
//!
//! Additions and removals of members commute, so they require only that the group stays. A replacement of all members
//! requires the version that was read. If another writer was faster, the replacement starts again from the present members.
//! So two replacements leave the result of one of them, never a mixture.

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
    /// Checks that all members that operations add exist, before anything is written.
    ///
    /// # Errors
    /// `invalidValue` with the first id that does not exist.
    pub(crate) async fn check_members(&self, operations: &[MemberOperation]) -> Result<(), ScimError> {
        check_found(operations, &self.memberships().find(joining_ids(operations)).await?)
    }

    /// Changes a group or role, and its members (RFC 7644 §3.5). `change` makes the new document from the present one; it
    /// is called again when another writer was faster. A group without any change is not written and keeps its version.
    ///
    /// # Errors
    /// 404; 412 when `if_match` does not match; `uniqueness`; `invalidValue` for a member that does not exist, or a group
    /// that would contain itself; 403 when an operator changes a group of the client; and every error of `change`.
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
        let mut is_begun = false;
        loop {
            // Additions and removals commute. A replacement, or a request with If-Match, depends on all members.
            let is_chained = if_match.is_some() || !members.iter().all(MemberOperation::commutes);
            let Changes { group, changes } =
                self.read_changes(kind, id, members, is_chained, is_begun).await?;
            self.check_owner(&group)?;
            check_entity_tag(if_match, &group, &[])?;
            let document = change(&group.document)?;
            let is_new = document != group.document;
            if !is_new && changes.is_empty() {
                return Ok(group);
            }
            let next = is_new.then(|| self.next_version(&group, document));
            match self.write_changes(&group, next, &changes, is_chained).await? {
                Written::All(group) => return Ok(group),
                Written::Part => (is_begun, if_match) = (true, None),
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
        is_chained: bool,
        is_begun: bool,
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
        // The version must be read before the members, so that it is never newer than they are.
        let group_then_present = async {
            if is_chained {
                let group = self.group(kind, id).await?;
                return Ok((group, present.await?));
            }
            let (group, present) = tokio::join!(self.group(kind, id), present);
            Ok((group?, present?))
        };
        let (read, found) = tokio::join!(group_then_present, memberships.find(wanted.clone()));
        let ((Stored { resource: group, .. }, present), found) = (read?, found?);
        // A member who was deleted after the first transaction is not the client's mistake, and is skipped.
        if !is_begun {
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
        is_chained: bool,
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
                _ => self.touch_group(&mut transaction, &latest, is_chained)?,
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
                    // If the group itself changed, another writer may have given it this very name. So a conflict of
                    // names counts only while the group is unchanged.
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

    /// Increments the version of a group whose attributes do not change. Chained transactions require the version before;
    /// others accept any.
    fn touch_group(
        &self,
        transaction: &mut Transaction,
        group: &Resource,
        is_chained: bool,
    ) -> Result<(), ScimError> {
        let requirement = if is_chained {
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
