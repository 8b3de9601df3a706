//! PATCH (RFC 7644 §3.5.2): [`Patch::parse`] parses the operations and resolves their paths. [`Patch::apply`]
//! returns a changed copy of a document. If one operation fails, no operation is applied.
//!
//! Operations on the members of a group are kept in a list of their own, in order. The directory applies them
//! without reading the group's other members.

mod add;
mod apply;
mod json_text;
mod members;
mod parse;
mod path;
#[cfg(test)]
mod tests;
mod value_path;
mod values;
mod work;

pub use members::{MemberOperation, MemberValue, members_of_body};
pub use parse::PATCH_SCHEMA;
pub use value_path::ValuePath;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::filter::ResolvedFilter;
use crate::schema::{Attribute, Schema, Target};

/// The operations of one PATCH request.
#[derive(Debug)]
pub struct Patch<'s> {
    operations: Vec<Operation<'s>>,
    members: Vec<MemberOperation>,
    /// The number of attributes that the operations name, and of comparisons in their value filters.
    targets: usize,
    /// The number of JSON values and names in the strings that hold JSON.
    json_values: usize,
    /// The URNs of schemas that the resource type does not have. The operations on them are ignored.
    unknown_schemas: BTreeSet<String>,
    /// The first attributes that the resource type does not have. They are ignored.
    unknown_attributes: Vec<String>,
}

impl Patch<'_> {
    /// Returns the operations on the members of a group, in order.
    pub fn member_operations(&self) -> &[MemberOperation] {
        &self.members
    }

    /// Returns the URNs of the schemas that the resource type does not have. Operations on them were ignored.
    pub fn unknown_schemas(&self) -> impl Iterator<Item = &str> {
        self.unknown_schemas.iter().map(String::as_str)
    }

    /// Returns the attributes that the resource type does not have, up to 20. They were ignored.
    pub fn unknown_attributes(&self) -> impl Iterator<Item = &str> {
        self.unknown_attributes.iter().map(String::as_str)
    }
}

/// An operation on attributes.
#[derive(Debug)]
struct Operation<'s> {
    /// The number of the operation in the request, counted from 1, for errors.
    number: usize,
    op: Op,
    location: TargetLocation<'s>,
    value: Value,
    /// Whether the interoperability profile applies: see [`crate::interop_profile`].
    is_strict: bool,
}

/// The `op` of an operation (RFC 7644 §3.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Add,
    Remove,
    Replace,
}

/// The target location of an operation (RFC 7644 §3.5.2).
#[derive(Debug)]
enum TargetLocation<'s> {
    /// All attributes of an extension. Only `remove` has this target.
    Extension(&'s Schema),
    /// An attribute, or one of its sub-attributes.
    Attribute(Target<'s>),
    /// The elements of a complex attribute that match a filter, or a sub-attribute of these elements. An attribute with one
    /// value has at most one element.
    Elements { target: Target<'s>, filter: ElementFilter },
}

/// A value filter in a path.
#[derive(Debug)]
struct ElementFilter {
    filter: ResolvedFilter,
    /// The element that the filter describes. `None` if the filter has anything other than `eq` and `and`.
    described: Option<Map<String, Value>>,
}

impl<'s> TargetLocation<'s> {
    /// Returns the number of comparisons in the value filter.
    fn comparisons(&self) -> usize {
        match self {
            TargetLocation::Elements { filter, .. } => filter.filter.comparisons(),
            TargetLocation::Extension(_) | TargetLocation::Attribute(_) => 0,
        }
    }

    fn target(&self) -> Option<&Target<'s>> {
        match self {
            TargetLocation::Extension(_) => None,
            TargetLocation::Attribute(target) | TargetLocation::Elements { target, .. } => Some(target),
        }
    }

    /// Returns the attribute or sub-attribute at the end of the path.
    fn leaf(&self) -> Option<&'s Attribute> {
        self.target().map(Target::leaf)
    }
}
