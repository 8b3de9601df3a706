//! POST /Bulk (RFC 7644 §3.7). Each operation is a separate request, which the handler of its
//! route answers.
//!
//! Operations that do not depend on each other run at the same time (one by one if the client sends
//! `failOnErrors`). An operation waits for the operations whose bulkIds it refers to, and for earlier ones
//! about the same resource or name. If every waiting operation waits for another one, the first waiting POST
//! runs without its unresolved references. When the operations that it waits for have run, the resource is
//! replaced by what the client sent (§3.7.1).

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use http::header::{CONTENT_TYPE, ETAG, IF_MATCH, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use shared::bulk::{BULK_RESPONSE_SCHEMA, BulkOperation, BulkRequest, ResolvedBulkIds, Schedule};
use shared::error::{ErrorKind, ScimError};
use shared::limits::MAX_BULK_BYTES;
use shared::resource::parse_object;

use crate::call::{Call, FindHandler, Handler, ResponseFuture};
use crate::response::{self, MEDIA_TYPE, Response};
use crate::trail::{FailedOperation, Noted, Notes};

/// The maximum number of operations that run at the same time.
const MAX_CONCURRENT: usize = 16;

/// The result of one operation.
struct Outcome {
    status: StatusCode,
    location: Option<String>,
    version: Option<String>,
    error: Option<Value>,
    /// What its handler told the request trail.
    noted: Noted,
}

/// POST /Bulk
pub fn process(call: Arc<Call>, find_handler: FindHandler) -> ResponseFuture {
    Box::pin(async move {
        let length = call.request.body.len();
        if length > MAX_BULK_BYTES {
            let detail = format!("Request body is {length} bytes; the maximum for Bulk is {MAX_BULK_BYTES}");
            return Err(ScimError::new(ErrorKind::PayloadTooLarge, detail));
        }
        let request = BulkRequest::parse(parse_object(&call.request.body)?)?;
        let outcomes = run_request(Runner { call: &call, find_handler }, &request).await;
        for (index, (operation, outcome)) in request.operations.iter().zip(&outcomes).enumerate() {
            if let Some(Outcome { status, error: Some(error), noted, .. }) = outcome {
                call.notes.fail_operation(|| FailedOperation {
                    position: index + 1,
                    method: operation.method.clone(),
                    path: operation.path.clone(),
                    status: status.as_u16(),
                    error: error.clone(),
                    noted: noted.clone(),
                });
            }
        }
        // The response omits operations that did not run.
        let operations: Vec<Value> = request
            .operations
            .iter()
            .zip(&outcomes)
            .filter_map(|(operation, outcome)| Some(outcome.as_ref()?.to_json(operation)))
            .collect();
        let body = json!({ "schemas": [BULK_RESPONSE_SCHEMA], "Operations": operations });
        response::json(StatusCode::OK, &body)
    })
}

/// The state of a Bulk request. Operations run in waves: each wave holds the operations whose dependencies
/// have run.
struct Progress<'a> {
    runner: Runner<'a>,
    operations: &'a [BulkOperation],
    schedule: Schedule,
    /// `None` for an operation that has not run.
    outcomes: Vec<Option<Outcome>>,
    resolved: ResolvedBulkIds,
    /// The POSTs that ran without their references and still need them.
    unfinished: BTreeSet<usize>,
    max_concurrent: usize,
}

/// Runs the operations. Stops when `failOnErrors` errors have occurred. The result of an operation that did
/// not run is `None`.
async fn run_request(runner: Runner<'_>, request: &BulkRequest) -> Vec<Option<Outcome>> {
    let mut progress = Progress {
        runner,
        operations: &request.operations,
        schedule: Schedule::new(&request.operations),
        outcomes: request.operations.iter().map(|_| None).collect(),
        resolved: ResolvedBulkIds::new(),
        unfinished: BTreeSet::new(),
        // failOnErrors requires that operations run in order.
        max_concurrent: if request.fail_on_errors.is_some() { 1 } else { MAX_CONCURRENT },
    };
    loop {
        progress.add_references(false).await;
        let errors = progress.outcomes.iter().flatten().filter(|outcome| outcome.error.is_some()).count();
        let must_stop = request.fail_on_errors.is_some_and(|limit| errors as u64 >= limit);
        let wave = if must_stop { Vec::new() } else { progress.next_wave() };
        if wave.is_empty() {
            progress.add_references(true).await;
            return progress.outcomes;
        }
        progress.run_wave(wave).await;
    }
}

impl Progress<'_> {
    /// Replaces the resources that were created without references, when the operations that they wait for
    /// have run. If `is_last`, replaces all of them.
    async fn add_references(&mut self, is_last: bool) {
        let is_ready = |index: &usize| is_last || self.schedule.is_free(*index);
        let ready: Vec<usize> = self.unfinished.iter().copied().filter(is_ready).collect();
        for index in ready {
            self.unfinished.remove(&index);
            if let (Some(operation), Some(Some(outcome))) =
                (self.operations.get(index), self.outcomes.get_mut(index))
            {
                self.runner.replace_with_references(operation, &self.resolved, outcome).await;
            }
            self.schedule.complete(index);
        }
    }

    /// Returns the operations that can run now. If each waits for another one, returns the first POST that has
    /// not run, which runs without its unresolved references. Empty if all operations ran.
    fn next_wave(&mut self) -> Vec<usize> {
        let creation = |index: usize| {
            self.operations.get(index).filter(|operation| operation.method == Method::POST.as_str())
        };
        let mut wave: Vec<usize> = self.schedule.ready().take(self.wave_size()).collect();
        let refers_to_itself = |index: &usize| {
            let created =
                creation(*index).and_then(|operation| Some((operation, operation.bulk_id.as_ref()?)));
            created.is_some_and(|(operation, bulk_id)| operation.references().contains(bulk_id))
        };
        let mut created_without_references: Vec<usize> =
            wave.iter().copied().filter(refers_to_itself).collect();
        if wave.is_empty() {
            let is_creation = |index: &usize| creation(*index).is_some();
            wave.extend(self.schedule.not_run().find(is_creation).or(self.schedule.not_run().next()));
            created_without_references.clone_from(&wave);
        }
        self.unfinished.extend(created_without_references);
        wave
    }

    fn wave_size(&self) -> usize {
        if self.max_concurrent == 1 { 1 } else { usize::MAX }
    }

    async fn run_wave(&mut self, wave: Vec<usize>) {
        let operations: Vec<(usize, Result<BulkOperation, ScimError>)> = wave
            .iter()
            .filter_map(|index| Some((*index, self.operations.get(*index)?)))
            .map(|(index, operation)| match self.unfinished.contains(&index) {
                true => (index, Ok(operation.without_unresolved(&self.resolved))),
                false => (index, operation.resolve(&self.resolved)),
            })
            .collect();
        for (index, outcome) in self.runner.run_all(operations, self.max_concurrent).await {
            let bulk_id = self.operations.get(index).and_then(|operation| operation.bulk_id.clone());
            if let (Some(bulk_id), Some(id)) = (bulk_id, outcome.new_id()) {
                self.resolved.insert(bulk_id, id);
            }
            if let Some(entry) = self.outcomes.get_mut(index) {
                *entry = Some(outcome);
            }
            self.schedule.run(index);
            // Changes of a resource without its references would be undone when it is replaced, so they wait.
            if !self.unfinished.contains(&index) {
                self.schedule.complete(index);
            }
        }
    }
}

/// Runs operations as separate requests.
#[derive(Clone, Copy)]
struct Runner<'a> {
    call: &'a Arc<Call>,
    find_handler: FindHandler,
}

impl<'a> Runner<'a> {
    /// Runs operations that do not wait for each other.
    async fn run_all(
        self,
        operations: Vec<(usize, Result<BulkOperation, ScimError>)>,
        max_concurrent: usize,
    ) -> Vec<(usize, Outcome)> {
        let mut runs = Vec::with_capacity(operations.len());
        for (index, operation) in &operations {
            runs.push(async move { (*index, self.run(operation).await) });
        }
        let mut outcomes: Vec<(usize, Outcome)> = stream::iter(runs).buffered(max_concurrent).collect().await;
        // Another operation of this wave may have freed the name after this one ran. So run this one once more.
        for ((_, operation), (_, outcome)) in operations.iter().zip(&mut outcomes) {
            if max_concurrent > 1 && outcome.is_name_taken() {
                *outcome = self.run(operation).await;
            }
        }
        outcomes
    }

    /// Runs one operation.
    fn run<'b>(self, operation: &'b Result<BulkOperation, ScimError>) -> BoxFuture<'b, Outcome>
    where
        'a: 'b,
    {
        Box::pin(async move {
            let operation = match operation {
                Ok(operation) => operation,
                Err(error) => return Outcome::from_error(error, None, Noted::default()),
            };
            // RFC 7644 §3.7.3: each operation has a location, except a POST that failed.
            let location =
                operation.resource().map(|_| format!("{}/{}", self.call.base_url, operation.path.join("/")));
            let notes = Arc::new(Notes::default());
            match self.send(operation, &notes).await {
                Ok(response) => Outcome::from_response(&response, location),
                Err(error) => Outcome::from_error(&error, location, notes.noted()),
            }
        })
    }

    async fn send(self, operation: &BulkOperation, notes: &Arc<Notes>) -> Result<Response, ScimError> {
        operation.check()?;
        let call = self.call;
        let method = Method::from_bytes(operation.method.as_bytes()).map_err(ScimError::internal)?;
        let Handler::Client(handler) = (self.find_handler)(call.api, &method, &operation.path)? else {
            return Err(ScimError::internal("a route of users or groups has no handler for clients"));
        };
        let mut request = call.request.part(method);
        request.body = match &operation.data {
            Value::Null => Vec::new(),
            data => data.to_string().into_bytes(),
        };
        request.headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))]);
        if let Some(version) = &operation.version {
            let invalid = |_| {
                ScimError::invalid_value(format!(
                    "version is {version:?}; it must be the meta.version of the resource"
                ))
            };
            request.headers.insert(IF_MATCH, HeaderValue::from_str(version).map_err(invalid)?);
        }
        let part = Call {
            request,
            api: call.api,
            path: operation.path.clone(),
            directory: call.directory.clone(),
            connector: Arc::clone(&call.connector),
            base_url: call.base_url.clone(),
            now: call.now,
            notes: Arc::clone(notes),
        };
        handler(Arc::new(part)).await
    }

    /// Replaces a resource that was created without its references by everything that the client sent. If
    /// this fails, deletes the resource.
    async fn replace_with_references(
        self,
        operation: &BulkOperation,
        resolved: &ResolvedBulkIds,
        outcome: &mut Outcome,
    ) {
        let (Some(id), Some(endpoint)) = (outcome.new_id(), operation.path.first()) else { return };
        let to_resource = |method: Method, data: Value| BulkOperation {
            method: method.to_string(),
            bulk_id: None,
            version: None,
            path: vec![endpoint.clone(), id.clone()],
            data,
        };
        let replacement =
            operation.resolve(resolved).map(|operation| to_resource(Method::PUT, operation.data));
        let replaced = self.run(&replacement).await;
        if replaced.error.is_some() {
            self.run(&Ok(to_resource(Method::DELETE, Value::Null))).await;
            *outcome = Outcome { location: None, ..replaced };
        } else {
            outcome.version = replaced.version;
        }
    }
}

impl Outcome {
    fn from_response(response: &Response, location: Option<String>) -> Self {
        let header =
            |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self {
            status: response.status(),
            location: header(LOCATION).or(location),
            version: header(ETAG),
            error: None,
            noted: Noted::default(),
        }
    }

    fn from_error(error: &ScimError, location: Option<String>, noted: Noted) -> Self {
        Self {
            status: response::error(error).status(),
            location,
            version: None,
            error: Some(error.to_json()),
            noted,
        }
    }

    /// The id of the resource that a POST created.
    fn new_id(&self) -> Option<String> {
        let location = self.location.as_ref().filter(|_| self.status == StatusCode::CREATED)?;
        Some(location.rsplit_once('/')?.1.to_owned())
    }

    fn is_name_taken(&self) -> bool {
        self.error
            .as_ref()
            .is_some_and(|error| error.get("scimType").is_some_and(|kind| kind == "uniqueness"))
    }

    /// The operation in the Bulk response (RFC 7644 §3.7.3).
    fn to_json(&self, operation: &BulkOperation) -> Value {
        let members = [
            ("location", self.location.clone().map(Value::from)),
            ("method", Some(operation.method.clone().into())),
            ("bulkId", operation.bulk_id.clone().map(Value::from)),
            ("version", self.version.clone().map(Value::from)),
            ("status", Some(self.status.as_u16().to_string().into())),
            ("response", self.error.clone()),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}
