//! `make bench`, `make bench-feeds`, `make bench-functions`, `make bench-onboarding` and `make profile`: measures Rollcall on this machine and
//! writes the results to `docs/`.

mod cold;
mod core;
mod delayed;
mod feeds;
mod functions;
mod growth;
mod load;
mod onboarding;
mod plot;
mod profile;
mod report;
mod runtime_api;
mod server;
mod targets;
mod throughput;

use std::path::PathBuf;

/// The numbers of users with which growth is measured. The environment variable `LARGEST` is the limit; its default is
/// 100,000, because it takes half an hour to create a million users.
const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let docs = PathBuf::from("docs");
    let work = PathBuf::from("target/bench");
    match std::env::args().nth(1).as_deref() {
        Some("serve-in-memory") => runtime.block_on(server::serve_in_memory()),
        Some("profile") => {
            recreate(&work);
            std::fs::create_dir_all(&docs).expect("a folder");
            runtime.block_on(profile::run(&work, &docs));
        }
        Some("feeds") => {
            recreate(&work);
            runtime.block_on(feeds::run(&work, &docs));
        }
        Some("functions") => runtime.block_on(functions::run(&docs)),
        Some("onboarding") => {
            recreate(&work);
            let sizes: Vec<String> = std::env::args().skip(2).collect();
            runtime.block_on(onboarding::run(&sizes, &work, &docs));
        }
        Some(other) => panic!(
            "Unknown command {other:?}; the commands are `feeds`, `functions`, `onboarding`, `profile` and `serve-in-memory`."
        ),
        None => {
            recreate(&work);
            std::fs::create_dir_all(&docs).expect("a folder");
            let largest = std::env::var("LARGEST").ok().and_then(|largest| largest.parse().ok());
            let largest: usize = largest.unwrap_or(100_000);
            let sizes: Vec<usize> = SIZES.into_iter().filter(|size| *size <= largest).collect();
            let peers = PathBuf::from(".tools/peers");
            let (core, other_parsers) = core::measure(&work);
            let report = runtime.block_on(async {
                eprintln!("Cold starts");
                let cold = cold::measure(&server::binaries(), &peers).await;
                eprintln!("DynamoDB with network latency");
                let delayed = delayed::measure().await;
                eprintln!("Growth");
                let growth = growth::measure(&sizes, &work).await;
                let few = throughput::measure(3_000, &work, &peers).await;
                let many = throughput::measure(100_000.min(largest), &work, &peers).await;
                report::Report { few, many, growth, cold, delayed, core, other_parsers }
            });
            report.write(&docs, &peers);
            println!("Wrote docs/performance.md");
        }
    }
}

/// Deletes the folder of the last run and creates an empty one.
fn recreate(folder: &PathBuf) {
    if folder.exists() {
        std::fs::remove_dir_all(folder).expect("the folder of the last run can be removed");
    }
    std::fs::create_dir_all(folder).expect("a folder");
}
