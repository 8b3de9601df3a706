//! The part of IAM that the policies of `template.yaml` need: whether statements allow an access to the table.
//!
//! IAM allows what an `Allow` statement matches, unless a `Deny` statement matches it too. A statement matches if all its
//! conditions are true. For `dynamodb:LeadingKeys`, which a request like Scan does not have:
//!
//! | condition | keys in the request | no keys in the request |
//! | --- | --- | --- |
//! | `ForAllValues:StringLike` | true if each key is like one of the patterns | true |
//! | `ForAnyValue:StringLike` | true if one of the keys is like one of the patterns | false |
//! | `Null: "false"` | true | false |

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// An access to the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The action without its service: `GetItem`.
    pub action: String,
    /// The partition keys that the request names (`dynamodb:LeadingKeys`). `None` if it names none.
    pub leading_keys: Option<BTreeSet<String>>,
}

/// A statement of a policy about the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    is_deny: bool,
    /// The actions without their service.
    pub actions: BTreeSet<String>,
    conditions: Vec<Condition>,
}

/// A condition on the partition keys of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    ForAllValuesLike(Vec<String>),
    ForAnyValueLike(Vec<String>),
    Null(bool),
}

/// Whether the statements of a principal allow an access.
pub fn is_allowed(statements: &[Statement], access: &Access) -> bool {
    let matches = |is_deny| {
        statements.iter().any(|statement| statement.is_deny == is_deny && statement.matches(access))
    };
    matches(false) && !matches(true)
}

impl Statement {
    /// Reads a statement of a policy.
    ///
    /// # Panics
    /// When the statement is not about the table, or has a condition that this module does not know.
    pub fn parse(statement: &Value) -> Self {
        assert_eq!(statement["Resource"], json!({ "Fn::GetAtt": "Table.Arn" }), "{statement}");
        let is_deny = match statement["Effect"].as_str() {
            Some("Allow") => false,
            Some("Deny") => true,
            other => panic!("Effect is {other:?}"),
        };
        let action = |action: String| {
            action.strip_prefix("dynamodb:").expect("the action is one of DynamoDB").to_owned()
        };
        let conditions = statement.get("Condition").and_then(Value::as_object).into_iter().flatten();
        Self {
            is_deny,
            actions: strings(&statement["Action"]).into_iter().map(action).collect(),
            conditions: conditions.map(|(operator, operand)| Condition::parse(operator, operand)).collect(),
        }
    }

    fn matches(&self, access: &Access) -> bool {
        self.actions.contains(&access.action)
            && self.conditions.iter().all(|condition| condition.is_true(access.leading_keys.as_ref()))
    }
}

impl Condition {
    fn parse(operator: &str, operand: &Value) -> Self {
        let operand = operand.as_object().expect("a condition names its keys");
        assert!(operand.keys().eq(["dynamodb:LeadingKeys"]), "{operand:?}");
        let values = strings(&operand["dynamodb:LeadingKeys"]);
        match operator {
            "ForAllValues:StringLike" => Self::ForAllValuesLike(values),
            "ForAnyValue:StringLike" => Self::ForAnyValueLike(values),
            "Null" => Self::Null(values == ["true"]),
            other => panic!("the condition operator {other} is not known"),
        }
    }

    fn is_true(&self, keys: Option<&BTreeSet<String>>) -> bool {
        let is_like_one =
            |key: &String, patterns: &[String]| patterns.iter().any(|pattern| is_like(key, pattern));
        match self {
            Self::ForAllValuesLike(patterns) => {
                keys.is_none_or(|keys| keys.iter().all(|key| is_like_one(key, patterns)))
            }
            Self::ForAnyValueLike(patterns) => {
                keys.is_some_and(|keys| keys.iter().any(|key| is_like_one(key, patterns)))
            }
            Self::Null(is_null) => keys.is_none() == *is_null,
        }
    }
}

/// Whether a text matches a pattern of IAM, in which `*` stands for any characters, and `?` for one.
fn is_like(text: &str, pattern: &str) -> bool {
    let mut rest = text.chars();
    let Some(first) = pattern.chars().next() else { return text.is_empty() };
    let after = &pattern[first.len_utf8()..];
    match first {
        '*' => (0..=text.len()).filter_map(|at| text.get(at..)).any(|rest| is_like(rest, after)),
        '?' => rest.next().is_some() && is_like(rest.as_str(), after),
        _ => rest.next() == Some(first) && is_like(rest.as_str(), after),
    }
}

/// The strings of a list. IAM also accepts one string in place of a list.
fn strings(value: &Value) -> Vec<String> {
    let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    values.iter().map(|value| value.as_str().expect("each value is a string").to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_stands_for_any_characters_and_question_mark_for_one() {
        for (text, pattern, expected) in [
            ("okta#user", "*#user", true),
            ("okta#group/1", "*#group/*", true),
            ("okta#group", "*#group/*", false),
            ("used/okta", "used/*", true),
            ("connectors", "connectors", true),
            ("connectors", "connector", false),
            ("okta#user", "*#group", false),
            ("okta", "okt?", true),
            ("okt", "okt?", false),
        ] {
            assert_eq!(is_like(text, pattern), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn conditions_are_evaluated_with_and_without_partition_keys() {
        let like = json!({ "dynamodb:LeadingKeys": ["*#user", "used/*"] });
        let null = |value: &str| json!({ "dynamodb:LeadingKeys": value });
        let user_and_use: &[&str] = &["okta#user", "used/okta"];
        let user_and_group: &[&str] = &["okta#user", "okta#group"];
        for (operator, operand, expected) in [
            ("ForAllValues:StringLike", &like, [true, true, false]),
            ("ForAnyValue:StringLike", &like, [false, true, true]),
            ("Null", &null("false"), [false, true, true]),
            ("Null", &null("true"), [true, false, false]),
        ] {
            let condition = Condition::parse(operator, operand);
            let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>();
            let found = [None, Some(keys(user_and_use)), Some(keys(user_and_group))]
                .map(|keys| condition.is_true(keys.as_ref()));
            assert_eq!(found, expected, "{operator} {operand}");
        }
    }

    #[test]
    fn deny_wins_over_allow_and_nothing_is_allowed_by_default() {
        let statement = |effect: &str, action: &str| {
            Statement::parse(&json!({
                "Effect": effect, "Action": action, "Resource": { "Fn::GetAtt": "Table.Arn" },
            }))
        };
        let statements = [
            statement("Allow", "dynamodb:PutItem"),
            statement("Allow", "dynamodb:DeleteItem"),
            statement("Deny", "dynamodb:DeleteItem"),
        ];
        let found = ["PutItem", "DeleteItem", "GetItem"]
            .map(|action| is_allowed(&statements, &Access { action: action.to_owned(), leading_keys: None }));
        assert_eq!(found, [true, false, false]);
    }
}
