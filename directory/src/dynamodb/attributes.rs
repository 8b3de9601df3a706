//! Items as the SDK has them, and the values of their attributes.

use std::collections::HashMap;
use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue;

/// An item: its attributes by name.
pub type Item = HashMap<String, AttributeValue>;

/// Makes a string value.
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// Makes a number value.
pub fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Makes a Boolean value.
pub fn boolean(value: bool) -> AttributeValue {
    AttributeValue::Bool(value)
}

/// Reads a string attribute.
pub fn get_text<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// Reads a number attribute.
pub fn get_number<N: FromStr>(item: &Item, name: &str) -> Option<N> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// Reads a Boolean attribute; a missing one is false.
pub fn is_true(item: &Item, name: &str) -> bool {
    item.get(name).is_some_and(|value| value.as_bool() == Ok(&true))
}
