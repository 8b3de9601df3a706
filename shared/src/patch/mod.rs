//! PATCH (RFC 7644 §3.5.2): [`Patch::parse`] reads and resolves the operations, [`Patch::apply`] makes a new document of
//! a document or fails, and has changed nothing then.
//!
//! Operations on the members of a group are kept apart, in order, for the store: it writes them without reading the
//! group's other members.

mod apply;
mod members;
mod parse;
mod path;
#[cfg(test)]
mod tests;
mod value_path;

pub use members::{MemberOperation, MemberValue, parse_members};
pub use parse::{MOST_OPERATIONS, PATCH_SCHEMA};
pub use value_path::ValuePath;

use serde_json::{Map, Value};

use crate::filter::ResolvedFilter;
use crate::schema::{Attribute, Schema, Target};

/// The operations of one request.
#[derive(Debug)]
pub struct Patch<'s> {
    operations: Vec<Operation<'s>>,
    members: Vec<MemberOperation>,
}

impl Patch<'_> {
    /// What it does to the members of a group, in order.
    pub fn member_operations(&self) -> &[MemberOperation] {
        &self.members
    }
}

/// An operation on attributes.
#[derive(Debug)]
struct Operation<'s> {
    /// Its place in the request, from 1, for errors.
    number: usize,
    verb: Verb,
    place: Place<'s>,
    value: Value,
}

/// `op` (RFC 7644 §3.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Add,
    Remove,
    Replace,
}

/// What an operation works on.
#[derive(Debug)]
enum Place<'s> {
    /// A whole extension: it is removed.
    Extension(&'s Schema),
    /// An attribute, or a sub-attribute of it.
    Attribute(Target<'s>),
    /// Elements of a multi-valued attribute, or a sub-attribute of them.
    Elements { target: Target<'s>, filter: ElementFilter },
}

/// A value filter in a path.
#[derive(Debug)]
struct ElementFilter {
    filter: ResolvedFilter,
    /// The element that it describes, when it is made of `eq` and `and` alone.
    described: Option<Map<String, Value>>,
}

impl<'s> Place<'s> {
    fn target(&self) -> Option<&Target<'s>> {
        match self {
            Place::Extension(_) => None,
            Place::Attribute(target) | Place::Elements { target, .. } => Some(target),
        }
    }

    /// The attribute at the end of the path.
    fn leaf(&self) -> Option<&'s Attribute> {
        self.target().map(Target::leaf)
    }
}
