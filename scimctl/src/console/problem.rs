//! Why a page cannot be shown, or a change was not made.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use maud::html;
use shared::error::{ErrorKind, ScimError};

use super::Console;
use super::page::Section;
use crate::failure::Failure;
use crate::place::DENIED;

/// Which policy of the stack allows what in the console.
const POLICIES: &str = "OperatorPolicy has the rights of all pages, except to send test events. AuditorPolicy has those of the pages \
    that change nothing. DelivererPolicy has only the rights of sending events, as `scimctl feed test` and `feed deliver` do.";

/// The status and text of an error page. A handler returns it as its error. The server makes the page, because it knows the
/// session.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    title: &'static str,
    detail: String,
}

impl Problem {
    /// A problem with this status, heading and sentence.
    pub fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, title, detail: detail.into() }
    }

    /// 404, with what there is not.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not found", detail)
    }

    /// 400: the request is not one that a page of the console sends.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "The request is not valid", detail)
    }

    /// 403, with the reason.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Not allowed", detail)
    }

    /// 403, because the console makes no changes.
    pub fn read_only() -> Self {
        Self::forbidden("The console is read-only. To make changes, start it with --write.")
    }

    /// 409: the present state does not allow the change.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Nothing is changed", detail)
    }

    /// The whole page.
    pub fn page(&self, console: &Console) -> Response {
        let content = html! {
            p { (self.detail) }
            p { a href="/" { "Show all connectors" } }
        };
        let mut response = console.page(self.title, Section::Connectors, content);
        *response.status_mut() = self.status;
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<ScimError> for Problem {
    fn from(error: ScimError) -> Self {
        match (error.kind, &error.cause) {
            (ErrorKind::NotFound, _) => Self::not_found(error.detail),
            (ErrorKind::TooManyRequests(_), None) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "DynamoDB is busy",
                "DynamoDB did not respond in time. Load the page again.",
            ),
            (ErrorKind::Internal | ErrorKind::TooManyRequests(_), _) => Failure::from(error).into(),
            _ => Self::conflict(error.detail),
        }
    }
}

impl From<Failure> for Problem {
    fn from(Failure(sentence): Failure) -> Self {
        if sentence.starts_with(DENIED) {
            // The sentence names the right.
            let detail = format!("{sentence}. {POLICIES}");
            return Self::new(StatusCode::FORBIDDEN, "A right is missing", detail);
        }
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "This did not work", sentence)
    }
}
