//! The table as it lies there, and whether it is in order.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use directory::connectors::ConnectorId;

use crate::service::{Service, TABLE};

/// An item.
pub type Item = HashMap<String, AttributeValue>;

/// All items of one connector, by their keys.
pub type Dump = BTreeMap<(String, String), Item>;

/// Reads all items of a connector, from everywhere in the table.
///
/// # Panics
/// When the engine does not answer.
pub async fn dump(service: &Service, connector: &ConnectorId) -> Dump {
    let prefix = AttributeValue::S(format!("{connector}#"));
    let client = service.dynamodb();
    let scan = client.scan().table_name(TABLE).filter_expression("begins_with(pk, :c)");
    let mut pages = scan.expression_attribute_values(":c", prefix).into_paginator().items().send();
    let mut dump = Dump::new();
    while let Some(item) = pages.next().await {
        let item = item.expect("the engine answers");
        dump.insert((text(&item, "pk").to_owned(), text(&item, "sk").to_owned()), item);
    }
    dump
}

/// Fails unless `scimctl check` would find everything in order.
///
/// # Panics
/// When something is not, saying what.
pub async fn assert_sound(service: &Service, connector: &ConnectorId) {
    let found = service.directory(connector).await.check(|_| ()).await.expect("the engine answers");
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "the table is not in order:\n{}", found.join("\n"));
}

fn text<'i>(item: &'i Item, name: &str) -> &'i str {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str).unwrap_or_default()
}
