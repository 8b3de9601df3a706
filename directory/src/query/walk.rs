//! Reads the partition of one kind of resource, in which the memberships of each resource follow the
//! resource.

use shared::error::ScimError;
use shared::resource::{ResourceId, ResourceKind};

use crate::counts::Counted;
use crate::dynamodb::attributes::Item;
use crate::dynamodb::items;
use crate::dynamodb::keys;
use crate::dynamodb::table::Range;
use crate::{Directory, StoredUser};

/// Reads the resources of one kind in the order of their ids, one page of items at a time.
#[derive(Debug)]
pub struct Walk<'d> {
    directory: &'d Directory,
    kind: ResourceKind,
    range: Range,
    collector: Collector,
    after: Option<String>,
    is_done: bool,
}

impl<'d> Walk<'d> {
    /// Walks through a range of the resources that a list shows.
    pub(super) fn new(directory: &'d Directory, kind: ResourceKind, range: Range) -> Self {
        let collector = Collector::new(0, Counted::All, directory.hides_local_users(kind));
        Self { directory, kind, range, collector, after: None, is_done: false }
    }

    /// Walks through all resources, including the deleted users that the connector keeps for operators.
    pub(super) fn with_retained(directory: &'d Directory, kind: ResourceKind) -> Self {
        let mut walk = Self::new(directory, kind, Range::All);
        walk.collector.with_retained = true;
        walk
    }

    /// Reads the next resources, with the groups of each. Returns `None` at the end.
    ///
    /// # Errors
    /// Fails when DynamoDB does, or when an item cannot be read.
    pub async fn next(&mut self) -> Result<Option<Vec<StoredUser>>, ScimError> {
        if self.is_done {
            return Ok(None);
        }
        let pk = keys::resources(&self.directory.connector.id, self.kind);
        let page = self.directory.table.query_page(&pk, &self.range, self.after.as_deref(), None).await?;
        let (items, next) = page;
        for item in &items {
            self.collector.take(self.kind, item)?;
        }
        // The memberships of the last resource may continue on the next page.
        let rest = match next {
            Some(_) => self.collector.found.split_off(self.collector.found.len().saturating_sub(1)),
            None => Vec::new(),
        };
        self.is_done = next.is_none();
        self.after = next;
        Ok(Some(std::mem::replace(&mut self.collector.found, rest)))
    }
}

impl Directory {
    /// Reads the first resources of a kind after an id, with their groups: one more than `wanted`, if there are so many. The groups
    /// of that last one can be incomplete. `with_retained` includes the deleted users that the connector keeps for operators.
    pub(crate) async fn resources_after(
        &self,
        kind: ResourceKind,
        after: Option<ResourceId>,
        wanted: usize,
        with_retained: bool,
    ) -> Result<Vec<StoredUser>, ScimError> {
        let pk = keys::resources(&self.connector.id, kind);
        let range = keys::range_after(after);
        let mut collector = Collector { with_retained, ..Collector::new(0, Counted::All, false) };
        let mut start: Option<String> = None;
        loop {
            let limit = collector.items_for(wanted + 1 - collector.passed);
            let (items, next) = self.table.query_page(&pk, &range, start.as_deref(), Some(limit)).await?;
            for item in &items {
                collector.take(kind, item)?;
            }
            match next {
                Some(next) if collector.passed <= wanted => start = Some(next),
                _ => break,
            }
        }
        collector.found.truncate(wanted + 1);
        Ok(collector.found)
    }
}

/// Collects resources and their groups from the items of a partition.
#[derive(Debug)]
pub(super) struct Collector {
    skip: usize,
    counted: Counted,
    /// Whether to leave out local users.
    hides_local_users: bool,
    /// Whether to collect also the deleted users that the connector keeps for operators.
    with_retained: bool,
    /// The number of resources so far, including the skipped ones.
    pub(super) passed: usize,
    /// The number of items so far.
    items: usize,
    /// The ratio of items to resources before the first item is read.
    expected: (usize, usize),
    /// The resources after the skipped ones.
    pub(super) found: Vec<StoredUser>,
}

impl Collector {
    /// Makes a collector that skips the first `skip` of the counted resources.
    pub(super) fn new(skip: usize, counted: Counted, hides_local_users: bool) -> Self {
        Self {
            skip,
            counted,
            hides_local_users,
            with_retained: false,
            passed: 0,
            items: 0,
            expected: (1, 1),
            found: Vec::new(),
        }
    }

    /// Makes a collector that expects this number of users in the partition, of whom a list shows `listed`.
    pub(super) fn expecting(self, users: usize, listed: usize) -> Self {
        Self { expected: (users, listed), ..self }
    }

    /// Estimates the number of items to read for `missing` more resources, from the ratio of items to
    /// resources so far. An item is a resource or a membership.
    pub(super) fn items_for(&self, missing: usize) -> i32 {
        let (items, resources) = if self.items == 0 { self.expected } else { (self.items, self.passed) };
        let is_exact = self.items == 0 && items == resources;
        let items = if is_exact { missing } else { missing * items / resources.max(1) * 5 / 4 + 10 };
        i32::try_from(items).unwrap_or(i32::MAX)
    }

    /// Takes the next item.
    pub(super) fn take(&mut self, kind: ResourceKind, item: &Item) -> Result<(), ScimError> {
        self.items += 1;
        match items::ids(item) {
            Some((id, Some(group))) => {
                // A membership can still exist for a moment after its member is deleted. It is then ignored.
                if let Some(last) = self.found.last_mut().filter(|last| last.stored.resource.id == id) {
                    last.groups.push(group);
                }
            }
            Some((_, None)) => {
                let is_counted = match self.counted {
                    Counted::All => true,
                    Counted::Active => items::stored_active(item) == Some(true),
                    Counted::Inactive => items::stored_active(item) != Some(true),
                };
                let is_visible =
                    !items::is_deleting(item) || (self.with_retained && items::is_retained(item));
                let is_left_out = self.hides_local_users && items::is_local(item);
                if is_counted && is_visible && !is_left_out {
                    self.passed += 1;
                    if self.passed > self.skip {
                        let stored = items::to_stored(kind, item)?;
                        self.found.push(StoredUser { stored, groups: Vec::new(), has_groups: true });
                    }
                }
            }
            None => {}
        }
        Ok(())
    }
}
