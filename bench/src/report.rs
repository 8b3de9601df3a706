//! Writes docs/performance.md: all measurements, compared with the targets.

mod costs;
mod growth;
mod throughput;

pub use costs::YEARLY_OPERATIONS;

use std::fmt::Write as _;
use std::path::Path;

use crate::cold::ColdStarts;
use crate::core::Core;
use crate::delayed::{DELAY, DelayedRequests, MEMBERS};
use crate::growth::Growth;
use crate::plot::{grouped, short};
use crate::results::{Kept, Origin, read};
use crate::throughput::Throughput;

/// The number of bytes in a megabyte.
pub const MEGABYTE: f64 = 1024.0 * 1024.0;

/// All measurements.
pub struct Report {
    /// Requests per second.
    pub throughput: Throughput,
    /// Cost and latency while the number of users grows.
    pub growth: Growth,
    /// Cold starts.
    pub cold: ColdStarts,
    /// Requests with network latency to DynamoDB.
    pub delayed: DelayedRequests,
    /// The core without I/O.
    pub core: Core,
    /// The name of each part, and when and where it was measured.
    origins: Vec<(&'static str, Origin)>,
}

impl Report {
    /// Reads the results of all parts.
    ///
    /// # Errors
    /// The name of a part that was never measured.
    pub fn read() -> Result<Self, &'static str> {
        let mut origins = Vec::new();
        Ok(Self {
            throughput: found("throughput", &mut origins)?,
            growth: found("growth", &mut origins)?,
            cold: found("cold", &mut origins)?,
            delayed: found("delayed", &mut origins)?,
            core: found("core", &mut origins)?,
            origins,
        })
    }

    /// Writes the document and its plots to this folder.
    pub fn write(&self, docs: &Path) {
        let mut text = String::new();
        self.measured_on(&mut text);
        self.servers(&mut text);
        self.targets(&mut text);
        self.loads(&mut text);
        self.costs(&mut text);
        self.growth(&mut text);
        self.cold_starts(&mut text);
        self.delayed(&mut text);
        self.core(&mut text);
        std::fs::write(docs.join("performance.md"), text).expect("the document is written");
        self.plot_loads(docs);
        self.plot_costs(docs);
        self.plot_growth(docs);
    }

    /// Says when and where the parts were measured: in one sentence, if all have the same answer.
    fn measured_on(&self, text: &mut String) {
        text.push_str("# Performance\n\n`make bench` wrote this file. ");
        let sentence = "The load generator runs on the same cores as the server.\n\n";
        match self.origins.as_slice() {
            [(_, first), rest @ ..] if rest.iter().all(|(_, origin)| origin == first) => {
                let Origin { date, commit, machine } = first;
                write!(
                    text,
                    "All figures are of {date}, of commit {commit}, from one machine: {machine}. {sentence}"
                )
            }
            origins => {
                write!(text, "Its parts were measured at different times. {sentence}").expect("memory");
                text.push_str("| part | measured on | commit | machine |\n| --- | --- | --- | --- |\n");
                for (part, Origin { date, commit, machine }) in origins {
                    writeln!(text, "| {part} | {date} | {commit} | {machine} |").expect("memory");
                }
                writeln!(text)
            }
        }
        .expect("memory");
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
        for case in &self.core.cases {
            writeln!(text, "| {} | {} |", case.name, short(case.median * 1e6)).expect("memory");
        }
        text.push_str("\nThe same filter, parsed by other crates:\n\n| | µs |\n| --- | ---: |\n");
        for case in &self.core.other_parsers {
            writeln!(text, "| {} | {} |", case.name, short(case.median * 1e6)).expect("memory");
        }
    }
}

/// Reads what a part found, and adds its origin to the others.
fn found<T: serde::de::DeserializeOwned>(
    part: &'static str,
    origins: &mut Vec<(&'static str, Origin)>,
) -> Result<T, &'static str> {
    let Kept { origin, found } = read(part).ok_or(part)?;
    origins.push((part, origin));
    Ok(found)
}
