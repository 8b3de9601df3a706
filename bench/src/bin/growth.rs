//! Counts the instructions of hostile requests of two sizes under callgrind, and fails if they grow faster than the size.
//!
//! - `growth` counts all kinds of requests.
//! - `growth KIND PART BYTES` does the work of one request. callgrind runs this.
//! - `growth time` prints the time of each request with the maximum size that is not refused at once.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bench::callgrind;
use tests::hostile::{Kind, Part};

/// The size of the smaller request, in bytes. The number of operations is below its maximum in both.
const BYTES: usize = 8_000;
/// The size from which the work of a PATCH must be linear. In a smaller one, its operations and values multiply up to
/// `MAX_PATCH_VISITS`.
const BYTES_WITH_LIMITS: usize = 320_000;
/// How many times larger the other request is.
const FACTOR: usize = 4;
/// How many times as many instructions it may need. Linear work needs [`FACTOR`] times as many, and quadratic work 16
/// times. Sorted maps and growing buffers need a bit more than linear work.
const MAX_GROWTH: u64 = 6;
/// Instructions that do not depend on the size, such as those of an error.
const CONSTANT: u64 = 100_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => compare(),
        [mode] if mode == "time" => {
            print_times();
            ExitCode::SUCCESS
        }
        [kind, part, bytes] => {
            let (kind, part) = cases()
                .find(|(known, part_of_it)| name(*known) == *kind && part_of_it.name == *part)
                .expect("a kind and a part of it");
            let request = kind.write(&[part], bytes.parse().expect("a number"));
            // The first run is not counted, because it also initialises static values.
            let _ = kind.run(&request);
            run_counted(kind, &request);
            ExitCode::SUCCESS
        }
        _ => panic!("the arguments are nothing, time, or a kind, a part and a size"),
    }
}

fn cases() -> impl Iterator<Item = (Kind, Part)> {
    Kind::ALL.into_iter().flat_map(|kind| kind.parts().iter().map(move |part| (kind, *part)))
}

fn name(kind: Kind) -> String {
    format!("{kind:?}")
}

/// Does the work of a request. callgrind counts the instructions of this function and of everything that it calls.
#[inline(never)]
fn run_counted(kind: Kind, request: &[u8]) {
    let _ = black_box(kind.run(request));
}

fn compare() -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    for (kind, part) in cases() {
        let is_linear = is_linear(kind, part, BYTES) || is_linear(kind, part, BYTES_WITH_LIMITS);
        *(if is_linear { &mut passed } else { &mut failed }) += 1;
    }
    println!("\n{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether the instructions of a request grow with its size, from this size on.
fn is_linear(kind: Kind, part: Part, bytes: usize) -> bool {
    let count = |bytes: usize| -> u64 {
        callgrind::count(&[&name(kind), part.name, &bytes.to_string()], "growth::run_counted")
    };
    let (small, large) = (count(bytes), count(FACTOR * bytes));
    let is_linear = large <= MAX_GROWTH * small + CONSTANT;
    let growth = large as f64 / small as f64;
    let verdict = if is_linear { "" } else { "GROWS FASTER THAN THE REQUEST" };
    let name = format!("{kind:?}: {}", part.name);
    println!("{name:<50} {bytes:>7} bytes {small:>12} instructions, x {growth:.1} {verdict}");
    is_linear
}

fn print_times() {
    let mut slowest = Duration::ZERO;
    for (kind, part) in cases() {
        let mut bytes = kind.max_bytes() - 2_000;
        let (time, result) = loop {
            let request = kind.write(&[part], bytes);
            let start = Instant::now();
            let result = kind.run(&request).map_err(|error| error.to_string());
            match &result {
                Err(error) if error.contains("JSON values") => bytes = bytes / 10 * 9,
                _ => break (start.elapsed(), result),
            }
        };
        slowest = slowest.max(time);
        let result = result.map_or_else(|error| error.chars().take(90).collect(), |()| "done".to_owned());
        let name = format!("{kind:?}: {}", part.name);
        println!("{name:<50} {bytes:>8} bytes {:>6} ms  {result}", time.as_millis());
    }
    println!("\nslowest: {} ms", slowest.as_millis());
}
