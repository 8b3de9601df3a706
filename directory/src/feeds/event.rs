//! Events: what a consumer learns of a resource (RFC 9967), made from its waiting changes and from the state of now.
//!
//! Resources and memberships are read with TransactGetItems after the outbox. A Query can show a part of a transaction, so
//! that an item is in the outbox before the change is everywhere; TransactGetItems waits until it is. So when an event is
//! delivered, its consumer can read what it tells of.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures_util::FutureExt as _;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use shared::error::ScimError;
use shared::patch::PATCH_SCHEMA;
use shared::resource::{ResourceId, ResourceKind};

use super::Outbox;
use super::namesakes::Namesakes;
use super::outbox::parse_order;
use super::waiting::Waiting;
use crate::dynamodb::attributes::Item;
use crate::dynamodb::items::{self, Stored};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::concurrently;
use crate::view::{EntryMaker, ShownNames};

/// The most memberships of one TransactGetItems request: it reads at most 100 items.
const MEMBERSHIPS_AT_ONCE: usize = 100;
/// The most resources of one TransactGetItems request: it reads at most 4 MB, and a resource has up to 310 kB.
pub(super) const RESOURCES_AT_ONCE: usize = 12;
/// The most requests for resources at the same time, which bounds the memory of a poll.
const READS_AT_ONCE: usize = 4;
/// The prefix of the URIs of events (RFC 9967 §2.1).
const PREFIX: &str = "urn:ietf:params:scim:event:";

/// The events that feeds send, by their URIs.
pub const EVENT_URIS: [&str; 8] = [
    "urn:ietf:params:scim:event:feed:add",
    "urn:ietf:params:scim:event:feed:remove",
    "urn:ietf:params:scim:event:prov:create:notice",
    "urn:ietf:params:scim:event:prov:patch:notice",
    "urn:ietf:params:scim:event:prov:patch:full",
    "urn:ietf:params:scim:event:prov:delete",
    "urn:ietf:params:scim:event:prov:activate",
    "urn:ietf:params:scim:event:prov:deactivate",
];

/// The waiting changes of a resource, and the resource as it is now; `None` if it is deleted.
#[derive(Debug)]
pub(super) struct Present<'w> {
    pub waiting: &'w Waiting,
    pub stored: Option<Stored>,
}

/// What happened to one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The id of the event. An event that is sent again has the same id.
    pub jti: String,
    /// The id of the newest change. It is the same in all feeds.
    pub txn: String,
    /// The time of the newest change.
    pub time: Timestamp,
    /// The path of the resource under the base URL: `/Users/…`, `/Groups/…` or `/Roles/…`.
    pub uri: String,
    /// The resource's `externalId`.
    pub external_id: Option<String>,
    /// The events by their URIs, with their payloads.
    pub events: Map<String, Value>,
}

impl Outbox {
    /// Makes the events of waiting changes.
    pub(super) async fn events(
        &self,
        waiting: Vec<Waiting>,
        namesakes: Namesakes,
    ) -> Result<Vec<Event>, ScimError> {
        let (connector, settings) = (self.directory.connector.id.to_string(), self.directory.settings());
        let maker = EntryMaker::new(&connector, settings, &self.directory.schemas)?;
        let memberships = self.existing_memberships(&waiting).await?;
        let mut events = Vec::with_capacity(waiting.len());
        // Documents are kept only until their events are made.
        for waiting in waiting.chunks(RESOURCES_AT_ONCE * READS_AT_ONCE) {
            let present = self.present(waiting).await?;
            let names = self.shown_names(&present, namesakes, &maker).await?;
            for one in present {
                events.push(self.event(&one, &names, &memberships, &maker)?);
            }
        }
        Ok(events)
    }

    /// Finds which of the memberships that waiting changes name exist now.
    async fn existing_memberships(&self, waiting: &[Waiting]) -> Result<HashSet<Key>, ScimError> {
        let keys: BTreeSet<Key> = waiting.iter().flat_map(|one| self.memberships_of(one)).collect();
        let keys: Vec<Key> = keys.into_iter().collect();
        let reads = keys.chunks(MEMBERSHIPS_AT_ONCE).map(|keys| {
            let keys = keys.iter().cloned().collect();
            async move { self.directory.table.get_at_once(&keys).await }.boxed()
        });
        let items = concurrently(reads.collect()).await?.into_iter().flatten();
        Ok(items.filter_map(|item| Key::of(&item)).collect())
    }

    /// Reads the resources of waiting changes. Leaves out groups that are still being created, and resources that cannot be read.
    async fn present<'w>(&self, waiting: &'w [Waiting]) -> Result<Vec<Present<'w>>, ScimError> {
        let key = |one: &Waiting| keys::resource(&self.directory.connector.id, one.kind, one.id);
        let keys: Vec<Key> = waiting.iter().map(key).collect();
        let reads = keys.chunks(RESOURCES_AT_ONCE).map(|keys| {
            let keys = keys.iter().cloned().collect();
            async move { self.directory.table.get_at_once(&keys).await }.boxed()
        });
        let items = concurrently(reads.collect()).await?.into_iter().flatten();
        let mut items: HashMap<Key, Item> = items.filter_map(|item| Some((Key::of(&item)?, item))).collect();
        let mut present = Vec::with_capacity(waiting.len());
        for (waiting, key) in waiting.iter().zip(keys) {
            let stored = items.remove(&key).map(|item| items::to_stored(waiting.kind, &item)).transpose();
            match stored {
                Ok(stored) if stored.as_ref().is_some_and(Stored::is_being_created) => {}
                Ok(stored) => {
                    present.push(Present { waiting, stored: stored.filter(|stored| !stored.is_deleting) });
                }
                Err(error) => {
                    // The others must not wait for it. `check` finds it, and its items stay.
                    let (kind, id) = (waiting.kind.name(), waiting.id);
                    tracing::error!(%error, kind, %id, "a resource of a feed cannot be read");
                }
            }
        }
        Ok(present)
    }

    /// The memberships that waiting changes name, on both sides.
    fn memberships_of(&self, Waiting { kind, id, members, groups, .. }: &Waiting) -> Vec<Key> {
        let connector = &self.directory.connector.id;
        let mut keys = Vec::new();
        for (member, member_kind) in members {
            keys.push(keys::group_side(connector, *id, *member));
            keys.push(keys::member_side(connector, *member_kind, *member, *id));
        }
        for group in groups {
            keys.push(keys::group_side(connector, *group, *id));
            keys.push(keys::member_side(connector, *kind, *id, *group));
        }
        keys
    }

    /// Makes one event.
    fn event(
        &self,
        Present { waiting, stored }: &Present<'_>,
        names: &ShownNames,
        memberships: &HashSet<Key>,
        maker: &EntryMaker<'_>,
    ) -> Result<Event, ScimError> {
        let (kind, id) = (waiting.kind, waiting.id);
        let mut events = Map::new();
        match stored {
            None => drop(events.insert(uri("prov:delete"), json!({}))),
            Some(stored) if waiting.is_marked => {
                let is_shown = match kind {
                    ResourceKind::User => {
                        maker.hidden_user(stored).is_none() && names.taken_by(stored, maker).is_none()
                    }
                    _ => maker.hidden_group(&stored.resource).is_none(),
                };
                let event = if is_shown { "feed:add" } else { "feed:remove" };
                events.insert(uri(event), json!({}));
            }
            Some(stored) => self.add_changes(&mut events, waiting, stored, memberships),
        }
        let newest = waiting.orders.last().and_then(|order| parse_order(order));
        let (time, txn) = newest.ok_or_else(|| ScimError::internal("an item of an outbox has no time"))?;
        let external_id = stored.as_ref().and_then(|stored| stored.resource.document.get("externalId"));
        Ok(Event {
            jti: waiting.jti().text(),
            txn: txn.to_owned(),
            time,
            uri: format!("/{}/{id}", endpoint(kind)),
            external_id: external_id.and_then(Value::as_str).map(str::to_owned),
            events,
        })
    }

    fn add_changes(
        &self,
        events: &mut Map<String, Value>,
        waiting: &Waiting,
        stored: &Stored,
        memberships: &HashSet<Key>,
    ) {
        let mut attributes = waiting.attributes.clone();
        if !waiting.groups.is_empty() {
            attributes.insert("groups".to_owned());
        }
        // The consumer reads the members of a new group.
        if !waiting.is_created && !waiting.members.is_empty() {
            attributes.remove("members");
            let is_member = |member: &ResourceId| {
                memberships.contains(&keys::group_side(&self.directory.connector.id, waiting.id, *member))
            };
            let (joined, left): (Vec<&ResourceId>, Vec<&ResourceId>) =
                waiting.members.keys().partition(|member| is_member(member));
            events.insert(uri("prov:patch:full"), json!({ "data": member_patch(&joined, &left) }));
        }
        if waiting.is_created {
            events.insert(uri("prov:create:notice"), json!({ "attributes": attributes }));
        } else if !attributes.is_empty() {
            events.insert(uri("prov:patch:notice"), json!({ "attributes": attributes }));
        }
        if waiting.kind != ResourceKind::User {
            return;
        }
        let is_active = stored.resource.is_active();
        if !is_active && (waiting.is_created || attributes.contains("active")) {
            events.insert(uri("prov:deactivate"), json!({}));
        } else if is_active && !waiting.is_created && attributes.contains("active") {
            events.insert(uri("prov:activate"), json!({}));
        }
    }
}

/// A PATCH request (RFC 7644 §3.5.2) that makes these members join and leave.
fn member_patch(joined: &[&ResourceId], left: &[&ResourceId]) -> Value {
    let mut operations = Vec::new();
    if !joined.is_empty() {
        let values: Vec<Value> = joined.iter().map(|id| json!({ "value": id.to_string() })).collect();
        operations.push(json!({ "op": "add", "path": "members", "value": values }));
    }
    operations.extend(
        left.iter().map(|id| json!({ "op": "remove", "path": format!("members[value eq \"{id}\"]") })),
    );
    json!({ "schemas": [PATCH_SCHEMA], "Operations": operations })
}

fn uri(event: &str) -> String {
    format!("{PREFIX}{event}")
}

/// The endpoint of a kind of resource in the directory API.
fn endpoint(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::User => "Users",
        ResourceKind::Group | ResourceKind::LocalGroup => "Groups",
        ResourceKind::Role => "Roles",
    }
}
