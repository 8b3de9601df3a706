//! When a failed delivery is repeated.

use std::time::Duration;

/// The pauses after the first failed delivery, the second, and so on. The last one is repeated.
const PAUSES: [Duration; 6] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3_600),
    Duration::from_secs(5 * 3_600),
    Duration::from_secs(10 * 3_600),
];
/// The longest pause that a consumer can ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// The share of a pause that is added at most, so that feeds which failed together are not repeated together.
const JITTER: f64 = 0.2;

/// The pause after `failures` earlier failures and this one. `random` is from 0 to 1. A consumer's Retry-After (RFC 9110 §10.2.3)
/// replaces the pause.
pub fn pause(failures: u64, retry_after: Option<Duration>, random: f64) -> Duration {
    let at = usize::try_from(failures).unwrap_or(usize::MAX).min(PAUSES.len() - 1);
    let pause = PAUSES.get(at).copied().unwrap_or_default();
    let pause = retry_after.map_or(pause, |asked| asked.min(LONGEST_RETRY_AFTER));
    pause + pause.mul_f64(JITTER * random)
}

/// A random number from 0 to 1. Without randomness it is 1.
pub fn random() -> f64 {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_or(1.0, |()| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_maximum_and_retry_after_replaces_them() {
        for (failures, retry_after, random, seconds) in [
            (0, None, 0.0, 5),
            (0, None, 1.0, 6),
            (1, None, 0.0, 300),
            (2, None, 0.5, 1_980),
            (5, None, 0.0, 36_000),
            (u64::MAX, None, 0.0, 36_000),
            (4, Some(7), 0.0, 7),
            (0, Some(100), 1.0, 120),
            (0, Some(u64::MAX), 0.0, 86_400),
        ] {
            let found = pause(failures, retry_after.map(Duration::from_secs), random);
            assert_eq!(found, Duration::from_secs(seconds), "{failures} {retry_after:?} {random}");
        }
    }
}
