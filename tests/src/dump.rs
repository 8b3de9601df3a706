//! What must be true of the table whatever happened: each index entry has its resource and the reverse, memberships
//! stand on both sides and between resources that are there, counts equal what they count.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value};
use shared::filter::fold;
use shared::resource::{ResourceId, ResourceKind};
use shared::schema::Schemas;
use shared::store::connectors::ConnectorId;
use shared::store::keys::{self, Key};

use crate::service::{Service, TABLE};

/// An item.
pub type Item = HashMap<String, AttributeValue>;

/// All items of one connector, by their keys.
pub type Dump = BTreeMap<(String, String), Item>;

const KINDS: [ResourceKind; 2] = [ResourceKind::User, ResourceKind::Group];

/// Reads all items of a connector, from everywhere in the table.
///
/// # Panics
/// When the engine does not answer.
pub async fn dump(service: &Service, connector: &ConnectorId) -> Dump {
    let prefix = AttributeValue::S(format!("{connector}#"));
    let client = service.dynamodb().await;
    let scan = client.scan().table_name(TABLE).filter_expression("begins_with(pk, :c)");
    let mut pages = scan.expression_attribute_values(":c", prefix).into_paginator().items().send();
    let mut dump = Dump::new();
    while let Some(item) = pages.next().await {
        let item = item.expect("the engine answers");
        dump.insert((text(&item, "pk").to_owned(), text(&item, "sk").to_owned()), item);
    }
    dump
}

/// Fails unless everything is in order.
///
/// # Panics
/// When something is not, saying what.
pub async fn assert_sound(service: &Service, connector: &ConnectorId) {
    let found = violations(&dump(service, connector).await, connector);
    assert!(found.is_empty(), "the table is not in order:\n{}", found.join("\n"));
}

/// What is not in order.
pub fn violations(dump: &Dump, connector: &ConnectorId) -> Vec<String> {
    let mut expected: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut found = Vec::new();
    for kind in KINDS {
        expect_of_resources(dump, connector, kind, &mut expected, &mut found);
    }
    expect_memberships(dump, connector, &mut expected, &mut found);
    let guard = keys::nesting(connector);
    expected.insert((guard.pk, guard.sk), "guard".to_owned());
    for (key, item) in dump {
        match expected.get(key) {
            None => found.push(format!("{key:?} should not be there: {item:?}")),
            Some(id) if key.0.contains('.') && text(item, "id") != id => {
                found.push(format!("{key:?} points at {}, and not at {id}", text(item, "id")));
            }
            Some(_) => {}
        }
    }
    for key in expected.keys().filter(|key| !dump.contains_key(key) && key.1 != "nesting") {
        found.push(format!("{key:?} is missing"));
    }
    found
}

/// Resources, their index entries, and their counts.
fn expect_of_resources(
    dump: &Dump,
    connector: &ConnectorId,
    kind: ResourceKind,
    expected: &mut BTreeMap<(String, String), String>,
    found: &mut Vec<String>,
) {
    let mut counts: BTreeMap<u8, (i64, i64)> = BTreeMap::new();
    for (key, item) in dump.range((keys::resources(connector, kind), String::new())..) {
        if key.0 != keys::resources(connector, kind) {
            break;
        }
        let Some(id) = ResourceId::parse(&key.1) else { continue };
        if item.contains_key("going") {
            found.push(format!("{key:?} is going, and has not gone"));
        }
        let document: Map<String, Value> = serde_json::from_str(text(item, "doc")).expect("a document");
        let is_active = document.get("active") != Some(&Value::Bool(false));
        if kind == ResourceKind::User && item["active"] != AttributeValue::Bool(is_active) {
            found.push(format!("{key:?} is active in one place and not in the other"));
        }
        let count = counts.entry(id.bucket()).or_default();
        *count = (count.0 + 1, count.1 + i64::from(is_active));
        expect(expected, keys::resource(connector, kind, id), id);
        for entry in index_entries(connector, kind, id, &document, is_active) {
            if let Some(other) = expected.insert((entry.pk.clone(), entry.sk.clone()), id.to_string()) {
                found.push(format!("{entry:?} belongs to {other} and to {id}"));
            }
        }
    }
    for bucket in 0..=u8::MAX {
        let key = keys::count(connector, kind, bucket);
        let (resources, active) = counts.get(&bucket).copied().unwrap_or_default();
        let item = dump.get(&(key.pk.clone(), key.sk.clone()));
        let counted = |name: &str| item.map_or(0, |item| number(item, name));
        if counted("n") != resources || (kind == ResourceKind::User && counted("active") != active) {
            found.push(format!(
                "{} counts {} and {} active, and there are {resources} and {active}",
                key.sk,
                counted("n"),
                counted("active")
            ));
        }
        if item.is_some() {
            expected.insert((key.pk, key.sk), "count".to_owned());
        }
    }
}

/// The keys of the index entries that a resource must have.
pub fn index_entries(
    connector: &ConnectorId,
    kind: ResourceKind,
    id: ResourceId,
    document: &Map<String, Value>,
    is_active: bool,
) -> BTreeSet<Key> {
    let mut entries = BTreeSet::new();
    for index in &Schemas::built_in().of(kind).indexes {
        let value = document.get(&index.attribute).cloned().unwrap_or_default();
        let elements = if let Value::Array(elements) = value { elements } else { vec![value] };
        for element in elements {
            let leaf = index.sub_attribute.as_ref().map_or(&element, |name| &element[name]);
            let Some(value) = leaf.as_str().filter(|value| !value.is_empty()) else { continue };
            let value = fold(value, index.case_exact);
            let sk = if index.unique { keys::index_value(&value) } else { keys::index_entry(&value, id) };
            entries.insert(Key { pk: keys::index(connector, kind, &index.name), sk });
        }
    }
    if kind == ResourceKind::User && !is_active {
        entries
            .insert(Key { pk: keys::index(connector, kind, "active"), sk: keys::index_entry("false", id) });
    }
    entries
}

/// Both sides of every membership, each between a group and a member who are there, the member active.
fn expect_memberships(
    dump: &Dump,
    connector: &ConnectorId,
    expected: &mut BTreeMap<(String, String), String>,
    found: &mut Vec<String>,
) {
    let mut edges: BTreeSet<(ResourceId, ResourceId)> = BTreeSet::new();
    for (pk, sk) in dump.keys() {
        let group = pk.strip_prefix(&format!("{connector}#group/")).and_then(ResourceId::parse);
        if let (Some(group), Some(member)) = (group, ResourceId::parse(sk)) {
            edges.insert((group, member));
        }
        let is_of_resources = KINDS.iter().any(|kind| *pk == keys::resources(connector, *kind));
        if let (true, Some((member, Some(group)))) = (is_of_resources, keys::parse_resources_sk(sk)) {
            edges.insert((group, member));
        }
    }
    let resource = |kind, id| {
        let key = keys::resource(connector, kind, id);
        dump.get(&(key.pk, key.sk))
    };
    for (group, member) in edges {
        if resource(ResourceKind::Group, group).is_none() {
            found.push(format!("{member} is in group {group}, which is not there"));
        }
        let Some((kind, item)) = KINDS.into_iter().find_map(|kind| Some((kind, resource(kind, member)?)))
        else {
            found.push(format!("{member} is in group {group}, and is not there"));
            continue;
        };
        if kind == ResourceKind::User && item["active"] != AttributeValue::Bool(true) {
            found.push(format!("{member} is in group {group}, and is not active"));
        }
        let side = keys::group_side(connector, group, member);
        if dump.get(&(side.pk.clone(), side.sk.clone())).is_some_and(|item| text(item, "kind") != kind.name())
        {
            found.push(format!("{member} is no {} in group {group}", kind.name()));
        }
        expect(expected, side, member);
        expect(expected, keys::member_side(connector, kind, member, group), member);
    }
}

fn expect(expected: &mut BTreeMap<(String, String), String>, key: Key, id: ResourceId) {
    expected.insert((key.pk, key.sk), id.to_string());
}

fn text<'i>(item: &'i Item, name: &str) -> &'i str {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str).unwrap_or_default()
}

fn number(item: &Item, name: &str) -> i64 {
    item.get(name).and_then(|value| value.as_n().ok()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use shared::resource::ResourceId;

    use super::*;
    use crate::seed;
    use crate::service::TestConnector;

    /// A sound directory: two users, one in a group.
    async fn directory(service: &Service) -> (TestConnector, Dump, ResourceId, ResourceId) {
        let connector = service.connector().await;
        let (user, group) = (ResourceId::random(), ResourceId::random());
        seed::user_with_id(service, &connector.id, user).await;
        seed::group_with_id(service, &connector.id, group, "Tour Guides").await;
        seed::members(service, &connector.id, group, &[user]).await;
        let dump = dump(service, &connector.id).await;
        (connector, dump, user, group)
    }

    #[tokio::test]
    async fn whatever_is_not_in_order_is_found() {
        let service = Service::start();
        let (connector, sound, user, group) = directory(&service).await;
        assert_eq!(violations(&sound, &connector.id), [""; 0]);
        let of_user = keys::resource(&connector.id, ResourceKind::User, user);
        let of_group = keys::resource(&connector.id, ResourceKind::Group, group);
        let index = keys::index(&connector.id, ResourceKind::User, "userName");
        let inactive = |dump: &mut Dump| {
            dump.get_mut(&(of_user.pk.clone(), of_user.sk.clone()))
                .unwrap()
                .insert("active".to_owned(), AttributeValue::Bool(false));
        };
        let name = sound.keys().find(|(pk, _)| *pk == index).unwrap().clone();
        let group_side = keys::group_side(&connector.id, group, user);
        let member_side = keys::member_side(&connector.id, ResourceKind::User, user, group);
        let count = keys::count(&connector.id, ResourceKind::User, user.bucket());
        let without = |key: &(String, String)| {
            let mut dump = sound.clone();
            assert!(dump.remove(key).is_some(), "{key:?}");
            dump
        };
        let pair = |key: &Key| (key.pk.clone(), key.sk.clone());
        let with = |change: &dyn Fn(&mut Dump)| {
            let mut dump = sound.clone();
            change(&mut dump);
            dump
        };
        for (dump, expected) in [
            (without(&name), "is missing"),
            (without(&pair(&group_side)), "is missing"),
            (without(&pair(&member_side)), "is missing"),
            (without(&pair(&count)), "counts 0"),
            (without(&pair(&of_user)), "and is not there"),
            (without(&pair(&of_group)), "which is not there"),
            (with(&inactive), "and is not active"),
            (
                with(&|dump| {
                    dump.insert((index.clone(), "stale".to_owned()), Item::new());
                }),
                "should not be there",
            ),
            (
                with(&|dump| {
                    let other = AttributeValue::S(group.to_string());
                    dump.get_mut(&name).unwrap().insert("id".to_owned(), other);
                }),
                "points at",
            ),
            (
                with(&|dump| {
                    dump.get_mut(&pair(&of_user))
                        .unwrap()
                        .insert("going".to_owned(), AttributeValue::Bool(true));
                }),
                "is going",
            ),
        ] {
            let found = violations(&dump, &connector.id).join("\n");
            assert!(found.contains(expected), "{expected}: {found}");
        }
    }
}
