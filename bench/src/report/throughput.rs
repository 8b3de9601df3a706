//! Requests per second of the servers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::Report;
use crate::load::Timing;
use crate::plot::{self, Bar, BarPanel, Range, RangePanel, grouped, short};
use crate::server::ServerKind;
use crate::throughput::{Load, Operation};

impl Report {
    /// Writes the table of the measured servers.
    pub(super) fn servers(&self, text: &mut String) {
        text.push_str(
            "Rollcall and two other service providers (the peers) get the same load. So does the yardstick, for three operations: the \
             smallest server over SQLite. It checks no credentials and no document, keeps one index, and writes no audit record. It \
             shows how much of the time HTTP and SQLite need on this machine.\n\n\
             | | version | where it stores users |\n| --- | --- | --- |\n",
        );
        for server in &self.throughput.servers {
            writeln!(text, "| {} | {} | {} |", server.server.name(), server.version, server.store)
                .expect("memory");
        }
        text.push('\n');
    }

    pub(super) fn loads(&self, text: &mut String) {
        load(text, &self.throughput.few);
        text.push_str(
            "![requests per second beside the peers](performance-throughput.svg)\n\n\
             ![latency beside the peers](performance-latency.svg)\n\n",
        );
        load(text, &self.throughput.many);
    }

    pub(super) fn plot_loads(&self, docs: &Path) {
        let load = &self.throughput.few;
        let users = grouped(load.users as f64);
        // Operations that some server could do with this number of users.
        let shown = || Operation::ALL.into_iter().filter(|operation| !timings(load, *operation).is_empty());
        let title = |operation: Operation| operation.name().replace('`', "");
        let bars = shown().map(|operation| BarPanel {
            title: title(operation)
                + if operation == Operation::Bulk { " (operations a second)" } else { "" },
            bars: ServerKind::ALL
                .into_iter()
                .filter(|server| server.operations().contains(&operation))
                .map(|server| Bar {
                    name: server.name().to_owned(),
                    colour: colour(server),
                    value: load.timing(server, operation).map(|timing| timing.per_second),
                })
                .collect(),
        });
        plot::bars(
            &docs.join("performance-throughput.svg"),
            &format!("Throughput, {users} users, 16 connections"),
            "Requests a second; more is better. Each panel has its own scale, which begins at zero.",
            &bars.collect::<Vec<_>>(),
        );
        let ranges = shown().map(|operation| RangePanel {
            title: title(operation),
            ranges: timings(load, operation)
                .into_iter()
                .map(|(server, timing)| Range {
                    name: server.name().to_owned(),
                    colour: colour(server),
                    milliseconds: [timing.p50, timing.p90, timing.p99].map(|seconds| seconds * 1e3),
                })
                .collect(),
        });
        plot::ranges(
            &docs.join("performance-latency.svg"),
            &format!("Latency, {users} users, 16 connections"),
            "Milliseconds, logarithmic. Dots: median, 90th and 99th percentile (the largest). Numbers: median / 99th percentile.",
            &ranges.collect::<Vec<_>>(),
        );
    }
}

fn timings(load: &Load, operation: Operation) -> Vec<(ServerKind, &Timing)> {
    ServerKind::ALL.into_iter().filter_map(|server| Some((server, load.timing(server, operation)?))).collect()
}

fn colour(server: ServerKind) -> &'static str {
    match server {
        ServerKind::OnDisk => "#1f5fa8",
        ServerKind::InMemory => "#6aa5dc",
        ServerKind::Scimmy => "#e08a1e",
        ServerKind::Scim2Server => "#3f9150",
        ServerKind::Yardstick => "#8c959f",
    }
}

fn load(text: &mut String, load: &Load) {
    write!(
        text,
        "## Requests per second, {} users\n\nEach of 16 connections sends one request after another. A cell shows requests per \
         second, for Bulk operations per second, and in brackets the 50th and 99th percentile of the latency of a request in ms. The last columns divide the rate of \
         Rollcall on disk by the rate of the best peer and of the yardstick.\n\n| |",
        grouped(load.users as f64)
    )
    .expect("memory");
    for server in &load.servers {
        write!(text, " {} |", server.server.name()).expect("memory");
    }
    text.push_str(" to the best peer | to the yardstick |\n| --- |");
    text.push_str(&" ---: |".repeat(load.servers.len() + 2));
    text.push('\n');
    let mut missing: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for operation in Operation::ALL {
        write!(text, "| {} |", operation.name()).expect("memory");
        for measured in &load.servers {
            match measured.timings.get(&operation) {
                Some(Ok(timing)) => write!(
                    text,
                    " {}{} ({}, {}) |",
                    grouped(timing.per_second),
                    if operation == Operation::Bulk { " operations" } else { "" },
                    short(timing.p50 * 1e3),
                    short(timing.p99 * 1e3)
                ),
                Some(Err(why)) => {
                    let why = format!("{}: {}", measured.server.name(), why.replace('\n', " "));
                    missing.entry(why).or_default().push(operation.name());
                    write!(text, " none |")
                }
                None => write!(text, " |"),
            }
            .expect("memory");
        }
        let to_best_peer = load.ratio_to_best_peer(ServerKind::OnDisk, operation);
        let to_yardstick = load.ratio(ServerKind::OnDisk, ServerKind::Yardstick, operation);
        for ratio in [to_best_peer, to_yardstick] {
            match ratio {
                ratio if ratio.is_finite() => write!(text, " {}× |", short(ratio)),
                _ => write!(text, " |"),
            }
            .expect("memory");
        }
        text.push('\n');
    }
    if !missing.is_empty() {
        text.push_str("\nNot measured:\n\n");
        for (why, operations) in missing {
            let is_every = operations.len() == Operation::ALL.len();
            let operations = if is_every { "all operations".to_owned() } else { operations.join("; ") };
            writeln!(text, "- {why}: {operations}").expect("memory");
        }
    }
    text.push('\n');
}
