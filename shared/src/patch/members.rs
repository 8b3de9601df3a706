//! PATCH operations on the members of a group, which the directory applies.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{Op, TargetLocation};
use crate::error::{ErrorKind, ScimError};
use crate::filter::{Node, Operand, Operator, ResolvedFilter};
use crate::resource::{ResourceId, ResourceKind, normalise_value, values_of};
use crate::schema::{Attribute, ResourceSchema};

/// The maximum length of a member's `display`, in bytes. It is limited because one transaction writes many
/// memberships, each with its `display`.
const MAX_DISPLAY_BYTES: usize = 1_024;

/// An operation on the members of a group.
#[derive(Clone, Debug, PartialEq)]
pub enum MemberOperation {
    /// Adds those of these members that the group does not have.
    Add(Vec<MemberValue>),
    /// Removes those of these members that the group has.
    Remove(Vec<ResourceId>),
    /// Removes all members.
    RemoveAll,
    /// Removes the members that match the filter.
    RemoveMatching(ResolvedFilter),
    /// Removes the members that match the filter, of which there must be at least one, and adds these
    /// members.
    ReplaceMatching(ResolvedFilter, Vec<MemberValue>),
    /// Removes all other members, and adds these.
    Replace(Vec<MemberValue>),
}

impl MemberOperation {
    /// Whether this operation and another one that commutes have the same result in any order. Such an
    /// operation does not depend on the other members of the group.
    pub fn commutes(&self) -> bool {
        matches!(self, Self::Add(_) | Self::Remove(_))
    }

    /// Returns the number of comparisons in the filter, which does not name members by id.
    pub(super) fn comparisons(&self) -> usize {
        match self {
            Self::RemoveMatching(filter) | Self::ReplaceMatching(filter, _) => filter.comparisons(),
            _ => 0,
        }
    }
}

/// A member as the client sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberValue {
    /// The id of a user or group.
    pub id: ResourceId,
    /// The `type` that the client sends.
    pub kind: Option<ResourceKind>,
    /// The `display` that the client sends.
    pub display: Option<String>,
}

/// Reads the `members` in the body of a POST or PUT of a group, without duplicates.
///
/// # Errors
/// `invalidValue` for a value of the wrong type, a `value` that is not an id, or a `display` that is too long.
pub fn members_of_body(
    body: &Map<String, Value>,
    schema: &ResourceSchema,
) -> Result<Vec<MemberValue>, ScimError> {
    let Some(attribute) = schema.core.attribute("members") else { return Ok(Vec::new()) };
    let mut attributes = body.iter().filter(|(name, _)| name.eq_ignore_ascii_case(&attribute.name));
    let members = attributes.next_back().map_or(&Value::Null, |(_, members)| members);
    parse_members(attribute, members)
}

/// Reads the values of `members`. They are normalised one by one, because a normalised copy of all would take as much
/// memory as the members.
fn parse_members(attribute: &Attribute, members: &Value) -> Result<Vec<MemberValue>, ScimError> {
    let mut seen = HashSet::new();
    let mut values = Vec::new();
    for member in values_of(members) {
        let Some(member) = normalise_value(attribute, member, "members")? else { continue };
        let text = |name: &str| member.get(name).and_then(Value::as_str);
        let value = text("value").unwrap_or_default();
        let unknown =
            || ScimError::invalid_value(format!("members: there is no user or group with the id {value:?}"));
        let id = ResourceId::parse(value).ok_or_else(unknown)?;
        let is_kind =
            |kind: &ResourceKind| text("type").is_some_and(|word| word.eq_ignore_ascii_case(kind.name()));
        let kind = [ResourceKind::User, ResourceKind::Group].into_iter().find(is_kind);
        let display = text("display").map(str::to_owned);
        if let Some(length) = display.as_ref().map(String::len).filter(|length| *length > MAX_DISPLAY_BYTES) {
            let detail =
                format!("members: the display of {id} is {length} bytes; the maximum is {MAX_DISPLAY_BYTES}");
            return Err(ScimError::invalid_value(detail));
        }
        if seen.insert(id) {
            values.push(MemberValue { id, kind, display });
        }
    }
    Ok(values)
}

/// Reads an operation on `members`.
pub(super) fn read(
    op: Op,
    location: TargetLocation<'_>,
    value: &Value,
    operations: &mut Vec<MemberOperation>,
) -> Result<(), ScimError> {
    let (target, filter) = match location {
        TargetLocation::Attribute(target) => (target, None),
        TargetLocation::Elements { target, filter } => (target, Some(filter.filter)),
        TargetLocation::Extension(_) => return Ok(()),
    };
    if target.sub_attribute.is_some() {
        // RFC 7643 §4.2: the sub-attributes of members are immutable.
        let detail =
            "The sub-attributes of a member are immutable; remove the member and add it with other values";
        return Err(ScimError::new(ErrorKind::Mutability, detail));
    }
    let named = || parse_members(target.attribute, value);
    match (op, filter) {
        (Op::Add, None) => operations.push(MemberOperation::Add(named()?)),
        (Op::Replace, None) => operations.push(MemberOperation::Replace(named()?)),
        (Op::Remove, None) if value.is_null() => operations.push(MemberOperation::RemoveAll),
        (Op::Remove, None) => operations.push(MemberOperation::Remove(accepts_removal_by_a_list(value))),
        (Op::Remove, Some(filter)) => operations.push(removal(filter)),
        (Op::Replace, Some(filter)) => match removal(filter) {
            // If the filter names members by id, they need not be members: the filter describes a new member,
            // as `emails[type eq "work"]` describes a new email address.
            MemberOperation::RemoveMatching(filter) => {
                operations.push(MemberOperation::ReplaceMatching(filter, named()?));
            }
            removal => operations.extend([removal, MemberOperation::Add(named()?)]),
        },
        (Op::Add, Some(_)) => {
            let detail = "The path has a filter; to add members, use the path members";
            return Err(ScimError::new(ErrorKind::InvalidPath, detail));
        }
    }
    Ok(())
}

/// Entra ID sends the members to remove in `value`. Members that are not in the list stay. A value that is
/// not an id cannot be a member, so it is ignored.
fn accepts_removal_by_a_list(value: &Value) -> Vec<ResourceId> {
    let elements = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let id = |element: &Value| element.get("value").unwrap_or(element).as_str().and_then(ResourceId::parse);
    elements.iter().filter_map(id).collect()
}

/// Makes the operation that removes the members which match a filter.
fn removal(filter: ResolvedFilter) -> MemberOperation {
    let mut ids = Vec::new();
    if collect_ids(&filter.root, &mut ids) {
        MemberOperation::Remove(ids)
    } else {
        MemberOperation::RemoveMatching(filter)
    }
}

/// Collects the ids that a filter names. Returns `false` unless the filter is `value eq "…"` or
/// `$ref eq "…"`, or several of these joined by `or`.
fn collect_ids(node: &Node, ids: &mut Vec<ResourceId>) -> bool {
    match node {
        Node::Compare(field, Operator::Equal, Operand::Text(id)) if field.attribute == "value" => {
            ids.extend(ResourceId::parse(id));
            true
        }
        // The last segment of a reference is the id.
        Node::Compare(field, Operator::Equal, Operand::Text(url)) if field.attribute == "$ref" => {
            ids.extend(url.rsplit('/').next().and_then(ResourceId::parse));
            true
        }
        Node::Or(nodes) => nodes.iter().all(|node| collect_ids(node, ids)),
        _ => false,
    }
}
