//! Measures how fast changes reach a consumer that polls a feed, and writes docs/feeds_performance.md.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bench::directory::user;
use jiff::Timestamp;
use serde_json::{Value, json};
use tests::service::TABLE;

use crate::load::{Call, Connection, Target, send_all, timing};
use crate::plot::grouped;
use crate::server::{Server, binaries};
use crate::versions::machine;

/// The changes whose way to a waiting consumer is timed.
const CHANGES: usize = 200;
/// The users that are to be created before a consumer begins to read.
const BACKLOG: usize = 100_000;
/// The users that one Bulk request creates.
const USERS_OF_A_BULK: usize = 500;
/// The events of one response.
const EVENTS: usize = 1_000;
/// After this time, a new feed has marked everything: 149 seconds and a run of the sweeper.
const TIME_TO_MARK: Duration = Duration::from_secs(215);

/// Measures and writes the page.
pub async fn run(folder: &Path, docs: &Path) {
    let data = folder.join("feeds");
    let server = Server::rollcall(&data).await;
    let scimctl = |arguments: &[&str]| {
        let mut command = Command::new(binaries().join("scimctl"));
        command.args(["--table", TABLE, "--local"]).arg(&data).args(arguments).stderr(Stdio::inherit());
        let output = command.output().expect("scimctl runs");
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    // The server has read no connector yet, so it knows the feed from its first request on.
    scimctl(&["feed", "create", "default", "platform"]);
    let printed = scimctl(&["credential", "create", "default", "--scope", "directory"]);
    let value = |label: &str| {
        let line = printed.lines().find_map(|line| line.strip_prefix(label));
        line.unwrap_or_else(|| panic!("no {label} in {printed}")).trim().to_owned()
    };
    let consumer = Target {
        base: "/default/events/v1".to_owned(),
        authorization: format!(
            "Basic {}",
            BASE64.encode(format!("{}:{}", value("Username:"), value("Password:")))
        ),
        ..server.target.clone()
    };
    eprintln!("Feeds: waiting until the feed has marked everything");
    tokio::time::sleep(TIME_TO_MARK).await;
    drain(&consumer).await;

    eprintln!("Feeds: latency");
    let mut latencies = Vec::new();
    for number in 0..CHANGES {
        latencies.push(latency(&server.target, &consumer, number).await);
    }
    let longest = latencies.iter().max().copied().unwrap_or_default().as_secs_f64();
    let latency = timing(latencies, Duration::from_secs(1));

    eprintln!("Feeds: backlog");
    let first = CHANGES;
    let bulks = (first..first + BACKLOG).step_by(USERS_OF_A_BULK).map(bulk).collect();
    let began = Instant::now();
    send_all(&server.target, bulks, Duration::from_secs(3_600)).await.expect("users are created");
    let created = began.elapsed().as_secs_f64();
    // On a slow machine, a Bulk request can meet its deadline and leave some operations to be repeated.
    let backlog = count_users(&server.target).await - CHANGES;
    let began = Instant::now();
    let events = drain(&consumer).await;
    let drained = began.elapsed().as_secs_f64();
    assert_eq!(events, backlog, "each user has one event");

    let mut text = String::from("# Speed of feeds\n\n");
    writeln!(
        text,
        "`make bench-feeds` wrote this file on {}. One run of `make run`'s service, on disk, with one feed and one consumer \
         that polls it, on one machine: {}. The consumer and the load run on the same cores.\n",
        Timestamp::now().strftime("%Y-%m-%d"),
        machine()
    )
    .expect("memory");
    writeln!(text, "| what | measured |\n| --- | ---: |").expect("memory");
    for (what, measured) in [
        (
            format!(
                "from the response to a SCIM request to its event at a consumer that waits (long polling), {CHANGES} changes: median"
            ),
            format!("{:.3} s", latency.p50),
        ),
        ("the same, 99th percentile".to_owned(), format!("{:.3} s", latency.p99)),
        ("the same, longest".to_owned(), format!("{longest:.3} s")),
        (
            format!("create {} users with Bulk while no consumer reads the feed", grouped(backlog as f64)),
            format!("{created:.1} s ({:.0} a second)", backlog as f64 / created),
        ),
        (
            format!("read and acknowledge these events, {} in each response", grouped(EVENTS as f64)),
            format!("{drained:.1} s ({:.0} a second)", events as f64 / drained),
        ),
    ] {
        writeln!(text, "| {what} | {measured} |").expect("memory");
    }
    std::fs::write(docs.join("feeds_performance.md"), text).expect("the file is written");
}

/// The time from the response to a SCIM request to its event at a consumer that waits.
async fn latency(scim: &Target, consumer: &Target, number: usize) -> Duration {
    let waiting = tokio::spawn({
        let mut connection = Connection::new(consumer);
        async move {
            let polled = poll(&mut connection, &[], false).await;
            (polled, Instant::now())
        }
    });
    // The consumer asks before the change is made.
    tokio::time::sleep(Duration::from_millis(50 + 37 * (number as u64 % 20))).await;
    let created = Connection::new(scim).send_successfully(&Call::post("/Users", &user(number))).await;
    created.expect("a user is created");
    let answered = Instant::now();
    let ((jtis, _), arrived) = waiting.await.expect("the consumer does not panic");
    assert_eq!(jtis.len(), 1, "one event");
    let (rest, _) = poll(&mut Connection::new(consumer), &jtis, true).await;
    assert_eq!(rest.len(), 0, "no more events");
    arrived.saturating_duration_since(answered)
}

async fn count_users(scim: &Target) -> usize {
    let page = Connection::new(scim).send_successfully(&Call::get("/Users?count=0")).await;
    let page: Value = serde_json::from_slice(&page.expect("a response")).expect("JSON");
    page["totalResults"].as_u64().expect("a number") as usize
}

/// Reads and acknowledges what waits. Returns the number of events.
async fn drain(consumer: &Target) -> usize {
    let mut connection = Connection::new(consumer);
    let (mut jtis, mut events) = (Vec::new(), 0);
    loop {
        let has_more;
        (jtis, has_more) = poll(&mut connection, &jtis, true).await;
        events += jtis.len();
        if jtis.is_empty() && !has_more {
            return events;
        }
    }
}

/// Polls, acknowledges these events, and returns the ids of the next ones, and whether more wait.
async fn poll(connection: &mut Connection, jtis: &[String], is_immediate: bool) -> (Vec<String>, bool) {
    let body = json!({ "maxEvents": EVENTS, "returnImmediately": is_immediate, "ack": jtis });
    let answer = connection.send_successfully(&Call::post("/platform/poll", &body)).await;
    let answer: Value = serde_json::from_slice(&answer.expect("a response")).expect("JSON");
    let sets = answer["sets"].as_object().expect("it has events");
    (sets.keys().cloned().collect(), answer["moreAvailable"] == true)
}

fn bulk(first: usize) -> Call {
    let operation = |number: usize| json!({ "method": "POST", "path": "/Users", "bulkId": number.to_string(), "data": user(number) });
    let operations: Vec<Value> = (first..first + USERS_OF_A_BULK).map(operation).collect();
    Call::post(
        "/Bulk",
        &json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations }),
    )
}
