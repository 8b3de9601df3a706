//! The keys of the items in the table, as ARCHITECTURE.md documents them. They are defined here again because
//! tests must not take them from the code that they test.

use std::collections::HashMap;
use std::fmt::Write as _;

use aws_sdk_dynamodb::types::AttributeValue;
use directory::connectors::ConnectorId;
use sha2::{Digest as _, Sha256};
use shared::resource::{ResourceId, ResourceKind};
use unicode_normalization::UnicodeNormalization as _;

/// The partition of the records of all connectors.
pub const CONNECTORS: &str = "connectors";

/// The most bytes of a folded value in a sort key. A longer value is cut, and a hash follows it.
const LONGEST_INDEXED_VALUE: usize = 512;

/// The primary key of one item.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

impl Key {
    /// The key of this partition key and this sort key.
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    /// The key as the attributes of an item.
    pub fn attributes(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.pk.clone())),
            ("sk".to_owned(), AttributeValue::S(self.sk.clone())),
        ])
    }
}

fn word(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::User => "user",
        ResourceKind::Group => "group",
        ResourceKind::LocalGroup => "local",
        ResourceKind::Role => "role",
    }
}

/// The record of a connector.
pub fn connector(connector: &ConnectorId) -> Key {
    Key::new(CONNECTORS, connector.to_string())
}

/// A credential of a connector for the SCIM API.
pub fn credential(connector: &ConnectorId, id: &str) -> Key {
    Key::new(format!("{connector}#connector"), format!("credential/{id}"))
}

/// A user, group or role.
pub fn resource(connector: &ConnectorId, kind: ResourceKind, id: ResourceId) -> Key {
    Key::new(format!("{connector}#{}", word(kind)), id.to_string())
}

/// The group's side of a membership.
pub fn group_side(connector: &ConnectorId, group: ResourceId, member: ResourceId) -> Key {
    Key::new(format!("{connector}#group/{group}"), member.to_string())
}

/// The member's side of a membership.
pub fn member_side(
    connector: &ConnectorId,
    kind: ResourceKind,
    member: ResourceId,
    group: ResourceId,
) -> Key {
    Key::new(format!("{connector}#{}", word(kind)), format!("{member}/{group}"))
}

/// The partition of an index.
pub fn index(connector: &ConnectorId, kind: ResourceKind, name: &str) -> String {
    format!("{connector}#{}.{name}", word(kind))
}

/// The index item of a unique attribute.
pub fn unique_index_item(connector: &ConnectorId, kind: ResourceKind, name: &str, value: &str) -> Key {
    Key::new(index(connector, kind, name), indexed_value(value.trim(), false))
}

/// The index item of an attribute that is not unique.
pub fn index_item(
    connector: &ConnectorId,
    kind: ResourceKind,
    name: &str,
    indexed_value: &str,
    id: ResourceId,
) -> Key {
    Key::new(index(connector, kind, name), format!("{indexed_value}\0{id}"))
}

/// A value as a sort key has it: in normal form C, in lower case unless case matters, and cut if it is long.
pub fn indexed_value(value: &str, is_case_exact: bool) -> String {
    let composed: String = value.nfc().collect();
    let folded: String =
        if is_case_exact { composed } else { composed.chars().flat_map(char::to_lowercase).nfc().collect() };
    if folded.len() <= LONGEST_INDEXED_VALUE {
        return folded;
    }
    let end = (0..=LONGEST_INDEXED_VALUE).rev().find(|end| folded.is_char_boundary(*end)).unwrap_or_default();
    let mut cut = format!("{}\u{1}", &folded[..end]);
    for byte in Sha256::digest(&folded).iter().take(16) {
        let _ = write!(cut, "{byte:02x}");
    }
    cut
}

/// The count of the resources whose ids begin with this byte.
pub fn count(connector: &ConnectorId, kind: ResourceKind, bucket: u8) -> Key {
    Key::new(format!("{connector}#count"), format!("{}/{bucket:02x}", word(kind)))
}
