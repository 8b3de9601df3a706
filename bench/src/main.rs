//! `make bench`, `make bench-feeds`, `make bench-functions`, `make bench-onboarding` and `make profile`: measures Rollcall on this machine
//! and writes the results to `docs/`.
//!
//! `bench` measures all parts of `docs/performance.md`; `bench growth cold` measures these parts again. `bench report` only writes the
//! page from the results that were kept.

mod cold;
mod core;
mod delayed;
mod feeds;
mod functions;
mod group_of_all;
mod growth;
mod load;
mod onboarding;
mod plot;
mod prices;
mod profile;
mod report;
mod results;
mod runtime_api;
mod server;
mod targets;
mod throughput;
mod versions;
mod yardstick;

use std::path::{Path, PathBuf};

/// The numbers of users with which growth is measured. The environment variable `LARGEST` is the limit; its default is
/// 100,000, because a million users take hours.
const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// The parts of `docs/performance.md`, in the order in which they are measured. Growth is the first, because it reports the memory of
/// this process.
const PARTS: [&str; 5] = ["growth", "throughput", "cold", "delayed", "core"];

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let docs = PathBuf::from("docs");
    std::fs::create_dir_all(&docs).expect("a folder");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["serve-in-memory"] => runtime.block_on(server::serve_in_memory()),
        ["serve-yardstick", folder] => runtime.block_on(yardstick::serve(Path::new(folder))),
        ["profile"] => runtime.block_on(profile::run(&new_folder(), &docs)),
        ["feeds"] => runtime.block_on(feeds::run(&new_folder(), &docs)),
        ["functions"] => runtime.block_on(functions::run(&docs)),
        ["onboarding", sizes @ ..] => runtime.block_on(onboarding::run(sizes, &new_folder(), &docs)),
        ["report"] => write_report(&docs),
        [] => measure(&PARTS, &runtime, &docs),
        parts if parts.iter().all(|part| PARTS.contains(part)) => measure(parts, &runtime, &docs),
        other => panic!(
            "Unknown arguments {other:?}. The commands are `profile`, `feeds`, `functions`, `onboarding`, `report`, `serve-in-memory` and `serve-yardstick FOLDER`; \
             without a command, measure the parts {PARTS:?}."
        ),
    }
}

/// Measures these parts, keeps their results, and writes the page.
fn measure(parts: &[&str], runtime: &tokio::runtime::Runtime, docs: &Path) {
    let largest = std::env::var("LARGEST").ok().and_then(|largest| largest.parse().ok()).unwrap_or(100_000);
    let sizes: Vec<usize> = SIZES.into_iter().filter(|size| *size <= largest).collect();
    let peers = PathBuf::from(".tools/peers");
    for part in PARTS.into_iter().filter(|part| parts.contains(part)) {
        eprintln!("Measuring {part}");
        let work = new_folder();
        match part {
            "growth" => results::keep(part, runtime.block_on(growth::measure(&sizes, &work))),
            "throughput" => {
                let many = throughput::MANY.min(largest);
                results::keep(part, runtime.block_on(throughput::measure(many, &work, &peers)));
            }
            "cold" => results::keep(part, runtime.block_on(cold::measure(&server::binaries(), &peers))),
            "delayed" => results::keep(part, runtime.block_on(delayed::measure())),
            _ => results::keep(part, core::measure(&work)),
        }
    }
    write_report(docs);
}

/// Writes the page from the results of all parts.
fn write_report(docs: &Path) {
    match report::Report::read() {
        Ok(report) => {
            report.write(docs);
            println!("Wrote docs/performance.md");
        }
        Err(part) => println!(
            "docs/performance.md was not written: {part} was never measured. `bench {part}` measures it."
        ),
    }
}

/// Deletes the data of the last measurement, and returns an empty folder.
fn new_folder() -> PathBuf {
    let folder = PathBuf::from("target/bench/work");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("the folder of the last measurement can be removed");
    }
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}
