//! Expressions of conditions and updates, with the values in them.

use aws_sdk_dynamodb::types::AttributeValue;

use super::attributes::Item;

/// A condition or an update: an expression and the values in it.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    values: Vec<(String, AttributeValue)>,
}

impl Expression {
    /// Makes an expression without values.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }

    /// Adds a value under its placeholder in the text, such as `:one`.
    pub fn with(mut self, placeholder: impl Into<String>, value: AttributeValue) -> Self {
        self.values.push((placeholder.into(), value));
        self
    }

    /// Makes an expression that requires both.
    pub fn and(mut self, other: Expression) -> Self {
        self.text = format!("({}) AND ({})", self.text, other.text);
        self.values.extend(other.values);
        self
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn values(&self) -> Option<Item> {
        let values: Item = self.values.iter().cloned().collect();
        (!values.is_empty()).then_some(values)
    }
}

/// An update expression, made attribute by attribute. The placeholder of a value is the attribute's name after a colon.
#[derive(Clone, Debug, Default)]
pub struct Update {
    set: Vec<String>,
    remove: Vec<String>,
    add: Vec<String>,
    delete: Vec<String>,
    values: Vec<(String, AttributeValue)>,
}

impl Update {
    /// Makes an update that changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets an attribute.
    pub fn set(mut self, name: &str, value: AttributeValue) -> Self {
        self.set.push(format!("{name} = :{name}"));
        self.values.push((format!(":{name}"), value));
        self
    }

    /// Removes attributes.
    pub fn remove(mut self, names: &[&str]) -> Self {
        self.remove.extend(names.iter().map(|name| (*name).to_owned()));
        self
    }

    /// Adds to a number, or adds elements to a set.
    pub fn add(mut self, name: &str, value: AttributeValue) -> Self {
        self.add.push(format!("{name} :{name}"));
        self.values.push((format!(":{name}"), value));
        self
    }

    /// Deletes elements from a set.
    pub fn delete(mut self, name: &str, value: AttributeValue) -> Self {
        self.delete.push(format!("{name} :{name}"));
        self.values.push((format!(":{name}"), value));
        self
    }

    /// Makes an update that does what both do. They must not change the same attribute.
    pub fn and(mut self, other: Self) -> Self {
        self.set.extend(other.set);
        self.remove.extend(other.remove);
        self.add.extend(other.add);
        self.delete.extend(other.delete);
        self.values.extend(other.values);
        self
    }
}

impl From<Update> for Expression {
    fn from(update: Update) -> Self {
        let clauses =
            [("SET", update.set), ("REMOVE", update.remove), ("ADD", update.add), ("DELETE", update.delete)];
        let clauses = clauses.iter().filter(|(_, parts)| !parts.is_empty());
        let text: Vec<String> = clauses.map(|(word, parts)| format!("{word} {}", parts.join(", "))).collect();
        Self { text: text.join(" "), values: update.values }
    }
}

#[cfg(test)]
mod tests {
    use super::super::attributes::{number, text};
    use super::*;

    #[test]
    fn update_has_one_clause_of_each_kind() {
        let update = Update::new().set("a", text("x")).remove(&["b", "c"]).add("d", number(1));
        let update = Expression::from(update.and(Update::new().set("e", number(2)).delete("f", text("y"))));
        assert_eq!(update.text(), "SET a = :a, e = :e REMOVE b, c ADD d :d DELETE f :f");
        let mut placeholders: Vec<String> = update.values().unwrap().into_keys().collect();
        placeholders.sort_unstable();
        assert_eq!(placeholders, [":a", ":d", ":e", ":f"]);
    }
}
