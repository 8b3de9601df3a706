//! Writes docs/performance.md: the measurements of one run, compared with the targets.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::cold::Cold;
use crate::core::Timed;
use crate::far::{DELAY, Far, MEMBERS};
use crate::growth::Point;
use crate::plot::{self, grouped, short};
use crate::targets::ratio;
use crate::throughput::{Measured, OPERATIONS};

/// On-demand prices of DynamoDB's standard tables in us-east-1, in US dollars per million units.
const WRITE_PRICE: f64 = 0.625;
const READ_PRICE: f64 = 0.125;
/// Bytes.
pub const MEGABYTE: f64 = 1024.0 * 1024.0;

/// The average number of requests for each operation, per user and year.
const HABITS: [(&str, f64, &str); 8] = [
    ("create", 0.2, "one user in five joins"),
    ("deactivate", 0.2, "as many leave"),
    ("delete", 0.2, "those who left are deleted later"),
    ("PATCH one attribute", 12.0, "an attribute changes every month"),
    ("add a member to a group of a tenth", 5.0, "joins five groups"),
    ("remove a member of a group of a tenth", 5.0, "leaves five groups"),
    ("userName eq", 22.6, "one look-up before each of these requests"),
    ("page of 100 at the end", 0.12, "all users are read once a month"),
];

/// All measurements.
pub struct Report {
    /// Requests per second, few users.
    pub few: Vec<Measured>,
    /// Requests per second, many users.
    pub many: Vec<Measured>,
    /// Costs while the directory grows.
    pub growth: Vec<Point>,
    /// Cold starts.
    pub cold: Cold,
    /// DynamoDB with latency.
    pub far: Far,
    /// The core.
    pub core: Vec<Timed>,
    /// Other crates' parsers.
    pub other_parsers: Vec<Timed>,
}

impl Report {
    /// Writes the document and its plots into a folder.
    pub fn write(&self, docs: &Path, peers: &Path) {
        let mut text = String::new();
        self.machine(&mut text, peers);
        self.targets(&mut text);
        throughput(&mut text, "3,000 users", &self.few);
        text.push_str("![requests per second with 3,000 users](performance-throughput.svg)\n\n");
        throughput(&mut text, "100,000 users", &self.many);
        self.ledger(&mut text);
        self.growth(&mut text);
        self.cold_starts(&mut text);
        self.distance(&mut text);
        self.core(&mut text);
        std::fs::write(docs.join("performance.md"), text).expect("the document is written");
        self.plots(docs);
    }

    fn machine(&self, text: &mut String, peers: &Path) {
        let processor = file_line("/proc/cpuinfo", "model name").unwrap_or_default();
        let memory = file_line("/proc/meminfo", "MemTotal").unwrap_or_default();
        let memory: f64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let version = |package: &str| {
            let file = peers.join("node_modules").join(package).join("package.json");
            let package = std::fs::read(file).expect("the peers are installed");
            let package: serde_json::Value = serde_json::from_slice(&package).expect("JSON");
            package["version"].as_str().unwrap_or_default().to_owned()
        };
        let python = peers.join("venv/bin/python");
        let python = python.to_str().expect("a path of text");
        let scim2_server =
            said(python, &["-c", "import importlib.metadata as m; print(m.version('scim2-server'))"]);
        writeln!(
            text,
            "# Performance\n\n\
             Written by `make bench` on {}. All figures are from this run, on one machine: {processor}, {cores} cores, \
             {:.0} GB of memory, {}, {}. The clients run on the same cores as the servers.\n\n\
             The other servers are alternatives that a user could choose. They get the same load:\n\n\
             | | version | where it keeps users |\n| --- | --- | --- |\n\
             | Rollcall, on disk | `make run`, release build | an embedded DynamoDB, in SQLite, on disk |\n\
             | Rollcall, in memory | the same | the same, in memory; the data is lost when the process ends |\n\
             | SCIMMY | scimmy {}, scimmy-routers {}, Express {}, Node {} | a JavaScript `Map`, as in its documentation; it has no store of its own |\n\
             | scim2-server | {scim2_server}, {} | in memory |\n",
            jiff::Timestamp::now().strftime("%Y-%m-%d"),
            memory / MEGABYTE,
            said("uname", &["-sr"]),
            said("rustc", &["--version"]),
            version("scimmy"),
            version("scimmy-routers"),
            version("express"),
            said("node", &["--version"]),
            said(python, &["--version"]),
        )
        .expect("memory");
    }

    /// The cost of an operation at one size.
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

    fn ledger(&self, text: &mut String) {
        let size = 10_000;
        write!(
            text,
            "## The ledger\n\n\
             Sequential round trips to DynamoDB, and the capacity units that DynamoDB reports for each operation, with 10,000 users; the maximum of 21 times. Dollars at the on-demand price of us-east-1: ${WRITE_PRICE} for a million write units, \
             ${READ_PRICE} for a million read units. Lambda, API Gateway and storage are not included.\n\n\
             | operation | round trips | RCU | WCU | $ for a million |\n| --- | ---: | ---: | ---: | ---: |\n"
        )
        .expect("memory");
        for operation in self.operations() {
            let Some(point) = self.point(operation, size) else { continue };
            let cost = point.cost;
            writeln!(
                text,
                "| {operation} | {} | {} | {} | {:.2} |",
                cost.round_trips,
                cost.read_units,
                cost.write_units,
                dollars(point)
            )
            .expect("memory");
        }
        text.push_str("\nThe yearly cost of an organisation with these requests for each user and year:\n\n| | times | |\n| --- | ---: | --- |\n");
        for (operation, times, why) in HABITS {
            writeln!(text, "| {operation} | {times} | {why} |").expect("memory");
        }
        text.push_str("\n| users | requests in a year | $ in a year |\n| ---: | ---: | ---: |\n");
        for users in [10_000.0, 100_000.0, 1_000_000.0] {
            let requests: f64 = HABITS.iter().map(|(_, times, _)| times * users).sum();
            let price = |(operation, times, _): &(&str, f64, &str)| {
                self.point(operation, size).map_or(0.0, |point| dollars(point) / 1e6 * times * users)
            };
            let year: f64 = HABITS.iter().map(price).sum();
            writeln!(text, "| {} | {} | {year:.2} |", grouped(users), grouped(requests)).expect("memory");
        }
        text.push('\n');
    }

    fn growth(&self, text: &mut String) {
        text.push_str(
            "## Growth\n\nOne request at a time, in the process of the engine, whose data is on disk; the median of 21. Users and members were created with the operations that requests use. A horizontal line means that the cost does not depend on the number of users.\n\n![time and number of users](performance-growth-latency.svg)\n\n\
             ![units and number of users](performance-growth-units.svg)\n\n| operation |",
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
                    " {} ms, {} trips, {} units |",
                    short(point.latency * 1e3),
                    point.cost.round_trips,
                    point.cost.read_units + point.cost.write_units
                )
                .expect("memory");
            }
            text.push('\n');
        }
        text.push('\n');
    }

    fn cold_starts(&self, text: &mut String) {
        let Cold { rust, node, functions } = &self.cold;
        write!(
            text,
            "## Cold starts\n\n\
             A function's process over a stand-in for Lambda's runtime API, from its start; medians of 21. The function on Node \
             is the shortest that reads one item with `@aws-sdk/client-dynamodb`; `users-get` checks a password, reads the \
             connector and the user, and answers SCIM. Lambda adds its own time for making a sandbox to both.\n\n\
             | | asks for work after | answers after | memory at rest | most memory |\n| --- | ---: | ---: | ---: | ---: |\n"
        )
        .expect("memory");
        for (name, start) in [("`users-get`", rust), ("on Node", node)] {
            writeln!(
                text,
                "| {name} | {} ms | {} ms | {:.1} MB | {:.1} MB |",
                short(start.ready * 1e3),
                short(start.answered * 1e3),
                start.at_rest as f64 / MEGABYTE,
                start.peak as f64 / MEGABYTE
            )
            .expect("memory");
        }
        text.push_str("\n| function | zipped | asks for work after | memory at rest | most memory | at what | longest answer |\n| --- | ---: | ---: | ---: | ---: | --- | ---: |\n");
        for function in functions {
            writeln!(
                text,
                "| `{}` | {:.2} MB | {} ms | {:.1} MB | {:.1} MB | {} | {} KB |",
                function.name,
                function.zipped as f64 / MEGABYTE,
                short(function.start.ready * 1e3),
                function.start.at_rest as f64 / MEGABYTE,
                function.start.peak as f64 / MEGABYTE,
                function.work,
                function.longest_answer / 1024
            )
            .expect("memory");
        }
        text.push('\n');
    }

    fn distance(&self, text: &mut String) {
        writeln!(
            text,
            "## A distant DynamoDB\n\n\
             Every call to DynamoDB takes {} ms longer, as from a function; the group has {} members.\n\n\
             | | s |\n| --- | ---: |\n| PUT of all members into an empty group | {} |\n\
             | PUT that changes half of them for others | {} |\n| GET of the group | {} |\n",
            DELAY.as_millis(),
            grouped(MEMBERS as f64),
            short(self.far.replace),
            short(self.far.replace_half),
            short(self.far.get)
        )
        .expect("memory");
    }

    fn core(&self, text: &mut String) {
        text.push_str("## The core alone\n\nNo I/O; medians, by criterion.\n\n| | µs |\n| --- | ---: |\n");
        for timed in &self.core {
            writeln!(text, "| {} | {} |", timed.name, short(timed.median * 1e6)).expect("memory");
        }
        text.push_str("\nThe same filter, parsed by other crates:\n\n| | µs |\n| --- | ---: |\n");
        for timed in &self.other_parsers {
            writeln!(text, "| {} | {} |", timed.name, short(timed.median * 1e6)).expect("memory");
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
            "Time of one request while the directory grows",
            "milliseconds",
            &lines(|point| point.latency * 1e3),
        );
        plot::lines(
            &docs.join("performance-growth-units.svg"),
            "Capacity units of one request while the directory grows",
            "read and write units",
            &lines(|point| point.cost.read_units + point.cost.write_units),
        );
    }
}

fn throughput(text: &mut String, title: &str, all: &[Measured]) {
    write!(
        text,
        "## Requests per second, {title}\n\n16 connections, each sending one request after another: requests per second, and in \
         brackets the 50th and 99th percentile in ms.\n\n| |"
    )
    .expect("memory");
    for measured in all {
        write!(text, " {} |", measured.server).expect("memory");
    }
    text.push_str(" against the best peer |\n| --- |");
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
            let is_all = operations.len() == OPERATIONS.len();
            let operations =
                if is_all { "nothing could be measured".to_owned() } else { operations.join("; ") };
            writeln!(text, "- {why}: {operations}").expect("memory");
        }
    }
    text.push('\n');
}

fn dollars(point: &Point) -> f64 {
    point.cost.read_units * READ_PRICE + point.cost.write_units * WRITE_PRICE
}

fn file_line(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("a program that is there");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
