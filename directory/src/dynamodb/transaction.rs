//! A TransactWriteItems request, built item by item.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};
use shared::error::ScimError;

use super::attributes::Item;
use super::conditions::{Condition, Requirement};
use super::keys::Key;

/// The most items that one transaction can hold (TransactWriteItems).
const MAX_ITEMS: usize = 100;

/// Writes that are applied all together or not at all.
#[derive(Clone, Debug)]
pub struct Transaction {
    table: String,
    items: Vec<TransactWriteItem>,
    /// The condition of each item; `None` for an item without one.
    conditions: Vec<Option<Condition>>,
}

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

impl Transaction {
    pub(super) fn new(table: &str) -> Self {
        Self { table: table.to_owned(), items: Vec::new(), conditions: Vec::new() }
    }

    /// The number of items that can still be added.
    pub fn remaining_items(&self) -> usize {
        MAX_ITEMS - self.items.len().min(MAX_ITEMS)
    }

    pub(super) fn items(&self) -> &[TransactWriteItem] {
        &self.items
    }

    /// The conditions of the items at these positions.
    pub(super) fn conditions_at(&self, positions: &[usize]) -> Vec<Condition> {
        positions.iter().filter_map(|position| self.conditions.get(*position)?.clone()).collect()
    }

    fn push(&mut self, item: TransactWriteItem, condition: Option<Condition>) {
        self.items.push(item);
        self.conditions.push(condition);
    }

    /// Writes an item, and replaces one with the same key.
    pub fn put(&mut self, item: Item) -> Result<(), ScimError> {
        self.put_if(item, None)
    }

    /// Writes an item that must not exist yet; `condition` is what that means.
    pub fn put_new(&mut self, item: Item, condition: Condition) -> Result<(), ScimError> {
        self.put_if(item, Some(Requirement::is_absent(condition)))
    }

    fn put_if(&mut self, item: Item, requirement: Option<Requirement>) -> Result<(), ScimError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .set_condition_expression(requirement.as_ref().map(|one| one.expression.text.clone()))
            .build()
            .map_err(ScimError::internal)?;
        self.push(TransactWriteItem::builder().put(put).build(), requirement.map(|one| one.condition));
        Ok(())
    }

    /// Deletes an item, whether it exists or not.
    pub fn delete(&mut self, key: &Key) -> Result<(), ScimError> {
        self.delete_with(key, None)
    }

    /// Deletes an item if a requirement holds.
    pub fn delete_if(&mut self, key: &Key, requirement: Requirement) -> Result<(), ScimError> {
        self.delete_with(key, Some(requirement))
    }

    fn delete_with(&mut self, key: &Key, requirement: Option<Requirement>) -> Result<(), ScimError> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .set_expression_attribute_values(requirement.as_ref().and_then(|one| one.expression.values()))
            .set_condition_expression(requirement.as_ref().map(|one| one.expression.text.clone()))
            .build()
            .map_err(ScimError::internal)?;
        self.push(TransactWriteItem::builder().delete(delete).build(), requirement.map(|one| one.condition));
        Ok(())
    }

    /// Updates an item if a requirement holds. The two expressions share the names of their values.
    pub fn update(
        &mut self,
        key: &Key,
        update: Expression,
        requirement: Option<Requirement>,
    ) -> Result<(), ScimError> {
        let mut values = update.values().unwrap_or_default();
        values.extend(requirement.as_ref().and_then(|one| one.expression.values()).unwrap_or_default());
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .update_expression(update.text)
            .set_condition_expression(requirement.as_ref().map(|one| one.expression.text.clone()))
            .set_expression_attribute_values((!values.is_empty()).then_some(values))
            .build()
            .map_err(ScimError::internal)?;
        self.push(TransactWriteItem::builder().update(update).build(), requirement.map(|one| one.condition));
        Ok(())
    }

    /// Checks a requirement on an item that the transaction does not write.
    pub fn check(&mut self, key: &Key, requirement: Requirement) -> Result<(), ScimError> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .set_expression_attribute_values(requirement.expression.values())
            .condition_expression(requirement.expression.text)
            .build()
            .map_err(ScimError::internal)?;
        self.push(TransactWriteItem::builder().condition_check(check).build(), Some(requirement.condition));
        Ok(())
    }
}
