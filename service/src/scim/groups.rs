//! /Groups (RFC 7644 §3.3–§3.6).

use std::sync::Arc;

use directory::MAX_PAGE_BYTES;
use http::StatusCode;
use shared::error::ScimError;
use shared::patch::{MemberOperation, Patch, parse_members};
use shared::projection::Projection;
use shared::resource::{
    self, Document, Member, Resource, ResourceKind, location, normalise, parse_object, represent,
};
use shared::schema::ResourceSchema;

use super::search::{self, parameters};
use crate::call::{Call, ResponseFuture};
use crate::response::{Response, empty, json, with_etag, with_location};

/// A PATCH of a group with more members than this is answered without a body (RFC 7644 §3.5.2 allows both).
const MOST_MEMBERS_ANSWERED: usize = 100;

/// GET /Groups
pub fn list(call: Arc<Call>) -> ResponseFuture {
    search::by_url(call, &[ResourceKind::Group])
}

/// POST /Groups
pub fn create(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        let projection = projection(&call)?;
        let (document, members) = read_body(&call)?;
        let members = if members.is_empty() { Vec::new() } else { vec![MemberOperation::Add(members)] };
        let group = call.directory.create_group(document, members).await?;
        written(&call, StatusCode::CREATED, &group, &projection).await
    })
}

/// GET /Groups/{id}
pub fn get(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        let projection = projection(&call)?;
        // The group is read before its members are: a version that is older than what is shown with it makes an If-Match
        // fail that need not, a newer one would let it overwrite members that the client has not seen.
        let group = call.directory.group(call.id()?).await?.resource;
        let etag = group.etag(&[]);
        if call.if_none_match().is_some_and(|versions| versions.matches(&etag)) {
            return Ok(with_etag(empty(StatusCode::NOT_MODIFIED), &etag));
        }
        let members = members(&call, &group, &projection).await?;
        answer(&call, StatusCode::OK, &group, members.as_deref(), &projection)
    })
}

/// PUT /Groups/{id}
pub fn replace(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        let (schema, projection, id) = (schema(&call), projection(&call)?, call.id()?);
        let (document, members) = read_body(&call)?;
        let change = |present: &Document| resource::replace(present, document.clone(), schema);
        let members = [MemberOperation::Replace(members)];
        let group = call.directory.change_group(id, call.if_match().as_ref(), change, &members).await?;
        written(&call, StatusCode::OK, &group, &projection).await
    })
}

/// PATCH /Groups/{id}
pub fn patch(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        let (schema, projection, id) = (schema(&call), projection(&call)?, call.id()?);
        let patch = Patch::parse(&parse_object(&call.request.body)?, schema)?;
        let change = |present: &Document| patch.apply(present, schema);
        let group = call
            .directory
            .change_group(id, call.if_match().as_ref(), change, patch.member_operations())
            .await?;
        // RFC 7644 §3.5.2: whoever names attributes gets them.
        if !projection.wants("members") || parameters(&call)?.attributes.is_some() {
            return written(&call, StatusCode::OK, &group, &projection).await;
        }
        let (members, has_more) = call.directory.members(id, MOST_MEMBERS_ANSWERED).await?;
        if has_more {
            return Ok(with_etag(empty(StatusCode::NO_CONTENT), &group.etag(&[])));
        }
        answer(&call, StatusCode::OK, &group, Some(&members), &projection)
    })
}

/// DELETE /Groups/{id}
pub fn delete(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        call.directory.delete(ResourceKind::Group, call.id()?, call.if_match().as_ref()).await?;
        Ok(empty(StatusCode::NO_CONTENT))
    })
}

fn schema(call: &Call) -> &'static ResourceSchema {
    call.directory.schemas().of(ResourceKind::Group)
}

fn projection(call: &Call) -> Result<Projection, ScimError> {
    search::projection(&parameters(call)?, schema(call))
}

/// The body of a POST or PUT: the document, and the members that it names.
fn read_body(call: &Call) -> Result<(Document, Vec<shared::patch::MemberValue>), ScimError> {
    let mut document = normalise(&parse_object(&call.request.body)?, schema(call))?;
    let members = document.shift_remove("members").map(|members| parse_members(&members)).transpose()?;
    Ok((document, members.unwrap_or_default()))
}

/// The members of a group, if they are wanted.
async fn members(
    call: &Call,
    group: &Resource,
    projection: &Projection,
) -> Result<Option<Vec<Member>>, ScimError> {
    if !projection.wants("members") {
        return Ok(None);
    }
    Ok(Some(call.directory.members(group.id, usize::MAX).await?.0))
}

/// The answer to a write that went well: all of the group, but for members that no answer could hold.
async fn written(
    call: &Call,
    status: StatusCode,
    group: &Resource,
    projection: &Projection,
) -> Result<Response, ScimError> {
    let members = members(call, group, projection).await?;
    let response = answer(call, status, group, members.as_deref(), projection)?;
    if response.body().len() <= MAX_PAGE_BYTES {
        return Ok(response);
    }
    answer(call, status, group, None, projection)
}

fn answer(
    call: &Call,
    status: StatusCode,
    group: &Resource,
    members: Option<&[Member]>,
    projection: &Projection,
) -> Result<Response, ScimError> {
    let mut out = represent(group, &[], members, &call.base_url);
    projection.apply(&mut out, schema(call));
    let response = with_location(json(status, &out)?, &location(&call.base_url, group.kind, group.id));
    Ok(with_etag(response, &group.etag(&[])))
}
