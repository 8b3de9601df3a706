//! Schemas and resource types, loaded once from the JSON files beside this crate (RFC 7643 §6 and §7).
//!
//! The files under `schemas/` are served at /Schemas as they are, and everything that depends on an
//! attribute's characteristics asks them: validation, PATCH, filters, projection, indexes. A file more
//! there, named by a resource type under `resource_types/`, is an extension, with no other change.

mod attribute;
mod resource_schema;

pub use attribute::{Attribute, Mutability, Returned, Type, Uniqueness};
pub use resource_schema::{Index, Resolved, ResourceSchema, Target};

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::resource::ResourceKind;

include!(concat!(env!("OUT_DIR"), "/schema_files.rs"));

/// A schema: the definition of a set of attributes (RFC 7643 §7).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Schema {
    /// The URN.
    pub id: String,
    /// A name for people.
    pub name: String,
    /// A sentence for people.
    pub description: String,
    /// The attributes, without those common to all resources.
    pub attributes: Vec<Attribute>,
}

/// A resource type: an endpoint and the schemas of what is found there (RFC 7643 §6).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ResourceType {
    /// The name in `meta.resourceType`, and the id at /ResourceTypes.
    pub id: String,
    /// A name for people.
    pub name: String,
    /// A sentence for people.
    pub description: String,
    /// The endpoint below the base URL, with its slash: `/Users`.
    pub endpoint: String,
    /// The URN of the core schema.
    pub schema: String,
    /// The schemas that may stand beside the core schema.
    #[serde(rename = "schemaExtensions")]
    pub schema_extensions: Vec<SchemaExtension>,
    /// The attribute paths that have an index, each value an item of the table. Not served.
    #[serde(default, skip_serializing)]
    pub indexes: Vec<String>,
}

/// A schema extension of a resource type (RFC 7643 §6).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SchemaExtension {
    /// The URN.
    pub schema: String,
    /// Whether every resource has it.
    pub required: bool,
}

/// Every schema and resource type of this service provider.
#[derive(Debug)]
pub struct Schemas {
    /// The schemas, in the order of their files' names.
    pub schemas: Vec<Schema>,
    user: ResourceSchema,
    group: ResourceSchema,
}

/// What a schema file has wrong with it.
#[derive(Debug)]
pub struct SchemaFileError(String);

impl std::fmt::Display for SchemaFileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SchemaFileError {}

impl Schemas {
    /// The schemas that this crate was built with.
    ///
    /// # Panics
    /// When a file was built in that is not a schema: no function can start, and the first test says so.
    pub fn built_in() -> &'static Self {
        #[expect(
            clippy::expect_used,
            reason = "the files are part of the binary; nothing can be served without them"
        )]
        static BUILT_IN: LazyLock<Schemas> = LazyLock::new(|| {
            Schemas::load(SCHEMA_FILES, RESOURCE_TYPE_FILES).expect("built-in schema files")
        });
        &BUILT_IN
    }

    /// Loads schemas and the two resource types, User and Group, from the text of their files.
    ///
    /// # Errors
    /// When a file is not of the form of RFC 7643 §6 or §7, or names what is not there.
    pub fn load(schemas: &[&str], resource_types: &[&str]) -> Result<Self, SchemaFileError> {
        let schemas: Vec<Schema> = schemas.iter().map(|text| parse(text)).collect::<Result<_, _>>()?;
        let resource_types: Vec<ResourceType> =
            resource_types.iter().map(|text| parse(text)).collect::<Result<_, _>>()?;
        let resource_schema = |kind: ResourceKind| {
            let resource_type =
                resource_types
                    .iter()
                    .find(|resource_type| resource_type.id == kind.name())
                    .ok_or_else(|| SchemaFileError(format!("no resource type {}", kind.name())))?;
            ResourceSchema::new(kind, resource_type.clone(), &schemas).map_err(SchemaFileError)
        };
        Ok(Self {
            user: resource_schema(ResourceKind::User)?,
            group: resource_schema(ResourceKind::Group)?,
            schemas,
        })
    }

    /// The schema of the resources of one kind.
    pub fn of(&self, kind: ResourceKind) -> &ResourceSchema {
        match kind {
            ResourceKind::User => &self.user,
            ResourceKind::Group | ResourceKind::LocalGroup | ResourceKind::Role => &self.group,
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, SchemaFileError> {
    serde_json::from_str(text).map_err(|error| {
        SchemaFileError(format!("{error} in {}…", text.chars().take(80).collect::<String>()))
    })
}
