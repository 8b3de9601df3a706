//! Logging: one line for each event, to standard output.

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::environment;

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A JSON object without a time, for CloudWatch, which adds the time.
    Json,
    /// A line of text with a time, for a terminal.
    Text,
}

/// Starts logging at the level that `LOG_LEVEL` names, or at this one if it names none.
pub fn start(format: Format, default_level: &str) {
    let level = environment::variable("LOG_LEVEL").unwrap_or_else(|| default_level.to_owned());
    // Libraries log warnings and errors only.
    let filter: Result<Targets, _> =
        format!("{level},aws_config=warn,aws_runtime=warn,dynoxide=error,hyper=warn").parse();
    let filter = filter.unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer().with_target(false);
    let lines = match format {
        Format::Text => lines.with_ansi(false).boxed(),
        Format::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            lines.without_time().boxed()
        }
    };
    // In tests, several services run in one process. The first of them starts the log for all.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
}
