//! Keeps what each part of the measurements found as JSON, so that one part can be measured again without the others.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::versions::{commit, machine};

/// What a part found, and when and where.
#[derive(Serialize, Deserialize)]
pub struct Kept<T> {
    /// When and where it was measured.
    pub origin: Origin,
    /// What it found.
    pub found: T,
}

/// When and where a part was measured.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The day, in UTC.
    pub date: String,
    /// The commit of Rollcall.
    pub commit: String,
    /// The machine and its versions.
    pub machine: String,
}

/// Writes what a part found, measured now.
pub fn keep<T: Serialize>(part: &str, found: T) {
    let date = Timestamp::now().strftime("%Y-%m-%d").to_string();
    let kept = Kept { origin: Origin { date, commit: commit(), machine: machine() }, found };
    let file = file_of(part);
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    std::fs::write(file, serde_json::to_vec_pretty(&kept).expect("JSON")).expect("the file is written");
}

/// Reads what a part found. `None` if it was not measured yet.
///
/// # Panics
/// If the result is of a version of this program with other measurements. Measure the part again.
pub fn read<T: DeserializeOwned>(part: &str) -> Option<Kept<T>> {
    let file = file_of(part);
    let text = std::fs::read(&file).ok()?;
    let kept = serde_json::from_slice(&text);
    Some(kept.unwrap_or_else(|error| panic!("{} must be measured again: {error}", file.display())))
}

fn file_of(part: &str) -> PathBuf {
    PathBuf::from("target/bench/results").join(format!("{part}.json"))
}
