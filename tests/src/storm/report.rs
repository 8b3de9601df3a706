//! What a run counts, and how it prints counts and violations.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::history::Record;
use super::violation::Violation;
use super::weather::Fault;

/// The most requests of a history that are printed: the last ones before the impossible one, and all after it.
const MAX_PRINTED: usize = 120;
/// The most violations that are printed for a connector at a rest point.
const MAX_VIOLATIONS: usize = 3;

/// The counts of a run.
#[derive(Debug, Default)]
pub struct Counts(Mutex<BTreeMap<String, usize>>);

impl Counts {
    fn values(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.0.lock().expect("no thread panicked with the lock")
    }

    /// Counts an answer with this status.
    pub fn count_status(&self, status: &str) {
        *self.values().entry(status.to_owned()).or_default() += 1;
    }

    /// How many requests had an answer, and how many were sent.
    pub fn requests(&self) -> (usize, usize) {
        let values = self.values();
        let sent: usize =
            values.iter().filter(|(status, _)| *status != "not sent").map(|(_, count)| count).sum();
        (sent - values.get("no answer").copied().unwrap_or_default(), sent)
    }
}

/// The result of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// The command that repeats the run.
    pub command: String,
    /// The answers by status.
    pub statuses: BTreeMap<String, usize>,
    /// The faults by kind.
    pub faults: BTreeMap<Fault, usize>,
    /// How often a service process was killed.
    pub service_kills: usize,
    /// How often the engine was killed.
    pub engine_kills: usize,
    /// The lengths of the outages.
    pub outages: Vec<Duration>,
    /// How many rest points were checked.
    pub rest_points: usize,
    /// How long the rest points took.
    pub rest_time: Duration,
    /// How many registers were checked.
    pub registers: usize,
    /// How many registers had histories that were too large to check.
    pub undecided: usize,
    /// How many requests the clients sent, without those that read the state at rest points.
    pub requests: usize,
    /// How long the clients sent requests.
    pub time: Duration,
    /// The violations, as text.
    pub violations: Vec<String>,
}

impl Report {
    /// Takes over the counts of the answers.
    pub fn set_statuses(&mut self, counts: &Counts) {
        self.statuses.clone_from(&counts.values());
    }

    /// Adds the violations of a connector. They often have one cause, so only the first ones are kept as text.
    pub fn add_violations(&mut self, connector: &str, violations: &[Violation], records: &[Record]) {
        let texts = violations.iter().map(|violation| violation_text(connector, violation, records));
        self.violations.extend(texts.take(MAX_VIOLATIONS));
        if let Some(more @ 1..) = violations.len().checked_sub(MAX_VIOLATIONS) {
            let more = Violation::general(format!("{more} more violations"));
            self.violations.push(violation_text(connector, &more, records));
        }
    }

    /// The requests a second, while the clients sent requests.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.time.as_secs_f64().max(0.001)
    }

    /// The report as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for violation in &self.violations {
            let _ = writeln!(text, "{violation}");
        }
        let list =
            |counts: Vec<String>| if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
        let statuses = self.statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
        let faults = self.faults.iter().map(|(fault, count)| format!("{fault:?}: {count}")).collect();
        let outages = self.outages.iter().map(|time| format!("{:.1} s", time.as_secs_f64())).collect();
        let _ = writeln!(text, "answers         {}", list(statuses));
        let _ = writeln!(text, "faults          {}", list(faults));
        let _ = writeln!(text, "outages         {}", list(outages));
        let _ = writeln!(
            text,
            "kills           service processes: {}, engine: {}",
            self.service_kills, self.engine_kills
        );
        let _ = writeln!(
            text,
            "rest points     {} in {:.1} s, with {} registers, of which {} were not decided",
            self.rest_points,
            self.rest_time.as_secs_f64(),
            self.registers,
            self.undecided
        );
        let _ = writeln!(
            text,
            "requests        {} in {:.1} s: {:.0} a second",
            self.requests,
            self.time.as_secs_f64(),
            self.rate()
        );
        let _ = writeln!(text, "violations      {}", self.violations.len());
        let _ = writeln!(text, "to repeat       {}", self.command);
        text
    }
}

/// A violation as text, with the whole history of its register.
fn violation_text(connector: &str, violation: &Violation, records: &[Record]) -> String {
    let mut text = format!("VIOLATION in connector {connector}: {}\n", violation.what);
    if let Some(register) = &violation.register {
        let _ = writeln!(text, "register: {register}");
    }
    let mut requests = violation.records.clone();
    requests.sort_by_key(|(position, _)| records[*position].sent);
    let last = requests.iter().position(|(position, _)| violation.at == Some(*position));
    let first = last.unwrap_or(requests.len()).saturating_sub(MAX_PRINTED);
    if first > 0 {
        let _ = writeln!(text, "({first} earlier requests are not shown)");
    }
    for (position, meaning) in &requests[first..] {
        let record = &records[*position];
        let mark = if violation.at == Some(*position) { ">>" } else { "  " };
        let _ = writeln!(
            text,
            "{mark} {:.6} to {:.6} s, {}: {}\n      {}\n      {meaning}",
            record.sent as f64 / 1e6,
            record.answered as f64 / 1e6,
            record.client,
            record.request,
            record.answer
        );
    }
    text
}
