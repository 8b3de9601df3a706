//! JSON that clients send as text in the value of a PATCH operation.

use serde_json::Value;

use super::TargetLocation;
use crate::error::ScimError;
use crate::resource::parse_text;
use crate::schema::{Attribute, Type};

/// Java clients based on SCIM-SDK send complex values as text, alone or in an array:
/// `"value": ["{\"type\": \"work\", \"value\": \"a@b.c\"}"]`.
///
/// Parses the text of such a value. `values` counts the values and names in all such texts of the request. Other text stays,
/// such as the id of a manager.
///
/// # Errors
/// `invalidValue` if text that begins like JSON is not JSON; 413 if the texts have too many values.
pub fn accepts_json_as_text(value: Value, values: &mut usize) -> Result<Value, ScimError> {
    let mut parse = |value: Value| match &value {
        Value::String(text) if text.trim_start().starts_with(['{', '[']) => parse_text(text, values),
        _ => Ok(value),
    };
    match value {
        Value::Array(elements) => elements.into_iter().map(parse).collect(),
        single => parse(single),
    }
}

/// Whether the target has complex values: an attribute with sub-attributes, or an extension.
pub fn is_complex(location: &TargetLocation<'_>) -> bool {
    location.leaf().is_none_or(|leaf: &Attribute| leaf.kind == Type::Complex)
}
