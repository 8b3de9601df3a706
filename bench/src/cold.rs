//! Measures cold starts: runs each function as a process, with a local substitute for the Lambda runtime API that records
//! the time of each request.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use bench::directory::{group, patch, user};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use service::routes::{FALLBACK, ROUTES};
use shared::resource::{ResourceId, ResourceKind};
use tests::client::{Client, SCIM_JSON};
use tests::event::{Arrival, event};
use tests::layout as keys;
use tests::service::{Service, TABLE};
use uuid::Uuid;

use crate::runtime_api::{Program, run};

/// Starts per measured function. The result is the median.
const STARTS: usize = 21;
const MEMBERS: usize = 1_000;

/// One start of a function.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Start {
    /// Seconds from the start of the process until it requests its first event.
    pub ready: f64,
    /// Seconds from the start of the process until its first response.
    pub answered: f64,
    /// Memory when it requests its first event, in bytes.
    pub idle: u64,
    /// Peak memory, in bytes.
    pub peak: u64,
}

/// The measurements of one Lambda function.
#[derive(Serialize, Deserialize)]
pub struct Function {
    /// The name of its binary.
    pub name: String,
    /// Zipped size, in bytes.
    pub zipped: usize,
    /// One start, with the memory that the work needs.
    pub start: Start,
    /// The work: a description of the events.
    pub work: String,
    /// The longest response, in bytes.
    pub longest_response: usize,
}

/// All measurements of cold starts.
#[derive(Serialize, Deserialize)]
pub struct ColdStarts {
    /// Medians of `users-get`.
    pub rust: Start,
    /// Medians of the Node.js function.
    pub node: Start,
    /// Every function of the project.
    pub functions: Vec<Function>,
}

/// Measures the functions in the folder `binaries`, and the Node.js function.
pub async fn measure(binaries: &Path, peers: &Path) -> ColdStarts {
    let service = Service::start();
    let client = service.client().await;
    let ids = fill(&client).await;
    let endpoint = service.endpoint();

    let (id, group_id) = (&ids[0], create(&client, "/Groups", &group("measured", &ids[..MEMBERS])).await);
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
        let (start, longest_response) = start(&function(binaries, name, endpoint), &events).await;
        let (name, zipped) = (name.to_owned(), zipped(&path));
        functions.push(Function { name, zipped, start, work, longest_response });
    }
    ColdStarts { rust, node, functions }
}

/// Returns the events of each function, in order, and a description of the work.
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
    let event = |method: &str, path: &str, body: Option<Value>| request(client, method, path, body.as_ref());
    let mut all: Vec<(&'static str, Vec<Value>, String)> = Vec::new();
    for name in ROUTES.iter().map(|route| route.function).chain([FALLBACK]) {
        let (events, work) = match name {
            "users-list" => {
                let pages = (0..5).map(|page| {
                    event("GET", &format!("/Users?startIndex={}&count=100", page * 100 + 1), None)
                });
                (pages.collect(), "5 pages of 100")
            }
            "users-search" => {
                (vec![event("POST", "/Users/.search", Some(query.clone()))], "a sorted page of 100")
            }
            "root-search" => (vec![event("POST", "/.search", Some(query.clone()))], "a sorted page of 100"),
            "groups-search" => (
                vec![event(
                    "POST",
                    "/Groups/.search",
                    Some(json!({
                        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "count": 10
                    })),
                )],
                "a page with a group of 1,000",
            ),
            "users-create" => {
                ((0..20).map(|n| event("POST", "/Users", Some(user(600_000 + n)))).collect(), "20 creates")
            }
            "users-get" => (vec![event("GET", &user_path, None); 20], "20 gets"),
            "users-replace" => (vec![event("PUT", &user_path, Some(user(1)))], "1 request"),
            "users-patch" => {
                let title = |n: usize| patch("replace", "title", Some(json!(format!("T{n}"))));
                ((0..20).map(|n| event("PATCH", &user_path, Some(title(n)))).collect(), "20 PATCHes")
            }
            "users-delete" => {
                (vec![event("DELETE", &format!("/Users/{}", ids[2]), None)], "a user in a group")
            }
            "groups-list" => (vec![event("GET", "/Groups", None)], "a page with a group of 1,000"),
            "groups-create" => (
                vec![event("POST", "/Groups", Some(group("another", &ids[10..MEMBERS])))],
                "a group of 1,000",
            ),
            "groups-get" => (vec![event("GET", &group_path, None); 5], "a group of 1,000, 5 times"),
            "groups-replace" => (
                vec![event(
                    "PUT",
                    &group_path,
                    Some(json!({
                        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
                        "displayName": "measured", "members": []
                    })),
                )],
                "1,000 members removed",
            ),
            "groups-patch" => (
                vec![event("PATCH", &group_path, Some(patch("add", "members", Some(members.clone()))))],
                "1,000 members added",
            ),
            "groups-delete" => (vec![event("DELETE", &group_path, None)], "a group of 1,000"),
            "bulk-process" => (vec![event("POST", "/Bulk", Some(bulk.clone()))], "1,000 creates"),
            "service-provider-config-get" => {
                (vec![event("GET", "/ServiceProviderConfig", None)], "1 request")
            }
            "resource-types-list" => (vec![event("GET", "/ResourceTypes", None)], "1 request"),
            "resource-types-get" => (vec![event("GET", "/ResourceTypes/User", None)], "1 request"),
            "schemas-list" => (vec![event("GET", "/Schemas", None)], "1 request"),
            "schemas-get" => {
                (vec![event("GET", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", None)], "1 request")
            }
            _ => (vec![event("GET", "/Me", None)], "1 request"),
        };
        if all.iter().all(|(other, ..)| *other != name) {
            all.push((name, events, work.to_owned()));
        }
    }
    // The functions that replace or delete run last, because the other functions need the resources.
    all.sort_by_key(|(name, ..)| (name.ends_with("-delete"), name.ends_with("-replace")));
    all
}

/// Creates the users and returns their ids.
async fn fill(client: &Client) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..MEMBERS + 100 {
        ids.push(create(client, "/Users", &user(number)).await);
    }
    ids
}

/// Creates a resource and returns its id.
pub async fn create(client: &Client, path: &str, body: &Value) -> String {
    let reply = client.post(path, body).await;
    assert_eq!(reply.status, 201, "{path}");
    reply.json()["id"].as_str().expect("an id").to_owned()
}

/// Returns the event for a request of this client.
pub fn request(client: &Client, method: &str, path: &str, body: Option<&Value>) -> Value {
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

fn function(binaries: &Path, name: &str, endpoint: &str) -> Program {
    (vec![binaries.join(name).display().to_string()], environment(endpoint))
}

/// Returns the environment of a function: the variables that Lambda sets, and the endpoint of DynamoDB.
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
        idle: median(|start| start.idle as f64) as u64,
        peak: median(|start| start.peak as f64) as u64,
    }
}

/// Starts a function, sends it these events and kills it. Returns the measurements and the size of the longest response.
async fn start(program: &Program, events: &[Value]) -> (Start, usize) {
    let run = run(program, events).await;
    let start = Start {
        ready: run.asked[0].at.as_secs_f64(),
        answered: run.answered[0].at.as_secs_f64(),
        idle: run.idle,
        peak: run.peak,
    };
    (start, run.answered.iter().map(|answer| answer.body.len()).max().unwrap_or_default())
}

/// Returns the size of a file when it is compressed as in a zip archive, in bytes, without the archive's headers (about 100 bytes).
fn zipped(file: &Path) -> usize {
    let bytes = std::fs::read(file).expect("the functions are built");
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    std::io::Write::write_all(&mut encoder, &bytes).expect("memory");
    encoder.finish().expect("memory").len()
}
