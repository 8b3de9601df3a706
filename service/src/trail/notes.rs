//! What authentication and handlers tell about their request.

use std::sync::{Arc, Mutex, MutexGuard};

use directory::Directory;
use directory::connectors::Connector;
use directory::settings::TrailScope;
use directory::trail::Shown;
use serde_json::{Map, Value};
use shared::resource::{Document, Resource, ResourceId, ResourceKind, unknown_attributes};
use shared::schema::ResourceSchema;

use crate::authentication::lock_ignoring_poison;

/// The most ignored attributes that are noted.
const MAX_IGNORED: usize = 20;
/// The most failed operations of a Bulk request that have records of their own.
const MAX_OPERATIONS: usize = 20;

/// What is known about a request. Its handler and its operations share it.
#[derive(Debug, Default)]
pub struct Notes(Mutex<Noted>);

/// The content of [`Notes`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Noted {
    /// The connector, and the id of the credential with which the request came. `None` before authentication.
    pub signed_in: Option<(Arc<Connector>, String)>,
    /// The id of the resource, if the path does not have it.
    pub id: Option<ResourceId>,
    /// The userName or displayName of the resource.
    pub name: Option<String>,
    /// The attributes of the body that were ignored.
    pub ignored: Vec<String>,
    /// What mapping and rules made of the user that was written.
    pub shown: Option<Shown>,
    /// Whether the response is an answer to what the client asked, although its status is that of an error.
    pub is_answer: bool,
    /// The error code and the text of a refusal that is no `ScimError`.
    pub refusal: Option<(Option<&'static str>, String)>,
    /// The first operations of a Bulk request that failed.
    pub operations: Vec<FailedOperation>,
    /// The number of operations that failed.
    pub failed_operations: usize,
}

/// An operation of a Bulk request that failed.
#[derive(Clone, Debug)]
pub(crate) struct FailedOperation {
    /// Its position, counted from 1.
    pub position: usize,
    /// The method.
    pub method: String,
    /// The segments of the path.
    pub path: Vec<String>,
    /// The status.
    pub status: u16,
    /// The body of its error.
    pub error: Value,
    /// What its handler noted.
    pub noted: Noted,
}

impl Notes {
    /// Notes that the credentials were right.
    pub(crate) fn sign_in(&self, connector: &Arc<Connector>, credential: &str) {
        self.lock().signed_in = Some((Arc::clone(connector), credential.to_owned()));
    }

    /// Notes the body of a POST or PUT: the name of the resource, and what will be ignored.
    pub(crate) fn body(&self, body: &Map<String, Value>, schema: &ResourceSchema) {
        let attribute = name_attribute(schema.kind);
        let named = body.iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute));
        let mut noted = self.lock();
        noted.name = named.and_then(|(_, value)| value.as_str()).map(str::to_owned);
        noted.ignored = unknown_attributes(body, schema).take(MAX_IGNORED).collect();
    }

    /// Notes what a PATCH will ignore.
    pub(crate) fn ignored<'n>(&self, names: impl Iterator<Item = &'n str>) {
        self.lock().ignored = names.take(MAX_IGNORED).map(str::to_owned).collect();
    }

    /// Notes the resource that a request is about to change, as it is before.
    pub(crate) fn present(&self, document: &Document, kind: ResourceKind) {
        let name = document.get(name_attribute(kind)).and_then(Value::as_str);
        let mut noted = self.lock();
        if noted.name.is_none() {
            noted.name = name.map(str::to_owned);
        }
    }

    /// Notes the resource that was written.
    pub(crate) fn written(&self, resource: &Resource, directory: &Directory) {
        let name = resource.document.get(name_attribute(resource.kind)).and_then(Value::as_str);
        let is_recorded = directory.trail_scope() == TrailScope::All;
        let shown = is_recorded.then(|| directory.shown(resource)).flatten();
        let mut noted = self.lock();
        noted.id = Some(resource.id);
        noted.name = name.map(str::to_owned);
        noted.shown = shown;
    }

    /// Notes that 404 means "no", and not that the request failed.
    pub(crate) fn answer(&self) {
        self.lock().is_answer = true;
    }

    /// Notes why a request is refused, if its handler makes the response itself: the error code, and what the client reads.
    pub fn refuse(&self, code: Option<&'static str>, detail: &str) {
        self.lock().refusal = Some((code, detail.to_owned()));
    }

    /// Notes an operation that failed.
    pub(crate) fn fail_operation(&self, operation: impl FnOnce() -> FailedOperation) {
        let mut noted = self.lock();
        noted.failed_operations += 1;
        if noted.operations.len() < MAX_OPERATIONS {
            noted.operations.push(operation());
        }
    }

    /// Everything that was noted.
    pub(crate) fn noted(&self) -> Noted {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        lock_ignoring_poison(&self.0)
    }
}

fn name_attribute(kind: ResourceKind) -> &'static str {
    if kind == ResourceKind::User { "userName" } else { "displayName" }
}
