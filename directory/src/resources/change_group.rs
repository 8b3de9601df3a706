//! Changing groups and roles, with their members (RFC 7644 §3.5).
//!
//! Adding members, and removing members by id, commute. So they only require that the group exists and is not being deleted.
//! Every other operation on members, and every request with If-Match, requires the version that was read before the members.
//! If another writer was faster, it starts again from the current members. So if two replacements complete, the group has the
//! members of one of them, never a mixture.
//!
//! Changes that do not fit into one transaction become an intent. While it is carried out, a change that commutes with it
//! goes on: one that adds or removes other members by their ids, or changes attributes. Every other change waits for its end.

use std::collections::{BTreeSet, HashSet};

use shared::entity_tags::EntityTags;
use shared::error::ScimError;
use shared::patch::MemberOperation;
use shared::resource::{Document, Resource, ResourceId, ResourceKind};

use super::check_entity_tag;
use crate::Directory;
use crate::audit::{Changes, Operation};
use crate::dynamodb::conditions::{Condition, Requirement};
use crate::dynamodb::expressions::Update;
use crate::dynamodb::items::{self, Stored};
use crate::dynamodb::keys;
use crate::dynamodb::table::Outcome;
use crate::dynamodb::transaction::Transaction;
use crate::intents::{Ended, StagedChanges, Work};
use crate::member_changes::{self, Change, check_found, joining_ids, leaving_ids};

/// A change of a group, ready to be written.
struct GroupChange {
    present: Stored,
    /// The next version. It has the same document if only members change.
    next: Resource,
    changes: Vec<Change>,
    /// Whether the change depends on the version that was read.
    requires_version: bool,
}

impl Directory {
    /// Changes a group or role, and its members (RFC 7644 §3.5). `change` makes the new document from the present one; it
    /// is called again if another writer changed the group meanwhile. A group without any change is not written and keeps its version.
    ///
    /// # Errors
    /// 404; 412 if `if_match` does not match; `uniqueness`; `noTarget` if a filter matches no member; `invalidValue` for an
    /// unknown member, a cycle, or nesting that is too deep; 403 if an operator changes a group of the client; and every error
    /// of `change`. Each of these comes before anything is written.
    pub async fn change_group(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        if_match: Option<&EntityTags>,
        change: impl Fn(&Document) -> Result<Document, ScimError>,
        members: &[MemberOperation],
    ) -> Result<Resource, ScimError> {
        let mut backoff = self.table.backoff();
        // These depend on all members: operations that do not commute, and If-Match.
        let requires_version = if_match.is_some() || !members.iter().all(MemberOperation::commutes);
        let named: HashSet<ResourceId> =
            joining_ids(members).into_iter().chain(leaving_ids(members)).collect();
        let mut in_order = requires_version;
        loop {
            let (present, changes) = self.read_changes(kind, id, members, in_order).await?;
            if !in_order && !members.is_empty() && present.has_recent_intent(self.time()) {
                // The members may be older than the group, and lack what the intent has done in between.
                in_order = true;
                continue;
            }
            if let Some(progress) = &present.intent
                && (requires_version || !self.is_independent(kind, id, progress, &named).await?)
            {
                self.wait_or_take_over(kind, id, progress, &mut backoff).await?;
                continue;
            }
            let group = &present.resource;
            self.check_owner(group)?;
            check_entity_tag(if_match, group, &[])?;
            let changes = changes?;
            let document = change(&group.document)?;
            if document == group.document && changes.is_empty() {
                return Ok(present.resource);
            }
            let next = self.next_version(group, document);
            let change = GroupChange { present, next, changes, requires_version };
            let failed = match self.write_group(change).await? {
                Written::All(group) => return Ok(group),
                Written::Begun(work) => return self.finish_change(work).await,
                Written::MustWait(progress) => {
                    self.wait_or_take_over(kind, id, &progress, &mut backoff).await?;
                    continue;
                }
                Written::Nothing(next, failed) => {
                    // If the group changed since it was read, this group itself may have the name: another writer renamed
                    // it. So a name conflict is reported only if the group is unchanged; otherwise the change is retried.
                    if failed.contains(&Condition::IsUnchanged) { None } else { Some((next, failed)) }
                }
            };
            if let Some((next, failed)) = failed
                && let Some(error) = self.settle_name_conflict(&next, &failed).await?
            {
                return Err(error);
            }
            backoff.wait().await?;
        }
    }

    /// Reads the group, and finds the changes of its members. A group that does not exist is an error before any error of the
    /// changes.
    async fn read_changes(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        operations: &[MemberOperation],
        in_order: bool,
    ) -> Result<(Stored, Result<Vec<Change>, ScimError>), ScimError> {
        if operations.is_empty() {
            return Ok((self.group(kind, id).await?, Ok(Vec::new())));
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
        // If the group must not be newer than the members, it is read first. Otherwise both are read at the same time.
        let group_then_present = async {
            if in_order {
                let group = self.group(kind, id).await?;
                return Ok((group, present.await?));
            }
            let (group, present) = tokio::join!(self.group(kind, id), present);
            Ok((group?, present?))
        };
        let (read, found) = tokio::join!(group_then_present, memberships.find(kind, wanted.clone()));
        let ((group, present), found) = (read?, found?);
        let changes = check_found(operations, &found)
            .and_then(|()| member_changes::changes(operations, present, &found));
        Ok((group, changes))
    }

    /// Writes a change, or its first transaction if it needs several.
    async fn write_group(&self, change: GroupChange) -> Result<Written, ScimError> {
        let GroupChange { present, next, changes, .. } = &change;
        let (kind, id) = (next.kind, next.id);
        let guard = self.nesting().guard(id, changes.iter().filter_map(Change::joining_group)).await?;
        let none = HashSet::new();
        let mut transaction = self.transaction();
        self.write_group_version(&mut transaction, &change, Update::new())?;
        if let Some(guard) = &guard {
            guard.write(&mut transaction, id, changes, false)?;
        }
        let items_beside_members = transaction.len();
        if self.memberships().fill(&mut transaction, id, changes, &none, 0)? == changes.len() {
            return Ok(match self.commit(&transaction).await? {
                Outcome::Committed => Written::All(change.next),
                Outcome::Refused(failed) => Written::Nothing(change.next, failed),
            });
        }
        if let Some(progress) = &present.intent {
            // A group has one intent at a time.
            return Ok(Written::MustWait(progress.clone()));
        }
        let staged = StagedChanges::new(changes)?;
        self.write_parts(&staged).await?;
        let mut transaction = self.transaction();
        // The item of the group says how many changes the transaction makes, so it comes after them. One more item is the intent.
        let done = self.memberships().fill(&mut transaction, id, changes, &none, items_beside_members + 1)?;
        let progress = self.new_progress(&staged.intent, done, false);
        self.write_group_version(&mut transaction, &change, items::begin_intent(&progress))?;
        if let Some(guard) = &guard {
            guard.write(&mut transaction, id, changes, kind == ResourceKind::Group)?;
        }
        self.write_intent(&mut transaction, kind, id, Some(&staged))?;
        match self.commit(&transaction).await? {
            Outcome::Committed => {
                let parts = staged.parts();
                Ok(Written::Begun(Work { group: change.next, progress, changes: change.changes, parts }))
            }
            Outcome::Refused(failed) => {
                self.discard(&staged).await?;
                Ok(Written::Nothing(change.next, failed))
            }
        }
    }

    /// Adds the next version of a group, with its audit record, to a transaction. `also` is what else changes in its item.
    fn write_group_version(
        &self,
        transaction: &mut Transaction,
        GroupChange { present, next, changes, requires_version }: &GroupChange,
        also: Update,
    ) -> Result<(), ScimError> {
        let group = &present.resource;
        let intent = present.intent.as_ref().map(|progress| progress.intent.as_str());
        if next.document != group.document {
            let requirement = Requirement::is_unchanged(group.version).with_intent(intent);
            self.write_version(transaction, group, next, also, requirement)?;
        } else {
            // Changes that commute require no version.
            let requirement = if *requires_version {
                Requirement::is_unchanged(group.version)
            } else {
                Requirement::stays(group.id)
            };
            let key = keys::resource(&self.connector.id, group.kind, group.id);
            let update = self.memberships().next_group_version().and(also);
            transaction.update(&key, update, Some(requirement.with_intent(intent)))?;
        }
        let changes = Changes::of_update(group, next).with_members(changes.iter());
        self.record(transaction, Operation::Update, group.kind, group.id, &changes)
    }

    /// Carries out the rest of a change, or waits for the process that took it over.
    async fn finish_change(&self, work: Work) -> Result<Resource, ScimError> {
        match self.carry_out(&work).await? {
            Ended::Done { transactions, .. } => {
                let version = work.group.version + transactions;
                Ok(Resource { version, ..work.group })
            }
            Ended::Lost => {
                self.complete_intent(work.group.kind, work.group.id, &work.progress.intent).await?;
                Ok(work.group)
            }
        }
    }
}

/// How much of a change was written.
enum Written {
    /// All; with the group's next version.
    All(Resource),
    /// The first transaction. This process has to carry out the rest.
    Begun(Work),
    /// Nothing: an intent has to end first.
    MustWait(items::Progress),
    /// Nothing of this next version: these conditions failed.
    Nothing(Resource, Vec<Condition>),
}
