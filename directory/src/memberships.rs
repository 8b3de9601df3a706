//! Memberships. Each is stored twice, in the partitions of the group and of the member, and both items are written in one
//! transaction.
//!
//! Every transaction increments the version of the group once, on condition that the group's deletion has not begun. For
//! each member who joins, it also checks that the member exists and is active. So only existing, active users can join,
//! and only a group that stays can be joined.
//!
//! Additions and removals commute, so they need no other condition. A replacement of all members requires the version that
//! was read. If another writer was faster, the replacement starts again from the present members. So two replacements
//! leave the result of one of them, never a mixture.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::Directory;
use crate::audit::{self, Operation};
use crate::dynamodb::attributes::{is_true, number, text};
use crate::dynamodb::conditions::{Condition, Requirement};
use crate::dynamodb::items::{self, Stored};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::{Outcome, Range};
use crate::dynamodb::transaction::{Expression, Transaction};
use crate::nesting::NestingGuard;
use crate::resources::{check_entity_tag, name_conflict};
use crate::settings::OnDeactivate;
use shared::entity_tags::EntityTags;
use shared::error::{ErrorKind, ScimError};
use shared::filter::ResolvedFilter;
pub use shared::patch::MemberOperation;
use shared::patch::MemberValue;
use shared::resource::{Document, Member, Resource, ResourceId, ResourceKind};

/// The items of a transaction for one member that joins, and for one that leaves.
const ITEMS_TO_JOIN: usize = 3;
const ITEMS_TO_LEAVE: usize = 2;
/// The groups that a member leaves in one transaction. Each takes three items: both sides and the group's version. The
/// check of the member and the audit record take one each.
const GROUPS_LEFT_AT_ONCE: usize = 32;
/// The memberships of a deleted group that are read and deleted at once.
const MEMBERS_REMOVED_AT_ONCE: i32 = 1_000;

/// A member that joins or leaves.
#[derive(Clone, Debug)]
enum Change {
    Join(Member),
    Leave(Member),
}

/// A group, and the changes of its members.
struct Changes {
    group: Resource,
    changes: Vec<Change>,
}

impl Directory {
    /// Reads the members of a group in the order of their ids, at most `most`, and whether there are more.
    pub async fn members(&self, group: ResourceId, most: usize) -> Result<(Vec<Member>, bool), ScimError> {
        let pk = keys::members(&self.connector.id, group);
        let limit = i32::try_from(most.saturating_add(1)).ok();
        let mut members = Vec::new();
        let mut after = None;
        loop {
            let (page, next) = self.table.query_page(&pk, &Range::All, after.as_deref(), limit).await?;
            members.extend(page.iter().filter_map(items::to_member));
            if members.len() > most {
                members.truncate(most);
                return Ok((members, true));
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok((members, false)),
            }
        }
    }

    /// Reads which of these are members of a group.
    pub(crate) async fn members_among(
        &self,
        group: ResourceId,
        ids: impl IntoIterator<Item = ResourceId>,
    ) -> Result<Vec<Member>, ScimError> {
        let keys: Vec<Key> =
            ids.into_iter().map(|id| keys::group_side(&self.connector.id, group, id)).collect();
        Ok(self.table.get_all(&keys).await?.iter().filter_map(items::to_member).collect())
    }

    /// Checks that all members that operations add exist, before anything is written.
    ///
    /// # Errors
    /// `invalidValue` with the first id that does not exist.
    pub(crate) async fn check_members(&self, operations: &[MemberOperation]) -> Result<(), ScimError> {
        let wanted: Vec<&MemberValue> = operations.iter().flat_map(joining).collect();
        let found = self.find_members(wanted.iter().map(|value| value.id).collect()).await?;
        match wanted.iter().find(|value| !found.contains_key(&value.id)) {
            Some(missing) => Err(unknown_member(missing.id)),
            None => Ok(()),
        }
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
        let wanted: HashSet<ResourceId> = operations.iter().flat_map(joining).map(|value| value.id).collect();
        let leaving = operations.iter().flat_map(leaving);
        let present = async {
            if operations.iter().all(MemberOperation::commutes) {
                self.members_among(id, wanted.iter().copied().chain(leaving).collect::<BTreeSet<_>>()).await
            } else {
                self.members(id, usize::MAX).await.map(|(members, _)| members)
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
        let (read, found) = tokio::join!(group_then_present, self.find_members(wanted.clone()));
        let ((Stored { resource: group, .. }, present), found) = (read?, found?);
        // A member who was deleted after the first transaction is not the client's mistake, and is skipped.
        if let Some(missing) = wanted.iter().find(|id| !is_begun && !found.contains_key(id)) {
            return Err(unknown_member(*missing));
        }
        let present: BTreeMap<ResourceId, Member> =
            present.into_iter().map(|member| (member.id, member)).collect();
        let after = operations
            .iter()
            .try_fold(present.clone(), |members, operation| apply(members, operation, &found))?;
        let joins =
            after.values().filter(|member| !present.contains_key(&member.id)).cloned().map(Change::Join);
        let leaves =
            present.values().filter(|member| !after.contains_key(&member.id)).cloned().map(Change::Leave);
        Ok(Changes { group, changes: leaves.chain(joins).collect() })
    }

    /// Finds which of these ids exist. The value is the kind, or `None` for an inactive user, who cannot join a group.
    async fn find_members(
        &self,
        ids: HashSet<ResourceId>,
    ) -> Result<HashMap<ResourceId, Option<ResourceKind>>, ScimError> {
        let mut found = HashMap::with_capacity(ids.len());
        for kind in [ResourceKind::User, ResourceKind::Group] {
            let keys: Vec<Key> = ids
                .iter()
                .filter(|id| !found.contains_key(*id))
                .map(|id| keys::resource(&self.connector.id, kind, *id))
                .collect();
            for item in self.table.get_all(&keys).await? {
                let Some((id, None)) = items::ids(&item) else { continue };
                if !items::is_deleting(&item) {
                    found.insert(
                        id,
                        (kind == ResourceKind::Group
                            || self.lets_inactive_join()
                            || is_true(&item, "active"))
                        .then_some(kind),
                    );
                }
            }
        }
        Ok(found)
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
        let mut guard = self.guard_nesting(group.id, changes.iter().filter_map(joining_group)).await?;
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
                if !self.write_change(&mut transaction, group.id, change, &mut guard)? {
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
        transaction.update(&key, self.new_version(), Some(requirement))
    }

    fn new_version(&self) -> Expression {
        Expression::new("SET modified = :modified ADD version :one")
            .with(":modified", text(self.now.to_string()))
            .with(":one", number(1))
    }

    /// Adds one change to a transaction. Returns `false` when it does not fit.
    fn write_change(
        &self,
        transaction: &mut Transaction,
        group: ResourceId,
        change: &Change,
        guard: &mut Option<NestingGuard>,
    ) -> Result<bool, ScimError> {
        match change {
            Change::Leave(member) => {
                if transaction.remaining_items() < ITEMS_TO_LEAVE {
                    return Ok(false);
                }
                for key in self.both_sides(group, member.kind, member.id) {
                    transaction.delete(&key)?;
                }
            }
            Change::Join(member) => {
                let guard_items = usize::from(member.kind == ResourceKind::Group);
                if transaction.remaining_items() < ITEMS_TO_JOIN + guard_items {
                    return Ok(false);
                }
                let key = keys::resource(&self.connector.id, member.kind, member.id);
                match (member.kind, guard.as_mut()) {
                    (ResourceKind::Group, Some(guard)) => {
                        guard.write_once(transaction)?;
                        transaction.update(
                            &key,
                            items::mark_nested(),
                            Some(Requirement::stays(member.id)),
                        )?;
                    }
                    _ => {
                        let is_inactive_allowed = self.lets_inactive_join();
                        transaction
                            .check(&key, Requirement::may_be_member(member.id, is_inactive_allowed))?;
                    }
                }
                let [group_side, member_side] = self.both_sides(group, member.kind, member.id);
                transaction.put(items::from_member(&group_side, member))?;
                transaction.put(member_side.attributes())?;
            }
        }
        Ok(true)
    }

    /// Whether inactive users can join groups: where the connector keeps their memberships, the client sends these once.
    fn lets_inactive_join(&self) -> bool {
        self.settings().on_deactivate == OnDeactivate::KeepGroups
    }

    fn both_sides(&self, group: ResourceId, kind: ResourceKind, member: ResourceId) -> [Key; 2] {
        [
            keys::group_side(&self.connector.id, group, member),
            keys::member_side(&self.connector.id, kind, member, group),
        ]
    }

    /// Reads the groups of which a user or group is a direct member.
    pub(crate) async fn groups_of(
        &self,
        kind: ResourceKind,
        member: ResourceId,
    ) -> Result<Vec<ResourceId>, ScimError> {
        let range = Range::Prefix(keys::member_side_prefix(member));
        let items = self.table.query(&keys::resources(&self.connector.id, kind), &range).await?;
        Ok(items.iter().filter_map(|item| items::ids(item)?.1).collect())
    }

    /// Removes a member that is inactive, or whose deletion has begun, from all groups: first from the `known` ones. Stops if
    /// the member is active again, as it may have joined groups since.
    pub(crate) async fn leave_all_groups(
        &self,
        kind: ResourceKind,
        member: ResourceId,
        known: Vec<ResourceId>,
    ) -> Result<(), ScimError> {
        let mut groups = known;
        loop {
            for some in groups.chunks(GROUPS_LEFT_AT_ONCE) {
                if !self.leave_groups(kind, member, some).await? {
                    return Ok(());
                }
            }
            // A transaction that was checked before the deactivation may have added a membership.
            groups = self.groups_of(kind, member).await?;
            if groups.is_empty() {
                return Ok(());
            }
        }
    }

    /// Removes a member from some groups. Returns `false` if the member is active again.
    async fn leave_groups(
        &self,
        kind: ResourceKind,
        member: ResourceId,
        groups: &[ResourceId],
    ) -> Result<bool, ScimError> {
        // A group that was deleted has no version to increment.
        let mut deleted: BTreeSet<ResourceId> = BTreeSet::new();
        loop {
            let mut transaction = self.table.transaction();
            let member_key = keys::resource(&self.connector.id, kind, member);
            transaction.check(&member_key, Requirement::must_leave_groups())?;
            for group in groups {
                if !deleted.contains(group) {
                    let key = keys::resource(&self.connector.id, ResourceKind::Group, *group);
                    transaction.update(&key, self.new_version(), Some(Requirement::group_exists(*group)))?;
                }
                for key in self.both_sides(*group, kind, member) {
                    transaction.delete(&key)?;
                }
            }
            self.record(&mut transaction, Operation::Update, kind, member, vec!["groups".to_owned()])?;
            match self.table.commit(&transaction).await? {
                Outcome::Committed => return Ok(true),
                Outcome::Refused(failed) if failed.contains(&Condition::MustLeaveGroups) => return Ok(false),
                Outcome::Refused(failed) => deleted.extend(failed.iter().filter_map(|failed| match failed {
                    Condition::GroupExists(group) => Some(*group),
                    _ => None,
                })),
            }
        }
    }

    /// Removes all members of a group whose deletion has begun, so that no member can join it.
    pub(crate) async fn remove_all_members(&self, group: ResourceId) -> Result<(), ScimError> {
        let pk = keys::members(&self.connector.id, group);
        loop {
            let (page, _) =
                self.table.query_page(&pk, &Range::All, None, Some(MEMBERS_REMOVED_AT_ONCE)).await?;
            let members: Vec<Member> = page.iter().filter_map(items::to_member).collect();
            if members.is_empty() {
                return Ok(());
            }
            // The member's side is deleted first. While the group's side exists, a repeated request finds the membership.
            let sides: Vec<[Key; 2]> =
                members.iter().map(|member| self.both_sides(group, member.kind, member.id)).collect();
            let (group_sides, member_sides): (Vec<Key>, Vec<Key>) =
                sides.into_iter().map(|[group_side, member_side]| (group_side, member_side)).unzip();
            self.table.delete_all(&member_sides).await?;
            self.table.delete_all(&group_sides).await?;
        }
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

fn joining(operation: &MemberOperation) -> &[MemberValue] {
    match operation {
        MemberOperation::Add(values)
        | MemberOperation::Replace(values)
        | MemberOperation::ReplaceMatching(_, values) => values,
        _ => &[],
    }
}

fn leaving(operation: &MemberOperation) -> Vec<ResourceId> {
    match operation {
        MemberOperation::Remove(ids) => ids.clone(),
        _ => Vec::new(),
    }
}

fn joining_group(change: &Change) -> Option<ResourceId> {
    match change {
        Change::Join(Member { id, kind: ResourceKind::Group, .. }) => Some(*id),
        _ => None,
    }
}

/// Applies one operation to a set of members. Members that were not found or are inactive do not join.
///
/// # Errors
/// `noTarget` when a replacement's filter matches no member (RFC 7644 §3.5.2.3).
fn apply(
    mut members: BTreeMap<ResourceId, Member>,
    operation: &MemberOperation,
    found: &HashMap<ResourceId, Option<ResourceKind>>,
) -> Result<BTreeMap<ResourceId, Member>, ScimError> {
    let member = |value: &MemberValue| {
        let kind = found.get(&value.id).copied().flatten()?;
        Some(Member { id: value.id, kind, display: value.display.clone() })
    };
    match operation {
        MemberOperation::Add(values) => add(&mut members, values.iter().filter_map(member)),
        MemberOperation::Remove(ids) => {
            for id in ids {
                members.remove(id);
            }
        }
        MemberOperation::RemoveAll => members.clear(),
        MemberOperation::RemoveMatching(filter) => members.retain(|_, member| !is_match(filter, member)),
        MemberOperation::ReplaceMatching(filter, values) => {
            let before = members.len();
            members.retain(|_, member| !is_match(filter, member));
            if members.len() == before {
                let detail = "The filter matches no member, and does not name one by its value";
                return Err(ScimError::new(ErrorKind::NoTarget, detail));
            }
            add(&mut members, values.iter().filter_map(member));
        }
        MemberOperation::Replace(values) => {
            let wanted: BTreeMap<ResourceId, Member> =
                values.iter().filter_map(member).map(|member| (member.id, member)).collect();
            members.retain(|id, _| wanted.contains_key(id));
            add(&mut members, wanted.into_values());
        }
    }
    Ok(members)
}

fn add(members: &mut BTreeMap<ResourceId, Member>, joining: impl Iterator<Item = Member>) {
    for member in joining {
        members.entry(member.id).or_insert(member);
    }
}

fn is_match(filter: &ResolvedFilter, member: &Member) -> bool {
    member.to_json("").as_object().is_some_and(|member| filter.matches(member))
}

fn unknown_member(id: ResourceId) -> ScimError {
    ScimError::new(ErrorKind::InvalidValue, format!("members: there is no user or group with the id {id}"))
}
