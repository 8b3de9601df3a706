//! Measures requests per second over HTTP, of Rollcall, of two other service providers and of the yardstick under the same load.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bench::directory::{self, group, patch, user};
use futures_util::stream::{self, StreamExt as _};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::load::{CONNECTIONS, Call, Connection, Target, Timing, send_all};
use crate::server::{Server, ServerKind};
use crate::versions::{Description, describe};

/// The number of users with which the peers are compared.
pub const FEW: usize = 3_000;
/// The number of users of the second comparison, if `LARGEST` is not smaller.
pub const MANY: usize = 100_000;
/// How long each operation is measured.
const TIME: Duration = Duration::from_secs(5);
/// The time limit for creating the users and groups of a server.
const TIME_TO_FILL: Duration = Duration::from_secs(120);
/// Users who are added to a group and removed from it in one measurement.
const CHANGED_MEMBERS: usize = 400;
const CREATED: usize = 2_000;
const DEACTIVATED: usize = 1_000;
const MEMBERS_PER_REQUEST: usize = 500;
const BULK_REQUESTS: usize = 4;
const USERS_OF_A_BULK: usize = 1_000;

/// A measured operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Operation {
    /// Get a user by id.
    Get,
    /// Find a user by userName.
    UserNameEq,
    /// The first page of users.
    FirstPage,
    /// The last page of users.
    LastPage,
    /// Change one attribute of a user.
    Patch,
    /// Add a member to a small group, or remove it.
    MembersOf10,
    /// The same for a larger group.
    MembersOf1000,
    /// The same for a very large group.
    MembersOf100000,
    /// Deactivate a user.
    Deactivate,
    /// Create a user.
    Create,
    /// Create users with Bulk. Each counts as an operation.
    Bulk,
}

impl Operation {
    /// All operations, in the order in which they are measured.
    pub const ALL: [Self; 11] = [
        Self::Get,
        Self::UserNameEq,
        Self::FirstPage,
        Self::LastPage,
        Self::Patch,
        Self::MembersOf10,
        Self::MembersOf1000,
        Self::MembersOf100000,
        Self::Deactivate,
        Self::Create,
        Self::Bulk,
    ];

    /// The name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get a user",
            Self::UserNameEq => "`userName eq`",
            Self::FirstPage => "page of 100, at the start",
            Self::LastPage => "page of 100, at the end",
            Self::Patch => "PATCH one attribute",
            Self::MembersOf10 => "add or remove a member, group of 10",
            Self::MembersOf1000 => "add or remove a member, group of 1,000",
            Self::MembersOf100000 => "add or remove a member, group of 100,000",
            Self::Deactivate => "deactivate",
            Self::Create => "create",
            Self::Bulk => "Bulk of 1,000 creates",
        }
    }

    /// The size of the group whose members it changes.
    fn group(self) -> Option<usize> {
        match self {
            Self::MembersOf10 => Some(10),
            Self::MembersOf1000 => Some(1_000),
            Self::MembersOf100000 => Some(100_000),
            _ => None,
        }
    }

    /// How long it is measured. Operations that change more of the directory get more time to end.
    fn time(self) -> Duration {
        match self {
            Self::Get | Self::UserNameEq | Self::FirstPage | Self::LastPage | Self::Patch => TIME,
            _ => 2 * TIME,
        }
    }
}

/// The measurements of all servers.
#[derive(Serialize, Deserialize)]
pub struct Throughput {
    /// With [`FEW`] users.
    pub few: Load,
    /// With [`MANY`] users.
    pub many: Load,
    /// What was measured.
    pub servers: Vec<Description>,
}

/// The measurements with one number of users.
#[derive(Serialize, Deserialize)]
pub struct Load {
    /// The number of users.
    pub users: usize,
    /// The measurements of each server.
    pub servers: Vec<Measured>,
}

/// The measurements of one server.
#[derive(Serialize, Deserialize)]
pub struct Measured {
    /// The server.
    pub server: ServerKind,
    /// The result of each operation that the server has. An error says why it was not measured.
    pub timings: BTreeMap<Operation, Result<Timing, String>>,
}

impl Load {
    /// The measurement of an operation. `None` if it was not measured.
    pub fn timing(&self, server: ServerKind, operation: Operation) -> Option<&Timing> {
        let measured = self.servers.iter().find(|measured| measured.server == server)?;
        measured.timings.get(&operation)?.as_ref().ok()
    }

    /// Divides the rate of a server by that of another. NaN if one of them was not measured.
    pub fn ratio(&self, server: ServerKind, other: ServerKind, operation: Operation) -> f64 {
        self.rate(server, operation) / self.rate(other, operation)
    }

    /// Divides the rate of a server by the rate of the fastest peer. NaN if there is none.
    pub fn ratio_to_best_peer(&self, server: ServerKind, operation: Operation) -> f64 {
        let peers = ServerKind::ALL.into_iter().filter(|kind| kind.is_peer());
        self.rate(server, operation) / peers.map(|peer| self.rate(peer, operation)).fold(f64::NAN, f64::max)
    }

    /// Responses a second, for Bulk operations a second. NaN if it was not measured.
    pub fn rate(&self, server: ServerKind, operation: Operation) -> f64 {
        self.timing(server, operation).map_or(f64::NAN, |timing| timing.per_second)
    }
}

/// Measures all servers, with [`FEW`] and with `many` users.
pub async fn measure(many: usize, folder: &Path, peers: &Path) -> Throughput {
    let few = measure_with(FEW, &folder.join("few"), peers).await;
    let many = measure_with(many, &folder.join("many"), peers).await;
    Throughput { few, many, servers: ServerKind::ALL.into_iter().map(|kind| describe(kind, peers)).collect() }
}

async fn measure_with(users: usize, folder: &Path, peers: &Path) -> Load {
    let mut servers = Vec::new();
    for kind in ServerKind::ALL {
        eprintln!("{}, {users} users", kind.name());
        let server = Server::of_kind(kind, folder, peers).await;
        servers.push(Measured { server: kind, timings: measure_one(&server.target, kind, users).await });
    }
    Load { users, servers }
}

async fn measure_one(
    target: &Target,
    kind: ServerKind,
    users: usize,
) -> BTreeMap<Operation, Result<Timing, String>> {
    let filled = tokio::time::timeout(TIME_TO_FILL, Filled::fill(target, kind, users)).await;
    let mut timings = BTreeMap::new();
    for operation in kind.operations() {
        let timing = match &filled {
            Ok(filled) => filled.measure(target, *operation).await,
            Err(_) => Err(format!("users and groups could not be created in {TIME_TO_FILL:?}")),
        };
        timings.insert(*operation, timing);
    }
    timings
}

/// A server with users and groups.
struct Filled {
    users: usize,
    /// The ids of the users, in the order in which they were created.
    ids: Vec<String>,
    /// The id of each group, by its size.
    groups: BTreeMap<usize, String>,
}

impl Filled {
    /// Creates the users over HTTP, and the groups that the operations of the server change.
    async fn fill(target: &Target, kind: ServerKind, users: usize) -> Self {
        // Rollcall checks a chosen password for a long time, and refuses many checks at once. This request is the only one that needs
        // a check, because its result is kept.
        Connection::new(target).send(&Call::get(by_name(0))).await.expect("a response");
        let ids = create_users(target, users).await;
        let mut groups = BTreeMap::new();
        for size in kind.operations().iter().filter_map(|operation| operation.group()) {
            if size <= users {
                groups.insert(size, create_group(target, &ids[..size]).await);
            }
        }
        Self { users, ids, groups }
    }

    async fn measure(&self, target: &Target, operation: Operation) -> Result<Timing, String> {
        let calls = self.calls(operation)?;
        if let (Operation::FirstPage | Operation::LastPage, Some(page)) = (operation, calls.first()) {
            check(target, page, 100).await?;
        }
        let timing = send_all(target, calls, operation.time()).await?;
        let operations = if operation == Operation::Bulk { USERS_OF_A_BULK as f64 } else { 1.0 };
        Ok(Timing { per_second: timing.per_second * operations, ..timing })
    }

    /// The requests of an operation.
    fn calls(&self, operation: Operation) -> Result<Vec<Call>, String> {
        // An order that differs from the order of creation.
        let shuffled = |number: usize| (number * 7_919) % self.users;
        let path = |number: usize| format!("/Users/{}", self.ids[shuffled(number)]);
        let page = |start: usize| vec![Call::get(format!("/Users?startIndex={start}&count=100")); 50_000];
        Ok(match operation {
            Operation::Get => (0..200_000).map(|n| Call::get(path(n))).collect(),
            Operation::UserNameEq => (0..200_000).map(|n| Call::get(by_name(shuffled(n)))).collect(),
            Operation::FirstPage => page(1),
            Operation::LastPage => page(self.users - 99),
            Operation::Patch => {
                let title = |n: usize| patch("replace", "title", Some(json!(format!("Guide {n}"))));
                (0..50_000).map(|n| Call::patch(path(n), &title(n))).collect()
            }
            Operation::MembersOf10 | Operation::MembersOf1000 | Operation::MembersOf100000 => {
                let size = operation.group().unwrap_or_default();
                let group = self.groups.get(&size);
                memberships(
                    group.ok_or("the group needs more members than there are users")?,
                    size,
                    &self.ids,
                )
            }
            Operation::Deactivate => {
                let inactive = json!({
                    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                    "Operations": [{ "op": "replace", "value": { "active": false } }]
                });
                let ids = self.ids.iter().rev().take(DEACTIVATED);
                ids.map(|id| Call::patch(format!("/Users/{id}"), &inactive)).collect()
            }
            Operation::Create => {
                (self.users..self.users + CREATED).map(|number| Call::post("/Users", &user(number))).collect()
            }
            Operation::Bulk => {
                let first = self.users + CREATED;
                (0..BULK_REQUESTS).map(|n| bulk(first + n * USERS_OF_A_BULK)).collect()
            }
        })
    }
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
    let operations: Vec<Value> = (first..first + USERS_OF_A_BULK)
        .map(|number| json!({ "method": "POST", "path": "/Users", "bulkId": number.to_string(), "data": user(number) }))
        .collect();
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations
    });
    Call::post("/Bulk", &body)
}

/// Creates users over HTTP. Returns their ids, in order.
async fn create_users(target: &Target, users: usize) -> Vec<String> {
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
    progress.finish_and_clear();
    created.into_iter().map(|(_, id)| id).collect()
}

/// Creates a group with these members over HTTP. Returns its id.
async fn create_group(target: &Target, members: &[String]) -> String {
    let mut connection = Connection::new(target);
    let name = format!("group of {}", members.len());
    let id = create(&mut connection, &Call::post("/Groups", &group(&name, &[]))).await;
    for members in members.chunks(MEMBERS_PER_REQUEST) {
        let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
        let addition = patch("add", "members", Some(members.into()));
        let call = Call::patch(format!("/Groups/{id}"), &addition);
        connection.send_successfully(&call).await.expect("members are added");
    }
    id
}

async fn create(connection: &mut Connection, call: &Call) -> String {
    let body = connection.send_successfully(call).await.expect("the resource is created");
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    body["id"].as_str().expect("an id").to_owned()
}
