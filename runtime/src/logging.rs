//! Logging: one line for each event, to standard output.

use std::io::{self, Write};

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::environment;
use crate::escape::{escape, escape_json};

/// The crates that log at the level of `LOG_LEVEL`.
const OWN_CRATES: [&str; 8] =
    ["delivery", "directory", "functions", "local", "runtime", "scimctl", "service", "shared"];
/// The most detailed level of libraries. At finer levels they log headers and bodies, which contain passwords.
const LEVEL_OF_LIBRARIES: LevelFilter = LevelFilter::WARN;

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A JSON object without a time, for CloudWatch, which adds the time.
    Json,
    /// A line of text with a time, for a terminal.
    Text,
}

/// Starts logging at the level that `LOG_LEVEL` names, or at `default_level` if it is not set. An unknown level counts as info.
pub fn start(format: Format, default_level: &str) {
    let level = environment::variable("LOG_LEVEL").unwrap_or_else(|| default_level.to_owned());
    let level = level.parse().unwrap_or(LevelFilter::INFO);
    let filter =
        filter_fn(move |event| *event.level() <= level_of(event.target(), level)).with_max_level_hint(level);
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_writer(move || Line(format));
    let lines = match format {
        Format::Text => lines.with_ansi(false).boxed(),
        Format::Json => {
            // The current span has the trace of a request. A line in text has it anyway.
            let lines = lines.json().flatten_event(true).with_current_span(true).with_span_list(false);
            lines.without_time().boxed()
        }
    };
    // In tests, several services run in one process. The first of them starts the log for all.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
}

/// The level for a target (a module path) when `LOG_LEVEL` is `level`.
fn level_of(target: &str, level: LevelFilter) -> LevelFilter {
    let name = target.split("::").next().unwrap_or_default();
    if OWN_CRATES.contains(&name) { level } else { level.min(LEVEL_OF_LIBRARIES) }
}

/// Writes one log line to standard output. Escapes it, so that a value cannot start a second line or change how the line
/// looks.
struct Line(Format);

impl Write for Line {
    /// Writes an event. The subscriber passes each event as a whole, with a line end.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = match self.0 {
            Format::Json => escape_json(line),
            Format::Text => escape(line),
        };
        io::stdout().write_all(format!("{line}\n").as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crates_of_the_project_follow_the_level() {
        for (target, level, expected) in [
            ("service::service", LevelFilter::TRACE, LevelFilter::TRACE),
            ("directory", LevelFilter::DEBUG, LevelFilter::DEBUG),
            ("service_fn", LevelFilter::TRACE, LevelFilter::WARN),
            ("hyper::proto::h1::io", LevelFilter::TRACE, LevelFilter::WARN),
            ("hyper", LevelFilter::ERROR, LevelFilter::ERROR),
            ("aws_smithy_runtime", LevelFilter::OFF, LevelFilter::OFF),
            ("", LevelFilter::DEBUG, LevelFilter::WARN),
        ] {
            assert_eq!(level_of(target, level), expected, "{target} at {level}");
        }
    }

    #[test]
    fn every_crate_except_tools_and_tests_follows_the_level() {
        let manifest = include_str!("../../Cargo.toml");
        let (_, members) = manifest.split_once("members = [").unwrap();
        let (members, _) = members.split_once(']').unwrap();
        let members = members.split(',').map(|member| member.trim().trim_matches('"'));
        let members: Vec<&str> =
            members.filter(|member| !["bench", "tests", "tools/routes"].contains(member)).collect();
        assert_eq!(members, OWN_CRATES);
    }
}
