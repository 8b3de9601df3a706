//! Which members join and leave a group. Pure functions of the operations, the present members and the members found.

use std::collections::{BTreeMap, HashMap, HashSet};

use shared::error::{ErrorKind, ScimError};
use shared::filter::ResolvedFilter;
use shared::patch::{MemberOperation, MemberValue};
use shared::resource::{Member, ResourceId, ResourceKind};

/// A member that joins or leaves.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// The member joins the group.
    Join(Member),
    /// The member leaves the group.
    Leave(Member),
}

impl Change {
    /// The id of the group that joins, if a group does.
    pub fn joining_group(&self) -> Option<ResourceId> {
        match self {
            Self::Join(Member { id, kind: ResourceKind::Group, .. }) => Some(*id),
            _ => None,
        }
    }
}

/// The ids that were looked for and exist. The value is the kind, or `None` for an inactive user, who cannot join a group.
pub(crate) type FoundMembers = HashMap<ResourceId, Option<ResourceKind>>;

/// The ids of all members that operations add, in no order.
pub(crate) fn joining_ids(operations: &[MemberOperation]) -> HashSet<ResourceId> {
    operations.iter().flat_map(joining).map(|value| value.id).collect()
}

/// The ids of the members that operations remove by their ids.
pub(crate) fn leaving_ids(operations: &[MemberOperation]) -> impl Iterator<Item = ResourceId> {
    operations.iter().flat_map(leaving).copied()
}

/// Checks that all members that operations add exist.
///
/// # Errors
/// `invalidValue` with the first id that does not exist.
pub(crate) fn check_found(operations: &[MemberOperation], found: &FoundMembers) -> Result<(), ScimError> {
    match operations.iter().flat_map(joining).find(|value| !found.contains_key(&value.id)) {
        Some(missing) => Err(ScimError::new(
            ErrorKind::InvalidValue,
            format!("members: there is no user or group with the id {}", missing.id),
        )),
        None => Ok(()),
    }
}

/// Finds the changes that operations make: first the members that leave, then those that join.
///
/// # Errors
/// `noTarget` when a replacement's filter matches no member (RFC 7644 §3.5.2.3).
pub(crate) fn changes(
    operations: &[MemberOperation],
    present: Vec<Member>,
    found: &FoundMembers,
) -> Result<Vec<Change>, ScimError> {
    let present: BTreeMap<ResourceId, Member> =
        present.into_iter().map(|member| (member.id, member)).collect();
    let after =
        operations.iter().try_fold(present.clone(), |members, operation| apply(members, operation, found))?;
    let joins = after.values().filter(|member| !present.contains_key(&member.id)).cloned().map(Change::Join);
    let leaves =
        present.values().filter(|member| !after.contains_key(&member.id)).cloned().map(Change::Leave);
    Ok(leaves.chain(joins).collect())
}

fn joining(operation: &MemberOperation) -> &[MemberValue] {
    match operation {
        MemberOperation::Add(values)
        | MemberOperation::Replace(values)
        | MemberOperation::ReplaceMatching(_, values) => values,
        _ => &[],
    }
}

fn leaving(operation: &MemberOperation) -> &[ResourceId] {
    match operation {
        MemberOperation::Remove(ids) => ids,
        _ => &[],
    }
}

/// Applies one operation to a set of members. Members that were not found or are inactive do not join.
///
/// # Errors
/// `noTarget` when a replacement's filter matches no member (RFC 7644 §3.5.2.3).
fn apply(
    mut members: BTreeMap<ResourceId, Member>,
    operation: &MemberOperation,
    found: &FoundMembers,
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
