//! Reads the ids of the resources that a plan finds.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;
use shared::error::ScimError;
use shared::resource::{ResourceId, ResourceKind};

use super::plan::{Bounds, Plan};
use crate::Directory;
use crate::dynamodb::items;
use crate::dynamodb::keys;
use crate::dynamodb::table::Range;

/// The maximum number of candidates. If a plan finds more, reading the whole partition is cheaper.
const MAX_CANDIDATES: usize = 10_000;
/// The maximum number of unique values that are read at one moment (TransactGetItems).
const MAX_READ_AT_ONCE: usize = 100;
/// If a plan finds at most this number of candidates, reading them is cheaper than reading another index.
const FEW_CANDIDATES: usize = 100;

/// Reads the ids that a plan finds. Returns `None` if there are so many that a scan is cheaper.
pub(super) fn candidates<'a>(
    directory: &'a Directory,
    kind: ResourceKind,
    plan: &'a Plan,
) -> BoxFuture<'a, Result<Option<BTreeSet<ResourceId>>, ScimError>> {
    Box::pin(async move {
        let memberships = directory.memberships();
        let found = match plan {
            Plan::Nothing => BTreeSet::new(),
            Plan::Id(id) => BTreeSet::from([*id]),
            Plan::Unique(name, value) => {
                let pk = keys::index(&directory.connector.id, kind, name);
                let item = directory.table.get(&keys::Key { pk, sk: keys::index_value(value) }).await?;
                item.as_ref().and_then(items::indexed_id).into_iter().collect()
            }
            Plan::Equal(name, value) => {
                let range = Range::Prefix(keys::index_entry_prefix(value));
                return indexed(directory, kind, name, &range).await;
            }
            Plan::Range(name, bounds) => return indexed(directory, kind, name, &bounds.range()).await,
            Plan::GroupsOf(member) => {
                let mut groups = memberships.groups_of(ResourceKind::User, *member).await?;
                groups.extend(memberships.groups_of(ResourceKind::Group, *member).await?);
                groups.into_iter().collect()
            }
            Plan::MembersOf(group) => return users_in(directory, *group).await,
            Plan::Union(parts) => {
                let mut found = unique(directory, kind, parts).await?;
                for part in parts.iter().filter(|part| !matches!(part, Plan::Unique(..))) {
                    let Some(ids) = candidates(directory, kind, part).await? else { return Ok(None) };
                    found.extend(ids);
                    if found.len() > MAX_CANDIDATES {
                        return Ok(None);
                    }
                }
                found
            }
            Plan::Intersection(parts) => return intersection(directory, kind, parts).await,
            Plan::Scan => return Ok(None),
        };
        Ok(Some(found))
    })
}

/// Reads the ids that the look-ups of unique values among these plans find. They are read as they are at one moment. Otherwise
/// a resource whose value changes from the second to the first between two reads would be missed.
async fn unique(
    directory: &Directory,
    kind: ResourceKind,
    plans: &[Plan],
) -> Result<BTreeSet<ResourceId>, ScimError> {
    let key = |plan: &Plan| match plan {
        Plan::Unique(name, value) => {
            let pk = keys::index(&directory.connector.id, kind, name);
            Some(keys::Key { pk, sk: keys::index_value(value) })
        }
        _ => None,
    };
    let keys: BTreeSet<keys::Key> = plans.iter().filter_map(key).collect();
    let items = match keys.len() {
        0 => Vec::new(),
        1..=MAX_READ_AT_ONCE => directory.table.get_at_once(&keys).await?,
        _ => directory.table.get_all(&keys.into_iter().collect::<Vec<_>>()).await?,
    };
    Ok(items.iter().filter_map(items::indexed_id).collect())
}

/// Reads the ids that all plans find. Plans that find too many are skipped, so the result can have more ids.
async fn intersection(
    directory: &Directory,
    kind: ResourceKind,
    plans: &[Plan],
) -> Result<Option<BTreeSet<ResourceId>>, ScimError> {
    let mut found: Option<BTreeSet<ResourceId>> = None;
    for plan in plans {
        if found.as_ref().is_some_and(|found| found.len() <= FEW_CANDIDATES) {
            break;
        }
        if let Some(ids) = candidates(directory, kind, plan).await? {
            found = Some(match found {
                Some(found) => found.intersection(&ids).copied().collect(),
                None => ids,
            });
        }
    }
    Ok(found)
}

/// Reads the ids in a range of an index.
async fn indexed(
    directory: &Directory,
    kind: ResourceKind,
    name: &str,
    range: &Range,
) -> Result<Option<BTreeSet<ResourceId>>, ScimError> {
    let pk = keys::index(&directory.connector.id, kind, name);
    let mut ids = BTreeSet::new();
    let mut after = None;
    loop {
        let (page, next) = directory.table.query_page(&pk, range, after.as_deref(), None).await?;
        ids.extend(page.iter().filter_map(items::indexed_id));
        match next {
            _ if ids.len() > MAX_CANDIDATES => return Ok(None),
            Some(next) => after = Some(next),
            None => return Ok(Some(ids)),
        }
    }
}

/// Reads the direct and indirect members of a group that are users.
async fn users_in(
    directory: &Directory,
    group: ResourceId,
) -> Result<Option<BTreeSet<ResourceId>>, ScimError> {
    let mut users = BTreeSet::new();
    let mut seen = BTreeSet::from([group]);
    let mut rest = vec![group];
    while let Some(group) = rest.pop() {
        let (members, has_more) = directory.memberships().members(group, MAX_CANDIDATES).await?;
        for member in members {
            match member.kind {
                ResourceKind::User => {
                    users.insert(member.id);
                }
                ResourceKind::Group if seen.insert(member.id) => rest.push(member.id),
                _ => {}
            }
        }
        if has_more || users.len() > MAX_CANDIDATES {
            return Ok(None);
        }
    }
    Ok(Some(users))
}

impl Bounds {
    /// Returns the range of sort keys. A long value is truncated in its key, so the bound is truncated as
    /// well. The range can then include more values.
    fn range(&self) -> Range {
        match self {
            Self::StartingWith(value) => Range::Prefix(keys::index_prefix(value).to_owned()),
            Self::From(value) => Range::From(keys::index_bound(value).to_owned()),
            Self::UpTo(value) => Range::UpTo(format!("{}\u{10ffff}", keys::index_prefix(value))),
        }
    }
}
