//! Reads a value of a document at a path. The syntax is that of PATCH paths.

use serde_json::Value;

use super::TargetLocation;
use super::path::{self, invalid};
use crate::error::ScimError;
use crate::resource::Document;
use crate::schema::{ResourceSchema, Returned, Type};

/// Attributes that responses have and stored documents do not.
const DERIVED: [&str; 4] = ["id", "meta", "groups", "members"];

/// The path of a text attribute in a stored document.
#[derive(Debug)]
pub struct ValuePath<'s>(TargetLocation<'s>);

impl<'s> ValuePath<'s> {
    /// Parses a path.
    ///
    /// # Errors
    /// `invalidPath` if the path is malformed, or does not name a text attribute that documents hold.
    pub fn parse(text: &str, schema: &'s ResourceSchema) -> Result<Self, ScimError> {
        let of = schema.kind.name();
        let location = path::parse(text, schema)?
            .ok_or_else(|| invalid(format!("{text:?} does not name an attribute of a {of}")))?;
        // A document holds the attributes that the client sent. Derived attributes are only in responses.
        let attribute =
            location.target().filter(|target| target.extension.is_none()).map(|target| target.attribute);
        if attribute.is_some_and(|attribute| DERIVED.contains(&attribute.name.as_str())) {
            return Err(invalid(format!(
                "{text:?} is generated for each response; name an attribute that is stored"
            )));
        }
        if location.target().is_some_and(|target| target.attribute.returned == Returned::Never) {
            return Err(invalid(format!("{text:?} is never returned; name another attribute")));
        }
        match location.leaf() {
            Some(leaf) if matches!(leaf.kind, Type::String | Type::Reference) => Ok(Self(location)),
            _ => Err(invalid(format!("{text:?} is not text; name a text attribute, such as emails.value"))),
        }
    }

    /// The path without a filter, as indexes are named: `emails.value`. `None` for an attribute of an extension.
    pub fn attribute_path(&self) -> Option<String> {
        let target = self.0.target().filter(|target| target.extension.is_none())?;
        let name = &target.attribute.name;
        Some(match target.sub_attribute {
            Some(sub_attribute) => format!("{name}.{}", sub_attribute.name),
            None => name.clone(),
        })
    }

    /// Finds the value in a document. Returns the first of several values.
    pub fn find<'d>(&self, document: &'d Document) -> Option<&'d str> {
        let target = self.0.target()?;
        let value = target.find(document)?;
        let elements = match value {
            Value::Array(elements) => elements.as_slice(),
            single => std::slice::from_ref(single),
        };
        let is_selected = |element: &&Value| match &self.0 {
            TargetLocation::Elements { filter, .. } => {
                element.as_object().is_some_and(|element| filter.filter.matches(element))
            }
            _ => true,
        };
        elements.iter().filter(is_selected).find_map(|element| match target.sub_attribute {
            Some(sub_attribute) => element.get(&sub_attribute.name)?.as_str(),
            None => element.as_str(),
        })
    }
}
