//! Profiles the local server under load: draws flamegraphs and counts the share of each part.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use bench::directory::user;
use inferno::collapse::Collapse as _;
use inferno::collapse::perf::{Folder, Options as CollapseOptions};
use inferno::flamegraph::{self, Options};
use serde_json::Value;
use tokio::process::Command;

use crate::load::{Call, Connection, send_all};
use crate::server::Server;

const USERS: usize = 3_000;
const SECONDS: u64 = 8;

/// The parts, each with the names by which its frames are recognised. A sample counts for the part of the innermost frame
/// that matches.
const PARTS: [(&str, &[&str]); 6] = [
    ("the embedded engine and its SQLite", &["dynoxide::", "rusqlite::", "sqlite3"]),
    ("passing requests to the engine, as JSON", &["local::in_process"]),
    ("the AWS SDK", &["aws_smithy", "aws_sdk_dynamodb", "aws_runtime"]),
    ("the log", &["tracing_subscriber::"]),
    ("Rollcall's own code", &["shared::", "functions::"]),
    ("HTTP and sockets", &["hyper::", "axum::", "local::server"]),
];

/// Profiles get and create, and writes `profile.md` and the flamegraphs.
pub async fn run(folder: &Path, docs: &Path) {
    let server = Server::rollcall(&folder.join("profile")).await;
    let creates = |first: usize, count: usize| {
        (first..first + count).map(|number| Call::post("/Users", &user(number))).collect()
    };
    send_all(&server.target, creates(0, USERS), Duration::from_secs(60)).await.expect("users are created");
    let page = Call::get("/Users?count=1000&attributes=id");
    let page = Connection::new(&server.target).send_successfully(&page).await.expect("a page");
    let page: Value = serde_json::from_slice(&page).expect("JSON");
    let ids: Vec<&str> =
        page["Resources"].as_array().into_iter().flatten().filter_map(|user| user["id"].as_str()).collect();
    let gets = (0..400_000).map(|n| Call::get(format!("/Users/{}", ids[n * 7_919 % ids.len()]))).collect();
    let mut text = String::from(include_str!("profile.md"));
    for (name, calls) in [("get", gets), ("create", creates(USERS, 100_000))] {
        let stacks = record(&server, calls, folder).await;
        let mut svg = Vec::new();
        let mut options = Options::default();
        options.title = format!("{name} a user: the local server, on disk, {USERS} users, 16 connections");
        options.min_width = 0.2;
        flamegraph::from_reader(&mut options, stacks.as_bytes(), &mut svg).expect("a flamegraph");
        std::fs::write(docs.join(format!("profile-{name}.svg")), svg).expect("the file is written");
        writeln!(text, "\n## {name}\n\n![flamegraph of {name}](profile-{name}.svg)\n").expect("memory");
        writeln!(text, "| part | share of the time |\n| --- | ---: |").expect("memory");
        for (part, share) in shares(&stacks) {
            writeln!(text, "| {part} | {:.0} % |", share * 100.0).expect("memory");
        }
    }
    std::fs::write(docs.join("profile.md"), text).expect("the file is written");
}

/// Samples the server while it handles these requests. Returns the folded stacks.
async fn record(server: &Server, calls: Vec<Call>, folder: &Path) -> String {
    let data = folder.join("perf.data");
    let mut perf = Command::new("perf");
    perf.args([
        "record",
        "--quiet",
        "--freq",
        "997",
        "--call-graph",
        "fp",
        "--pid",
        &server.pid().to_string(),
    ]);
    perf.arg("--output").arg(&data).args(["--", "sleep", &SECONDS.to_string()]);
    let load = send_all(&server.target, calls, Duration::from_secs(SECONDS + 2));
    let (loaded, recorded) = tokio::join!(load, perf.status());
    loaded.expect("every request succeeds");
    assert!(recorded.expect("perf is installed (Debian's package linux-perf)").success(), "perf records");
    let script =
        Command::new("perf").args(["script", "--input"]).arg(&data).output().await.expect("perf reads");
    let mut folded = Vec::new();
    let collapsed = Folder::from(CollapseOptions::default()).collapse(script.stdout.as_slice(), &mut folded);
    collapsed.expect("stacks");
    String::from_utf8(folded).expect("text")
}

/// Returns the share of each part, in descending order.
fn shares(stacks: &str) -> Vec<(&'static str, f64)> {
    let mut counts = vec![0.0; PARTS.len() + 1];
    for line in stacks.lines() {
        let (stack, count) = line.rsplit_once(' ').expect("a stack and a count");
        let part_of =
            |frame: &str| PARTS.iter().position(|(_, names)| names.iter().any(|name| frame.contains(name)));
        let part = stack.rsplit(';').find_map(part_of).unwrap_or(PARTS.len());
        counts[part] += count.parse::<f64>().expect("a count");
    }
    let all: f64 = counts.iter().sum();
    let names = PARTS.iter().map(|(name, _)| *name).chain(["other: the scheduler, the kernel, memory"]);
    let mut shares: Vec<(&str, f64)> = names.zip(counts.into_iter().map(|count| count / all)).collect();
    shares.sort_by(|one, other| other.1.total_cmp(&one.1));
    shares
}
