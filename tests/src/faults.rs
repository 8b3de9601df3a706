//! A DynamoDB that fails on demand: a proxy between the service and the engine that makes chosen requests
//! fail.

use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::forward::{Forward, dynamodb_answer};

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
}

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
}

/// The proxy. It ends when it is dropped.
pub struct FaultyDynamoDb {
    /// The URL of the proxy.
    pub endpoint: String,
    plan: Arc<Mutex<Plan>>,
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
        let proxy = Proxy { forward: Forward::to(engine), plan: Arc::clone(&plan) };
        let router = Router::new().fallback(answer).with_state(proxy);
        let server =
            tokio::spawn(async move { axum::serve(listener, router).await.expect("the proxy is served") });
        Self { endpoint, plan, server: server.abort_handle() }
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

    /// Ends all faults. Returns the number of requests since the last call of `fail_once`, `fail_from`,
    /// `interrupt` or `heal`.
    ///
    /// # Panics
    /// When an interruption panicked since then.
    pub fn heal(&self) -> usize {
        let plan = std::mem::take(&mut *lock(&self.plan));
        assert!(!plan.has_interruption_panicked, "an assertion of the interruption failed");
        plan.requests
    }
}

impl Drop for FaultyDynamoDb {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(plan: &Mutex<Plan>) -> MutexGuard<'_, Plan> {
    plan.lock().expect("no thread panicked with the lock")
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
        // A panic in this task would only end the connection, and the client would retry.
        let ended = tokio::spawn(interruption).await;
        lock(&proxy.plan).has_interruption_panicked = ended.is_err();
    }
    let is_transaction = headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
        .is_some_and(|target| target.contains(".Transact"));
    match fault {
        None => proxy.forward.send(&headers, body).await,
        Some(Fault::Throttled) => {
            dynamodb_answer(400, &json!({ "__type": "com.amazon.coral.availability#ThrottlingException" }))
        }
        Some(Fault::Conflict) if !is_transaction => dynamodb_answer(
            400,
            &json!({ "__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException" }),
        ),
        Some(Fault::NoCapacity) => dynamodb_answer(
            400,
            &json!({ "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException" }),
        ),
        Some(Fault::ServerError) => {
            dynamodb_answer(500, &json!({ "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError" }))
        }
        Some(fault @ (Fault::Conflict | Fault::HalfWritten)) => {
            let request: Value = serde_json::from_slice(&body).expect("the request is JSON");
            let items = request["TransactItems"].as_array().expect("a transaction has items").len();
            let mut reasons = vec![json!({ "Code": "None" }); items];
            reasons[0] =
                json!({ "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" });
            if fault == Fault::HalfWritten {
                reasons[1] =
                    json!({ "Code": "ConditionalCheckFailed", "Message": "The conditional request failed" });
            }
            dynamodb_answer(
                400,
                &json!({
                    "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                    "Message": "Transaction cancelled", "CancellationReasons": reasons
                }),
            )
        }
        Some(Fault::Denied) => dynamodb_answer(
            400,
            &json!({ "__type": "com.amazonaws.dynamodb.v20120810#AccessDeniedException" }),
        ),
        Some(Fault::LostRequest) => cut_off(),
        Some(Fault::LostAnswer) => {
            proxy.forward.send(&headers, body).await;
            cut_off()
        }
    }
}

/// An answer that ends early and closes the connection.
fn cut_off() -> Response<Body> {
    let broken = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "cut off");
    Response::new(Body::from_stream(futures_util::stream::iter([Ok(Bytes::from_static(b"{")), Err(broken)])))
}
