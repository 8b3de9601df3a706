//! The simulation of clients, faults and kills (`tests/src/storm/`), for a short time: every answer and every
//! state at rest is one that the model allows.

use tests::service::binaries;
use tests::storm::{Options, run};

/// Whether the run did what it is for. Chance decides how often.
const MIN_REQUESTS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_during_faults_and_kills_are_those_of_the_model() {
    let arguments = "--seconds 40 --clients 3";
    let options = Options::parse(arguments.split(' ').map(str::to_owned)).unwrap();
    let report = run(&options, &binaries(), |_| {}).await;
    println!("{}", report.text());
    assert!(report.violations.is_empty(), "{}", report.text());
    assert!(report.rest_points > 1 && report.requests > MIN_REQUESTS, "{}", report.text());
    assert!(!report.faults.is_empty(), "{}", report.text());
}
