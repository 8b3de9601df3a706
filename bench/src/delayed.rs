//! Measures large groups with network latency: every call to DynamoDB is delayed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client as DynamoDb;
use bench::directory::{group, user};
use futures_util::stream::{self, StreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tests::away::away;
use tests::in_process::InProcess;
use tests::service::Service;

/// The delay of each call to DynamoDB.
pub const DELAY: Duration = Duration::from_millis(5);
/// The number of members of the group.
pub const MEMBERS: usize = 10_000;
/// The time limit of a request: the timeout of the functions in `template.yaml`.
const DEADLINE: Duration = Duration::from_secs(29);

/// The measured times, in seconds.
#[derive(Serialize, Deserialize)]
pub struct DelayedRequests {
    /// A PUT that adds all members to an empty group.
    pub replace: f64,
    /// A PUT that replaces half of the members.
    pub replace_half: f64,
    /// A GET of the group.
    pub get: f64,
}

/// Measures requests to a group with [`MEMBERS`] members.
pub async fn measure() -> DelayedRequests {
    let service = Service::start();
    let connector = service.connector().await;
    let undelayed = Arc::new(InProcess::new(service.dynamodb(), connector.local(&service)).await);
    let users = (0..MEMBERS * 3 / 2).map(|number| {
        let undelayed = Arc::clone(&undelayed);
        tokio::spawn(
            async move { id(&undelayed.send("POST", "/Users", Some(&user(number)), DEADLINE).await) },
        )
    });
    let ids: Vec<String> = stream::iter(users).buffered(16).map(|id| id.expect("a user")).collect().await;
    let path = format!(
        "/Groups/{}",
        id(&undelayed.send("POST", "/Groups", Some(&group("delayed", &[])), DEADLINE).await)
    );

    let dynamodb = DynamoDb::from_conf(away(&service.dynamodb(), DELAY).build());
    let delayed = InProcess::new(dynamodb, connector.local(&service)).await;
    let put = |members: &[String]| group("delayed", members);
    let replace = timed(&delayed, "PUT", &path, Some(&put(&ids[..MEMBERS]))).await;
    let get = timed(&delayed, "GET", &path, None).await;
    let replace_half = timed(&delayed, "PUT", &path, Some(&put(&ids[MEMBERS / 2..]))).await;
    DelayedRequests { replace, replace_half, get }
}

async fn timed(service: &InProcess, method: &str, path: &str, body: Option<&Value>) -> f64 {
    let began = Instant::now();
    let response = service.send(method, path, body, DEADLINE).await;
    let took = began.elapsed().as_secs_f64();
    assert_eq!(response.status(), 200, "{method}: {}", String::from_utf8_lossy(response.body()));
    let members = serde_json::from_slice::<Value>(response.body()).expect("JSON");
    assert_eq!(members["members"].as_array().map(Vec::len), Some(MEMBERS), "{method}");
    took
}

fn id(response: &service::response::Response) -> String {
    let body: Value = serde_json::from_slice(response.body()).expect("JSON");
    body["id"].as_str().expect("an id").to_owned()
}
