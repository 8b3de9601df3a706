//! DynamoDB with the latency that a function sees: each call is delayed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client as DynamoDb;
use bench::directory::{group, user};
use futures_util::stream::{self, StreamExt as _};
use serde_json::Value;
use tests::away::away;
use tests::in_process::InProcess;
use tests::service::Service;

/// The delay of each call to DynamoDB.
pub const DELAY: Duration = Duration::from_millis(5);
/// The members of the group.
pub const MEMBERS: usize = 10_000;
/// The timeout of an HTTP API.
const DEADLINE: Duration = Duration::from_secs(29);

/// The times, in seconds.
pub struct Far {
    /// A PUT that puts all members into an empty group.
    pub replace: f64,
    /// A PUT that changes half of them for others.
    pub replace_half: f64,
    /// A GET of the group.
    pub get: f64,
}

/// Measures a group of [`MEMBERS`].
pub async fn measure() -> Far {
    let service = Service::start();
    let connector = service.connector().await;
    let near = Arc::new(InProcess::new(service.dynamodb(), connector.local(&service)).await);
    let users = (0..MEMBERS * 3 / 2).map(|number| {
        let near = Arc::clone(&near);
        tokio::spawn(async move { id(&near.send("POST", "/Users", Some(&user(number)), DEADLINE).await) })
    });
    let ids: Vec<String> = stream::iter(users).buffered(16).map(|id| id.expect("a user")).collect().await;
    let path =
        format!("/Groups/{}", id(&near.send("POST", "/Groups", Some(&group("far", &[])), DEADLINE).await));

    let far = DynamoDb::from_conf(away(&service.dynamodb(), DELAY).build());
    let far = InProcess::new(far, connector.local(&service)).await;
    let put = |members: &[String]| group("far", members);
    let replace = timed(&far, "PUT", &path, Some(&put(&ids[..MEMBERS]))).await;
    let get = timed(&far, "GET", &path, None).await;
    let replace_half = timed(&far, "PUT", &path, Some(&put(&ids[MEMBERS / 2..]))).await;
    Far { replace, replace_half, get }
}

async fn timed(service: &InProcess, method: &str, path: &str, body: Option<&Value>) -> f64 {
    let began = Instant::now();
    let answer = service.send(method, path, body, DEADLINE).await;
    let took = began.elapsed().as_secs_f64();
    assert_eq!(answer.status(), 200, "{method}: {}", String::from_utf8_lossy(answer.body()));
    let members = serde_json::from_slice::<Value>(answer.body()).expect("JSON");
    assert_eq!(members["members"].as_array().map(Vec::len), Some(MEMBERS), "{method}");
    took
}

fn id(answer: &service::response::Response) -> String {
    let body: Value = serde_json::from_slice(answer.body()).expect("JSON");
    body["id"].as_str().expect("an id").to_owned()
}
