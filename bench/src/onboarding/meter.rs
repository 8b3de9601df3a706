//! Counts what the requests of a phase took, as the service measures them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use directory::Usage;
use service::{Measurement, Observer};

/// Gets the measurement of every request of the client.
#[derive(Debug)]
pub struct Meter {
    began: Instant,
    counts: Mutex<Counts>,
}

/// What the requests of a phase took.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// The latencies of the requests of each function, such as `users-create`.
    pub latencies: BTreeMap<&'static str, Vec<Duration>>,
    /// The responses with 429.
    pub too_many_requests: usize,
    /// What the requests to DynamoDB cost.
    pub usage: Usage,
    /// The time that Lambda bills: each request is rounded up to a whole millisecond.
    pub billed: Duration,
    /// The number of requests that ended in each second since the start.
    pub of_second: BTreeMap<u64, usize>,
}

impl Meter {
    /// Creates a meter that has counted nothing.
    pub fn new() -> Self {
        Self { began: Instant::now(), counts: Mutex::default() }
    }

    /// Returns what was counted since the last call.
    pub fn take(&self) -> Counts {
        std::mem::take(&mut *self.counts())
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().expect("no thread panicked with the lock")
    }
}

impl Observer for Meter {
    fn observe(&self, measurement: &Measurement) {
        let second = self.began.elapsed().as_secs();
        let mut counts = self.counts();
        counts.latencies.entry(measurement.function).or_default().push(measurement.latency);
        counts.too_many_requests += usize::from(measurement.status == 429);
        counts.billed += Duration::from_millis(measurement.latency.as_micros().div_ceil(1_000) as u64);
        *counts.of_second.entry(second).or_default() += 1;
        counts.usage = sum(counts.usage, measurement.usage);
    }
}

impl Counts {
    /// The sum of the counts of two phases.
    pub fn plus(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (function, latencies) in &other.latencies {
            both.latencies.entry(function).or_default().extend(latencies);
        }
        for (second, requests) in &other.of_second {
            *both.of_second.entry(*second).or_default() += requests;
        }
        both.too_many_requests += other.too_many_requests;
        both.billed += other.billed;
        both.usage = sum(both.usage, other.usage);
        both
    }

    /// The number of requests.
    pub fn requests(&self) -> usize {
        self.latencies.values().map(Vec::len).sum()
    }

    /// The most requests that ended in one second.
    pub fn busiest_second(&self) -> usize {
        self.of_second.values().max().copied().unwrap_or_default()
    }

    /// The latencies of all requests, in ascending order.
    pub fn sorted_latencies(&self) -> Vec<Duration> {
        let mut all: Vec<Duration> = self.latencies.values().flatten().copied().collect();
        all.sort_unstable();
        all
    }
}

fn sum(one: Usage, other: Usage) -> Usage {
    Usage {
        calls: one.calls + other.calls,
        read_units: one.read_units + other.read_units,
        write_units: one.write_units + other.write_units,
        retries: one.retries + other.retries,
        throttles: one.throttles + other.throttles,
    }
}
