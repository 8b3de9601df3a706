//! The targets, and whether the measurements meet them.

use std::fmt::Write as _;

use crate::plot::short;
use crate::report::{MEGABYTE, Report};
use crate::throughput::{Measured, OPERATIONS};

/// A target: its name, the bound, the measurement, and whether the measurement is within the bound.
struct Target {
    name: String,
    bound: String,
    measured: String,
    is_met: bool,
}

impl Report {
    /// Appends the table of targets, and the reasons for those that are missed.
    pub fn targets(&self, text: &mut String) {
        text.push_str("## Targets\n\n| what | target | measured | |\n| --- | --- | --- | --- |\n");
        let targets = self.all_targets();
        for Target { name, bound, measured, is_met } in &targets {
            let verdict = if *is_met { "met" } else { "**missed**" };
            writeln!(text, "| {name} | {bound} | {measured} | {verdict} |").expect("memory");
        }
        text.push('\n');
        if targets.iter().any(|target| !target.is_met) {
            text.push_str(include_str!("missed.md"));
            text.push('\n');
        }
    }

    fn all_targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        for (operation, factor) in [(0, 2.0), (1, 20.0), (2, 50.0), (9, 0.8), (4, 2.0)] {
            let name =
                format!("{}, 3,000 users, on disk, compared with the best peer", OPERATIONS[operation]);
            targets.push(at_least(name, factor, ratio(&self.few, 0, operation)));
        }
        targets.push(at_least(
            "create, 3,000 users, in memory, compared with the best peer".to_owned(),
            1.2,
            ratio(&self.few, 1, 9),
        ));
        let latency =
            |operation: usize| self.many[0].timings[operation].as_ref().map_or(f64::NAN, |timing| timing.p50);
        let at = |operation: &str, users: usize| self.point(operation, users);
        let units = |operation: &str| at(operation, 100_000).map_or(f64::NAN, |point| point.cost.read_units);
        targets.push(at_most(
            "last page of 100 of 100,000 users compared with the first: time".to_owned(),
            2.0,
            latency(3) / latency(2),
            "×",
        ));
        targets.push(at_most(
            "last page of 100 of 100,000 users compared with the first: read units".to_owned(),
            2.0,
            units("page of 100 at the end") / units("page of 100 at the start"),
            "×",
        ));
        targets.push(at_most(
            "add or remove a member, group of 100,000 compared with a group of 10: time".to_owned(),
            1.5,
            latency(7) / latency(5),
            "×",
        ));
        let eq = |users| at("userName eq", users).map_or(f64::NAN, |point| point.latency);
        targets.push(at_most(
            "`userName eq`, 100,000 users compared with 1,000: time".to_owned(),
            1.2,
            eq(100_000) / eq(1_000),
            "×",
        ));
        let cold = &self.cold;
        targets.push(at_most(
            "cold start until the function requests its first event".to_owned(),
            10.0,
            cold.rust.ready * 1e3,
            " ms",
        ));
        targets.push(at_most(
            "the same, compared with the Node.js function".to_owned(),
            0.15,
            cold.rust.ready / cold.node.ready,
            "×",
        ));
        let zipped = cold.functions.iter().map(|function| function.zipped).max().unwrap_or_default();
        targets.push(at_most("largest zipped function".to_owned(), 4.0, zipped as f64 / MEGABYTE, " MB"));
        let small = cold.functions.iter().filter(|function| function.longest_response < 1_048_576);
        let peak = small.map(|function| function.start.peak).max().unwrap_or_default();
        targets.push(at_most(
            "peak memory of a function with responses under 1 MB".to_owned(),
            64.0,
            peak as f64 / MEGABYTE,
            " MB",
        ));
        let replace = self.delayed.replace.max(self.delayed.replace_half);
        targets.push(at_most(
            "replace 10,000 members, each DynamoDB call delayed by 5 ms".to_owned(),
            29.0,
            replace,
            " s",
        ));
        targets.push(at_most(
            "get a group of 10,000 members, with the same delay".to_owned(),
            2.0,
            self.delayed.get,
            " s",
        ));
        let median = |name: &str| {
            self.core.iter().find(|case| case.name == name).map_or(f64::NAN, |case| case.median * 1e6)
        };
        targets.push(at_most(
            "parse the longest filter".to_owned(),
            5.0,
            median("parse the longest filter"),
            " µs",
        ));
        targets.push(at_most(
            "apply a PATCH to a user".to_owned(),
            20.0,
            median("apply a PATCH to a user"),
            " µs",
        ));
        targets.push(at_most(
            "serialise a page of 100 users".to_owned(),
            300.0,
            median("serialise a page of 100 users"),
            " µs",
        ));
        targets
    }
}

/// Divides the rate of `all[rollcall]` by the rate of the best peer. The first two entries are Rollcall, the others are peers.
pub fn ratio(all: &[Measured], rollcall: usize, operation: usize) -> f64 {
    let rate = |measured: &Measured| {
        measured.timings[operation].as_ref().map_or(f64::NAN, |timing| timing.per_second)
    };
    let best = all.iter().skip(2).map(rate).fold(f64::NAN, f64::max);
    rate(&all[rollcall]) / best
}

fn at_least(name: String, bound: f64, measured: f64) -> Target {
    Target {
        name,
        bound: format!("at least {bound}×"),
        measured: format!("{}×", short(measured)),
        is_met: measured >= bound,
    }
}

fn at_most(name: String, bound: f64, measured: f64, unit: &str) -> Target {
    Target {
        name,
        bound: format!("at most {bound}{unit}"),
        measured: format!("{}{unit}", short(measured)),
        is_met: measured <= bound,
    }
}
