//! POST /Bulk (RFC 7644 §3.7): each operation is a request of its own, and goes to the handler of its route.
//!
//! Operations that do not depend on each other run at the same time. One waits for those whose bulkIds it refers to, and
//! for earlier ones about the same resource or name. Where references go in a circle, the first resource of it is
//! made without them and then replaced by what was sent (§3.7.1).

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

/// Carries out what can be, wave after wave. `None` stands for what was not begun.
async fn carry_out(call: &Arc<Call>, request: &BulkRequest) -> Vec<Option<Outcome>> {
    let operations = &request.operations;
    let waits_for = dependencies(operations);
    let mut outcomes: Vec<Option<Outcome>> = operations.iter().map(|_| None).collect();
    let mut resolved = Resolved::new();
    let mut in_two_steps = Vec::new();
    // Who counts errors to stop at one wants them in order.
    let at_once = if request.fail_on_errors.is_some() { 1 } else { AT_ONCE };
    loop {
        let errors = outcomes.iter().flatten().filter(|outcome| outcome.error.is_some()).count() as u64;
        if request.fail_on_errors.is_some_and(|most| errors >= most) {
            break;
        }
        let open: BTreeSet<usize> =
            (0..).zip(&outcomes).filter(|(_, one)| one.is_none()).map(|(index, _)| index).collect();
        let is_ready = |index: &usize| waits_for.get(*index).is_none_or(|others| others.is_disjoint(&open));
        let mut wave: Vec<usize> = open.iter().copied().filter(is_ready).collect();
        if wave.is_empty() {
            let is_creation = |index: &usize| operations.get(*index).is_some_and(|one| one.method == "POST");
            let Some(index) = open.iter().copied().find(is_creation).or(open.first().copied()) else { break };
            in_two_steps.push(index);
            wave.push(index);
        }
        if at_once == 1 {
            wave.truncate(1);
        }
        let steps: Vec<(usize, Result<BulkOperation, ScimError>)> = wave
            .iter()
            .filter_map(|index| Some((*index, operations.get(*index)?)))
            .map(|(index, operation)| match in_two_steps.contains(&index) {
                true => (index, Ok(operation.without_unresolved(&resolved))),
                false => (index, operation.resolve(&resolved)),
            })
            .collect();
        for (index, outcome) in run_all(call, steps, at_once).await {
            let bulk_id = operations.get(index).and_then(|operation| operation.bulk_id.clone());
            if let (Some(bulk_id), Some(id)) = (bulk_id, outcome.new_id()) {
                resolved.insert(bulk_id, id);
            }
            if let Some(place) = outcomes.get_mut(index) {
                *place = Some(outcome);
            }
        }
    }
    for index in in_two_steps {
        if let (Some(operation), Some(Some(outcome))) = (operations.get(index), outcomes.get_mut(index)) {
            finish(call, operation, &resolved, outcome).await;
        }
    }
    outcomes
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
