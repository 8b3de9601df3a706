//! Which resources match a filter, and what has to be read to tell: the candidates that a plan finds, or the whole
//! partition, and of each its groups or members where the filter asks for them.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::counts::Counted;
use crate::dynamodb::attributes::Item;
use crate::dynamodb::items;
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::{Range, concurrently};
use crate::query::page::{KindQuery, Query};
use crate::query::plan::Plan;
use crate::{Directory, StoredUser};
use shared::error::{ErrorKind, ScimError};
use shared::filter::{Node, Operand, Operator};
use shared::resource::{Member, ResourceId, ResourceKind, represent_to_match};
use shared::sort::{SortBy, SortKey};

/// A query that has to read more resources than this one by one is refused.
const MOST_SCANNED: usize = 200_000;
/// Matches of which the documents are kept while others are looked for; of the rest, ids only.
const MOST_KEPT: usize = 5_000;
/// Below this many resources a partition is read in one go.
const SMALL_DIRECTORY: usize = 500;

/// A resource that matches, and its document unless too many do.
#[derive(Debug)]
pub(crate) struct Match {
    pub kind: ResourceKind,
    pub id: ResourceId,
    pub key: Option<SortKey>,
    pub found: Option<StoredUser>,
}

impl Directory {
    /// All resources of one kind that match, in the order of ids.
    pub(crate) async fn search(
        &self,
        part: &KindQuery,
        query: &Query,
    ) -> Result<(Vec<Match>, &'static str), ScimError> {
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
            let ids: Vec<ResourceId> = ids.into_iter().collect();
            // What fits on a page is read with all that the page needs.
            let is_page = part.wants_groups() && ids.len() <= query.count;
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
            (0..16).map(keys::sixteenth).map(|(first, last)| Range::Between(first, last)).collect()
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
            let mut walk = Walk::new(self, kind, range, false);
            let mut matches: Vec<Match> = Vec::new();
            while let Some(found) = walk.next().await? {
                matches.extend(check.keep_matching(found).await?);
                for dropped in matches.iter_mut().skip(MOST_KEPT) {
                    dropped.found = None;
                }
            }
            Ok(matches)
        })
    }

    /// All resources of one kind, in the order of ids, those with them whom the client deleted and operators keep.
    pub fn walk(&self, kind: ResourceKind) -> Walk<'_> {
        Walk::new(self, kind, Range::All, true)
    }

    /// Reads resources by their ids, in no order; those that are gone are left out.
    pub(crate) async fn load(
        &self,
        kind: ResourceKind,
        ids: &[ResourceId],
        with_groups: bool,
    ) -> Result<Vec<StoredUser>, ScimError> {
        let found: Vec<StoredUser> = if with_groups {
            let reads = ids.iter().map(|id| self.read(kind, *id).boxed()).collect();
            concurrently(reads).await?.into_iter().flatten().collect()
        } else {
            let keys: Vec<Key> = ids.iter().map(|id| keys::resource(&self.connector.id, kind, *id)).collect();
            let items = self.table.get_all(&keys).await?;
            let stored = items.iter().map(|item| items::to_stored(kind, item));
            stored
                .map(|stored| Ok(StoredUser { stored: stored?, groups: Vec::new(), has_groups: false }))
                .collect::<Result<_, ScimError>>()?
        };
        Ok(found.into_iter().filter(|found| !found.stored.is_deleting).collect())
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

/// A partition of resources, page after page, in the memory that one page takes.
pub struct Walk<'a> {
    directory: &'a Directory,
    kind: ResourceKind,
    range: Range,
    seen: Seen,
    after: Option<String>,
    is_done: bool,
}

impl<'a> Walk<'a> {
    fn new(directory: &'a Directory, kind: ResourceKind, range: Range, with_retained: bool) -> Self {
        let seen = Seen { with_retained, ..Seen::new(0, Counted::All) };
        Self { directory, kind, range, seen, after: None, is_done: false }
    }

    /// The next resources, with the groups of each; `None` at the end.
    ///
    /// # Errors
    /// When DynamoDB fails, or an item is broken.
    pub async fn next(&mut self) -> Result<Option<Vec<StoredUser>>, ScimError> {
        if self.is_done {
            return Ok(None);
        }
        let pk = keys::resources(&self.directory.connector.id, self.kind);
        let page = self.directory.table.query_page(&pk, &self.range, self.after.as_deref(), None).await?;
        let (items, next) = page;
        for item in &items {
            self.seen.take(self.kind, item)?;
        }
        // The memberships of the last one may go on on the next page.
        let rest = match next {
            Some(_) => self.seen.found.split_off(self.seen.found.len().saturating_sub(1)),
            None => Vec::new(),
        };
        self.is_done = next.is_none();
        self.after = next;
        Ok(Some(std::mem::replace(&mut self.seen.found, rest)))
    }
}

/// Items of a partition of resources, as they come: resources, each with its memberships behind it.
pub(crate) struct Seen {
    skip: usize,
    counted: Counted,
    /// Whether those count whom the client deleted and operators keep.
    with_retained: bool,
    /// Resources that were counted so far, those that are skipped with them.
    pub passed: usize,
    /// Items that came so far.
    pub items: usize,
    /// Those behind the skipped.
    pub found: Vec<StoredUser>,
}

impl Seen {
    pub fn new(skip: usize, counted: Counted) -> Self {
        Self { skip, counted, with_retained: false, passed: 0, items: 0, found: Vec::new() }
    }

    /// How many items to ask for, for so many resources more: an item is a resource or a membership of the one before it,
    /// so this is learnt from those that came.
    pub fn items_for(&self, missing: usize) -> i32 {
        let items = match self.items {
            0 => missing,
            items => missing * items / self.passed.max(1) * 5 / 4 + 10,
        };
        i32::try_from(items).unwrap_or(i32::MAX)
    }

    /// Takes the next item.
    pub fn take(&mut self, kind: ResourceKind, item: &Item) -> Result<(), ScimError> {
        self.items += 1;
        match items::ids(item) {
            Some((id, Some(group))) => {
                // A membership whose member is gone is nobody's.
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
                let is_there = !items::is_deleting(item) || (self.with_retained && items::is_retained(item));
                if is_counted && is_there {
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
        let filter_asks = |name| self.part.filter.as_ref().is_some_and(|filter| asks(&filter.root, name));
        // A version is made of them too.
        let is_sorted_by = |sort_by: &SortBy<'_>| sort_by.asks("groups") || sort_by.is_by("meta.version");
        self.part.kind == ResourceKind::User
            && (filter_asks("groups")
                || filter_asks("meta")
                || self.sort_by.as_ref().is_some_and(is_sorted_by))
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
            let full = represent_to_match(resource, &references, members, self.base_url);
            if self.part.filter.as_ref().is_none_or(|filter| filter.matches(&full)) {
                let key = self.sort_by.as_ref().and_then(|sort_by| sort_by.key(&full));
                matches.push(Match { kind: self.part.kind, id: resource.id, key, found: Some(found) });
            }
        }
        Ok(matches)
    }
}
