//! The request trail: what clients asked for, and what came of it.
//!
//! Authentication and handlers fill the [`Notes`] of their request. When its response is ready, [`Seen::records`] makes the
//! records, `redaction` takes out what could be a secret, and `recorder` writes them. That never changes a response, and takes at most
//! 100 ms. (A function must write before it answers, because Lambda stops its process after the answer.)
//!
//! Requests without right credentials make no records, so strangers cannot fill the table. Failed sign-ins are counted elsewhere.

mod notes;
mod recorder;
mod redaction;

use directory::settings::TrailScope;
use directory::trail::Record;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use serde_json::Value;
use shared::error::ScimError;
use shared::resource::{ResourceId, ResourceKind};

use crate::api::Location;
use crate::request::Request;
use redaction::Redaction;

pub use notes::Notes;
pub(crate) use notes::{FailedOperation, Noted};
pub(crate) use recorder::Recorder;

/// What a record has of the request itself.
#[derive(Debug)]
pub(crate) struct Seen {
    pub id: String,
    pub method: Method,
    pub path: Vec<String>,
    query: Vec<(String, String)>,
    authorization: Option<HeaderValue>,
}

/// How a request ended.
#[derive(Debug)]
pub(crate) struct Outcome<'o> {
    pub status: StatusCode,
    /// The error, if the response was made of one.
    pub error: Option<&'o ScimError>,
    /// How long the request took, in milliseconds.
    pub ms: u64,
    /// When its response was ready.
    pub time: Timestamp,
}

impl Seen {
    /// Copies what records need of a request. Its handler takes the rest.
    pub fn of(request: &Request) -> Self {
        Self {
            id: request.id.clone(),
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            authorization: request.headers.get(AUTHORIZATION).cloned(),
        }
    }

    /// Makes the record of a request, and after it those of the operations that failed. There are none if the request came without
    /// right credentials, or if the trail of the connector has only failures and this is none.
    pub fn records(&self, outcome: &Outcome<'_>, noted: &Noted) -> Vec<Record> {
        let Some((connector, credential)) = &noted.signed_in else { return Vec::new() };
        let status = outcome.status;
        let is_error = status.is_client_error() || status.is_server_error();
        let has_failed = (is_error && !noted.is_answer) || noted.failed_operations > 0;
        // A used assertion can be sent again with right credentials. Such requests are counted as failed sign-ins.
        let is_recorded = has_failed || connector.record.settings.trail == TrailScope::All;
        if !is_recorded || status == StatusCode::UNAUTHORIZED {
            return Vec::new();
        }
        let feeds = connector.record.feeds.iter().map(ToString::to_string);
        let names: Vec<String> = feeds.chain([connector.id.to_string()]).collect();
        let redaction =
            |path: &[String]| Redaction::of(path, &self.query, self.authorization.as_ref(), names.clone());
        let own_redaction = redaction(&self.path);
        let location = Location::of(&self.path);
        let path = location.map(|location| location.path).unwrap_or_default();
        let (scim_type, detail) = match (outcome.error, &noted.refusal) {
            (Some(error), _) => (error.kind.status().1, Some(error.detail.as_ref())),
            (None, Some((code, detail))) => (*code, Some(detail.as_str())),
            (None, None) => (None, None),
        };
        let own = Record {
            status: status.as_u16(),
            scim_type: scim_type.map(str::to_owned),
            detail: detail.map(|detail| own_redaction.detail(detail)),
            ms: outcome.ms,
            failed_operations: noted.failed_operations,
            unrecorded_operations: noted.failed_operations - noted.operations.len(),
            path: own_redaction.path(&self.path),
            ..self.record((&self.method, path), outcome, (credential, noted), &own_redaction)
        };
        let of_operation = |operation: &FailedOperation| {
            let text = |name: &str| operation.error.get(name).and_then(Value::as_str);
            let redaction = redaction(&operation.path);
            Record {
                operation: Some(operation.position),
                status: operation.status,
                scim_type: text("scimType").map(str::to_owned),
                detail: text("detail").map(|detail| redaction.detail(detail)),
                path: redaction.path(&operation.path),
                ..self.record(
                    (&operation.method, &operation.path),
                    outcome,
                    (credential, &operation.noted),
                    &redaction,
                )
            }
        };
        std::iter::once(own).chain(noted.operations.iter().map(of_operation)).collect()
    }

    /// The part of a record that requests and operations have in common. `path` is that after the base of the API.
    fn record(
        &self,
        (method, path): (&impl ToString, &[String]),
        outcome: &Outcome<'_>,
        (credential, noted): (&str, &Noted),
        redaction: &Redaction,
    ) -> Record {
        let id_in_path = path.get(1).and_then(|id| ResourceId::parse(id));
        Record {
            time: outcome.time,
            request: self.id.clone(),
            operation: None,
            method: method.to_string(),
            path: String::new(),
            status: 0,
            scim_type: None,
            detail: None,
            ms: 0,
            credential: credential.to_owned(),
            kind: kind_of(path).map(|kind| kind.name().to_owned()),
            resource: noted.id.or(id_in_path).map(|id| id.to_string()),
            name: noted.name.as_deref().map(|name| redaction.name(name)),
            ignored: noted.ignored.iter().map(|name| redaction.detail(name)).collect(),
            shown: noted.shown.clone(),
            failed_operations: 0,
            unrecorded_operations: 0,
            dropped_before: 0,
        }
    }
}

/// The kind of resource that a path of the SCIM API or the directory API is about.
fn kind_of(path: &[String]) -> Option<ResourceKind> {
    let first = path.first()?;
    let kinds = [ResourceKind::User, ResourceKind::Group];
    kinds.into_iter().find(|kind| first.eq_ignore_ascii_case(kind.endpoint()))
}
