//! Measures requests per second over HTTP, of Rollcall and of two other service providers under the same load.

use std::path::Path;
use std::time::Duration;

use bench::directory::{self, group, patch, user};
use futures_util::stream::{self, StreamExt as _};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::load::{CONNECTIONS, Call, Connection, Target, Timing, send_all};
use crate::server::Server;

/// How long each operation is measured.
const TIME: Duration = Duration::from_secs(5);
/// The time limit for creating the users and groups of a server.
const TIME_TO_FILL: Duration = Duration::from_secs(120);
/// Users who are added to a group and removed from it in one measurement.
const CHANGED_MEMBERS: usize = 400;
const CREATED: usize = 2_000;
const DEACTIVATED: usize = 1_000;
const MEMBERS_PER_REQUEST: usize = 500;

/// The measurements of one server.
pub struct Measured {
    /// The name of the server.
    pub server: &'static str,
    /// The result of each operation, in the order of [`OPERATIONS`]. An error says why it was not measured.
    pub timings: Vec<Result<Timing, String>>,
}

/// The measured operations.
pub const OPERATIONS: [&str; 11] = [
    "get a user",
    "`userName eq`",
    "page of 100, at the start",
    "page of 100, at the end",
    "PATCH one attribute",
    "add or remove a member, group of 10",
    "add or remove a member, group of 1,000",
    "add or remove a member, group of 100,000",
    "deactivate",
    "create",
    "Bulk of 1,000 creates",
];

const GROUPS: [usize; 3] = [10, 1_000, 100_000];

/// Measures all servers, each with this number of users.
pub async fn measure(users: usize, folder: &Path, peers: &Path) -> Vec<Measured> {
    let mut all = Vec::new();
    for name in ["Rollcall, on disk", "Rollcall, in memory", "SCIMMY", "scim2-server"] {
        let server = match name {
            "Rollcall, on disk" => Server::rollcall(&folder.join(format!("load-{users}"))).await,
            "Rollcall, in memory" => Server::rollcall_in_memory().await,
            "SCIMMY" => Server::scimmy(&peers.join("scimmy")).await,
            _ => Server::scim2_server(&peers.join("venv/bin/scim2-server")).await,
        };
        eprintln!("{name}, {users} users");
        all.push(Measured { server: name, timings: measure_one(&server.target, users).await });
    }
    all
}

async fn measure_one(target: &Target, users: usize) -> Vec<Result<Timing, String>> {
    let filled = tokio::time::timeout(TIME_TO_FILL, fill(target, users)).await;
    let Ok((ids, groups)) = filled else {
        let missing = || Err(format!("users and groups could not be created in {TIME_TO_FILL:?}"));
        return OPERATIONS.iter().map(|_| missing()).collect();
    };
    // An order that differs from the order of creation.
    let shuffled = |number: usize| (number * 7_919) % users;
    let numbers = 0..1_000_000_usize;
    let mut timings = vec![
        send_all(
            target,
            numbers
                .clone()
                .take(200_000)
                .map(|n| Call::get(format!("/Users/{}", ids[shuffled(n)])))
                .collect(),
            TIME,
        )
        .await,
        send_all(
            target,
            numbers.clone().take(200_000).map(|n| Call::get(by_name(shuffled(n)))).collect(),
            TIME,
        )
        .await,
    ];
    for start in [1, users - 99] {
        let page = Call::get(format!("/Users?startIndex={start}&count=100"));
        timings.push(match check(target, &page, 100).await {
            Ok(()) => send_all(target, vec![page; 50_000], TIME).await,
            Err(why) => Err(why),
        });
    }
    let title = |n: usize| patch("replace", "title", Some(json!(format!("Guide {n}"))));
    let titles = numbers.take(50_000).map(|n| Call::patch(format!("/Users/{}", ids[shuffled(n)]), &title(n)));
    timings.push(send_all(target, titles.collect(), TIME).await);
    for (place, size) in GROUPS.into_iter().enumerate() {
        timings.push(match groups.get(place) {
            Some(group) => send_all(target, memberships(group, size, &ids), 2 * TIME).await,
            None => Err("the group needs more members than there are users".to_owned()),
        });
    }
    let inactive = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "value": { "active": false } }]
    });
    let deactivations = ids.iter().rev().take(DEACTIVATED);
    let deactivations = deactivations.map(|id| Call::patch(format!("/Users/{id}"), &inactive));
    timings.push(send_all(target, deactivations.collect(), 2 * TIME).await);
    let creates = (users..users + CREATED).map(|number| Call::post("/Users", &user(number)));
    timings.push(send_all(target, creates.collect(), 2 * TIME).await);
    timings
        .push(send_all(target, (0..4).map(|n| bulk(users + CREATED + n * 1_000)).collect(), 2 * TIME).await);
    timings
}

/// Checks that the page has this number of resources, before its rate is measured.
async fn check(target: &Target, call: &Call, resources: usize) -> Result<(), String> {
    let response = tokio::time::timeout(2 * TIME, Connection::new(target).send_successfully(call)).await;
    let body = response.map_err(|_| format!("no response in {:?}", 2 * TIME))??;
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    let found = body["Resources"].as_array().map_or(0, Vec::len);
    if found == resources {
        Ok(())
    } else {
        Err(format!("the page has {found} resources instead of {resources}"))
    }
}

fn by_name(number: usize) -> String {
    format!("/Users?filter=userName%20eq%20%22{}%22", directory::user_name(number).replace('@', "%40"))
}

/// Returns requests that add users to a group and then remove them. If the group contains all users, it removes them
/// first.
fn memberships(group: &str, size: usize, ids: &[String]) -> Vec<Call> {
    let add = |id: &String| patch("add", "members", Some(json!([{ "value": id }])));
    let remove = |id: &String| patch("remove", &format!("members[value eq \"{id}\"]"), None);
    let path = format!("/Groups/{group}");
    let users: Vec<&String> = ids.iter().rev().take(CHANGED_MEMBERS).collect();
    let adds = users.iter().map(|id| Call::patch(&path, &add(id)));
    let removes = users.iter().map(|id| Call::patch(&path, &remove(id)));
    if size == ids.len() { removes.chain(adds).collect() } else { adds.chain(removes).collect() }
}

fn bulk(first: usize) -> Call {
    let operations: Vec<Value> = (first..first + 1_000)
        .map(|number| json!({ "method": "POST", "path": "/Users", "bulkId": number.to_string(), "data": user(number) }))
        .collect();
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations
    });
    Call::post("/Bulk", &body)
}

/// Creates the users and groups over HTTP. Returns the ids of the users, in order, and of the groups.
async fn fill(target: &Target, users: usize) -> (Vec<String>, Vec<String>) {
    let progress = ProgressBar::new(users as u64);
    let chunks = (0..CONNECTIONS).map(|first| {
        let (mut connection, progress) = (Connection::new(target), progress.clone());
        async move {
            let mut created = Vec::new();
            for number in (first..users).step_by(CONNECTIONS) {
                created.push((number, create(&mut connection, &Call::post("/Users", &user(number))).await));
                progress.inc(1);
            }
            created
        }
    });
    let mut created: Vec<(usize, String)> =
        stream::iter(chunks).buffer_unordered(CONNECTIONS).collect::<Vec<_>>().await.concat();
    created.sort_unstable();
    let ids: Vec<String> = created.into_iter().map(|(_, id)| id).collect();
    let mut groups = Vec::new();
    let mut connection = Connection::new(target);
    for size in GROUPS.into_iter().filter(|size| *size <= users) {
        let id =
            create(&mut connection, &Call::post("/Groups", &group(&format!("group of {size}"), &[]))).await;
        for members in ids[..size].chunks(MEMBERS_PER_REQUEST) {
            let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
            let addition = patch("add", "members", Some(members.into()));
            connection
                .send_successfully(&Call::patch(format!("/Groups/{id}"), &addition))
                .await
                .expect("members are added");
        }
        groups.push(id);
    }
    progress.finish_and_clear();
    (ids, groups)
}

async fn create(connection: &mut Connection, call: &Call) -> String {
    let body = connection.send_successfully(call).await.expect("the resource is created");
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    body["id"].as_str().expect("an id").to_owned()
}
