//! The result of one check of a token or an assertion, for the token endpoint and for `scimctl auth explain`.

use jiff::Timestamp;

/// One check: what was expected, and what the token has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was checked: the name of a claim, or `signature`.
    pub name: &'static str,
    /// What is right.
    pub expected: String,
    /// What the token has.
    pub received: String,
    /// Whether it is right.
    pub is_passed: bool,
}

impl Check {
    pub(super) fn new(
        name: &'static str,
        expected: impl Into<String>,
        received: impl Into<String>,
        is_passed: bool,
    ) -> Self {
        Self { name, expected: expected.into(), received: received.into(), is_passed }
    }
}

/// The name of the first check that failed. `None` if all passed.
pub fn first_failure(checks: &[Check]) -> Option<&'static str> {
    checks.iter().find(|check| !check.is_passed).map(|check| check.name)
}

/// A claim as it is shown; `nothing` if it is missing.
pub(super) fn shown(claim: Option<&serde_json::Value>) -> String {
    match claim {
        None => "nothing".to_owned(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

/// A time in seconds since 1970 as it is shown.
pub(super) fn shown_time(seconds: i64) -> String {
    Timestamp::from_second(seconds)
        .map_or_else(|_| "a time that does not exist".to_owned(), |time| time.to_string())
}

/// The values one of which is expected.
pub(super) fn one_of(values: &[String]) -> String {
    values.join(" or ")
}
