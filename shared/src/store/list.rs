//! Queries (RFC 7644 §3.4.2): which resources, in which order, which of them on this page.
//!
//! Without a filter the counts say where to begin reading, so a page costs the same wherever it is. With one, the plan
//! finds candidates and the filter decides.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::counts::Counted;
use super::item;
use super::keys::{self, Key};
use super::nesting::Ancestry;
use super::plan::Plan;
use super::table::{Item, Range, concurrently};
use super::{Directory, StoredUser};
use crate::error::{ErrorKind, ScimError};
use crate::filter::{Node, Operand, Operator, ResolvedFilter};
use crate::projection::Projection;
use crate::resource::{Member, ResourceId, ResourceKind, represent};
use crate::sort::{Sort, SortBy, SortKey};

/// A query that has to read more resources than this one by one is refused.
pub const MOST_SCANNED: usize = 200_000;
/// A query that has to sort more resources than this in memory is refused.
pub const MOST_SORTED: usize = 50_000;
/// Matches of which the documents are kept while others are looked for; of the rest, ids only.
const MOST_KEPT: usize = 5_000;
/// A page ends before its resources pass this many bytes; a Lambda answer may have 6 MB.
pub const LONGEST_PAGE: usize = 4_500_000;
/// Below this many resources a partition is read in one go.
const SMALL_DIRECTORY: usize = 500;
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

/// A resource that matches, and its document unless too many do.
#[derive(Debug)]
struct Match {
    kind: ResourceKind,
    id: ResourceId,
    key: Option<SortKey>,
    found: Option<StoredUser>,
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
        let resources = self.represent_page(&page, query).await?;
        let is_last = resources.len() == page.len() && !more_behind;
        let next =
            if is_last { None } else { resources.len().checked_sub(1).and_then(|last| page.get(last)) };
        let next = next.map(|last| Position {
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
            match (counted, &query.sort) {
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
        let (range, skip) = match &query.start {
            Start::Index(index) => match histogram.locate(index.saturating_sub(1)) {
                Some((bucket, skip)) => (Range::From(format!("{bucket:02x}")), skip),
                None => return Ok(Matches { total, page: Vec::new(), plan: "page" }),
            },
            Start::After(None) => (Range::All, 0),
            // `0` is the character behind the slash, so this passes the memberships of that resource as well.
            Start::After(Some(last)) => (Range::From(format!("{}0", last.id)), 0),
        };
        let wanted = if query.count == 0 { 0 } else { query.count + 1 };
        let found = self.read_some(kind, &range, skip, wanted, counted).await?;
        let page = found
            .into_iter()
            .map(|found| Match { kind, id: found.stored.resource.id, key: None, found: Some(found) })
            .collect();
        Ok(Matches { total, page, plan: "page" })
    }

    /// Reads so many resources of a range, some skipped first. An item is a resource or a membership of the one before
    /// it, so how many items to ask for is learnt from those that came.
    async fn read_some(
        &self,
        kind: ResourceKind,
        range: &Range,
        skip: usize,
        wanted: usize,
        counted: Counted,
    ) -> Result<Vec<StoredUser>, ScimError> {
        let pk = keys::resources(&self.connector, kind);
        let mut seen = Seen { skip, counted, passed: 0, found: Vec::new(), items: 0 };
        let mut after = None;
        if wanted == 0 {
            return Ok(Vec::new());
        }
        loop {
            // One more, whose coming shows that the memberships of the last are complete.
            let missing = skip + wanted + 1 - seen.passed;
            let limit = match seen.items {
                0 => missing,
                items => missing * items / seen.passed.max(1) * 5 / 4 + 10,
            };
            let limit = i32::try_from(limit).unwrap_or(i32::MAX);
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

    /// A page in the order of an index, when there is one that holds every resource.
    async fn page_by_index(
        &self,
        kind: ResourceKind,
        sort: &Sort,
        query: &Query,
    ) -> Result<Option<Matches>, ScimError> {
        let schema = self.schemas.of(kind);
        let name = sort.resolve(schema)?.and_then(|sort_by| sort_by.index_name());
        let index = schema.indexes.iter().find(|index| Some(&index.name) == name.as_ref() && index.unique);
        let (Some(index), Start::Index(start), false) = (index, &query.start, sort.is_descending) else {
            return Ok(None);
        };
        let total = self.histogram(kind, Counted::All).await?.total();
        let pk = keys::index(&self.connector, kind, &index.name);
        let mut ids = Vec::new();
        let mut to_skip = start.saturating_sub(1);
        let mut after = None;
        while ids.len() <= query.count && query.count > 0 {
            let limit = i32::try_from(to_skip + query.count + 1 - ids.len()).unwrap_or(i32::MAX);
            let (page, next) = self.table.query_page(&pk, &Range::All, after.as_deref(), Some(limit)).await?;
            ids.extend(page.iter().skip(to_skip).filter_map(item::indexed_id));
            to_skip = to_skip.saturating_sub(page.len());
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        let page = ids.into_iter().map(|id| Match { kind, id, key: None, found: None }).collect();
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
        if let Some(sort) = &query.sort {
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
            Start::After(Some(last)) => {
                matches.partition_point(|one| !is_behind(one, last, query.sort.as_ref()))
            }
        };
        let page = matches.into_iter().skip(first).take(query.count + 1).collect();
        Ok(Matches { total, page, plan })
    }

    /// All resources of one kind that match, in the order of ids.
    async fn search(&self, part: &KindQuery, query: &Query) -> Result<(Vec<Match>, &'static str), ScimError> {
        let schema = self.schemas.of(part.kind);
        let plan = part.filter.as_ref().map_or(Plan::Scan, |filter| Plan::new(&filter.root, schema));
        let sort_by = query.sort.as_ref().map(|sort| sort.resolve(schema)).transpose()?.flatten();
        let check = Check {
            directory: self,
            part,
            sort_by,
            base_url: &query.base_url,
            members: self.members_asked(part).await?,
        };
        if plan != Plan::Scan
            && let Some(ids) = self.candidates(part.kind, &plan).await?
        {
            // What fits on a page is read with all that the page needs.
            let is_page = part.kind == ResourceKind::User
                && part.projection.wants("groups")
                && ids.len() <= query.count;
            let mut found = self.load(part.kind, &ids, is_page || check.asks_groups()).await?;
            found.sort_by_key(|found| found.stored.resource.id);
            return Ok((check.keep_matching(found).await?, plan.name()));
        }
        Ok((self.scan(part.kind, &check).await?, Plan::Scan.name()))
    }

    /// Reads the whole partition, in several ranges at once when it is large.
    async fn scan(&self, kind: ResourceKind, check: &Check<'_>) -> Result<Vec<Match>, ScimError> {
        let total = self.histogram(kind, Counted::All).await?.total();
        if total > MOST_SCANNED {
            return Err(ScimError::new(
                ErrorKind::TooMany,
                format!(
                    "The query would read all {total} resources, and may read {MOST_SCANNED}; filter by an indexed \
                         attribute, with eq, sw or gt"
                ),
            ));
        }
        let ranges: Vec<Range> = if total < SMALL_DIRECTORY {
            vec![Range::All]
        } else {
            // A tilde is behind every character of an id.
            (0..16).map(|digit| Range::Between(format!("{digit:x}"), format!("{digit:x}~"))).collect()
        };
        let mut parts = Vec::with_capacity(ranges.len());
        for range in ranges {
            parts.push(self.scan_range(kind, range, check));
        }
        let mut matches: Vec<Match> = concurrently(parts).await?.into_iter().flatten().collect();
        for dropped in matches.iter_mut().skip(MOST_KEPT) {
            dropped.found = None;
        }
        Ok(matches)
    }

    fn scan_range<'a>(
        &'a self,
        kind: ResourceKind,
        range: Range,
        check: &'a Check<'a>,
    ) -> BoxFuture<'a, Result<Vec<Match>, ScimError>> {
        Box::pin(async move {
            let pk = keys::resources(&self.connector, kind);
            let mut matches: Vec<Match> = Vec::new();
            let mut after = None;
            let mut seen = Seen { skip: 0, counted: Counted::All, passed: 0, found: Vec::new(), items: 0 };
            loop {
                let (items, next) = self.table.query_page(&pk, &range, after.as_deref(), None).await?;
                for item in &items {
                    seen.take(kind, item)?;
                }
                // The memberships of the last one may go on on the next page.
                let rest = match next {
                    Some(_) => seen.found.split_off(seen.found.len().saturating_sub(1)),
                    None => Vec::new(),
                };
                let found = std::mem::replace(&mut seen.found, rest);
                matches.extend(check.keep_matching(found).await?);
                for dropped in matches.iter_mut().skip(MOST_KEPT) {
                    dropped.found = None;
                }
                match next {
                    Some(next) => after = Some(next),
                    None => return Ok(matches),
                }
            }
        })
    }

    /// Reads resources by their ids, in no order; those that are gone are left out.
    async fn load(
        &self,
        kind: ResourceKind,
        ids: &[ResourceId],
        with_groups: bool,
    ) -> Result<Vec<StoredUser>, ScimError> {
        let found: Vec<StoredUser> = if with_groups {
            let reads = ids.iter().map(|id| self.read(kind, *id).boxed()).collect();
            concurrently(reads).await?.into_iter().flatten().collect()
        } else {
            let keys: Vec<Key> = ids.iter().map(|id| keys::resource(&self.connector, kind, *id)).collect();
            let items = self.table.get_all(&keys).await?;
            let stored = items.iter().map(|item| item::to_stored(kind, item));
            stored
                .map(|stored| Ok(StoredUser { stored: stored?, groups: Vec::new(), has_groups: false }))
                .collect::<Result<_, ScimError>>()?
        };
        Ok(found.into_iter().filter(|found| !found.stored.is_going).collect())
    }

    /// Reads what a page needs of its resources, and serialises them until the page is full.
    async fn represent_page(&self, page: &[&Match], query: &Query) -> Result<Vec<Box<RawValue>>, ScimError> {
        let mut found: BTreeMap<ResourceId, StoredUser> = BTreeMap::new();
        for part in &query.kinds {
            let wants_groups = part.kind == ResourceKind::User && part.projection.wants("groups");
            let is_missing = |one: &&&Match| {
                one.kind == part.kind
                    && one.found.as_ref().is_none_or(|found| wants_groups && !found.has_groups)
            };
            let ids: Vec<ResourceId> = page.iter().filter(is_missing).map(|one| one.id).collect();
            let loaded = self.load(part.kind, &ids, wants_groups).await?;
            found.extend(loaded.into_iter().map(|loaded| (loaded.stored.resource.id, loaded)));
        }
        // Whoever went since the search is left out.
        let resources: Vec<&StoredUser> =
            page.iter().filter_map(|one| found.get(&one.id).or(one.found.as_ref())).collect();
        let groups: BTreeSet<ResourceId> =
            resources.iter().flat_map(|one| one.groups.iter().copied()).collect();
        let ancestry = self.ancestry(groups).await?;
        // Boxed one by one before the first is polled, so that no closure lives across an await.
        let represented: Vec<_> =
            resources.iter().map(|one| self.represent_one(one, &ancestry, query).boxed()).collect();
        let mut represented = stream::iter(represented).buffered(GROUPS_READ_AT_ONCE);
        let mut out = Vec::with_capacity(page.len());
        let mut size = 0;
        while let Some(resource) = represented.try_next().await? {
            size += resource.get().len();
            if size > LONGEST_PAGE {
                if out.is_empty() {
                    return Err(too_large());
                }
                break;
            }
            out.push(resource);
        }
        Ok(out)
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

    /// What has to be known of members to evaluate a filter on groups.
    async fn members_asked(&self, part: &KindQuery) -> Result<MembersAsked, ScimError> {
        let Some(filter) = part.filter.as_ref().filter(|_| part.kind == ResourceKind::Group) else {
            return Ok(MembersAsked::Some(BTreeMap::new()));
        };
        let mut asked = BTreeSet::new();
        if !collect_members(&filter.root, &mut asked) {
            return Ok(MembersAsked::All);
        }
        let mut groups: BTreeMap<ResourceId, Vec<Member>> = BTreeMap::new();
        for id in asked {
            for kind in [ResourceKind::User, ResourceKind::Group] {
                for group in self.groups_of(kind, id).await? {
                    groups.entry(group).or_default().push(Member { id, kind, display: None });
                }
            }
        }
        Ok(MembersAsked::Some(groups))
    }
}

/// A group that no answer can hold.
pub fn too_large() -> ScimError {
    ScimError::new(
        ErrorKind::TooMany,
        format!(
            "The resource is larger than the {LONGEST_PAGE} bytes of an answer; ask with excludedAttributes=members"
        ),
    )
}

/// Items of a partition of resources, as they come: resources, each with its memberships behind it.
struct Seen {
    skip: usize,
    counted: Counted,
    passed: usize,
    items: usize,
    found: Vec<StoredUser>,
}

impl Seen {
    fn take(&mut self, kind: ResourceKind, item: &Item) -> Result<(), ScimError> {
        self.items += 1;
        match item::name_of(item) {
            Some((id, Some(group))) => {
                // A membership whose member is gone is nobody's.
                if let Some(last) = self.found.last_mut().filter(|last| last.stored.resource.id == id) {
                    last.groups.push(group);
                }
            }
            Some((_, None)) => {
                let is_true = |name: &str| item.get(name).is_some_and(|value| value.as_bool() == Ok(&true));
                let is_counted = match self.counted {
                    Counted::All => true,
                    Counted::Active => is_true("active"),
                    Counted::Inactive => !is_true("active"),
                };
                if is_counted && !is_true("going") {
                    self.passed += 1;
                    if self.passed > self.skip {
                        let stored = item::to_stored(kind, item)?;
                        self.found.push(StoredUser { stored, groups: Vec::new(), has_groups: true });
                    }
                }
            }
            None => {}
        }
        Ok(())
    }
}

/// The members that a filter on groups asks for.
enum MembersAsked {
    /// Certain ones: by the groups that they are in.
    Some(BTreeMap<ResourceId, Vec<Member>>),
    /// It cannot be told before they are read.
    All,
}

/// Collects the ids that a filter compares members with; `false` when it asks anything else of members.
fn collect_members(node: &Node, asked: &mut BTreeSet<ResourceId>) -> bool {
    match node {
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().all(|node| collect_members(node, asked)),
        Node::Not(node) => collect_members(node, asked),
        Node::Compare(field, operator, operand) if field.attribute == "members" => {
            match (field.path().as_str(), operator, operand) {
                ("members.value", Operator::Equal, Operand::Text(id)) => {
                    asked.extend(ResourceId::parse(id));
                    true
                }
                _ => false,
            }
        }
        Node::Present(field) | Node::ValueFilter(field, _) => field.attribute != "members",
        Node::Compare(..) | Node::Never => true,
    }
}

fn asks(node: &Node, attribute: &str) -> bool {
    match node {
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().any(|node| asks(node, attribute)),
        Node::Not(node) => asks(node, attribute),
        Node::Compare(field, ..) | Node::Present(field) | Node::ValueFilter(field, _) => {
            field.attribute == attribute
        }
        Node::Never => false,
    }
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

/// Evaluates a filter on resources as they are read.
struct Check<'a> {
    directory: &'a Directory,
    part: &'a KindQuery,
    sort_by: Option<SortBy<'static>>,
    base_url: &'a str,
    members: MembersAsked,
}

impl Check<'_> {
    /// Whether the groups of a user have to be known.
    fn asks_groups(&self) -> bool {
        let filter_asks = self.part.filter.as_ref().is_some_and(|filter| asks(&filter.root, "groups"));
        // Sorting by groups, or filtering by version, which is made of them, is rare enough to be paid for by few.
        self.part.kind == ResourceKind::User
            && (filter_asks
                || self.part.filter.as_ref().is_some_and(|filter| asks(&filter.root, "meta"))
                || self.sort_by.as_ref().is_some_and(|sort_by| sort_by.asks("groups")))
    }

    async fn keep_matching(&self, found: Vec<StoredUser>) -> Result<Vec<Match>, ScimError> {
        let mut groups = BTreeSet::new();
        if self.asks_groups() {
            groups.extend(found.iter().flat_map(|found| &found.groups));
        }
        let ancestry = self.directory.ancestry(groups).await?;
        let mut matches = Vec::new();
        for found in found {
            let resource = &found.stored.resource;
            let references = ancestry.references(&found.groups);
            let all;
            let members = match &self.members {
                MembersAsked::Some(members) => members.get(&resource.id).map(Vec::as_slice),
                MembersAsked::All => {
                    all = self.directory.members(resource.id, usize::MAX).await?.0;
                    Some(all.as_slice())
                }
            };
            let full = represent(resource, &references, members, self.base_url);
            if self.part.filter.as_ref().is_none_or(|filter| filter.matches(&full)) {
                let key = self.sort_by.as_ref().and_then(|sort_by| sort_by.key(&full));
                matches.push(Match { kind: self.part.kind, id: resource.id, key, found: Some(found) });
            }
        }
        Ok(matches)
    }
}
