//! The function that sends the events of feeds to URLs and event buses. The table's stream starts it for new changes, and a schedule every minute
//! for what failed before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use delivery::target::Reach;
use delivery::{Delivered, Deliverer, EventBuses, When};
use directory::Table;
use directory::connectors::ConnectorId;
use directory::feeds::{DeliveryResult, FeedId, parse_outbox_partition};
use futures_util::future::join_all;
use jiff::Timestamp;
use lambda_http::{LambdaEvent, lambda_runtime, service_fn};
use runtime::{environment, logging};
use serde_json::{Value, json};
use shared::error::ScimError;
use shared::schema::Schemas;
use tokio::time::Instant;

use crate::health::HealthCheck;
use crate::lambda::Error;
use crate::metrics::Metrics;

/// The part of an invocation's time that is left for the last request to DynamoDB and for the result.
const TIME_TO_END: Duration = Duration::from_secs(2);
/// How long changes of one part of the stream may wait for the consumers of those before. The schedule continues a longer delivery.
const STREAM_TIME: Duration = Duration::from_secs(45);

/// Runs the function until Lambda stops it.
///
/// # Errors
/// If the process does not have the environment of a Lambda function, or cannot reach the runtime API.
pub fn run() -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve())
}

async fn serve() -> Result<(), Error> {
    logging::start(logging::Format::Json, "info");
    let table = Table::new(runtime::dynamodb::client().await, environment::table_name());
    let reach = Reach::new(environment::allows_private_targets());
    let buses = EventBuses::new(|| runtime::dynamodb::aws_loader().load());
    let deliverer = Deliverer::new(table.clone(), Schemas::built_in(), reach, buses)?;
    let metrics = Metrics::from_environment();
    let health = metrics.clone().map(|metrics| Arc::new(HealthCheck::new(metrics)));
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let (table, deliverer) = (table.clone(), deliverer.clone());
        let (metrics, health) = (metrics.clone(), health.clone());
        async move {
            let time = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
            let end = Instant::now() + time.saturating_sub(TIME_TO_END);
            let (result, totals) = match event.payload.get("Records").and_then(Value::as_array) {
                Some(records) => {
                    let end = end.min(Instant::now() + STREAM_TIME);
                    deliver_changes(&deliverer, records, end).await
                }
                None => {
                    let table = table.until(end);
                    let check = async {
                        if let Some(health) = &health {
                            health.run(&table, Timestamp::now()).await;
                        }
                    };
                    let (delivered, ()) = tokio::join!(deliver_due(&table, &deliverer, end), check);
                    delivered?
                }
            };
            if let Some(metrics) = &metrics {
                metrics.print_delivery(totals.events, totals.failed);
            }
            Ok::<_, Error>(result)
        }
    }))
    .await
}

/// Delivers the feeds of new items in the stream. The result names the first record of each feed that could not be read or
/// changed; Lambda sends the records from there again. A failure of a consumer is none of these: it is stored in the feed.
async fn deliver_changes(deliverer: &Deliverer, records: &[Value], end: Instant) -> (Value, Totals) {
    let mut first_records: BTreeMap<(ConnectorId, FeedId), &str> = BTreeMap::new();
    for record in records {
        // The filter of the event source selects new items of outboxes. An acknowledgement, which removes items, delivers nothing.
        let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
        let key = text("/dynamodb/Keys/pk/S").filter(|_| text("/eventName") != Some("REMOVE"));
        if let Some(feed) = key.and_then(parse_outbox_partition) {
            let number = text("/dynamodb/SequenceNumber").unwrap_or_default();
            first_records.entry(feed).or_insert(number);
        }
    }
    let deliveries = first_records.keys().map(|(connector, feed)| deliver(deliverer, connector, feed, end));
    let results = join_all(deliveries).await;
    let failed = first_records.values().zip(&results).filter(|(_, result)| result.is_err());
    let failures: Vec<Value> = failed.map(|(number, _)| json!({ "itemIdentifier": number })).collect();
    (json!({ "batchItemFailures": failures }), Totals::of(&results))
}

/// Delivers all feeds that are due. `table` has the deadline `end`.
async fn deliver_due(table: &Table, deliverer: &Deliverer, end: Instant) -> Result<(Value, Totals), Error> {
    let due = table.feeds_to_deliver(Timestamp::now()).await.map_err(|error| error.to_string())?;
    let deliveries = due.iter().map(|(connector, feed)| deliver(deliverer, connector, &feed.id, end));
    let totals = Totals::of(&join_all(deliveries).await);
    let Totals { events, failed } = totals;
    tracing::info!(events, failed, "feeds were delivered");
    Ok((json!({ "events": events, "failed": failed }), totals))
}

/// What several deliveries did.
#[derive(Clone, Copy, Debug)]
struct Totals {
    /// The number of events that the consumers accepted.
    events: usize,
    /// The number of feeds whose consumer did not accept all events, or that could not be delivered.
    failed: usize,
}

impl Totals {
    fn of(results: &[Result<(usize, bool), ScimError>]) -> Self {
        let events = results.iter().flatten().map(|(events, _)| events).sum();
        let failed = results.iter().filter(|result| !matches!(result, Ok((_, true)))).count();
        Self { events, failed }
    }
}

/// Delivers one feed. Returns the number of events that its consumer accepted, and whether it accepted all.
async fn deliver(
    deliverer: &Deliverer,
    connector: &ConnectorId,
    feed: &FeedId,
    end: Instant,
) -> Result<(usize, bool), ScimError> {
    match deliverer.deliver(connector, feed, When::Due, Timestamp::now(), end).await {
        Ok(Delivered::Nothing | Delivered::Busy) => Ok((0, true)),
        Ok(Delivered::Sent { events, result: DeliveryResult::Delivered }) => Ok((events, true)),
        Ok(Delivered::Sent { events, result }) => {
            let (DeliveryResult::Failed { error, .. } | DeliveryResult::Gone { error }) = &result else {
                return Ok((events, true));
            };
            tracing::warn!(%connector, %feed, events, error, "a consumer did not accept an event");
            Ok((events, false))
        }
        Err(error) => {
            tracing::error!(%error, %connector, %feed, "a feed could not be delivered");
            Err(error)
        }
    }
}
