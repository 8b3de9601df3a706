//! Schemas and resource types, which are loaded from JSON files in this crate (RFC 7643 §6 and §7).
//!
//! The files in `schemas/` are served at /Schemas. Validation, PATCH, filters, projection and indexes all use
//! the characteristics of attributes in them. To add an extension, add its schema file, and its URN to a
//! resource type in `resource_types/`. No code changes. An operator can also add an extension to one connector: see
//! [`CustomSchema`].

mod attribute;
mod custom;
mod resource_schema;

pub use attribute::{Attribute, Mutability, Returned, Type, Uniqueness};
pub use custom::{CustomSchema, ExtendedType};
pub use resource_schema::{Index, Resolved, ResourceSchema, Target};

use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use crate::resource::ResourceKind;

include!(concat!(env!("OUT_DIR"), "/schema_files.rs"));

/// A schema: the definition of a set of attributes (RFC 7643 §7).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Schema {
    /// The URN.
    pub id: String,
    /// A name for people.
    pub name: String,
    /// A description for people.
    pub description: String,
    /// The attributes. In a file, they do not include the attributes that all resources have.
    pub attributes: Vec<Attribute>,
}

/// A resource type: an endpoint and the schemas of its resources (RFC 7643 §6).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ResourceType {
    /// The name in `meta.resourceType`, and the id at /ResourceTypes.
    pub id: String,
    /// A name for people.
    pub name: String,
    /// A description for people.
    pub description: String,
    /// The endpoint relative to the base URL, with a slash: `/Users`.
    pub endpoint: String,
    /// The URN of the core schema.
    pub schema: String,
    /// The extensions that resources can have.
    #[serde(rename = "schemaExtensions")]
    pub schema_extensions: Vec<SchemaExtension>,
    /// The paths of the indexed attributes. The table has an item for each value of such an attribute. They
    /// are not served at /ResourceTypes.
    #[serde(default, skip_serializing)]
    pub indexes: Vec<String>,
}

/// A schema extension of a resource type (RFC 7643 §6).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SchemaExtension {
    /// The URN.
    pub schema: String,
    /// Whether every resource must have the extension.
    pub required: bool,
}

/// All schemas and resource types of this service provider, or of one connector.
#[derive(Clone, Debug)]
pub struct Schemas {
    /// The schemas, in the order of their file names.
    pub schemas: Vec<Schema>,
    user: ResourceSchema,
    group: ResourceSchema,
}

/// The reason why a schema file or resource type file is invalid.
#[derive(Debug)]
pub struct SchemaFileError(String);

impl std::fmt::Display for SchemaFileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SchemaFileError {}

impl Schemas {
    /// Returns the schemas that are built into this crate.
    ///
    /// # Panics
    /// If a built-in file is invalid. Then no function can start, and every test that uses schemas fails.
    pub fn built_in() -> &'static Arc<Self> {
        #[expect(
            clippy::expect_used,
            reason = "the files are part of the binary, and the service cannot run without them"
        )]
        static BUILT_IN: LazyLock<Arc<Schemas>> = LazyLock::new(|| {
            Arc::new(Schemas::load(SCHEMA_FILES, RESOURCE_TYPE_FILES).expect("built-in schema files"))
        });
        &BUILT_IN
    }

    /// Loads schemas and the resource types User and Group from the text of their files.
    ///
    /// # Errors
    /// Fails if a file does not have the form of RFC 7643 §6 or §7, or names a schema or attribute that does
    /// not exist.
    pub fn load(schemas: &[&str], resource_types: &[&str]) -> Result<Self, SchemaFileError> {
        let schemas: Vec<Schema> = schemas.iter().map(|text| parse(text)).collect::<Result<_, _>>()?;
        let resource_types: Vec<ResourceType> =
            resource_types.iter().map(|text| parse(text)).collect::<Result<_, _>>()?;
        let resource_schema = |kind: ResourceKind| {
            let resource_type =
                resource_types.iter().find(|resource_type| resource_type.id == kind.name()).ok_or_else(
                    || SchemaFileError(format!("no file defines the resource type {}", kind.name())),
                )?;
            ResourceSchema::new(kind, resource_type.clone(), &schemas).map_err(SchemaFileError)
        };
        Ok(Self {
            user: resource_schema(ResourceKind::User)?,
            group: resource_schema(ResourceKind::Group)?,
            schemas,
        })
    }

    /// Returns these schemas for a strict connector.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.user.is_strict = true;
        self.group.is_strict = true;
        self
    }

    /// Whether requests must follow the interoperability profile: see [`crate::interop_profile`].
    pub fn is_strict(&self) -> bool {
        self.user.is_strict
    }

    /// Returns the schema of one kind of resource.
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
