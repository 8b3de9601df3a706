//! Acknowledging events: deletes the items from which they were made.

use std::collections::BTreeSet;

use futures_util::FutureExt as _;
use shared::error::ScimError;

use super::Outbox;
use super::jti::Jti;
use super::outbox::Change;
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::{Range, concurrently};

/// The events whose items are found and deleted at once, which bounds the memory of a request.
const EVENTS_AT_ONCE: usize = 1_000;

impl Outbox {
    /// Deletes the items of these events, so that they are not sent again. Ids of events that were not sent, or that are
    /// acknowledged already, do nothing. If an item of the event's resource became visible between the others since the event
    /// was made, the event is left; a new one with all items replaces it.
    ///
    /// # Errors
    /// Fails when DynamoDB does. Then some of the events may remain, and be sent again.
    pub async fn acknowledge(&self, jtis: &[String]) -> Result<(), ScimError> {
        let jtis: BTreeSet<&String> = jtis.iter().collect();
        let jtis: Vec<&String> = jtis.into_iter().collect();
        for jtis in jtis.chunks(EVENTS_AT_ONCE) {
            let reads = jtis.iter().filter_map(|jti| Jti::parse(jti)).map(|jti| self.items_of(jti).boxed());
            let keys: BTreeSet<Key> = concurrently(reads.collect()).await?.into_iter().flatten().collect();
            self.directory.table.delete_all(&keys.into_iter().collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    /// Finds the items of an event.
    async fn items_of(&self, jti: Jti) -> Result<Vec<Key>, ScimError> {
        let pk = self.partition();
        let Jti::Several { kind, id, count, .. } = &jti else {
            let Jti::One(sk) = jti else { return Ok(Vec::new()) };
            return Ok(vec![Key { pk, sk }]);
        };
        let prefix = keys::outbox_prefix(*kind, *id);
        let range = Range::Prefix(prefix.clone());
        let (items, _) =
            self.directory.table.query_page(&pk, &range, None, i32::try_from(*count).ok()).await?;
        let orders: Vec<String> =
            items.iter().filter_map(|item| Change::from_item(item).map(|(_, order)| order)).collect();
        if Jti::of(*kind, *id, &orders) != jti {
            return Ok(Vec::new());
        }
        Ok(orders.into_iter().map(|order| Key { pk: pk.clone(), sk: format!("{prefix}{order}") }).collect())
    }
}
