//! Reads the request trail directly, without the crate `directory`.
//!
//! A record is an item in the partition `trail/c/YYYY-MM-DD`, whose sort key is its time, `/`, and the id of the request. Entries that lead
//! to records are in the partition `trail/c/YYYY-MM-DD/entries`.

use directory::connectors::ConnectorId;
use serde_json::Value;

use crate::service::{Service, TABLE};
use crate::table::{Item, Items, read_items_with, text_of};

/// Reads the items of the trail of a connector: records and entries.
///
/// # Panics
/// When the engine does not answer.
pub async fn read_trail(service: &Service, connector: &ConnectorId) -> Items {
    read_items_with(service, &format!("trail/{connector}/")).await
}

/// Reads the records of a connector, the oldest first.
///
/// # Panics
/// When the engine does not answer, or a record is not JSON.
pub async fn read_records(service: &Service, connector: &ConnectorId) -> Vec<Value> {
    let items = read_trail(service, connector).await;
    let documents = items.values().map(|item| text_of(item, "doc")).filter(|doc| !doc.is_empty());
    documents.map(|doc| serde_json::from_str(&doc).expect("a record is JSON")).collect()
}

/// Reads all items of the table as one text, in which a secret can be looked for.
///
/// # Panics
/// When the engine does not answer.
pub async fn dump_table(service: &Service) -> String {
    let mut pages = service.dynamodb().scan().table_name(TABLE).into_paginator().items().send();
    let mut dump = String::new();
    while let Some(item) = pages.next().await {
        let item: Item = item.expect("the engine answers");
        dump.push_str(&format!("{item:?}\n"));
    }
    dump
}
