//! Requests per second over HTTP, of Rollcall and of what a user would pick instead, under the same load.

use std::path::Path;
use std::time::Duration;

use bench::directory::{self, group, patch, user};
use futures_util::stream::{self, StreamExt as _};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::load::{CONNECTIONS, Call, Connection, Target, Timing, drive};
use crate::server::Server;

/// How long one operation is asked for.
const TIME: Duration = Duration::from_secs(5);
/// How long a server may take to be given its users and groups.
const TIME_TO_FILL: Duration = Duration::from_secs(120);
/// Users who join and leave a group while it is measured.
const JOINING: usize = 400;
const CREATED: usize = 2_000;
const DEACTIVATED: usize = 1_000;
const MEMBERS_AT_ONCE: usize = 500;

/// What a server did.
pub struct Measured {
    /// The name of the server.
    pub server: &'static str,
    /// Every operation, in the order of [`OPERATIONS`]; or what came instead of an answer.
    pub timings: Vec<Result<Timing, String>>,
}

/// The operation.
pub const OPERATIONS: [&str; 11] = [
    "get a user",
    "`userName eq`",
    "page of 100, at the start",
    "page of 100, at the end",
    "PATCH one attribute",
    "PATCH a member in or out, group of 10",
    "PATCH a member in or out, group of 1,000",
    "PATCH a member in or out, group of 100,000",
    "deactivate",
    "create",
    "Bulk of 1,000 creates",
];

const GROUPS: [usize; 3] = [10, 1_000, 100_000];

/// Measures all servers with so many users each.
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
        let missing = || Err(format!("not filled in {TIME_TO_FILL:?}"));
        return OPERATIONS.iter().map(|_| missing()).collect();
    };
    // Any order will do that is not the one in which they were made.
    let any = |number: usize| (number * 7_919) % users;
    let some = 0..1_000_000_usize;
    let mut timings = vec![
        drive(
            target,
            some.clone().take(200_000).map(|n| Call::get(format!("/Users/{}", ids[any(n)]))).collect(),
            TIME,
        )
        .await,
        drive(target, some.clone().take(200_000).map(|n| Call::get(by_name(any(n)))).collect(), TIME).await,
    ];
    for start in [1, users - 99] {
        let page = Call::get(format!("/Users?startIndex={start}&count=100"));
        timings.push(match check(target, &page, 100).await {
            Ok(()) => drive(target, vec![page; 50_000], TIME).await,
            Err(why) => Err(why),
        });
    }
    let title = |n: usize| patch("replace", "title", Some(json!(format!("Guide {n}"))));
    let titles = some.take(50_000).map(|n| Call::patch(format!("/Users/{}", ids[any(n)]), &title(n)));
    timings.push(drive(target, titles.collect(), TIME).await);
    for (place, size) in GROUPS.into_iter().enumerate() {
        timings.push(match groups.get(place) {
            Some(group) => drive(target, memberships(group, size, &ids), 2 * TIME).await,
            None => Err("more members than users".to_owned()),
        });
    }
    let inactive = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "value": { "active": false } }]
    });
    let leavers = ids.iter().rev().take(DEACTIVATED);
    let leavers = leavers.map(|id| Call::patch(format!("/Users/{id}"), &inactive));
    timings.push(drive(target, leavers.collect(), 2 * TIME).await);
    let joiners = (users..users + CREATED).map(|number| Call::post("/Users", &user(number)));
    timings.push(drive(target, joiners.collect(), 2 * TIME).await);
    timings.push(drive(target, (0..4).map(|n| bulk(users + CREATED + n * 1_000)).collect(), 2 * TIME).await);
    timings
}

/// Whether the answer to a request has so many resources, before it is counted how often it is given.
async fn check(target: &Target, call: &Call, resources: usize) -> Result<(), String> {
    let answer = tokio::time::timeout(2 * TIME, Connection::new(target).ask(call)).await;
    let body = answer.map_err(|_| format!("no answer in {:?}", 2 * TIME))??;
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    let found = body["Resources"].as_array().map_or(0, Vec::len);
    if found == resources { Ok(()) } else { Err(format!("{found} resources on it")) }
}

fn by_name(number: usize) -> String {
    format!("/Users?filter=userName%20eq%20%22{}%22", directory::user_name(number).replace('@', "%40"))
}

/// Each of some users joins or leaves a group, and then the other way round.
fn memberships(group: &str, size: usize, ids: &[String]) -> Vec<Call> {
    let add = |id: &String| patch("add", "members", Some(json!([{ "value": id }])));
    let remove = |id: &String| patch("remove", &format!("members[value eq \"{id}\"]"), None);
    let path = format!("/Groups/{group}");
    let users: Vec<&String> = ids.iter().rev().take(JOINING).collect();
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

/// Makes the users and groups, as a client would. Gives their ids, those of users in order.
async fn fill(target: &Target, users: usize) -> (Vec<String>, Vec<String>) {
    let progress = ProgressBar::new(users as u64);
    let chunks = (0..CONNECTIONS).map(|first| {
        let (mut connection, progress) = (Connection::new(target), progress.clone());
        async move {
            let mut made = Vec::new();
            for number in (first..users).step_by(CONNECTIONS) {
                made.push((number, create(&mut connection, &Call::post("/Users", &user(number))).await));
                progress.inc(1);
            }
            made
        }
    });
    let mut made: Vec<(usize, String)> =
        stream::iter(chunks).buffer_unordered(CONNECTIONS).collect::<Vec<_>>().await.concat();
    made.sort_unstable();
    let ids: Vec<String> = made.into_iter().map(|(_, id)| id).collect();
    let mut groups = Vec::new();
    let mut connection = Connection::new(target);
    for size in GROUPS.into_iter().filter(|size| *size <= users) {
        let id =
            create(&mut connection, &Call::post("/Groups", &group(&format!("group of {size}"), &[]))).await;
        for members in ids[..size].chunks(MEMBERS_AT_ONCE) {
            let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
            let join = patch("add", "members", Some(members.into()));
            connection.ask(&Call::patch(format!("/Groups/{id}"), &join)).await.expect("members join");
        }
        groups.push(id);
    }
    progress.finish_and_clear();
    (ids, groups)
}

async fn create(connection: &mut Connection, call: &Call) -> String {
    let body = connection.ask(call).await.expect("it is made");
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    body["id"].as_str().expect("an id").to_owned()
}
