//! Parses the path of a PATCH operation (RFC 7644 §3.5.2, figure 7).
//!
//! ```text
//! path = attribute-path / attribute-path "[" filter "]" [ "." name ]
//! ```

use serde_json::{Map, Value};

use super::{ElementFilter, TargetLocation};
use crate::attribute_path::AttributePath;
use crate::error::{ErrorKind, ScimError};
use crate::filter::{Expression, Filter, Literal, Operator, Parser};
use crate::limits::MAX_PATCH_PATH_BYTES;
use crate::schema::{Attribute, Resolved, ResourceSchema, Target};

/// Parses a path and resolves it in a schema. Returns `None` if it is well-formed but the schema does not
/// have the attribute.
///
/// # Errors
/// `invalidPath` if the path or its filter is malformed or too long.
pub fn parse<'s>(text: &str, schema: &'s ResourceSchema) -> Result<Option<TargetLocation<'s>>, ScimError> {
    if text.len() > MAX_PATCH_PATH_BYTES {
        return Err(invalid(format!("path is {} bytes; the maximum is {MAX_PATCH_PATH_BYTES}", text.len())));
    }
    let malformed = || invalid(format!("{text:?} is not an attribute path"));
    let (head, brackets) = match text.find('[') {
        Some(start) => (text.get(..start), text.get(start..)),
        None => (Some(text), None),
    };
    let path = head.and_then(|head| AttributePath::parse(head.trim())).ok_or_else(malformed)?;
    let Some(resolved) = schema.resolve(&path) else { return Ok(None) };
    match (resolved, brackets) {
        (Resolved::Extension(extension), None) => Ok(Some(TargetLocation::Extension(extension))),
        (Resolved::Attribute(target), None) => Ok(Some(TargetLocation::Attribute(target))),
        (Resolved::Extension(_), Some(_)) => Err(only_complex(text)),
        (Resolved::Attribute(target), Some(brackets)) => elements(text, target, brackets),
    }
}

/// Parses the filter of a path, and the sub-attribute after it.
fn elements<'s>(
    text: &str,
    target: Target<'s>,
    brackets: &str,
) -> Result<Option<TargetLocation<'s>>, ScimError> {
    let attribute = target.attribute;
    if target.sub_attribute.is_some() || attribute.sub_attributes.is_empty() {
        return Err(only_complex(text));
    }
    let of_path = |error: ScimError| {
        invalid(format!("{text:?}: {}", error.detail.replace("the filter:", "the brackets:")))
    };
    let mut parser = Parser::new(brackets);
    let expression = parser.brackets().map_err(of_path)?;
    let sub_attribute = match parser.rest().trim() {
        "" => None,
        rest => {
            let name = rest.strip_prefix('.').ok_or_else(|| {
                invalid(format!("{text:?}: found {rest:?} after the brackets, expected \".\" or the end"))
            })?;
            let Some(sub_attribute) = attribute.sub_attribute(name) else { return Ok(None) };
            Some(sub_attribute)
        }
    };
    let described = describe(&expression, attribute);
    let filter = Filter { expression }.resolve_value_filter(attribute).map_err(of_path)?;
    Ok(Some(TargetLocation::Elements {
        target: Target { sub_attribute, ..target },
        filter: ElementFilter { filter, described },
    }))
}

/// Builds the element that a filter of `eq` and `and` describes. Returns `None` for other filters.
fn describe(expression: &Expression, attribute: &Attribute) -> Option<Map<String, Value>> {
    let mut element = Map::new();
    let parts = match expression {
        Expression::And(parts) => parts.as_slice(),
        single => std::slice::from_ref(single),
    };
    for part in parts {
        match part {
            Expression::And(_) => element.extend(describe(part, attribute)?),
            Expression::Compare(path, Operator::Equal, literal) => {
                let name = &attribute.sub_attribute(&path.name)?.name;
                let value = match literal {
                    Literal::String(text) => Value::from(text.as_str()),
                    Literal::Number(number) => Value::Number(number.clone()),
                    Literal::Boolean(boolean) => Value::Bool(*boolean),
                    Literal::Null => continue,
                };
                element.insert(name.clone(), value);
            }
            _ => return None,
        }
    }
    Some(element)
}

/// Returns the URN of a path, if it is that of an extension which the resource type does not have.
pub fn unknown_schema(text: &str, schema: &ResourceSchema) -> Option<String> {
    const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0";
    let path = AttributePath::parse(text.split('[').next()?.trim())?;
    let urn = path.urn?;
    let is_core = urn.get(..CORE.len()).is_some_and(|start| start.eq_ignore_ascii_case(CORE));
    (!is_core && schema.extension(&urn).is_none()).then_some(urn)
}

/// Makes the error for a filter after anything but an attribute with sub-attributes.
fn only_complex(text: &str) -> ScimError {
    invalid(format!("{text:?}: only a complex attribute can have a filter"))
}

/// Makes a 400 `invalidPath`.
pub fn invalid(detail: String) -> ScimError {
    ScimError::new(ErrorKind::InvalidPath, detail)
}
