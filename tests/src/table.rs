//! Reads and writes the items of the table directly, without the crate `directory`.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use directory::connectors::ConnectorId;
use serde_json::Value;

use crate::layout::{self, Key};
use crate::service::{Service, TABLE};

/// An item: its attributes by name.
pub type Item = HashMap<String, AttributeValue>;

/// The items of one connector, by partition key and sort key.
pub type Items = BTreeMap<(String, String), Item>;

/// Reads all items of a connector's partitions, which are named `{connector}#…`.
///
/// # Panics
/// When the engine does not answer.
pub async fn read_items(service: &Service, connector: &ConnectorId) -> Items {
    read_items_with(service, &format!("{connector}#")).await
}

/// Reads all items of the partitions whose keys begin with this.
///
/// # Panics
/// When the engine does not answer.
pub async fn read_items_with(service: &Service, prefix: &str) -> Items {
    let prefix = AttributeValue::S(prefix.to_owned());
    let client = service.dynamodb();
    let scan = client.scan().table_name(TABLE).filter_expression("begins_with(pk, :c)");
    let mut pages = scan.expression_attribute_values(":c", prefix).into_paginator().items().send();
    let mut items = Items::new();
    while let Some(item) = pages.next().await {
        let item = item.expect("the engine answers");
        items.insert((text_of(&item, "pk"), text_of(&item, "sk")), item);
    }
    items
}

/// Reads the record of a connector as JSON. It is `None` after the connector was deleted.
///
/// # Panics
/// When the engine does not answer, or the record is not JSON.
pub async fn read_record(service: &Service, connector: &ConnectorId) -> Option<Value> {
    let get = service.dynamodb().get_item().table_name(TABLE).consistent_read(true);
    let get = get.set_key(Some(layout::connector(connector).attributes()));
    let item = get.send().await.expect("the engine answers").item?;
    Some(serde_json::from_str(&text_of(&item, "doc")).expect("a connector's record is JSON"))
}

/// Writes an item.
///
/// # Panics
/// When the engine does not answer.
pub async fn put_item(service: &Service, item: Item) {
    let put = service.dynamodb().put_item().table_name(TABLE).set_item(Some(item));
    put.send().await.expect("the engine answers");
}

/// Deletes an item and returns it.
///
/// # Panics
/// When there is no such item.
pub async fn take_item(service: &Service, key: &Key) -> Item {
    let delete = service.dynamodb().delete_item().table_name(TABLE).set_key(Some(key.attributes()));
    let deleted = delete.return_values(ReturnValue::AllOld).send().await.expect("the engine answers");
    deleted.attributes.unwrap_or_else(|| panic!("there is no item {:?} of {}", key.sk, key.pk))
}

/// Sets one attribute of an item that exists.
///
/// # Panics
/// When there is no such item.
pub async fn set_attribute(service: &Service, key: &Key, name: &str, value: AttributeValue) {
    let mut item = take_item(service, key).await;
    item.insert(name.to_owned(), value);
    put_item(service, item).await;
}

/// The text of an attribute; empty when the item has no such text.
pub(crate) fn text_of(item: &Item, name: &str) -> String {
    item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
}
