//! The targets, and whether the measurements reach them.

use std::fmt::Write as _;

use crate::plot::short;
use crate::report::{MEGABYTE, Report};
use crate::throughput::{Measured, OPERATIONS};

/// A target: its name, its bound, the measurement, and whether the measurement is within the bound.
struct Target {
    what: String,
    bound: String,
    measured: String,
    is_met: bool,
}

impl Report {
    /// Writes the targets and the measurements.
    pub fn targets(&self, text: &mut String) {
        text.push_str("## Targets\n\n| what | target | measured | |\n| --- | --- | --- | --- |\n");
        let targets = self.all_targets();
        for Target { what, bound, measured, is_met } in &targets {
            let verdict = if *is_met { "reached" } else { "**missed**" };
            writeln!(text, "| {what} | {bound} | {measured} | {verdict} |").expect("memory");
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
            let name = format!("{}, 3,000 users, on disk, against the best peer", OPERATIONS[operation]);
            targets.push(at_least(name, factor, ratio(&self.few, 0, operation)));
        }
        targets.push(at_least(
            "create, 3,000 users, in memory, against the best peer".to_owned(),
            1.2,
            ratio(&self.few, 1, 9),
        ));
        let latency =
            |operation: usize| self.many[0].timings[operation].as_ref().map_or(f64::NAN, |timing| timing.p50);
        let at = |operation: &str, users: usize| self.point(operation, users);
        let units = |operation: &str| at(operation, 100_000).map_or(f64::NAN, |point| point.cost.read_units);
        targets.push(at_most(
            "page of 100 at the end of 100,000 users against the first, time".to_owned(),
            2.0,
            latency(3) / latency(2),
            "×",
        ));
        targets.push(at_most(
            "the same, read units".to_owned(),
            2.0,
            units("page of 100 at the end") / units("page of 100 at the start"),
            "×",
        ));
        targets.push(at_most(
            "PATCH one member, group of 100,000 against a group of 10, time".to_owned(),
            1.5,
            latency(7) / latency(5),
            "×",
        ));
        let eq = |users| at("userName eq", users).map_or(f64::NAN, |point| point.latency);
        targets.push(at_most(
            "`userName eq` at 100,000 users against 1,000, time".to_owned(),
            1.2,
            eq(100_000) / eq(1_000),
            "×",
        ));
        let cold = &self.cold;
        targets.push(at_most(
            "cold start to the first request for work".to_owned(),
            10.0,
            cold.rust.ready * 1e3,
            " ms",
        ));
        targets.push(at_most(
            "the same against the function on Node".to_owned(),
            0.15,
            cold.rust.ready / cold.node.ready,
            "×",
        ));
        let zipped = cold.functions.iter().map(|function| function.zipped).max().unwrap_or_default();
        targets.push(at_most(
            "the largest function, zipped".to_owned(),
            4.0,
            zipped as f64 / MEGABYTE,
            " MB",
        ));
        let small = cold.functions.iter().filter(|function| function.longest_answer < 1_048_576);
        let peak = small.map(|function| function.start.peak).max().unwrap_or_default();
        targets.push(at_most(
            "memory of any function, answers under 1 MB".to_owned(),
            64.0,
            peak as f64 / MEGABYTE,
            " MB",
        ));
        let replace = self.far.replace.max(self.far.replace_half);
        targets.push(at_most("replace 10,000 members, 5 ms a call".to_owned(), 29.0, replace, " s"));
        targets.push(at_most("get that group".to_owned(), 2.0, self.far.get, " s"));
        let median = |name: &str| {
            self.core.iter().find(|timed| timed.name == name).map_or(f64::NAN, |timed| timed.median * 1e6)
        };
        targets.push(at_most(
            "parse the longest filter".to_owned(),
            5.0,
            median("parse the longest filter"),
            " µs",
        ));
        targets.push(at_most("a PATCH of a user".to_owned(), 20.0, median("apply a PATCH to a user"), " µs"));
        targets.push(at_most(
            "serialise a page of 100 users".to_owned(),
            300.0,
            median("serialise a page of 100 users"),
            " µs",
        ));
        targets
    }
}

/// The ratio of the requests per second of one of the first two servers, which are Rollcall, to those of the best peer.
pub fn ratio(all: &[Measured], ours: usize, operation: usize) -> f64 {
    let rate = |measured: &Measured| {
        measured.timings[operation].as_ref().map_or(f64::NAN, |timing| timing.per_second)
    };
    let best = all.iter().skip(2).map(rate).fold(f64::NAN, f64::max);
    rate(&all[ours]) / best
}

fn at_least(what: String, bound: f64, measured: f64) -> Target {
    Target {
        what,
        bound: format!("at least {bound}×"),
        measured: format!("{}×", short(measured)),
        is_met: measured >= bound,
    }
}

fn at_most(what: String, bound: f64, measured: f64, unit: &str) -> Target {
    Target {
        what,
        bound: format!("at most {bound}{unit}"),
        measured: format!("{}{unit}", short(measured)),
        is_met: measured <= bound,
    }
}
