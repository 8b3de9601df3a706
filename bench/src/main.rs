//! `make bench` and `make profile`: measures Rollcall on this machine, and writes the results into a folder of documents.

mod cold;
mod core;
mod far;
mod growth;
mod load;
mod plot;
mod profile;
mod report;
mod server;
mod targets;
mod throughput;

use std::path::PathBuf;

/// The sizes of the directories in the measurement of growth. Larger ones only on request, because a million users take half
/// an hour to create.
const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let docs = PathBuf::from("docs");
    let work = PathBuf::from("target/bench");
    match std::env::args().nth(1).as_deref() {
        Some("serve-in-memory") => runtime.block_on(server::serve_in_memory()),
        Some("profile") => {
            make_anew(&work);
            std::fs::create_dir_all(&docs).expect("a folder");
            runtime.block_on(profile::run(&work, &docs));
        }
        Some(other) => panic!("{other:?} is not known"),
        None => {
            make_anew(&work);
            std::fs::create_dir_all(&docs).expect("a folder");
            let largest = std::env::var("LARGEST").ok().and_then(|largest| largest.parse().ok());
            let largest: usize = largest.unwrap_or(100_000);
            let sizes: Vec<usize> = SIZES.into_iter().filter(|size| *size <= largest).collect();
            let peers = PathBuf::from(".tools/peers");
            let (ours, others) = core::measure(&work);
            let report = runtime.block_on(async {
                eprintln!("Cold starts");
                let cold = cold::measure(&server::folder(), &peers).await;
                eprintln!("A distant DynamoDB");
                let far = far::measure().await;
                eprintln!("Growth");
                let growth = growth::measure(&sizes, &work).await;
                let few = throughput::measure(3_000, &work, &peers).await;
                let many = throughput::measure(100_000.min(largest), &work, &peers).await;
                report::Report { few, many, growth, cold, far, core: ours, other_parsers: others }
            });
            report.write(&docs, &peers);
            println!("Written: docs/performance.md");
        }
    }
}

/// Makes an empty temporary folder.
fn make_anew(folder: &PathBuf) {
    if folder.exists() {
        std::fs::remove_dir_all(folder).expect("the last run's folder can be removed");
    }
    std::fs::create_dir_all(folder).expect("a folder");
}
