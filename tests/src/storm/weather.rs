//! Which requests to DynamoDB fail, and how: a plan that follows from the seed.

use std::time::Duration;

use super::choices::Choices;

/// How a request to DynamoDB fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// DynamoDB throttles the request.
    Throttled,
    /// The table has no capacity for the request.
    NoCapacity,
    /// DynamoDB answers 500.
    ServerError,
    /// Another transaction holds an item.
    Conflict,
    /// Another transaction holds an item, and the condition of another item fails because of its half-written
    /// state.
    ConflictAndCondition,
    /// The connection ends before the request arrives.
    LostRequest,
    /// DynamoDB processes the request, and the connection ends before the answer arrives.
    LostAnswer,
    /// The request arrives late.
    Late,
    /// The answer arrives late.
    LateAnswer,
    /// An outage: every request fails for a time.
    Outage,
}

/// The faults of single requests, with how often each occurs in relation to the others.
const FAULTS: [(usize, Fault); 9] = [
    (4, Fault::Throttled),
    (2, Fault::NoCapacity),
    (3, Fault::ServerError),
    (5, Fault::Conflict),
    (3, Fault::ConflictAndCondition),
    (3, Fault::LostRequest),
    (5, Fault::LostAnswer),
    (3, Fault::Late),
    (3, Fault::LateAnswer),
];

/// The shares of requests that fail, in thousandths.
const SHARES: [usize; 4] = [0, 10, 40, 120];

/// The faults of one proxy.
#[derive(Clone, Debug)]
pub struct Weather {
    choices: Choices,
    share: usize,
}

impl Weather {
    /// The faults of the proxy with this number in this phase.
    pub fn new(seed: u64, phase: usize, proxy: usize) -> Self {
        let mut choices = Choices::new(seed, stream(1, phase, proxy));
        let share = *choices.pick(&SHARES);
        Self { choices, share }
    }

    /// No faults.
    pub fn calm() -> Self {
        Self { choices: Choices::new(0, 0), share: 0 }
    }

    /// The fault of the next request.
    pub fn next_fault(&mut self) -> Option<(Fault, Duration)> {
        if !self.choices.per_mille(self.share) {
            return None;
        }
        let fault = self.choices.weighted(&FAULTS);
        // Most delays are short. A few are longer than several retries.
        let longest = if self.choices.percent(5) { 3_000 } else { 60 };
        Some((fault, Duration::from_millis(self.choices.between(1, longest) as u64)))
    }
}

/// Something that happens once in a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The service process with this number is killed and started again.
    KillService(usize),
    /// The engine is killed and started again.
    KillEngine,
    /// DynamoDB refuses all requests of the service process with this number, for a time.
    Refuse(usize, Duration),
    /// DynamoDB answers no request of the service process with this number, for a time.
    Hang(usize, Duration),
}

/// The plan of one phase: when it ends, and what happens when.
#[derive(Clone, Debug)]
pub struct Phase {
    /// The length of the phase.
    pub length: Duration,
    /// The events with their times after the start of the phase, in order.
    pub events: Vec<(Duration, Event)>,
}

/// The usual length of a phase, in milliseconds.
const LENGTH: usize = 10_000;
/// The longest outage, in milliseconds: longer than the service has for a request.
const LONGEST_OUTAGE: usize = 31_000;

impl Phase {
    /// The plan of the phase with this number, which may take at most `limit`.
    pub fn new(seed: u64, number: usize, services: usize, limit: Duration) -> Self {
        let mut choices = Choices::new(seed, stream(2, number, 0));
        let usual = choices.between(LENGTH / 2, LENGTH);
        let mut length = Duration::from_millis(usual as u64);
        let mut events = Vec::new();
        let mut add = |choices: &mut Choices, event| {
            events.push((Duration::from_millis(choices.below(usual * 2 / 3) as u64), event));
        };
        for _ in 0..choices.below(3) {
            let event = Event::KillService(choices.below(services));
            add(&mut choices, event);
        }
        if choices.percent(50) {
            add(&mut choices, Event::KillEngine);
        }
        let mut outages = vec![0; choices.below(3)];
        for outage in &mut outages {
            *outage = choices.between(50, 2_500);
        }
        if choices.percent(20) {
            outages.push(choices.between(LONGEST_OUTAGE * 9 / 10, LONGEST_OUTAGE));
        }
        for outage in outages {
            let service = choices.below(services);
            let time = Duration::from_millis(outage as u64);
            let is_long = time >= length;
            if is_long && time * 5 / 4 + length > limit {
                continue;
            }
            if is_long {
                length += time;
            }
            let hangs = choices.percent(50);
            add(&mut choices, if hangs { Event::Hang(service, time) } else { Event::Refuse(service, time) });
        }
        let length = length.min(limit);
        events.retain(|(time, _)| *time < length);
        events.sort_by_key(|(time, _)| *time);
        Self { length, events }
    }
}

/// The number of a stream of choices.
pub fn stream(purpose: u64, phase: usize, number: usize) -> u64 {
    purpose << 48 | (phase as u64) << 16 | number as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_fixes_the_plan() {
        let plan = |seed| format!("{:?}", Phase::new(seed, 3, 2, Duration::from_secs(100)));
        assert_eq!(plan(5), plan(5));
        assert!((0..20).any(|seed| plan(seed) != plan(5)));
    }

    #[test]
    fn phase_with_an_outage_is_long_enough_and_has_no_more_than_its_limit() {
        let mut long = 0;
        for seed in 0..100 {
            let phase = Phase::new(seed, 0, 2, Duration::from_secs(100));
            for (from, event) in &phase.events {
                if let Event::Hang(_, time) | Event::Refuse(_, time) = event {
                    long += usize::from(*time > Duration::from_secs(25));
                    assert!(*time <= Duration::from_secs(31) && *from < phase.length);
                    assert!(phase.length >= *time, "{phase:?}");
                }
            }
            let short = Phase::new(seed, 0, 2, Duration::from_secs(7));
            assert!(short.length <= Duration::from_secs(7));
        }
        assert!(long > 5, "only {long} long outages");
    }
}
