//! Measures the cost and the latency of each operation while the number of users grows. It sends one request at a time to a
//! service in this process, whose engine stores its data on disk.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::directory::{group, patch, user, user_name};
use directory::connectors::ConnectorId;
use directory::{Actor, By, Directory};
use futures_util::stream::{self, StreamExt as _};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json};
use service::response::Response;
use shared::resource::{ResourceId, ResourceKind, normalise};
use shared::schema::Schemas;
use tests::heat::Share;
use tests::ledger::{Cost, CountedService};
use tests::service::Service;

/// Requests per operation and number of users.
const SAMPLES: usize = 21;
/// Users that are created before the same deadline.
const USERS_PER_DEADLINE: usize = 2_000;
const CONCURRENCY: usize = 16;

/// The measurements of one operation with one number of users.
pub struct Point {
    /// The number of users.
    pub users: usize,
    /// The name of the operation.
    pub operation: &'static str,
    /// The maximum cost of the requests.
    pub cost: Cost,
    /// The partition with the lowest ceiling among those of all requests.
    pub hottest_partition: Option<Share>,
    /// The same for the items that requests for different users share.
    pub hottest_item: Option<Share>,
    /// The median latency, in seconds.
    pub latency: f64,
}

/// Measures every operation with each of these numbers of users, which must be in ascending order.
pub async fn measure(sizes: &[usize], folder: &Path) -> Vec<Point> {
    let service = Service::start_over(Some(folder.join("growth.sqlite")));
    let connector = service.connector().await;
    let counted = CountedService::new(&service, &connector).await;
    let (mut points, mut ids) = (Vec::new(), Vec::new());
    let small = create(&counted, "/Groups", &group("small", &[])).await;
    let large = create(&counted, "/Groups", &group("large", &[])).await;
    let mut members = 0;
    for &users in sizes {
        ids.extend(seed(&service, &connector.id, ids.len(), users).await);
        if members == 0 {
            add_members(&counted, &small, &ids[..10]).await;
        }
        add_members(&counted, &large, &ids[members..users / 10]).await;
        members = users / 10;
        points.extend(measure_at(&counted, &ids, [&small, &large]).await);
    }
    points
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

type Request = (&'static str, String, Option<Value>);

async fn point(
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
    let (mut maximum, mut latencies, mut responses) = (Cost::default(), Vec::new(), Vec::new());
    let (mut partitions, mut items) = (Vec::new(), Vec::new());
    for number in 0..SAMPLES {
        let (method, target, body) = request(number);
        let began = Instant::now();
        let (cost, response) = counted.send(method, &target, body.as_ref()).await;
        latencies.push(began.elapsed());
        assert!(response.status().is_success(), "{operation}: {}", String::from_utf8_lossy(response.body()));
        partitions.extend(counted.hottest_partition());
        items.extend(counted.hottest_item());
        maximum.round_trips = maximum.round_trips.max(cost.round_trips);
        maximum.read_units = maximum.read_units.max(cost.read_units);
        maximum.write_units = maximum.write_units.max(cost.write_units);
        responses.push(response);
    }
    latencies.sort_unstable();
    let latency = latencies.get(SAMPLES / 2).map_or(0.0, Duration::as_secs_f64);
    let (hottest_partition, hottest_item) = (lowest(partitions), lowest(items));
    (Point { users, operation, cost: maximum, hottest_partition, hottest_item, latency }, responses)
}

/// Returns the share with the lowest ceiling.
fn lowest(shares: Vec<Share>) -> Option<Share> {
    shares.into_iter().min_by(|one, other| one.requests_a_second.total_cmp(&other.requests_a_second))
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

async fn add_members(counted: &CountedService, group: &str, users: &[ResourceId]) {
    for users in users.chunks(1_000) {
        let members: Vec<Value> = users.iter().map(|id| json!({ "value": id.to_string() })).collect();
        let addition = patch("add", "members", Some(members.into()));
        let (_, response) = counted.send("PATCH", &format!("/Groups/{group}"), Some(&addition)).await;
        assert!(response.status().is_success(), "members are added");
    }
}

async fn create(counted: &CountedService, target: &str, body: &Value) -> String {
    id(&counted.cost("POST", target, Some(body), 201).await.1)
}

fn id(response: &Response) -> String {
    let body: Value = serde_json::from_slice(response.body()).expect("JSON");
    body["id"].as_str().expect("an id").to_owned()
}
