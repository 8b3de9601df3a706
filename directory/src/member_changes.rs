//! Which members join and leave a group. Pure functions of the operations, the present members and the members found.

use std::collections::{BTreeMap, HashMap, HashSet};

use shared::error::{ErrorKind, ScimError};
use shared::filter::ResolvedFilter;
use shared::patch::{MemberOperation, MemberValue};
use shared::resource::{Member, ResourceId, ResourceKind};

/// A member that joins or leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The member joins the group.
    Join(Member),
    /// The member leaves the group.
    Leave(Member),
}

impl Change {
    /// The member.
    pub fn member(&self) -> &Member {
        match self {
            Self::Join(member) | Self::Leave(member) => member,
        }
    }

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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::patch::Patch;
    use shared::resource::parse_object;
    use shared::schema::Schemas;

    use super::*;

    fn id(number: u8) -> ResourceId {
        ResourceId::from_random_bytes([number; 16])
    }

    fn member(number: u8) -> Member {
        Member { id: id(number), kind: ResourceKind::User, display: Some(format!("member {number}")) }
    }

    fn value(number: u8) -> MemberValue {
        MemberValue { id: id(number), kind: None, display: Some(format!("member {number}")) }
    }

    /// Users 1 to 4, user 5, who is inactive, and group 6.
    fn found() -> FoundMembers {
        let users = (1..=4).map(|number| (id(number), Some(ResourceKind::User)));
        users.chain([(id(5), None), (id(6), Some(ResourceKind::Group))]).collect()
    }

    /// The operations on members of a PATCH.
    fn patch(operations: &Value) -> Vec<MemberOperation> {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations
        });
        let body = parse_object(body.to_string().as_bytes()).unwrap();
        Patch::parse(body, Schemas::built_in().of(ResourceKind::Group)).unwrap().member_operations().to_vec()
    }

    /// The changes in a group with the members 1 and 2, by their numbers: those who leave, and those who join.
    #[track_caller]
    fn changed(operations: &[MemberOperation]) -> (Vec<ResourceId>, Vec<ResourceId>) {
        let changes = changes(operations, vec![member(1), member(2)], &found()).unwrap();
        let (mut leaves, mut joins) = (Vec::new(), Vec::new());
        for change in changes {
            match change {
                Change::Leave(_) if !joins.is_empty() => panic!("a member leaves after another joined"),
                Change::Leave(member) => leaves.push(member.id),
                Change::Join(member) => joins.push(member.id),
            }
        }
        (leaves, joins)
    }

    #[test]
    fn operations_make_the_changes_that_they_describe() {
        let by_name = |operation: &str, values: Value| {
            let path = "members[display eq \"member 2\"]";
            patch(&json!([{ "op": operation, "path": path, "value": values }]))
        };
        let ids = |numbers: &[u8]| numbers.iter().map(|number| id(*number)).collect::<Vec<_>>();
        for (operations, leaves, joins) in [
            (vec![MemberOperation::Add(vec![value(2), value(3), value(5), value(6)])], vec![], vec![3, 6]),
            (vec![MemberOperation::Remove(ids(&[2, 3]))], vec![2], vec![]),
            (vec![MemberOperation::RemoveAll], vec![1, 2], vec![]),
            (vec![MemberOperation::Replace(vec![value(2), value(4)])], vec![1], vec![4]),
            (by_name("remove", Value::Null), vec![2], vec![]),
            (by_name("replace", json!([{ "value": id(3).to_string() }])), vec![2], vec![3]),
            // An operation sees what the operations before it changed.
            (
                vec![MemberOperation::RemoveAll, MemberOperation::Add(vec![value(1), value(3)])],
                vec![2],
                vec![3],
            ),
            (vec![MemberOperation::Add(vec![value(3)]), MemberOperation::Remove(ids(&[3]))], vec![], vec![]),
        ] {
            assert_eq!(changed(&operations), (ids(&leaves), ids(&joins)), "{operations:?}");
        }
    }

    #[test]
    fn replacement_of_no_member_is_refused() {
        let path = "members[display eq \"nobody\"]";
        let value = json!([{ "value": id(3).to_string() }]);
        let operations = patch(&json!([{ "op": "replace", "path": path, "value": value }]));
        let refused = changes(&operations, vec![member(1)], &found()).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::NoTarget);
    }

    #[test]
    fn ids_that_join_and_leave_are_known_before_anything_is_read() {
        let operations = [
            MemberOperation::Add(vec![value(1)]),
            MemberOperation::Remove(vec![id(2)]),
            MemberOperation::Replace(vec![value(3), value(7)]),
        ];
        assert_eq!(joining_ids(&operations), HashSet::from([id(1), id(3), id(7)]));
        assert_eq!(leaving_ids(&operations).collect::<Vec<_>>(), [id(2)]);
        let missing = check_found(&operations, &found()).unwrap_err();
        assert_eq!(missing.detail, format!("members: there is no user or group with the id {}", id(7)));
        assert!(check_found(&operations[..2], &found()).is_ok());
        let group = Member { id: id(6), kind: ResourceKind::Group, display: None };
        assert_eq!(Change::Join(group.clone()).joining_group(), Some(id(6)));
        assert_eq!(Change::Leave(group).joining_group(), None);
        assert_eq!(Change::Join(member(1)).joining_group(), None);
    }
}
