//! The document of a group or role.

use serde_json::{Map, json};
use shared::error::ScimError;
use shared::resource::{Document, Resource, ResourceKind, normalise};
use shared::schema::Schemas;

const GROUP_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// Makes the document of a group or role that has only a name.
pub fn new_document(kind: ResourceKind, name: &str) -> Result<Document, ScimError> {
    with_name(kind, &Map::from_iter([("schemas".to_owned(), json!([GROUP_SCHEMA]))]), name)
}

/// Returns the document of a group or role with this name, and all other attributes unchanged.
pub fn with_name(kind: ResourceKind, present: &Document, name: &str) -> Result<Document, ScimError> {
    let mut document = present.clone();
    document.insert("displayName".to_owned(), json!(name));
    normalise(&document, Schemas::built_in().of(kind))
}

/// The stored name of a group or role, before the connector's mapping.
pub fn display_name(group: &Resource) -> &str {
    group.document.get("displayName").and_then(|name| name.as_str()).unwrap_or_default()
}
