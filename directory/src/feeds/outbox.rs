//! The outbox: what the consumers of feeds have to learn of each transaction.
//!
//! A connector with feeds adds one item for each feed to every transaction that changes its directory. The item is made from
//! the transaction itself: from the resource in its audit record, and from the memberships that it writes. So no operation can
//! forget it. Items are never changed; acknowledging deletes them.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use shared::error::ScimError;
use shared::resource::{ResourceId, ResourceKind};
use uuid::Uuid;

use super::FeedId;
use crate::audit::Operation;
use crate::connectors::{Connector, ConnectorId};
use crate::dynamodb::attributes::{Item, get_text, text};
use crate::dynamodb::keys::{self, ItemKind, Key};
use crate::dynamodb::table::busy;
use crate::dynamodb::transaction::{Effect, Transaction};
use crate::hex::hex;
use crate::index::USER_NAME;

/// The kind of change of an item that no change of the directory wrote: the consumer has to read the resource again, because
/// the feed is new or the settings changed.
pub(super) const MARK: &str = "mark";

/// The stored attribute with the names of the attributes that changed.
const ATTRIBUTES: &str = "attributes";
/// The stored attribute with the ids of the groups that a member left.
const GROUPS: &str = "groups";

/// The stored attribute with the values of which the user's username was or is made, as they are in the index.
const USERNAMES: &str = "usernames";

/// The number of bytes of an id.
const ID_BYTES: usize = 16;

/// The hexadecimal digits of a time in an order.
const TIME_DIGITS: usize = 11;

/// One change of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub kind: ResourceKind,
    pub id: ResourceId,
    /// The kind of change: the name of an audit record's operation, [`MARK`], or nothing for a later part of a change.
    pub operation: String,
    /// The names of the attributes that changed.
    pub attributes: Vec<String>,
    /// The members that joined the group, or left it, with their kinds.
    pub members: Vec<(ResourceKind, ResourceId)>,
    /// The groups that the member left.
    pub groups: Vec<ResourceId>,
    /// The values that the change took from the index of usernames, or added to it, if two users can have one username.
    pub usernames: Vec<String>,
}

/// Returns the transaction with an item for each of the connector's feeds. `None` when it has none, or when nothing that a
/// consumer can see changes.
pub(crate) fn with_outbox(
    connector: &Connector,
    feeds: &[FeedId],
    transaction: &Transaction,
    now: Timestamp,
) -> Result<Option<Transaction>, ScimError> {
    if feeds.is_empty() || !transaction.is_visible() {
        return Ok(None);
    }
    let mut changes = Change::all(&connector.id, transaction);
    if changes.is_empty() {
        return Ok(None);
    }
    let usernames = usernames(connector, transaction);
    for change in changes.iter_mut().filter(|change| change.kind == ResourceKind::User) {
        change.usernames.clone_from(&usernames);
    }
    if !transaction.has_room_for(changes.len() * feeds.len()) {
        // A feed was created after the transaction was begun.
        return Err(busy());
    }
    let mut transaction = transaction.clone();
    let order = order(now);
    for (change, feed) in changes.iter().flat_map(|change| feeds.iter().map(move |feed| (change, feed))) {
        transaction.put(change.item(&connector.id, feed, &order))?;
    }
    Ok(Some(transaction))
}

/// The values that a transaction takes from the index of usernames, or adds to it. Other users may have or get these usernames.
fn usernames(connector: &Connector, transaction: &Transaction) -> Vec<String> {
    let mapping = &connector.record.settings.mapping;
    if !mapping.can_give_one_username_twice() {
        return Vec::new();
    }
    let index = mapping.username_index();
    let pk = keys::index(&connector.id, ResourceKind::User, index.as_deref().unwrap_or(USER_NAME));
    let effects = transaction.effects().iter();
    let written = effects.filter(|(_, effect)| matches!(effect, Effect::Put | Effect::Delete));
    let values = written.filter(|(key, _)| key.pk == pk).map(|(key, _)| keys::indexed_value(&key.sk));
    values.map(str::to_owned).collect()
}

/// The end of a sort key: the time in milliseconds, and 128 random bits. Items of one transaction share it.
pub(super) fn order(now: Timestamp) -> String {
    format!("{:0TIME_DIGITS$x}{}", now.as_millisecond(), Uuid::new_v4().simple())
}

/// The end of the sort key of a mark that follows from the item with this end. It is the same each time, and no transaction has it.
pub(super) fn order_of_consequence(order: &str) -> String {
    let (time, random) = order.split_at_checked(TIME_DIGITS).unwrap_or_default();
    let hash = Sha256::digest(format!("consequence {random}"));
    format!("{time}{}", hex(hash.iter().take(16)))
}

/// Whether a text has the form of [`order`].
pub(super) fn is_order(text: &str) -> bool {
    text.len() == TIME_DIGITS + 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The time and the random part of an order.
pub(super) fn parse_order(order: &str) -> Option<(Timestamp, &str)> {
    let (time, random) = order.split_at_checked(TIME_DIGITS)?;
    Some((Timestamp::from_millisecond(i64::from_str_radix(time, 16).ok()?).ok()?, random))
}

impl Change {
    /// A mark of a resource.
    pub fn mark(kind: ResourceKind, id: ResourceId) -> Self {
        let operation = MARK.to_owned();
        Self {
            kind,
            id,
            operation,
            attributes: Vec::new(),
            members: Vec::new(),
            groups: Vec::new(),
            usernames: Vec::new(),
        }
    }

    /// Finds what a transaction changes: one change for each resource of an audit record.
    ///
    /// The later transactions of a long change have no audit record. They write memberships either of one group, whose item
    /// they also change, or of one member.
    fn all(connector: &ConnectorId, transaction: &Transaction) -> Vec<Self> {
        let mut memberships = Vec::new();
        let mut changed = Vec::new();
        let mut member_kinds = HashMap::new();
        for (key, effect) in transaction.effects() {
            let is_written = matches!(effect, Effect::Put | Effect::Delete);
            match keys::classify(connector, &key.pk, &key.sk) {
                ItemKind::GroupSide { group, member } if is_written => memberships.push((group, member)),
                ItemKind::MemberSide { member, .. } => {
                    let of_kind = |kind: &ResourceKind| key.pk == keys::resources(connector, *kind);
                    member_kinds
                        .extend(ResourceKind::MEMBERS.into_iter().find(of_kind).map(|kind| (member, kind)));
                }
                ItemKind::Resource(kind, id) if *effect != Effect::Check => changed.push((kind, id)),
                _ => {}
            }
        }
        let kind_of = |member: &ResourceId| member_kinds.get(member).copied().unwrap_or(ResourceKind::User);
        let of = |kind, id, operation: &str, attributes: &[String]| {
            let members = memberships.iter().filter(|(group, _)| *group == id);
            let groups = memberships.iter().filter(|(_, member)| *member == id).map(|(group, _)| *group);
            Self {
                kind,
                id,
                operation: operation.to_owned(),
                attributes: attributes.to_vec(),
                members: members.map(|(_, member)| (kind_of(member), *member)).collect(),
                groups: groups.collect(),
                usernames: Vec::new(),
            }
        };
        let subjects = transaction.subjects();
        match memberships.first() {
            Some((group, member)) if subjects.is_empty() => {
                let is_of_one_group = memberships.iter().all(|(other, _)| other == group);
                let of_group = changed.iter().find(|(_, id)| id == group && is_of_one_group);
                let (kind, id) = of_group.copied().unwrap_or((kind_of(member), *member));
                vec![of(kind, id, "", &[])]
            }
            _ => subjects
                .iter()
                .map(|subject| of(subject.kind, subject.id, subject.operation, &subject.attributes))
                .filter(Self::is_visible)
                .collect(),
        }
    }

    /// Makes the item for one feed.
    pub(super) fn item(&self, connector: &ConnectorId, feed: &FeedId, order: &str) -> Item {
        let pk = keys::outbox(connector, feed);
        let sk = format!("{}{order}", keys::outbox_prefix(self.kind, self.id));
        let mut item = Key { pk, sk }.attributes();
        let mut insert = |name: &str, value: AttributeValue| item.insert(name.to_owned(), value);
        if !self.operation.is_empty() {
            insert("op", text(&self.operation));
        }
        for (name, texts) in [(ATTRIBUTES, &self.attributes), (USERNAMES, &self.usernames)] {
            if !texts.is_empty() {
                insert(name, AttributeValue::L(texts.iter().map(text).collect()));
            }
        }
        let mut insert_ids = |name: &str, ids: &[ResourceId]| {
            if !ids.is_empty() {
                let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_bytes()).collect();
                insert(name, AttributeValue::B(Blob::new(bytes)));
            }
        };
        insert_ids(GROUPS, &self.groups);
        for member_kind in ResourceKind::MEMBERS {
            let of_kind = self.members.iter().filter(|(kind, _)| *kind == member_kind).map(|(_, id)| *id);
            insert_ids(&members_attribute(member_kind), &of_kind.collect::<Vec<_>>());
        }
        item
    }

    /// Reads a change and the end of its sort key from its item.
    pub(super) fn from_item(item: &Item) -> Option<(Self, String)> {
        let (kind, id, order) = keys::parse_outbox(get_text(item, "sk")?)?;
        let texts = |name: &str| -> Vec<String> {
            let texts = item.get(name).and_then(|value| value.as_l().ok()).into_iter().flatten();
            texts.filter_map(|text| text.as_s().ok().cloned()).collect()
        };
        let ids = |name: &str| -> Vec<ResourceId> {
            let bytes =
                item.get(name).and_then(|value| value.as_b().ok()).map(Blob::as_ref).unwrap_or_default();
            let ids = bytes.chunks_exact(ID_BYTES).filter_map(|id| id.try_into().ok());
            ids.map(ResourceId::from_bytes).collect()
        };
        let change = Self {
            kind,
            id,
            operation: get_text(item, "op").unwrap_or_default().to_owned(),
            attributes: texts(ATTRIBUTES),
            members: ResourceKind::MEMBERS
                .into_iter()
                .flat_map(|kind| ids(&members_attribute(kind)).into_iter().map(move |id| (kind, id)))
                .collect(),
            groups: ids(GROUPS),
            usernames: texts(USERNAMES),
        };
        Some((change, order.to_owned()))
    }

    /// Whether a consumer can see the change. The one who gets the memberships of a merged user does not change itself.
    fn is_visible(&self) -> bool {
        self.operation != Operation::Merge.name()
            || !(self.attributes.is_empty() && self.members.is_empty() && self.groups.is_empty())
    }

    /// Whether the consumer has to read the resource again: it is marked, or repaired.
    pub fn is_mark(&self) -> bool {
        self.operation == MARK || self.operation == Operation::Repair.name()
    }

    /// Whether the resource itself changed. A mark says nothing of a change, and a membership is a change of the group.
    pub fn is_of_resource(&self) -> bool {
        !self.operation.is_empty() && self.operation != MARK
    }

    /// Whether the resource was created, or became the client's.
    pub fn is_creation(&self) -> bool {
        [Operation::Create, Operation::Adopt].iter().any(|operation| operation.name() == self.operation)
    }
}

/// The stored attribute with the ids of the members of a kind.
fn members_attribute(kind: ResourceKind) -> String {
    format!("members_{}", kind.name())
}
