//! The one error that leaves this crate, and the table that turns it into HTTP (RFC 7644 §3.12).
//!
//! `detail` is written for the person who reads the provisioning client's log; `cause` is for ours.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Value, json};

/// The schema URN of an error body (RFC 7644 §3.12).
pub const ERROR_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// What went wrong, as a provisioning client can tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The filter is not of the grammar, or compares what cannot be compared (RFC 7644 §3.4.2.2).
    InvalidFilter,
    /// A query would read or return more than this service provider is willing to (RFC 7644 §3.12).
    TooMany,
    /// A value is taken already (RFC 7644 §3.3.1).
    Uniqueness,
    /// A change to what is read-only or immutable (RFC 7644 §3.5.2).
    Mutability,
    /// The body is not JSON, or not of the shape its message has.
    InvalidSyntax,
    /// The PATCH path is malformed or names no attribute (RFC 7644 §3.5.2).
    InvalidPath,
    /// The PATCH path selects nothing (RFC 7644 §3.5.2).
    NoTarget,
    /// A value is missing, or of the wrong type.
    InvalidValue,
    /// The cursor is not one this service provider gave for this query (RFC 9865 §2.1).
    InvalidCursor,
    /// The cursor was given too long ago (RFC 9865 §2.1).
    ExpiredCursor,
    /// The page size is not acceptable (RFC 9865 §2.1).
    InvalidCount,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// Credentials are right, and the request is still refused.
    Forbidden,
    /// Nothing of that name or id.
    NotFound,
    /// The path exists and does not support this method.
    MethodNotAllowed,
    /// The version in If-Match is not the resource's (RFC 7644 §3.14).
    PreconditionFailed,
    /// The body, or the document that it makes, is too large.
    PayloadTooLarge,
    /// The body is of a media type that is not JSON.
    UnsupportedMediaType,
    /// Busy; worth another try after so many whole seconds.
    TooManyRequests(u32),
    /// A fault of this service provider.
    Internal,
    /// RFC 7644 has it and this service provider does not.
    NotImplemented,
}

impl ErrorKind {
    /// The HTTP status and the `scimType` (RFC 7644 §3.12 table 9, RFC 9865 §2.1) of this kind.
    pub fn status(self) -> (u16, Option<&'static str>) {
        match self {
            Self::InvalidFilter => (400, Some("invalidFilter")),
            Self::TooMany => (400, Some("tooMany")),
            Self::Mutability => (400, Some("mutability")),
            Self::InvalidSyntax => (400, Some("invalidSyntax")),
            Self::InvalidPath => (400, Some("invalidPath")),
            Self::NoTarget => (400, Some("noTarget")),
            Self::InvalidValue => (400, Some("invalidValue")),
            Self::InvalidCursor => (400, Some("invalidCursor")),
            Self::ExpiredCursor => (400, Some("expiredCursor")),
            Self::InvalidCount => (400, Some("invalidCount")),
            Self::Unauthorized => (401, None),
            Self::Forbidden => (403, None),
            Self::NotFound => (404, None),
            Self::MethodNotAllowed => (405, None),
            Self::Uniqueness => (409, Some("uniqueness")),
            Self::PreconditionFailed => (412, None),
            Self::PayloadTooLarge => (413, None),
            Self::UnsupportedMediaType => (415, None),
            Self::TooManyRequests(_) => (429, None),
            Self::Internal => (500, None),
            Self::NotImplemented => (501, None),
        }
    }
}

/// A failed request: what the client is told, and what only the log is.
#[derive(Debug)]
pub struct ScimError {
    /// What went wrong.
    pub kind: ErrorKind,
    /// What was wrong and where, for the client to read. Holds no internals.
    pub detail: Cow<'static, str>,
    /// What lies behind it, for the log.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ScimError {
    /// An error that a client caused.
    pub fn new(kind: ErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into(), cause: None }
    }

    /// A 400 `invalidValue`, the commonest of all.
    pub fn invalid_value(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidValue, detail)
    }

    /// A 404 for a resource, in the words of RFC 7644 §3.12.
    pub fn not_found(id: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("Resource {id} not found"))
    }

    /// A fault of ours: the client learns that there was one, the log learns which.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            kind: ErrorKind::Internal,
            detail: Cow::Borrowed("The service provider failed; its log says why"),
            cause: Some(cause.into()),
        }
    }

    /// The error as a message body (RFC 7644 §3.12).
    pub fn to_json(&self) -> Value {
        let (status, scim_type) = self.kind.status();
        let mut body = json!({ "schemas": [ERROR_SCHEMA], "status": status.to_string() });
        if let (Some(scim_type), Some(body)) = (scim_type, body.as_object_mut()) {
            body.insert("scimType".into(), scim_type.into());
        }
        if let Some(body) = body.as_object_mut() {
            body.insert("detail".into(), self.detail.as_ref().into());
        }
        body
    }
}

impl fmt::Display for ScimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (status, scim_type) = self.kind.status();
        write!(f, "{status}")?;
        if let Some(scim_type) = scim_type {
            write!(f, " {scim_type}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

impl std::error::Error for ScimError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

/// An error and what lies behind it, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        chain = format!("{chain}: {error}");
        source = error.source();
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_body_has_the_members_of_rfc_7644_3_12() {
        let error = ScimError::new(ErrorKind::Uniqueness, "userName \"a\" is taken");
        assert_eq!(
            error.to_json(),
            json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
                "status": "409",
                "scimType": "uniqueness",
                "detail": "userName \"a\" is taken"
            })
        );
    }

    #[test]
    fn a_cause_is_not_told_to_the_client() {
        let error = ScimError::internal("table users-prod is on fire");
        assert!(!error.to_json().to_string().contains("users-prod"));
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "table users-prod is on fire");
    }
}
