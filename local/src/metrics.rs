//! The metrics of `make run` at `/metrics`, in the text format of Prometheus. They have the same values as the metrics of the
//! functions, and as few labels: the function, the status, and the connectors that the process knows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use directory::{ConnectorHealth, Swept};
use jiff::Timestamp;
use service::{Measurement, Observer};

/// The label of requests to connectors that the process does not know.
const UNKNOWN: &str = "unknown";
/// The upper limits of the histogram of durations, in seconds.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A metric: its name, its explanation, and the function that reads its value.
type Family<Value> = (&'static str, &'static str, Value);
type ValueOfFunction = fn(&OfFunction) -> f64;
type ValueOfConnector = fn(&OfConnector) -> u64;
type ValueOfHealth = fn(&ConnectorHealth, Timestamp) -> Option<f64>;

/// Counts since the start of the process.
#[derive(Debug, Default)]
pub struct Counters(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    functions: BTreeMap<&'static str, OfFunction>,
    /// The requests with wrong credentials and the errors of clients, by connector.
    connectors: BTreeMap<String, OfConnector>,
    events_delivered: usize,
    deliveries_failed: usize,
    /// `None` before the first sweep.
    open_intents: Option<usize>,
}

#[derive(Debug, Default)]
struct OfFunction {
    statuses: BTreeMap<u16, u64>,
    /// The number of requests that took at most as long as each of [`BUCKETS`], and longer than the one before.
    buckets: [u64; BUCKETS.len()],
    seconds: f64,
    calls: u64,
    read_units: f64,
    write_units: f64,
    retries: u64,
    throttles: u64,
}

#[derive(Debug, Default)]
struct OfConnector {
    authentication_failures: u64,
    client_errors: u64,
}

impl Observer for Counters {
    fn observe(&self, measurement: &Measurement) {
        let Measurement { usage, latency, .. } = measurement;
        let mut counts = self.lock();
        let of_function = counts.functions.entry(measurement.function).or_default();
        *of_function.statuses.entry(measurement.status).or_default() += 1;
        let seconds = latency.as_secs_f64();
        of_function.seconds += seconds;
        let bucket = BUCKETS.iter().position(|limit| seconds <= *limit);
        if let Some(bucket) = bucket.and_then(|bucket| of_function.buckets.get_mut(bucket)) {
            *bucket += 1;
        }
        of_function.calls += usage.calls;
        of_function.read_units += usage.read_units;
        of_function.write_units += usage.write_units;
        of_function.retries += usage.retries;
        of_function.throttles += usage.throttles;
        let connector =
            measurement.connector.as_ref().map_or_else(|| UNKNOWN.to_owned(), ToString::to_string);
        let of_connector = counts.connectors.entry(connector).or_default();
        of_connector.authentication_failures += u64::from(measurement.is_authentication_failure());
        of_connector.client_errors += u64::from(measurement.is_client_error());
    }
}

impl Counters {
    /// Counts the events that a consumer accepted, and whether the delivery failed.
    pub fn count_delivery(&self, events: usize, has_failed: bool) {
        let mut counts = self.lock();
        counts.events_delivered += events;
        counts.deliveries_failed += usize::from(has_failed);
    }

    /// Remembers how much interrupted work a sweep left.
    pub fn set_sweep(&self, swept: &Swept) {
        self.lock().open_intents = Some(swept.open());
    }

    /// Writes all metrics. `health` is that of the connectors at this time.
    pub fn render(&self, health: &[ConnectorHealth], now: Timestamp) -> String {
        let counts = self.lock();
        let mut page = Page(String::new());
        counts.render(&mut page);
        render_health(&mut page, health, now);
        page.0
    }

    /// Every change is a sum of its own, so a panic of another thread leaves the counts usable.
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn render(&self, page: &mut Page) {
        page.begin("rollcall_requests_total", "counter", "Requests, by function and status.");
        for (function, of_function) in &self.functions {
            for (status, number) in &of_function.statuses {
                let labels = [("function", *function), ("status", &status.to_string())];
                page.sample("rollcall_requests_total", &labels, *number as f64);
            }
        }
        self.render_durations(page);
        let per_function: [Family<ValueOfFunction>; 5] = [
            ("rollcall_dynamodb_calls_total", "Requests to DynamoDB.", |one| one.calls as f64),
            ("rollcall_read_units_total", "Capacity units of reads.", |one| one.read_units),
            ("rollcall_write_units_total", "Capacity units of writes.", |one| one.write_units),
            ("rollcall_retries_total", "Requests and changes that were tried again.", |one| {
                one.retries as f64
            }),
            ("rollcall_throttles_total", "Requests that DynamoDB refused as too many.", |one| {
                one.throttles as f64
            }),
        ];
        for (name, help, value) in per_function {
            page.begin(name, "counter", help);
            for (function, of_function) in &self.functions {
                page.sample(name, &[("function", function)], value(of_function));
            }
        }
        let per_connector: [Family<ValueOfConnector>; 2] = [
            ("rollcall_authentication_failures_total", "Requests with wrong credentials.", |one| {
                one.authentication_failures
            }),
            ("rollcall_client_errors_total", "Requests with the status 4xx.", |one| one.client_errors),
        ];
        for (name, help, value) in per_connector {
            page.begin(name, "counter", help);
            for (connector, of_connector) in &self.connectors {
                page.sample(name, &[("connector", connector)], value(of_connector) as f64);
            }
        }
        for (name, help, value) in [
            (
                "rollcall_feed_events_delivered_total",
                "Events that consumers accepted, except by polling.",
                self.events_delivered,
            ),
            (
                "rollcall_feed_deliveries_failed_total",
                "Deliveries that a consumer did not accept, or that failed.",
                self.deliveries_failed,
            ),
        ] {
            page.begin(name, "counter", help);
            page.sample(name, &[], value as f64);
        }
        if let Some(open) = self.open_intents {
            let name = "rollcall_open_intents";
            page.begin(
                name,
                "gauge",
                "Changes of several transactions that had not ended at the last sweep.",
            );
            page.sample(name, &[], open as f64);
        }
    }

    fn render_durations(&self, page: &mut Page) {
        let name = "rollcall_request_duration_seconds";
        page.begin(name, "histogram", "How long responses took.");
        for (function, of_function) in &self.functions {
            let requests = of_function.statuses.values().sum::<u64>() as f64;
            let mut sum = 0;
            for (limit, number) in BUCKETS.iter().zip(of_function.buckets) {
                sum += number;
                let labels = [("function", *function), ("le", &limit.to_string())];
                page.sample(&format!("{name}_bucket"), &labels, sum as f64);
            }
            let labels = [("function", *function), ("le", "+Inf")];
            page.sample(&format!("{name}_bucket"), &labels, requests);
            page.sample(&format!("{name}_sum"), &[("function", function)], of_function.seconds);
            page.sample(&format!("{name}_count"), &[("function", function)], requests);
        }
    }
}

fn render_health(page: &mut Page, health: &[ConnectorHealth], now: Timestamp) {
    let values: [Family<ValueOfHealth>; 4] = [
        (
            "rollcall_credential_days_left",
            "Days until the credential that expires next does so.",
            ConnectorHealth::days_left,
        ),
        (
            "rollcall_seconds_since_contact",
            "Seconds since the identity provider used a credential, to the hour.",
            ConnectorHealth::seconds_since_contact,
        ),
        ("rollcall_feed_backlog", "Changes that wait in the feeds, up to 10,000 for each feed.", |one, _| {
            one.feeds.map(|feeds| feeds.changes as f64)
        }),
        ("rollcall_feed_oldest_age_seconds", "The age of the oldest change that waits.", |one, now| {
            one.feeds.map(|feeds| feeds.oldest_age(now))
        }),
    ];
    for (name, help, value) in values {
        page.begin(name, "gauge", help);
        for one in health {
            if let Some(value) = value(one, now) {
                page.sample(name, &[("connector", &one.connector.to_string())], value);
            }
        }
    }
}

/// A page in the text format of Prometheus, version 0.0.4.
struct Page(String);

impl Page {
    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// Writes one value. The values of the labels are names of functions and connectors, and numbers, which need no escapes.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}
