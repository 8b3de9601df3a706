//! Finishes the work of requests that died, as the function `directory-sweep` does in a deployment.

use std::time::Duration;

use directory::{Swept, Table};
use jiff::Timestamp;
use shared::schema::Schemas;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::metrics::Counters;

/// How often to look for interrupted work. Work counts as interrupted after 6 seconds without progress, so it is taken up
/// within 10 seconds.
const INTERVAL: Duration = Duration::from_secs(3);
/// How long one sweep may take. The next one continues it.
const SWEEP_TIME: Duration = Duration::from_secs(60);

/// Sweeps until it is dropped.
pub async fn sweep(table: Table, counters: &Counters) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let table = table.until(Instant::now() + SWEEP_TIME);
        match table.sweep(None, Schemas::built_in(), Timestamp::now()).await {
            Ok(swept) => {
                counters.set_sweep(&swept);
                let Swept { finished, failures, .. } = swept;
                for failure in failures {
                    tracing::warn!(failure, "interrupted work could not be finished");
                }
                if finished > 0 {
                    tracing::info!(finished, "finished interrupted work");
                }
            }
            Err(error) => tracing::warn!(%error, "cannot look for interrupted work"),
        }
        match table.tend_feeds(None, Timestamp::now()).await {
            Ok(tended) => {
                for failure in tended.failures {
                    tracing::warn!(failure, "a feed could not be marked or cleared");
                }
            }
            Err(error) => tracing::warn!(%error, "cannot look for feeds"),
        }
    }
}
