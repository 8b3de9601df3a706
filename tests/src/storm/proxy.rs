//! A proxy between a service process and the DynamoDB engine, which injects faults.
//!
//! The engine forgets the tokens of transactions when it is killed, and DynamoDB does not. So the proxy keeps
//! the tokens, and removes them from the requests that it forwards.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{RwLock, watch};
use tokio::time::{Instant, sleep};

use super::weather::{Fault, Weather};
use crate::forward::{dynamodb_answer, of_access_key};

/// The headers that the engine needs.
const HEADERS: [&str; 4] = ["content-type", "x-amz-target", "authorization", "x-amz-date"];

/// Whether DynamoDB has an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// It has none.
    None,
    /// Every connection ends without an answer.
    Refuses,
    /// No request is processed before the outage ends.
    Hangs,
}

/// What is known of a transaction with a token.
#[derive(Clone)]
enum Token {
    Running,
    Committed,
}

/// The writes that the proxies forward. While the engine is killed, no write runs: the engine has no
/// transactions that survive its end with an unknown result, as DynamoDB has none either.
#[derive(Clone, Default)]
pub struct Writes(Arc<RwLock<()>>);

impl Writes {
    /// Waits until no write runs, and lets none begin before the guard is dropped.
    pub async fn hold(&self) -> tokio::sync::RwLockWriteGuard<'_, ()> {
        self.0.write().await
    }
}

struct Shared {
    engine: String,
    /// The data folder of the engine.
    folder: PathBuf,
    http: Client<HttpConnector, Full<Bytes>>,
    weather: Mutex<Weather>,
    outage: watch::Sender<Outage>,
    tokens: Mutex<HashMap<String, Token>>,
    faults: Mutex<BTreeMap<Fault, usize>>,
    writes: Writes,
    running: AtomicUsize,
    /// How many writes of the directory were forwarded, and when the last one was.
    written: Mutex<(usize, Instant)>,
}

/// A running proxy. It runs until the process ends.
#[derive(Clone)]
pub struct Proxy {
    /// Its URL.
    pub endpoint: String,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Starts a proxy before the engine at this URL. It has no faults yet.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(engine: &str, folder: &Path, writes: &Writes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let endpoint = format!("http://{}", listener.local_addr().expect("the listener has an address"));
        let shared = Arc::new(Shared {
            engine: engine.to_owned(),
            folder: folder.to_owned(),
            http: Client::builder(TokioExecutor::new()).build_http(),
            weather: Mutex::new(Weather::calm()),
            outage: watch::Sender::new(Outage::None),
            tokens: Mutex::default(),
            faults: Mutex::default(),
            writes: writes.clone(),
            running: AtomicUsize::new(0),
            written: Mutex::new((0, Instant::now())),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { endpoint, shared }
    }

    /// Sets the faults of single requests.
    pub fn set_weather(&self, weather: Weather) {
        *lock(&self.shared.weather) = weather;
    }

    /// Begins or ends an outage.
    pub fn set_outage(&self, outage: Outage) {
        self.shared.outage.send_replace(outage);
    }

    /// How long no write has run. Zero while any request runs.
    pub fn idle(&self) -> Duration {
        if self.shared.running.load(Ordering::SeqCst) > 0 {
            return Duration::ZERO;
        }
        lock(&self.shared.written).1.elapsed()
    }

    /// How many writes of the directory it has forwarded.
    pub fn writes(&self) -> usize {
        lock(&self.shared.written).0
    }

    /// How many faults of each kind it has injected.
    pub fn faults(&self) -> BTreeMap<Fault, usize> {
        lock(&self.shared.faults).clone()
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().expect("no thread panicked with the lock")
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    // The service may end the connection. The request is processed nevertheless, as by DynamoDB.
    let answered = tokio::spawn(async move {
        shared.running.fetch_add(1, Ordering::SeqCst);
        let response = answer_with_faults(&shared, &headers, body).await;
        shared.running.fetch_sub(1, Ordering::SeqCst);
        response
    });
    answered.await.unwrap_or_else(|_| cut_off())
}

async fn answer_with_faults(shared: &Arc<Shared>, headers: &HeaderMap, body: Bytes) -> Response<Body> {
    let request = Request::new(headers, body);
    let mut outage = shared.outage.subscribe();
    let current = *outage.borrow_and_update();
    match current {
        Outage::None => {}
        Outage::Refuses => {
            shared.count(Fault::Outage);
            return cut_off();
        }
        Outage::Hangs => {
            shared.count(Fault::Outage);
            let _ = outage.wait_for(|outage| *outage == Outage::None).await;
        }
    }
    let fault = lock(&shared.weather).next_fault();
    let Some((fault, delay)) = fault else { return shared.forward(&request).await };
    shared.count(fault);
    match fault {
        Fault::Throttled => error("com.amazon.coral.availability#ThrottlingException"),
        Fault::NoCapacity => error("com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"),
        Fault::ServerError => {
            dynamodb_answer(500, &json!({ "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError" }))
        }
        Fault::Conflict | Fault::ConflictAndCondition => {
            request.conflict(fault == Fault::ConflictAndCondition)
        }
        Fault::LostRequest | Fault::Outage => cut_off(),
        Fault::LostAnswer => {
            shared.forward(&request).await;
            cut_off()
        }
        Fault::Late => {
            sleep(delay).await;
            shared.forward(&request).await
        }
        Fault::LateAnswer => {
            let response = shared.forward(&request).await;
            sleep(delay).await;
            response
        }
    }
}

impl Shared {
    fn count(&self, fault: Fault) {
        *lock(&self.faults).entry(fault).or_default() += 1;
    }

    /// Forwards a request to the engine. A transaction that was committed with the same token is not sent again.
    async fn forward(&self, request: &Request) -> Response<Body> {
        if !request.is_write() {
            return self.send(request).await;
        }
        let _permit = self.writes.0.read().await;
        if !request.is_trail() {
            let mut written = lock(&self.written);
            *written = (written.0 + 1, Instant::now());
        }
        let Some(token) = &request.token else { return self.send(request).await };
        // The lock must not be held over the match, which takes it again.
        let known = lock(&self.tokens).get(token).cloned();
        match known {
            Some(Token::Committed) => return dynamodb_answer(200, &json!({})),
            Some(Token::Running) => {
                return error("com.amazonaws.dynamodb.v20120810#TransactionInProgressException");
            }
            None => lock(&self.tokens).insert(token.clone(), Token::Running),
        };
        let response = self.send(request).await;
        if response.status().is_success() {
            lock(&self.tokens).insert(token.clone(), Token::Committed);
        } else {
            lock(&self.tokens).remove(token);
        }
        response
    }

    /// Puts the access key of the engine into a request. Each run of the engine has another one, and the services do not start
    /// again when the engine does.
    fn sign(&self, headers: &mut HeaderMap) {
        let access_key = std::fs::read_to_string(self.folder.join("dynamodb-access-key")).unwrap_or_default();
        let signature = headers.get("authorization").and_then(|signature| signature.to_str().ok());
        let signature = signature.map(|signature| of_access_key(signature, access_key.trim()));
        if let Some(signature) = signature.and_then(|signature| HeaderValue::from_str(&signature).ok()) {
            headers.insert("authorization", signature);
        }
    }

    async fn send(&self, request: &Request) -> Response<Body> {
        let mut sent = http::Request::post(&self.engine)
            .body(Full::new(request.body.clone()))
            .expect("the engine has a URL");
        *sent.headers_mut() = request.headers.clone();
        self.sign(sent.headers_mut());
        // The engine may have been killed.
        let Ok(response) = self.http.request(sent).await else { return cut_off() };
        let (parts, body) = response.into_parts();
        match body.collect().await {
            Ok(body) => Response::from_parts(parts, Body::from(body.to_bytes())),
            Err(_) => cut_off(),
        }
    }
}

/// A request of the service.
struct Request {
    operation: String,
    headers: HeaderMap,
    /// The body without the token.
    body: Bytes,
    token: Option<String>,
    /// The number of the items of a transaction.
    items: usize,
}

impl Request {
    fn new(headers: &HeaderMap, body: Bytes) -> Self {
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let headers = HEADERS
            .iter()
            .filter_map(|name| Some((http::HeaderName::from_static(name), headers.get(*name)?.clone())))
            .collect();
        if !operation.starts_with("Transact") {
            return Self { operation, headers, body, token: None, items: 0 };
        }
        let mut json: Value = serde_json::from_slice(&body).expect("the service sends JSON");
        let items = json["TransactItems"].as_array().map_or(0, Vec::len);
        let token = json.as_object_mut().and_then(|request| request.remove("ClientRequestToken"));
        let token = token.and_then(|token| token.as_str().map(str::to_owned));
        Self { operation, headers, body: Bytes::from(json.to_string()), token, items }
    }

    fn is_write(&self) -> bool {
        !matches!(
            self.operation.as_str(),
            "GetItem"
                | "BatchGetItem"
                | "Query"
                | "Scan"
                | "TransactGetItems"
                | "DescribeTable"
                | "DescribeTimeToLive"
        )
    }

    /// Whether the request writes records of the request trail. They are no part of the directory, and each 404 makes one.
    fn is_trail(&self) -> bool {
        self.operation == "BatchWriteItem" && self.body.windows(7).any(|part| part == b"\"trail/")
    }

    /// The answer if another transaction holds an item. Requests that never conflict are throttled instead.
    fn conflict(&self, has_failed_condition: bool) -> Response<Body> {
        if self.items == 0 {
            return match self.operation.as_str() {
                "PutItem" | "UpdateItem" | "DeleteItem" => {
                    error("com.amazonaws.dynamodb.v20120810#TransactionConflictException")
                }
                _ => error("com.amazon.coral.availability#ThrottlingException"),
            };
        }
        let mut reasons = vec![json!({ "Code": "None" }); self.items];
        reasons[0] =
            json!({ "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" });
        if has_failed_condition
            && self.operation == "TransactWriteItems"
            && let Some(second) = reasons.get_mut(1)
        {
            *second =
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
}

fn error(kind: &str) -> Response<Body> {
    dynamodb_answer(400, &json!({ "__type": kind }))
}

/// An answer that ends early and closes the connection.
fn cut_off() -> Response<Body> {
    let broken = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "cut off");
    Response::new(Body::from_stream(futures_util::stream::iter([Ok(Bytes::from_static(b"{")), Err(broken)])))
}
