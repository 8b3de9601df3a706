//! The function that a schedule starts every minute: it finishes the work of requests that died.

use std::time::{Duration, SystemTime};

use directory::feeds::Tended;
use directory::{Swept, Table};
use jiff::Timestamp;
use lambda_http::{LambdaEvent, lambda_runtime, service_fn};
use runtime::{environment, logging};
use serde_json::{Value, json};
use shared::schema::Schemas;
use tokio::time::Instant;

use crate::lambda::Error;
use crate::metrics::Metrics;

/// The part of an invocation's time that is left for the last request to DynamoDB and for the result.
const TIME_TO_END: Duration = Duration::from_secs(2);

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
    let metrics = Metrics::from_environment();
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let (table, metrics) = (table.clone(), metrics.clone());
        async move {
            let time = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
            let table = table.until(Instant::now() + time.saturating_sub(TIME_TO_END));
            let swept = table.sweep(None, Schemas::built_in(), Timestamp::now()).await;
            let swept = swept.map_err(|error| error.to_string())?;
            if let Some(metrics) = &metrics {
                metrics.print_sweep(&swept);
            }
            let Swept { finished, left, failures } = swept;
            for failure in &failures {
                tracing::error!(failure, "interrupted work could not be finished");
            }
            tracing::info!(finished, left, failed = failures.len(), "interrupted work was swept");
            let tended = table.tend_feeds(None, Timestamp::now()).await;
            let Tended { marked, cleared, failures: feed_failures } =
                tended.map_err(|error| error.to_string())?;
            for failure in &feed_failures {
                tracing::error!(failure, "a feed could not be marked or cleared");
            }
            let failed = failures.len() + feed_failures.len();
            Ok::<_, Error>(json!({
                "finished": finished, "left": left, "marked": marked, "cleared": cleared, "failed": failed
            }))
        }
    }))
    .await
}
