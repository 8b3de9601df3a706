//! Reads one page of a query.
//!
//! Without a filter, the counts show where the page begins, so every page costs the same. With a filter, all
//! matches are found and sorted, and the page is a part of them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use shared::error::{ErrorKind, ScimError};
use shared::filter::{Node, Operand, Operator};
use shared::resource::{Member, ResourceId, ResourceKind};
use shared::sort::{Sort, SortKey};

use super::plan::Plan;
use super::search::search;
use super::walk::Collector;
use super::{Found, KindQuery, Match, Page, Position, Query, Start};
use crate::counts::{Counted, Histogram};
use crate::dynamodb::attributes::Item;
use crate::dynamodb::items;
use crate::dynamodb::keys;
use crate::dynamodb::table::Range;
use crate::{Directory, StoredUser};

/// The maximum number of resources that a query can sort in memory.
const MAX_SORTED: usize = 50_000;
/// A page is read backwards from the end of its bucket if this saves reading more than this number of
/// resources.
const MIN_SAVED_BY_READING_BACKWARDS: usize = 25;
/// The number of groups whose members are read at the same time.
const GROUPS_READ_AT_ONCE: usize = 8;

/// The matches of a query from the start of the page.
struct Matches {
    /// The number of all matches.
    total: usize,
    /// The matches from the start of the page. If more follow the page, there is at least one more match than
    /// the page size.
    page: Vec<Match>,
    plan: &'static str,
}

/// Reads one page, and calls `take` with each of its resources.
pub(super) async fn read(
    directory: &Directory,
    query: &Query,
    take: impl FnMut(Found<'_>) -> Result<ControlFlow<()>, ScimError> + Send,
) -> Result<Page, ScimError> {
    let matches = find(directory, query).await?;
    let has_more = matches.page.len() > query.count;
    let page: Vec<&Match> = matches.page.iter().take(query.count).collect();
    let passed = pass_resources(directory, &page, query, take).await?;
    let is_last = passed == page.len() && !has_more;
    let last = if is_last { None } else { passed.checked_sub(1).and_then(|last| page.get(last)) };
    let next = last.map(|last| Position {
        is_group: last.kind == ResourceKind::Group,
        id: last.id.to_string(),
        key: last.key.clone(),
    });
    Ok(Page { total: matches.total, next, plan: matches.plan })
}

/// Finds the matches of a page in the cheapest way.
async fn find(directory: &Directory, query: &Query) -> Result<Matches, ScimError> {
    if let [KindQuery { kind, filter, .. }] = query.kinds.as_slice() {
        let counted = match filter.as_ref().map(|filter| &filter.root) {
            None => Some(Counted::All),
            Some(node) => counted_by(*kind, node),
        };
        match (counted, query.order()) {
            (Some(counted), None) => return by_id(directory, *kind, counted, query).await,
            (Some(Counted::All), Some(sort)) => {
                if let Some(page) = by_index(directory, *kind, sort, query).await? {
                    return Ok(page);
                }
            }
            _ => {}
        }
    }
    by_search(directory, query).await
}

/// Finds a page in the order of ids. The counts show where it begins. The first page, and a page after a cursor, begin at a known
/// place, so the counts are read beside them.
async fn by_id(
    directory: &Directory,
    kind: ResourceKind,
    counted: Counted,
    query: &Query,
) -> Result<Matches, ScimError> {
    let counts = async {
        let (histogram, local) =
            tokio::try_join!(directory.histogram(kind, counted), directory.local_users_to_hide(kind))?;
        let users = histogram.total();
        Ok((users, histogram.without(local.counted(counted))))
    };
    let wanted = if query.count == 0 { 0 } else { query.count + 1 };
    let (total, found) = match &query.start {
        Start::Index(index) if *index > 1 => {
            let (users, histogram) = counts.await?;
            let total = histogram.total();
            let reader = Reader { directory, kind, counted, users, listed: total };
            (total, reader.read_from(index - 1, wanted, &histogram).await?)
        }
        start => {
            let range = match start {
                Start::After(Some(last)) => Range::From(keys::after_resource(&last.id)),
                _ => Range::All,
            };
            // Until the counts are known, all resources count as listed.
            let reader = Reader { directory, kind, counted, users: 1, listed: 1 };
            let ((_, histogram), found) = tokio::try_join!(counts, reader.read(&range, 0, wanted))?;
            (histogram.total(), found)
        }
    };
    let page = found
        .into_iter()
        .map(|found| Match { kind, id: found.stored.resource.id, key: None, found: Some(found) })
        .collect();
    Ok(Matches { total, page, plan: "page" })
}

/// Reads counted resources of one kind in the order of their ids.
struct Reader<'d> {
    directory: &'d Directory,
    kind: ResourceKind,
    counted: Counted,
    /// The number of counted resources, with those that the list leaves out.
    users: usize,
    /// The number of resources that the list shows.
    listed: usize,
}

impl Reader<'_> {
    fn collector(&self, skip: usize) -> Collector {
        let hides_local_users = self.directory.hides_local_users(self.kind);
        Collector::new(skip, self.counted, hides_local_users).expecting(self.users, self.listed)
    }

    /// Reads `wanted` resources from a position on, which counts from 0. Returns none if the position is after the end.
    async fn read_from(
        &self,
        position: usize,
        wanted: usize,
        histogram: &Histogram,
    ) -> Result<Vec<StoredUser>, ScimError> {
        let Some((bucket, before)) = histogram.locate(position) else { return Ok(Vec::new()) };
        let after = histogram.of(bucket) - before;
        let is_nearer_to_end = after + MIN_SAVED_BY_READING_BACKWARDS < before + wanted.min(after);
        if wanted == 0 || !is_nearer_to_end {
            return self.read(&Range::From(keys::bucket_start(bucket)), before, wanted).await;
        }
        let rest = wanted.min(self.listed - position).saturating_sub(after);
        let next_bucket = Range::From(keys::bucket_end(bucket));
        let (end, rest) = tokio::join!(self.read_end(bucket, after), self.read(&next_bucket, 0, rest));
        Ok(end?.into_iter().chain(rest?).take(wanted).collect())
    }

    /// Skips the first `skip` resources of a range, and reads the next `wanted` ones.
    async fn read(&self, range: &Range, skip: usize, wanted: usize) -> Result<Vec<StoredUser>, ScimError> {
        let pk = keys::resources(&self.directory.connector.id, self.kind);
        let mut collector = self.collector(skip);
        let mut after = None;
        if wanted == 0 {
            return Ok(Vec::new());
        }
        loop {
            // The memberships of a resource are complete when the next resource has been read. So one more is
            // read.
            let limit = collector.items_for(skip + wanted + 1 - collector.passed);
            let table = &self.directory.table;
            let (items, next) = table.query_page(&pk, range, after.as_deref(), Some(limit)).await?;
            for item in &items {
                collector.take(self.kind, item)?;
            }
            match next {
                Some(next) if collector.found.len() <= wanted => after = Some(next),
                _ => break,
            }
        }
        collector.found.truncate(wanted);
        Ok(collector.found)
    }

    /// Reads the last `wanted` resources of a bucket.
    async fn read_end(&self, bucket: u8, wanted: usize) -> Result<Vec<StoredUser>, ScimError> {
        let pk = keys::resources(&self.directory.connector.id, self.kind);
        let range = Range::Between(keys::bucket_start(bucket), keys::bucket_end(bucket));
        let (mut items, mut after) = (Vec::new(), None);
        let mut collector = self.collector(0);
        loop {
            let limit = collector.items_for(wanted - collector.passed);
            let table = &self.directory.table;
            let (page, next) =
                table.query_page_in_order(&pk, &range, after.as_deref(), Some(limit), true).await?;
            items.extend(page);
            // In reverse order, memberships come before their member. So the items are collected in ascending
            // order.
            collector = self.collector(0);
            for item in items.iter().rev() {
                collector.take(self.kind, item)?;
            }
            match next {
                Some(next) if collector.passed < wanted => after = Some(next),
                _ => break,
            }
        }
        let first = collector.found.len().saturating_sub(wanted);
        Ok(collector.found.split_off(first))
    }
}

/// Finds a page in the order of an index, ascending or descending. Returns `None` if there is no ready index
/// that has exactly one entry for each resource.
async fn by_index(
    directory: &Directory,
    kind: ResourceKind,
    sort: &Sort,
    query: &Query,
) -> Result<Option<Matches>, ScimError> {
    let schema = directory.schemas.of(kind);
    let name = sort.resolve(schema)?.and_then(|sort_by| sort_by.index_name());
    let index = directory
        .ready_indexes(kind)
        .find(|index| Some(&index.name) == name.as_ref() && index.unique && index.required);
    let Some(index) = index else { return Ok(None) };
    let (mut to_skip, mut after) = match &query.start {
        Start::Index(start) => (start.saturating_sub(1), None),
        Start::After(None) => (0, None),
        Start::After(Some(Position { key: Some(SortKey::Text(sk)), .. })) => (0, Some(sk.clone())),
        Start::After(Some(_)) => return Ok(None),
    };
    let (histogram, local) =
        tokio::try_join!(directory.histogram(kind, Counted::All), directory.local_users_to_hide(kind))?;
    let total = histogram.without(local.counted(Counted::All)).total();
    let pk = keys::index(&directory.connector.id, kind, &index.name);
    let mut page = Vec::new();
    // A page after the end needs no reading.
    while page.len() <= query.count && query.count > 0 && to_skip < total {
        let limit = i32::try_from(to_skip + query.count + 1 - page.len()).unwrap_or(i32::MAX);
        let (items, next) = directory
            .table
            .query_page_in_order(&pk, &Range::All, after.as_deref(), Some(limit), sort.is_descending)
            .await?;
        // The sort key of an index entry is its position in this order. The next page begins after the last
        // position.
        let is_listed = |item: &&Item| items::indexed_id(item).is_none_or(|id| !local.contains(id));
        let listed: Vec<&Item> = items.iter().filter(is_listed).collect();
        page.extend(listed.iter().skip(to_skip).filter_map(|item| {
            let key = SortKey::Text(item.get("sk")?.as_s().ok()?.clone());
            Some(Match { kind, id: items::indexed_id(item)?, key: Some(key), found: None })
        }));
        to_skip = to_skip.saturating_sub(listed.len());
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    Ok(Some(Matches { total, page, plan: "sorted" }))
}

/// Finds all matches and sorts them. The page is a part of them.
async fn by_search(directory: &Directory, query: &Query) -> Result<Matches, ScimError> {
    let mut matches = Vec::new();
    let mut plan = Plan::Nothing.name();
    for part in &query.kinds {
        let (found, name) = search(directory, part, query).await?;
        matches.extend(found);
        plan = name;
    }
    if let Some(sort) = query.order() {
        if matches.len() > MAX_SORTED {
            return Err(ScimError::new(
                ErrorKind::TooMany,
                format!(
                    "The query would sort {} resources; the maximum is {MAX_SORTED}. Use a filter that matches fewer",
                    matches.len()
                ),
            ));
        }
        // The sort is stable: resources with equal values stay in the order of their ids.
        matches.sort_by(|one, other| sort.compare(one.key.as_ref(), other.key.as_ref()));
    }
    let total = matches.len();
    let first = match &query.start {
        Start::Index(index) => index.saturating_sub(1),
        Start::After(None) => 0,
        Start::After(Some(last)) => matches.partition_point(|one| !is_after(one, last, query.order())),
    };
    let page = matches.into_iter().skip(first).take(query.count + 1).collect();
    Ok(Matches { total, page, plan })
}

/// Reads the parts of the page's resources that the query needs, and calls `take` with each until it breaks.
/// Returns the number of matches on the page.
async fn pass_resources(
    directory: &Directory,
    page: &[&Match],
    query: &Query,
    mut take: impl FnMut(Found<'_>) -> Result<ControlFlow<()>, ScimError> + Send,
) -> Result<usize, ScimError> {
    let mut loaded: BTreeMap<ResourceId, StoredUser> = BTreeMap::new();
    for part in &query.kinds {
        let reads_groups = part.reads_groups();
        let is_missing = |one: &&&Match| {
            one.kind == part.kind && one.found.as_ref().is_none_or(|found| reads_groups && !found.has_groups)
        };
        let ids: Vec<ResourceId> = page.iter().filter(is_missing).map(|one| one.id).collect();
        let found = directory.load(part.kind, &ids, reads_groups).await?;
        loaded.extend(found.into_iter().map(|found| (found.stored.resource.id, found)));
    }
    // Resources that were deleted after the search are left out.
    let (indexes, resources): (Vec<usize>, Vec<&StoredUser>) = page
        .iter()
        .enumerate()
        .filter_map(|(index, one)| Some((index, loaded.get(&one.id).or(one.found.as_ref())?)))
        .unzip();
    let groups: BTreeSet<ResourceId> = resources.iter().flat_map(|one| one.groups.iter().copied()).collect();
    let ancestry = directory.nesting().ancestry(groups).await?;
    let reads_members = query.kinds.iter().any(KindQuery::reads_members);
    // The futures are boxed before the first is polled, so that no closure is held across an await.
    let members: Vec<_> =
        resources.iter().map(|one| members_of(directory, one, reads_members).boxed()).collect();
    let mut members = stream::iter(members).buffered(GROUPS_READ_AT_ONCE);
    for (index, one) in indexes.into_iter().zip(resources) {
        let Some(members) = members.try_next().await? else { break };
        let groups = ancestry.references(&one.groups);
        if take(Found { resource: &one.stored.resource, groups, members })?.is_break() {
            return Ok(index);
        }
    }
    Ok(page.len())
}

/// Reads the members of a group, if the query needs them.
async fn members_of(
    directory: &Directory,
    one: &StoredUser,
    reads_members: bool,
) -> Result<Option<Vec<Member>>, ScimError> {
    let resource = &one.stored.resource;
    if resource.kind != ResourceKind::Group || !reads_members {
        return Ok(None);
    }
    Ok(Some(directory.memberships().members(resource.id, usize::MAX).await?.0))
}

/// Returns the counts for the filters `active eq true` and `active eq false`, and `None` for other filters.
fn counted_by(kind: ResourceKind, node: &Node) -> Option<Counted> {
    match node {
        Node::Compare(field, Operator::Equal, Operand::Boolean(active))
            if kind == ResourceKind::User && field.path() == "active" =>
        {
            Some(if *active { Counted::Active } else { Counted::Inactive })
        }
        _ => None,
    }
}

/// Whether a match comes after a position in the order of the query.
fn is_after(one: &Match, last: &Position, sort: Option<&Sort>) -> bool {
    let by_key = sort.map(|sort| sort.compare(one.key.as_ref(), last.key.as_ref()));
    let by_id = (one.kind == ResourceKind::Group)
        .cmp(&last.is_group)
        .then_with(|| one.id.to_string().as_str().cmp(last.id.as_str()));
    by_key.unwrap_or(Ordering::Equal).then(by_id).is_gt()
}
