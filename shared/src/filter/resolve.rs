//! From [`Filter`] to [`ResolvedFilter`]: names become attributes of a schema, literals what such attributes hold.

use jiff::Timestamp;
use serde_json::Number;

use super::expression::{Expression, Filter, Literal, Operator};
use super::fold;
use crate::attribute_path::AttributePath;
use crate::error::{ErrorKind, ScimError};
use crate::resource::{ResourceKind, decode_base64};
use crate::schema::{Attribute, Resolved, ResourceSchema, Returned, Target, Type};

/// A filter bound to a schema.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedFilter {
    /// Its outermost part.
    pub root: Node,
}

/// A part of a filter that is bound to a schema.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// All hold.
    And(Vec<Node>),
    /// One holds.
    Or(Vec<Node>),
    /// It does not hold.
    Not(Box<Node>),
    /// The attribute has a value.
    Present(Field),
    /// A value of the attribute stands in this relation to the operand.
    Compare(Field, Operator, Operand),
    /// One element of the attribute fulfils a filter, in which names are its sub-attributes.
    ValueFilter(Field, Box<Node>),
    /// The attribute is none of this resource type's (RFC 7644 §3.4.2.1).
    Never,
}

/// An attribute of a schema, by its canonical names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The URN of the extension that has it.
    pub extension: Option<String>,
    /// The attribute.
    pub attribute: String,
    /// The sub-attribute. That of a complex attribute compared as a whole is its `value`.
    pub sub_attribute: Option<String>,
    /// What its values are.
    pub kind: Type,
    /// Whether upper and lower case differ.
    pub case_exact: bool,
}

impl Field {
    fn new(target: &Target<'_>, sub_attribute: Option<&Attribute>) -> Self {
        let leaf = sub_attribute.unwrap_or(target.attribute);
        Self {
            extension: target.extension.map(|extension| extension.id.clone()),
            attribute: target.attribute.name.clone(),
            sub_attribute: sub_attribute.map(|attribute| attribute.name.clone()),
            kind: leaf.kind,
            case_exact: leaf.case_exact,
        }
    }

    /// The attribute path, in the schema's own case.
    pub fn path(&self) -> String {
        let extension = self.extension.as_ref().map(|urn| format!("{urn}:")).unwrap_or_default();
        let sub_attribute = self.sub_attribute.as_ref().map(|name| format!(".{name}")).unwrap_or_default();
        format!("{extension}{}{sub_attribute}", self.attribute)
    }

    /// The sub-attribute that a field in brackets behind this one is.
    pub fn with_sub_attribute(&self, inner: &Self) -> Self {
        Self {
            extension: self.extension.clone(),
            attribute: self.attribute.clone(),
            sub_attribute: Some(inner.attribute.clone()),
            ..*inner
        }
    }
}

/// What an attribute's values are compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// Text, folded as the attribute's values are.
    Text(String),
    /// A number.
    Number(Number),
    /// True or false.
    Boolean(bool),
    /// An instant.
    Instant(Timestamp),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// What names mean, and what is done about those that mean nothing.
#[derive(Clone, Copy)]
enum Scope<'s> {
    Resource { schema: &'s ResourceSchema, is_lenient: bool },
    Element { attribute: &'s Attribute },
}

impl Filter {
    /// Binds the filter of a query on one resource type.
    ///
    /// # Errors
    /// `invalidFilter` for an attribute that is not there, may not be asked for, or cannot be compared like this.
    pub fn resolve(&self, schema: &ResourceSchema) -> Result<ResolvedFilter, ScimError> {
        let root = resolve(&self.expression, Scope::Resource { schema, is_lenient: false })?;
        Ok(ResolvedFilter { root })
    }

    /// Binds the filter of a query across resource types, where an attribute that one does not have does not match
    /// (RFC 7644 §3.4.2.1).
    ///
    /// # Errors
    /// `invalidFilter` for an attribute that may not be asked for, or cannot be compared like this.
    pub fn resolve_lenient(&self, schema: &ResourceSchema) -> Result<ResolvedFilter, ScimError> {
        let root = resolve(&self.expression, Scope::Resource { schema, is_lenient: true })?;
        Ok(ResolvedFilter { root })
    }

    /// Binds the filter in brackets behind an attribute, whose sub-attributes its names are.
    ///
    /// # Errors
    /// `invalidFilter` for a sub-attribute that is not there, or cannot be compared like this.
    pub fn resolve_value_filter(&self, attribute: &Attribute) -> Result<ResolvedFilter, ScimError> {
        Ok(ResolvedFilter { root: resolve(&self.expression, Scope::Element { attribute })? })
    }
}

/// The depth is that of the text, which the parser bounds.
fn resolve(expression: &Expression, scope: Scope<'_>) -> Result<Node, ScimError> {
    let all =
        |parts: &[Expression]| parts.iter().map(|part| resolve(part, scope)).collect::<Result<Vec<_>, _>>();
    match expression {
        Expression::And(parts) => Ok(Node::And(all(parts)?)),
        Expression::Or(parts) => Ok(Node::Or(all(parts)?)),
        Expression::Not(part) => Ok(Node::Not(Box::new(resolve(part, scope)?))),
        Expression::Present(path) => match find(path, scope)? {
            Some(target) => Ok(Node::Present(Field::new(&target, target.sub_attribute))),
            None => Ok(Node::Never),
        },
        Expression::Compare(path, operator, literal) => match find(path, scope)? {
            Some(target) => compare(path, &target, *operator, literal),
            None => Ok(compare_nothing(*operator, literal)),
        },
        Expression::ValueFilter(path, inner) => match find(path, scope)? {
            Some(target) if target.sub_attribute.is_none() && target.attribute.kind == Type::Complex => {
                let inner = resolve(inner, Scope::Element { attribute: target.attribute })?;
                Ok(Node::ValueFilter(Field::new(&target, None), Box::new(inner)))
            }
            Some(_) => Err(invalid(format!("{path} has no sub-attributes to filter by in brackets"))),
            None => Ok(Node::Never),
        },
    }
}

/// RFC 7644 §3.4.2.1: an attribute that a resource type does not have is one without a value.
fn compare_nothing(operator: Operator, literal: &Literal) -> Node {
    match (operator, literal) {
        (Operator::Equal, Literal::Null) => Node::Not(Box::new(Node::Never)),
        (Operator::NotEqual, literal) if *literal != Literal::Null => Node::Not(Box::new(Node::Never)),
        _ => Node::Never,
    }
}

fn find<'s>(path: &AttributePath, scope: Scope<'s>) -> Result<Option<Target<'s>>, ScimError> {
    let target = match scope {
        Scope::Element { attribute } => {
            let sub_attribute = attribute.sub_attribute(&path.name).filter(|_| path.sub_attribute.is_none());
            match sub_attribute.filter(|_| path.urn.is_none()) {
                Some(sub_attribute) => {
                    Target { extension: None, attribute: sub_attribute, sub_attribute: None }
                }
                None => return Err(invalid(format!("{} has no sub-attribute {path}", attribute.name))),
            }
        }
        Scope::Resource { schema, is_lenient } => {
            let aliased = accepts_parts_of_a_name_without_the_name(path, schema);
            match schema.resolve(aliased.as_ref().unwrap_or(path)) {
                Some(Resolved::Attribute(target)) => target,
                Some(Resolved::Extension(_)) => {
                    return Err(invalid(format!("{path} is a schema, and an attribute of it is expected")));
                }
                None if is_lenient => return Ok(None),
                None => {
                    let detail = format!("A {} has no attribute {path}", schema.kind.name());
                    return Err(invalid(detail));
                }
            }
        }
    };
    // A filter must not tell what an answer never does.
    if target.leaf().returned == Returned::Never || target.attribute.returned == Returned::Never {
        return Err(invalid(format!("{path} cannot be asked for")));
    }
    Ok(Some(target))
}

/// `givenName` and `firstName`, `familyName` and `lastName`: clients of the product that this one takes the place of
/// send them.
pub fn accepts_parts_of_a_name_without_the_name(
    path: &AttributePath,
    schema: &ResourceSchema,
) -> Option<AttributePath> {
    if schema.kind != ResourceKind::User || path.urn.is_some() || path.sub_attribute.is_some() {
        return None;
    }
    let part = match path.name.to_ascii_lowercase().as_str() {
        "givenname" | "firstname" => "givenName",
        "familyname" | "lastname" => "familyName",
        _ => return None,
    };
    Some(AttributePath { urn: None, name: "name".to_owned(), sub_attribute: Some(part.to_owned()) })
}

fn compare(
    path: &AttributePath,
    target: &Target<'_>,
    operator: Operator,
    literal: &Literal,
) -> Result<Node, ScimError> {
    let leaf = target.leaf();
    // RFC 7643 §2.5: null, and no value, are the same.
    if *literal == Literal::Null {
        let present = Node::Present(Field::new(target, target.sub_attribute));
        return match operator {
            Operator::Equal => Ok(Node::Not(Box::new(present))),
            Operator::NotEqual => Ok(present),
            _ => Err(invalid(format!("{path} {}: null is equal or not, and nothing else", operator.name()))),
        };
    }
    // RFC 7644 §3.4.2.2 compares `emails` as `emails.value`.
    let sub_attribute = match (leaf.kind, target.sub_attribute) {
        (Type::Complex, _) => match leaf.sub_attribute("value") {
            Some(value) => Some(value),
            None => return Err(invalid(format!("{path} is an object; compare one of its sub-attributes"))),
        },
        (_, sub_attribute) => sub_attribute,
    };
    let field = Field::new(target, sub_attribute);
    let operand = operand(path, &field, operator, literal)?;
    Ok(Node::Compare(field, operator, operand))
}

fn operand(
    path: &AttributePath,
    field: &Field,
    operator: Operator,
    literal: &Literal,
) -> Result<Operand, ScimError> {
    let is_equality = matches!(operator, Operator::Equal | Operator::NotEqual);
    let is_part = matches!(operator, Operator::Contains | Operator::StartsWith | Operator::EndsWith);
    let refuse = |expected: &str| {
        let detail = format!("{path} {} {literal}: {path} is compared with {expected}", operator.name());
        Err(invalid(detail))
    };
    match (field.kind, literal) {
        (Type::Boolean, literal) if is_equality => match accepts_booleans_as_strings(literal) {
            Some(boolean) => Ok(Operand::Boolean(boolean)),
            None => refuse("true or false"),
        },
        (Type::Boolean, _) => refuse("true or false, by eq or ne"),
        (Type::Integer | Type::Decimal, Literal::Number(number)) if !is_part => {
            Ok(Operand::Number(number.clone()))
        }
        (Type::Integer | Type::Decimal, _) => refuse("a number, and not by co, sw or ew"),
        (Type::DateTime, Literal::String(text)) if is_part => {
            Ok(Operand::Text(fold(text, true).into_owned()))
        }
        (Type::DateTime, Literal::String(text)) => match text.parse() {
            Ok(instant) => Ok(Operand::Instant(instant)),
            Err(_) => refuse("a date and time with an offset, such as \"2011-05-13T04:42:34Z\""),
        },
        (Type::DateTime, _) => refuse("a date and time in quotes"),
        (Type::Binary, Literal::String(text)) if is_equality => match decode_base64(text) {
            Some(bytes) => Ok(Operand::Bytes(bytes)),
            None => refuse("base64 in quotes"),
        },
        (Type::Binary, _) => refuse("base64 in quotes, by eq or ne"),
        (_, Literal::String(text)) => Ok(Operand::Text(fold(text, field.case_exact).into_owned())),
        _ => refuse("a string in double quotes"),
    }
}

/// Entra ID sends `primary eq "True"`.
fn accepts_booleans_as_strings(literal: &Literal) -> Option<bool> {
    match literal {
        Literal::Boolean(boolean) => Some(*boolean),
        Literal::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Literal::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn invalid(detail: String) -> ScimError {
    ScimError::new(ErrorKind::InvalidFilter, detail)
}
