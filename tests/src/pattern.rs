//! JSON patterns: they describe the expected JSON of an answer, and name each difference.
//!
//! A pattern is JSON of the same form as the answer.
//!
//! | pattern | matches |
//! | --- | --- |
//! | `{"a": 1}` | an object with at least these members |
//! | `{"<nothing else>": true, "a": 1}` | an object with these members and no others |
//! | `[1, 2]` | an array of these elements, in this order, and no others |
//! | `["<in any order>", 1, 2]` | an array of these elements and no others |
//! | `["<among others>", 1, 2]` | an array that has these elements |
//! | `"<3 items>"` | an array of 3 elements |
//! | `"<absent>"` | no value: the member is missing, or the body is empty |
//! | `"<any>"` | any value |
//! | `"<string>"`, `"<number>"`, `"<boolean>"` | a value of that type; the string is not empty |
//! | `"<uuid>"`, `"<timestamp>"`, `"<version>"` | a string of that form; a version is a weak entity tag |
//! | `"<contains TEXT>"` | a string that contains this text |
//! | `"<not TEXT>"` | any other string |
//! | anything else | the same value |
//!
//! If elements may come in any order, each pattern takes the first remaining element that matches it.
//! Therefore write the most specific pattern first.

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

const NOTHING_ELSE: &str = "<nothing else>";
const IN_ANY_ORDER: &str = "<in any order>";
const AMONG_OTHERS: &str = "<among others>";

/// A string with a special meaning, such as `<any>`.
enum Marker<'p> {
    Absent,
    Any,
    Boolean,
    Contains(&'p str),
    Items(usize),
    Not(&'p str),
    Number,
    String,
    Timestamp,
    Uuid,
    Version,
}

impl<'p> Marker<'p> {
    /// Parses a marker. The result is `None` for plain text, and an error for an unknown marker.
    fn parse(text: &'p str) -> Option<Result<Self, String>> {
        let marker = text.strip_prefix('<')?.strip_suffix('>')?;
        let (word, rest) = marker.split_once(' ').unwrap_or((marker, ""));
        Some(match (word, rest) {
            ("absent", "") => Ok(Self::Absent),
            ("any", "") => Ok(Self::Any),
            ("boolean", "") => Ok(Self::Boolean),
            ("contains", text) if !text.is_empty() => Ok(Self::Contains(text)),
            ("not", text) if !text.is_empty() => Ok(Self::Not(text)),
            ("number", "") => Ok(Self::Number),
            ("string", "") => Ok(Self::String),
            ("timestamp", "") => Ok(Self::Timestamp),
            ("uuid", "") => Ok(Self::Uuid),
            ("version", "") => Ok(Self::Version),
            (number, "items") if number.parse::<usize>().is_ok() => {
                Ok(Self::Items(number.parse().unwrap_or_default()))
            }
            _ => Err(format!("no marker is called {text}")),
        })
    }

    fn matches(&self, actual: Option<&Value>) -> bool {
        let Some(actual) = actual else { return matches!(self, Self::Absent) };
        let text = actual.as_str();
        match self {
            Self::Absent => false,
            Self::Any => true,
            Self::Boolean => actual.is_boolean(),
            Self::Contains(part) => text.is_some_and(|text| text.contains(part)),
            Self::Items(count) => actual.as_array().is_some_and(|items| items.len() == *count),
            Self::Not(other) => text.is_some_and(|text| text != *other),
            Self::Number => actual.is_number(),
            Self::String => text.is_some_and(|text| !text.is_empty()),
            Self::Timestamp => text.is_some_and(|text| text.parse::<Timestamp>().is_ok()),
            Self::Uuid => {
                text.is_some_and(|text| Uuid::try_parse(text).is_ok_and(|id| id.to_string() == text))
            }
            Self::Version => text.is_some_and(|text| text.starts_with("W/\"") && text.ends_with('"')),
        }
    }
}

/// The differences between a value and a pattern. `None` is a missing value. `what` names the value in the
/// results.
pub fn differences(what: &str, pattern: &Value, actual: Option<&Value>) -> Vec<String> {
    let mut found = Vec::new();
    compare(pattern, actual, what, &mut found);
    found
}

fn compare(pattern: &Value, actual: Option<&Value>, path: &str, found: &mut Vec<String>) {
    let mut report = |expected: &str| {
        let actual = actual.map_or("nothing".to_owned(), Value::to_string);
        found.push(format!("{path}: expected {expected}, got {actual}"));
    };
    match (pattern, actual) {
        (Value::String(text), actual) => match Marker::parse(text) {
            Some(Ok(marker)) if marker.matches(actual) => {}
            Some(Ok(_)) => report(text),
            Some(Err(error)) => report(&error),
            None if actual == Some(pattern) => {}
            None => report(&pattern.to_string()),
        },
        (Value::Object(pattern), Some(Value::Object(actual))) => {
            compare_objects(pattern, actual, path, found)
        }
        (Value::Array(pattern), Some(Value::Array(actual))) => compare_arrays(pattern, actual, path, found),
        (pattern, actual) if actual == Some(pattern) => {}
        (pattern, _) => report(&pattern.to_string()),
    }
}

fn compare_objects(
    pattern: &Map<String, Value>,
    actual: &Map<String, Value>,
    path: &str,
    found: &mut Vec<String>,
) {
    for (name, pattern) in pattern.iter().filter(|(name, _)| *name != NOTHING_ELSE) {
        compare(pattern, actual.get(name), &format!("{path}/{name}"), found);
    }
    if pattern.contains_key(NOTHING_ELSE) {
        for (name, value) in actual.iter().filter(|(name, _)| !pattern.contains_key(*name)) {
            found.push(format!("{path}/{name}: expected nothing, got {value}"));
        }
    }
}

fn compare_arrays(pattern: &[Value], actual: &[Value], path: &str, found: &mut Vec<String>) {
    let others_allowed = match pattern.first().and_then(Value::as_str) {
        Some(AMONG_OTHERS) => true,
        Some(IN_ANY_ORDER) => false,
        _ => {
            for (index, pattern) in pattern.iter().enumerate() {
                compare(pattern, actual.get(index), &format!("{path}/{index}"), found);
            }
            for (index, value) in actual.iter().enumerate().skip(pattern.len()) {
                found.push(format!("{path}/{index}: expected nothing, got {value}"));
            }
            return;
        }
    };
    let mut left: Vec<&Value> = actual.iter().collect();
    for pattern in &pattern[1..] {
        match left.iter().position(|value| differences(path, pattern, Some(value)).is_empty()) {
            Some(index) => {
                left.remove(index);
            }
            None => found.push(format!("{path}: expected an element {pattern}, got none")),
        }
    }
    if !others_allowed {
        found.extend(left.iter().map(|value| format!("{path}: expected no other element, got {value}")));
    }
}

/// Checks that every marker in a pattern exists.
///
/// # Errors
/// The first unknown marker.
pub fn validate(pattern: &Value) -> Result<(), String> {
    match pattern {
        Value::String(text) => Marker::parse(text).map_or(Ok(()), |marker| marker.map(drop)),
        Value::Array(elements) => {
            let has_marker =
                elements.first().is_some_and(|first| first == IN_ANY_ORDER || first == AMONG_OTHERS);
            elements.iter().skip(usize::from(has_marker)).try_for_each(validate)
        }
        Value::Object(members) => {
            let is_odd = |name: &&String| name.starts_with('<') && *name != NOTHING_ELSE;
            match members.keys().find(is_odd) {
                Some(name) => Err(format!("no marker among names is called {name}")),
                None => members.values().try_for_each(validate),
            }
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(pattern: Value, actual: Value) -> Vec<String> {
        validate(&pattern).unwrap();
        differences("body", &pattern, Some(&actual))
    }

    #[test]
    fn matching_value_has_no_differences() {
        for (pattern, actual) in [
            (json!({ "a": 1 }), json!({ "a": 1, "b": 2 })),
            (json!({ "<nothing else>": true, "a": { "b": 1 } }), json!({ "a": { "b": 1, "c": 2 } })),
            (json!([1, { "a": 1 }]), json!([1, { "a": 1, "b": 2 }])),
            (json!([]), json!([])),
            (json!(["<in any order>", 1, 2]), json!([2, 1])),
            (json!(["<in any order>"]), json!([])),
            (json!(["<among others>", { "a": 2 }]), json!([{ "a": 1 }, { "a": 2 }])),
            (json!("<2 items>"), json!([1, 2])),
            (json!({ "a": "<absent>" }), json!({ "b": 1 })),
            (json!("<any>"), json!(null)),
            (json!("<string>"), json!("x")),
            (json!("<number>"), json!(0)),
            (json!("<boolean>"), json!(false)),
            (json!("<uuid>"), json!("9e107d9d-372b-4b6d-8a0f-2d3f0f0d7c11")),
            (json!("<timestamp>"), json!("2011-05-13T04:42:34Z")),
            (json!("<version>"), json!("W/\"1\"")),
            (json!("<contains b c>"), json!("a b c d")),
            (json!("<not a>"), json!("b")),
            (json!("a<b>"), json!("a<b>")),
            (json!(null), json!(null)),
        ] {
            assert_eq!(check(pattern.clone(), actual), Vec::<String>::new(), "{pattern}");
        }
        assert!(differences("body", &json!("<absent>"), None).is_empty());
    }

    #[test]
    fn each_difference_names_its_place() {
        for (pattern, actual, difference) in [
            (json!({ "a": { "b": 1 } }), json!({ "a": { "b": 2 } }), "body/a/b: expected 1, got 2"),
            (json!({ "a": 1 }), json!({}), "body/a: expected 1, got nothing"),
            (json!({ "a": 1 }), json!([1]), "body: expected {\"a\":1}, got [1]"),
            (json!({ "a": "1" }), json!({ "a": 1 }), "body/a: expected \"1\", got 1"),
            (json!({ "a": null }), json!({}), "body/a: expected null, got nothing"),
            (json!({ "<nothing else>": true }), json!({ "a": 1 }), "body/a: expected nothing, got 1"),
            (json!([1, 2]), json!([1]), "body/1: expected 2, got nothing"),
            (json!([1]), json!([1, 2]), "body/1: expected nothing, got 2"),
            (json!([]), json!({}), "body: expected [], got {}"),
            (json!(["<in any order>", 1]), json!([1, 2]), "body: expected no other element, got 2"),
            (
                json!({ "a": ["<among others>", 3] }),
                json!({ "a": [1] }),
                "body/a: expected an element 3, got none",
            ),
            (json!(["<in any order>", 1, 1]), json!([1]), "body: expected an element 1, got none"),
            (json!("<2 items>"), json!([1]), "body: expected <2 items>, got [1]"),
            (json!({ "a": "<absent>" }), json!({ "a": null }), "body/a: expected <absent>, got null"),
            (json!({ "a": "<any>" }), json!({}), "body/a: expected <any>, got nothing"),
            (json!("<string>"), json!(""), "body: expected <string>, got \"\""),
            (json!("<number>"), json!("1"), "body: expected <number>, got \"1\""),
            (json!("<boolean>"), json!("False"), "body: expected <boolean>, got \"False\""),
            (json!("<uuid>"), json!("bulkId:1"), "body: expected <uuid>, got \"bulkId:1\""),
            (json!("<timestamp>"), json!("now"), "body: expected <timestamp>, got \"now\""),
            (json!("<version>"), json!("1"), "body: expected <version>, got \"1\""),
            (json!("<contains b>"), json!("a"), "body: expected <contains b>, got \"a\""),
            (json!("<not a>"), json!("a"), "body: expected <not a>, got \"a\""),
        ] {
            assert_eq!(check(pattern.clone(), actual), [difference], "{pattern}");
        }
    }

    #[test]
    fn unknown_marker_is_rejected() {
        for pattern in
            [json!("<guid>"), json!([{ "a": "<>" }]), json!({ "<exact>": true }), json!("<x items>")]
        {
            assert!(validate(&pattern).is_err(), "{pattern}");
        }
        assert_eq!(
            differences("body", &json!("<guid>"), Some(&json!("a"))),
            ["body: expected no marker is called <guid>, got \"a\""]
        );
    }
}
