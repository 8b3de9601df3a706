//! Values of earlier answers, which later requests insert with `${name}`.
//!
//! A string that is only `${name}` becomes the value with its type. In a longer string, the value is inserted
//! as text. In an array, the string `<each of LIST>` and the element after it become one element for each
//! value of the list, and `${item}` is that value.

use serde_json::{Map, Value};

/// Values by name.
#[derive(Clone, Debug, Default)]
pub struct Captures(Map<String, Value>);

impl Captures {
    /// Sets a value.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Keeps a value of an answer. If the name ends in `[]`, the value is appended to a list. Otherwise it
    /// replaces an earlier value.
    pub fn keep(&mut self, name: &str, value: Value) {
        match name.strip_suffix("[]") {
            Some(list) => match self.0.entry(list).or_insert_with(|| Value::Array(Vec::new())) {
                Value::Array(values) => values.push(value),
                other => *other = Value::Array(vec![value]),
            },
            None => self.set(name, value),
        }
    }

    /// The text with every `${name}` in it replaced.
    ///
    /// # Errors
    /// The unknown name.
    pub fn fill_text(&self, text: &str) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').ok_or_else(|| format!("no }} after ${{ in {text}"))?;
            filled.push_str(before);
            match self.get(name)? {
                Value::String(value) => filled.push_str(value),
                value => filled.push_str(&value.to_string()),
            }
            rest = after;
        }
        Ok(filled + rest)
    }

    /// The value with every `${name}` in its strings replaced, and every `<each of LIST>` expanded.
    ///
    /// # Errors
    /// The unknown name, or the `<each of LIST>` without an element after it.
    pub fn fill(&self, value: &Value) -> Result<Value, String> {
        match value {
            Value::String(text) => match text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
                Some(name) if !name.contains('}') => self.get(name).cloned(),
                _ => self.fill_text(text).map(Value::String),
            },
            Value::Array(elements) => self.fill_array(elements).map(Value::Array),
            Value::Object(members) => {
                let filled = members.iter().map(|(name, value)| Ok((name.clone(), self.fill(value)?)));
                filled.collect::<Result<_, String>>().map(Value::Object)
            }
            other => Ok(other.clone()),
        }
    }

    fn fill_array(&self, elements: &[Value]) -> Result<Vec<Value>, String> {
        let mut filled = Vec::with_capacity(elements.len());
        let mut elements = elements.iter();
        while let Some(element) = elements.next() {
            let each = element.as_str().and_then(|text| text.strip_prefix("<each of ")?.strip_suffix('>'));
            let Some(list) = each else {
                filled.push(self.fill(element)?);
                continue;
            };
            let template = elements.next().ok_or_else(|| format!("nothing after <each of {list}>"))?;
            let values = self.get(list)?.as_array().ok_or_else(|| format!("{list} is not a list"))?;
            let mut captures = self.clone();
            for value in values {
                captures.set("item", value.clone());
                filled.push(captures.fill(template)?);
            }
        }
        Ok(filled)
    }

    fn get(&self, name: &str) -> Result<&Value, String> {
        self.0.get(name).ok_or_else(|| format!("nothing was captured as {name}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn captures() -> Captures {
        let mut captures = Captures::default();
        captures.set("id", "7");
        captures.set("count", 2);
        captures.set("user", json!({ "id": "7", "active": true }));
        captures.keep("ids[]", json!("a"));
        captures.keep("ids[]", json!("b"));
        captures
    }

    #[test]
    fn placeholder_becomes_text_in_a_text_and_the_value_on_its_own() {
        for (template, filled) in [
            (json!("/Users/${id}?count=${count}"), json!("/Users/7?count=2")),
            (json!("${count}"), json!(2)),
            (json!("${id}${count}"), json!("72")),
            (
                json!({ "a": ["${user}", "$ref", null] }),
                json!({ "a": [{ "id": "7", "active": true }, "$ref", null] }),
            ),
            (json!({ "$ref": "${ids}" }), json!({ "$ref": ["a", "b"] })),
        ] {
            assert_eq!(captures().fill(&template).unwrap(), filled, "{template}");
        }
    }

    #[test]
    fn each_of_repeats_an_element_for_every_value() {
        let template =
            json!(["<in any order>", "<each of ids>", { "value": "${item}", "display": "n${count}" }, 1]);
        let filled = json!(["<in any order>", { "value": "a", "display": "n2" }, { "value": "b", "display": "n2" }, 1]);
        assert_eq!(captures().fill(&template).unwrap(), filled);
    }

    #[test]
    fn unknown_name_or_malformed_placeholder_is_an_error() {
        for (template, error) in [
            (json!("${unknown}"), "nothing was captured as unknown"),
            (json!(["<each of unknown>", 1]), "nothing was captured as unknown"),
            (json!(["<each of ids>"]), "nothing after <each of ids>"),
            (json!(["<each of id>", 1]), "id is not a list"),
            (json!("a${id"), "no } after ${ in a${id"),
        ] {
            assert_eq!(captures().fill(&template).unwrap_err(), error, "{template}");
        }
    }
}
