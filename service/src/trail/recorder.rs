//! Writes records within a budget, and counts what gets lost.

use std::collections::HashMap;
use std::sync::Mutex;

use directory::Table;
use directory::connectors::ConnectorId;
use directory::trail::Record;
use jiff::Timestamp;
use tokio::time::{Duration, Instant};

use crate::authentication::lock_ignoring_poison;

/// The most records that a process writes in a minute. Each costs up to four write units.
const RECORDS_A_MINUTE: usize = 1_200;
/// The most connectors for which lost records are counted.
const MAX_COUNTED: usize = 1_000;

/// The budget of this process, and its lost records.
#[derive(Debug)]
pub(crate) struct Recorder {
    state: Mutex<State>,
    timeout: Duration,
}

#[derive(Debug, Default)]
struct State {
    /// The minute that `written` is about, counted from 1970.
    minute: i64,
    written: usize,
    lost: HashMap<ConnectorId, usize>,
}

impl Recorder {
    /// A recorder that gives up a write after this time.
    pub fn new(timeout: Duration) -> Self {
        Self { state: Mutex::default(), timeout }
    }

    /// Writes records about a connector, in one attempt with a timeout. What cannot be written is counted, and the
    /// next record has the count.
    pub async fn write(
        &self,
        table: &Table,
        connector: &ConnectorId,
        mut records: Vec<Record>,
        now: Timestamp,
    ) {
        let wanted = records.len();
        let (room, lost_before) = self.reserve(connector, wanted, now);
        records.truncate(room);
        let reason = match records.first_mut() {
            None => Some("the process has written the most records of a minute".to_owned()),
            Some(first) => {
                first.dropped_before = lost_before;
                let table = table.until(Instant::now() + self.timeout);
                let written = table.trail(connector).write(records).await;
                written.err().map(|error| error.to_string())
            }
        };
        let lost = if reason.is_some() { lost_before + wanted } else { wanted - room };
        if lost > 0 {
            self.add_lost(connector, lost);
            let reason = reason.unwrap_or_default();
            tracing::warn!(%connector, lost, reason, "records of the request trail are lost");
        }
    }

    /// Takes room for records, and the number of lost ones.
    fn reserve(&self, connector: &ConnectorId, wanted: usize, now: Timestamp) -> (usize, usize) {
        let mut state = lock_ignoring_poison(&self.state);
        let minute = now.as_second().div_euclid(60);
        if state.minute != minute {
            (state.minute, state.written) = (minute, 0);
        }
        let room = wanted.min(RECORDS_A_MINUTE - state.written);
        state.written += room;
        (room, state.lost.remove(connector).unwrap_or_default())
    }

    fn add_lost(&self, connector: &ConnectorId, lost: usize) {
        let mut state = lock_ignoring_poison(&self.state);
        if state.lost.len() >= MAX_COUNTED {
            state.lost.clear();
        }
        *state.lost.entry(connector.clone()).or_default() += lost;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_begins_anew_each_minute_and_lost_records_are_reported_once() {
        let (recorder, id) = (Recorder::new(Duration::ZERO), ConnectorId::parse("okta").unwrap());
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(recorder.reserve(&id, 1_000, at(60)), (1_000, 0));
        assert_eq!(recorder.reserve(&id, 300, at(119)), (200, 0));
        recorder.add_lost(&id, 100);
        recorder.add_lost(&id, 1);
        assert_eq!(recorder.reserve(&id, 1, at(119)), (0, 101));
        assert_eq!(recorder.reserve(&id, 1, at(120)), (1, 0));
    }
}
