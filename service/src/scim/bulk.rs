//! POST /Bulk (RFC 7644 §3.7): each operation is a request of its own, and goes to the handler of its route.
//!
//! Operations that do not depend on each other run at the same time. One waits for those whose bulkIds it refers to, and
//! for earlier ones about the same resource or name. Where references go in a circle, the first resource of it is
//! made without them, and replaced by what was sent as soon as they are there (§3.7.1).

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use http::header::{CONTENT_TYPE, ETAG, IF_MATCH, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use shared::bulk::{BULK_RESPONSE_SCHEMA, BulkOperation, BulkRequest, LONGEST_BULK, Resolved};
use shared::error::{ErrorKind, ScimError};
use shared::resource::parse_object;

use crate::response::{self, MEDIA_TYPE, Response, json as answer};
use crate::routes;
use crate::service::Call;

/// Operations that run at the same time.
const AT_ONCE: usize = 16;

/// What became of one operation.
struct Outcome {
    status: StatusCode,
    location: Option<String>,
    version: Option<String>,
    error: Option<Value>,
}

/// POST /Bulk
pub fn process(call: Arc<Call>) -> BoxFuture<'static, Result<Response, ScimError>> {
    Box::pin(async move {
        let length = call.request.body.len();
        if length > LONGEST_BULK {
            let detail = format!("The body is {length} bytes, and may be {LONGEST_BULK}");
            return Err(ScimError::new(ErrorKind::PayloadTooLarge, detail));
        }
        let request = BulkRequest::parse(&parse_object(&call.request.body)?)?;
        let outcomes = carry_out(&call, &request).await;
        // What was not carried out is not in the answer.
        let operations: Vec<Value> = request
            .operations
            .iter()
            .zip(&outcomes)
            .filter_map(|(operation, outcome)| Some(outcome.as_ref()?.to_json(operation)))
            .collect();
        answer(StatusCode::OK, &json!({ "schemas": [BULK_RESPONSE_SCHEMA], "Operations": operations }))
    })
}

/// A request that is being carried out, wave after wave.
struct Progress<'a> {
    call: &'a Arc<Call>,
    operations: &'a [BulkOperation],
    waits_for: Vec<BTreeSet<usize>>,
    /// `None` stands for what was not begun.
    outcomes: Vec<Option<Outcome>>,
    resolved: Resolved,
    /// Creations that lack what they refer to, until that is there.
    unfinished: BTreeSet<usize>,
    at_once: usize,
}

/// Carries out what can be. `None` stands for what was not begun.
async fn carry_out(call: &Arc<Call>, request: &BulkRequest) -> Vec<Option<Outcome>> {
    let mut progress = Progress {
        call,
        operations: &request.operations,
        waits_for: dependencies(&request.operations),
        outcomes: request.operations.iter().map(|_| None).collect(),
        resolved: Resolved::new(),
        unfinished: BTreeSet::new(),
        // Who counts errors to stop at one wants them in order.
        at_once: if request.fail_on_errors.is_some() { 1 } else { AT_ONCE },
    };
    loop {
        progress.finish(false).await;
        let errors = progress.outcomes.iter().flatten().filter(|outcome| outcome.error.is_some()).count();
        let is_over = request.fail_on_errors.is_some_and(|most| errors as u64 >= most);
        let wave = if is_over { Vec::new() } else { progress.next_wave() };
        if wave.is_empty() {
            progress.finish(true).await;
            return progress.outcomes;
        }
        progress.carry_out(wave).await;
    }
}

impl Progress<'_> {
    fn open(&self) -> BTreeSet<usize> {
        (0..).zip(&self.outcomes).filter(|(_, one)| one.is_none()).map(|(index, _)| index).collect()
    }

    fn has_its_turn(&self, index: usize, open: &BTreeSet<usize>) -> bool {
        self.waits_for.get(index).is_none_or(|others| others.is_disjoint(open))
    }

    /// Takes the second step of those creations for which all is there by now; or of all, when nothing more will come.
    async fn finish(&mut self, is_over: bool) {
        let open = self.open();
        let finished: Vec<usize> = self
            .unfinished
            .iter()
            .copied()
            .filter(|index| is_over || self.has_its_turn(*index, &open))
            .collect();
        for index in finished {
            self.unfinished.remove(&index);
            if let (Some(operation), Some(Some(outcome))) =
                (self.operations.get(index), self.outcomes.get_mut(index))
            {
                finish(self.call, operation, &self.resolved, outcome).await;
            }
        }
    }

    /// What can be carried out now: what waits for nothing any more; or, where references go in a circle, one creation
    /// of it without them. Nothing when nothing is left.
    fn next_wave(&mut self) -> Vec<usize> {
        let open = self.open();
        let creation = |index: usize| self.operations.get(index).filter(|one| one.method == "POST");
        // What is about a creation waits until that is finished, which would undo it.
        let unfinished: BTreeSet<&str> =
            self.unfinished.iter().filter_map(|index| creation(*index)?.bulk_id.as_deref()).collect();
        let is_about_unfinished = |operation: &BulkOperation| {
            operation.subject().is_some_and(|subject| unfinished.contains(subject))
        };
        let is_ready = |index: &usize| {
            let operation = self.operations.get(*index);
            self.has_its_turn(*index, &open) && !operation.is_some_and(is_about_unfinished)
        };
        let mut wave: Vec<usize> = open.iter().copied().filter(is_ready).take(self.wave_size()).collect();
        let refers_to_itself = |index: &usize| {
            let made = creation(*index).and_then(|one| Some((one, one.bulk_id.as_ref()?)));
            made.is_some_and(|(one, bulk_id)| one.references().contains(bulk_id))
        };
        let mut in_two_steps: Vec<usize> = wave.iter().copied().filter(refers_to_itself).collect();
        if wave.is_empty() {
            let is_creation = |index: &usize| creation(*index).is_some();
            wave.extend(open.iter().copied().find(is_creation).or(open.first().copied()));
            in_two_steps.clone_from(&wave);
        }
        self.unfinished.extend(in_two_steps);
        wave
    }

    fn wave_size(&self) -> usize {
        if self.at_once == 1 { 1 } else { usize::MAX }
    }

    async fn carry_out(&mut self, wave: Vec<usize>) {
        let steps: Vec<(usize, Result<BulkOperation, ScimError>)> = wave
            .iter()
            .filter_map(|index| Some((*index, self.operations.get(*index)?)))
            .map(|(index, operation)| match self.unfinished.contains(&index) {
                true => (index, Ok(operation.without_unresolved(&self.resolved))),
                false => (index, operation.resolve(&self.resolved)),
            })
            .collect();
        for (index, outcome) in run_all(self.call, steps, self.at_once).await {
            let bulk_id = self.operations.get(index).and_then(|operation| operation.bulk_id.clone());
            if let (Some(bulk_id), Some(id)) = (bulk_id, outcome.new_id()) {
                self.resolved.insert(bulk_id, id);
            }
            if let Some(place) = self.outcomes.get_mut(index) {
                *place = Some(outcome);
            }
        }
    }
}

/// For each operation those that it waits for.
fn dependencies(operations: &[BulkOperation]) -> Vec<BTreeSet<usize>> {
    let makes = |bulk_id: &String| {
        operations.iter().position(|other| other.method == "POST" && other.bulk_id.as_ref() == Some(bulk_id))
    };
    let waits = operations.iter().enumerate().map(|(index, operation)| {
        let earlier = operations.iter().take(index).enumerate();
        let followed = earlier.filter(|(_, earlier)| operation.follows(earlier)).map(|(index, _)| index);
        operation
            .references()
            .iter()
            .filter_map(makes)
            .filter(|other| *other != index)
            .chain(followed)
            .collect()
    });
    waits.collect()
}

/// Runs operations that do not wait for each other.
async fn run_all(
    call: &Arc<Call>,
    steps: Vec<(usize, Result<BulkOperation, ScimError>)>,
    at_once: usize,
) -> Vec<(usize, Outcome)> {
    let mut runs = Vec::with_capacity(steps.len());
    for (index, operation) in &steps {
        runs.push(async move { (*index, run(call, operation).await) });
    }
    let mut outcomes: Vec<(usize, Outcome)> = stream::iter(runs).buffered(at_once).collect().await;
    // A name that another one of these gave up may have been taken still.
    for ((_, operation), (_, outcome)) in steps.iter().zip(&mut outcomes) {
        if at_once > 1 && outcome.is_name_taken() {
            *outcome = run(call, operation).await;
        }
    }
    outcomes
}

/// Carries out one operation as the request that it stands for.
fn run<'a>(call: &'a Arc<Call>, operation: &'a Result<BulkOperation, ScimError>) -> BoxFuture<'a, Outcome> {
    Box::pin(async move {
        let operation = match operation {
            Ok(operation) => operation,
            Err(error) => return Outcome::refused(error, None),
        };
        let location =
            operation.path.get(1).map(|_| format!("{}/{}", call.base_url, operation.path.join("/")));
        match ask(call, operation).await {
            Ok(response) => Outcome::from_response(&response, location),
            Err(error) => Outcome::refused(&error, location),
        }
    })
}

async fn ask(call: &Arc<Call>, operation: &BulkOperation) -> Result<Response, ScimError> {
    operation.check()?;
    let method = Method::from_bytes(operation.method.as_bytes()).map_err(ScimError::internal)?;
    let route = routes::find(&method, &operation.path)?;
    let mut request = call.request.part(method);
    request.body = match &operation.data {
        Value::Null => Vec::new(),
        data => data.to_string().into_bytes(),
    };
    request.headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))]);
    if let Some(version) = &operation.version {
        let version = HeaderValue::from_str(version);
        let invalid = |_| ScimError::invalid_value("version is no version that was given here");
        request.headers.insert(IF_MATCH, version.map_err(invalid)?);
    }
    let part = Call {
        request,
        path: operation.path.clone(),
        directory: call.directory.clone(),
        connector: Arc::clone(&call.connector),
        base_url: call.base_url.clone(),
        now: call.now,
    };
    (route.handler)(Arc::new(part)).await
}

/// The second step of what was made without its references: all that was sent, in place of it. What cannot be finished
/// is taken back.
async fn finish(call: &Arc<Call>, operation: &BulkOperation, resolved: &Resolved, outcome: &mut Outcome) {
    let (Some(id), Some(endpoint)) = (outcome.new_id(), operation.path.first()) else { return };
    let of_it = |method: &str, data: Value| BulkOperation {
        method: method.to_owned(),
        bulk_id: None,
        version: None,
        path: vec![endpoint.clone(), id.clone()],
        data,
    };
    let second = operation.resolve(resolved).map(|operation| of_it("PUT", operation.data));
    let replaced = run(call, &second).await;
    if replaced.error.is_some() {
        run(call, &Ok(of_it("DELETE", Value::Null))).await;
        *outcome = Outcome { location: None, ..replaced };
    } else {
        outcome.version = replaced.version;
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
        }
    }

    fn refused(error: &ScimError, location: Option<String>) -> Self {
        Self {
            status: response::error(error).status(),
            location,
            version: None,
            error: Some(error.to_json()),
        }
    }

    /// The id of what a creation made.
    fn new_id(&self) -> Option<String> {
        let location = self.location.as_ref().filter(|_| self.status == StatusCode::CREATED)?;
        Some(location.rsplit_once('/')?.1.to_owned())
    }

    fn is_name_taken(&self) -> bool {
        self.error
            .as_ref()
            .is_some_and(|error| error.get("scimType").is_some_and(|kind| kind == "uniqueness"))
    }

    /// Its part of the answer (RFC 7644 §3.7.3).
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
