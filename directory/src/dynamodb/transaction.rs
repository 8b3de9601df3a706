//! A TransactWriteItems request, built item by item.
//!
//! DynamoDB refuses a transaction with two operations on one item, with more than 100 items, or with more than 4 MB. The builder
//! refuses what would break the first and the last limit; [`Transaction::remaining_items`] is for the second.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};
use shared::error::{ErrorKind, ScimError};
use shared::resource::{ResourceId, ResourceKind};

use super::attributes::Item;
use super::conditions::{Condition, Requirement};
use super::expressions::Expression;
use super::keys::Key;

/// The most items that one transaction can hold (TransactWriteItems).
const MAX_ITEMS: usize = 100;
/// The most bytes that one transaction can hold (TransactWriteItems).
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// What a transaction does with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It writes the item.
    Put,
    /// It changes the item.
    Update,
    /// It deletes the item.
    Delete,
    /// It checks the item, and leaves it as it is.
    Check,
}

/// What a transaction is about, as an audit record says.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The kind of change, as audit records name it.
    pub operation: &'static str,
    /// The kind of resource.
    pub kind: ResourceKind,
    /// The resource.
    pub id: ResourceId,
    /// The names of the attributes that change.
    pub attributes: Vec<String>,
}

/// Writes that are applied all together or not at all.
#[derive(Clone, Debug)]
pub struct Transaction {
    table: String,
    items: Vec<TransactWriteItem>,
    /// The condition of each item; `None` for an item without one.
    conditions: Vec<Option<Condition>>,
    effects: BTreeMap<Key, Effect>,
    bytes: usize,
    /// The number of items that are kept for the outbox.
    reserved: usize,
    subjects: Vec<Subject>,
    is_visible: bool,
}

impl Transaction {
    pub(super) fn new(table: &str) -> Self {
        Self {
            table: table.to_owned(),
            items: Vec::new(),
            conditions: Vec::new(),
            effects: BTreeMap::new(),
            bytes: 0,
            reserved: 0,
            subjects: Vec::new(),
            is_visible: true,
        }
    }

    /// Keeps room for this many more items, which are added at the end.
    pub fn reserve(mut self, items: usize) -> Self {
        self.reserved = items;
        self
    }

    /// Says what the transaction is about.
    pub fn add_subject(&mut self, subject: Subject) {
        self.subjects.push(subject);
    }

    /// What the transaction is about: one subject for each audit record of a resource.
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// Says that what the transaction writes is not visible yet: it is a part of a group that is being created.
    pub fn hide(&mut self) {
        self.is_visible = false;
    }

    /// Whether others can see what the transaction writes.
    pub fn is_visible(&self) -> bool {
        self.is_visible
    }

    /// What the transaction does with each item.
    pub fn effects(&self) -> &BTreeMap<Key, Effect> {
        &self.effects
    }

    /// The number of items that can still be added.
    pub fn remaining_items(&self) -> usize {
        MAX_ITEMS.saturating_sub(self.items.len() + self.reserved)
    }

    /// Whether this many of the items that are kept for the end can be added.
    pub fn has_room_for(&self, items: usize) -> bool {
        self.items.len() + items <= MAX_ITEMS
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn items(&self) -> &[TransactWriteItem] {
        &self.items
    }

    /// The conditions of the items at these positions.
    pub(super) fn conditions_at(&self, positions: &[usize]) -> Vec<Condition> {
        positions.iter().filter_map(|position| self.conditions.get(*position)?.clone()).collect()
    }

    /// Adds an operation on an item. `written` is what it writes.
    ///
    /// # Errors
    /// Fails when the transaction has an operation on this item already; 413 when it would be too large.
    fn push(
        &mut self,
        (key, effect): (Key, Effect),
        written: &Item,
        item: TransactWriteItem,
        condition: Option<Condition>,
    ) -> Result<(), ScimError> {
        if self.effects.contains_key(&key) {
            return Err(ScimError::internal(format!("a transaction has two operations on {key:?}")));
        }
        let bytes = self.bytes + key.pk.len() + key.sk.len() + size_of(written);
        if bytes > MAX_BYTES {
            let detail = format!("The change is {bytes} bytes; the maximum is {MAX_BYTES}");
            return Err(ScimError::new(ErrorKind::PayloadTooLarge, detail));
        }
        self.bytes = bytes;
        self.effects.insert(key, effect);
        self.items.push(item);
        self.conditions.push(condition);
        Ok(())
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
        let key = Key::of(&item).ok_or_else(|| ScimError::internal("an item has no key"))?;
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item.clone()))
            .set_condition_expression(requirement.as_ref().map(|one| one.expression.text().to_owned()))
            .build()
            .map_err(ScimError::internal)?;
        let put = TransactWriteItem::builder().put(put).build();
        self.push((key, Effect::Put), &item, put, requirement.map(|one| one.condition))
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
            .set_condition_expression(requirement.as_ref().map(|one| one.expression.text().to_owned()))
            .build()
            .map_err(ScimError::internal)?;
        let delete = TransactWriteItem::builder().delete(delete).build();
        self.push((key.clone(), Effect::Delete), &Item::new(), delete, requirement.map(|one| one.condition))
    }

    /// Updates an item if a requirement holds. The two expressions share the names of their values.
    pub fn update(
        &mut self,
        key: &Key,
        update: impl Into<Expression>,
        requirement: Option<Requirement>,
    ) -> Result<(), ScimError> {
        let update = update.into();
        let written = update.values().unwrap_or_default();
        let mut values = written.clone();
        values.extend(requirement.as_ref().and_then(|one| one.expression.values()).unwrap_or_default());
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .update_expression(update.text())
            .set_condition_expression(requirement.as_ref().map(|one| one.expression.text().to_owned()))
            .set_expression_attribute_values((!values.is_empty()).then_some(values))
            .build()
            .map_err(ScimError::internal)?;
        let update = TransactWriteItem::builder().update(update).build();
        self.push((key.clone(), Effect::Update), &written, update, requirement.map(|one| one.condition))
    }

    /// Checks a requirement on an item that the transaction does not write.
    pub fn check(&mut self, key: &Key, requirement: Requirement) -> Result<(), ScimError> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .set_expression_attribute_values(requirement.expression.values())
            .condition_expression(requirement.expression.text())
            .build()
            .map_err(ScimError::internal)?;
        let check = TransactWriteItem::builder().condition_check(check).build();
        self.push((key.clone(), Effect::Check), &Item::new(), check, Some(requirement.condition))
    }
}

/// The size of attributes in bytes, about as DynamoDB counts it: names, and values without their types.
fn size_of(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + size_of_value(value)).sum()
}

fn size_of_value(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::L(values) => 3 + values.iter().map(|value| 1 + size_of_value(value)).sum::<usize>(),
        AttributeValue::M(values) => 3 + size_of(values) + values.len(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::attributes::{number, text};
    use super::*;

    fn key(sk: u8) -> Key {
        Key { pk: "p".to_owned(), sk: sk.to_string() }
    }

    proptest! {
        #[test]
        fn transaction_never_has_two_operations_on_one_item(
            operations in proptest::collection::vec((0u8..4, 0u8..12), 0..30),
        ) {
            let mut transaction = Transaction::new("t");
            let mut added = BTreeSet::new();
            for (operation, sk) in operations {
                let key = key(sk);
                let requirement = Requirement::has_version(Some(1));
                let one = Expression::new("ADD n :one").with(":one", number(1));
                let result = match operation {
                    0 => transaction.put(key.attributes()),
                    1 => transaction.delete(&key),
                    2 => transaction.update(&key, one, None),
                    _ => transaction.check(&key, requirement),
                };
                prop_assert_eq!(result.is_ok(), added.insert(sk));
            }
            prop_assert_eq!(transaction.items().len(), added.len());
        }
    }

    #[test]
    fn transaction_is_refused_above_four_megabytes() {
        let mut transaction = Transaction::new("t");
        for sk in 0..10 {
            let mut item = key(sk).attributes();
            item.insert("doc".to_owned(), text("x".repeat(400_000)));
            transaction.put(item).unwrap();
        }
        let mut item = key(10).attributes();
        item.insert("doc".to_owned(), text("x".repeat(400_000)));
        assert_eq!(transaction.put(item).unwrap_err().kind, ErrorKind::PayloadTooLarge);
        transaction.delete(&key(11)).unwrap();
    }
}
