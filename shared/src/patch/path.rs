//! The path of a PATCH operation (RFC 7644 §3.5.2, figure 7).
//!
//! ```text
//! path = attribute-path / attribute-path "[" filter "]" [ "." name ]
//! ```

use serde_json::{Map, Value};

use super::{ElementFilter, Place};
use crate::attribute_path::AttributePath;
use crate::error::{ErrorKind, ScimError};
use crate::filter::{Expression, Filter, Literal, Operator, Parser};
use crate::schema::{Attribute, Resolved, ResourceSchema, Target};

/// Reads a path and finds what it means. `None` when it is well-formed and names nothing here.
///
/// # Errors
/// `invalidPath` when it is malformed, or its filter is.
pub fn parse<'s>(text: &str, schema: &'s ResourceSchema) -> Result<Option<Place<'s>>, ScimError> {
    let malformed = || invalid(format!("{text:?} is no attribute path"));
    let (head, brackets) = match text.find('[') {
        Some(start) => (text.get(..start), text.get(start..)),
        None => (Some(text), None),
    };
    let path = head.and_then(|head| AttributePath::parse(head.trim())).ok_or_else(malformed)?;
    let Some(resolved) = schema.resolve(&path) else { return Ok(None) };
    match (resolved, brackets) {
        (Resolved::Extension(extension), None) => Ok(Some(Place::Extension(extension))),
        (Resolved::Attribute(target), None) => Ok(Some(Place::Attribute(target))),
        (Resolved::Extension(_), Some(_)) => Err(invalid(format!("{path} is a schema, and takes no filter"))),
        (Resolved::Attribute(target), Some(brackets)) => elements(text, target, brackets),
    }
}

fn elements<'s>(text: &str, target: Target<'s>, brackets: &str) -> Result<Option<Place<'s>>, ScimError> {
    let attribute = target.attribute;
    if target.sub_attribute.is_some() || !attribute.multi_valued || attribute.sub_attributes.is_empty() {
        return Err(invalid(format!(
            "{text:?}: a filter stands behind a multi-valued attribute of objects only"
        )));
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
                invalid(format!("{text:?}: found {rest:?} behind the brackets, expected \".\" or the end"))
            })?;
            let Some(sub_attribute) = attribute.sub_attribute(name) else { return Ok(None) };
            Some(sub_attribute)
        }
    };
    let described = describe(&expression, attribute);
    let filter = Filter { expression }.resolve_value_filter(attribute).map_err(of_path)?;
    Ok(Some(Place::Elements {
        target: Target { sub_attribute, ..target },
        filter: ElementFilter { filter, described },
    }))
}

/// The element that a filter of `eq` and `and` describes.
fn describe(expression: &Expression, attribute: &Attribute) -> Option<Map<String, Value>> {
    let mut element = Map::new();
    let parts = match expression {
        Expression::And(parts) => parts.as_slice(),
        one => std::slice::from_ref(one),
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

pub fn invalid(detail: String) -> ScimError {
    ScimError::new(ErrorKind::InvalidPath, detail)
}
