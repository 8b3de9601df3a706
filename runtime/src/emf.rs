//! The embedded metric format of CloudWatch (EMF): log lines of which CloudWatch makes metrics.
//!
//! A line is a JSON object. Its member `_aws` names the metrics and their dimensions, and the other members have the values
//! (Amazon CloudWatch User Guide, "Specification: Embedded metric format"). AWS charges for each metric with each combination
//! of dimension values, in the hours in which it has data. So only what [`Metric`] names becomes a metric, and a counter that is zero
//! does not. Everything else is a property, which only CloudWatch Logs Insights reads.

use std::io::Write as _;

use serde_json::{Map, Value, json};

use crate::escape::escape_json;

/// The namespace of the metrics.
pub const NAMESPACE: &str = "Rollcall";
/// The dimension that all metrics have: the name of the stack.
pub const STACK: &str = "stack";

/// What a value measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number of events since the last line. If it is 0, it is a property and no metric, because its sum is the same.
    Counter,
    /// A number of things at this time.
    Gauge,
    /// A duration in milliseconds.
    Milliseconds,
    /// A duration in seconds.
    Seconds,
    /// A number of days.
    Days,
}

impl Kind {
    /// The unit, as CloudWatch names it. It has no unit for days.
    const fn unit(self) -> &'static str {
        match self {
            Self::Counter | Self::Gauge => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Seconds => "Seconds",
            Self::Days => "None",
        }
    }
}

/// A metric of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name.
    pub name: &'static str,
    /// What it measures.
    pub kind: Kind,
    /// The dimension by whose values it is also split, besides [`STACK`].
    pub by: Option<&'static str>,
}

/// Makes the line of these values. `properties` are the members with the values of the dimensions, and everything that is no metric. Returns
/// `None` if no value is a metric.
pub fn line(
    stack: &str,
    milliseconds: i64,
    values: &[(Metric, f64)],
    properties: Map<String, Value>,
) -> Option<String> {
    let is_metric = |(metric, value): &&(Metric, f64)| metric.kind != Kind::Counter || *value != 0.0;
    // One directive for the metrics with the same dimensions.
    let mut directives: Vec<(Option<&str>, Vec<Value>)> = Vec::new();
    for (metric, _) in values.iter().filter(is_metric) {
        let definition = json!({ "Name": metric.name, "Unit": metric.kind.unit() });
        match directives.iter_mut().find(|(by, _)| *by == metric.by) {
            Some((_, definitions)) => definitions.push(definition),
            None => directives.push((metric.by, vec![definition])),
        }
    }
    if directives.is_empty() {
        return None;
    }
    let directive = |(by, metrics): (Option<&str>, Vec<Value>)| {
        let by = by.map(|dimension| json!([STACK, dimension]));
        let dimensions: Vec<Value> = [json!([STACK])].into_iter().chain(by).collect();
        json!({ "Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics })
    };
    let directives: Vec<Value> = directives.into_iter().map(directive).collect();
    let mut line = Map::new();
    line.insert("_aws".to_owned(), json!({ "Timestamp": milliseconds, "CloudWatchMetrics": directives }));
    line.insert(STACK.to_owned(), stack.into());
    line.extend(properties);
    line.extend(values.iter().map(|(metric, value)| (metric.name.to_owned(), number(*value))));
    Some(Value::Object(line).to_string())
}

/// A whole number without a fraction.
#[expect(clippy::cast_possible_truncation, reason = "the number is whole and smaller than 2^53")]
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 { (value as i64).into() } else { value.into() }
}

/// Prints a line. Lambda sends the standard output to CloudWatch.
pub fn print(line: &str) {
    // As for a log line: nothing can be done about a failure.
    let _ = std::io::stdout().write_all(format!("{}\n", escape_json(line)).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn metric(name: &'static str, kind: Kind, by: Option<&'static str>) -> Metric {
        Metric { name, kind, by }
    }

    const LATENCY: Metric = metric("Latency", Kind::Milliseconds, Some("function"));
    const ERRORS: Metric = metric("Errors", Kind::Counter, Some("function"));
    const CALLS: Metric = metric("Calls", Kind::Counter, None);
    const OPEN: Metric = metric("Open", Kind::Gauge, None);

    #[test]
    fn line_names_metrics_by_dimension_and_leaves_out_counters_of_zero() {
        let properties = Map::from_iter([("function".to_owned(), json!("users-list"))]);
        let values = [(LATENCY, 1.5), (ERRORS, 0.0), (CALLS, 2.0), (OPEN, 0.0)];
        let line: Value = serde_json::from_str(&line("rollcall", 7, &values, properties).unwrap()).unwrap();
        let expected = json!({
            "_aws": {
                "Timestamp": 7,
                "CloudWatchMetrics": [
                    {
                        "Namespace": "Rollcall",
                        "Dimensions": [["stack"], ["stack", "function"]],
                        "Metrics": [{ "Name": "Latency", "Unit": "Milliseconds" }],
                    },
                    {
                        "Namespace": "Rollcall",
                        "Dimensions": [["stack"]],
                        "Metrics": [{ "Name": "Calls", "Unit": "Count" }, { "Name": "Open", "Unit": "Count" }],
                    },
                ],
            },
            "stack": "rollcall", "function": "users-list", "Latency": 1.5, "Errors": 0, "Calls": 2, "Open": 0,
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn values_without_a_metric_make_no_line() {
        assert_eq!(line("rollcall", 7, &[(ERRORS, 0.0)], Map::new()), None);
        assert_eq!(line("rollcall", 7, &[], Map::new()), None);
    }
}
