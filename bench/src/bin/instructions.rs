//! Counts the instructions of the core under callgrind, and compares them with the recorded counts.
//!
//! - `instructions` compares, and fails if a count is above the tolerance.
//! - `instructions record` records the new counts.
//! - `instructions CASE` runs one case. callgrind runs this.

use std::collections::BTreeMap;
use std::process::ExitCode;

use bench::callgrind;
use bench::cases::{self, Case};

/// The largest allowed increase over the recorded count, as a fraction. The random seeds of hash maps change a count by
/// less than 0.01.
const TOLERANCE: f64 = 0.03;
const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.toml");

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => compare(),
        Some("record") => {
            let text = toml::to_string(&count_all()).expect("a table of numbers");
            std::fs::write(RECORD, text).expect("the counts can be written");
            ExitCode::SUCCESS
        }
        Some(name) => {
            let case = cases::core().into_iter().find(|case| case.name == name).expect("a case of this name");
            // The first run is not counted, because it also initialises static values.
            (case.run)();
            run_counted(&case);
            ExitCode::SUCCESS
        }
    }
}

/// Runs a case. callgrind counts the instructions of this function and of everything that it calls.
#[inline(never)]
fn run_counted(case: &Case) {
    (case.run)();
}

fn compare() -> ExitCode {
    let record = std::fs::read_to_string(RECORD).expect("the counts can be read");
    let record: BTreeMap<String, u64> = toml::from_str(&record).expect("a table of numbers");
    let mut failed = 0;
    let counts = count_all();
    for (name, count) in &counts {
        let recorded = record.get(name).copied().unwrap_or_default();
        let change = *count as f64 / recorded as f64 - 1.0;
        let is_above = change > TOLERANCE;
        failed += usize::from(is_above);
        let verdict = if is_above { "ABOVE THE TOLERANCE" } else { "" };
        println!("{name:<40} {count:>12} instructions {:>+7.2} % {verdict}", change * 100.0);
    }
    println!("\n{} passed, {failed} failed", counts.len() - failed);
    if failed == 0 {
        return ExitCode::SUCCESS;
    }
    eprintln!("If the increase is justified, record the new counts: `make instructions RECORD=record`.");
    ExitCode::FAILURE
}

fn count_all() -> BTreeMap<String, u64> {
    let count = |name: &str| callgrind::count(&[name], "instructions::run_counted");
    cases::core().iter().map(|case| (case.name.to_owned(), count(case.name))).collect()
}
