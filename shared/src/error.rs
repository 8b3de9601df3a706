//! The error type of SCIM requests, and its HTTP status and `scimType` (RFC 7644 §3.12).
//!
//! The client reads `detail`. Only the log of the service provider holds `cause`.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Value, json};

use crate::limits::MAX_DETAIL_BYTES;

/// The schema URN of an error body (RFC 7644 §3.12).
pub const ERROR_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// The kind of an error. It decides the HTTP status and the `scimType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The filter has a syntax error, or an unsupported comparison (RFC 7644 §3.4.2.2).
    InvalidFilter,
    /// A query would read or sort more resources than the limit (RFC 7644 §3.12).
    TooMany,
    /// Another resource has the same value of a unique attribute (RFC 7644 §3.3.1).
    Uniqueness,
    /// The request changes an attribute that is read-only or immutable (RFC 7644 §3.5.2).
    Mutability,
    /// The body is not JSON, or does not have the structure of the expected message.
    InvalidSyntax,
    /// The PATCH path is malformed, or does not name an attribute (RFC 7644 §3.5.2).
    InvalidPath,
    /// The PATCH path does not select a value (RFC 7644 §3.5.2).
    NoTarget,
    /// A value is missing, or has the wrong type.
    InvalidValue,
    /// The cursor is not valid for this query (RFC 9865 §2.1).
    InvalidCursor,
    /// The cursor has expired (RFC 9865 §2.1).
    ExpiredCursor,
    /// The page size is not allowed, or is not that of the first page (RFC 9865 §2.1).
    InvalidCount,
    /// Credentials are missing or wrong. The value says which authentication schemes the client can use.
    Unauthorized(Schemes),
    /// Credentials are valid, but do not permit this request.
    Forbidden,
    /// There is no resource or path with this name or id.
    NotFound,
    /// The path exists and does not support this method.
    MethodNotAllowed,
    /// The version of the resource does not match If-Match (RFC 7644 §3.14).
    PreconditionFailed,
    /// The body, or the resource that would result from it, is too large.
    PayloadTooLarge,
    /// The media type of the body is not JSON.
    UnsupportedMediaType,
    /// The service provider is busy, or the client has reached a rate limit. The value is Retry-After, in
    /// seconds.
    TooManyRequests(u32),
    /// The service provider cannot answer until its operator does something.
    Unavailable,
    /// The service provider has an internal error.
    Internal,
    /// The service provider does not implement this feature of RFC 7644.
    NotImplemented,
}

/// The authentication schemes that a client can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schemes {
    /// Whether Basic is one (RFC 7617).
    pub basic: bool,
    /// Whether Bearer with a token that an operator created is one (RFC 6750).
    pub bearer: bool,
    /// Whether Bearer with a token of the token endpoint is one (RFC 6749).
    pub oauth: bool,
}

impl ErrorKind {
    /// Returns the HTTP status and the `scimType` (RFC 7644 §3.12 table 9, RFC 9865 §2.1).
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
            Self::Unauthorized(_) => (401, None),
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
            Self::Unavailable => (503, None),
        }
    }
}

/// An error of a request: one text for the client, and a cause for the log.
#[derive(Debug)]
pub struct ScimError {
    /// The kind, which decides the status.
    pub kind: ErrorKind,
    /// The text for the client: what is wrong, where, and what to do. It must not hold internals.
    pub detail: Cow<'static, str>,
    /// The error that caused this one, for the log only.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ScimError {
    /// Makes an error without a cause. Leaves out the middle of a long detail: it is text of the client.
    pub fn new(kind: ErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: without_middle(detail.into()), cause: None }
    }

    /// Makes a 400 `invalidValue`.
    pub fn invalid_value(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidValue, detail)
    }

    /// Makes a 404 for a resource, with the text of the example in RFC 7644 §3.12.
    pub fn not_found(id: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("Resource {id} not found"))
    }

    /// Makes a 500 for an internal error. The client reads only that there was one; the cause is for the log.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            kind: ErrorKind::Internal,
            detail: Cow::Borrowed(
                "The service provider has an internal error; its operator can find the cause in the log",
            ),
            cause: Some(cause.into()),
        }
    }

    /// Returns the error as the body of a response (RFC 7644 §3.12).
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

/// Leaves out the middle of a text that is longer than [`MAX_DETAIL_BYTES`]. Its end can say what to do.
fn without_middle(text: Cow<'static, str>) -> Cow<'static, str> {
    const OMISSION: &str = " … ";
    if text.len() <= MAX_DETAIL_BYTES {
        return text;
    }
    let kept = (MAX_DETAIL_BYTES - OMISSION.len()) / 2;
    let start = text.get(..text.floor_char_boundary(kept)).unwrap_or_default();
    let end = text.get(text.ceil_char_boundary(text.len() - kept)..).unwrap_or_default();
    Cow::Owned(format!("{start}{OMISSION}{end}"))
}

/// Joins the texts of an error and of all its causes in one line.
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
    fn error_body_has_the_members_of_rfc_7644_3_12() {
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
    fn middle_of_a_long_detail_is_left_out() {
        for (filler, is_cut) in
            [("x".repeat(10), false), ("x".repeat(5_000), true), ("é".repeat(5_000), true)]
        {
            let whole = format!("path is {filler}; the maximum is 9");
            let detail = ScimError::invalid_value(whole.clone()).detail;
            assert_eq!(detail.contains(" … "), is_cut);
            assert_eq!(detail != whole, is_cut);
            assert!(detail.starts_with("path is ") && detail.ends_with("; the maximum is 9"), "{detail}");
            assert!(detail.len() <= MAX_DETAIL_BYTES);
        }
    }

    #[test]
    fn cause_is_not_in_the_error_body() {
        let error = ScimError::internal("table users-prod is on fire");
        assert!(!error.to_json().to_string().contains("users-prod"));
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "table users-prod is on fire");
    }

    #[test]
    fn chain_joins_an_error_and_all_its_causes() {
        let inner = ScimError { cause: Some("no route to host".into()), ..ScimError::invalid_value("inner") };
        let outer = ScimError { cause: Some(Box::new(inner)), ..ScimError::invalid_value("outer") };
        let chain = chain(&outer);
        assert!(chain.ends_with("inner: no route to host"), "{chain}");
        assert!(chain.starts_with(&outer.to_string()) && chain.matches("outer").count() == 1, "{chain}");
    }
}
