//! Custom schemas: extensions that an operator adds to the users or groups of one connector, without a new version of the
//! program.
//!
//! The file has the form of RFC 7643 §7, and two more members: `resourceType` (`User` or `Group`) and `indexes`, the paths of the
//! attributes that filters find by an index:
//!
//! ```json
//! {
//!   "id": "urn:example:schemas:2.0:Badge",
//!   "name": "Badge",
//!   "resourceType": "User",
//!   "indexes": ["doors.value"],
//!   "attributes": [
//!     { "name": "number", "type": "string", "uniqueness": "server" },
//!     { "name": "doors", "type": "complex", "multiValued": true, "subAttributes": [{ "name": "value", "type": "string" }] }
//!   ]
//! }
//! ```
//!
//! An attribute whose values are unique has an index, also if `indexes` does not name it. The table stores the same form.

mod characteristics;
mod check;
mod indexes;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Attribute, Index, ResourceSchema, Schema, SchemaExtension, Schemas, Uniqueness};
use crate::error::ScimError;
use crate::resource::{ResourceKind, normalise_attribute};

/// An extension that an operator adds to the users or groups of a connector.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomSchema {
    /// The schema, without the members that only its file has.
    #[serde(flatten)]
    pub schema: Schema,
    /// The resources that can have the extension.
    pub resource_type: ExtendedType,
    /// The paths of the indexed attributes, without the URN. They are spelled as in `attributes`.
    pub indexes: Vec<String>,
}

/// A resource type that a custom schema can extend.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum ExtendedType {
    /// Users.
    User,
    /// Groups.
    Group,
}

impl ExtendedType {
    /// Returns the kind of the resources that the client sends.
    pub fn kind(self) -> ResourceKind {
        match self {
            Self::User => ResourceKind::User,
            Self::Group => ResourceKind::Group,
        }
    }
}

impl CustomSchema {
    /// Parses the file of a custom schema.
    ///
    /// # Errors
    /// All mistakes of the file. Each says what is wrong, where, and what is right.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        check::parse(text)
    }

    /// Returns the URN in lower case, which identifies the schema: the comparison of URNs ignores upper and lower case.
    pub fn key(&self) -> String {
        self.schema.id.to_ascii_lowercase()
    }

    /// Returns the names of the indexes, as keys of the table have them.
    pub fn index_names(&self) -> impl Iterator<Item = String> {
        self.indexes.iter().map(|path| format!("{}:{path}", self.schema.id))
    }

    /// Returns the indexes.
    pub fn index_definitions(&self) -> Vec<Index> {
        let definition = |(name, path): (String, &String)| {
            let (attribute, sub_attribute) = match path.split_once('.') {
                Some((attribute, sub_attribute)) => (attribute, Some(sub_attribute)),
                None => (path.as_str(), None),
            };
            let attribute = self.schema.attribute(attribute)?;
            let leaf = sub_attribute.map_or(Some(attribute), |name| attribute.sub_attribute(name))?;
            Some(Index {
                name,
                extension: Some(self.schema.id.clone()),
                attribute: attribute.name.clone(),
                sub_attribute: sub_attribute.map(str::to_owned),
                case_exact: leaf.case_exact,
                unique: is_unique(leaf),
                required: false,
            })
        };
        // The check of the file made sure that each path names an attribute.
        self.index_names().zip(&self.indexes).filter_map(definition).collect()
    }

    /// Returns the number of attributes and sub-attributes.
    pub fn attribute_count(&self) -> usize {
        self.schema.attributes.iter().map(|attribute| 1 + attribute.sub_attributes.len()).sum()
    }

    /// Checks that a connector with these schemas can have this one too.
    ///
    /// # Errors
    /// `invalidValue` if one of the schemas has the same URN, or one that makes attribute paths ambiguous.
    pub fn check_beside(&self, schemas: &Schemas) -> Result<(), ScimError> {
        let id = self.key();
        for other in &schemas.schemas {
            let other_id = other.id.to_ascii_lowercase();
            if id == other_id {
                return Err(ScimError::invalid_value(format!("there is a schema {} already", other.id)));
            }
            // `urn:a:b` with an attribute `c`, and a schema `urn:a:b:c`, would have the same path.
            let is_below =
                |one: &str, other: &str| one.strip_prefix(other).is_some_and(|rest| rest.starts_with(':'));
            if is_below(&id, &other_id) || is_below(&other_id, &id) {
                return Err(ScimError::invalid_value(format!(
                    "the URNs {} and {} begin alike up to a colon, so attribute paths would be ambiguous; choose another URN",
                    self.schema.id, other.id
                )));
            }
        }
        Ok(())
    }

    /// Checks that values which a resource has already fit this schema. They were stored with an earlier schema of the same
    /// URN. Attributes that this schema lacks stay hidden, so they fit.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check_stored(&self, name: &str, values: &Value) -> Result<(), String> {
        if name != self.schema.id {
            return Err(format!("they are stored as {name}; spell the URN like this"));
        }
        let Value::Object(values) = values else { return Err("they are not an object".to_owned()) };
        for (name, value) in values {
            let Some(attribute) = self.schema.attribute(name) else { continue };
            if attribute.name != *name {
                return Err(format!("{name} is spelled {} in the file", attribute.name));
            }
            match normalise_attribute(attribute, value, name) {
                Ok(Some(normalised)) if normalised == *value => {}
                Ok(_) => return Err(format!("the value of {name} has another form in the file")),
                Err(error) => return Err(error.detail.into_owned()),
            }
        }
        Ok(())
    }
}

impl Schemas {
    /// Returns these schemas with the custom schemas of a connector. A custom schema with the URN of a present one is left out:
    /// it was added before this version had a schema with this URN.
    #[must_use]
    pub fn with_custom<'c>(&self, custom: impl IntoIterator<Item = &'c CustomSchema>) -> Self {
        let mut schemas = self.clone();
        for custom in custom {
            if schemas.schemas.iter().any(|schema| schema.id.eq_ignore_ascii_case(&custom.schema.id)) {
                continue;
            }
            schemas.schemas.push(custom.schema.clone());
            schemas.extended(custom.resource_type).extend(custom);
        }
        schemas
    }
}

impl Schemas {
    /// Returns these schemas with more indexes, whose attributes they lack. They are enough to write the index entries of documents
    /// that have the attributes.
    #[must_use]
    pub fn with_indexes<'i>(
        mut self,
        indexes: impl IntoIterator<Item = (ExtendedType, &'i [Index])>,
    ) -> Self {
        for (resource_type, indexes) in indexes {
            self.extended(resource_type).indexes.extend_from_slice(indexes);
        }
        self
    }

    fn extended(&mut self, resource_type: ExtendedType) -> &mut ResourceSchema {
        match resource_type {
            ExtendedType::User => &mut self.user,
            ExtendedType::Group => &mut self.group,
        }
    }
}

impl ResourceSchema {
    fn extend(&mut self, custom: &CustomSchema) {
        let schema = custom.schema.id.clone();
        self.resource_type.schema_extensions.push(SchemaExtension { schema, required: false });
        self.extensions.push(custom.schema.clone());
        self.indexes.extend(custom.index_definitions());
    }
}

/// Whether the values of an attribute of a custom schema are unique, so that it needs an index.
fn is_unique(attribute: &Attribute) -> bool {
    attribute.uniqueness != Uniqueness::None
}
