//! Which partition and which item take most of a request's load, and how many such requests a second DynamoDB
//! allows.
//!
//! A partition of DynamoDB serves at most 1,000 write units and 3,000 read units a second ("Best practices
//! for designing and using partition keys" in the developer guide). The items of one partition key start on
//! one partition. When they get more load, DynamoDB splits them between sort keys after some minutes; it
//! cannot split one item. So the ceiling for a partition key is that before a split, and the ceiling for an
//! item stays.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::call::{Call, key_of};
use crate::limits::size_of_item;

/// The most write units a second of a partition.
pub const WRITE_UNITS_A_SECOND: f64 = 1_000.0;
/// The most read units a second of a partition.
pub const READ_UNITS_A_SECOND: f64 = 3_000.0;

const READ_UNIT_BYTES: usize = 4_096;
const WRITE_UNIT_BYTES: usize = 1_024;
/// The shards of the audit records of a month, and the buckets of the counts. Random ids spread over them.
const AUDIT_SHARDS: f64 = 16.0;
const COUNT_BUCKETS: f64 = 256.0;

/// Capacity units of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Units {
    /// Units read.
    pub read: f64,
    /// Units written.
    pub write: f64,
}

impl Units {
    fn add(&mut self, units: f64, is_write: bool) {
        *(if is_write { &mut self.write } else { &mut self.read }) += units;
    }

    /// The requests a second that a partition serves.
    fn requests_a_second(self) -> f64 {
        (WRITE_UNITS_A_SECOND / self.write).min(READ_UNITS_A_SECOND / self.read)
    }
}

/// A partition or an item with its share of a request's load.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// The key, with placeholders: `c` is the connector, `{id}` an id, `x` a shard of the audit records.
    pub pattern: String,
    /// The units.
    pub units: Units,
    /// The most requests a second for one connector.
    pub requests_a_second: f64,
}

/// The load of one request, by partition and by item.
#[derive(Clone, Debug, Default)]
pub struct Heat {
    partitions: BTreeMap<String, Units>,
    items: BTreeMap<(String, String), Units>,
}

impl Heat {
    /// Adds a request to DynamoDB that used these units. DynamoDB reports their sum. It is shared out by the
    /// sizes of the items, as far as the request and the answer show them.
    pub fn add(&mut self, call: &Call, answer: &Value, units: f64) {
        let is_write = call.is_write();
        if call.operation == "Query" {
            for pk in call.partitions() {
                self.partitions.entry(pk).or_default().add(units, is_write);
            }
            return;
        }
        let weights = weights(call, answer);
        let sum: f64 = weights.values().sum();
        for ((pk, sk), weight) in weights {
            self.partitions.entry(pk.clone()).or_default().add(units * weight / sum, is_write);
            self.items.entry((pk, sk)).or_default().add(units * weight / sum, is_write);
        }
    }

    /// The units of each partition key.
    pub fn partitions(&self) -> &BTreeMap<String, Units> {
        &self.partitions
    }

    /// The partition with the lowest ceiling.
    pub fn hottest_partition(&self, connector: &str) -> Option<Share> {
        let shares = self.partitions.iter().map(|(pk, units)| {
            let pattern = pattern(pk, connector);
            let partitions = if pattern.starts_with("c#audit/") { AUDIT_SHARDS } else { 1.0 };
            Share { pattern, units: *units, requests_a_second: units.requests_a_second() * partitions }
        });
        hottest(shares)
    }

    /// The item with the lowest ceiling among those that requests for different users share: a group, a count
    /// or the guard of nesting. `None` if the request uses no such item.
    pub fn hottest_item(&self, connector: &str) -> Option<Share> {
        let shares = self.items.iter().filter_map(|((pk, sk), units)| {
            let (pk, sk) = (pattern(pk, connector), pattern(sk, connector));
            let items = match (pk.as_str(), sk.as_str()) {
                ("c#count", "nesting") | ("c#group" | "c#local" | "c#role", "{id}") => 1.0,
                ("c#count", _) => COUNT_BUCKETS,
                _ => return None,
            };
            let sk = if items == COUNT_BUCKETS { format!("{}bucket", sk.get(..sk.len() - 2)?) } else { sk };
            let requests_a_second = units.requests_a_second() * items;
            Some(Share { pattern: format!("{pk} {sk}"), units: *units, requests_a_second })
        });
        hottest(shares)
    }
}

fn hottest(shares: impl Iterator<Item = Share>) -> Option<Share> {
    shares.min_by(|one, other| one.requests_a_second.total_cmp(&other.requests_a_second))
}

/// The units of each item of a request, as far as its size is known. Of an item that is updated, deleted or
/// checked, only the new values are known.
fn weights(call: &Call, answer: &Value) -> BTreeMap<(String, String), f64> {
    let mut bytes: BTreeMap<(String, String), usize> = BTreeMap::new();
    for key in call.keys() {
        bytes.insert((key.pk, key.sk), 0);
    }
    let mut add = |item: &Value| {
        if let Some(key) = key_of(item) {
            *bytes.entry((key.pk, key.sk)).or_default() += size_of_item(item);
        }
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for (_, action) in call.actions() {
        add(&action["Item"]);
        if let (Some(key), Some(values)) =
            (action["Key"].as_object(), action["ExpressionAttributeValues"].as_object())
        {
            add(&key.clone().into_iter().chain(values.clone()).collect::<serde_json::Map<_, _>>().into());
        }
    }
    match call.operation.as_str() {
        "TransactGetItems" => list(&answer["Responses"]).iter().for_each(|response| add(&response["Item"])),
        "BatchGetItem" => {
            let tables = answer["Responses"].as_object().into_iter().flat_map(|tables| tables.values());
            tables.flat_map(list).for_each(|item| add(&item));
        }
        _ => {}
    }
    let unit = if call.is_write() { WRITE_UNIT_BYTES } else { READ_UNIT_BYTES };
    bytes.into_iter().map(|(key, bytes)| (key, bytes.div_ceil(unit).max(1) as f64)).collect()
}

/// A key with placeholders for what differs between connectors, resources and months.
pub fn pattern(key: &str, connector: &str) -> String {
    let key = match key.strip_prefix(connector) {
        Some(rest) => format!("c{rest}"),
        None => key.replace(&format!("/{connector}"), "/c"),
    };
    if let Some(audit) = key.strip_prefix("c#audit/") {
        return if audit.len() == "2026-11/x".len() { "c#audit/YYYY-MM/x".to_owned() } else { key };
    }
    let parts = key.split('/').map(|part| if is_id(part) { "{id}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

fn is_id(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "1d8c9b3c-434e-4cd5-bb61-f2094ef7d9e7";

    fn key(pk: &str, sk: &str) -> Value {
        json!({ "pk": { "S": pk }, "sk": { "S": sk } })
    }

    fn heat(operation: &str, body: Value, units: f64) -> Heat {
        let mut heat = Heat::default();
        heat.add(&Call { operation: operation.to_owned(), body }, &json!({}), units);
        heat
    }

    #[test]
    fn keys_have_placeholders() {
        for (key, expected) in [
            ("okta#user".to_owned(), "c#user"),
            (format!("okta#group/{ID}"), "c#group/{id}"),
            ("okta#audit/2026-11/a".to_owned(), "c#audit/YYYY-MM/x"),
            ("used/okta".to_owned(), "used/c"),
            ("connectors".to_owned(), "connectors"),
            (format!("{ID}/{ID}"), "{id}/{id}"),
        ] {
            assert_eq!(pattern(&key, "okta"), expected);
        }
    }

    #[test]
    fn units_of_a_transaction_are_shared_out_by_size() {
        let mut large = key("okta#user", ID);
        large["doc"] = json!({ "S": "x".repeat(2_500) });
        let body = json!({ "TransactItems": [
            { "Put": { "Item": large } },
            { "Update": {
                "Key": key("okta#count", "user/1d"), "UpdateExpression": "ADD n :one",
                "ExpressionAttributeValues": { ":one": { "N": "1" } }
            } }
        ] });
        let heat = heat("TransactWriteItems", body, 8.0);
        let partition = heat.hottest_partition("okta").unwrap();
        assert_eq!((partition.pattern.as_str(), partition.units.write), ("c#user", 6.0));
        assert_eq!(partition.requests_a_second, 1_000.0 / 6.0);
        let item = heat.hottest_item("okta").unwrap();
        assert_eq!((item.pattern.as_str(), item.units.write), ("c#count user/bucket", 2.0));
        assert_eq!(item.requests_a_second, 500.0 * 256.0);
    }

    #[test]
    fn query_loads_its_partition_and_no_item() {
        let body = json!({ "ExpressionAttributeValues": { ":pk": { "S": "okta#user" } } });
        let heat = heat("Query", body, 30.0);
        assert_eq!(heat.hottest_partition("okta").unwrap().requests_a_second, 100.0);
        assert_eq!(heat.hottest_item("okta"), None);
    }

    #[test]
    fn group_is_shared_by_requests_and_audit_records_are_spread() {
        let body = json!({ "TransactItems": [
            { "Update": { "Key": key("okta#group", ID) } },
            { "Put": { "Item": key("okta#audit/2026-11/1", "a") } }
        ] });
        let heat = heat("TransactWriteItems", body, 4.0);
        let item = heat.hottest_item("okta").unwrap();
        assert_eq!((item.pattern.as_str(), item.requests_a_second), ("c#group {id}", 500.0));
        assert_eq!(heat.hottest_partition("okta").unwrap().pattern, "c#group");
    }
}
