//! Queries: GET on /Users, /Groups and the base URL, and POST to `/.search` (RFC 7644 §3.4.2 and §3.4.3, RFC
//! 9865).

use std::ops::ControlFlow;
use std::sync::Arc;

use directory::query::cursor;
use directory::{Found, KindQuery, Query, Start};
use http::{Method, StatusCode};
use serde_json::value::{RawValue, to_raw_value};
use shared::error::{ErrorKind, ScimError};
use shared::filter::Filter;
use shared::message::{DEFAULT_PAGE_SIZE, ListResponse, MAX_PAGE_SIZE, SearchRequest};
use shared::projection::Projection;
use shared::resource::{ResourceKind, parse_object, represent};
use shared::schema::ResourceSchema;
use shared::sort::Sort;

use crate::call::{Call, ResponseFuture};
use crate::response::{MAX_PAGE_BYTES, Plan, Response, json, too_large};

/// POST /Users/.search
pub fn users(call: Arc<Call>) -> ResponseFuture {
    by_body(call, &[ResourceKind::User])
}

/// POST /Groups/.search
pub fn groups(call: Arc<Call>) -> ResponseFuture {
    by_body(call, &[ResourceKind::Group])
}

/// GET on the base URL, and POST /.search
pub fn root(call: Arc<Call>) -> ResponseFuture {
    let kinds = &[ResourceKind::User, ResourceKind::Group];
    if call.request.method == Method::POST { by_body(call, kinds) } else { by_url(call, kinds) }
}

/// Answers a query whose parameters are in the URL.
pub(super) fn by_url(call: Arc<Call>, kinds: &'static [ResourceKind]) -> ResponseFuture {
    Box::pin(async move { search(&call, &parameters(&call)?, kinds).await })
}

fn by_body(call: Arc<Call>, kinds: &'static [ResourceKind]) -> ResponseFuture {
    Box::pin(async move {
        let request = SearchRequest::from_body(&parse_object(&call.request.body)?)?;
        search(&call, &request, kinds).await
    })
}

/// Reads the parameters of the URL.
pub(super) fn parameters(call: &Call) -> Result<SearchRequest, ScimError> {
    SearchRequest::from_query(&call.request.query)
}

/// The attributes that the response has.
pub(super) fn projection(request: &SearchRequest, schema: &ResourceSchema) -> Result<Projection, ScimError> {
    Projection::new(request.attributes.as_deref(), request.excluded_attributes.as_deref(), schema)
}

async fn search(call: &Call, request: &SearchRequest, kinds: &[ResourceKind]) -> Result<Response, ScimError> {
    let count = page_size(request)?;
    let filter = request.filter.as_deref().map(Filter::parse).transpose()?;
    let sort_by = request.sort_by.as_deref();
    let sort = sort_by.map(|by| Sort::parse(by, request.sort_order.as_deref())).transpose()?;
    if let Some(sort) = &sort {
        sort.check(kinds.iter().map(|kind| call.directory.schemas().of(*kind)))?;
    }
    let query_identity = query_identity(kinds, filter.as_ref(), sort.as_ref());
    // RFC 7644 §3.4.2.4: an index below 1 is 1.
    let start_index = usize::try_from(request.start_index.unwrap_or(1)).unwrap_or(1).max(1);
    let start = match request.cursor.as_deref() {
        None => Start::Index(start_index),
        Some("") => Start::After(None),
        Some(text) => Start::After(Some(cursor::open(
            call.connector.record.cursor_key.as_bytes(),
            &query_identity,
            count,
            text,
            call.now,
        )?)),
    };
    let is_root = kinds.len() > 1;
    let kind_query = |kind: &ResourceKind| {
        let schema = call.directory.schemas().of(*kind);
        let resolve =
            |filter: &Filter| if is_root { filter.resolve_lenient(schema) } else { filter.resolve(schema) };
        let projection = projection(request, schema)?;
        let kind_query = KindQuery {
            kind: *kind,
            filter: filter.as_ref().map(resolve).transpose()?,
            // An entity tag depends on the groups.
            needs_groups: projection.wants("groups") || projection.wants("meta"),
            needs_members: projection.wants("members"),
        };
        Ok((kind_query, (*kind, projection)))
    };
    let parts = kinds.iter().map(kind_query).collect::<Result<Vec<_>, ScimError>>()?;
    let (kinds, projections): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let query = Query { kinds, sort, start, count, base_url: call.base_url.clone() };
    let mut rendering = Rendering { call, projections: &projections, resources: Vec::new(), bytes: 0 };
    let page = call.directory.queries().page(&query, |found| rendering.take(&found)).await?;
    let resources = rendering.resources;
    let next = page.next.as_ref().filter(|_| request.cursor.is_some());
    let next = next
        .map(|next| {
            cursor::seal(call.connector.record.cursor_key.as_bytes(), &query_identity, count, next, call.now)
        })
        .transpose()?;
    let body = match request.cursor {
        Some(_) => ListResponse::by_cursor(page.total, next.as_deref(), &resources),
        None => ListResponse::by_index(page.total, start_index, &resources),
    };
    let mut response = json(StatusCode::OK, &body)?;
    response.extensions_mut().insert(Plan(page.plan));
    Ok(response)
}

/// The resources of a page as JSON.
struct Rendering<'c> {
    call: &'c Call,
    projections: &'c [(ResourceKind, Projection)],
    resources: Vec<Box<RawValue>>,
    bytes: usize,
}

impl Rendering<'_> {
    /// Takes the next resource of the page. Breaks if the response would be too large with it.
    fn take(&mut self, found: &Found<'_>) -> Result<ControlFlow<()>, ScimError> {
        let kind = found.resource.kind;
        let mut body =
            represent(found.resource, &found.groups, found.members.as_deref(), &self.call.base_url);
        if let Some((_, projection)) = self.projections.iter().find(|(of, _)| *of == kind) {
            projection.apply(&mut body, self.call.directory.schemas().of(kind));
        }
        let json = to_raw_value(&body).map_err(ScimError::internal)?;
        self.bytes += json.get().len();
        if self.bytes <= MAX_PAGE_BYTES {
            self.resources.push(json);
            return Ok(ControlFlow::Continue(()));
        }
        // The first resource alone is too large.
        if self.resources.is_empty() { Err(too_large()) } else { Ok(ControlFlow::Break(())) }
    }
}

/// The size of a page. RFC 7644 §3.4.2.4: a negative count is 0, and a page can be smaller than the client
/// asks for. RFC 9865 §2.1: with a cursor, a count that is too large is an error. A count of 0 is one too,
/// because a page without resources has no next page.
fn page_size(request: &SearchRequest) -> Result<usize, ScimError> {
    let Some(count) = request.count else { return Ok(DEFAULT_PAGE_SIZE) };
    let count = usize::try_from(count).unwrap_or(0);
    if request.cursor.is_some() && !(1..=MAX_PAGE_SIZE).contains(&count) {
        let detail = format!("count is {count}; with a cursor it must be from 1 to {MAX_PAGE_SIZE}");
        return Err(ScimError::new(ErrorKind::InvalidCount, detail));
    }
    Ok(count.min(MAX_PAGE_SIZE))
}

/// The query that a cursor belongs to. Another query cannot use the cursor.
fn query_identity(kinds: &[ResourceKind], filter: Option<&Filter>, sort: Option<&Sort>) -> String {
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    let filter = filter.map(ToString::to_string).unwrap_or_default();
    let sort = sort.map(ToString::to_string).unwrap_or_default();
    format!("{}\n{sort}\n{filter}", kinds.join(","))
}
