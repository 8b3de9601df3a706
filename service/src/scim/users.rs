//! The handlers of /Users (RFC 7644 §3.3–§3.6).

use std::sync::Arc;

use http::StatusCode;
use shared::error::ScimError;
use shared::projection::Projection;
use shared::resource::{
    self, Document, GroupReference, Resource, ResourceKind, location, normalise, parse_object, represent,
};
use shared::schema::ResourceSchema;

use super::parse_patch;
use super::search::{self, parameters};
use crate::call::{Call, ResponseFuture};
use crate::response::{Response, empty, json, with_etag, with_location};

/// GET /Users
pub fn list(call: Arc<Call>) -> ResponseFuture {
    search::by_url(call, &[ResourceKind::User])
}

/// POST /Users
pub fn create(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        let projection = projection(&call)?;
        let user = call.directory.create_user(read_body(&call)?).await?;
        call.notes.written(&user, &call.directory);
        user_response(&call, StatusCode::CREATED, &user, &[], &projection)
    })
}

/// GET /Users/{id}
pub fn get(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        let projection = projection(&call)?;
        let user = call.directory.user(call.id()?).await?;
        let groups = call.directory.group_references(&user.groups).await?;
        let etag = user.stored.resource.etag(&groups);
        if call.if_none_match().is_some_and(|versions| versions.matches(&etag)) {
            return Ok(with_etag(empty(StatusCode::NOT_MODIFIED), &etag));
        }
        user_response(&call, StatusCode::OK, &user.stored.resource, &groups, &projection)
    })
}

/// PUT /Users/{id}
pub fn replace(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        let (schema, projection, id) = (schema(&call), projection(&call)?, call.id()?);
        let document = read_body(&call)?;
        let change = |present: &Document| resource::replace(present, document.clone(), schema);
        let (user, groups) = call.directory.change_user(id, call.if_match().as_ref(), change).await?;
        call.notes.written(&user, &call.directory);
        user_response(&call, StatusCode::OK, &user, &groups, &projection)
    })
}

/// PATCH /Users/{id}
pub fn patch(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        let (schema, projection, id) = (schema(&call), projection(&call)?, call.id()?);
        let patch = parse_patch(&call, schema)?;
        let change = |present: &Document| {
            call.notes.present(present, ResourceKind::User);
            patch.apply(present, schema)
        };
        let (user, groups) = call.directory.change_user(id, call.if_match().as_ref(), change).await?;
        call.notes.written(&user, &call.directory);
        user_response(&call, StatusCode::OK, &user, &groups, &projection)
    })
}

/// DELETE /Users/{id}
pub fn delete(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        call.directory.delete(ResourceKind::User, call.id()?, call.if_match().as_ref()).await?;
        Ok(empty(StatusCode::NO_CONTENT))
    })
}

fn schema(call: &Call) -> &ResourceSchema {
    call.directory.schemas().of(ResourceKind::User)
}

fn projection(call: &Call) -> Result<Projection, ScimError> {
    search::projection(&parameters(call)?, schema(call))
}

/// Reads the body of a POST or PUT.
fn read_body(call: &Call) -> Result<Document, ScimError> {
    let (body, schema) = (parse_object(&call.request.body)?, schema(call));
    call.notes.body(&body, schema);
    normalise(&body, schema)
}

fn user_response(
    call: &Call,
    status: StatusCode,
    user: &Resource,
    groups: &[GroupReference],
    projection: &Projection,
) -> Result<Response, ScimError> {
    let mut body = represent(user, groups, None, &call.base_url);
    projection.apply(&mut body, schema(call));
    let response = with_location(json(status, &body)?, &location(&call.base_url, user.kind, user.id));
    Ok(with_etag(response, &user.etag(groups)))
}
