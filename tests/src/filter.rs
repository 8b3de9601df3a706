//! An independent implementation of filters (RFC 7644 §3.4.2.2). A test builds a filter as a tree, prints it
//! as text for the service, and evaluates the tree on plain JSON. No code is shared with the service's
//! parser, matcher or indexes.
//!
//! - A multi-valued attribute matches if one of its values matches.
//! - `eq null` is the opposite of `pr`.
//! - If an attribute has no value, `ne` matches it and no other comparison does.
//! - `pr` matches a value that is not empty.
//! - Strings are compared in Unicode normal form C, and in lower case unless the attribute is case-exact.

use std::cmp::Ordering;
use std::fmt;

use jiff::Timestamp;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization as _;

/// A filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// `title pr`
    Present(Attribute),
    /// `title eq "x"`
    Compare(Attribute, Operator, Literal),
    /// `emails[type eq "work"]`: one element matches all of the filter in brackets.
    Element(Attribute, Box<Filter>),
    /// `emails[type eq "work"].value eq "x"`, as Entra ID sends it: one element matches both.
    ElementValue(Attribute, Box<Filter>, Attribute, Operator, Literal),
    /// `(a and b)`
    And(Vec<Filter>),
    /// `(a or b)`
    Or(Vec<Filter>),
    /// `not (a)`
    Not(Box<Filter>),
}

/// An attribute: its spelling in the filter, its path in the JSON of a resource, and how its values are
/// compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// The text in the filter, such as `familyName`.
    pub spelling: String,
    /// The names that lead to the value, from the resource or from the element in brackets.
    pub path: Vec<String>,
    /// How values are compared.
    pub comparison: Comparison,
}

/// How the values of an attribute are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// As text, without regard to upper and lower case (`caseExact` is false).
    IgnoringCase,
    /// As text in its exact case (`caseExact` is true).
    Exact,
    /// As points in time (RFC 7643 §2.3.5).
    Instant,
    /// As true and false.
    Boolean,
}

/// A comparison operator.
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

impl Operator {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Equal,
        Self::NotEqual,
        Self::Contains,
        Self::StartsWith,
        Self::EndsWith,
        Self::Greater,
        Self::GreaterOrEqual,
        Self::Less,
        Self::LessOrEqual,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Equal => "eq",
            Self::NotEqual => "ne",
            Self::Contains => "co",
            Self::StartsWith => "sw",
            Self::EndsWith => "ew",
            Self::Greater => "gt",
            Self::GreaterOrEqual => "ge",
            Self::Less => "lt",
            Self::LessOrEqual => "le",
        }
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Contains | Self::StartsWith | Self::EndsWith => false,
        }
    }
}

/// What a value is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// A string.
    Text(String),
    /// `true` or `false`.
    Boolean(bool),
    /// `null`.
    Null,
}

/// An attribute whose values are compared as text, without regard to upper and lower case. The path has dots between names.
pub fn attribute(spelling: &str, path: &str) -> Attribute {
    let path = path.split('.').map(str::to_owned).collect();
    Attribute { spelling: spelling.to_owned(), path, comparison: Comparison::IgnoringCase }
}

impl Attribute {
    /// The same attribute, compared in another way.
    pub fn compared_as(self, comparison: Comparison) -> Self {
        Self { comparison, ..self }
    }

    /// The values in a resource or element, through arrays.
    fn values<'v>(&self, root: &'v Value) -> Vec<&'v Value> {
        let mut values = vec![root];
        for name in &self.path {
            values = values.into_iter().flat_map(elements).filter_map(|value| value.get(name)).collect();
        }
        values.into_iter().flat_map(elements).collect()
    }
}

/// The elements of an array, or the value itself if it is not an array.
fn elements(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(elements) => elements.iter().collect(),
        value => vec![value],
    }
}

impl Filter {
    /// `attribute operator "text"`.
    pub fn compare(attribute: Attribute, operator: Operator, text: &str) -> Self {
        Self::Compare(attribute, operator, Literal::Text(text.to_owned()))
    }

    /// `attribute eq "text"`.
    pub fn equal(attribute: Attribute, text: &str) -> Self {
        Self::compare(attribute, Operator::Equal, text)
    }

    /// `not (filter)`.
    #[expect(clippy::should_implement_trait, reason = "the name is the operator's in the grammar")]
    pub fn not(filter: Self) -> Self {
        Self::Not(Box::new(filter))
    }

    /// Whether a resource, or an element in brackets, matches.
    pub fn matches(&self, resource: &Value) -> bool {
        match self {
            Self::Present(attribute) => attribute.values(resource).into_iter().any(has_content),
            Self::Compare(attribute, operator, literal) => {
                compare(&attribute.values(resource), attribute.comparison, *operator, literal)
            }
            Self::Element(attribute, filter) => {
                attribute.values(resource).into_iter().any(|element| filter.matches(element))
            }
            Self::ElementValue(attribute, filter, value, operator, literal) => {
                attribute.values(resource).into_iter().any(|element| {
                    filter.matches(element)
                        && compare(&value.values(element), value.comparison, *operator, literal)
                })
            }
            Self::And(filters) => filters.iter().all(|filter| filter.matches(resource)),
            Self::Or(filters) => filters.iter().any(|filter| filter.matches(resource)),
            Self::Not(filter) => !filter.matches(resource),
        }
    }
}

fn has_content(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => values.iter().any(has_content),
        Value::Object(members) => members.values().any(has_content),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn compare(values: &[&Value], comparison: Comparison, operator: Operator, literal: &Literal) -> bool {
    let has_value = values.iter().any(|value| !value.is_null());
    match literal {
        Literal::Null => (operator == Operator::Equal) != values.iter().any(|value| has_content(value)),
        _ if !has_value => operator == Operator::NotEqual,
        Literal::Boolean(expected) => values.iter().any(|value| match value.as_bool() {
            Some(actual) => operator.holds(actual.cmp(expected)),
            None => operator == Operator::NotEqual,
        }),
        Literal::Text(expected) => values.iter().any(|value| match value.as_str() {
            Some(actual) => compare_texts(actual, comparison, operator, expected),
            None => operator == Operator::NotEqual,
        }),
    }
}

fn compare_texts(actual: &str, comparison: Comparison, operator: Operator, expected: &str) -> bool {
    let folded = |text: &str| {
        let composed: String = text.nfc().collect();
        match comparison {
            Comparison::Exact => composed,
            _ => composed.chars().flat_map(char::to_lowercase).nfc().collect(),
        }
    };
    let (left, right) = (folded(actual), folded(expected));
    match operator {
        Operator::Contains => left.contains(&right),
        Operator::StartsWith => left.starts_with(&right),
        Operator::EndsWith => left.ends_with(&right),
        _ if comparison == Comparison::Instant => {
            let instant =
                |text: &str| text.parse::<Timestamp>().expect("the value is a date and time with an offset");
            operator.holds(instant(actual).cmp(&instant(expected)))
        }
        _ => operator.holds(left.cmp(&right)),
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // RFC 7644 §3.4.2.2: literals are those of JSON.
            Self::Text(text) => write!(f, "{}", Value::from(text.as_str())),
            Self::Boolean(boolean) => write!(f, "{boolean}"),
            Self::Null => f.write_str("null"),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |filters: &[Self], word: &str| {
            filters.iter().map(ToString::to_string).collect::<Vec<_>>().join(word)
        };
        match self {
            Self::Present(attribute) => write!(f, "{} pr", attribute.spelling),
            Self::Compare(attribute, operator, literal) => {
                write!(f, "{} {} {literal}", attribute.spelling, operator.word())
            }
            Self::Element(attribute, filter) => write!(f, "{}[{filter}]", attribute.spelling),
            Self::ElementValue(attribute, filter, value, operator, literal) => {
                let (outer, inner) = (&attribute.spelling, &value.spelling);
                write!(f, "{outer}[{filter}].{inner} {} {literal}", operator.word())
            }
            Self::And(filters) => write!(f, "({})", joined(filters, " and ")),
            Self::Or(filters) => write!(f, "({})", joined(filters, " or ")),
            Self::Not(filter) => write!(f, "not ({filter})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn user() -> Value {
        json!({
            "userName": "bjensen",
            "externalId": "Ab",
            "name": { "familyName": "O'Malley" },
            "title": "",
            "active": true,
            "emails": [{ "value": "b@example.com", "type": "work" }, { "value": "c@example.org", "type": "home" }],
            "meta": { "lastModified": "2011-05-13T04:42:34Z" }
        })
    }

    fn element(kind: &str) -> Box<Filter> {
        Box::new(Filter::equal(attribute("type", "type"), kind))
    }

    #[test]
    fn filters_print_and_match_as_rfc_7644_3_4_2_2_defines() {
        let emails = || attribute("emails", "emails");
        let value = || attribute("value", "value");
        let modified =
            || attribute("meta.lastModified", "meta.lastModified").compared_as(Comparison::Instant);
        let external_id = || attribute("externalId", "externalId").compared_as(Comparison::Exact);
        let active = || attribute("active", "active").compared_as(Comparison::Boolean);
        let name = || attribute("userName", "userName");
        let title = || attribute("title", "title");
        let nick = || attribute("nickName", "nickName");
        let address = || attribute("emails", "emails.value");
        for (filter, text, expected) in [
            (Filter::equal(name(), "BJensen"), "userName eq \"BJensen\"", true),
            (Filter::equal(external_id(), "ab"), "externalId eq \"ab\"", false),
            (
                Filter::compare(attribute("familyName", "name.familyName"), Operator::Contains, "o'm"),
                "familyName co \"o'm\"",
                true,
            ),
            (Filter::compare(name(), Operator::StartsWith, "J"), "userName sw \"J\"", false),
            (Filter::compare(name(), Operator::EndsWith, "SEN"), "userName ew \"SEN\"", true),
            (Filter::compare(name(), Operator::Less, "c"), "userName lt \"c\"", true),
            (Filter::compare(name(), Operator::GreaterOrEqual, "c"), "userName ge \"c\"", false),
            (Filter::Present(title()), "title pr", false),
            (Filter::Present(emails()), "emails pr", true),
            (Filter::compare(nick(), Operator::NotEqual, "x"), "nickName ne \"x\"", true),
            (Filter::compare(nick(), Operator::LessOrEqual, "x"), "nickName le \"x\"", false),
            (Filter::Compare(nick(), Operator::Equal, Literal::Null), "nickName eq null", true),
            (Filter::Compare(name(), Operator::NotEqual, Literal::Null), "userName ne null", true),
            (Filter::Compare(active(), Operator::Equal, Literal::Boolean(false)), "active eq false", false),
            (
                Filter::compare(modified(), Operator::Greater, "2011-05-13T06:42:33+02:00"),
                "meta.lastModified gt \"2011-05-13T06:42:33+02:00\"",
                true,
            ),
            (Filter::equal(address(), "C@example.org"), "emails eq \"C@example.org\"", true),
            (
                Filter::Element(
                    emails(),
                    Box::new(Filter::And(vec![
                        *element("work"),
                        Filter::compare(value(), Operator::Contains, "@example.org"),
                    ])),
                ),
                "emails[(type eq \"work\" and value co \"@example.org\")]",
                false,
            ),
            (
                Filter::ElementValue(
                    emails(),
                    element("home"),
                    value(),
                    Operator::Equal,
                    Literal::Text("c@example.org".to_owned()),
                ),
                "emails[type eq \"home\"].value eq \"c@example.org\"",
                true,
            ),
            (
                Filter::not(Filter::Or(vec![Filter::Present(title()), Filter::Present(nick())])),
                "not ((title pr or nickName pr))",
                true,
            ),
            (Filter::equal(name(), "c\"d"), "userName eq \"c\\\"d\"", false),
        ] {
            assert_eq!((filter.to_string().as_str(), filter.matches(&user())), (text, expected));
        }
    }
}
