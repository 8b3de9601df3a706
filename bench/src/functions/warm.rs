//! Measures a request of a warm function: its CPU time and its log, and beside that what it costs in DynamoDB.

use bench::directory::{group, patch, user, user_name};
use serde_json::{Value, json};
use tests::client::Client;
use tests::ledger::{Cost, CountedService};

use super::Deployment;
use crate::cold::{create, request};
use crate::runtime_api::run;

/// The members of the large group.
pub const MEMBERS: usize = 1_000;
/// The requests of each operation that are measured.
pub const REQUESTS: usize = 500;
/// The requests before them.
const UNMEASURED: usize = 50;
/// The requests of each operation whose round trips and capacity units are counted. The result is the maximum.
const COUNTED: usize = 5;
const ALL: usize = UNMEASURED + REQUESTS + COUNTED;
/// The numbers of the users that are created begin here.
const NEW_USERS: usize = 800_000;

/// One operation of a warm function: averages of its requests.
pub struct Warm {
    /// The name of the operation, as in docs/performance.md.
    pub operation: &'static str,
    /// The name of the function.
    pub function: &'static str,
    /// The CPU time of a request, in seconds.
    pub cpu: f64,
    /// The bytes that the function prints for a request.
    pub log: f64,
    /// Round trips and capacity units.
    pub cost: Cost,
}

type Request = (&'static str, String, Option<Value>);

struct Measurement<'d> {
    deployment: &'d Deployment,
    client: Client,
    counted: CountedService,
    results: Vec<Warm>,
}

/// Measures every operation.
pub async fn measure(deployment: &Deployment) -> Vec<Warm> {
    let connector = deployment.service.connector().await;
    let client = connector.local(&deployment.service);
    let counted = CountedService::new(&deployment.service, &connector).await;
    let mut ids = Vec::new();
    for number in 0..MEMBERS + ALL {
        ids.push(create(&client, "/Users", &user(number)).await);
    }
    let large = format!("/Groups/{}", create(&client, "/Groups", &group("large", &ids[..MEMBERS])).await);
    let mut measurement = Measurement { deployment, client, counted, results: Vec::new() };

    let path = |n: usize| format!("/Users/{}", ids[(n * 7_919) % ids.len()]);
    let last_page = format!("/Users?startIndex={}&count=100", ids.len() - 99);
    let title = |n: usize| patch("replace", "title", Some(format!("Guide {n}").into()));
    let add = |n: usize| patch("add", "members", Some(json!([{ "value": ids[MEMBERS + n] }])));
    let remove = |n: usize| patch("remove", &format!("members[value eq \"{}\"]", ids[MEMBERS + n]), None);
    let filter = |n: usize| {
        let name = user_name((n * 7_919) % ids.len()).replace('@', "%40");
        format!("/Users?filter=userName%20eq%20%22{name}%22")
    };
    measurement.run("get a user", "users-get", |n| ("GET", path(n), None)).await;
    measurement.run("userName eq", "users-list", |n| ("GET", filter(n), None)).await;
    measurement.run("page of 100 at the end", "users-list", |_| ("GET", last_page.clone(), None)).await;
    measurement.run("PATCH one attribute", "users-patch", |n| ("PATCH", path(n), Some(title(n)))).await;
    let add = |n| ("PATCH", large.clone(), Some(add(n)));
    measurement.run("add a member to the large group", "groups-patch", add).await;
    let remove = |n| ("PATCH", large.clone(), Some(remove(n)));
    measurement.run("remove a member of the large group", "groups-patch", remove).await;
    let new_user = |n| ("POST", "/Users".to_owned(), Some(user(NEW_USERS + n)));
    let created = measurement.run("create", "users-create", new_user).await;
    let created = |n: usize| format!("/Users/{}", created[n]["id"].as_str().expect("an id"));
    let deactivate = |n| ("PATCH", created(n), Some(patch("replace", "active", Some(false.into()))));
    measurement.run("deactivate", "users-patch", deactivate).await;
    measurement.run("delete", "users-delete", |n| ("DELETE", created(n), None)).await;
    measurement.results
}

impl Measurement<'_> {
    /// Measures an operation. Returns the bodies of all responses.
    async fn run(
        &mut self,
        operation: &'static str,
        function: &'static str,
        event: impl Fn(usize) -> Request,
    ) -> Vec<Value> {
        eprintln!("  {operation}");
        let events: Vec<Value> = (0..UNMEASURED + REQUESTS)
            .map(|n| {
                let (method, path, body) = event(n);
                request(&self.client, method, &path, body.as_ref())
            })
            .collect();
        let run = run(&self.deployment.function(function), &events).await;
        let mut bodies: Vec<Value> = run.answered.iter().map(|answer| body_of(&answer.body)).collect();
        let mut cost = Cost::default();
        for n in UNMEASURED + REQUESTS..ALL {
            let (method, path, body) = event(n);
            let (one, response) = self.counted.send(method, &path, body.as_ref()).await;
            assert!(response.status().is_success(), "{operation}: {}", response.status());
            bodies.push(serde_json::from_slice(response.body()).unwrap_or_default());
            cost.round_trips = cost.round_trips.max(one.round_trips);
            cost.read_units = cost.read_units.max(one.read_units);
            cost.write_units = cost.write_units.max(one.write_units);
        }
        let cpu = run.asked[events.len()].cpu - run.asked[UNMEASURED].cpu;
        self.results.push(Warm {
            operation,
            function,
            cpu: cpu.as_secs_f64() / REQUESTS as f64,
            log: run.printed as f64 / events.len() as f64,
            cost,
        });
        bodies
    }
}

/// The body in the response of a function; null if it has none.
fn body_of(response: &[u8]) -> Value {
    let response: Value = serde_json::from_slice(response).expect("a response");
    response["body"].as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default()
}
