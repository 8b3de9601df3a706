//! Index entries. Each value of an indexed attribute is one item, written in the transaction that writes the resource.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::connectors::ConnectorId;
use crate::dynamodb::attributes::{Item, text};
use crate::dynamodb::keys::{self, Key};
use shared::error::ScimError;
use shared::filter::fold;
use shared::resource::{Document, ResourceId, ResourceKind, is_active};
use shared::schema::{Index, ResourceSchema};

/// The most index entries of one resource. A transaction holds 100 items, and an update can delete as many entries as it
/// adds. The rest is for the resource, its count, the checks of names and the audit record.
const MAX_ENTRIES: usize = 46;

/// The name of the index of inactive users.
pub const ACTIVE: &str = "active";
/// The only value in that index.
pub const INACTIVE: &str = "false";

/// One value of one indexed attribute of one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The index.
    pub index: String,
    /// The value, folded.
    pub value: String,
    /// Whether no other resource can have it.
    pub is_unique: bool,
}

impl Entry {
    /// The key of this entry of this resource.
    pub fn key(&self, connector: &ConnectorId, kind: ResourceKind, id: ResourceId) -> Key {
        let sk =
            if self.is_unique { keys::index_value(&self.value) } else { keys::index_entry(&self.value, id) };
        Key { pk: keys::index(connector, kind, &self.index), sk }
    }

    /// The item of this entry.
    pub fn item(&self, connector: &ConnectorId, kind: ResourceKind, id: ResourceId) -> Item {
        let mut item = self.key(connector, kind, id).attributes();
        item.insert("id".into(), text(id.to_string()));
        item
    }
}

/// Checks that a document that is written does not have too many index entries.
///
/// # Errors
/// `invalidValue` when there are too many for one transaction.
pub fn check_limit(entries: &BTreeSet<Entry>, schema: &ResourceSchema) -> Result<(), ScimError> {
    // A user that has as many values as it can have must still be deactivated, so that entry does not count.
    let count = entries.iter().filter(|entry| entry.index != ACTIVE).count();
    if count <= MAX_ENTRIES {
        return Ok(());
    }
    Err(ScimError::invalid_value(format!(
        "The {} has {count} values in indexed attributes ({}); the maximum is {MAX_ENTRIES}",
        schema.kind.name(),
        schema.indexes.iter().map(|index| index.name.as_str()).collect::<Vec<_>>().join(", "),
    )))
}

/// Returns the index entries of a resource with this document.
pub fn entries(document: &Document, schema: &ResourceSchema) -> BTreeSet<Entry> {
    let mut entries = BTreeSet::new();
    for index in &schema.indexes {
        for value in values(document, index) {
            let value = fold(value, index.case_exact).into_owned();
            if !value.is_empty() {
                entries.insert(Entry { index: index.name.clone(), value, is_unique: index.unique });
            }
        }
    }
    if schema.kind == ResourceKind::User && !is_active(document) {
        entries.insert(Entry { index: ACTIVE.to_owned(), value: INACTIVE.to_owned(), is_unique: false });
    }
    entries
}

fn values<'d>(document: &'d Document, index: &Index) -> Vec<&'d str> {
    let attributes = match &index.extension {
        Some(urn) => document.get(urn).and_then(Value::as_object),
        None => Some(document),
    };
    let elements = match attributes.and_then(|attributes| attributes.get(&index.attribute)) {
        Some(Value::Array(elements)) => elements.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let leaf = |element: &'d Value| match &index.sub_attribute {
        Some(name) => element.get(name)?.as_str(),
        None => element.as_str(),
    };
    elements.iter().filter_map(leaf).collect()
}
