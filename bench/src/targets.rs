//! The targets, and whether the measurements meet them.

use std::fmt::Write as _;

use crate::growth::Point;
use crate::load::Timing;
use crate::plot::{grouped, short};
use crate::report::{MEGABYTE, Report};
use crate::server::ServerKind::{InMemory, OnDisk, Scim2Server, Yardstick};
use crate::throughput::Operation;

/// Why targets are missed: the name of a target as a heading, and a paragraph.
const MISSED: &str = include_str!("missed.md");

/// A target.
struct Target {
    name: &'static str,
    bound: Bound,
    /// The measured value. NaN if it was not measured.
    measure: fn(&Report) -> f64,
}

/// A bound of the measured value, with the unit of both.
enum Bound {
    AtLeast(f64, &'static str),
    AtMost(f64, &'static str),
}

const TARGETS: [Target; 26] = [
    Target {
        name: "get a user, 3,000 users, on disk, compared with the yardstick",
        bound: Bound::AtLeast(0.35, "×"),
        measure: |report| report.throughput.few.ratio(OnDisk, Yardstick, Operation::Get),
    },
    Target {
        name: "`userName eq`, 3,000 users, on disk, compared with the yardstick",
        bound: Bound::AtLeast(0.25, "×"),
        measure: |report| report.throughput.few.ratio(OnDisk, Yardstick, Operation::UserNameEq),
    },
    Target {
        name: "create, 3,000 users, on disk, compared with an insert of the yardstick",
        bound: Bound::AtLeast(0.5, "×"),
        measure: |report| report.throughput.few.ratio(OnDisk, Yardstick, Operation::Create),
    },
    Target {
        name: "get a user, 3,000 users, on disk, compared with the best peer",
        bound: Bound::AtLeast(2.0, "×"),
        measure: |report| report.throughput.few.ratio_to_best_peer(OnDisk, Operation::Get),
    },
    Target {
        name: "`userName eq`, 3,000 users, on disk, compared with scim2-server",
        bound: Bound::AtLeast(20.0, "×"),
        measure: |report| report.throughput.few.ratio(OnDisk, Scim2Server, Operation::UserNameEq),
    },
    Target {
        name: "page of 100, at the start, 3,000 users, on disk, compared with scim2-server",
        bound: Bound::AtLeast(50.0, "×"),
        measure: |report| report.throughput.few.ratio(OnDisk, Scim2Server, Operation::FirstPage),
    },
    Target {
        name: "create, 3,000 users, on disk, compared with the best peer",
        bound: Bound::AtLeast(0.8, "×"),
        measure: |report| report.throughput.few.ratio_to_best_peer(OnDisk, Operation::Create),
    },
    Target {
        name: "PATCH one attribute, 3,000 users, on disk, compared with the best peer",
        bound: Bound::AtLeast(2.0, "×"),
        measure: |report| report.throughput.few.ratio_to_best_peer(OnDisk, Operation::Patch),
    },
    Target {
        name: "create, 3,000 users, in memory, compared with the best peer",
        bound: Bound::AtLeast(1.2, "×"),
        measure: |report| report.throughput.few.ratio_to_best_peer(InMemory, Operation::Create),
    },
    Target {
        name: "Bulk of 1,000 creates, 3,000 users, in memory",
        bound: Bound::AtLeast(3_000.0, " operations a second"),
        measure: |report| report.throughput.few.rate(InMemory, Operation::Bulk),
    },
    Target {
        name: "last page of 100 of 100,000 users compared with the first: time",
        bound: Bound::AtMost(2.0, "×"),
        measure: |report| median(report, Operation::LastPage) / median(report, Operation::FirstPage),
    },
    Target {
        name: "last page of 100 of 100,000 users compared with the first: read units",
        bound: Bound::AtMost(2.0, "×"),
        measure: |report| {
            let units = |operation| value(report, operation, 100_000, |point| point.read_units);
            units("page of 100 at the end") / units("page of 100 at the start")
        },
    },
    Target {
        name: "add or remove a member, group of 100,000 compared with a group of 10: time",
        bound: Bound::AtMost(1.5, "×"),
        measure: |report| median(report, Operation::MembersOf100000) / median(report, Operation::MembersOf10),
    },
    Target {
        name: "`userName eq`, 100,000 users compared with 1,000: time",
        bound: Bound::AtMost(1.2, "×"),
        measure: |report| {
            let time = |users| value(report, "userName eq", users, |point| point.latency);
            time(100_000) / time(1_000)
        },
    },
    Target {
        name: "every operation, 1,000,000 users compared with 1,000: round trips",
        bound: Bound::AtMost(1.2, "×"),
        measure: |report| report.growth.largest_growth(1_000, 1_000_000, |point| point.round_trips as f64),
    },
    Target {
        name: "every operation, 1,000,000 users compared with 1,000: capacity units",
        bound: Bound::AtMost(1.2, "×"),
        measure: |report| report.growth.largest_growth(1_000, 1_000_000, Point::units),
    },
    Target {
        name: "every operation, 1,000,000 users compared with 1,000: time",
        bound: Bound::AtMost(1.5, "×"),
        measure: |report| report.growth.largest_growth(1_000, 1_000_000, |point| point.latency),
    },
    Target {
        name: "cold start until the function requests its first event",
        bound: Bound::AtMost(10.0, " ms"),
        measure: |report| report.cold.rust.ready * 1e3,
    },
    Target {
        name: "the same, compared with the Node.js function",
        bound: Bound::AtMost(0.15, "×"),
        measure: |report| report.cold.rust.ready / report.cold.node.ready,
    },
    Target {
        name: "largest zipped function",
        bound: Bound::AtMost(4.0, " MB"),
        measure: |report| {
            let zipped = report.cold.functions.iter().map(|function| function.zipped).max();
            zipped.unwrap_or_default() as f64 / MEGABYTE
        },
    },
    Target {
        name: "peak memory of a function with responses under 1 MB",
        bound: Bound::AtMost(64.0, " MB"),
        measure: |report| {
            let small = report.cold.functions.iter().filter(|function| function.longest_response < 1_048_576);
            small.map(|function| function.start.peak).max().unwrap_or_default() as f64 / MEGABYTE
        },
    },
    Target {
        name: "replace 10,000 members, each DynamoDB call delayed by 5 ms",
        bound: Bound::AtMost(29.0, " s"),
        measure: |report| report.delayed.replace.max(report.delayed.replace_half),
    },
    Target {
        name: "get a group of 10,000 members, with the same delay",
        bound: Bound::AtMost(2.0, " s"),
        measure: |report| report.delayed.get,
    },
    Target {
        name: "parse the longest filter",
        bound: Bound::AtMost(5.0, " µs"),
        measure: |report| microseconds(report, "parse the longest filter"),
    },
    Target {
        name: "apply a PATCH to a user",
        bound: Bound::AtMost(20.0, " µs"),
        measure: |report| microseconds(report, "apply a PATCH to a user"),
    },
    Target {
        name: "serialise a page of 100 users",
        bound: Bound::AtMost(300.0, " µs"),
        measure: |report| microseconds(report, "serialise a page of 100 users"),
    },
];

impl Target {
    /// Whether a value is within the bound.
    fn is_met(&self, value: f64) -> bool {
        match self.bound {
            Bound::AtLeast(bound, _) => value >= bound,
            Bound::AtMost(bound, _) => value <= bound,
        }
    }

    fn unit(&self) -> &'static str {
        match self.bound {
            Bound::AtLeast(_, unit) | Bound::AtMost(_, unit) => unit,
        }
    }

    fn bound(&self) -> String {
        match self.bound {
            Bound::AtLeast(bound, unit) => format!("at least {}{unit}", exactly(bound)),
            Bound::AtMost(bound, unit) => format!("at most {}{unit}", exactly(bound)),
        }
    }

    /// The reason why it is missed.
    fn reason(&self) -> &'static str {
        let paragraph = paragraphs().find(|(name, _)| *name == self.name);
        paragraph.map_or("The reason was not looked for yet.", |(_, reason)| reason)
    }
}

impl Report {
    /// Appends the table of targets, and the reasons for those that are missed.
    pub fn targets(&self, text: &mut String) {
        text.push_str("## Targets\n\n| what | target | measured | |\n| --- | --- | --- | --- |\n");
        let mut missed = Vec::new();
        for target in &TARGETS {
            let value = (target.measure)(self);
            let (name, bound) = (target.name, target.bound());
            if value.is_nan() {
                writeln!(text, "| {name} | {bound} | | not measured |").expect("memory");
                continue;
            }
            let measured = if value < 1_000.0 { short(value) } else { grouped(value) };
            let measured = format!("{measured}{}", target.unit());
            let verdict = if target.is_met(value) { "met" } else { "**missed**" };
            writeln!(text, "| {name} | {bound} | {measured} | {verdict} |").expect("memory");
            if !target.is_met(value) {
                missed.push(format!("- **{name}**: {measured}, not {bound}. {}\n", target.reason()));
            }
        }
        text.push('\n');
        if !missed.is_empty() {
            text.push_str("Why targets are missed:\n\n");
            text.push_str(&missed.concat());
            text.push('\n');
        }
    }
}

/// The names and reasons of `missed.md`.
fn paragraphs() -> impl Iterator<Item = (&'static str, &'static str)> {
    let sections = MISSED.split("\n# ").skip(1);
    sections.filter_map(|section| section.split_once('\n')).map(|(name, reason)| (name, reason.trim()))
}

/// The median latency of Rollcall on disk with 100,000 users.
fn median(report: &Report, operation: Operation) -> f64 {
    let load = &report.throughput.many;
    let timing = load.timing(OnDisk, operation).filter(|_| load.users == 100_000);
    timing.map_or(f64::NAN, |Timing { p50, .. }| *p50)
}

fn value(report: &Report, operation: &str, users: usize, value: fn(&Point) -> f64) -> f64 {
    report.growth.point(operation, users).map_or(f64::NAN, value)
}

fn microseconds(report: &Report, case: &str) -> f64 {
    report.core.cases.iter().find(|one| one.name == case).map_or(f64::NAN, |case| case.median * 1e6)
}

/// Formats a bound: without decimals that it does not have.
fn exactly(bound: f64) -> String {
    if bound < 1_000.0 { bound.to_string() } else { grouped(bound) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_of_a_target() {
        assert!(paragraphs().count() > 0);
        for (name, reason) in paragraphs() {
            assert!(TARGETS.iter().any(|target| target.name == name), "{name}");
            assert!(!reason.is_empty(), "{name}");
        }
    }

    #[test]
    fn value_at_the_bound_meets_the_target_and_no_value_does_not() {
        let target = |bound| Target { name: "", bound, measure: |_| f64::NAN };
        let (least, most) = (target(Bound::AtLeast(0.35, "×")), target(Bound::AtMost(3_000.0, " s")));
        assert_eq!([0.35, 0.34, f64::NAN].map(|value| least.is_met(value)), [true, false, false]);
        assert_eq!([3_000.0, 3_000.1, f64::NAN].map(|value| most.is_met(value)), [true, false, false]);
        assert_eq!([least.bound(), most.bound()], ["at least 0.35×", "at most 3,000 s"]);
    }
}
