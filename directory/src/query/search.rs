//! Finds all resources of one kind that match a filter, among the candidates of a plan or in the whole
//! partition.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use shared::error::{ErrorKind, ScimError};
use shared::resource::{Origin, ResourceId, ResourceKind};
use shared::schema::Index;

use super::candidates::candidates;
use super::evaluation::Evaluation;
use super::plan::Plan;
use super::{KindQuery, Match, Query, Walk};
use crate::counts::Counted;
use crate::dynamodb::items;
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::{Range, concurrently};
use crate::{Directory, StoredUser};

/// The maximum number of resources that a query can read one by one.
const MAX_SCANNED: usize = 200_000;
/// The maximum number of matches whose documents are kept in memory. Only the ids and sort values of the
/// others are kept.
const MAX_DOCUMENTS_KEPT: usize = 5_000;
/// A partition with fewer resources than this is read in one range.
const SMALL_DIRECTORY: usize = 500;

/// Finds all resources of one kind that match, and the name of the plan. A scan finds them in the order of their ids.
pub(super) async fn search(
    directory: &Directory,
    part: &KindQuery,
    query: &Query,
) -> Result<(Vec<Match>, &'static str), ScimError> {
    let schema = directory.schemas.of(part.kind);
    let indexes: Vec<&Index> = directory.ready_indexes(part.kind).collect();
    let plan = part.filter.as_ref().map_or(Plan::Scan, |filter| Plan::new(&filter.root, schema, &indexes));
    let sort_by = query.sort.as_ref().map(|sort| sort.resolve(schema)).transpose()?.flatten();
    let evaluation = Evaluation::prepare(directory, part, sort_by, &query.base_url).await?;
    if plan != Plan::Scan
        && let Some(ids) = candidates(directory, part.kind, &plan).await?
    {
        let ids: Vec<ResourceId> = ids.into_iter().collect();
        // If all candidates fit on the page, they are read once, with everything that the page needs.
        let is_page = part.reads_groups() && ids.len() <= query.count;
        let mut found = directory.load(part.kind, &ids, is_page || evaluation.needs_groups()).await?;
        if directory.hides_local_users(part.kind) && !plan.names_resources() {
            found.retain(|found| found.stored.resource.origin == Origin::Scim);
        }
        found.sort_by_key(|found| found.stored.resource.id);
        return Ok((evaluation.keep_matching(found).await?, plan.name()));
    }
    Ok((scan(directory, part.kind, &evaluation).await?, Plan::Scan.name()))
}

/// Reads the whole partition. A large one is read in several ranges at the same time.
async fn scan(
    directory: &Directory,
    kind: ResourceKind,
    evaluation: &Evaluation<'_>,
) -> Result<Vec<Match>, ScimError> {
    let total = directory.histogram(kind, Counted::All).await?.total();
    if total > MAX_SCANNED {
        return Err(ScimError::new(
            ErrorKind::TooMany,
            format!(
                "The query would read all {total} resources; the maximum is {MAX_SCANNED}. Filter on an indexed \
                 attribute, using eq, sw or gt"
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
        parts.push(scan_range(directory, kind, range, evaluation));
    }
    let mut matches: Vec<Match> = concurrently(parts).await?.into_iter().flatten().collect();
    drop_documents(&mut matches);
    Ok(matches)
}

/// Reads one range of a partition.
fn scan_range<'a>(
    directory: &'a Directory,
    kind: ResourceKind,
    range: Range,
    evaluation: &'a Evaluation<'a>,
) -> BoxFuture<'a, Result<Vec<Match>, ScimError>> {
    Box::pin(async move {
        let mut walk = Walk::new(directory, kind, range);
        let mut matches: Vec<Match> = Vec::new();
        while let Some(found) = walk.next().await? {
            matches.extend(evaluation.keep_matching(found).await?);
            drop_documents(&mut matches);
        }
        Ok(matches)
    })
}

/// Drops the documents of matches after the maximum.
fn drop_documents(matches: &mut [Match]) {
    for one in matches.iter_mut().skip(MAX_DOCUMENTS_KEPT) {
        one.found = None;
    }
}

impl Directory {
    /// Reads resources by their ids, in any order. Deleted resources are left out.
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
}
