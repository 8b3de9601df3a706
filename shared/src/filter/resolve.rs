//! Resolves a [`Filter`] to a [`ResolvedFilter`]: names become attributes of a schema, and literals become
//! values of the attribute's type.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde_json::Number;

use super::expression::{Expression, Filter, Literal, Operator};
use super::{fold, fold_name};
use crate::attribute_path::AttributePath;
use crate::error::{ErrorKind, ScimError};
use crate::resource::{ResourceKind, decode_base64};
use crate::schema::{Attribute, Resolved, ResourceSchema, Returned, Target, Type};

/// A filter whose names are resolved in a schema.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedFilter {
    /// The root of the tree.
    pub root: Node,
}

impl ResolvedFilter {
    /// Returns the number of attributes that the filter reads.
    pub fn comparisons(&self) -> usize {
        self.root.comparisons()
    }
}

/// A node of a resolved filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// All parts match.
    And(Vec<Node>),
    /// At least one part matches.
    Or(Vec<Node>),
    /// The part does not match.
    Not(Box<Node>),
    /// The attribute has a value.
    Present(Field),
    /// A comparison of the attribute with the operand.
    Compare(Field, Operator, Operand),
    /// At least one element of the attribute matches a filter on its sub-attributes.
    ValueFilter(Field, Box<Node>),
    /// No resource matches: the resource type does not have the attribute (RFC 7644 §3.4.2.1).
    Never,
}

impl Node {
    fn comparisons(&self) -> usize {
        match self {
            Self::And(nodes) | Self::Or(nodes) => nodes.iter().map(Self::comparisons).sum(),
            Self::Not(node) | Self::ValueFilter(_, node) => node.comparisons(),
            Self::Present(_) | Self::Compare(..) | Self::Never => 1,
        }
    }
}

/// An attribute of a schema. The names are spelled as in the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The URN of the extension that has the attribute; `None` for core attributes.
    pub extension: Option<String>,
    /// The attribute.
    pub attribute: String,
    /// The sub-attribute. It is `value` if the filter compares a whole complex attribute.
    pub sub_attribute: Option<String>,
    /// The type of the values.
    pub kind: Type,
    /// Whether comparisons distinguish upper and lower case.
    pub case_exact: bool,
    /// Whether the values are unique names. Spaces at both ends of a name are not compared.
    pub is_name: bool,
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
            is_name: leaf.is_name() && !target.attribute.multi_valued,
        }
    }

    /// Returns the attribute path, spelled as in the schema.
    pub fn path(&self) -> String {
        let extension = self.extension.as_ref().map(|urn| format!("{urn}:")).unwrap_or_default();
        let sub_attribute = self.sub_attribute.as_ref().map(|name| format!(".{name}")).unwrap_or_default();
        format!("{extension}{}{sub_attribute}", self.attribute)
    }

    /// Returns the field for a name inside a value filter on this field: for `type` in `emails[type eq "work"]`, the field
    /// `emails.type`.
    pub fn with_sub_attribute(&self, inner: &Self) -> Self {
        Self {
            extension: self.extension.clone(),
            attribute: self.attribute.clone(),
            sub_attribute: Some(inner.attribute.clone()),
            ..*inner
        }
    }
}

/// The value that a filter compares an attribute with.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// Text, folded in the same way as the values of the attribute.
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

/// Where the resolver looks for names.
#[derive(Clone, Copy)]
enum Scope<'s> {
    /// Among the attributes of a resource. If `is_lenient`, an unknown name is not an error.
    Resource { schema: &'s ResourceSchema, is_lenient: bool },
    /// Among the sub-attributes of an attribute.
    Element { attribute: &'s Attribute },
}

impl Filter {
    /// Resolves the filter of a query on one resource type.
    ///
    /// # Errors
    /// `invalidFilter` for an attribute that does not exist, is never returned, or does not support the
    /// comparison.
    pub fn resolve(&self, schema: &ResourceSchema) -> Result<ResolvedFilter, ScimError> {
        let root = resolve(&self.expression, Scope::Resource { schema, is_lenient: false })?;
        Ok(ResolvedFilter { root })
    }

    /// Resolves the filter of a query on several resource types. An attribute that this resource type does
    /// not have is treated as an attribute without a value (RFC 7644 §3.4.2.1).
    ///
    /// # Errors
    /// `invalidFilter` for an attribute that is never returned, or does not support the comparison.
    pub fn resolve_lenient(&self, schema: &ResourceSchema) -> Result<ResolvedFilter, ScimError> {
        let root = resolve(&self.expression, Scope::Resource { schema, is_lenient: true })?;
        Ok(ResolvedFilter { root })
    }

    /// Resolves the filter in brackets after an attribute. Its names are sub-attributes of the attribute.
    ///
    /// # Errors
    /// `invalidFilter` for a sub-attribute that does not exist, or does not support the comparison.
    pub fn resolve_value_filter(&self, attribute: &Attribute) -> Result<ResolvedFilter, ScimError> {
        Ok(ResolvedFilter { root: resolve(&self.expression, Scope::Element { attribute })? })
    }
}

/// Resolves a part of a filter. The recursion is bounded, because the parser limits the depth of the text.
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
            None => Ok(compare_missing(*operator, literal)),
        },
        Expression::ValueFilter(path, inner) => match find(path, scope)? {
            Some(target) if target.sub_attribute.is_none() && target.attribute.kind == Type::Complex => {
                let inner = resolve(inner, Scope::Element { attribute: target.attribute })?;
                Ok(Node::ValueFilter(Field::new(&target, None), Box::new(inner)))
            }
            Some(_) => Err(invalid(format!(
                "{path} is not a complex attribute; it cannot have a filter in brackets"
            ))),
            None => Ok(Node::Never),
        },
    }
}

/// Resolves the comparison of an attribute that the resource type does not have. RFC 7644 §3.4.2.1: it has no
/// value. It equals null, and differs from every other value. So `eq null` and `ne "x"` match every resource; all
/// other comparisons match none.
fn compare_missing(operator: Operator, literal: &Literal) -> Node {
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
            let aliased = accepts_name_parts_without_their_parent(path, schema);
            match schema.resolve(aliased.as_ref().unwrap_or(path)) {
                Some(Resolved::Attribute(target)) => target,
                Some(Resolved::Extension(_)) => {
                    return Err(invalid(format!("{path} is a schema; name one of its attributes")));
                }
                None if is_lenient => return Ok(None),
                None => {
                    let detail = format!("A {} has no attribute {path}", schema.kind.name());
                    return Err(invalid(detail));
                }
            }
        }
    };
    // A filter must not reveal a value that responses never hold.
    if target.leaf().returned == Returned::Never || target.attribute.returned == Returned::Never {
        return Err(invalid(format!("{path} cannot be used in a filter, because it is never returned")));
    }
    Ok(Some(target))
}

/// Reads `givenName` or `firstName` as `name.givenName`, and `familyName` or `lastName` as `name.familyName`, which
/// some clients send. A strict connector does not accept it.
pub fn accepts_name_parts_without_their_parent(
    path: &AttributePath,
    schema: &ResourceSchema,
) -> Option<AttributePath> {
    let is_name = path.urn.is_none() && path.sub_attribute.is_none();
    if schema.kind != ResourceKind::User || schema.is_strict || !is_name {
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
    // RFC 7643 §2.5: null means that the attribute has no value.
    if *literal == Literal::Null {
        let present = Node::Present(Field::new(target, target.sub_attribute));
        return match operator {
            Operator::Equal => Ok(Node::Not(Box::new(present))),
            Operator::NotEqual => Ok(present),
            _ => Err(invalid(format!(
                "{path} {} null is not supported; compare with null using eq or ne",
                operator.name()
            ))),
        };
    }
    // RFC 7644 §3.4.2.2: `emails` means `emails.value` in a comparison.
    let sub_attribute = match (leaf.kind, target.sub_attribute) {
        (Type::Complex, _) => match leaf.sub_attribute("value") {
            Some(value) => Some(value),
            None => {
                let detail = format!("{path} is a complex attribute; compare one of its sub-attributes");
                return Err(invalid(detail));
            }
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
    let is_substring = matches!(operator, Operator::Contains | Operator::StartsWith | Operator::EndsWith);
    let refuse = |expected: &str| {
        let detail = format!("{path} {} {literal}: compare {path} with {expected}", operator.name());
        Err(invalid(detail))
    };
    match (field.kind, literal) {
        (Type::Boolean, literal) if is_equality => match accepts_booleans_as_strings(literal) {
            Some(boolean) => Ok(Operand::Boolean(boolean)),
            None => refuse("true or false"),
        },
        (Type::Boolean, _) => refuse("true or false, using eq or ne"),
        (Type::Integer | Type::Decimal, Literal::Number(number)) if !is_substring => {
            Ok(Operand::Number(number.clone()))
        }
        (Type::Integer | Type::Decimal, _) => refuse("a number, using eq, ne, gt, ge, lt or le"),
        (Type::DateTime, Literal::String(text)) if is_substring => {
            Ok(Operand::Text(fold(text, true).into_owned()))
        }
        (Type::DateTime, Literal::String(text)) => {
            let instant = text.parse().ok().or_else(|| accepts_a_date_without_an_offset_as_utc(text));
            instant.map_or_else(
                || refuse("a date and time, such as \"2011-05-13T04:42:34Z\""),
                |instant| Ok(Operand::Instant(instant)),
            )
        }
        (Type::DateTime, _) => refuse("a date and time in double quotes"),
        (Type::Binary, Literal::String(text)) if is_equality => match decode_base64(text) {
            Some(bytes) => Ok(Operand::Bytes(bytes)),
            None => refuse("base64 in double quotes"),
        },
        (Type::Binary, _) => refuse("base64 in double quotes, using eq or ne"),
        (_, Literal::String(text)) if field.is_name && !is_substring => {
            Ok(Operand::Text(fold_name(text, field.case_exact).into_owned()))
        }
        (_, Literal::String(text)) => Ok(Operand::Text(fold(text, field.case_exact).into_owned())),
        _ => refuse("a string in double quotes"),
    }
}

/// Accepts `"True"` and `"False"` as booleans. Entra ID sends `primary eq "True"`.
fn accepts_booleans_as_strings(literal: &Literal) -> Option<bool> {
    match literal {
        Literal::Boolean(boolean) => Some(*boolean),
        Literal::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Literal::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// Scripts send dates without an offset: `meta.lastModified gt "2011-05-13T04:42:34"`.
fn accepts_a_date_without_an_offset_as_utc(text: &str) -> Option<Timestamp> {
    let date: DateTime = text.parse().ok()?;
    Offset::UTC.to_timestamp(date).ok()
}

fn invalid(detail: String) -> ScimError {
    ScimError::new(ErrorKind::InvalidFilter, detail)
}
