//! The ids of events (`jti`, RFC 7519 §4.1.7). An id names the items from which the event was made, so nothing has to be
//! stored to acknowledge it, and the event has the same id each time it is sent.
//!
//! | items | id |
//! | --- | --- |
//! | one | its sort key |
//! | several | kind and id of the resource, `/`, number of items, `.`, hash of their sort keys |
//!
//! Sort keys have 128 random bits, so the id of an event that was not sent cannot be guessed.

use sha2::{Digest, Sha256};
use shared::resource::{ResourceId, ResourceKind};

use super::outbox::is_order;
use super::waiting::MAX_ITEMS_OF_EVENT;
use crate::dynamodb::keys;
use crate::hex::hex;

/// The number of bytes of the hash.
const HASH_BYTES: usize = 16;

/// The id of an event, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Jti {
    /// The event of one item, with this sort key.
    One(String),
    /// The event of several items of a resource.
    Several { kind: ResourceKind, id: ResourceId, count: usize, hash: String },
}

impl Jti {
    /// Makes the id of the event of these items of a resource. `orders` are the ends of their sort keys.
    pub fn of(kind: ResourceKind, id: ResourceId, orders: &[String]) -> Self {
        match orders {
            [order] => Self::One(format!("{}{order}", keys::outbox_prefix(kind, id))),
            _ => Self::Several { kind, id, count: orders.len(), hash: hash(orders) },
        }
    }

    /// Reads an id; `None` when the text cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id, rest) = keys::parse_outbox(text)?;
        match rest.split_once('.') {
            None => is_order(rest).then(|| Self::One(text.to_owned())),
            Some((count, hash)) => {
                let count = count.parse().ok().filter(|count| (2..=MAX_ITEMS_OF_EVENT).contains(count))?;
                Some(Self::Several { kind, id, count, hash: hash.to_owned() })
            }
        }
    }

    /// The text of the id.
    pub fn text(&self) -> String {
        match self {
            Self::One(sk) => sk.clone(),
            Self::Several { kind, id, count, hash } => {
                format!("{}{count}.{hash}", keys::outbox_prefix(*kind, *id))
            }
        }
    }
}

fn hash(orders: &[String]) -> String {
    let mut hash = Sha256::new();
    for order in orders {
        hash.update(order);
        hash.update([0]);
    }
    hex(hash.finalize().iter().take(HASH_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_of_an_event_names_its_items() {
        let resource = ResourceId::from_bytes([7; 16]);
        let orders = [0, 1].map(|_| super::super::outbox::order(jiff::Timestamp::now()));
        for count in [1, 2] {
            let jti = Jti::of(ResourceKind::User, resource, orders.get(..count).unwrap());
            assert_eq!(Jti::parse(&jti.text()), Some(jti));
        }
        let [one, other] = [&["a", "b"], &["ab", ""]]
            .map(|orders| Jti::of(ResourceKind::User, resource, &orders.map(str::to_owned)).text());
        assert_ne!(one, other);
        for rest in ["", "1", "1.x", "0.x", "65.x", "-1.x", "99999999999999999999.x"] {
            let text = format!("{}{rest}", keys::outbox_prefix(ResourceKind::User, resource));
            assert_eq!(Jti::parse(&text), None, "{text}");
        }
        for text in ["", "u", "u/", "x07070707-0707-0707-0707-070707070707/2.x"] {
            assert_eq!(Jti::parse(text), None, "{text}");
        }
    }
}
