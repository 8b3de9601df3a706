//! Memberships: one edge between a group and a member, stored on both sides, written in one transaction.
//!
//! Each transaction writes the group's version once, on condition that the group stays, and carries for each member who
//! joins the condition that the member is there and active; so nobody joins a group that is going, and nobody who is
//! going or deactivated joins a group. Adds and removes commute and need no more. A replacement of all members
//! chains its transactions on the group's version: when another writer came between, it begins again from what
//! is there, so two of them never leave a mixture.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use aws_sdk_dynamodb::types::AttributeValue;

use crate::Directory;
use crate::audit::{self, Operation};
use crate::dynamodb::item::{self, Stored, number, text};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::{Outcome, Range};
use crate::dynamodb::transaction::{Expression, Transaction};
use crate::nesting::Guard;
use crate::resources::{Added, check_version, is_staying, is_version, true_value};
use crate::settings::OnDeactivate;
use shared::entity_tags::EntityTags;
use shared::error::{ErrorKind, ScimError};
use shared::filter::ResolvedFilter;
pub use shared::patch::MemberOperation;
use shared::patch::MemberValue;
use shared::resource::{Document, Member, Resource, ResourceId, ResourceKind};

/// Items that a transaction holds for one member who joins, and for one who leaves.
const ITEMS_TO_JOIN: usize = 3;
const ITEMS_TO_LEAVE: usize = 2;
/// Groups that a member leaves in one transaction: both sides and the group's version each; the member, the audit record.
const GROUPS_LEFT_AT_ONCE: usize = 32;
/// Memberships of a deleted group that are read, then deleted, at once.
const MEMBERS_REMOVED_AT_ONCE: i32 = 1_000;

/// One member who joins or leaves.
#[derive(Clone, Debug)]
enum Change {
    Join(Member),
    Leave(Member),
}

/// A group, and what a request does to its members.
struct Changes {
    group: Resource,
    changes: Vec<Change>,
}

impl Directory {
    /// The members of a group in the order of their ids, at most so many, and whether there are more.
    pub async fn members(&self, group: ResourceId, most: usize) -> Result<(Vec<Member>, bool), ScimError> {
        let pk = keys::members(&self.connector.id, group);
        let limit = i32::try_from(most.saturating_add(1)).ok();
        let mut members = Vec::new();
        let mut after = None;
        loop {
            let (page, next) = self.table.query_page(&pk, &Range::All, after.as_deref(), limit).await?;
            members.extend(page.iter().filter_map(item::to_member));
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

    /// Which of these are members of the group.
    pub(crate) async fn members_among(
        &self,
        group: ResourceId,
        ids: impl IntoIterator<Item = ResourceId>,
    ) -> Result<Vec<Member>, ScimError> {
        let keys: Vec<Key> =
            ids.into_iter().map(|id| keys::group_side(&self.connector.id, group, id)).collect();
        Ok(self.table.get_all(&keys).await?.iter().filter_map(item::to_member).collect())
    }

    /// Checks, before anything is written, that everybody who is to join is here.
    ///
    /// # Errors
    /// `invalidValue` naming one who is not.
    pub(crate) async fn check_members(&self, operations: &[MemberOperation]) -> Result<(), ScimError> {
        let wanted: Vec<&MemberValue> = operations.iter().flat_map(joining).collect();
        let found = self.find_members(wanted.iter().map(|value| value.id).collect()).await?;
        match wanted.iter().find(|value| !found.contains_key(&value.id)) {
            Some(missing) => Err(nobody(missing.id)),
            None => Ok(()),
        }
    }

    /// Changes a group (RFC 7644 §3.5): `change` makes the new document from the present one, and may be called again
    /// when another writer came between. A group without any change is not written, and keeps its version. Returns the
    /// group as it is then, or as it was when others write to it at the same time.
    ///
    /// # Errors
    /// 404; 412 when the version is none of `if_match`; `uniqueness`; `invalidValue` for a member who is nobody
    /// here, or a group that would come to contain itself; and whatever `change` refuses.
    pub async fn change_group(
        &self,
        id: ResourceId,
        if_match: Option<&EntityTags>,
        change: impl Fn(&Document) -> Result<Document, ScimError>,
        members: &[MemberOperation],
    ) -> Result<Resource, ScimError> {
        self.change_group_of(ResourceKind::Group, id, if_match, change, members).await
    }

    /// The same for any kind that has members.
    ///
    /// # Errors
    /// As for a group; 403 for an operator where it is the client's.
    pub async fn change_group_of(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        if_match: Option<&EntityTags>,
        change: impl Fn(&Document) -> Result<Document, ScimError>,
        members: &[MemberOperation],
    ) -> Result<Resource, ScimError> {
        let mut pause = self.table.pause();
        let mut if_match = if_match;
        let mut is_begun = false;
        loop {
            // Those who come and go commute; what the members are in the end, or at a version, depends on all of them.
            let is_chained = if_match.is_some() || !members.iter().all(MemberOperation::commutes);
            let Changes { group, changes } =
                self.read_changes(kind, id, members, is_chained, is_begun).await?;
            self.check_owner(&group)?;
            check_version(if_match, &group, &[])?;
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
            pause.wait().await?;
        }
    }

    /// The group as it is, and what is left to do of what the client asks.
    async fn read_changes(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        operations: &[MemberOperation],
        is_chained: bool,
        is_begun: bool,
    ) -> Result<Changes, ScimError> {
        if operations.is_empty() {
            return Ok(Changes { group: self.group_of(kind, id).await?.resource, changes: Vec::new() });
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
        // A chain begins at a version, which has to be read before the members that it stands for.
        let group_then_present = async {
            if is_chained {
                let group = self.group_of(kind, id).await?;
                return Ok((group, present.await?));
            }
            let (group, present) = tokio::join!(self.group_of(kind, id), present);
            Ok((group?, present?))
        };
        let (read, found) = tokio::join!(group_then_present, self.find_members(wanted.clone()));
        let ((Stored { resource: group, .. }, present), found) = (read?, found?);
        // Whoever went after the first look is no member, and no mistake of the client's.
        if let Some(missing) = wanted.iter().find(|id| !is_begun && !found.contains_key(id)) {
            return Err(nobody(*missing));
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

    /// Who of these is here: with their kinds, and `None` for a deactivated user who may join no group.
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
                let is_true = |name: &str| item.get(name).is_some_and(|value| value.as_bool() == Ok(&true));
                let Some((id, None)) = item::name_of(&item) else { continue };
                if !is_true("going") {
                    found.insert(
                        id,
                        (kind == ResourceKind::Group || self.lets_inactive_join() || is_true("active"))
                            .then_some(kind),
                    );
                }
            }
        }
        Ok(found)
    }

    /// Writes the changes, a transaction for as many as one can hold. `next` is the group where its own attributes
    /// change, which the first transaction writes.
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
            let mut added = None;
            match &next {
                Some(next) if is_first => added = Some(self.write_in(&mut transaction, group, next)?),
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
                Outcome::Refused(refused) => {
                    // Only where the group is what it was does its name say anything: else another writer may have
                    // given it this very name.
                    let is_as_it_was = !refused.contains(&0);
                    let refusal = added.and_then(|added: Added| added.refusal(&latest, &refused));
                    if let Some(error) = refusal.filter(|_| is_as_it_was) {
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

    /// A new version of a group whose own attributes stay: of the one just before it where the writes are chained, of
    /// whatever there is where they commute.
    fn touch_group(
        &self,
        transaction: &mut Transaction,
        group: &Resource,
        is_chained: bool,
    ) -> Result<(), ScimError> {
        let condition = if is_chained { is_version(group.version - 1) } else { is_staying() };
        let key = keys::resource(&self.connector.id, group.kind, group.id);
        transaction.update(&key, self.new_version(), Some(condition))
    }

    fn new_version(&self) -> Expression {
        Expression::new("SET modified = :modified ADD version :one")
            .with(":modified", text(self.now.to_string()))
            .with(":one", number(1))
    }

    /// Adds one change to a transaction; `false` when there is no room for it.
    fn write_change(
        &self,
        transaction: &mut Transaction,
        group: ResourceId,
        change: &Change,
        guard: &mut Option<Guard>,
    ) -> Result<bool, ScimError> {
        match change {
            Change::Leave(member) => {
                if transaction.room() < ITEMS_TO_LEAVE {
                    return Ok(false);
                }
                for key in self.both_sides(group, member.kind, member.id) {
                    transaction.delete(&key)?;
                }
            }
            Change::Join(member) => {
                let guard_items = usize::from(member.kind == ResourceKind::Group);
                if transaction.room() < ITEMS_TO_JOIN + guard_items {
                    return Ok(false);
                }
                let key = keys::resource(&self.connector.id, member.kind, member.id);
                match (member.kind, guard.as_mut()) {
                    (ResourceKind::Group, Some(guard)) => {
                        guard.write_once(transaction)?;
                        let nested = Expression::new("SET nested = :true").with(":true", true_value());
                        transaction.update(&key, nested, Some(is_staying()))?;
                    }
                    _ if self.lets_inactive_join() => transaction.check(&key, is_staying())?,
                    _ => {
                        let is_active = Expression::new("active = :true").with(":true", true_value());
                        transaction.check(&key, is_staying().and(is_active))?;
                    }
                }
                let [group_side, member_side] = self.both_sides(group, member.kind, member.id);
                transaction.put(item::from_member(&group_side, member))?;
                transaction.put(member_side.attributes())?;
            }
        }
        Ok(true)
    }

    /// A client that does not send memberships again has to be believed when it sends them.
    fn lets_inactive_join(&self) -> bool {
        self.settings().on_deactivate == OnDeactivate::KeepGroups
    }

    fn both_sides(&self, group: ResourceId, kind: ResourceKind, member: ResourceId) -> [Key; 2] {
        [
            keys::group_side(&self.connector.id, group, member),
            keys::member_side(&self.connector.id, kind, member, group),
        ]
    }

    /// The groups that a user or group is in itself.
    pub(crate) async fn groups_of(
        &self,
        kind: ResourceKind,
        member: ResourceId,
    ) -> Result<Vec<ResourceId>, ScimError> {
        let range = Range::Prefix(keys::member_side_prefix(member));
        let items = self.table.query(&keys::resources(&self.connector.id, kind), &range).await?;
        Ok(items.iter().filter_map(|item| item::name_of(item)?.1).collect())
    }

    /// Takes somebody who is inactive, or going, out of all groups, the known ones first, until there is none. Stops when
    /// they are back: whoever brought them back may have put them into groups since.
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
            // Whoever was added while this ran stood before the condition that now keeps others out.
            groups = self.groups_of(kind, member).await?;
            if groups.is_empty() {
                return Ok(());
            }
        }
    }

    /// `false` when the member is back.
    async fn leave_groups(
        &self,
        kind: ResourceKind,
        member: ResourceId,
        groups: &[ResourceId],
    ) -> Result<bool, ScimError> {
        // Groups that are gone have no version to write.
        let mut gone: BTreeSet<ResourceId> = BTreeSet::new();
        loop {
            let mut transaction = self.table.transaction();
            let is_leaving = "attribute_not_exists(pk) OR attribute_exists(going) OR active = :false";
            let is_leaving = Expression::new(is_leaving).with(":false", AttributeValue::Bool(false));
            transaction.check(&keys::resource(&self.connector.id, kind, member), is_leaving)?;
            let mut touched = HashMap::new();
            for group in groups {
                if !gone.contains(group) {
                    touched.insert(transaction.len(), *group);
                    let key = keys::resource(&self.connector.id, ResourceKind::Group, *group);
                    let is_there = Expression::new("attribute_exists(pk)");
                    transaction.update(&key, self.new_version(), Some(is_there))?;
                }
                for key in self.both_sides(*group, kind, member) {
                    transaction.delete(&key)?;
                }
            }
            self.record(&mut transaction, Operation::Update, kind, member, vec!["groups".to_owned()])?;
            match self.table.commit(&transaction).await? {
                Outcome::Committed => return Ok(true),
                Outcome::Refused(refused) if refused.contains(&0) => return Ok(false),
                Outcome::Refused(refused) => {
                    gone.extend(refused.iter().filter_map(|position| touched.get(position)));
                }
            }
        }
    }

    /// Empties a group whose deletion has begun, so that nobody joins it any more.
    pub(crate) async fn remove_all_members(&self, group: ResourceId) -> Result<(), ScimError> {
        let pk = keys::members(&self.connector.id, group);
        loop {
            let (page, _) =
                self.table.query_page(&pk, &Range::All, None, Some(MEMBERS_REMOVED_AT_ONCE)).await?;
            let members: Vec<Member> = page.iter().filter_map(item::to_member).collect();
            if members.is_empty() {
                return Ok(());
            }
            // The member's side goes first: while the group's is there, whoever resumes this finds it.
            let sides: Vec<[Key; 2]> =
                members.iter().map(|member| self.both_sides(group, member.kind, member.id)).collect();
            let (group_sides, member_sides): (Vec<Key>, Vec<Key>) =
                sides.into_iter().map(|[group_side, member_side]| (group_side, member_side)).unzip();
            self.table.delete_all(&member_sides).await?;
            self.table.delete_all(&group_sides).await?;
        }
    }
}

/// How far the writing of changes came.
enum Written {
    /// To the end: the group as it is then.
    All(Resource),
    /// Some were written, then another writer came between.
    Part,
    /// Another writer came before the first.
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

/// The members after one operation. Those who are not found, or deactivated, do not join.
///
/// # Errors
/// `noTarget` where there has to be somebody to take the place of, and is not (RFC 7644 §3.5.2.3).
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
                let detail = "No member matches, and the filter does not name one by its value";
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

fn nobody(id: ResourceId) -> ScimError {
    ScimError::new(ErrorKind::InvalidValue, format!("members: {id} is no user or group here"))
}
