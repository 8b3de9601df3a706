//! The key condition of a Query: one partition, and the sort keys in it.

use serde_json::Value;

use crate::layout::Key;

/// The tokens of an expression: names, placeholders, numbers and operators.
pub fn tokens(expression: &str) -> Vec<String> {
    let is_word = |character: char| character.is_alphanumeric() || "_:#.".contains(character);
    let mut tokens: Vec<String> = Vec::new();
    let mut continues = None;
    for character in expression.chars() {
        let class = match character {
            _ if character.is_whitespace() => None,
            _ if is_word(character) => Some('w'),
            '<' | '>' | '=' => Some('o'),
            // A parenthesis or a comma is a token of its own.
            _ => Some('p'),
        };
        match tokens.last_mut() {
            Some(last) if class.is_some() && class == continues && class != Some('p') => last.push(character),
            _ if class.is_some() => tokens.push(character.to_string()),
            _ => {}
        }
        continues = class;
    }
    tokens
}

/// The condition of a Query on its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCondition {
    /// The partition key.
    pub pk: String,
    /// The condition on the sort key. Without one, the Query reads the whole partition.
    pub sort: Option<Sort>,
}

/// A condition on the sort key: an operator in lower case (`=`, `<`, `<=`, `>`, `>=`, `between`,
/// `begins_with`), and its operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// The operator.
    pub operator: String,
    /// The operands.
    pub operands: Vec<String>,
}

impl KeyCondition {
    /// Reads the condition of a Query.
    ///
    /// # Errors
    /// A sentence when the condition is not one that DynamoDB accepts for the keys `pk` and `sk`.
    pub fn of(query: &Value) -> Result<Self, String> {
        let text = query["KeyConditionExpression"].as_str().unwrap_or_default();
        let value = |placeholder: &str| {
            let value = query["ExpressionAttributeValues"][placeholder]["S"].as_str();
            value.map(str::to_owned).ok_or_else(|| format!("{placeholder} of {text:?} is not a string"))
        };
        let resolved = |token: &String| match query["ExpressionAttributeNames"][token].as_str() {
            Some(name) => name.to_owned(),
            None => token.clone(),
        };
        let tokens: Vec<String> = tokens(text).iter().map(resolved).collect();
        let mut rest: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let (mut pk, mut sort) = (None, None);
        while !rest.is_empty() {
            let taken = match rest[..] {
                ["pk", "=", operand, ..] if pk.is_none() => {
                    pk = Some(value(operand)?);
                    3
                }
                ["begins_with", "(", "sk", ",", operand, ")", ..] if sort.is_none() => {
                    sort = Some(Sort { operator: "begins_with".to_owned(), operands: vec![value(operand)?] });
                    6
                }
                ["sk", between, first, and, last, ..]
                    if sort.is_none()
                        && between.eq_ignore_ascii_case("between")
                        && and.eq_ignore_ascii_case("and") =>
                {
                    let operands = vec![value(first)?, value(last)?];
                    sort = Some(Sort { operator: "between".to_owned(), operands });
                    5
                }
                ["sk", operator @ ("=" | "<" | "<=" | ">" | ">="), operand, ..] if sort.is_none() => {
                    sort = Some(Sort { operator: operator.to_owned(), operands: vec![value(operand)?] });
                    3
                }
                _ => return Err(format!("{text:?} is not a condition on pk and sk")),
            };
            rest.drain(..taken);
            match rest.first() {
                None => {}
                Some(and) if and.eq_ignore_ascii_case("and") && rest.len() > 1 => drop(rest.remove(0)),
                Some(_) => return Err(format!("{text:?} is not a condition on pk and sk")),
            }
        }
        Ok(Self { pk: pk.ok_or_else(|| format!("{text:?} has no condition on pk"))?, sort })
    }

    /// Whether an item with this key fulfils the condition.
    pub fn matches(&self, key: &Key) -> bool {
        self.pk == key.pk
            && self.sort.as_ref().is_none_or(|sort| {
                let operands: Vec<&str> = sort.operands.iter().map(String::as_str).collect();
                match (sort.operator.as_str(), &operands[..]) {
                    ("begins_with", [prefix]) => key.sk.starts_with(prefix),
                    ("between", [first, last]) => (*first..=*last).contains(&key.sk.as_str()),
                    ("=", [operand]) => key.sk == *operand,
                    ("<", [operand]) => key.sk.as_str() < *operand,
                    ("<=", [operand]) => key.sk.as_str() <= *operand,
                    (">", [operand]) => key.sk.as_str() > *operand,
                    (">=", [operand]) => key.sk.as_str() >= *operand,
                    other => unreachable!("{other:?} is not a condition that is read"),
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn condition(text: &str) -> Result<KeyCondition, String> {
        KeyCondition::of(&json!({
            "KeyConditionExpression": text,
            "ExpressionAttributeNames": { "#k": "sk" },
            "ExpressionAttributeValues": { ":pk": { "S": "p" }, ":a": { "S": "b" }, ":b": { "S": "d" } }
        }))
    }

    #[test]
    fn every_condition_selects_its_sort_keys() {
        let all = ["a", "b", "bb", "c", "d", "dd"];
        for (text, expected) in [
            ("pk = :pk", &all[..]),
            ("pk = :pk AND sk = :a", &["b"]),
            ("pk = :pk AND begins_with(sk, :a)", &["b", "bb"]),
            ("pk = :pk AND sk BETWEEN :a AND :b", &["b", "bb", "c", "d"]),
            ("pk=:pk and #k between :a and :b", &["b", "bb", "c", "d"]),
            ("sk >= :a AND pk = :pk", &["b", "bb", "c", "d", "dd"]),
            ("pk = :pk AND sk > :b", &["dd"]),
            ("pk = :pk AND sk <= :a", &["a", "b"]),
            ("pk = :pk AND sk < :a", &["a"]),
        ] {
            let condition = condition(text).unwrap();
            let found: Vec<&str> =
                all.into_iter().filter(|sk| condition.matches(&Key::new("p", *sk))).collect();
            assert_eq!(found, expected, "{text}");
            assert!(!condition.matches(&Key::new("q", "b")), "{text}");
        }
    }

    #[test]
    fn other_conditions_are_refused() {
        for text in [
            "",
            "sk = :a",
            "pk > :pk",
            "pk = :pk AND doc = :a",
            "pk = :pk AND",
            "pk = :pk OR sk = :a",
            "pk = :c",
        ] {
            assert!(condition(text).is_err(), "{text}");
        }
    }
}
