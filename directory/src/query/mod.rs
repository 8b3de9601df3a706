//! Queries (RFC 7644 §3.4.2): finds the page of resources for a filter, an order and a start.
//!
//! | file | step |
//! | --- | --- |
//! | `plan` | chooses how to find candidates for a filter; a pure function |
//! | `candidates` | reads the ids that a plan finds |
//! | `local_users` | says which users a client's lists leave out |
//! | `walk` | reads resources in the order of their ids |
//! | `search` | finds all resources that match, from candidates or from a walk |
//! | `evaluation` | decides for each resource whether the filter matches it |
//! | `page` | reads one page, and passes its resources to the caller |
//! | `cursor` | makes and checks opaque cursors (RFC 9865) |

mod candidates;
pub mod cursor;
mod evaluation;
mod local_users;
mod page;
mod plan;
mod search;
mod walk;

pub use walk::Walk;

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use shared::error::ScimError;
use shared::filter::ResolvedFilter;
use shared::resource::{GroupReference, Member, Resource, ResourceId, ResourceKind};
use shared::sort::{Sort, SortKey};

use crate::{Directory, StoredUser};

/// A query on one kind of resource, or on users and groups together.
#[derive(Debug)]
pub struct Query {
    /// The part for each kind.
    pub kinds: Vec<KindQuery>,
    /// The order; `None` is the order of ids.
    pub sort: Option<Sort>,
    /// Where the page begins.
    pub start: Start,
    /// The maximum number of resources on the page.
    pub count: usize,
    /// The base URL of `meta.location` and `$ref`, which filters can name.
    pub base_url: String,
}

impl Query {
    /// Returns the order, unless it is the order in which resources are stored.
    fn order(&self) -> Option<&Sort> {
        self.sort.as_ref().filter(|sort| self.kinds.len() > 1 || !sort.is_by_id())
    }
}

/// The part of a query for one kind of resource.
#[derive(Debug)]
pub struct KindQuery {
    /// The kind.
    pub kind: ResourceKind,
    /// The filter, resolved in the schema of the kind. If it is `None`, every resource matches.
    pub filter: Option<ResolvedFilter>,
    /// Whether the caller needs the groups of users.
    pub needs_groups: bool,
    /// Whether the caller needs the members of groups.
    pub needs_members: bool,
}

impl KindQuery {
    /// Whether the groups of each resource on the page must be read. Only users have the attribute `groups`.
    fn reads_groups(&self) -> bool {
        self.kind == ResourceKind::User && self.needs_groups
    }

    /// Whether the members of each resource on the page must be read. Only groups have the attribute
    /// `members`.
    fn reads_members(&self) -> bool {
        self.kind == ResourceKind::Group && self.needs_members
    }
}

/// Where a page begins.
#[derive(Clone, Debug)]
pub enum Start {
    /// At this index, counted from 1 (RFC 7644 §3.4.2.4).
    Index(usize),
    /// After this position (RFC 9865). `None` is the first page.
    After(Option<Position>),
}

/// The position of a resource in the order of a query.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Position {
    is_group: bool,
    id: String,
    key: Option<SortKey>,
}

impl Position {
    /// The position of a resource in the order of ids.
    pub fn of(id: ResourceId) -> Self {
        Self { is_group: false, id: id.to_string(), key: None }
    }

    /// The id of the resource.
    pub fn id(&self) -> Option<ResourceId> {
        ResourceId::parse(&self.id)
    }
}

/// A resource on a page.
#[derive(Debug)]
pub struct Found<'p> {
    /// The resource.
    pub resource: &'p Resource,
    /// The groups of a user, the direct ones first. Empty if the query does not need them.
    pub groups: Vec<GroupReference>,
    /// The members of a group. `None` if the query does not need them.
    pub members: Option<Vec<Member>>,
}

/// The result of a query, without the resources of the page.
#[derive(Debug)]
pub struct Page {
    /// The number of resources that match.
    pub total: usize,
    /// The position of the last resource on the page. `None` if this is the last page.
    pub next: Option<Position>,
    /// The name of the plan, for the log.
    pub plan: &'static str,
}

/// A resource that matches.
#[derive(Debug)]
struct Match {
    kind: ResourceKind,
    id: ResourceId,
    /// The value that the query sorts by.
    key: Option<SortKey>,
    /// The resource. `None` if it must be read again.
    found: Option<StoredUser>,
}

impl Directory {
    /// Returns the queries on this directory.
    pub fn queries(&self) -> Queries<'_> {
        Queries { directory: self }
    }
}

/// The queries on a directory.
#[derive(Clone, Copy, Debug)]
pub struct Queries<'d> {
    directory: &'d Directory,
}

impl<'d> Queries<'d> {
    /// Reads one page. `take` is called with each resource in order. If a resource does not fit on the page,
    /// `take` returns `Break`, and the page ends before this resource.
    ///
    /// # Errors
    /// `tooMany` if the query would read or sort too many resources; and every error of `take`.
    pub async fn page(
        self,
        query: &Query,
        take: impl FnMut(Found<'_>) -> Result<ControlFlow<()>, ScimError> + Send,
    ) -> Result<Page, ScimError> {
        page::read(self.directory, query, take).await
    }

    /// Walks through all resources of one kind in the order of their ids. These include the deleted users
    /// that the connector keeps for operators.
    pub fn walk(self, kind: ResourceKind) -> Walk<'d> {
        Walk::with_retained(self.directory, kind)
    }
}
