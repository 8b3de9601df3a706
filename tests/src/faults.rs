//! A DynamoDB that fails when it is told to: a proxy on loopback in front of the engine.

use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::forward::{Forward, refusal};

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is throttled.
    Throttled,
    /// There is no capacity for it.
    NoCapacity,
    /// The service fails.
    ServerError,
    /// Another transaction holds an item; for what is no transaction, it is throttled.
    Conflict,
    /// The connection ends before the request arrives.
    LostRequest,
    /// The request is carried out, and the connection ends before the answer arrives.
    LostAnswer,
    /// It is refused for good.
    Denied,
    /// Another transaction holds the first item of this one, and has written what the second must not meet.
    HalfWritten,
}

/// All faults that pass.
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
    for_ever: bool,
    intruder: Option<BoxFuture<'static, ()>>,
    has_intruder_panicked: bool,
}

#[derive(Clone)]
struct Proxy {
    forward: Forward,
    plan: Arc<Mutex<Plan>>,
}

/// The proxy; it ends when it is dropped.
pub struct FaultyDynamoDb {
    /// Its URL.
    pub endpoint: String,
    plan: Arc<Mutex<Plan>>,
    server: AbortHandle,
}

impl FaultyDynamoDb {
    /// A proxy in front of this engine, which fails nothing yet.
    ///
    /// # Panics
    /// When there is no port to listen on.
    pub async fn start(engine: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("a bound address"));
        let plan = Arc::new(Mutex::new(Plan::default()));
        let proxy = Proxy { forward: Forward::to(engine), plan: Arc::clone(&plan) };
        let router = Router::new().fallback(answer).with_state(proxy);
        let server =
            tokio::spawn(async move { axum::serve(listener, router).await.expect("the proxy is served") });
        Self { endpoint, plan, server: server.abort_handle() }
    }

    /// From now on the request at this position, from 0, fails; and all behind it, if for ever.
    pub fn fail(&self, at: usize, fault: Fault, for_ever: bool) {
        *lock(&self.plan) = Plan { at: Some(at), fault: Some(fault), for_ever, ..Plan::default() };
    }

    /// From now on the request at this position, from 0, waits for what somebody else does first.
    pub fn interrupt(&self, at: usize, intruder: impl Future<Output = ()> + Send + 'static) {
        *lock(&self.plan) = Plan { at: Some(at), intruder: Some(Box::pin(intruder)), ..Plan::default() };
    }

    /// From now on nothing fails. Returns the number of requests since the last call of `fail`, `interrupt` or `heal`.
    ///
    /// # Panics
    /// When an intruder panicked since then.
    pub fn heal(&self) -> usize {
        let plan = std::mem::take(&mut *lock(&self.plan));
        assert!(!plan.has_intruder_panicked, "an assertion of the intruder failed");
        plan.requests
    }
}

impl Drop for FaultyDynamoDb {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(plan: &Mutex<Plan>) -> MutexGuard<'_, Plan> {
    plan.lock().expect("no panic while it was held")
}

async fn answer(State(proxy): State<Proxy>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let (fault, intruder) = {
        let mut plan = lock(&proxy.plan);
        let position = plan.requests;
        plan.requests += 1;
        let is_hit = plan.at.is_some_and(|at| position == at || (plan.for_ever && position > at));
        (plan.fault.filter(|_| is_hit), if is_hit { plan.intruder.take() } else { None })
    };
    if let Some(intruder) = intruder {
        // A panic would end only this connection, and the client would try again.
        let ended = tokio::spawn(intruder).await;
        lock(&proxy.plan).has_intruder_panicked = ended.is_err();
    }
    let is_transaction =
        headers.get("x-amz-target").is_some_and(|target| target.as_bytes().ends_with(b"TransactWriteItems"));
    match fault {
        None => proxy.forward.send(&headers, body).await,
        Some(Fault::Throttled) => {
            refusal(400, &json!({ "__type": "com.amazon.coral.availability#ThrottlingException" }))
        }
        Some(Fault::Conflict) if !is_transaction => {
            refusal(400, &json!({ "__type": "com.amazon.coral.availability#ThrottlingException" }))
        }
        Some(Fault::NoCapacity) => refusal(
            400,
            &json!({ "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException" }),
        ),
        Some(Fault::ServerError) => {
            refusal(500, &json!({ "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError" }))
        }
        Some(fault @ (Fault::Conflict | Fault::HalfWritten)) => {
            let request: Value = serde_json::from_slice(&body).expect("a request");
            let items = request["TransactItems"].as_array().expect("a transaction").len();
            let mut reasons = vec![json!({ "Code": "None" }); items];
            reasons[0] =
                json!({ "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" });
            if fault == Fault::HalfWritten {
                reasons[1] =
                    json!({ "Code": "ConditionalCheckFailed", "Message": "The conditional request failed" });
            }
            refusal(
                400,
                &json!({
                    "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                    "Message": "Transaction cancelled", "CancellationReasons": reasons
                }),
            )
        }
        Some(Fault::Denied) => {
            refusal(400, &json!({ "__type": "com.amazonaws.dynamodb.v20120810#AccessDeniedException" }))
        }
        Some(Fault::LostRequest) => cut_off(),
        Some(Fault::LostAnswer) => {
            proxy.forward.send(&headers, body).await;
            cut_off()
        }
    }
}

/// An answer that ends before it is whole, and the connection with it.
fn cut_off() -> Response<Body> {
    let broken = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "cut off");
    Response::new(Body::from_stream(futures_util::stream::iter([Ok(Bytes::from_static(b"{")), Err(broken)])))
}
