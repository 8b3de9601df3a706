//! Measures the cost and the latency of each operation while the number of users grows, and what the directory needs. It sends one
//! request at a time to a service in this process, whose engine stores its data on disk.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::directory::{group, patch, user, user_name};
use directory::connectors::ConnectorId;
use directory::{Actor, By, Directory};
use futures_util::stream::{self, StreamExt as _};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::response::Response;
use shared::resource::{ResourceId, ResourceKind, normalise};
use shared::schema::Schemas;
use tests::heat::Share;
use tests::ledger::CountedService;
use tests::service::Service;

use crate::group_of_all::{GroupOfAll, Programs};
use crate::runtime_api::memory;

/// Requests per operation and number of users.
const SAMPLES: usize = 21;
/// Members that one request adds to a group.
const MEMBERS_PER_REQUEST: usize = 1_000;
/// Users that are created before the same deadline.
const USERS_PER_DEADLINE: usize = 2_000;
const CONCURRENCY: usize = 16;

/// All measurements of growth.
#[derive(Serialize, Deserialize)]
pub struct Growth {
    /// Each operation with each number of users.
    pub points: Vec<Point>,
    /// What the directory needs with each number of users, in ascending order.
    pub sizes: Vec<Size>,
}

/// The measurements of one operation with one number of users.
#[derive(Serialize, Deserialize)]
pub struct Point {
    /// The number of users.
    pub users: usize,
    /// The name of the operation.
    pub operation: String,
    /// The maximum of the sequential round trips to DynamoDB.
    pub round_trips: usize,
    /// The maximum of the capacity units read.
    pub read_units: f64,
    /// The maximum of the capacity units written.
    pub write_units: f64,
    /// The partition with the lowest ceiling among those of all requests.
    pub hottest_partition: Option<Ceiling>,
    /// The same for the items that requests for different users share.
    pub hottest_item: Option<Ceiling>,
    /// The median latency, in seconds.
    pub latency: f64,
}

/// The most requests a second of a partition or item.
#[derive(Serialize, Deserialize)]
pub struct Ceiling {
    /// Its key, with placeholders.
    pub pattern: String,
    /// The most requests a second for one connector.
    pub requests_a_second: f64,
}

/// What a directory with this number of users needs.
#[derive(Serialize, Deserialize)]
pub struct Size {
    /// The number of users.
    pub users: usize,
    /// The users that were created since the last size.
    pub created: usize,
    /// How long their creation took, in seconds.
    pub seconds: f64,
    /// The size of the engine's files, in bytes, before the group of all users is created.
    pub disk: u64,
    /// The memory of the process with the engine, the service and the measurement, in bytes, at the same time.
    pub memory: u64,
    /// The most memory of this process until the end of the measurements with this size, in bytes.
    pub peak_memory: u64,
    /// A group with all users as its members.
    pub group: GroupOfAll,
}

impl Growth {
    /// The measurements of an operation with this number of users.
    pub fn point(&self, operation: &str, users: usize) -> Option<&Point> {
        self.points.iter().find(|point| point.operation == operation && point.users == users)
    }

    /// The names of the operations.
    pub fn operations(&self) -> Vec<&str> {
        let first = self.points.first().map_or(0, |point| point.users);
        self.points.iter().filter(|point| point.users == first).map(|point| &*point.operation).collect()
    }

    /// The largest factor by which a value of an operation grows between these numbers of users. A value that stays 0 does not
    /// grow. NaN if one of the numbers was not measured.
    pub fn largest_growth(&self, from: usize, to: usize, value: fn(&Point) -> f64) -> f64 {
        let growths = self.operations().into_iter().map(|operation| {
            let (from, to) = (self.point(operation, from)?, self.point(operation, to)?);
            Some(if value(from) == value(to) { 1.0 } else { value(to) / value(from) })
        });
        growths.map(|growth| growth.unwrap_or(f64::NAN)).fold(f64::NAN, f64::max)
    }
}

impl Point {
    /// The capacity units read and written.
    pub fn units(&self) -> f64 {
        self.read_units + self.write_units
    }
}

/// Measures every operation with each of these numbers of users, which must be in ascending order.
pub async fn measure(sizes: &[usize], folder: &Path) -> Growth {
    let data = folder.join("growth");
    std::fs::create_dir_all(&data).expect("a folder");
    let service = Service::start_over(Some(data.join("growth.sqlite")));
    let connector = service.connector().await;
    let programs = Programs::start(&service, &connector).await;
    let counted = &programs.client;
    let mut growth = Growth { points: Vec::new(), sizes: Vec::new() };
    let mut ids = Vec::new();
    let small = create(counted, "/Groups", &group("small", &[])).await;
    let large = create(counted, "/Groups", &group("large", &[])).await;
    let mut members = 0;
    for &users in sizes {
        let (began, present) = (Instant::now(), ids.len());
        ids.extend(seed(&service, &connector.id, present, users).await);
        let seconds = began.elapsed().as_secs_f64();
        if members == 0 {
            add_members(counted, &small, &ids[..10]).await;
        }
        add_members(counted, &large, &ids[members..users / 10]).await;
        members = users / 10;
        let (disk, used) = (bytes_of(&data), memory(std::process::id(), "VmRSS:"));
        growth.points.extend(measure_at(counted, &ids, [&small, &large]).await);
        eprintln!("Growth: a group of {users} members");
        let (group, points) = programs.measure(&ids).await;
        growth.points.extend(points);
        let peak_memory = memory(std::process::id(), "VmHWM:");
        let created = users - present;
        growth.sizes.push(Size { users, created, seconds, disk, memory: used, peak_memory, group });
    }
    growth
}

/// The size of the files in a folder, in bytes.
fn bytes_of(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).expect("a folder");
    files.map(|file| file.and_then(|file| file.metadata()).expect("a file").len()).sum()
}

async fn measure_at(counted: &CountedService, ids: &[ResourceId], [small, large]: [&str; 2]) -> Vec<Point> {
    let users = ids.len();
    let pseudorandom_id = |number: usize| ids[(number * 7_919) % users];
    // Users who are in no group and whom no other operation reads.
    let outsider = |number: usize| ids[users - 1 - number];
    let title = |number: usize| {
        let text = format!("Guide {}", users + number);
        patch("replace", "title", Some(text.into()))
    };
    let add = |number| patch("add", "members", Some(json!([{ "value": outsider(number).to_string() }])));
    let remove = |number| patch("remove", &format!("members[value eq \"{}\"]", outsider(number)), None);
    let page = |start: usize| move |_| ("GET", format!("/Users?startIndex={start}&count=100"), None);
    let (in_small, in_large) = (format!("/Groups/{small}"), format!("/Groups/{large}"));
    let mut created = Vec::new();
    let points = vec![
        point(counted, users, "get a user", |n| ("GET", format!("/Users/{}", pseudorandom_id(n)), None))
            .await,
        point(counted, users, "userName eq", |n| {
            let name = user_name((n * 7_919) % users).replace('@', "%40");
            ("GET", format!("/Users?filter=userName%20eq%20%22{name}%22"), None)
        })
        .await,
        point(counted, users, "page of 100 at the start", page(1)).await,
        point(counted, users, "page of 100 at the end", page(users - 99)).await,
        point(counted, users, "PATCH one attribute", |n| {
            ("PATCH", format!("/Users/{}", pseudorandom_id(n)), Some(title(n)))
        })
        .await,
        point(counted, users, "add a member to a group of 10", |n| ("PATCH", in_small.clone(), Some(add(n))))
            .await,
        point(counted, users, "remove a member of a group of 10", |n| {
            ("PATCH", in_small.clone(), Some(remove(n)))
        })
        .await,
        point(counted, users, "add a member to the large group", |n| {
            ("PATCH", in_large.clone(), Some(add(n)))
        })
        .await,
        point(counted, users, "remove a member of the large group", |n| {
            ("PATCH", in_large.clone(), Some(remove(n)))
        })
        .await,
        {
            let create = |n: usize| ("POST", "/Users".to_owned(), Some(user(10_000_000 + users + n)));
            let (point, responses) = point_and_responses(counted, users, "create", create).await;
            created.extend(responses.iter().map(id));
            point
        },
        point(counted, users, "deactivate", |n| {
            ("PATCH", format!("/Users/{}", created[n]), Some(patch("replace", "active", Some(false.into()))))
        })
        .await,
        point(counted, users, "delete", |n| ("DELETE", format!("/Users/{}", created[n]), None)).await,
    ];
    points
}

/// The method, path and body of a request.
pub type Request = (&'static str, String, Option<Value>);

/// Measures an operation with requests for different numbers.
pub async fn point(
    counted: &CountedService,
    users: usize,
    operation: &'static str,
    request: impl Fn(usize) -> Request,
) -> Point {
    point_and_responses(counted, users, operation, request).await.0
}

async fn point_and_responses(
    counted: &CountedService,
    users: usize,
    operation: &'static str,
    request: impl Fn(usize) -> Request,
) -> (Point, Vec<Response>) {
    let (mut latencies, mut responses) = (Vec::new(), Vec::new());
    let (mut partitions, mut items) = (Vec::new(), Vec::new());
    let (mut round_trips, mut read_units, mut write_units) = (0, 0.0_f64, 0.0_f64);
    for number in 0..SAMPLES {
        let (method, target, body) = request(number);
        let began = Instant::now();
        let (cost, response) = counted.send(method, &target, body.as_ref()).await;
        latencies.push(began.elapsed());
        assert!(response.status().is_success(), "{operation}: {}", String::from_utf8_lossy(response.body()));
        partitions.extend(counted.hottest_partition());
        items.extend(counted.hottest_item());
        round_trips = round_trips.max(cost.round_trips);
        read_units = read_units.max(cost.read_units);
        write_units = write_units.max(cost.write_units);
        responses.push(response);
    }
    latencies.sort_unstable();
    let point = Point {
        users,
        operation: operation.to_owned(),
        round_trips,
        read_units,
        write_units,
        hottest_partition: lowest(partitions),
        hottest_item: lowest(items),
        latency: latencies.get(SAMPLES / 2).map_or(0.0, Duration::as_secs_f64),
    };
    (point, responses)
}

/// Returns the lowest ceiling.
fn lowest(shares: Vec<Share>) -> Option<Ceiling> {
    let lowest = shares
        .into_iter()
        .filter(|share| share.requests_a_second.is_finite())
        .min_by(|one, other| one.requests_a_second.total_cmp(&other.requests_a_second))?;
    Some(Ceiling { pattern: lowest.pattern, requests_a_second: lowest.requests_a_second })
}

/// Creates the users with the numbers `first..end`, without HTTP. Returns their ids.
async fn seed(service: &Service, connector: &ConnectorId, first: usize, end: usize) -> Vec<ResourceId> {
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} users, {per_sec}, {eta} to go");
    let progress = ProgressBar::new(end as u64).with_style(style.expect("a template"));
    progress.set_position(first as u64);
    let mut ids = Vec::with_capacity(end - first);
    for start in (first..end).step_by(USERS_PER_DEADLINE) {
        let directory = Arc::new(client_of(service, connector).await);
        let creations = (start..end.min(start + USERS_PER_DEADLINE)).map(|number| {
            let directory = Arc::clone(&directory);
            tokio::spawn(async move {
                let body = user(number);
                let body = body.as_object().expect("an object");
                let document = normalise(body, directory.schemas().of(ResourceKind::User)).expect("a user");
                directory.create_user(document).await.expect("the user is created").id
            })
        });
        let mut created = stream::iter(creations).buffered(CONCURRENCY);
        while let Some(id) = created.next().await {
            ids.push(id.expect("the task ends"));
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    ids
}

/// Returns the directory as a client of the connector uses it.
async fn client_of(service: &Service, connector: &ConnectorId) -> Directory {
    let table = service.table();
    let connector = table.connector(connector).await.expect("DynamoDB answers").expect("a connector");
    let actor = Actor { by: By::Client("bench".to_owned()), request: "bench".to_owned() };
    Directory::new(table, Arc::new(connector), Schemas::built_in(), Timestamp::now(), actor)
}

/// Adds users to a group.
pub async fn add_members(counted: &CountedService, group: &str, users: &[ResourceId]) {
    for users in users.chunks(MEMBERS_PER_REQUEST) {
        let members: Vec<Value> = users.iter().map(|id| json!({ "value": id.to_string() })).collect();
        let addition = patch("add", "members", Some(members.into()));
        let (_, response) = counted.send("PATCH", &format!("/Groups/{group}"), Some(&addition)).await;
        assert!(response.status().is_success(), "members are added");
    }
}

/// Creates a resource. Returns its id.
pub async fn create(counted: &CountedService, target: &str, body: &Value) -> String {
    id(&counted.cost("POST", target, Some(body), 201).await.1)
}

fn id(response: &Response) -> String {
    let body: Value = serde_json::from_slice(response.body()).expect("JSON");
    body["id"].as_str().expect("an id").to_owned()
}
