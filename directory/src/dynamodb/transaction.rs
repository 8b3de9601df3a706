//! A TransactWriteItems request, built item by item.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};

use super::keys::Key;
use super::table::Item;
use shared::error::ScimError;

/// The most items that one transaction can hold (TransactWriteItems).
pub const LIMIT: usize = 100;

/// Writes that happen all together or not at all.
#[derive(Clone, Debug)]
pub struct Transaction {
    table: String,
    items: Vec<TransactWriteItem>,
}

/// A condition, or an update: an expression and the values in it.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    values: Vec<(&'static str, AttributeValue)>,
}

impl Expression {
    /// An expression without values.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }

    /// With a value, under the name that it has in the text.
    pub fn with(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.values.push((name, value));
        self
    }

    /// Both must hold.
    pub fn and(mut self, other: Expression) -> Self {
        self.text = format!("({}) AND ({})", self.text, other.text);
        self.values.extend(other.values);
        self
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn values(&self) -> Option<Item> {
        let values: Item =
            self.values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        (!values.is_empty()).then_some(values)
    }
}

impl Transaction {
    pub(crate) fn new(table: &str) -> Self {
        Self { table: table.to_owned(), items: Vec::new() }
    }

    /// How many items more it can hold.
    pub fn room(&self) -> usize {
        LIMIT - self.items.len().min(LIMIT)
    }

    /// How many items it holds, which is the position of the next one.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn items(&self) -> &[TransactWriteItem] {
        &self.items
    }

    /// Writes an item, whatever was there.
    pub fn put(&mut self, item: Item) -> Result<(), ScimError> {
        self.put_with(item, None)
    }

    /// Writes an item that must not be there yet.
    pub fn put_new(&mut self, item: Item) -> Result<(), ScimError> {
        self.put_with(item, Some("attribute_not_exists(pk)"))
    }

    fn put_with(&mut self, item: Item, condition: Option<&str>) -> Result<(), ScimError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .set_condition_expression(condition.map(str::to_owned))
            .build()
            .map_err(ScimError::internal)?;
        self.items.push(TransactWriteItem::builder().put(put).build());
        Ok(())
    }

    /// Deletes an item, there or not.
    pub fn delete(&mut self, key: &Key) -> Result<(), ScimError> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .build()
            .map_err(ScimError::internal)?;
        self.items.push(TransactWriteItem::builder().delete(delete).build());
        Ok(())
    }

    /// Changes an item if a condition holds. The expressions share their values' names.
    pub fn update(
        &mut self,
        key: &Key,
        update: Expression,
        condition: Option<Expression>,
    ) -> Result<(), ScimError> {
        let mut values = update.values().unwrap_or_default();
        values.extend(condition.as_ref().and_then(Expression::values).unwrap_or_default());
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .update_expression(update.text)
            .set_condition_expression(condition.map(|condition| condition.text))
            .set_expression_attribute_values((!values.is_empty()).then_some(values))
            .build()
            .map_err(ScimError::internal)?;
        self.items.push(TransactWriteItem::builder().update(update).build());
        Ok(())
    }

    /// Writes nothing here, but lets nothing of the transaction happen unless this holds.
    pub fn check(&mut self, key: &Key, condition: Expression) -> Result<(), ScimError> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .set_expression_attribute_values(condition.values())
            .condition_expression(condition.text)
            .build()
            .map_err(ScimError::internal)?;
        self.items.push(TransactWriteItem::builder().condition_check(check).build());
        Ok(())
    }
}
