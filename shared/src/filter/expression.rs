//! The syntax tree of a filter. A filter that is printed and parsed again is the same.

use std::fmt;

use serde_json::Number;

use crate::attribute_path::AttributePath;

/// A well-formed filter. Its names are not resolved yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// The root of the tree.
    pub expression: Expression,
}

/// A node of the syntax tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// `and`: all of two or more parts match.
    And(Vec<Expression>),
    /// `or`: at least one of two or more parts matches.
    Or(Vec<Expression>),
    /// `not`: the part does not match.
    Not(Box<Expression>),
    /// `pr`: the attribute has a value.
    Present(AttributePath),
    /// A comparison of the attribute with a literal.
    Compare(AttributePath, Operator, Literal),
    /// `emails[…]`: at least one element matches the filter in brackets.
    ValueFilter(AttributePath, Box<Expression>),
}

/// A comparison operator (RFC 7644 §3.4.2.2, table 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `eq`
    Equal,
    /// `ne`
    NotEqual,
    /// `co`
    Contains,
    /// `sw`
    StartsWith,
    /// `ew`
    EndsWith,
    /// `gt`
    Greater,
    /// `ge`
    GreaterOrEqual,
    /// `lt`
    Less,
    /// `le`
    LessOrEqual,
}

/// A value to compare with.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// A string in double quotes, with the escapes of JSON.
    String(String),
    /// A number, as in JSON.
    Number(Number),
    /// `true` or `false`.
    Boolean(bool),
    /// `null`, which means that the attribute has no value.
    Null,
}

impl Operator {
    /// All operators with their names.
    pub const ALL: [(&'static str, Self); 9] = [
        ("eq", Self::Equal),
        ("ne", Self::NotEqual),
        ("co", Self::Contains),
        ("sw", Self::StartsWith),
        ("ew", Self::EndsWith),
        ("gt", Self::Greater),
        ("ge", Self::GreaterOrEqual),
        ("lt", Self::Less),
        ("le", Self::LessOrEqual),
    ];

    /// Finds the operator with this name. Ignores upper and lower case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, operator)| *operator)
    }

    /// Returns the name of the operator.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, operator)| *operator == self).map_or("", |(name, _)| name)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expression.fmt(f)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(parts) => join(f, parts, " and ", |part| matches!(part, Self::And(_) | Self::Or(_))),
            Self::Or(parts) => join(f, parts, " or ", |part| matches!(part, Self::Or(_))),
            Self::Not(part) => write!(f, "not ({part})"),
            Self::Present(path) => write!(f, "{path} pr"),
            Self::Compare(path, operator, literal) => write!(f, "{path} {} {literal}", operator.name()),
            Self::ValueFilter(path, part) => write!(f, "{path}[{part}]"),
        }
    }
}

fn join(
    f: &mut fmt::Formatter<'_>,
    parts: &[Expression],
    word: &str,
    needs_parentheses: impl Fn(&Expression) -> bool,
) -> fmt::Result {
    for (position, part) in parts.iter().enumerate() {
        if position > 0 {
            f.write_str(word)?;
        }
        if needs_parentheses(part) { write!(f, "({part})")? } else { write!(f, "{part}")? }
    }
    Ok(())
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => f.write_str(&serde_json::Value::from(text.as_str()).to_string()),
            Self::Number(number) => number.fmt(f),
            Self::Boolean(boolean) => boolean.fmt(f),
            Self::Null => f.write_str("null"),
        }
    }
}
