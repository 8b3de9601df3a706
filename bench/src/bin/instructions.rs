//! Counts the instructions of the core's work under callgrind, and holds them to those on record.
//!
//! `instructions` compares and fails past the tolerance; `instructions record` writes the record anew; `instructions CASE` is
//! what callgrind runs.

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};

use bench::cases::{self, Case};

/// How many more instructions than on record are a failure, as a part of them. What a hash map's random seed changes
/// is below a hundredth.
const TOLERANCE: f64 = 0.03;
const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.toml");

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => compare(),
        Some("record") => {
            let text = toml::to_string(&count_all()).expect("a table of numbers");
            std::fs::write(RECORD, text).expect("the record is written");
            ExitCode::SUCCESS
        }
        Some(name) => {
            let case = cases::core().into_iter().find(|case| case.name == name).expect("a case of this name");
            // Once unseen: what is made at its first use is not work that is done again.
            (case.run)();
            counted(&case);
            ExitCode::SUCCESS
        }
    }
}

/// The function whose instructions callgrind counts, with all that it calls.
#[inline(never)]
fn counted(case: &Case) {
    (case.run)();
}

fn compare() -> ExitCode {
    let record = std::fs::read_to_string(RECORD).expect("the record is read");
    let record: BTreeMap<String, u64> = toml::from_str(&record).expect("a record");
    let mut failed = 0;
    let counts = count_all();
    for (name, count) in &counts {
        let recorded = record.get(name).copied().unwrap_or_default();
        let change = *count as f64 / recorded as f64 - 1.0;
        let is_more = change > TOLERANCE;
        failed += usize::from(is_more);
        let verdict = if is_more { "MORE THAN IT MAY" } else { "" };
        println!("{name:<40} {count:>12} instructions {:>+7.2} % {verdict}", change * 100.0);
    }
    println!("\n{} passed, {failed} failed", counts.len() - failed);
    if failed == 0 {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "If what they buy is worth it, `make instructions RECORD=record` puts the new counts on record."
    );
    ExitCode::FAILURE
}

fn count_all() -> BTreeMap<String, u64> {
    cases::core().iter().map(|case| (case.name.to_owned(), count(case.name))).collect()
}

/// # Panics
/// When there is no valgrind, or it says nothing.
fn count(name: &str) -> u64 {
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--toggle-collect=instructions::counted",
        ])
        .arg(std::env::current_exe().expect("a running program"))
        .arg(name)
        .output()
        .expect("valgrind is installed (Debian's package of that name)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    collected.and_then(|(_, count)| count.trim().parse().ok()).expect("callgrind says what it collected")
}
