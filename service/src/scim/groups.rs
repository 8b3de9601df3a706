//! The handlers of /Groups (RFC 7644 §3.3–§3.6).

use std::sync::Arc;

use directory::CreatedGroup;
use http::StatusCode;
use shared::error::ScimError;
use shared::patch::{MemberOperation, members_of_body};
use shared::projection::Projection;
use shared::resource::{
    self, Document, Member, Resource, ResourceKind, location, normalise, parse_object, represent,
};
use shared::schema::ResourceSchema;

use super::parse_patch;
use super::search::{self, parameters};
use crate::call::{Call, ResponseFuture};
use crate::response::{MAX_PAGE_BYTES, Response, empty, json, with_etag, with_location};

/// If a group has more members than this, the response to a PATCH has no body (RFC 7644 §3.5.2 allows both).
const MAX_MEMBERS_IN_PATCH_RESPONSE: usize = 100;

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
        let CreatedGroup { group, members } =
            call.directory.create_group(ResourceKind::Group, document, members).await?;
        call.notes.written(&group, &call.directory);
        // The members are known here. A read could fail after the group was created, and a repeated request would get 409.
        let members = projection.wants("members").then_some(members);
        response_that_fits(&call, StatusCode::CREATED, &group, members.as_deref(), &projection)
    })
}

/// GET /Groups/{id}
pub fn get(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        let projection = projection(&call)?;
        // Read the group before its members. If the members change in between, the version in the response is
        // older than its members, so an If-Match with it fails. A newer version would let the client
        // overwrite members that it has not seen.
        let group = call.directory.group(ResourceKind::Group, call.id()?).await?.resource;
        let etag = group.etag(&[]);
        if call.if_none_match().is_some_and(|versions| versions.matches(&etag)) {
            return Ok(with_etag(empty(StatusCode::NOT_MODIFIED), &etag));
        }
        let members = members(&call, &group, &projection).await?;
        group_response(&call, StatusCode::OK, &group, members.as_deref(), &projection)
    })
}

/// PUT /Groups/{id}
pub fn replace(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        let (schema, projection, id) = (schema(&call), projection(&call)?, call.id()?);
        let (document, members) = read_body(&call)?;
        let change = |present: &Document| resource::replace(present, document.clone(), schema);
        let members = [MemberOperation::Replace(members)];
        let group = call
            .directory
            .change_group(ResourceKind::Group, id, call.if_match().as_ref(), change, &members)
            .await?;
        call.notes.written(&group, &call.directory);
        write_response(&call, StatusCode::OK, &group, &projection).await
    })
}

/// PATCH /Groups/{id}
pub fn patch(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        let (schema, projection, id) = (schema(&call), projection(&call)?, call.id()?);
        let patch = parse_patch(&call, schema)?;
        let change = |present: &Document| {
            call.notes.present(present, ResourceKind::Group);
            patch.apply(present, schema)
        };
        let group = call
            .directory
            .change_group(
                ResourceKind::Group,
                id,
                call.if_match().as_ref(),
                change,
                patch.member_operations(),
            )
            .await?;
        call.notes.written(&group, &call.directory);
        // RFC 7644 §3.5.2: a client that names attributes gets a body with them.
        if !projection.wants("members") || parameters(&call)?.attributes.is_some() {
            return write_response(&call, StatusCode::OK, &group, &projection).await;
        }
        let (members, has_more) =
            call.directory.memberships().members(id, MAX_MEMBERS_IN_PATCH_RESPONSE).await?;
        if has_more {
            return Ok(with_etag(empty(StatusCode::NO_CONTENT), &group.etag(&[])));
        }
        group_response(&call, StatusCode::OK, &group, Some(&members), &projection)
    })
}

/// DELETE /Groups/{id}
pub fn delete(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        call.directory.delete(ResourceKind::Group, call.id()?, call.if_match().as_ref()).await?;
        Ok(empty(StatusCode::NO_CONTENT))
    })
}

fn schema(call: &Call) -> &ResourceSchema {
    call.directory.schemas().of(ResourceKind::Group)
}

fn projection(call: &Call) -> Result<Projection, ScimError> {
    search::projection(&parameters(call)?, schema(call))
}

/// Reads the body of a POST or PUT: the document without its members, and the members.
fn read_body(call: &Call) -> Result<(Document, Vec<shared::patch::MemberValue>), ScimError> {
    let body = parse_object(&call.request.body)?;
    call.notes.body(&body, schema(call));
    Ok((normalise(&body, schema(call))?, members_of_body(&body, schema(call))?))
}

/// Reads the members of a group. `None` if the client does not want them.
async fn members(
    call: &Call,
    group: &Resource,
    projection: &Projection,
) -> Result<Option<Vec<Member>>, ScimError> {
    if !projection.wants("members") {
        return Ok(None);
    }
    Ok(Some(call.directory.memberships().members(group.id, usize::MAX).await?.0))
}

/// The response to a write. It omits the members if it would be too large with them, because the write has
/// succeeded.
async fn write_response(
    call: &Call,
    status: StatusCode,
    group: &Resource,
    projection: &Projection,
) -> Result<Response, ScimError> {
    let members = members(call, group, projection).await?;
    response_that_fits(call, status, group, members.as_deref(), projection)
}

/// Makes a response without the members if it would be too large with them.
fn response_that_fits(
    call: &Call,
    status: StatusCode,
    group: &Resource,
    members: Option<&[Member]>,
    projection: &Projection,
) -> Result<Response, ScimError> {
    let response = group_response(call, status, group, members, projection)?;
    if response.body().len() <= MAX_PAGE_BYTES {
        return Ok(response);
    }
    group_response(call, status, group, None, projection)
}

fn group_response(
    call: &Call,
    status: StatusCode,
    group: &Resource,
    members: Option<&[Member]>,
    projection: &Projection,
) -> Result<Response, ScimError> {
    let mut body = represent(group, &[], members, &call.base_url);
    projection.apply(&mut body, schema(call));
    let response = with_location(json(status, &body)?, &location(&call.base_url, group.kind, group.id));
    Ok(with_etag(response, &group.etag(&[])))
}
