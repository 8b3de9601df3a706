//! A DynamoDB that fails on demand: a proxy between the service and the engine that makes chosen requests
//! fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::call::Call;
use crate::ceilings::{Buckets, Ceilings};
use crate::forward::{Forward, body_of, dynamodb_answer};
use crate::hooks::{Action, Hook, Hooks};
use crate::layout::Key;
use crate::strict::Violations;
use crate::torn::View;

/// How a request to DynamoDB fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// DynamoDB throttles the request.
    Throttled,
    /// The table has no capacity for the request.
    NoCapacity,
    /// DynamoDB answers 500.
    ServerError,
    /// Another transaction holds an item. A request that is not a transaction is throttled instead.
    Conflict,
    /// The connection ends before the request arrives.
    LostRequest,
    /// DynamoDB processes the request, and the connection ends before the answer arrives.
    LostAnswer,
    /// DynamoDB denies access. The service must not retry.
    Denied,
    /// Another transaction holds the first item, and the condition of the second item fails.
    HalfWritten,
    /// DynamoDB answers this status with this error code.
    Error {
        /// The HTTP status.
        status: u16,
        /// The code, such as `ThrottlingException`.
        code: &'static str,
    },
    /// DynamoDB cancels the transaction, and this is the reason of its first item.
    Cancelled(&'static str),
    /// DynamoDB processes the first half of a batch and returns the rest as unprocessed.
    Unprocessed,
}

/// The message of every injected error. No answer of the service may contain it.
pub const RAW_MESSAGE: &str = "User: arn:aws:sts::123456789012:assumed-role/rollcall is not authorized";

/// All faults that a retry overcomes.
pub const FAULTS: [Fault; 6] = [
    Fault::Throttled,
    Fault::NoCapacity,
    Fault::ServerError,
    Fault::Conflict,
    Fault::LostRequest,
    Fault::LostAnswer,
];

#[derive(Default)]
struct Plan {
    requests: usize,
    at: Option<usize>,
    fault: Option<Fault>,
    /// Whether all requests after the one at this position fail, too.
    is_permanent: bool,
    interruption: Option<BoxFuture<'static, ()>>,
    has_interruption_panicked: bool,
    /// Requests whose body has this text fail.
    text: Option<String>,
    matches: usize,
}

#[derive(Clone)]
struct Proxy {
    forward: Forward,
    plan: Arc<Mutex<Plan>>,
    hooks: Arc<Hooks>,
    view: Arc<View>,
    buckets: Arc<Mutex<Option<Buckets>>>,
}

/// The proxy. It ends when it is dropped.
pub struct FaultyDynamoDb {
    /// The URL of the proxy.
    pub endpoint: String,
    plan: Arc<Mutex<Plan>>,
    hooks: Arc<Hooks>,
    buckets: Arc<Mutex<Option<Buckets>>>,
    server: AbortHandle,
}

impl FaultyDynamoDb {
    /// Starts a proxy before the engine at this URL. No request fails yet.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(engine: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let endpoint = format!("http://{}", listener.local_addr().expect("the listener has an address"));
        let plan = Arc::new(Mutex::new(Plan::default()));
        let hooks = Arc::new(Hooks::default());
        let buckets = Arc::new(Mutex::new(None));
        let proxy = Proxy {
            forward: Forward::to(engine),
            plan: Arc::clone(&plan),
            hooks: Arc::clone(&hooks),
            view: Arc::default(),
            buckets: Arc::clone(&buckets),
        };
        let router = Router::new().fallback(answer).with_state(proxy);
        let server =
            tokio::spawn(async move { axum::serve(listener, router).await.expect("the proxy is served") });
        Self { endpoint, plan, hooks, buckets, server: server.abort_handle() }
    }

    /// Lets one request fail: the one at this position, counted from 0 and from now.
    pub fn fail_once(&self, at: usize, fault: Fault) {
        *lock(&self.plan) = Plan { at: Some(at), fault: Some(fault), ..Plan::default() };
    }

    /// Lets the request at this position and all requests after it fail. Positions are counted from 0 and
    /// from now.
    pub fn fail_from(&self, at: usize, fault: Fault) {
        *lock(&self.plan) = Plan { at: Some(at), fault: Some(fault), is_permanent: true, ..Plan::default() };
    }

    /// Lets every request fail whose body has this text.
    pub fn fail_matching(&self, text: &str, fault: Fault) {
        *lock(&self.plan) = Plan { text: Some(text.to_owned()), fault: Some(fault), ..Plan::default() };
    }

    /// The number of requests since the last call of `fail_matching` whose body has the text.
    pub fn matches(&self) -> usize {
        lock(&self.plan).matches
    }

    /// Runs the interruption before the request at this position, counted from 0 and from now. The request
    /// waits for it.
    pub fn interrupt(&self, at: usize, interruption: impl Future<Output = ()> + Send + 'static) {
        let interruption = Some(Box::pin(interruption) as BoxFuture<'static, ()>);
        *lock(&self.plan) = Plan { at: Some(at), interruption, ..Plan::default() };
    }

    /// Sets a hook: what happens to the request at this position among those that the predicate selects.
    /// Positions are counted from 0 and from now. A request meets at most one hook.
    pub fn at_call(
        &self,
        position: usize,
        selects: impl Fn(&Call) -> bool + Send + Sync + 'static,
        action: Action,
    ) -> Hook {
        self.hooks.set(position, selects, action)
    }

    /// Throttles every partition that gets more load than this. All buckets are full.
    pub fn set_ceilings(&self, ceilings: Ceilings) {
        *lock(&self.buckets) = Some(Buckets::new(ceilings));
    }

    /// How many requests were throttled because of each partition since the ceilings were set.
    pub fn throttled(&self) -> BTreeMap<String, usize> {
        lock(&self.buckets).as_ref().map(Buckets::throttled).unwrap_or_default()
    }

    /// Ends all faults, hooks and ceilings. Returns the number of requests since the last call of
    /// `fail_once`, `fail_from`, `interrupt` or `heal`.
    ///
    /// # Panics
    /// When an interruption or the action of a hook panicked since then.
    pub fn heal(&self) -> usize {
        self.hooks.clear();
        *lock(&self.buckets) = None;
        let plan = std::mem::take(&mut *lock(&self.plan));
        assert!(!plan.has_interruption_panicked, "an assertion of the interruption failed");
        Violations::of_this_process().assert_none("");
        plan.requests
    }
}

impl Drop for FaultyDynamoDb {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panicked with the lock")
}

fn contains(body: &Bytes, text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

async fn answer(State(proxy): State<Proxy>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let (fault, interruption) = {
        let mut plan = lock(&proxy.plan);
        let position = plan.requests;
        plan.requests += 1;
        let is_at = plan.at.is_some_and(|at| position == at || (plan.is_permanent && position > at));
        let is_match = plan.text.as_ref().is_some_and(|text| contains(&body, text));
        plan.matches += usize::from(is_match);
        let is_hit = is_at || is_match;
        (plan.fault.filter(|_| is_hit), if is_hit { plan.interruption.take() } else { None })
    };
    if let Some(interruption) = interruption {
        proxy.run(interruption).await;
    }
    let call = Call::new(&headers, &body);
    match proxy.hooks.meet(&call) {
        None => proxy.answer(fault, &call, &headers, body).await,
        Some((action, progress)) => match action {
            Action::Fail(fault) => {
                progress.reach();
                proxy.answer(Some(fault), &call, &headers, body).await
            }
            Action::HoldRequest => {
                progress.reach();
                progress.released().await;
                proxy.answer(fault, &call, &headers, body).await
            }
            Action::HoldAnswer => {
                let answer = proxy.answer(fault, &call, &headers, body).await;
                progress.reach();
                progress.released().await;
                answer
            }
            Action::Tear(is_late) => {
                let (answer, late) = proxy.view.tear(&proxy.forward, &call, &headers, body, &*is_late).await;
                progress.reach();
                progress.released().await;
                proxy.view.show(&late).await;
                answer
            }
            Action::Run(action) => {
                progress.reach();
                proxy.run(action).await;
                proxy.answer(fault, &call, &headers, body).await
            }
        },
    }
}

impl Proxy {
    async fn run(&self, action: BoxFuture<'static, ()>) {
        // A panic in this task would only end the connection, and the client would retry.
        if tokio::spawn(action).await.is_err() {
            lock(&self.plan).has_interruption_panicked = true;
        }
    }

    async fn answer(
        &self,
        fault: Option<Fault>,
        call: &Call,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Response<Body> {
        let lacking = lock(&self.buckets).as_mut().map(|buckets| buckets.take(call)).unwrap_or_default();
        match fault {
            None if !lacking.is_empty() => throttled(call, &lacking),
            None => self.view.send(&self.forward, call, headers, body).await,
            Some(Fault::Throttled) => error(400, "com.amazon.coral.availability#ThrottlingException"),
            Some(Fault::Conflict) if !call.is_transaction() => {
                dynamodb_error(400, "TransactionConflictException")
            }
            Some(Fault::NoCapacity) => dynamodb_error(400, "ProvisionedThroughputExceededException"),
            Some(Fault::ServerError) => dynamodb_error(500, "InternalServerError"),
            Some(Fault::Conflict) => cancelled(call, &["TransactionConflict"]),
            Some(Fault::HalfWritten) => cancelled(call, &["TransactionConflict", "ConditionalCheckFailed"]),
            Some(Fault::Denied) => dynamodb_error(400, "AccessDeniedException"),
            Some(Fault::Error { status, code }) => dynamodb_error(status, code),
            Some(Fault::Cancelled(reason)) => cancelled(call, &[reason]),
            Some(Fault::Unprocessed) => self.half_processed(call, headers).await,
            Some(Fault::LostRequest) => cut_off(),
            Some(Fault::LostAnswer) => {
                self.view.send(&self.forward, call, headers, body).await;
                cut_off()
            }
        }
    }

    /// Processes the first half of a batch, and returns the other half as unprocessed. Of a batch with one
    /// key, DynamoDB processes nothing.
    async fn half_processed(&self, call: &Call, headers: &HeaderMap) -> Response<Body> {
        let (part, unprocessed) = match call.operation.as_str() {
            "BatchGetItem" => ("Keys", "UnprocessedKeys"),
            "BatchWriteItem" => ("", "UnprocessedItems"),
            other => panic!("{other} has no unprocessed items"),
        };
        let (mut processed, mut rest) = (call.body.clone(), call.body["RequestItems"].clone());
        let mut is_empty = true;
        for (table, rest) in rest.as_object_mut().expect("a batch names tables") {
            let pointer = format!("/RequestItems/{table}{}{part}", if part.is_empty() { "" } else { "/" });
            let list =
                processed.pointer_mut(&pointer).and_then(Value::as_array_mut).expect("a batch has a list");
            let second = list.split_off(list.len() / 2);
            is_empty &= list.is_empty();
            if part.is_empty() {
                *rest = second.into();
            } else {
                rest[part] = second.into();
            }
        }
        let mut answer = if is_empty {
            json!({ "Responses": {} })
        } else {
            let answer = self.forward.send(headers, Bytes::from(processed.to_string())).await;
            serde_json::from_slice(&body_of(answer).await).expect("the engine answers JSON")
        };
        answer[unprocessed] = rest;
        dynamodb_answer(200, &answer)
    }
}

fn dynamodb_error(status: u16, code: &str) -> Response<Body> {
    error(status, &format!("com.amazonaws.dynamodb.v20120810#{code}"))
}

fn error(status: u16, kind: &str) -> Response<Body> {
    dynamodb_answer(status, &json!({ "__type": kind, "message": RAW_MESSAGE }))
}

/// The answer to a request to partitions that get too much load.
pub(crate) fn throttled(call: &Call, partitions: &BTreeSet<String>) -> Response<Body> {
    if !call.is_transaction() {
        return dynamodb_error(400, "ThrottlingException");
    }
    let is_hot = |key: Key| if partitions.contains(&key.pk) { "ThrottlingError" } else { "None" };
    cancelled(call, &call.keys().into_iter().map(is_hot).collect::<Vec<_>>())
}

/// A cancelled transaction. The reasons are those of its first items.
fn cancelled(call: &Call, codes: &[&str]) -> Response<Body> {
    let mut reasons = vec![json!({ "Code": "None" }); call.actions().len()];
    for (reason, code) in reasons.iter_mut().zip(codes).filter(|(_, code)| **code != "None") {
        *reason = json!({ "Code": code, "Message": RAW_MESSAGE });
    }
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    dynamodb_answer(400, &json!({ "__type": kind, "Message": RAW_MESSAGE, "CancellationReasons": reasons }))
}

/// An answer that ends early and closes the connection.
fn cut_off() -> Response<Body> {
    let broken = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "cut off");
    Response::new(Body::from_stream(futures_util::stream::iter([Ok(Bytes::from_static(b"{")), Err(broken)])))
}
