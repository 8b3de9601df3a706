//! Parses the text of a filter to a [`Filter`]. The parser does not know the schemas: it accepts any path and
//! any value.
//!
//! ```text
//! filter     = and *( "or" and )
//! and        = term *( "and" term )
//! term       = "not" "(" filter ")" / "(" filter ")" / path "[" filter "]" [ "." name comparison ]
//!            / path comparison
//! comparison = "pr" / operator literal
//! operator   = "eq" / "ne" / "co" / "sw" / "ew" / "gt" / "ge" / "lt" / "le"
//! literal    = JSON string / JSON number / "true" / "false" / "null"
//! ```
//!
//! Words match in upper and lower case, with any amount of white space between them. Brackets cannot be nested. A
//! comparison after brackets is not part of RFC 7644 §3.4.2.2, but Entra ID sends it.

use super::expression::{Expression, Filter, Literal, Operator};
use crate::attribute_path::AttributePath;
use crate::error::{ErrorKind, ScimError};
use crate::limits::{MAX_FILTER_BYTES, MAX_FILTER_DEPTH};

const OPERATORS: &str = "an operator (eq, ne, co, sw, ew, gt, ge, lt, le, pr)";
const LITERALS: &str = "a value (a string in double quotes, a number, true, false or null)";
const TERMS: &str = "an attribute path, \"not\" or \"(\"";

impl Filter {
    /// Parses a filter.
    ///
    /// # Errors
    /// `invalidFilter`, with the position, the text that was found there, and the text that was expected.
    pub fn parse(text: &str) -> Result<Self, ScimError> {
        if text.len() > MAX_FILTER_BYTES {
            let detail = format!("The filter is {} bytes; the maximum is {MAX_FILTER_BYTES}", text.len());
            return Err(ScimError::new(ErrorKind::InvalidFilter, detail));
        }
        let mut parser = Parser::new(text);
        let expression = parser.or()?;
        match parser.peek() {
            None => Ok(Self { expression }),
            Some(_) => Err(parser.error("\"and\", \"or\" or the end")),
        }
    }
}

/// The text of a filter, and the position of the parser in it.
pub(crate) struct Parser<'t> {
    text: &'t str,
    position: usize,
    depth: usize,
    is_in_brackets: bool,
}

impl<'t> Parser<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, position: 0, depth: 0, is_in_brackets: false }
    }

    fn or(&mut self) -> Result<Expression, ScimError> {
        let first = self.and()?;
        let mut parts = vec![first];
        while self.take_word("or") {
            parts.push(self.and()?);
        }
        Ok(single_or(parts, Expression::Or))
    }

    fn and(&mut self) -> Result<Expression, ScimError> {
        let first = self.term()?;
        let mut parts = vec![first];
        while self.take_word("and") {
            parts.push(self.term()?);
        }
        Ok(single_or(parts, Expression::And))
    }

    fn term(&mut self) -> Result<Expression, ScimError> {
        if self.take("(") {
            return self.closed_by(")");
        }
        let start = self.position;
        if self.take_word("not") {
            if self.take("(") {
                return Ok(Expression::Not(Box::new(self.closed_by(")")?)));
            }
            return Err(self.error("\"(\" after \"not\""));
        }
        let word = self.word();
        let Some(path) = AttributePath::parse(word) else {
            self.position = start;
            return Err(self.error(TERMS));
        };
        if self.is_next_char('[') {
            return self.value_filter(path);
        }
        self.comparison(path)
    }

    /// Parses a filter in brackets, and the comparison that Entra ID sends after it.
    fn value_filter(&mut self, path: AttributePath) -> Result<Expression, ScimError> {
        let inner = self.brackets()?;
        if !self.is_next_char('.') {
            return Ok(Expression::ValueFilter(path, Box::new(inner)));
        }
        let comparison = self.accepts_a_comparison_after_a_value_filter()?;
        let mut parts = match inner {
            Expression::And(parts) => parts,
            one => vec![one],
        };
        parts.push(comparison);
        Ok(Expression::ValueFilter(path, Box::new(Expression::And(parts))))
    }

    /// Parses `[ filter ]`. The opening bracket must be next.
    pub fn brackets(&mut self) -> Result<Expression, ScimError> {
        if self.is_in_brackets {
            return Err(self.error("an operator (brackets cannot be nested)"));
        }
        self.position += 1;
        self.is_in_brackets = true;
        let inner = self.closed_by("]")?;
        self.is_in_brackets = false;
        Ok(inner)
    }

    /// Entra ID sends `emails[type eq "work"].value eq "x"` for `emails[type eq "work" and value eq "x"]`.
    fn accepts_a_comparison_after_a_value_filter(&mut self) -> Result<Expression, ScimError> {
        self.position += 1;
        match AttributePath::parse(self.word()) {
            Some(path) => self.comparison(path),
            None => Err(self.error("the name of a sub-attribute")),
        }
    }

    fn comparison(&mut self, path: AttributePath) -> Result<Expression, ScimError> {
        self.skip_spaces();
        let start = self.position;
        let word = self.word();
        if word.eq_ignore_ascii_case("pr") {
            return Ok(Expression::Present(path));
        }
        let Some(operator) = Operator::parse(word) else {
            self.position = start;
            return Err(self.error(OPERATORS));
        };
        Ok(Expression::Compare(path, operator, self.literal()?))
    }

    fn literal(&mut self) -> Result<Literal, ScimError> {
        self.skip_spaces();
        let start = self.position;
        if self.is_next_char('"') {
            return self.string();
        }
        let word = self.word();
        let literal = if word.eq_ignore_ascii_case("true") {
            Some(Literal::Boolean(true))
        } else if word.eq_ignore_ascii_case("false") {
            Some(Literal::Boolean(false))
        } else if word.eq_ignore_ascii_case("null") {
            Some(Literal::Null)
        } else {
            serde_json::from_str(word).ok().map(Literal::Number)
        };
        literal.ok_or_else(|| {
            self.position = start;
            self.error(LITERALS)
        })
    }

    fn string(&mut self) -> Result<Literal, ScimError> {
        let rest = self.rest();
        let mut is_escaped = false;
        let end = rest.bytes().skip(1).position(|byte| {
            let is_end = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            is_end
        });
        let Some(quoted) = end.and_then(|end| rest.get(..end + 2)) else {
            self.position = self.text.len();
            return Err(self.error("the closing quote of a string"));
        };
        match serde_json::from_str(quoted) {
            Ok(text) => {
                self.position += quoted.len();
                Ok(Literal::String(text))
            }
            Err(_) => Err(self.error("a string with JSON's escapes")),
        }
    }

    /// Parses a filter and the mark that closes it.
    fn closed_by(&mut self, mark: &str) -> Result<Expression, ScimError> {
        self.depth += 1;
        if self.depth > MAX_FILTER_DEPTH {
            let detail = format!("The filter is nested deeper than the maximum of {MAX_FILTER_DEPTH} levels");
            return Err(ScimError::new(ErrorKind::InvalidFilter, detail));
        }
        let inner = self.or()?;
        self.depth -= 1;
        if self.take(mark) { Ok(inner) } else { Err(self.error(&format!("\"and\", \"or\" or \"{mark}\""))) }
    }

    pub fn rest(&self) -> &'t str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start().len();
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_spaces();
        self.rest().chars().next()
    }

    fn is_next_char(&self, mark: char) -> bool {
        self.rest().starts_with(mark)
    }

    fn take(&mut self, mark: &str) -> bool {
        self.skip_spaces();
        let is_next = self.rest().starts_with(mark);
        self.position += if is_next { mark.len() } else { 0 };
        is_next
    }

    /// Takes a keyword of the grammar if it is the next word.
    fn take_word(&mut self, word: &str) -> bool {
        self.skip_spaces();
        let start = self.position;
        let is_next = self.word().eq_ignore_ascii_case(word);
        if !is_next {
            self.position = start;
        }
        is_next
    }

    /// Takes the text before the next space, quote, parenthesis or bracket.
    pub fn word(&mut self) -> &'t str {
        self.skip_spaces();
        let rest = self.rest();
        let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | '"');
        let word = rest.get(..rest.find(ends).unwrap_or(rest.len())).unwrap_or_default();
        self.position += word.len();
        word
    }

    /// Makes the error for the text at the current position.
    pub fn error(&mut self, expected: &str) -> ScimError {
        self.skip_spaces();
        let position = self.text.get(..self.position).unwrap_or_default().chars().count() + 1;
        let start = self.position;
        let found = match self.rest().chars().next() {
            None => "the end".to_owned(),
            Some(mark @ ('(' | ')' | '[' | ']' | '"')) => format!("{mark:?}").replace('\'', "\""),
            Some(_) => format!("\"{}\"", self.word().chars().take(40).collect::<String>()),
        };
        self.position = start;
        let detail = format!("Position {position} of the filter: found {found}, expected {expected}");
        ScimError::new(ErrorKind::InvalidFilter, detail)
    }
}

/// Returns the only part, or joins several parts.
fn single_or(mut parts: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    match (parts.pop(), parts.is_empty()) {
        (Some(single), true) => single,
        (Some(last), false) => {
            parts.push(last);
            join(parts)
        }
        (None, _) => join(parts),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> AttributePath {
        AttributePath::parse(text).unwrap()
    }

    fn equal(name: &str, value: &str) -> Expression {
        Expression::Compare(path(name), Operator::Equal, Literal::String(value.to_owned()))
    }

    fn parse(text: &str) -> Expression {
        Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).expression
    }

    #[test]
    fn every_operator_and_literal_is_parsed() {
        for (name, operator) in Operator::ALL {
            for (text, literal) in [
                ("\"x\"", Literal::String("x".into())),
                ("\"a\\\"b\\\\c\\u00e9\\n/\"", Literal::String("a\"b\\cé\n/".into())),
                ("\"\"", Literal::String(String::new())),
                ("12", Literal::Number(12.into())),
                ("-1.5e3", Literal::Number(serde_json::from_str("-1.5e3").unwrap())),
                ("true", Literal::Boolean(true)),
                ("False", Literal::Boolean(false)),
                ("null", Literal::Null),
            ] {
                let expected = Expression::Compare(path("a"), operator, literal);
                assert_eq!(parse(&format!("a {name} {text}")), expected);
                assert_eq!(parse(&format!("  a  {}   {text} ", name.to_uppercase())), expected);
            }
        }
    }

    #[test]
    fn not_binds_tighter_than_and_which_binds_tighter_than_or() {
        let [a, b, c] = ["a", "b", "c"].map(|name| equal(name, "1"));
        let and = |parts: &[&Expression]| Expression::And(parts.iter().map(|part| (*part).clone()).collect());
        let or = |parts: &[&Expression]| Expression::Or(parts.iter().map(|part| (*part).clone()).collect());
        let not = |part: &Expression| Expression::Not(Box::new(part.clone()));
        for (text, expected) in [
            ("a eq \"1\" or b eq \"1\" and c eq \"1\"", or(&[&a, &and(&[&b, &c])])),
            ("a eq \"1\" and b eq \"1\" or c eq \"1\"", or(&[&and(&[&a, &b]), &c])),
            ("(a eq \"1\" or b eq \"1\")and c eq \"1\"", and(&[&or(&[&a, &b]), &c])),
            ("not(a eq \"1\") and b eq \"1\"", and(&[&not(&a), &b])),
            ("NOT (a eq \"1\" AND b eq \"1\")", not(&and(&[&a, &b]))),
            ("a eq \"1\" or b eq \"1\" or c eq \"1\"", or(&[&a, &b, &c])),
            ("((a eq \"1\"))", a.clone()),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn comparison_after_a_value_filter_becomes_part_of_it() {
        let work = equal("type", "work");
        let both = Expression::And(vec![work.clone(), equal("value", "x")]);
        let filter = |inner: &Expression| Expression::ValueFilter(path("emails"), Box::new(inner.clone()));
        for (text, expected) in [
            ("emails[type eq \"work\"]", filter(&work)),
            ("emails[ type eq \"work\" and value eq \"x\" ]", filter(&both)),
            ("emails[type eq \"work\"].value eq \"x\"", filter(&both)),
            (
                "emails[type eq \"work\"].value pr",
                filter(&Expression::And(vec![work.clone(), Expression::Present(path("value"))])),
            ),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn filters_that_clients_send_are_parsed() {
        for text in [
            "userName eq \"test.user@okta.local\"",
            "userName Eq \"x\"",
            "id eq \"1\" and members eq \"2\"",
            "id eq \"1\" and urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager eq \"2\"",
            "meta.lastModified gt \"2011-05-13T04:42:34Z\"",
            "userType ne \"Employee\" and not (emails co \"example.com\" or emails.value co \"example.org\")",
        ] {
            parse(text);
        }
    }

    #[test]
    fn syntax_error_names_position_found_text_and_expected_text() {
        for (text, expected) in [
            ("", format!("Position 1 of the filter: found the end, expected {TERMS}")),
            ("userName", format!("Position 9 of the filter: found the end, expected {OPERATORS}")),
            ("userName foo \"x\"", format!("Position 10 of the filter: found \"foo\", expected {OPERATORS}")),
            ("userName eq", format!("Position 12 of the filter: found the end, expected {LITERALS}")),
            ("userName eq x", format!("Position 13 of the filter: found \"x\", expected {LITERALS}")),
            ("é", format!("Position 1 of the filter: found \"é\", expected {TERMS}")),
            (
                "a eq \"é\" und",
                "Position 10 of the filter: found \"und\", expected \"and\", \"or\" or the end".into(),
            ),
            ("a pr )", "Position 6 of the filter: found \")\", expected \"and\", \"or\" or the end".into()),
            ("(a pr", "Position 6 of the filter: found the end, expected \"and\", \"or\" or \")\"".into()),
            ("a[b pr", "Position 7 of the filter: found the end, expected \"and\", \"or\" or \"]\"".into()),
            ("not a pr", "Position 5 of the filter: found \"a\", expected \"(\" after \"not\"".into()),
            (
                "a eq \"x",
                "Position 8 of the filter: found the end, expected the closing quote of a string".into(),
            ),
            (
                "a eq \"\\x\"",
                "Position 6 of the filter: found \"\"\", expected a string with JSON's escapes".into(),
            ),
            ("a pr and", format!("Position 9 of the filter: found the end, expected {TERMS}")),
            ("1 eq 1", format!("Position 1 of the filter: found \"1\", expected {TERMS}")),
            (
                "a[b[c pr]]",
                "Position 4 of the filter: found \"[\", expected an operator (brackets cannot be nested)"
                    .into(),
            ),
        ] {
            let error = Filter::parse(text).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidFilter);
            assert_eq!(error.detail, expected, "{text}");
        }
    }

    #[test]
    fn filter_that_is_too_long_or_too_deep_is_rejected() {
        let long = format!("a eq \"{}\"", "x".repeat(MAX_FILTER_BYTES));
        assert!(Filter::parse(&long).unwrap_err().detail.contains("8192"));
        let nested = |depth: usize| format!("{}a pr{}", "(".repeat(depth), ")".repeat(depth));
        assert!(Filter::parse(&nested(MAX_FILTER_DEPTH)).is_ok());
        assert!(Filter::parse(&nested(MAX_FILTER_DEPTH + 1)).unwrap_err().detail.contains("32 levels"));
        assert!(Filter::parse(&"(".repeat(MAX_FILTER_BYTES)).is_err());
        assert!(Filter::parse(&"not(".repeat(2_000)).is_err());
    }

    fn expressions() -> impl Strategy<Value = Expression> {
        let name =
            prop_oneof!["[a-z][a-zA-Z]{0,8}", "[a-z]{1,5}\\.[a-z]{1,5}", "urn:x:2\\.0:User:[a-z]{1,5}"]
                .prop_filter("keywords are not names here", |name| {
                    !["not", "and", "or"].contains(&name.as_str())
                });
        let name = name.prop_map(|name| path(&name));
        let literal = prop_oneof![
            any::<String>().prop_map(Literal::String),
            any::<i64>().prop_map(|number| Literal::Number(number.into())),
            any::<bool>().prop_map(Literal::Boolean),
            Just(Literal::Null),
        ];
        let operator = (0..Operator::ALL.len()).prop_map(|index| Operator::ALL[index].1);
        let leaf = prop_oneof![
            name.clone().prop_map(Expression::Present),
            (name.clone(), operator, literal)
                .prop_map(|(path, operator, literal)| Expression::Compare(path, operator, literal)),
        ];
        let in_brackets = combined(leaf.clone().boxed(), 2);
        let term = prop_oneof![
            leaf,
            (name, in_brackets).prop_map(|(path, inner)| Expression::ValueFilter(path, Box::new(inner)))
        ];
        combined(term.boxed(), 4)
    }

    fn combined(leaf: BoxedStrategy<Expression>, depth: u32) -> BoxedStrategy<Expression> {
        leaf.prop_recursive(depth, 32, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::And),
                prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::Or),
                inner.prop_map(|part| Expression::Not(Box::new(part))),
            ]
        })
        .boxed()
    }

    #[test]
    fn printed_number_is_the_same_number() {
        let filter = parse(&format!("x eq 9223354775922335477{}", "59223354775922335477".repeat(7)));
        assert_eq!(parse(&filter.to_string()), filter);
    }

    proptest! {
        #[test]
        fn printed_filter_parses_to_the_same_filter(expression in expressions()) {
            let text = expression.to_string();
            prop_assume!(text.len() <= MAX_FILTER_BYTES);
            prop_assert_eq!(parse(&text), expression);
        }

        #[test]
        fn parser_never_panics(text in any::<String>(), words in "([a-z\"()\\[\\]. ]|eq |and |not){0,40}") {
            let _ = Filter::parse(&text);
            let _ = Filter::parse(&words);
        }
    }
}
