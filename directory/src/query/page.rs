//! Queries (RFC 7644 §3.4.2): which resources, in which order, which of them on this page.
//!
//! Without a filter the counts say where to begin reading, so a page costs the same wherever it is. With one, the plan
//! finds candidates and the filter decides.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::counts::Counted;
use crate::dynamodb::items;
use crate::dynamodb::keys::{self};
use crate::dynamodb::table::Range;
use crate::nesting::Ancestry;
use crate::query::plan::Plan;
use crate::query::search::{Match, Seen};
use crate::{Directory, StoredUser};
use shared::error::{ErrorKind, ScimError};
use shared::filter::{Node, Operand, Operator, ResolvedFilter};
use shared::projection::Projection;
use shared::resource::{ResourceId, ResourceKind, represent};
use shared::sort::{Sort, SortKey};

/// A query that has to sort more resources than this in memory is refused.
pub const MOST_SORTED: usize = 50_000;
/// A page ends before its resources pass this many bytes; a Lambda answer may have 6 MB.
pub const MAX_PAGE_BYTES: usize = 4_500_000;
/// From so many resources fewer to read on, a page is read from the other end of its bucket.
const WORTH_TURNING: usize = 25;
/// Groups whose members are read at once for a page.
const GROUPS_READ_AT_ONCE: usize = 8;

/// A query on one kind of resource, or across both.
#[derive(Debug)]
pub struct Query {
    /// Which kinds, each with the filter and the projection as its schema understands them.
    pub kinds: Vec<KindQuery>,
    /// In which order.
    pub sort: Option<Sort>,
    /// Where the page begins.
    pub start: Start,
    /// The most resources on the page.
    pub count: usize,
    /// The base URL of `meta.location` and `$ref`.
    pub base_url: String,
}

impl Query {
    /// The order, unless it is the one that resources of one kind come in anyway.
    fn order(&self) -> Option<&Sort> {
        self.sort.as_ref().filter(|sort| self.kinds.len() > 1 || !sort.is_by_id())
    }
}

/// The part of a query that concerns one kind of resource.
#[derive(Debug)]
pub struct KindQuery {
    /// The kind.
    pub kind: ResourceKind,
    /// Which of them.
    pub filter: Option<ResolvedFilter>,
    /// What of them.
    pub projection: Projection,
}

impl KindQuery {
    /// Whether the groups of a user have to be known: they are answered, or are a part of the version that is.
    pub(crate) fn wants_groups(&self) -> bool {
        self.kind == ResourceKind::User && (self.projection.wants("groups") || self.projection.wants("meta"))
    }
}

/// Where a page begins.
#[derive(Clone, Debug)]
pub enum Start {
    /// At this index, from 1 (RFC 7644 §3.4.2.4).
    Index(usize),
    /// Behind this resource (RFC 9865); the first page is behind none.
    After(Option<Position>),
}

/// A resource's place in the order of a query.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Position {
    is_group: bool,
    id: String,
    key: Option<SortKey>,
}

/// A page of a query's answer.
#[derive(Debug)]
pub struct Page {
    /// How many resources match.
    pub total: usize,
    /// Those on this page, projected and serialised.
    pub resources: Vec<Box<RawValue>>,
    /// The place of the last of them, where more follow.
    pub next: Option<Position>,
    /// How the resources were found, for the log.
    pub plan: &'static str,
}

/// What a page is cut from.
struct Matches {
    total: usize,
    /// The matches from the start of the page on; one more than fit, if there are more.
    page: Vec<Match>,
    plan: &'static str,
}

impl Directory {
    /// Answers a query.
    ///
    /// # Errors
    /// `tooMany` when it would have to read or sort too much, or its first resource is too large to answer.
    pub async fn list(&self, query: &Query) -> Result<Page, ScimError> {
        let matches = self.matches(query).await?;
        let more_behind = matches.page.len() > query.count;
        let page: Vec<&Match> = matches.page.iter().take(query.count).collect();
        let (resources, passed) = self.represent_page(&page, query).await?;
        let is_last = passed == page.len() && !more_behind;
        let last = if is_last { None } else { passed.checked_sub(1).and_then(|last| page.get(last)) };
        let next = last.map(|last| Position {
            is_group: last.kind == ResourceKind::Group,
            id: last.id.to_string(),
            key: last.key.clone(),
        });
        Ok(Page { total: matches.total, resources, next, plan: matches.plan })
    }

    async fn matches(&self, query: &Query) -> Result<Matches, ScimError> {
        if let [KindQuery { kind, filter, .. }] = query.kinds.as_slice() {
            let counted = match filter.as_ref().map(|filter| &filter.root) {
                None => Some(Counted::All),
                Some(node) => is_active_filter(*kind, node),
            };
            match (counted, query.order()) {
                (Some(counted), None) => return self.page_by_id(*kind, counted, query).await,
                (Some(Counted::All), Some(sort)) => {
                    if let Some(page) = self.page_by_index(*kind, sort, query).await? {
                        return Ok(page);
                    }
                }
                _ => {}
            }
        }
        self.page_by_search(query).await
    }

    /// A page in the order of ids, found by the counts.
    async fn page_by_id(
        &self,
        kind: ResourceKind,
        counted: Counted,
        query: &Query,
    ) -> Result<Matches, ScimError> {
        let histogram = self.histogram(kind, counted).await?;
        let total = histogram.total();
        let wanted = if query.count == 0 { 0 } else { query.count + 1 };
        let found = match &query.start {
            Start::Index(index) => {
                let position = index.saturating_sub(1);
                let Some((bucket, before)) = histogram.locate(position) else {
                    return Ok(Matches { total, page: Vec::new(), plan: "page" });
                };
                let behind = histogram.of(bucket) - before;
                let is_nearer_to_end = behind + WORTH_TURNING < before + wanted.min(behind);
                if wanted > 0 && is_nearer_to_end {
                    let rest = wanted.min(total - position).saturating_sub(behind);
                    let next_bucket = Range::From(keys::bucket_end(bucket));
                    let (end, rest) = tokio::join!(
                        self.read_end(kind, bucket, behind, counted),
                        self.read_some(kind, &next_bucket, 0, rest, counted)
                    );
                    end?.into_iter().chain(rest?).take(wanted).collect()
                } else {
                    let range = Range::From(keys::bucket_start(bucket));
                    self.read_some(kind, &range, before, wanted, counted).await?
                }
            }
            Start::After(None) => self.read_some(kind, &Range::All, 0, wanted, counted).await?,
            Start::After(Some(last)) => {
                let range = Range::From(keys::after_resource(&last.id));
                self.read_some(kind, &range, 0, wanted, counted).await?
            }
        };
        let page = found
            .into_iter()
            .map(|found| Match { kind, id: found.stored.resource.id, key: None, found: Some(found) })
            .collect();
        Ok(Matches { total, page, plan: "page" })
    }

    /// Reads so many resources of a range, some skipped first.
    async fn read_some(
        &self,
        kind: ResourceKind,
        range: &Range,
        skip: usize,
        wanted: usize,
        counted: Counted,
    ) -> Result<Vec<StoredUser>, ScimError> {
        let pk = keys::resources(&self.connector.id, kind);
        let mut seen = Seen::new(skip, counted);
        let mut after = None;
        if wanted == 0 {
            return Ok(Vec::new());
        }
        loop {
            // One more, whose coming shows that the memberships of the last are complete.
            let limit = seen.items_for(skip + wanted + 1 - seen.passed);
            let (items, next) = self.table.query_page(&pk, range, after.as_deref(), Some(limit)).await?;
            for item in &items {
                seen.take(kind, item)?;
            }
            match next {
                Some(next) if seen.found.len() <= wanted => after = Some(next),
                _ => break,
            }
        }
        seen.found.truncate(wanted);
        Ok(seen.found)
    }

    /// Reads the last resources of a bucket, so many of them.
    async fn read_end(
        &self,
        kind: ResourceKind,
        bucket: u8,
        wanted: usize,
        counted: Counted,
    ) -> Result<Vec<StoredUser>, ScimError> {
        let pk = keys::resources(&self.connector.id, kind);
        let range = Range::Between(keys::bucket_start(bucket), keys::bucket_end(bucket));
        let (mut items, mut after) = (Vec::new(), None);
        let mut seen = Seen::new(0, counted);
        loop {
            let limit = seen.items_for(wanted - seen.passed);
            let (page, next) =
                self.table.query_page_in_order(&pk, &range, after.as_deref(), Some(limit), true).await?;
            items.extend(page);
            // Backwards, memberships come before whose they are: all that came is gone through in its order.
            seen = Seen::new(0, counted);
            for item in items.iter().rev() {
                seen.take(kind, item)?;
            }
            match next {
                Some(next) if seen.passed < wanted => after = Some(next),
                _ => break,
            }
        }
        let first = seen.found.len().saturating_sub(wanted);
        Ok(seen.found.split_off(first))
    }

    /// A page in the order of an index, either way, when there is one that holds every resource.
    async fn page_by_index(
        &self,
        kind: ResourceKind,
        sort: &Sort,
        query: &Query,
    ) -> Result<Option<Matches>, ScimError> {
        let schema = self.schemas.of(kind);
        let name = sort.resolve(schema)?.and_then(|sort_by| sort_by.index_name());
        let index = schema.indexes.iter().find(|index| Some(&index.name) == name.as_ref() && index.unique);
        let Some(index) = index else { return Ok(None) };
        let (mut to_skip, mut after) = match &query.start {
            Start::Index(start) => (start.saturating_sub(1), None),
            Start::After(None) => (0, None),
            Start::After(Some(Position { key: Some(SortKey::Text(sk)), .. })) => (0, Some(sk.clone())),
            Start::After(Some(_)) => return Ok(None),
        };
        let total = self.histogram(kind, Counted::All).await?.total();
        let pk = keys::index(&self.connector.id, kind, &index.name);
        let mut page = Vec::new();
        // Past the end there is nothing to skip for.
        while page.len() <= query.count && query.count > 0 && to_skip < total {
            let limit = i32::try_from(to_skip + query.count + 1 - page.len()).unwrap_or(i32::MAX);
            let (items, next) = self
                .table
                .query_page_in_order(&pk, &Range::All, after.as_deref(), Some(limit), sort.is_descending)
                .await?;
            // The entry's own sort key is its place in this order, to go on behind.
            page.extend(items.iter().skip(to_skip).filter_map(|item| {
                let key = SortKey::Text(item.get("sk")?.as_s().ok()?.clone());
                Some(Match { kind, id: items::indexed_id(item)?, key: Some(key), found: None })
            }));
            to_skip = to_skip.saturating_sub(items.len());
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        Ok(Some(Matches { total, page, plan: "sorted" }))
    }

    /// A page of what a filter matches: all matches are found, then sorted, then cut.
    async fn page_by_search(&self, query: &Query) -> Result<Matches, ScimError> {
        let mut matches = Vec::new();
        let mut plan = Plan::Nothing.name();
        for part in &query.kinds {
            let (found, name) = self.search(part, query).await?;
            matches.extend(found);
            plan = name;
        }
        if let Some(sort) = query.order() {
            if matches.len() > MOST_SORTED {
                return Err(ScimError::new(
                    ErrorKind::TooMany,
                    format!(
                        "{} resources match, and {MOST_SORTED} can be sorted; narrow the filter",
                        matches.len()
                    ),
                ));
            }
            // Stable, so resources with like values stay in the order of ids.
            matches.sort_by(|one, other| sort.compare(one.key.as_ref(), other.key.as_ref()));
        }
        let total = matches.len();
        let first = match &query.start {
            Start::Index(index) => index.saturating_sub(1),
            Start::After(None) => 0,
            Start::After(Some(last)) => matches.partition_point(|one| !is_behind(one, last, query.order())),
        };
        let page = matches.into_iter().skip(first).take(query.count + 1).collect();
        Ok(Matches { total, page, plan })
    }

    /// Reads what a page needs of its resources, and serialises them until the page is full; and says how many of them
    /// it came by.
    async fn represent_page(
        &self,
        page: &[&Match],
        query: &Query,
    ) -> Result<(Vec<Box<RawValue>>, usize), ScimError> {
        let mut found: BTreeMap<ResourceId, StoredUser> = BTreeMap::new();
        for part in &query.kinds {
            let wants_groups = part.wants_groups();
            let is_missing = |one: &&&Match| {
                one.kind == part.kind
                    && one.found.as_ref().is_none_or(|found| wants_groups && !found.has_groups)
            };
            let ids: Vec<ResourceId> = page.iter().filter(is_missing).map(|one| one.id).collect();
            let loaded = self.load(part.kind, &ids, wants_groups).await?;
            found.extend(loaded.into_iter().map(|loaded| (loaded.stored.resource.id, loaded)));
        }
        // Whoever went since the search is left out, and leaves a gap among the places.
        let (places, resources): (Vec<usize>, Vec<&StoredUser>) = page
            .iter()
            .enumerate()
            .filter_map(|(place, one)| Some((place, found.get(&one.id).or(one.found.as_ref())?)))
            .unzip();
        let groups: BTreeSet<ResourceId> =
            resources.iter().flat_map(|one| one.groups.iter().copied()).collect();
        let ancestry = self.ancestry(groups).await?;
        // Boxed one by one before the first is polled, so that no closure lives across an await.
        let represented: Vec<_> =
            resources.iter().map(|one| self.represent_one(one, &ancestry, query).boxed()).collect();
        let mut represented = stream::iter(represented).buffered(GROUPS_READ_AT_ONCE);
        let mut out = Vec::with_capacity(page.len());
        let mut size = 0;
        for place in places {
            let Some(resource) = represented.try_next().await? else { break };
            size += resource.get().len();
            if size > MAX_PAGE_BYTES {
                return if out.is_empty() { Err(too_large()) } else { Ok((out, place)) };
            }
            out.push(resource);
        }
        Ok((out, page.len()))
    }

    async fn represent_one(
        &self,
        one: &StoredUser,
        ancestry: &Ancestry,
        query: &Query,
    ) -> Result<Box<RawValue>, ScimError> {
        let resource = &one.stored.resource;
        let part = query.kinds.iter().find(|part| part.kind == resource.kind);
        let Some(part) = part else { return Err(ScimError::internal("a resource of no kind asked for")) };
        let members = match resource.kind {
            ResourceKind::Group if part.projection.wants("members") => {
                Some(self.members(resource.id, usize::MAX).await?.0)
            }
            _ => None,
        };
        let references = ancestry.references(&one.groups);
        let mut out = represent(resource, &references, members.as_deref(), &query.base_url);
        part.projection.apply(&mut out, self.schemas.of(resource.kind));
        serde_json::value::to_raw_value(&out).map_err(ScimError::internal)
    }
}

/// A group that no answer can hold.
pub fn too_large() -> ScimError {
    ScimError::new(
        ErrorKind::TooMany,
        format!(
            "The resource is larger than the {MAX_PAGE_BYTES} bytes of an answer; ask with excludedAttributes=members"
        ),
    )
}

/// `active eq true` and `active eq false` by themselves are counted.
fn is_active_filter(kind: ResourceKind, node: &Node) -> Option<Counted> {
    match node {
        Node::Compare(field, Operator::Equal, Operand::Boolean(active))
            if kind == ResourceKind::User && field.path() == "active" =>
        {
            Some(if *active { Counted::Active } else { Counted::Inactive })
        }
        _ => None,
    }
}

/// Whether a match stands behind a position in the order of the query.
fn is_behind(one: &Match, last: &Position, sort: Option<&Sort>) -> bool {
    let by_key = sort.map(|sort| sort.compare(one.key.as_ref(), last.key.as_ref()));
    let by_id = (one.kind == ResourceKind::Group)
        .cmp(&last.is_group)
        .then_with(|| one.id.to_string().as_str().cmp(last.id.as_str()));
    by_key.unwrap_or(std::cmp::Ordering::Equal).then(by_id).is_gt()
}
