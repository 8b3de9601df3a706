//! Errors as problem documents (RFC 9457).

use serde_json::json;
use shared::error::ScimError;

use crate::api::Api;
use crate::response::{Response, error_with_body, status};

/// The media type of problem documents (RFC 9457 §6.1).
const MEDIA_TYPE: &str = "application/problem+json";

/// Creates the problem document for an error of the request with this id, with the headers that HTTP requires for its
/// status.
pub fn error(error: &ScimError, api: Api, request: &str) -> Response {
    let status = status(error);
    // RFC 9457 §4.2.1: the title of the type about:blank is the phrase of the status.
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "detail": error.detail,
        "instance": request,
    });
    error_with_body(error, api, MEDIA_TYPE, body.to_string())
}
