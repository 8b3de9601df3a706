//! The path of a PATCH operation as a way to read: the value that it leads to.

use serde_json::Value;

use super::Place;
use super::path::{self, invalid};
use crate::error::ScimError;
use crate::resource::Document;
use crate::schema::{ResourceSchema, Returned, Type};

/// Attributes that no document holds.
const DERIVED: [&str; 4] = ["id", "meta", "groups", "members"];

/// A path that leads to text.
#[derive(Debug)]
pub struct ValuePath<'s>(Place<'s>);

impl<'s> ValuePath<'s> {
    /// Reads a path.
    ///
    /// # Errors
    /// `invalidPath` when it is malformed, names no attribute, one that is not text, or one that no document holds.
    pub fn parse(text: &str, schema: &'s ResourceSchema) -> Result<Self, ScimError> {
        let of = schema.kind.name();
        let place = path::parse(text, schema)?
            .ok_or_else(|| invalid(format!("{text:?} names no attribute of a {of}")))?;
        // A document has what the client said; these are made for each answer, or never given.
        let attribute =
            place.target().filter(|target| target.extension.is_none()).map(|target| target.attribute);
        if attribute.is_some_and(|attribute| DERIVED.contains(&attribute.name.as_str())) {
            return Err(invalid(format!(
                "{text:?} is made for each answer, and nothing can be taken from it"
            )));
        }
        if place.target().is_some_and(|target| target.attribute.returned == Returned::Never) {
            return Err(invalid(format!("{text:?} is never given away")));
        }
        match place.leaf() {
            Some(leaf) if matches!(leaf.kind, Type::String | Type::Reference) => Ok(Self(place)),
            _ => Err(invalid(format!("{text:?} is not text; name an attribute that is, as emails.value"))),
        }
    }

    /// The value in this document; the first where there are several.
    pub fn find<'d>(&self, document: &'d Document) -> Option<&'d str> {
        let target = self.0.target()?;
        let value = target.find(document)?;
        let elements = match value {
            Value::Array(elements) => elements.as_slice(),
            one => std::slice::from_ref(one),
        };
        let is_meant = |element: &&Value| match &self.0 {
            Place::Elements { filter, .. } => {
                element.as_object().is_some_and(|element| filter.filter.matches(element))
            }
            _ => true,
        };
        elements.iter().filter(is_meant).find_map(|element| match target.sub_attribute {
            Some(sub_attribute) => element.get(&sub_attribute.name)?.as_str(),
            None => element.as_str(),
        })
    }
}
