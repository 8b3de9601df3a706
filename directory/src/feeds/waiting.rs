//! Reading a feed: merges the items of each resource that wait in the outbox.

use std::collections::{BTreeMap, BTreeSet};

use shared::error::ScimError;
use shared::resource::{ResourceId, ResourceKind};

use super::jti::Jti;
use super::namesakes::Namesakes;
use super::outbox::Change;
use super::{Event, Outbox};
use crate::dynamodb::keys;
use crate::dynamodb::table::Range;

/// The most items that one event is made of. Each names at most 48 members, so an event has at most 250 KB.
pub(super) const MAX_ITEMS_OF_EVENT: usize = 54;
/// After this many memberships, a batch ends with the present resource: each costs two reads.
const MAX_MEMBERSHIPS: usize = 5_000;
/// A read ends after this many resources without an event. It costs as much as a poll of the most events.
const MAX_PASSED: usize = 1_000;
/// The items that are read at once.
const ITEMS_AT_ONCE: i32 = 1_000;

/// Events that wait for their consumer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The events, at most one of each resource.
    pub events: Vec<Event>,
    /// Whether more events wait.
    pub has_more: bool,
}

/// The waiting changes of one resource, merged.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub kind: ResourceKind,
    pub id: ResourceId,
    /// The ends of the items' sort keys, in order.
    pub orders: Vec<String>,
    pub is_created: bool,
    pub is_marked: bool,
    pub attributes: BTreeSet<String>,
    /// The members that joined or left, with their kinds.
    pub members: BTreeMap<ResourceId, ResourceKind>,
    /// The groups that the member left.
    pub groups: BTreeSet<ResourceId>,
    /// Whether the resource itself changed.
    pub is_changed: bool,
    /// The values that left or joined the index of usernames.
    pub usernames: BTreeSet<String>,
}

impl Waiting {
    fn new(kind: ResourceKind, id: ResourceId) -> Self {
        Self {
            kind,
            id,
            orders: Vec::new(),
            is_created: false,
            is_marked: false,
            attributes: BTreeSet::new(),
            members: BTreeMap::new(),
            groups: BTreeSet::new(),
            is_changed: false,
            usernames: BTreeSet::new(),
        }
    }

    fn add(&mut self, change: Change, order: String) {
        self.is_created |= change.is_creation();
        self.is_marked |= change.is_mark();
        self.is_changed |= change.is_of_resource();
        // Which schemas a document names follows from its attributes.
        self.attributes.extend(change.attributes.into_iter().filter(|name| name != "schemas"));
        self.members.extend(change.members.into_iter().map(|(kind, id)| (id, kind)));
        self.groups.extend(change.groups);
        self.usernames.extend(change.usernames);
        self.orders.push(order);
    }

    /// The id of the event that is made of these changes.
    pub fn jti(&self) -> Jti {
        Jti::of(self.kind, self.id, &self.orders)
    }
}

impl Outbox {
    /// Reads the events of at most `most` resources, from the resource after that of the event `after` to the end, and then from the start. A
    /// consumer that names the last event that it acknowledged gets each resource in its turn, even if it is slower than the changes.
    ///
    /// # Errors
    /// Fails when DynamoDB does, or at the deadline.
    pub async fn read(&self, after: Option<&str>, most: usize) -> Result<Batch, ScimError> {
        let first = after.and_then(after_event);
        let mut batch = self.read_part(first.clone(), None, most, Namesakes::Mark).await?;
        if let Some(end) = first
            && !batch.has_more
        {
            let most = most - batch.events.len();
            let rest = self.read_part(None, Some(&end), most, Namesakes::Mark).await?;
            batch.events.extend(rest.events);
            batch.has_more = rest.has_more;
        }
        Ok(batch)
    }

    /// Reads the events of at most `most` resources after the resource of the event `after`, to the end.
    ///
    /// # Errors
    /// As for [`Outbox::read`].
    pub async fn read_onwards(&self, after: Option<&str>, most: usize) -> Result<Batch, ScimError> {
        self.read_part(after.and_then(after_event), None, most, Namesakes::Mark).await
    }

    /// Reads as [`Outbox::read_onwards`] does, and writes nothing: for an operator who watches a feed.
    ///
    /// # Errors
    /// As for [`Outbox::read`].
    pub async fn look_onwards(&self, after: Option<&str>, most: usize) -> Result<Batch, ScimError> {
        self.read_part(after.and_then(after_event), None, most, Namesakes::Leave).await
    }

    /// Reads the events of at most `most` resources, from the sort key `from` on and before the sort key `end`. If none of these
    /// resources has an event, because each is a group that is being created or cannot be read, it goes on to the next ones. So the
    /// others do not wait for them.
    async fn read_part(
        &self,
        mut from: Option<String>,
        end: Option<&str>,
        most: usize,
        namesakes: Namesakes,
    ) -> Result<Batch, ScimError> {
        let (mut at_once, mut passed) = (most, 0);
        loop {
            let (waiting, mut has_more) = self.waiting_in(from, end, at_once).await?;
            let next = waiting.last().map(|last| keys::after_outbox_of(last.kind, last.id));
            passed += waiting.len();
            let mut events = self.events(waiting, namesakes).await?;
            if !events.is_empty() || !has_more || next.is_none() || passed >= MAX_PASSED {
                has_more |= events.len() > most;
                events.truncate(most);
                return Ok(Batch { events, has_more });
            }
            from = next;
            at_once *= 2;
        }
    }

    /// Merges the items of at most `most` resources, from the sort key `from` on and before the sort key `end`. Also returns
    /// whether there are more items.
    async fn waiting_in(
        &self,
        mut from: Option<String>,
        end: Option<&str>,
        most: usize,
    ) -> Result<(Vec<Waiting>, bool), ScimError> {
        let pk = self.partition();
        let mut found: Vec<Waiting> = Vec::new();
        let mut has_skipped = false;
        let mut memberships = 0;
        'pages: loop {
            let range = from.take().map_or(Range::All, Range::From);
            let mut after = None;
            loop {
                let (items, next) = self
                    .directory
                    .table
                    .query_page(&pk, &range, after.as_deref(), Some(ITEMS_AT_ONCE))
                    .await?;
                for item in &items {
                    let Some((change, order)) = Change::from_item(item) else { continue };
                    let resource = (change.kind, change.id);
                    if end.is_some_and(|end| *keys::outbox_prefix(change.kind, change.id) >= *end) {
                        return Ok((found, has_skipped));
                    }
                    let is_next = found.last().is_none_or(|last| (last.kind, last.id) != resource);
                    if is_next && (found.len() == most || memberships >= MAX_MEMBERSHIPS) {
                        return Ok((found, true));
                    }
                    if is_next {
                        found.push(Waiting::new(change.kind, change.id));
                    }
                    let Some(last) = found.last_mut() else { continue };
                    if last.orders.len() == MAX_ITEMS_OF_EVENT {
                        // The rest of this resource's items is for its next event.
                        has_skipped = true;
                        from = Some(keys::after_outbox_of(last.kind, last.id));
                        continue 'pages;
                    }
                    memberships += change.members.len() + change.groups.len();
                    last.add(change, order);
                }
                match next {
                    Some(next) => after = Some(next),
                    None => return Ok((found, has_skipped)),
                }
            }
        }
    }
}

/// The first sort key after the items of an event's resource; `None` if the text is no id of an event.
fn after_event(jti: &str) -> Option<String> {
    let (kind, id, _) = keys::parse_outbox(jti)?;
    Some(keys::after_outbox_of(kind, id))
}
