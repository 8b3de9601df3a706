//! The handlers of the directory API: how the platform reads users, groups and roles, after rules and mapping. `docs/openapi.yaml`
//! describes it.

pub mod groups;
mod page;
mod parameters;
pub mod roles;
pub mod users;

use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use sha2::{Digest, Sha256};
use shared::error::ScimError;
use shared::resource::ResourceId;

use crate::call::Call;
use crate::response::{Response, empty, set, with_etag};

/// The media type of every body but those of errors.
const MEDIA_TYPE: &str = "application/json";

/// The id of a user, group or role in the path.
fn id(call: &Call, position: usize) -> Result<ResourceId, ScimError> {
    let id = call.path.get(position).map(String::as_str).unwrap_or_default();
    ResourceId::parse(id).ok_or_else(|| ScimError::not_found(id))
}

/// Creates a response with a JSON body.
fn json(body: &impl Serialize) -> Result<Response, ScimError> {
    let mut response = Response::new(serde_json::to_vec(body).map_err(ScimError::internal)?);
    set(&mut response, CONTENT_TYPE, MEDIA_TYPE);
    Ok(response)
}

/// Creates the response with one entry. The entity tag is a hash of the entry, so that it changes with everything that the entry
/// shows. If the client has this version, the response is 304 without a body (RFC 9110 §13.1.2).
fn single(call: &Call, entry: &impl Serialize) -> Result<Response, ScimError> {
    let response = json(entry)?;
    let digest = Sha256::digest(response.body());
    let hash: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    // A weak tag, because the same entry can be sent compressed.
    let etag = format!("W/\"{hash}\"");
    if call.if_none_match().is_some_and(|tags| tags.matches(&etag)) {
        return Ok(with_etag(empty(StatusCode::NOT_MODIFIED), &etag));
    }
    Ok(with_etag(response, &etag))
}
