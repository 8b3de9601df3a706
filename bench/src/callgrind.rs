//! Counts the instructions of a part of this program under callgrind.

use std::process::Command;

/// Runs this program with these arguments under callgrind, and counts the instructions of one function and of everything
/// that it calls.
///
/// # Panics
/// If valgrind is not installed, fails, or prints no count.
pub fn count(arguments: &[&str], function: &str) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={function}"))
        .arg(std::env::current_exe().expect("a running program"))
        .args(arguments)
        .output()
        .expect("valgrind is installed (Debian's package of that name)");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {printed}");
    let collected = printed.lines().find_map(|line| line.split_once("Collected : "));
    collected.and_then(|(_, count)| count.trim().parse().ok()).expect("callgrind prints the count")
}
