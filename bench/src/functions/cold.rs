//! Measures cold starts: the start of a process, and its first request.

use bench::directory::{patch, user, user_name};
use directory::connectors::ConnectorId;
use directory::secrets::credential_of_chosen;
use jiff::Timestamp;
use serde_json::Value;
use shared::credential::CredentialKind;
use shared::schema::Schemas;
use tests::client::Client;
use tests::service::Service;

use super::{Deployment, median};
use crate::cold::{create, request};
use crate::runtime_api::{Run, run};

/// Starts of each function with each kind of credential.
pub const STARTS: usize = 21;
/// The numbers of the users that are created begin here.
const NEW_USERS: usize = 700_000;

/// The medians of the starts of a function.
pub struct Cold {
    /// The operation of its first request.
    pub operation: &'static str,
    /// Whether a person chose the password. The secret of other requests was generated.
    pub is_chosen: bool,
    /// Seconds from the start of the process until it asks for its first event.
    pub ready: f64,
    /// The CPU time until then, in seconds.
    pub ready_cpu: f64,
    /// Seconds from the first event to its response.
    pub first: f64,
    /// The CPU time of the first request, in seconds.
    pub first_cpu: f64,
    /// Seconds from the second event to its response.
    pub second: f64,
    /// The average number of connections to DynamoDB that a process opens, in its start and for two requests.
    pub connections: f64,
}

type Request = (&'static str, String, Option<Value>);
/// The name of an operation, its function, and its requests.
type Operation<'o> = (&'static str, &'static str, &'o dyn Fn(usize) -> Request);

/// Measures the functions of four operations.
pub async fn measure(deployment: &Deployment) -> Vec<Cold> {
    let generated = deployment.service.client().await;
    let chosen = client_with_chosen_password(&deployment.service).await;
    let mut all = Vec::new();
    for (client, is_chosen) in [(&generated, false), (&chosen, true)] {
        let path = format!("/Users/{}", create(client, "/Users", &user(0)).await);
        let filter = format!("/Users?filter=userName%20eq%20%22{}%22", user_name(0).replace('@', "%40"));
        let title = |n: usize| patch("replace", "title", Some(format!("T{n}").into()));
        let operations: [Operation; 4] = [
            ("get a user", "users-get", &|_| ("GET", path.clone(), None)),
            ("userName eq", "users-list", &|_| ("GET", filter.clone(), None)),
            ("PATCH one attribute", "users-patch", &|n| ("PATCH", path.clone(), Some(title(n)))),
            ("create", "users-create", &|n| ("POST", "/Users".to_owned(), Some(user(NEW_USERS + n)))),
        ];
        for (operation, function, event) in operations {
            let event = |n| {
                let (method, path, body) = event(n);
                request(client, method, &path, body.as_ref())
            };
            all.push(starts(deployment, (operation, function, is_chosen), event).await);
        }
    }
    all
}

async fn starts(
    deployment: &Deployment,
    (operation, function, is_chosen): (&'static str, &str, bool),
    event: impl Fn(usize) -> Value,
) -> Cold {
    let program = deployment.function(function);
    let connections = deployment.dynamodb.connections();
    let mut runs = Vec::new();
    for start in 0..STARTS {
        runs.push(run(&program, &[event(2 * start), event(2 * start + 1)]).await);
    }
    let connections = deployment.dynamodb.connections() - connections;
    let median_of = |value: fn(&Run) -> f64| median(runs.iter().map(value).collect());
    Cold {
        operation,
        is_chosen,
        ready: median_of(|run| run.asked[0].at.as_secs_f64()),
        ready_cpu: median_of(|run| run.asked[0].cpu.as_secs_f64()),
        first: median_of(|run| (run.answered[0].at - run.asked[0].sent).as_secs_f64()),
        first_cpu: median_of(|run| (run.asked[1].cpu - run.asked[0].cpu).as_secs_f64()),
        second: median_of(|run| (run.answered[1].at - run.asked[1].sent).as_secs_f64()),
        connections: connections as f64 / STARTS as f64,
    }
}

/// Creates a connector with a password that a person chose.
async fn client_with_chosen_password(service: &Service) -> Client {
    let (name, username, password) = ("chosen", "okta", "correct horse battery staple");
    let id = ConnectorId::parse(name).expect("an id");
    let kind = CredentialKind::Basic { username: username.to_owned() };
    let credential = credential_of_chosen(kind, password, Timestamp::now()).expect("a password");
    let connectors = service.connectors();
    let created = connectors.create(&id, name.to_owned(), vec![credential], Schemas::built_in());
    assert!(created.await.expect("DynamoDB answers").is_some(), "it is the first of this name");
    Client::new(&format!("{}/{id}/scim/v2", service.origin()), username, password)
}
