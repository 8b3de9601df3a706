//! What hostile requests cost: memory, counted by the allocator. It is the only test in this binary, because an
//! allocator counts for the whole process.

use std::alloc::System;

use cap::Cap;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tests::hostile::{Kind, Part};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// The most memory that a request of the maximum size may use, with its body. The rest of a function's memory is for
/// the response and the SDK.
const MAX_PEAK_BYTES: usize = 128 * 1024 * 1024;
/// How many times larger the second request of a comparison is.
const FACTOR: usize = 4;
/// How many times as much the second request may allocate. A buffer doubles when it is full, so linear work can grow by
/// twice the factor. Quadratic work grows by 16.
const MAX_GROWTH: usize = 2 * FACTOR;
/// The allocations that do not depend on the size, such as those of an error.
const CONSTANT_BYTES: usize = 64 * 1024;

/// Returns the number of bytes that a request allocates.
fn allocated(kind: Kind, parts: &[Part], bytes: usize) -> usize {
    let request = kind.write(parts, bytes);
    let before = ALLOCATOR.total_allocated();
    // An error is a result, too.
    drop(kind.run(&request));
    ALLOCATOR.total_allocated() - before
}

/// Runs the request of the maximum size, and the largest one that does not have too many JSON values.
fn run_largest(kind: Kind, part: Part) {
    let mut bytes = kind.max_bytes() - 2_000;
    loop {
        let request = kind.write(&[part], bytes);
        assert!(request.len() <= kind.max_bytes(), "{kind:?} with {part:?}: {} bytes", request.len());
        match kind.run(&request) {
            Err(error) if error.detail.contains("JSON values") => bytes = bytes / 5 * 4,
            _ => return,
        }
    }
}

fn assert_linear(kind: Kind, parts: &[Part], bytes: usize) {
    let (small, large) = (allocated(kind, parts, bytes), allocated(kind, parts, FACTOR * bytes));
    assert!(
        large <= MAX_GROWTH * small + CONSTANT_BYTES,
        "{kind:?} with {parts:?}: {small} bytes allocated, {large} for {FACTOR} times the size"
    );
}

#[test]
fn memory_of_a_hostile_request_is_bounded_and_grows_with_its_size() {
    // Static values are initialised once.
    drop(Kind::User.run(&Kind::User.write(Kind::User.parts(), 1_000)));
    for kind in Kind::ALL {
        for part in kind.parts() {
            assert_linear(kind, &[*part], kind.max_bytes() / 128);
            run_largest(kind, *part);
            let peak = ALLOCATOR.max_allocated();
            assert!(peak < MAX_PEAK_BYTES, "{kind:?} with {part:?}: {peak} bytes");
        }
    }
    let combination = prop::sample::select(Kind::ALL.to_vec())
        .prop_flat_map(|kind| (Just(kind), prop::collection::vec(prop::sample::select(kind.parts()), 2..4)));
    let sizes = 4_000..30_000_usize;
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(60) });
    let result = runner.run(&(combination, sizes), |((kind, parts), bytes)| {
        assert_linear(kind, &parts, bytes.min(kind.max_bytes() / FACTOR));
        Ok(())
    });
    result.unwrap();
}
