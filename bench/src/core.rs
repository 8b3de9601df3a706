//! Measures the core without I/O, with criterion.

use std::path::Path;
use std::time::Duration;

use bench::cases::{self, Case};
use criterion::Criterion;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All measurements of the core.
#[derive(Serialize, Deserialize)]
pub struct Core {
    /// The cases of Rollcall.
    pub cases: Vec<CaseTime>,
    /// The filter parsers of other crates.
    pub other_parsers: Vec<CaseTime>,
}

/// The measured time of a case.
#[derive(Serialize, Deserialize)]
pub struct CaseTime {
    /// The name of the case.
    pub name: String,
    /// Median time, in seconds.
    pub median: f64,
}

/// Measures the cases of Rollcall's core, and those of other crates.
pub fn measure(folder: &Path) -> Core {
    Core {
        cases: time(cases::core(), &folder.join("core")),
        other_parsers: time(cases::others(), &folder.join("others")),
    }
}

fn time(cases: Vec<Case>, folder: &Path) -> Vec<CaseTime> {
    let mut criterion = Criterion::default()
        .output_directory(folder)
        .without_plots()
        .sample_size(30)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    let time = |case: &Case| {
        criterion.bench_function(case.name, |bencher| bencher.iter(|| (case.run)()));
        let estimates = std::fs::read(folder.join(case.name).join("new/estimates.json"))
            .expect("criterion writes its estimates");
        let estimates: Value = serde_json::from_slice(&estimates).expect("JSON");
        let nanoseconds = estimates["median"]["point_estimate"].as_f64().expect("a median");
        CaseTime { name: case.name.to_owned(), median: nanoseconds / 1e9 }
    };
    cases.iter().map(time).collect()
}
