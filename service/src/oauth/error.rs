//! Errors of the token endpoint (RFC 6749 §5.2).

use http::header::{CACHE_CONTROL, PRAGMA};
use serde_json::json;
use shared::error::{ErrorKind, Schemes, ScimError};

use crate::api::{Api, OAUTH};
use crate::response::{Response, error_with_body, set};

/// The text for a client that is not who it says it is.
pub const WRONG_CLIENT: &str = "The client id is unknown, or its secret or assertion is wrong";

/// Why the token endpoint refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A parameter is missing, repeated or wrong.
    InvalidRequest,
    /// The client is not who it says it is.
    InvalidClient,
    /// The client may get no token now.
    UnauthorizedClient,
    /// Another grant than `client_credentials`.
    UnsupportedGrantType,
    /// A scope that the client does not have.
    InvalidScope,
}

/// What stops a request for a token.
#[derive(Debug)]
pub enum Failure {
    /// The request is refused.
    Refused(Code, String),
    /// The service cannot answer.
    Service(ScimError),
}

impl Failure {
    pub fn refused(code: Code, description: impl Into<String>) -> Self {
        Self::Refused(code, description.into())
    }
}

impl From<ScimError> for Failure {
    fn from(error: ScimError) -> Self {
        Self::Service(error)
    }
}

impl Code {
    /// The code as the response has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
        }
    }

    fn kind(self) -> ErrorKind {
        match self {
            // RFC 6749 §5.2: 401 names the scheme in which the client can authenticate.
            Self::InvalidClient => {
                ErrorKind::Unauthorized(Schemes { basic: true, bearer: false, oauth: false })
            }
            _ => ErrorKind::InvalidSyntax,
        }
    }
}

/// The error for a path that can be of no connector. It looks like that for an unknown connector.
pub fn unknown_client() -> ScimError {
    ScimError::new(Code::InvalidClient.kind(), WRONG_CLIENT)
}

/// The response for a refused request. The request with this id is logged without what the client sent.
pub fn refusal(code: Code, description: &str, id: &str) -> Response {
    tracing::debug!(id, error = code.name(), description);
    with_code(&ScimError::new(code.kind(), String::new()), OAUTH, code.name(), description)
}

/// The response for an error that is not about OAuth.
pub fn response(error: &ScimError, api: Api) -> Response {
    let code = match error.kind {
        ErrorKind::Unauthorized(_) => Code::InvalidClient.name(),
        // No code of RFC 6749 §5.2 fits. These two are those of its authorization endpoint (§4.1.2.1).
        ErrorKind::TooManyRequests(_) | ErrorKind::Unavailable => "temporarily_unavailable",
        ErrorKind::Internal => "server_error",
        _ => Code::InvalidRequest.name(),
    };
    with_code(error, api, code, &error.detail)
}

fn with_code(error: &ScimError, api: Api, code: &str, description: &str) -> Response {
    // RFC 6749 §5.2: a description has printable ASCII characters except quotes and backslashes.
    let is_allowed = |character: &char| matches!(character, ' '..='~') && !matches!(character, '"' | '\\');
    let description: String = description.chars().filter(is_allowed).collect();
    let body = json!({ "error": code, "error_description": description });
    not_stored(error_with_body(error, api, "application/json", body.to_string()))
}

/// The response with the headers of RFC 6749 §5.1, so that nothing on the way stores it.
pub fn not_stored(mut response: Response) -> Response {
    set(&mut response, CACHE_CONTROL, "no-store");
    set(&mut response, PRAGMA, "no-cache");
    response
}
