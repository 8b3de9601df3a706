//! A fake Apache Ranger: the parts of Ranger Admin's REST API that `scimctl` calls, over real HTTP.
//!
//! It behaves as the source of Ranger 2.4 to 2.9 does (`XUserREST`, `XUserMgr`, `XGroupUserService`, `PublicAPIsv2`,
//! `ServiceDBStore`, `RangerPolicyValidator`):
//!
//! - Names are keys. A call with an existing name updates that user or group, also one of another source.
//! - Users without a first name and memberships of unknown users or groups are passed over without an error.
//! - The call that hides users answers with the number of names that it got, even if it does not know them.
//! - Hiding changes no access: [`FakeRanger::allows`] decides as Ranger's plugins do, which do not know who is hidden.
//!
//! | file | topic |
//! | --- | --- |
//! | `users` | users, groups, memberships, visibility and Ranger's own roles |
//! | `policies` | services, policies, roles, zones, and decisions |
//! | `faults` | what goes wrong on demand, and the record of calls |

mod faults;
mod policies;
mod users;

pub use faults::Fault;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use faults::Faults;

/// The account that the calls authenticate as. It is a user of Ranger too, as usersync's account is.
pub const ACCOUNT: &str = "rangerusersync";
/// The password of [`ACCOUNT`].
pub const PASSWORD: &str = "ranger-password-1";

/// A running fake Ranger.
#[derive(Clone)]
pub struct FakeRanger {
    /// Its URL.
    pub url: String,
    state: Arc<Mutex<Ranger>>,
    acts: Arc<Mutex<Vec<(String, Act)>>>,
    called: Arc<Notify>,
}

/// What another client does between two calls.
type Act = Box<dyn FnOnce(&FakeRanger) + Send>;

/// What Ranger's database holds.
#[derive(Default)]
struct Ranger {
    /// Users by their names, in the form of `VXUser`.
    users: BTreeMap<String, Value>,
    /// Groups by their names, in the form of `VXGroup`.
    groups: BTreeMap<String, Value>,
    /// The users of each group.
    members: BTreeMap<String, BTreeSet<String>>,
    services: Vec<Value>,
    policies: BTreeMap<u64, Value>,
    roles: BTreeMap<u64, Value>,
    zones: BTreeMap<u64, Value>,
    last_id: u64,
    /// The user whom Ranger does not accept, for a reason that only its log says.
    passed_over: Option<String>,
    faults: Faults,
}

/// A request, as its handlers see it.
struct Call<'c> {
    method: &'c Method,
    path: &'c str,
    query: BTreeMap<String, Vec<String>>,
    body: &'c [u8],
}

/// The answer of a handler: a value, or a status with Ranger's message.
type Answer = Result<Value, (StatusCode, String)>;

impl FakeRanger {
    /// Starts a Ranger that has only its internal users and the group `public`.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("the listener has an address"));
        let mut ranger = Ranger::default();
        ranger.add_internal();
        let state = Arc::new(Mutex::new(ranger));
        let fake = Self { url, state, acts: Arc::default(), called: Arc::default() };
        let router = Router::new().fallback(answer).with_state(fake.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        fake
    }

    fn state(&self) -> MutexGuard<'_, Ranger> {
        self.state.lock().expect("no call panicked")
    }

    /// Makes the calls whose path contains this text fail in this way, so many times.
    pub fn fail(&self, path: &str, fault: Fault, times: usize) {
        self.state().faults.add("", path, fault, times);
    }

    /// The same for calls that change something with PUT.
    pub fn fail_put(&self, path: &str, fault: Fault, times: usize) {
        self.state().faults.add("PUT", path, fault, times);
    }

    /// Does something before the next call whose path contains this text, as another client of Ranger does.
    pub fn on_next(&self, path: &str, act: impl FnOnce(&Self) + Send + 'static) {
        self.acts.lock().expect("no call panicked").push((path.to_owned(), Box::new(act)));
    }

    /// Waits until a condition is true. It is tested after each call.
    pub async fn until(&self, is_true: impl Fn(&Self) -> bool) {
        loop {
            let called = self.called.notified();
            if is_true(self) {
                return;
            }
            called.await;
        }
    }

    /// Ends the faults that have not happened yet.
    pub fn fail_no_more(&self) {
        self.state().faults.clear();
    }

    /// The calls so far, as `METHOD path`, and forgets them.
    pub fn take_calls(&self) -> Vec<String> {
        self.state().faults.take_calls()
    }
}

impl Ranger {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn handle(&mut self, call: &Call<'_>) -> Answer {
        match call.path.strip_prefix("/service/") {
            Some(path) if path.starts_with("xusers/") => self.handle_users(call, &path["xusers/".len()..]),
            Some(path) if path.starts_with("public/v2/api/") => {
                self.handle_policies(call, &path["public/v2/api/".len()..])
            }
            _ => Err((StatusCode::NOT_FOUND, format!("no resource at {}", call.path))),
        }
    }
}

async fn answer(State(fake): State<FakeRanger>, request: Request) -> Response<Body> {
    let response = fake.answer(request).await;
    fake.called.notify_waiters();
    response
}

impl FakeRanger {
    /// Takes what is to be done before a call.
    fn take_act(&self, path: &str) -> Option<Act> {
        let mut acts = self.acts.lock().expect("no call panicked");
        let position = acts.iter().position(|(part, _)| path.contains(part.as_str()))?;
        Some(acts.remove(position).1)
    }

    async fn answer(&self, request: Request) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.expect("a request is complete").to_bytes();
        let expected = format!("Basic {}", BASE64.encode(format!("{ACCOUNT}:{PASSWORD}")));
        let is_authenticated = parts.headers.get("authorization").is_some_and(|value| *value == *expected);
        let path = percent_encoding::percent_decode_str(parts.uri.path()).decode_utf8_lossy().into_owned();
        if let Some(act) = self.take_act(&path) {
            act(self);
        }
        let fault = self.state().faults.next(parts.method.as_str(), &path);
        if let Some(response) = fault.as_ref().and_then(Fault::response_before) {
            return response;
        }
        if !is_authenticated {
            return json_response(StatusCode::UNAUTHORIZED, &message("Authentication Failed"));
        }
        let call = Call {
            method: &parts.method,
            path: &path,
            query: query(parts.uri.query().unwrap_or_default()),
            body: &body,
        };
        let answered = self.state().handle(&call);
        match (answered, fault) {
            (Ok(value), None) => json_response(StatusCode::OK, &value),
            (Ok(value), Some(fault)) => fault.response_after(&value),
            (Err((status, text)), _) => json_response(status, &message(&text)),
        }
    }
}

fn query(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut query: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
        query.entry(name.to_owned()).or_default().push(value);
    }
    query
}

/// An error as Ranger's `VXResponse`.
fn message(text: &str) -> Value {
    json!({ "statusCode": 1, "msgDesc": text, "messageList": [] })
}

fn json_response(status: StatusCode, value: &Value) -> Response<Body> {
    // The counts of some calls are bare numbers, and those of others are text.
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Body::from(text))
        .expect("the response is valid")
}

impl Call<'_> {
    fn first(&self, name: &str) -> Option<&str> {
        self.query.get(name)?.first().map(String::as_str)
    }

    fn number(&self, name: &str, default: usize) -> usize {
        self.first(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    }

    fn all(&self, name: &str) -> &[String] {
        self.query.get(name).map_or(&[], Vec::as_slice)
    }

    fn json(&self) -> Result<Value, (StatusCode, String)> {
        serde_json::from_slice(self.body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
    }

    /// The part of the elements that a page has. Ranger's default page has 200.
    fn page<T>(&self, elements: impl Iterator<Item = T>) -> Vec<T> {
        elements.skip(self.number("startIndex", 0)).take(self.number("pageSize", 200)).collect()
    }
}
