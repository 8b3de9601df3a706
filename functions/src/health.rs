//! Measures the health of the connectors every five minutes, with runs of the schedule of `feeds-deliver`. That function may read
//! credentials, which `directory-sweep` may not.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use directory::{Measured, Table};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::metrics::Metrics;

/// The least time between two measurements of a process. The schedule runs every minute, some seconds earlier or later.
const PAUSE: Duration = Duration::from_secs(280);

/// When this process measured, and what prints the results.
#[derive(Debug)]
pub struct HealthCheck {
    metrics: Arc<Metrics>,
    measured: Mutex<Option<Instant>>,
}

impl HealthCheck {
    /// Makes a check that has not run yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, measured: Mutex::new(None) }
    }

    /// Measures and prints the health of each connector, unless this process did so a moment ago. A failure is only logged: it must not
    /// stop a delivery.
    pub async fn run(&self, table: &Table, now: Timestamp) {
        let is_due = {
            let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
            let is_due = measured.is_none_or(|measured| measured.elapsed() >= PAUSE);
            if is_due {
                *measured = Some(Instant::now());
            }
            is_due
        };
        if !is_due {
            return;
        }
        match table.connector_health(now).await {
            Ok(Measured { connectors, left_out, failures }) => {
                for health in &connectors {
                    self.metrics.print_health(health, now);
                }
                for failure in failures {
                    tracing::error!(failure, "the health of a connector could not be measured");
                }
                if left_out > 0 {
                    tracing::warn!(left_out, "there are too many connectors to measure the health of each");
                }
            }
            Err(error) => tracing::error!(%error, "the health of the connectors could not be measured"),
        }
    }
}
