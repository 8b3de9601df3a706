//! Cold starts: runs a function's process against a stand-in for the Lambda runtime API, which records the time of each call.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::{get, post};
use bench::directory::{group, patch, user};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use service::routes::{FALLBACK, ROUTES};
use shared::resource::{ResourceId, ResourceKind};
use tests::client::{Client, SCIM_JSON};
use tests::event::{Arrival, event};
use tests::layout as keys;
use tests::service::{Service, TABLE};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::Notify;
use uuid::Uuid;

/// The number of starts of each function.
const STARTS: usize = 21;
const MEMBERS: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// The measurements of one start of a function.
#[derive(Clone, Copy)]
pub struct Start {
    /// The time from the start of the process to its first request for an event, in seconds.
    pub ready: f64,
    /// The time from the start of the process to its first response, in seconds.
    pub answered: f64,
    /// The memory at its first request for an event, in bytes.
    pub at_rest: u64,
    /// The maximum of its memory, in bytes.
    pub peak: u64,
}

/// A function of the project.
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// The size of its zip archive, in bytes.
    pub zipped: usize,
    /// Its start, and its memory for the heaviest event.
    pub start: Start,
    /// The heaviest event.
    pub work: String,
    /// The length of its longest response, in bytes.
    pub longest_answer: usize,
}

/// All measurements.
pub struct Cold {
    /// The medians of `users-get`.
    pub rust: Start,
    /// The medians of the function on Node.
    pub node: Start,
    /// All functions.
    pub functions: Vec<Function>,
}

/// Measures the functions in a folder, and a function on Node.
pub async fn measure(binaries: &Path, peers: &Path) -> Cold {
    let service = Service::start();
    let client = service.client().await;
    let ids = fill(&client).await;
    let endpoint = service.endpoint();

    let (id, group_id) = (&ids[0], make(&client, "/Groups", &group("measured", &ids[..MEMBERS])).await);
    let command = || function(binaries, "users-get", endpoint);
    let get_user = request(&client, "GET", &format!("/Users/{id}"), None);
    let rust = medians(&(command)(), &get_user).await;

    let connector = client.base_url.split('/').nth(3).expect("a connector");
    let connector = directory::connectors::ConnectorId::parse(connector).expect("an id");
    let key = keys::resource(&connector, ResourceKind::User, ResourceId::parse(id).expect("an id"));
    let node_command = || {
        let mut command = vec!["node".to_owned()];
        command.push(peers.join("function/index.mjs").display().to_string());
        (command, environment(endpoint))
    };
    let node = medians(&(node_command)(), &json!({ "pk": key.pk, "sk": key.sk })).await;

    let mut functions = Vec::new();
    for (name, events, work) in work(&client, &ids, &group_id) {
        let path = binaries.join(name);
        let (start, longest_answer) = start(&function(binaries, name, endpoint), &events).await;
        functions.push(Function { name, zipped: zipped(&path), start, work, longest_answer });
    }
    Cold { rust, node, functions }
}

/// The events that each function gets, one after another.
fn work(client: &Client, ids: &[String], group_id: &str) -> Vec<(&'static str, Vec<Value>, String)> {
    let user_path = format!("/Users/{}", ids[1]);
    let group_path = format!("/Groups/{group_id}");
    let query = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": "userName sw \"user\"", "sortBy": "userName", "count": 100
    });
    let operations: Vec<Value> = (0..1_000)
        .map(|n| json!({ "method": "POST", "path": "/Users", "bulkId": format!("b{n}"), "data": user(500_000 + n) }))
        .collect();
    let bulk = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations
    });
    let members = json!(ids.iter().take(MEMBERS).map(|id| json!({ "value": id })).collect::<Vec<_>>());
    let ask = |method: &str, path: &str, body: Option<Value>| request(client, method, path, body.as_ref());
    let mut all: Vec<(&'static str, Vec<Value>, String)> = Vec::new();
    for name in ROUTES.iter().map(|route| route.function).chain([FALLBACK]) {
        let (events, work) = match name {
            "users-list" => {
                let pages = (0..5)
                    .map(|page| ask("GET", &format!("/Users?startIndex={}&count=100", page * 100 + 1), None));
                (pages.collect(), "5 pages of 100")
            }
            "users-search" => {
                (vec![ask("POST", "/Users/.search", Some(query.clone()))], "a sorted page of 100")
            }
            "root-search" => (vec![ask("POST", "/.search", Some(query.clone()))], "a sorted page of 100"),
            "groups-search" => (
                vec![ask(
                    "POST",
                    "/Groups/.search",
                    Some(json!({
                        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "count": 10
                    })),
                )],
                "a page with a group of 1,000",
            ),
            "users-create" => {
                ((0..20).map(|n| ask("POST", "/Users", Some(user(600_000 + n)))).collect(), "20 users")
            }
            "users-get" => (vec![ask("GET", &user_path, None); 20], "20 times"),
            "users-replace" => (vec![ask("PUT", &user_path, Some(user(1)))], "once"),
            "users-patch" => {
                let title = |n: usize| patch("replace", "title", Some(json!(format!("T{n}"))));
                ((0..20).map(|n| ask("PATCH", &user_path, Some(title(n)))).collect(), "20 times")
            }
            "users-delete" => (vec![ask("DELETE", &format!("/Users/{}", ids[2]), None)], "a user in a group"),
            "groups-list" => (vec![ask("GET", "/Groups", None)], "a page with a group of 1,000"),
            "groups-create" => {
                (vec![ask("POST", "/Groups", Some(group("another", &ids[10..MEMBERS])))], "a group of 1,000")
            }
            "groups-get" => (vec![ask("GET", &group_path, None); 5], "a group of 1,000, 5 times"),
            "groups-replace" => (
                vec![ask(
                    "PUT",
                    &group_path,
                    Some(json!({
                        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
                        "displayName": "measured", "members": []
                    })),
                )],
                "1,000 members taken out",
            ),
            "groups-patch" => (
                vec![ask("PATCH", &group_path, Some(patch("add", "members", Some(members.clone()))))],
                "1,000 members put in",
            ),
            "groups-delete" => (vec![ask("DELETE", &group_path, None)], "a group of 1,000"),
            "bulk-process" => (vec![ask("POST", "/Bulk", Some(bulk.clone()))], "1,000 creates"),
            "service-provider-config-get" => (vec![ask("GET", "/ServiceProviderConfig", None)], "once"),
            "resource-types-list" => (vec![ask("GET", "/ResourceTypes", None)], "once"),
            "resource-types-get" => (vec![ask("GET", "/ResourceTypes/User", None)], "once"),
            "schemas-list" => (vec![ask("GET", "/Schemas", None)], "once"),
            "schemas-get" => {
                (vec![ask("GET", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", None)], "once")
            }
            _ => (vec![ask("GET", "/Me", None)], "once"),
        };
        if all.iter().all(|(present, ..)| *present != name) {
            all.push((name, events, work.to_owned()));
        }
    }
    // Delete the resources last that other functions need.
    all.sort_by_key(|(name, ..)| (name.ends_with("-delete"), name.ends_with("-replace")));
    all
}

/// Creates the users and returns their ids.
async fn fill(client: &Client) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..MEMBERS + 100 {
        ids.push(make(client, "/Users", &user(number)).await);
    }
    ids
}

async fn make(client: &Client, path: &str, body: &Value) -> String {
    let reply = client.post(path, body).await;
    assert_eq!(reply.status, 201, "{path}");
    reply.json()["id"].as_str().expect("an id").to_owned()
}

/// Makes the event for a request of this client.
fn request(client: &Client, method: &str, path: &str, body: Option<&Value>) -> Value {
    let base = client.base_url.splitn(4, '/').nth(3).expect("a path");
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(format!("/{base}{path}"))
        .header(AUTHORIZATION, client.basic())
        .header(CONTENT_TYPE, SCIM_JSON)
        .body(())
        .expect("a request");
    let arrival = Arrival {
        route_key: "$default".to_owned(),
        path_parameters: Map::new(),
        source_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        request_id: Uuid::new_v4().to_string(),
        time: Timestamp::now(),
    };
    event(&request.into_parts().0, body.as_bytes(), &arrival)
}

/// A program with its arguments and environment.
type Program = (Vec<String>, Vec<(&'static str, String)>);

fn function(binaries: &Path, name: &str, endpoint: &str) -> Program {
    (vec![binaries.join(name).display().to_string()], environment(endpoint))
}

/// The environment variables of Lambda, and the endpoint of DynamoDB.
fn environment(endpoint: &str) -> Vec<(&'static str, String)> {
    let path = std::env::var("PATH").unwrap_or_default();
    [
        ("DYNAMODB_ENDPOINT", endpoint),
        ("TABLE_NAME", TABLE),
        ("LOG_LEVEL", "warn"),
        ("PATH", &path),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_LAMBDA_FUNCTION_NAME", "measured"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

async fn medians(program: &Program, event: &Value) -> Start {
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        starts.push(start(program, std::slice::from_ref(event)).await.0);
    }
    let median = |value: fn(&Start) -> f64| {
        let mut values: Vec<f64> = starts.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[STARTS / 2]
    };
    Start {
        ready: median(|start| start.ready),
        answered: median(|start| start.answered),
        at_rest: median(|start| start.at_rest as f64) as u64,
        peak: median(|start| start.peak as f64) as u64,
    }
}

/// The calls that the stand-in received.
#[derive(Default)]
struct Seen {
    events: VecDeque<Bytes>,
    pid: u32,
    ready: Option<Instant>,
    answered: Option<Instant>,
    at_rest: u64,
    longest_answer: usize,
}

struct RuntimeApi {
    seen: Mutex<Seen>,
    is_done: Notify,
}

/// Starts a function, sends it these events and stops it.
async fn start((program, environment): &Program, events: &[Value]) -> (Start, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    let events = events.iter().map(|event| Bytes::from(event.to_string())).collect();
    let seen = Mutex::new(Seen { events, ..Seen::default() });
    let api = Arc::new(RuntimeApi { seen, is_done: Notify::new() });
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(answer))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(Arc::clone(&api));
    let served = tokio::spawn(async move { axum::serve(listener, router).await });
    let mut command = Command::new(&program[0]);
    command.args(&program[1..]).env_clear().env("AWS_LAMBDA_RUNTIME_API", address.to_string());
    command
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::null())
        .kill_on_drop(true);
    let began = Instant::now();
    let (mut child, pid) = {
        // It may request an event before this thread continues.
        let mut seen = api.seen.lock().expect("no thread panicked with the lock");
        let child = command.spawn().expect("the function starts");
        seen.pid = child.id().expect("it runs");
        (child, seen.pid)
    };
    tokio::select! {
        done = tokio::time::timeout(PATIENCE, api.is_done.notified()) => done.expect("the function answers"),
        ended = child.wait() => panic!("{program:?} ended: {ended:?}"),
    }
    let peak = memory(pid, "VmHWM:");
    child.kill().await.expect("it is ended");
    served.abort();
    let seen = api.seen.lock().expect("no thread panicked with the lock");
    let after = |time: Option<Instant>| time.map_or(0.0, |time| (time - began).as_secs_f64());
    let start =
        Start { ready: after(seen.ready), answered: after(seen.answered), at_rest: seen.at_rest, peak };
    (start, seen.longest_answer)
}

async fn next(State(api): State<Arc<RuntimeApi>>) -> Response<Body> {
    let now = Instant::now();
    let event = {
        let mut seen = api.seen.lock().expect("no thread panicked with the lock");
        if seen.ready.is_none() {
            seen.ready = Some(now);
            seen.at_rest = memory(seen.pid, "VmRSS:");
        }
        seen.events.pop_front()
    };
    let Some(event) = event else {
        api.is_done.notify_one();
        return std::future::pending().await;
    };
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock past 1970") + PATIENCE;
    Response::builder()
        .header(CONTENT_TYPE, "application/json")
        .header("lambda-runtime-aws-request-id", Uuid::new_v4().to_string())
        .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
        .header(
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-central-1:123456789012:function:measured",
        )
        .body(event.into())
        .expect("an event")
}

async fn answer(State(api): State<Arc<RuntimeApi>>, body: Bytes) -> http::StatusCode {
    let now = Instant::now();
    let answer: Value = serde_json::from_slice(&body).expect("an answer");
    let status = answer["statusCode"].as_i64().expect("a status");
    assert!(status < 300 || status == 501, "{answer}");
    let mut seen = api.seen.lock().expect("no thread panicked with the lock");
    seen.answered.get_or_insert(now);
    seen.longest_answer = seen.longest_answer.max(body.len());
    http::StatusCode::ACCEPTED
}

/// Reads a value of /proc/PID/status, in bytes.
fn memory(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of this name");
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes * 1_024
}

/// The size of a file in a zip archive, in bytes, without the headers of the archive (about 100 bytes).
fn zipped(file: &Path) -> usize {
    let bytes = std::fs::read(file).expect("the functions are built");
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    std::io::Write::write_all(&mut encoder, &bytes).expect("memory");
    encoder.finish().expect("memory").len()
}
