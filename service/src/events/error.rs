//! Errors of event delivery (RFC 8935 §2.3, RFC 8936 §2.6).

use serde_json::json;
use shared::error::{ErrorKind, ScimError};

use crate::api::Api;
use crate::response::{Response, error_with_body};

/// The response for an error.
pub fn response(error: &ScimError, api: Api) -> Response {
    let code = match error.kind {
        ErrorKind::Unauthorized(_) => "authentication_failed",
        ErrorKind::Forbidden => "access_denied",
        _ => "invalid_request",
    };
    let body = json!({ "err": code, "description": error.to_string() });
    error_with_body(error, api, "application/json", body.to_string())
}
