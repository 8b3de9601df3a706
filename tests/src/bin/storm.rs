//! `make storm`: simulates clients, faults and kills, and checks what the service answers.
//!
//! `storm [--seed N] [--seconds S] [--clients C] [--members M] [--repeats PERCENT]`. The exit code is 1 if a
//! rule is broken, and 2 if the command line is wrong. The programs `local` and `scimctl` must be built in the
//! same folder.

use std::process::ExitCode;

use tests::storm::{Options, Report, own_folder, run};

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("storm: {error}");
            return ExitCode::from(2);
        }
    };
    println!("seed            {}", options.seed);
    let progress = |report: &Report| {
        eprintln!("{:>6} s of {}: {} requests", report.time.as_secs(), options.seconds, report.requests);
    };
    let report = run(&options, &own_folder(), progress).await;
    print!("{}", report.text());
    if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
