//! Operations on the members of a group, for the store to carry out.

use std::collections::HashSet;

use serde_json::Value;

use super::{Place, Verb};
use crate::error::{ErrorKind, ScimError};
use crate::filter::{Node, Operand, Operator, ResolvedFilter};
use crate::resource::{ResourceId, ResourceKind, normalise_attribute};

/// The longest `display` of a member, in bytes: it is kept with the membership, of which a transaction holds many.
const LONGEST_DISPLAY: usize = 1_024;

/// What is done to the members of a group.
#[derive(Clone, Debug, PartialEq)]
pub enum MemberOperation {
    /// These join, if they are not members.
    Add(Vec<MemberValue>),
    /// These leave, if they are members.
    Remove(Vec<ResourceId>),
    /// All leave.
    RemoveAll,
    /// All leave whom the filter matches.
    RemoveMatching(ResolvedFilter),
    /// These take the place of all whom the filter matches, of one at least.
    ReplaceMatching(ResolvedFilter, Vec<MemberValue>),
    /// These are the members.
    Replace(Vec<MemberValue>),
}

impl MemberOperation {
    /// Whether it comes to the same before and behind such operations of others: who else is a member is nothing to it.
    pub fn commutes(&self) -> bool {
        matches!(self, Self::Add(_) | Self::Remove(_))
    }
}

/// A member as a client names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberValue {
    /// The id of a user or group.
    pub id: ResourceId,
    /// Which of the two the client says it is.
    pub kind: Option<ResourceKind>,
    /// What the client calls it.
    pub display: Option<String>,
}

/// Reads `members` as they were normalised, each once.
///
/// # Errors
/// `invalidValue` for a value that can be nobody's id, and for a `display` that is too long to keep.
pub fn parse_members(members: &Value) -> Result<Vec<MemberValue>, ScimError> {
    let mut seen = HashSet::new();
    let mut values = Vec::new();
    for member in members.as_array().map(Vec::as_slice).unwrap_or_default() {
        let text = |name: &str| member.get(name).and_then(Value::as_str);
        let value = text("value").unwrap_or_default();
        let nobody = || ScimError::invalid_value(format!("members: {value:?} is no user or group here"));
        let id = ResourceId::parse(value).ok_or_else(nobody)?;
        let is_kind =
            |kind: &ResourceKind| text("type").is_some_and(|word| word.eq_ignore_ascii_case(kind.name()));
        let kind = [ResourceKind::User, ResourceKind::Group].into_iter().find(is_kind);
        let display = text("display").map(str::to_owned);
        if let Some(length) = display.as_ref().map(String::len).filter(|length| *length > LONGEST_DISPLAY) {
            let detail =
                format!("members: the display of {id} is {length} bytes, and may be {LONGEST_DISPLAY}");
            return Err(ScimError::invalid_value(detail));
        }
        if seen.insert(id) {
            values.push(MemberValue { id, kind, display });
        }
    }
    Ok(values)
}

/// Reads an operation whose target is `members`.
pub(super) fn read(
    verb: Verb,
    place: Place<'_>,
    value: &Value,
    operations: &mut Vec<MemberOperation>,
) -> Result<(), ScimError> {
    let (target, filter) = match place {
        Place::Attribute(target) => (target, None),
        Place::Elements { target, filter } => (target, Some(filter.filter)),
        Place::Extension(_) => return Ok(()),
    };
    if target.sub_attribute.is_some() {
        // RFC 7643 §4.2: what says who a member is, is immutable.
        let detail = "A member is added or removed as a whole; its sub-attributes are immutable";
        return Err(ScimError::new(ErrorKind::Mutability, detail));
    }
    let named = || -> Result<Vec<MemberValue>, ScimError> {
        let members = normalise_attribute(target.attribute, value, "members")?;
        members.map_or_else(|| Ok(Vec::new()), |members| parse_members(&members))
    };
    match (verb, filter) {
        (Verb::Add, None) => operations.push(MemberOperation::Add(named()?)),
        (Verb::Replace, None) => operations.push(MemberOperation::Replace(named()?)),
        (Verb::Remove, None) if value.is_null() => operations.push(MemberOperation::RemoveAll),
        (Verb::Remove, None) => operations.push(MemberOperation::Remove(accepts_removal_by_a_list(value))),
        (Verb::Remove, Some(filter)) => operations.push(removal(filter)),
        (Verb::Replace, Some(filter)) => match removal(filter) {
            // Who is named by id need not be there: the filter describes a member as `emails[type eq "work"]` does an address.
            MemberOperation::RemoveMatching(filter) => {
                operations.push(MemberOperation::ReplaceMatching(filter, named()?));
            }
            removal => operations.extend([removal, MemberOperation::Add(named()?)]),
        },
        (Verb::Add, Some(_)) => {
            let detail = "Members are added with the path members, without a filter";
            return Err(ScimError::new(ErrorKind::InvalidPath, detail));
        }
    }
    Ok(())
}

/// Entra ID removes members by a list of them as the value. Whoever is not in the list stays; what can be nobody's id
/// is nobody's.
fn accepts_removal_by_a_list(value: &Value) -> Vec<ResourceId> {
    let elements = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let id = |element: &Value| element.get("value").unwrap_or(element).as_str().and_then(ResourceId::parse);
    elements.iter().filter_map(id).collect()
}

fn removal(filter: ResolvedFilter) -> MemberOperation {
    let mut ids = Vec::new();
    if names_values(&filter.root, &mut ids) {
        MemberOperation::Remove(ids)
    } else {
        MemberOperation::RemoveMatching(filter)
    }
}

/// Whether a filter is `value eq "…"` or `$ref eq "…"`, or some of them joined by `or`; then who they are.
fn names_values(node: &Node, ids: &mut Vec<ResourceId>) -> bool {
    match node {
        Node::Compare(field, Operator::Equal, Operand::Text(id)) if field.attribute == "value" => {
            ids.extend(ResourceId::parse(id));
            true
        }
        // A reference ends with the id of whom it refers to.
        Node::Compare(field, Operator::Equal, Operand::Text(url)) if field.attribute == "$ref" => {
            ids.extend(url.rsplit('/').next().and_then(ResourceId::parse));
            true
        }
        Node::Or(nodes) => nodes.iter().all(|node| names_values(node, ids)),
        _ => false,
    }
}
