//! The metrics of the functions: their names, and the lines that are printed for CloudWatch.
//!
//! | line | printed by | dimensions besides `stack` |
//! | --- | --- | --- |
//! | [`REQUEST`] | each function of a route, for each request | `function`, `connector` |
//! | [`DELIVERY`] | `feeds-deliver`, for each run that sent events | none |
//! | [`CONNECTOR`] | `feeds-deliver`, for each connector every five minutes | `connector` |
//! | [`SWEEP`] | `directory-sweep`, for each run | none |
//!
//! `docs/operate/metrics.md` explains each metric, and `docs/operate/cost.md` says what they cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use directory::{ConnectorHealth, Swept};
use jiff::Timestamp;
use runtime::emf::Kind::{Counter, Days, Gauge, Milliseconds, Seconds};
use runtime::emf::{self, Metric};
use runtime::environment;
use serde_json::{Map, Value, json};
use service::{Measurement, Observer};

const FUNCTION: &str = "function";
const CONNECTOR_ID: &str = "connector";

/// The value of the dimension `connector` for all requests to connectors that the process does not know.
pub const UNKNOWN: &str = "unknown";

const fn metric(name: &'static str, kind: emf::Kind, by: Option<&'static str>) -> Metric {
    Metric { name, kind, by }
}

const LATENCY: Metric = metric("Latency", Milliseconds, Some(FUNCTION));
const ERRORS_5XX: Metric = metric("Errors5xx", Counter, Some(FUNCTION));
const ERRORS_4XX: Metric = metric("Errors4xx", Counter, Some(CONNECTOR_ID));
const AUTHENTICATION_FAILURES: Metric = metric("AuthenticationFailures", Counter, Some(CONNECTOR_ID));
const DYNAMODB_CALLS: Metric = metric("DynamoDbCalls", Counter, None);
const READ_UNITS: Metric = metric("ReadUnits", Counter, None);
const WRITE_UNITS: Metric = metric("WriteUnits", Counter, None);
const RETRIES: Metric = metric("Retries", Counter, None);
const THROTTLES: Metric = metric("Throttles", Counter, None);
const COLD_STARTS: Metric = metric("ColdStarts", Counter, None);

const FEED_EVENTS_DELIVERED: Metric = metric("FeedEventsDelivered", Counter, None);
const FEED_DELIVERIES_FAILED: Metric = metric("FeedDeliveriesFailed", Counter, None);

const CREDENTIAL_DAYS_LEFT: Metric = metric("CredentialDaysLeft", Days, Some(CONNECTOR_ID));
const SECONDS_SINCE_CONTACT: Metric = metric("SecondsSinceContact", Seconds, Some(CONNECTOR_ID));
const FEED_BACKLOG: Metric = metric("FeedBacklog", Gauge, Some(CONNECTOR_ID));
const FEED_OLDEST_AGE: Metric = metric("FeedOldestAge", Seconds, Some(CONNECTOR_ID));

const OPEN_INTENTS: Metric = metric("OpenIntents", Gauge, None);

/// The metrics of a request.
pub const REQUEST: &[Metric] = &[
    LATENCY,
    ERRORS_5XX,
    ERRORS_4XX,
    AUTHENTICATION_FAILURES,
    DYNAMODB_CALLS,
    READ_UNITS,
    WRITE_UNITS,
    RETRIES,
    THROTTLES,
    COLD_STARTS,
];
/// The metrics of a delivery of events.
pub const DELIVERY: &[Metric] = &[FEED_EVENTS_DELIVERED, FEED_DELIVERIES_FAILED];
/// The metrics of a connector's health.
pub const CONNECTOR: &[Metric] =
    &[CREDENTIAL_DAYS_LEFT, SECONDS_SINCE_CONTACT, FEED_BACKLOG, FEED_OLDEST_AGE];
/// The metrics of a sweep.
pub const SWEEP: &[Metric] = &[OPEN_INTENTS];
/// The metrics of all lines.
pub const LINES: [&[Metric]; 4] = [REQUEST, DELIVERY, CONNECTOR, SWEEP];

/// Prints the metrics of this process.
#[derive(Debug)]
pub struct Metrics {
    stack: String,
    /// Whether the process has answered a request.
    has_answered: AtomicBool,
}

impl Metrics {
    /// Makes the metrics of the stack that the environment names. `None` if they are off.
    pub fn from_environment() -> Option<Arc<Self>> {
        environment::metrics().map(|stack| Arc::new(Self { stack, has_answered: AtomicBool::new(false) }))
    }

    /// Prints how many events the consumers accepted, and how many feeds could not be delivered.
    pub fn print_delivery(&self, delivered: usize, failed: usize) {
        let values = [(FEED_EVENTS_DELIVERED, count(delivered)), (FEED_DELIVERIES_FAILED, count(failed))];
        self.print(&values, Map::new());
    }

    /// Prints the health of a connector. What it does not have is left out, because a value would raise an alarm.
    pub fn print_health(&self, health: &ConnectorHealth, now: Timestamp) {
        let seconds = |from: Timestamp, to: Timestamp| (to - from).as_secs_f64();
        let mut values = Vec::new();
        if let Some(expires) = health.expires {
            values.push((CREDENTIAL_DAYS_LEFT, seconds(now, expires) / 86_400.0));
        }
        if let Some(contact) = health.last_contact {
            values.push((SECONDS_SINCE_CONTACT, seconds(contact, now)));
        }
        if let Some(feeds) = &health.feeds {
            values.push((FEED_BACKLOG, count(feeds.changes)));
            values.push((FEED_OLDEST_AGE, feeds.oldest.map_or(0.0, |oldest| seconds(oldest, now))));
        }
        self.print(&values, properties([(CONNECTOR_ID, json!(health.connector.to_string()))]));
    }

    /// Prints how much interrupted work a sweep left.
    pub fn print_sweep(&self, swept: &Swept) {
        let failed = swept.failures.len();
        let properties = properties([("finished", json!(swept.finished)), ("failed", json!(failed))]);
        self.print(&[(OPEN_INTENTS, count(swept.left + failed))], properties);
    }

    fn print(&self, values: &[(Metric, f64)], properties: Map<String, Value>) {
        if let Some(line) = emf::line(&self.stack, Timestamp::now().as_millisecond(), values, properties) {
            emf::print(&line);
        }
    }
}

impl Observer for Metrics {
    fn observe(&self, measurement: &Measurement) {
        let usage = measurement.usage;
        let is_cold = !self.has_answered.swap(true, Ordering::Relaxed);
        let flag = |is_set: bool| if is_set { 1.0 } else { 0.0 };
        let values = [
            (LATENCY, measurement.latency.as_secs_f64() * 1_000.0),
            (ERRORS_5XX, flag(measurement.is_server_error())),
            (ERRORS_4XX, flag(measurement.is_client_error())),
            (AUTHENTICATION_FAILURES, flag(measurement.is_authentication_failure())),
            (DYNAMODB_CALLS, usage.calls as f64),
            (READ_UNITS, usage.read_units),
            (WRITE_UNITS, usage.write_units),
            (RETRIES, usage.retries as f64),
            (THROTTLES, usage.throttles as f64),
            (COLD_STARTS, flag(is_cold)),
        ];
        let connector =
            measurement.connector.as_ref().map_or_else(|| UNKNOWN.to_owned(), ToString::to_string);
        let mut properties = properties([
            (FUNCTION, json!(measurement.function)),
            (CONNECTOR_ID, json!(connector)),
            ("status", json!(measurement.status)),
            ("id", json!(measurement.request)),
        ]);
        if let Some(trace) = &measurement.trace {
            properties.insert("trace".to_owned(), json!(trace.to_string()));
        }
        self.print(&values, properties);
    }
}

fn properties<const N: usize>(properties: [(&str, Value); N]) -> Map<String, Value> {
    properties.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
}

fn count(number: usize) -> f64 {
    number as f64
}
