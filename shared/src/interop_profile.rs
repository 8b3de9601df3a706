//! The SCIM 2.0 Interoperability Profile (draft-zollner-scim-interop-profile): what a strict connector refuses and other
//! connectors accept.
//!
//! | request | error | section |
//! | --- | --- | --- |
//! | an attribute, sub-attribute or schema URN that is not defined, in a body, a PATCH path or a PATCH value | `invalidSyntax` | 5.3 |
//! | a filter on such an attribute | `invalidFilter` | 6.3 |
//! | a PATCH operation without a path | `invalidSyntax` | 6.5.1 |
//! | a PATCH value that is not an array for a multi-valued attribute, or has anything but objects for a complex one | `invalidValue` | 6.5.2 |
//! | a PATCH path with a filter that has other operators than `eq` and `and` | `invalidSyntax` | 6.5.3 |
//! | a PATCH path with a filter on an attribute with one value, or without a sub-attribute after it | `invalidPath` | 6.5.2 |
//! | a PATCH path with a filter that selects several elements | `invalidFilter` | 6.5.3 |
//!
//! A strict connector also replaces a complex attribute as a whole: §6.5.2 requires it, and RFC 7644 §3.5.2.3 merges.
//!
//! A path without a sub-attribute after its filter is accepted for `remove`: the profile has no other form that removes one
//! element, such as one member of a group.
//!
//! The modules that read requests call these functions if the schema is strict. Their own code need not distinguish strict
//! connectors from others.

use serde_json::{Map, Value};

use crate::attribute_path::AttributePath;
use crate::error::{ErrorKind, ScimError};
use crate::filter::{Expression, Operator, Parser};
use crate::limits::MAX_PATCH_PATH_BYTES;
use crate::resource::type_name;
use crate::schema::{Attribute, Resolved, ResourceSchema, Schema, Type};

/// Checks that the schema defines every attribute and schema URN in the body of a POST or PUT (§5.3).
///
/// # Errors
/// `invalidSyntax`.
pub fn check_body(body: &Map<String, Value>, schema: &ResourceSchema) -> Result<(), ScimError> {
    for (name, value) in body {
        if let Some(extension) = schema.extension(name) {
            check_extension(extension, value)?;
        } else if let Some(attribute) = schema.core.attribute(name) {
            if attribute.name == "schemas" {
                check_urns(value, schema)?;
            }
            check_names(attribute, value, &attribute.name)?;
        } else {
            return Err(undefined(name, schema));
        }
    }
    Ok(())
}

/// Checks that every URN in `schemas` is the core schema or an extension.
fn check_urns(urns: &Value, schema: &ResourceSchema) -> Result<(), ScimError> {
    for urn in urns.as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !urn.eq_ignore_ascii_case(&schema.core.id) && schema.extension(urn).is_none() {
            let of = schema.kind.name();
            return Err(invalid_syntax(format!("schemas contains {urn}, which is no schema of a {of}")));
        }
    }
    Ok(())
}

/// Checks that an extension defines every attribute in its value (§5.3).
///
/// # Errors
/// `invalidSyntax`.
pub fn check_extension(extension: &Schema, value: &Value) -> Result<(), ScimError> {
    for (name, value) in value.as_object().into_iter().flatten() {
        let path = format!("{}:{name}", extension.id);
        let attribute = extension.attribute(name).ok_or_else(|| undefined_name(&path))?;
        check_names(attribute, value, &path)?;
    }
    Ok(())
}

/// Checks that an attribute defines every sub-attribute in its value. The value can have a wrong type, which is another error.
fn check_names(attribute: &Attribute, value: &Value, path: &str) -> Result<(), ScimError> {
    match value {
        Value::Array(elements) => {
            elements.iter().try_for_each(|element| check_names(attribute, element, path))
        }
        Value::Object(members) => members.iter().try_for_each(|(name, value)| {
            let path = format!("{path}.{name}");
            let sub_attribute = attribute.sub_attribute(name).ok_or_else(|| undefined_name(&path))?;
            check_names(sub_attribute, value, &path)
        }),
        _ => Ok(()),
    }
}

/// Makes the error for a PATCH operation without a path (§6.5.1).
pub fn missing_path() -> ScimError {
    invalid_syntax("path is missing; a strict connector requires it in each operation".to_owned())
}

/// Makes the error for an attribute that a resource type does not have (§5.3).
pub fn undefined(name: &str, schema: &ResourceSchema) -> ScimError {
    invalid_syntax(format!("A {} has no attribute {name}", schema.kind.name()))
}

/// Checks the path of a PATCH operation: its names (§5.3), and its filter (§6.5.2 and §6.5.3). A malformed path is not an
/// error here.
///
/// # Errors
/// `invalidSyntax` or `invalidPath`.
pub fn check_path(text: &str, is_removal: bool, schema: &ResourceSchema) -> Result<(), ScimError> {
    if text.len() > MAX_PATCH_PATH_BYTES {
        return Ok(());
    }
    let start = text.find('[').unwrap_or(text.len());
    let (head, brackets) = text.split_at(start);
    let Some(path) = AttributePath::parse(head.trim()) else { return Ok(()) };
    let resolved = schema.resolve(&path).ok_or_else(|| undefined(head.trim(), schema))?;
    let Resolved::Attribute(target) = resolved else { return Ok(()) };
    let mut parser = Parser::new(brackets);
    let Ok(expression) = parser.brackets() else { return Ok(()) };
    if !target.attribute.multi_valued {
        let detail = format!("{text:?}: only an attribute with several values can have a filter");
        return Err(ScimError::new(ErrorKind::InvalidPath, detail));
    }
    check_filter(text, &expression, target.attribute)?;
    match parser.rest().trim().strip_prefix('.') {
        Some(name) if target.attribute.sub_attribute(name).is_none() => Err(undefined(text, schema)),
        None if !is_removal => {
            let detail = format!("{text:?}: name a sub-attribute after the filter, such as .value");
            Err(ScimError::new(ErrorKind::InvalidPath, detail))
        }
        _ => Ok(()),
    }
}

/// Checks the filter of a path. The recursion is bounded, because the parser limits the depth of the text.
fn check_filter(text: &str, expression: &Expression, attribute: &Attribute) -> Result<(), ScimError> {
    match expression {
        Expression::And(parts) => parts.iter().try_for_each(|part| check_filter(text, part, attribute)),
        Expression::Compare(path, Operator::Equal, _) => {
            let is_defined = path.urn.is_none() && attribute.sub_attribute(&path.name).is_some();
            if is_defined { Ok(()) } else { Err(undefined_name(&format!("{}.{path}", attribute.name))) }
        }
        _ => Err(invalid_syntax(format!("{text:?}: a filter in a path can only have eq and and"))),
    }
}

/// Checks the value of a PATCH operation `add` or `replace` for an attribute or sub-attribute: its names (§5.3), and that it is
/// an array or object if the attribute has such values (§6.5.2).
///
/// # Errors
/// `invalidSyntax` or `invalidValue`.
pub fn check_value(attribute: &Attribute, value: &Value) -> Result<(), ScimError> {
    let name = &attribute.name;
    check_names(attribute, value, name)?;
    let is_object = |value: &Value| attribute.kind != Type::Complex || value.is_object();
    let (expected, is_expected) = match value {
        // RFC 7643 §2.5: null clears the attribute.
        Value::Null => return Ok(()),
        Value::Array(elements) if attribute.multi_valued => {
            ("an array of objects", elements.iter().all(is_object))
        }
        _ if attribute.multi_valued => ("an array", false),
        value => ("an object", is_object(value)),
    };
    if is_expected {
        return Ok(());
    }
    let found = type_name(value);
    Err(ScimError::invalid_value(format!("The value of {name} is {found}; it must be {expected}")))
}

/// Checks that the filter of a PATCH path selects at most one element (§6.5.3).
///
/// # Errors
/// `invalidFilter`.
pub fn check_selected(count: usize, attribute: &Attribute) -> Result<(), ScimError> {
    if count <= 1 {
        return Ok(());
    }
    let detail = format!("The filter selects {count} elements of {}; it must select one", attribute.name);
    Err(ScimError::new(ErrorKind::InvalidFilter, detail))
}

fn undefined_name(path: &str) -> ScimError {
    invalid_syntax(format!("There is no attribute {path}"))
}

fn invalid_syntax(detail: String) -> ScimError {
    ScimError::new(ErrorKind::InvalidSyntax, detail)
}
