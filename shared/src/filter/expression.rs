//! A filter as it was written. Printing one and parsing it again gives the same filter.

use std::fmt;

use serde_json::Number;

use crate::attribute_path::AttributePath;

/// A filter that is well-formed, whatever its names mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// Its outermost part.
    pub expression: Expression,
}

/// A part of a filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// All of two or more hold.
    And(Vec<Expression>),
    /// One of two or more holds.
    Or(Vec<Expression>),
    /// It does not hold.
    Not(Box<Expression>),
    /// `pr`: the attribute has a value.
    Present(AttributePath),
    /// The attribute's value stands in this relation to a literal.
    Compare(AttributePath, Operator, Literal),
    /// `emails[…]`: one element fulfils the filter in brackets.
    ValueFilter(AttributePath, Box<Expression>),
}

/// A comparison (RFC 7644 §3.4.2.2, table 3).
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
    /// In quotes, with JSON's escapes.
    String(String),
    /// As in JSON.
    Number(Number),
    /// `true` or `false`.
    Boolean(bool),
    /// `null`: no value.
    Null,
}

impl Operator {
    /// All of them, by their names.
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

    /// The operator of this name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, operator)| *operator)
    }

    /// Its name.
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
