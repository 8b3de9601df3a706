//! Normalises the JSON that a client sends to a document: spells names as in the schema, checks values, and
//! removes read-only attributes.
//!
//! It is lenient only where a deployed client needs that. Each leniency is a function whose name begins with
//! `accepts_`.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Number, Value};

use super::{Document, ResourceKind};
use crate::error::{ErrorKind, ScimError};
use crate::interop_profile;
use crate::limits::MAX_ATTRIBUTE_VALUES;
use crate::schema::{Attribute, Mutability, ResourceSchema, Returned, Schema, Type};

/// Makes a document from the body of a POST or PUT (RFC 7644 §3.3, §3.5.1).
///
/// Attributes that are unknown, read-only, null or empty are left out (RFC 7643 §2.5: they are unassigned).
/// So are the `members` of a group, which the directory stores as memberships: see
/// [`members_of_body`](crate::patch::members_of_body).
///
/// # Errors
/// `invalidValue` for a value of the wrong type, or a required attribute that is missing; `invalidSyntax` if
/// `schemas` is not a list of URNs, or contains the URN of another resource type. For a strict connector also those of
/// [`interop_profile`].
pub fn normalise(body: &Map<String, Value>, schema: &ResourceSchema) -> Result<Document, ScimError> {
    if schema.is_strict {
        interop_profile::check_body(body, schema)?;
    }
    let mut document = Document::new();
    document.insert("schemas".into(), Value::Array(Vec::new()));
    for (name, value) in body {
        if let Some(extension) = schema.extension(name) {
            if let Some(values) = normalise_extension(extension, value)? {
                document.insert(extension.id.clone(), Value::Object(values));
            }
        } else if name.eq_ignore_ascii_case("schemas") {
            check_schemas(value, schema)?;
        } else if let Some(attribute) = schema.core.attribute(name)
            && !(schema.kind == ResourceKind::Group && attribute.name == "members")
            && let Some(value) = normalise_attribute(attribute, value, &attribute.name)?
        {
            document.insert(attribute.name.clone(), value);
        }
    }
    finish(&mut document, schema)?;
    Ok(document)
}

/// Sets `schemas` to the schemas whose attributes the document has (RFC 7643 §3), and checks the required
/// attributes.
///
/// # Errors
/// `invalidValue` if a required attribute is missing.
pub fn finish(document: &mut Document, schema: &ResourceSchema) -> Result<(), ScimError> {
    check_required(&schema.core, document, "")?;
    let mut urns = vec![Value::from(schema.core.id.as_str())];
    for (extension, declared) in schema.extensions.iter().zip(&schema.resource_type.schema_extensions) {
        match document.get(&extension.id).and_then(Value::as_object) {
            Some(values) => {
                check_required(extension, values, &format!("{}:", extension.id))?;
                urns.push(extension.id.as_str().into());
            }
            None if declared.required => {
                return Err(ScimError::invalid_value(format!("{} is missing; it is required", extension.id)));
            }
            None => {}
        }
    }
    document.insert("schemas".into(), Value::Array(urns));
    Ok(())
}

fn check_required(schema: &Schema, values: &Map<String, Value>, prefix: &str) -> Result<(), ScimError> {
    let is_missing = |attribute: &&Attribute| match values.get(&attribute.name) {
        None => true,
        Some(Value::String(text)) => text.trim().is_empty(),
        Some(_) => false,
    };
    let mut required = schema
        .attributes
        .iter()
        .filter(|attribute| attribute.required && attribute.mutability != Mutability::ReadOnly);
    match required.find(is_missing) {
        Some(attribute) => {
            let detail = format!("{prefix}{} is missing or empty; it is required", attribute.name);
            Err(ScimError::invalid_value(detail))
        }
        None => Ok(()),
    }
}

/// Checks the `schemas` of a body: it must not be a resource of another type.
fn check_schemas(value: &Value, schema: &ResourceSchema) -> Result<(), ScimError> {
    let invalid = |detail: String| Err(ScimError::new(ErrorKind::InvalidSyntax, detail));
    let Value::Array(urns) = value else {
        return invalid(format!("schemas is {}; it must be an array of URNs", type_name(value)));
    };
    for urn in urns {
        let Value::String(urn) = urn else {
            return invalid(format!("schemas contains {}; it must be an array of URNs", type_name(urn)));
        };
        if !urn.eq_ignore_ascii_case(&schema.core.id) && !accepts_an_unknown_urn(urn) {
            return invalid(format!("schemas contains {urn}; this endpoint expects {}", schema.core.id));
        }
    }
    Ok(())
}

/// OneLogin sends the URN of SCIM 1, and Entra ID sends a URN of its own. The URNs of extensions are not
/// needed either: a document has an extension if it has attributes of the extension.
fn accepts_an_unknown_urn(urn: &str) -> bool {
    let urn = urn.to_ascii_lowercase();
    !urn.starts_with("urn:ietf:params:scim:schemas:core:2.0:")
        && !urn.starts_with("urn:ietf:params:scim:api:messages:")
}

fn normalise_extension(extension: &Schema, value: &Value) -> Result<Option<Map<String, Value>>, ScimError> {
    let values = match value {
        Value::Null => return Ok(None),
        Value::Object(values) => values,
        other => return Err(wrong_type(&extension.id, "an object", other)),
    };
    let mut out = Map::new();
    for (name, value) in values {
        if let Some(attribute) = extension.attribute(name)
            && let Some(value) =
                normalise_attribute(attribute, value, &format!("{}:{}", extension.id, attribute.name))?
        {
            out.insert(attribute.name.clone(), value);
        }
    }
    Ok((!out.is_empty()).then_some(out))
}

/// Normalises the value of one attribute. Returns `None` if no value is stored. `path` is the attribute's
/// name in errors.
///
/// # Errors
/// `invalidValue` for a value of the wrong type, or for more than one primary value (RFC 7643 §2.4).
pub fn normalise_attribute(
    attribute: &Attribute,
    value: &Value,
    path: &str,
) -> Result<Option<Value>, ScimError> {
    if attribute.mutability == Mutability::ReadOnly {
        return Ok(None);
    }
    if !attribute.multi_valued {
        let value = accepts_an_array_of_one_for_a_single_value(value);
        if accepts_an_empty_element_as_unassigned(attribute, value) {
            return Ok(None);
        }
        let value = normalise_value(attribute, value, path)?;
        // The type of a password is checked, but the password is not stored: nothing in this service provider
        // uses it.
        return Ok(value.filter(|_| attribute.returned != Returned::Never));
    }
    let values = values_of(value);
    check_count(attribute, values.len())?;
    let mut out: Vec<Value> = Vec::with_capacity(values.len());
    let mut seen = std::collections::HashSet::with_capacity(values.len());
    for value in values.iter().filter(|value| !accepts_an_empty_element_as_unassigned(attribute, value)) {
        if let Some(value) = normalise_value(attribute, value, path)?
            && seen.insert(value.to_string())
        {
            out.push(value);
        }
    }
    if out.iter().filter(|value| is_primary(value)).count() > 1 {
        return Err(ScimError::invalid_value(format!(
            "{path} has more than one primary value; only one is allowed"
        )));
    }
    Ok((!out.is_empty()).then_some(Value::Array(out)))
}

/// Returns the values of a multi-valued attribute.
pub fn values_of(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(values) => values.as_slice(),
        single => accepts_a_single_value_for_a_multi_valued_attribute(single),
    }
}

/// Checks the number of values of a multi-valued attribute.
///
/// # Errors
/// 413 if there are more values than [`MAX_ATTRIBUTE_VALUES`].
pub fn check_count(attribute: &Attribute, count: usize) -> Result<(), ScimError> {
    if count <= MAX_ATTRIBUTE_VALUES {
        return Ok(());
    }
    let detail = format!("{} has {count} values; the maximum is {MAX_ATTRIBUTE_VALUES}", attribute.name);
    Err(ScimError::new(ErrorKind::PayloadTooLarge, detail))
}

/// Whether this element of a multi-valued attribute is the primary one.
pub fn is_primary(value: &Value) -> bool {
    value.get("primary").and_then(Value::as_bool) == Some(true)
}

/// Normalises a value of an attribute with one value, or one of the values of a multi-valued attribute. Returns `None` for
/// null and for an object without known sub-attributes.
///
/// # Errors
/// `invalidValue` for a value of the wrong type.
pub fn normalise_value(attribute: &Attribute, value: &Value, path: &str) -> Result<Option<Value>, ScimError> {
    let value = accepts_an_object_for_a_simple_value(attribute, value);
    let wrong = |expected: &str| Err(wrong_type(path, expected, value));
    if value.is_null() {
        return Ok(None);
    }
    match attribute.kind {
        Type::String | Type::Reference => match value {
            Value::String(_) => {}
            Value::Number(number) => return Ok(Some(accepts_a_number_for_a_string(number))),
            _ => return wrong("a string"),
        },
        Type::Boolean => match accepts_booleans_as_strings(value) {
            Some(boolean) => return Ok(Some(Value::Bool(boolean))),
            None => return wrong("a boolean"),
        },
        Type::Integer => match accepts_a_number_as_a_string(value) {
            Some(number) if number.is_i64() => return Ok(Some(Value::Number(number))),
            _ => return wrong("an integer"),
        },
        Type::Decimal => match accepts_a_number_as_a_string(value) {
            Some(number) => return Ok(Some(Value::Number(number))),
            None => return wrong("a number"),
        },
        Type::DateTime => match value {
            Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => {}
            _ => return wrong("a date and time with an offset, such as 2011-05-13T04:42:34Z"),
        },
        Type::Binary => match value {
            Value::String(text) if decode_base64(text).is_some() => {}
            _ => return wrong("a base64 string"),
        },
        Type::Complex => return normalise_complex(attribute, value, path),
    }
    Ok(Some(value.clone()))
}

fn normalise_complex(attribute: &Attribute, value: &Value, path: &str) -> Result<Option<Value>, ScimError> {
    let wrapped;
    let values = match value {
        Value::Object(values) => values,
        other => match accepts_a_string_for_a_complex_attribute(attribute, other) {
            Some(values) => {
                wrapped = values;
                &wrapped
            }
            None => return Err(wrong_type(path, "an object", other)),
        },
    };
    let mut out = Map::with_capacity(values.len());
    for (name, value) in values {
        if let Some(sub_attribute) = attribute.sub_attribute(name)
            && let Some(value) =
                normalise_attribute(sub_attribute, value, &format!("{path}.{}", sub_attribute.name))?
        {
            out.insert(sub_attribute.name.clone(), value);
        }
    }
    let missing = attribute.sub_attributes.iter().find(|sub| sub.required && !out.contains_key(&sub.name));
    match missing {
        Some(missing) => {
            Err(ScimError::invalid_value(format!("{path}.{} is missing; it is required", missing.name)))
        }
        None => Ok((!out.is_empty()).then_some(Value::Object(out))),
    }
}

/// Entra ID sends `"False"` or `"false"` for false.
fn accepts_booleans_as_strings(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(boolean) => Some(*boolean),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// HR systems send numbers for strings: `employeeNumber: 701`.
fn accepts_a_number_for_a_string(number: &Number) -> Value {
    Value::String(number.to_string())
}

/// Scripts send numbers as strings: `"7"`.
fn accepts_a_number_as_a_string(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(number.clone()),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Entra ID used to send `displayName` as `[{"$ref": null, "value": "x"}]`.
fn accepts_an_object_for_a_simple_value<'v>(attribute: &Attribute, value: &'v Value) -> &'v Value {
    match value {
        Value::Object(members)
            if attribute.kind != Type::Complex
                && members.keys().all(|name| matches!(name.as_str(), "value" | "$ref")) =>
        {
            members.get("value").unwrap_or(value)
        }
        other => other,
    }
}

/// Entra ID sends `""` or an empty `value` to clear a complex attribute: `emails: [{"value": ""}]`.
pub(crate) fn accepts_an_empty_element_as_unassigned(attribute: &Attribute, value: &Value) -> bool {
    let value = value.as_object().and_then(|members| members.get("value")).unwrap_or(value);
    attribute.kind == Type::Complex && value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// OneLogin sends `emails` as one object instead of an array.
fn accepts_a_single_value_for_a_multi_valued_attribute(value: &Value) -> &[Value] {
    std::slice::from_ref(value)
}

/// Returns the sub-attributes in a value of a single-valued complex attribute, as the client sent them.
/// Returns `None` if the value is not an object, or clears the attribute.
pub fn sub_attributes_of_value<'v>(
    attribute: &Attribute,
    value: &'v Value,
) -> Option<&'v Map<String, Value>> {
    let value = accepts_an_array_of_one_for_a_single_value(value);
    let clears = accepts_an_empty_element_as_unassigned(attribute, value);
    value.as_object().filter(|_| !attribute.multi_valued && !clears)
}

/// Entra ID sends a manager as an array with one element. An empty array means that there is no value
/// (RFC 7643 §2.5).
pub fn accepts_an_array_of_one_for_a_single_value(value: &Value) -> &Value {
    match value.as_array().map(Vec::as_slice) {
        Some([one]) => one,
        Some([]) => &Value::Null,
        _ => value,
    }
}

/// Entra ID sends a manager as a string instead of `{"value": …}`. Other clients send roles in this way.
pub fn accepts_a_string_for_a_complex_attribute(
    attribute: &Attribute,
    value: &Value,
) -> Option<Map<String, Value>> {
    attribute.sub_attribute("value")?;
    value.is_string().then(|| Map::from_iter([("value".to_owned(), value.clone())]))
}

/// Decodes a binary value (RFC 7643 §2.3.6). It accepts both base64 alphabets, with or without padding and
/// line breaks.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    const CONFIG: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text: String = text.split_ascii_whitespace().collect();
    let alphabets = [base64::alphabet::STANDARD, base64::alphabet::URL_SAFE];
    alphabets.iter().find_map(|alphabet| GeneralPurpose::new(alphabet, CONFIG).decode(&text).ok())
}

fn wrong_type(path: &str, expected: &str, value: &Value) -> ScimError {
    ScimError::invalid_value(format!("{path} is {}; it must be {expected}", type_name(value)))
}

/// Returns the type of a JSON value with an article, for errors: `a string`.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
