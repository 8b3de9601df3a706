//! The keys of the items in the table, spelled out again as ARCHITECTURE.md documents them. Tests must not take them from
//! the code that they test.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use directory::connectors::ConnectorId;
use shared::resource::{ResourceId, ResourceKind};

/// The partition of all connectors.
pub const CONNECTORS: &str = "connectors";

/// The primary key of one item.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

impl Key {
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
    Key { pk: CONNECTORS.to_owned(), sk: connector.to_string() }
}

/// A user, group or role.
pub fn resource(connector: &ConnectorId, kind: ResourceKind, id: ResourceId) -> Key {
    Key { pk: format!("{connector}#{}", word(kind)), sk: id.to_string() }
}

/// The group's side of a membership.
pub fn group_side(connector: &ConnectorId, group: ResourceId, member: ResourceId) -> Key {
    Key { pk: format!("{connector}#group/{group}"), sk: member.to_string() }
}

/// The member's side of a membership.
pub fn member_side(
    connector: &ConnectorId,
    kind: ResourceKind,
    member: ResourceId,
    group: ResourceId,
) -> Key {
    Key { pk: format!("{connector}#{}", word(kind)), sk: format!("{member}/{group}") }
}

/// The partition of an index.
pub fn index(connector: &ConnectorId, kind: ResourceKind, name: &str) -> String {
    format!("{connector}#{}.{name}", word(kind))
}

/// The sort key of an entry in an index that is not unique, for a value of at most 512 bytes.
pub fn index_entry(folded_value: &str, id: ResourceId) -> String {
    format!("{folded_value}\0{id}")
}

/// The count of the resources whose ids begin with this byte.
pub fn count(connector: &ConnectorId, kind: ResourceKind, bucket: u8) -> Key {
    Key { pk: format!("{connector}#count"), sk: format!("{}/{bucket:02x}", word(kind)) }
}
