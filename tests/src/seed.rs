//! Writes users, groups and memberships directly into the table: large directories, and resources with chosen
//! ids.

use std::collections::HashMap;

use crate::layout::{self as keys, Key};
use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use directory::connectors::ConnectorId;
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use shared::resource::{ResourceId, ResourceKind};
use shared::schema::Schemas;

use crate::provisioning::{GROUP, USER};
use crate::service::{Service, TABLE};

const BATCH: usize = 25;
const BATCHES_AT_ONCE: usize = 8;

type Item = HashMap<String, AttributeValue>;

/// Writes this number of users and returns their ids in ascending order. Their counts are exact. Of their
/// index items, only those of userName are written.
pub async fn users(service: &Service, connector: &ConnectorId, count: usize) -> Vec<ResourceId> {
    let mut ids: Vec<ResourceId> = (0..count).map(|_| directory::secrets::new_resource_id()).collect();
    ids.sort_unstable();
    users_with_ids(service, connector, &ids).await;
    ids
}

/// Writes users with these ids as [`users`] does.
pub async fn users_with_ids(service: &Service, connector: &ConnectorId, ids: &[ResourceId]) {
    let user_names = keys::index(connector, ResourceKind::User, "userName");
    let items = ids.iter().zip(0..).flat_map(|(id, number)| {
        let user = user(connector, *id, number);
        let mut items = index_items(connector, ResourceKind::User, *id, &user);
        items.retain(|entry| entry["pk"].as_s() == Ok(&user_names));
        items.push(user);
        items
    });
    let mut counts = [0; 256];
    for id in ids {
        counts[usize::from(id.bucket())] += 1;
    }
    let counts = (0..=255).zip(counts).filter(|(_, count)| *count > 0);
    let counts = counts.map(|(bucket, users)| count_item(connector, ResourceKind::User, bucket, users));
    put_all(&service.dynamodb(), items.chain(counts).collect()).await;
}

/// Writes one user with this id.
pub async fn user_with_id(service: &Service, connector: &ConnectorId, id: ResourceId) {
    let count = count_item(connector, ResourceKind::User, id.bucket(), 1);
    let document = user(connector, id, 0);
    let entries = index_items(connector, ResourceKind::User, id, &document);
    put_all(&service.dynamodb(), [document, count].into_iter().chain(entries).collect()).await;
}

/// Writes one group with this id.
pub async fn group_with_id(service: &Service, connector: &ConnectorId, id: ResourceId, name: &str) {
    let document = json!({ "schemas": [GROUP], "displayName": name });
    let group = resource(connector, ResourceKind::Group, id, &document);
    let count = count_item(connector, ResourceKind::Group, id.bucket(), 1);
    let entries = index_items(connector, ResourceKind::Group, id, &group);
    put_all(&service.dynamodb(), [group, count].into_iter().chain(entries).collect()).await;
}

fn count_item(connector: &ConnectorId, kind: ResourceKind, bucket: u8, count: usize) -> Item {
    let mut item = keys::count(connector, kind, bucket).attributes();
    let number = AttributeValue::N(count.to_string());
    item.insert("n".to_owned(), number.clone());
    if kind == ResourceKind::User {
        item.insert("active".to_owned(), number);
    }
    item
}

fn index_items(connector: &ConnectorId, kind: ResourceKind, id: ResourceId, resource: &Item) -> Vec<Item> {
    let document = serde_json::from_str(resource["doc"].as_s().expect("a resource has a document"))
        .expect("the document is JSON");
    let keys = keys_of_index_items(connector, kind, id, &document);
    let entry = |key: Key| {
        let mut item = key.attributes();
        item.insert("id".to_owned(), AttributeValue::S(id.to_string()));
        item
    };
    keys.into_iter().map(entry).collect()
}

/// The keys of the index items of a resource.
fn keys_of_index_items(
    connector: &ConnectorId,
    kind: ResourceKind,
    id: ResourceId,
    document: &Value,
) -> Vec<Key> {
    let mut entries = Vec::new();
    for index in &Schemas::built_in().of(kind).indexes {
        let value = document.get(&index.attribute).cloned().unwrap_or_default();
        let elements = if let Value::Array(elements) = value { elements } else { vec![value] };
        for element in elements {
            let leaf = index.sub_attribute.as_ref().map_or(&element, |name| &element[name]);
            let Some(value) = leaf.as_str().filter(|value| !value.is_empty()) else { continue };
            let key = if index.unique {
                keys::unique_index_item(connector, kind, &index.name, value)
            } else {
                let value = keys::indexed_value(value, index.case_exact);
                keys::index_item(connector, kind, &index.name, &value, id)
            };
            entries.push(key);
        }
    }
    entries
}

/// A user whose item has about 1 kB.
fn user(connector: &ConnectorId, id: ResourceId, number: usize) -> Item {
    let user_name = format!("user{number:06}@example.com");
    let document = json!({
        "schemas": [USER],
        "userName": user_name,
        "externalId": format!("00u{number:017}"),
        "name": { "givenName": "Given", "familyName": format!("Family{number:06}") },
        "displayName": format!("Given Family{number:06}"),
        "title": "x".repeat(330),
        "locale": "en-US",
        "emails": [{ "primary": true, "value": user_name, "type": "work" }],
        "active": true
    });
    resource(connector, ResourceKind::User, id, &document)
}

fn resource(connector: &ConnectorId, kind: ResourceKind, id: ResourceId, document: &Value) -> Item {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let mut item = keys::resource(connector, kind, id).attributes();
    item.extend([
        ("doc".to_owned(), text(&document.to_string())),
        ("version".to_owned(), AttributeValue::N("1".to_owned())),
        ("created".to_owned(), text("2026-01-01T00:00:00Z")),
        ("modified".to_owned(), text("2026-01-01T00:00:00Z")),
        ("origin".to_owned(), text("scim")),
    ]);
    let name = if kind == ResourceKind::User { "userName" } else { "displayName" };
    item.insert(name.to_owned(), text(document[name].as_str().expect("a resource has its unique name")));
    if kind == ResourceKind::User {
        item.insert("active".to_owned(), AttributeValue::Bool(true));
    }
    item
}

/// Writes both sides of the memberships of users in a group.
pub async fn members(service: &Service, connector: &ConnectorId, group: ResourceId, users: &[ResourceId]) {
    let edge = |key: Key, is_group_side: bool| {
        let mut item = key.attributes();
        if is_group_side {
            item.insert("kind".to_owned(), AttributeValue::S("User".to_owned()));
        }
        item
    };
    let items = users.iter().flat_map(|user| {
        [
            edge(keys::group_side(connector, group, *user), true),
            edge(keys::member_side(connector, ResourceKind::User, *user, group), false),
        ]
    });
    put_all(&service.dynamodb(), items.collect()).await;
}

async fn put_all(client: &DynamoDb, items: Vec<Item>) {
    let batches = items.chunks(BATCH).map(|batch| {
        let put = |item: &Item| {
            let put =
                PutRequest::builder().set_item(Some(item.clone())).build().expect("the request has an item");
            WriteRequest::builder().put_request(put).build()
        };
        client.batch_write_item().request_items(TABLE, batch.iter().map(put).collect()).send()
    });
    let batches: Vec<_> = batches.collect();
    let mut written = stream::iter(batches).buffer_unordered(BATCHES_AT_ONCE);
    while let Some(answer) = written.next().await {
        let unprocessed = answer.expect("DynamoDB answers").unprocessed_items.unwrap_or_default();
        assert!(unprocessed.is_empty(), "the engine has no limits to its capacity");
    }
}
