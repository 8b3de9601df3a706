//! Writes docs/performance.md: all measurements of one run, compared with the targets.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::cold::ColdStarts;
use crate::core::CaseTime;
use crate::delayed::{DELAY, DelayedRequests, MEMBERS};
use crate::growth::Point;
use crate::plot::{self, grouped, short};
use crate::targets::ratio;
use crate::throughput::{Measured, OPERATIONS};
use tests::heat::{READ_UNITS_A_SECOND, Share, WRITE_UNITS_A_SECOND};

/// The on-demand price of DynamoDB standard tables in us-east-1, in dollars per million units written.
pub const WRITE_PRICE: f64 = 0.625;
/// The same for units read.
pub const READ_PRICE: f64 = 0.125;
/// The number of bytes in a megabyte.
pub const MEGABYTE: f64 = 1024.0 * 1024.0;

/// The average number of operations per user and year, and the reason for each.
pub const YEARLY_OPERATIONS: [(&str, f64, &str); 8] = [
    ("create", 0.2, "one user in five joins"),
    ("deactivate", 0.2, "as many users leave"),
    ("delete", 0.2, "as many users are deleted later"),
    ("PATCH one attribute", 12.0, "an attribute changes every month"),
    ("add a member to the large group", 5.0, "the user joins five groups"),
    ("remove a member of the large group", 5.0, "the user leaves five groups"),
    ("userName eq", 22.6, "a look-up before each of the operations above"),
    ("page of 100 at the end", 0.12, "all users are listed once a month"),
];

/// The cells for the ceiling of a partition or an item.
fn ceiling(share: Option<&Share>) -> String {
    share.map_or("none | ".to_owned(), |share| {
        format!("`{}` | {}", share.pattern, grouped(share.requests_a_second.round()))
    })
}

/// This machine and its versions.
pub fn machine() -> String {
    let processor = file_line("/proc/cpuinfo", "model name").unwrap_or_default();
    let memory = file_line("/proc/meminfo", "MemTotal").unwrap_or_default();
    let memory: f64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let (system, compiler) = (output_of("uname", &["-sr"]), output_of("rustc", &["--version"]));
    format!("{processor}, {cores} cores, {:.0} GB of memory, {system}, {compiler}", memory / MEGABYTE)
}

/// All measurements.
pub struct Report {
    /// Requests per second with 3,000 users.
    pub few: Vec<Measured>,
    /// Requests per second with 100,000 users.
    pub many: Vec<Measured>,
    /// Cost and latency while the number of users grows.
    pub growth: Vec<Point>,
    /// Cold starts.
    pub cold: ColdStarts,
    /// Requests with network latency to DynamoDB.
    pub delayed: DelayedRequests,
    /// The core without I/O.
    pub core: Vec<CaseTime>,
    /// The filter parsers of other crates.
    pub other_parsers: Vec<CaseTime>,
}

impl Report {
    /// Writes the document and its plots to this folder.
    pub fn write(&self, docs: &Path, peers: &Path) {
        let mut text = String::new();
        self.machine(&mut text, peers);
        self.targets(&mut text);
        throughput(&mut text, "3,000 users", &self.few);
        text.push_str("![requests per second with 3,000 users](performance-throughput.svg)\n\n");
        throughput(&mut text, "100,000 users", &self.many);
        self.costs(&mut text);
        self.growth(&mut text);
        self.cold_starts(&mut text);
        self.delayed(&mut text);
        self.core(&mut text);
        std::fs::write(docs.join("performance.md"), text).expect("the document is written");
        self.plots(docs);
    }

    fn machine(&self, text: &mut String, peers: &Path) {
        let version = |package: &str| {
            let file = peers.join("node_modules").join(package).join("package.json");
            let package = std::fs::read(file).expect("the peers are installed");
            let package: serde_json::Value = serde_json::from_slice(&package).expect("JSON");
            package["version"].as_str().unwrap_or_default().to_owned()
        };
        let python = peers.join("venv/bin/python");
        let python = python.to_str().expect("a path of text");
        let scim2_server =
            output_of(python, &["-c", "import importlib.metadata as m; print(m.version('scim2-server'))"]);
        writeln!(
            text,
            "# Performance\n\n\
             `make bench` wrote this file on {}. All figures are from one run on one machine: {}. The load generator runs on the same cores as the server.\n\n\
             Rollcall and two other service providers (the peers) get the same load:\n\n\
             | | version | where it stores users |\n| --- | --- | --- |\n\
             | Rollcall, on disk | `make run`, release build | embedded DynamoDB engine (SQLite), on disk |\n\
             | Rollcall, in memory | the same | the same, in memory: the data is lost when the process ends |\n\
             | SCIMMY | scimmy {}, scimmy-routers {}, Express {}, Node {} | it has no store: a JavaScript `Map`, \
             as in its documentation |\n\
             | scim2-server | {scim2_server}, {} | in memory |\n",
            jiff::Timestamp::now().strftime("%Y-%m-%d"),
            machine(),
            version("scimmy"),
            version("scimmy-routers"),
            version("express"),
            output_of("node", &["--version"]),
            output_of(python, &["--version"]),
        )
        .expect("memory");
    }

    /// Returns the measurements of an operation with this number of users.
    pub fn point(&self, operation: &str, users: usize) -> Option<&Point> {
        self.growth.iter().find(|point| point.operation == operation && point.users == users)
    }

    fn sizes(&self) -> Vec<usize> {
        let mut sizes: Vec<usize> = self.growth.iter().map(|point| point.users).collect();
        sizes.dedup();
        sizes
    }

    fn operations(&self) -> Vec<&'static str> {
        let first = self.growth.first().map_or(0, |point| point.users);
        self.growth.iter().filter(|point| point.users == first).map(|point| point.operation).collect()
    }

    fn costs(&self, text: &mut String) {
        let size = 10_000;
        write!(
            text,
            "## Cost of each operation\n\n\
             Sequential round trips to DynamoDB, and the capacity units that DynamoDB reports, with 10,000 users: the maximum of \
             21 requests. A tenth of the users are members of the large group. Dollars are at the on-demand price in us-east-1: \
             ${WRITE_PRICE} per million write units, ${READ_PRICE} per million read units. Lambda, API Gateway and storage cost \
             extra.\n\n\
             A partition of DynamoDB serves {WRITE_UNITS_A_SECOND} WCU and {READ_UNITS_A_SECOND} RCU a second. The last columns show \
             the partition key and the item that reach this ceiling first, and the requests a second of one connector at the \
             ceiling. When a partition key gets more load, DynamoDB splits its items over several partitions after some minutes; \
             it cannot split an item. `c` is the connector.\n\n\
             | operation | round trips | RCU | WCU | $ per million | hottest partition | requests a second before a split | \
             hottest shared item | requests a second |\n\
             | --- | ---: | ---: | ---: | ---: | --- | ---: | --- | ---: |\n"
        )
        .expect("memory");
        for operation in self.operations() {
            let Some(point) = self.point(operation, size) else { continue };
            let cost = point.cost;
            writeln!(
                text,
                "| {operation} | {} | {} | {} | {:.2} | {} | {} |",
                cost.round_trips,
                cost.read_units,
                cost.write_units,
                dollars(point),
                ceiling(point.hottest_partition.as_ref()),
                ceiling(point.hottest_item.as_ref())
            )
            .expect("memory");
        }
        text.push_str("\nThe cost per year, if each user causes these operations on average:\n\n| operation | times a year | reason |\n| --- | ---: | --- |\n");
        for (operation, times, why) in YEARLY_OPERATIONS {
            writeln!(text, "| {operation} | {times} | {why} |").expect("memory");
        }
        text.push_str("\n| users | requests per year | $ per year |\n| ---: | ---: | ---: |\n");
        for users in [10_000.0, 100_000.0, 1_000_000.0] {
            let requests: f64 = YEARLY_OPERATIONS.iter().map(|(_, times, _)| times * users).sum();
            let price = |(operation, times, _): &(&str, f64, &str)| {
                self.point(operation, size).map_or(0.0, |point| dollars(point) / 1e6 * times * users)
            };
            let year: f64 = YEARLY_OPERATIONS.iter().map(price).sum();
            writeln!(text, "| {} | {} | {year:.2} |", grouped(users), grouped(requests)).expect("memory");
        }
        text.push('\n');
    }

    fn growth(&self, text: &mut String) {
        text.push_str(
            "## Growth\n\nOne request at a time, in the same process as the engine, with the data on disk. The time is the median of \
             21 requests; round trips and capacity units are the maximum. A level line means that the number of users makes no \
             difference.\n\n![time by number of users](performance-growth-latency.svg)\n\n\
             ![capacity units by number of users](performance-growth-units.svg)\n\n| operation |",
        );
        let sizes = self.sizes();
        for size in &sizes {
            write!(text, " {} users |", grouped(*size as f64)).expect("memory");
        }
        text.push_str("\n| --- |");
        text.push_str(&" ---: |".repeat(sizes.len()));
        text.push('\n');
        for operation in self.operations() {
            write!(text, "| {operation} |").expect("memory");
            for size in &sizes {
                let Some(point) = self.point(operation, *size) else { continue };
                write!(
                    text,
                    " {} ms, {}, {} |",
                    short(point.latency * 1e3),
                    counted(point.cost.round_trips as f64, "round trip"),
                    counted(point.cost.read_units + point.cost.write_units, "unit")
                )
                .expect("memory");
            }
            text.push('\n');
        }
        text.push('\n');
    }

    fn cold_starts(&self, text: &mut String) {
        let ColdStarts { rust, node, functions } = &self.cold;
        write!(
            text,
            "## Cold starts\n\n\
             Each function runs as a process with a local substitute for Lambda's runtime API. Times are from the start of the \
             process. The first table shows medians of 21 starts. The Node.js function is the shortest one that reads an item \
             with `@aws-sdk/client-dynamodb`. `users-get` checks a password, reads the connector and the user, and returns a SCIM \
             response. Lambda adds the time to create a sandbox to both.\n\n\
             | | requests an event after | responds after | idle memory | peak memory |\n| --- | ---: | ---: | ---: | ---: |\n"
        )
        .expect("memory");
        for (name, start) in [("`users-get`", rust), ("Node.js function", node)] {
            writeln!(
                text,
                "| {name} | {} ms | {} ms | {:.1} MB | {:.1} MB |",
                short(start.ready * 1e3),
                short(start.answered * 1e3),
                start.idle as f64 / MEGABYTE,
                start.peak as f64 / MEGABYTE
            )
            .expect("memory");
        }
        text.push_str("\n| function | zipped | requests an event after | idle memory | peak memory | work | longest response |\n| --- | ---: | ---: | ---: | ---: | --- | ---: |\n");
        for function in functions {
            writeln!(
                text,
                "| `{}` | {:.2} MB | {} ms | {:.1} MB | {:.1} MB | {} | {} KB |",
                function.name,
                function.zipped as f64 / MEGABYTE,
                short(function.start.ready * 1e3),
                function.start.idle as f64 / MEGABYTE,
                function.start.peak as f64 / MEGABYTE,
                function.work,
                function.longest_response / 1024
            )
            .expect("memory");
        }
        text.push('\n');
    }

    fn delayed(&self, text: &mut String) {
        writeln!(
            text,
            "## DynamoDB with network latency\n\n\
             Every call to DynamoDB is delayed by {} ms, to simulate the network between a function and DynamoDB. The group has \
             {} members.\n\n\
             | | seconds |\n| --- | ---: |\n| PUT that adds all members to an empty group | {} |\n\
             | PUT that replaces half of the members | {} |\n| GET of the group | {} |\n",
            DELAY.as_millis(),
            grouped(MEMBERS as f64),
            short(self.delayed.replace),
            short(self.delayed.replace_half),
            short(self.delayed.get)
        )
        .expect("memory");
    }

    fn core(&self, text: &mut String) {
        text.push_str(
            "## The core without I/O\n\nMedians, measured with criterion.\n\n| | µs |\n| --- | ---: |\n",
        );
        for case in &self.core {
            writeln!(text, "| {} | {} |", case.name, short(case.median * 1e6)).expect("memory");
        }
        text.push_str("\nThe same filter, parsed by other crates:\n\n| | µs |\n| --- | ---: |\n");
        for case in &self.other_parsers {
            writeln!(text, "| {} | {} |", case.name, short(case.median * 1e6)).expect("memory");
        }
    }

    fn plots(&self, docs: &Path) {
        let shown = [0, 1, 2, 4, 5, 8, 9];
        let names: Vec<&str> =
            shown.iter().map(|operation| OPERATIONS[*operation].trim_matches('`')).collect();
        let series: Vec<(&str, Vec<Option<f64>>)> = self
            .few
            .iter()
            .map(|measured| {
                let rate = |operation: &usize| Some(measured.timings[*operation].as_ref().ok()?.per_second);
                (measured.server, shown.iter().map(rate).collect())
            })
            .collect();
        let title = "Requests per second, 3,000 users, 16 connections";
        plot::bars(&docs.join("performance-throughput.svg"), title, &names, &series);
        let lines = |value: fn(&Point) -> f64| -> Vec<plot::Series<'_>> {
            let line = |operation: &'static str| {
                let points = self.growth.iter().filter(|point| point.operation == operation);
                (operation, points.map(|point| (point.users as f64, value(point))).collect())
            };
            self.operations().into_iter().map(line).collect()
        };
        plot::lines(
            &docs.join("performance-growth-latency.svg"),
            "Time of one request by number of users",
            "milliseconds",
            &lines(|point| point.latency * 1e3),
        );
        plot::lines(
            &docs.join("performance-growth-units.svg"),
            "Capacity units of one request by number of users",
            "read and write units",
            &lines(|point| point.cost.read_units + point.cost.write_units),
        );
    }
}

fn throughput(text: &mut String, title: &str, all: &[Measured]) {
    write!(
        text,
        "## Requests per second, {title}\n\nEach of 16 connections sends one request after another. A cell shows requests per \
         second and, in brackets, the 50th and 99th percentile of the latency in ms. The last column divides the rate of Rollcall \
         on disk by the rate of the best peer.\n\n| |"
    )
    .expect("memory");
    for measured in all {
        write!(text, " {} |", measured.server).expect("memory");
    }
    text.push_str(" ratio to the best peer |\n| --- |");
    text.push_str(&" ---: |".repeat(all.len() + 1));
    text.push('\n');
    let mut missing: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (operation, name) in OPERATIONS.iter().enumerate() {
        write!(text, "| {name} |").expect("memory");
        for measured in all {
            match &measured.timings[operation] {
                Ok(timing) => write!(
                    text,
                    " {} ({}, {}) |",
                    grouped(timing.per_second),
                    short(timing.p50 * 1e3),
                    short(timing.p99 * 1e3)
                ),
                Err(why) => {
                    let why = format!("{}: {}", measured.server, why.replace('\n', " "));
                    missing.entry(why).or_default().push(name);
                    write!(text, " none |")
                }
            }
            .expect("memory");
        }
        match ratio(all, 0, operation) {
            ratio if ratio.is_finite() => writeln!(text, " {}× |", short(ratio)),
            _ => writeln!(text, " |"),
        }
        .expect("memory");
    }
    if !missing.is_empty() {
        text.push_str("\nNot measured:\n\n");
        for (why, operations) in missing {
            let is_every = operations.len() == OPERATIONS.len();
            let operations = if is_every { "all operations".to_owned() } else { operations.join("; ") };
            writeln!(text, "- {why}: {operations}").expect("memory");
        }
    }
    text.push('\n');
}

/// Returns a count with its noun: `1 unit`, `2 units`.
fn counted(count: f64, noun: &str) -> String {
    let plural = if count == 1.0 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Returns the price of a million requests, in dollars.
fn dollars(point: &Point) -> f64 {
    point.cost.read_units * READ_PRICE + point.cost.write_units * WRITE_PRICE
}

fn file_line(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("the program is installed");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
