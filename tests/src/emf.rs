//! Reads lines in the embedded metric format of CloudWatch as CloudWatch does, and refuses what its specification does not allow
//! (Amazon CloudWatch User Guide, "Specification: Embedded metric format").

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// The units that this project uses, of those that CloudWatch knows.
const UNITS: [&str; 4] = ["Count", "Milliseconds", "Seconds", "None"];

/// A metric: its name, and its dimensions with their values. AWS charges for each.
pub type MetricId = (String, BTreeMap<String, String>);

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// The metrics for which it has a value, as `Name{dimension=value}`, with their units.
    pub units: BTreeMap<MetricId, String>,
    /// The members except `_aws`: the values of metrics and dimensions, and the properties.
    pub members: Map<String, Value>,
}

impl Line {
    /// Reads a log line. `None` if it has no metrics.
    ///
    /// # Panics
    /// When the line breaks the specification.
    pub fn parse(line: &str) -> Option<Self> {
        let Ok(Value::Object(mut members)) = serde_json::from_str(line) else { return None };
        let metadata = members.remove("_aws")?;
        assert!(line.len() <= 256 * 1024, "the line is too long");
        assert!(metadata["Timestamp"].as_i64().is_some_and(|time| time > 1_700_000_000_000), "{line}");
        let directives = metadata["CloudWatchMetrics"].as_array().expect("there is a list of directives");
        let mut units = BTreeMap::new();
        for directive in directives {
            assert_eq!(directive["Namespace"], "Rollcall", "{line}");
            let metrics = directive["Metrics"].as_array().expect("a directive has metrics");
            assert!((1..=100).contains(&metrics.len()), "{line}");
            let sets = directive["Dimensions"].as_array().expect("a directive has dimensions");
            assert!(!sets.is_empty(), "{line}");
            for set in sets {
                let dimensions = dimensions(set, &members);
                for metric in metrics {
                    let name = metric["Name"].as_str().expect("a metric has a name").to_owned();
                    let unit = metric["Unit"].as_str().expect("a metric has a unit").to_owned();
                    assert!(UNITS.contains(&unit.as_str()), "{line}");
                    assert!(members[&name].is_number(), "{name} has a number in {line}");
                    let is_new = units.insert((name, dimensions.clone()), unit).is_none();
                    assert!(is_new, "a metric is named twice: {line}");
                }
            }
        }
        Some(Self { units, members })
    }

    /// The metrics without the values of their dimensions: `Latency` with `["function", "stack"]`.
    pub fn kinds(&self) -> BTreeSet<(String, Vec<String>)> {
        let ids = self.units.keys();
        ids.map(|(name, dimensions)| (name.clone(), dimensions.keys().cloned().collect())).collect()
    }

    /// The value of a metric or property, as a number.
    ///
    /// # Panics
    /// When it is missing or no number.
    pub fn number(&self, name: &str) -> f64 {
        let value = self.members.get(name).and_then(Value::as_f64);
        value.unwrap_or_else(|| panic!("{name} in {:?}", self.members))
    }
}

/// The dimensions of a set, with their values.
fn dimensions(set: &Value, members: &Map<String, Value>) -> BTreeMap<String, String> {
    let names = set.as_array().expect("a set of dimensions is a list");
    assert!((1..=30).contains(&names.len()), "{set}");
    let value = |name: &Value| {
        let name = name.as_str().expect("a dimension has a name");
        let value = members[name].as_str().expect("the value of a dimension is text");
        assert!(
            (1..=1_024).contains(&value.len()) && value.is_ascii() && !value.starts_with(':'),
            "{value:?}"
        );
        (name.to_owned(), value.to_owned())
    };
    let dimensions: BTreeMap<_, _> = names.iter().map(value).collect();
    assert_eq!(dimensions.len(), names.len(), "{set}");
    dimensions
}
