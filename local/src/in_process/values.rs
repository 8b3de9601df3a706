//! Items and values, from the SDK's types to the engine's and back. Nothing is copied but the maps and lists themselves.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity};
use aws_smithy_types::Blob;
use dynoxide::types as engine;

/// An item of the SDK.
pub type Item = HashMap<String, AttributeValue>;

/// The SDK has a type of value that the engine does not know.
#[derive(Debug)]
pub struct UnknownType;

impl std::fmt::Display for UnknownType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value has a type that the embedded engine does not know")
    }
}

impl std::error::Error for UnknownType {}

/// Converts an item for the engine.
pub fn item_to_engine(item: Item) -> Result<engine::Item, UnknownType> {
    item.into_iter().map(|(name, value)| Ok((name, value_to_engine(value)?))).collect()
}

/// Converts an item or values that can be missing.
pub fn optional_to_engine(item: Option<Item>) -> Result<Option<engine::Item>, UnknownType> {
    item.map(item_to_engine).transpose()
}

fn value_to_engine(value: AttributeValue) -> Result<engine::AttributeValue, UnknownType> {
    Ok(match value {
        AttributeValue::S(text) => engine::AttributeValue::S(text),
        AttributeValue::N(number) => engine::AttributeValue::N(number),
        AttributeValue::B(bytes) => engine::AttributeValue::B(bytes.into_inner()),
        AttributeValue::Bool(value) => engine::AttributeValue::BOOL(value),
        AttributeValue::Null(value) => engine::AttributeValue::NULL(value),
        AttributeValue::Ss(texts) => engine::AttributeValue::SS(texts),
        AttributeValue::Ns(numbers) => engine::AttributeValue::NS(numbers),
        AttributeValue::Bs(all) => {
            engine::AttributeValue::BS(all.into_iter().map(Blob::into_inner).collect())
        }
        AttributeValue::L(values) => {
            engine::AttributeValue::L(values.into_iter().map(value_to_engine).collect::<Result<_, _>>()?)
        }
        AttributeValue::M(values) => engine::AttributeValue::M(item_to_engine(values)?),
        _ => return Err(UnknownType),
    })
}

/// The name of a value of an enumeration, as the engine has it.
pub fn name_of(value: impl AsRef<str>) -> String {
    value.as_ref().to_owned()
}

/// Converts an item of the engine.
pub fn item_from_engine(item: engine::Item) -> Item {
    item.into_iter().map(|(name, value)| (name, value_from_engine(value))).collect()
}

fn value_from_engine(value: engine::AttributeValue) -> AttributeValue {
    match value {
        engine::AttributeValue::S(text) => AttributeValue::S(text),
        engine::AttributeValue::N(number) => AttributeValue::N(number),
        engine::AttributeValue::B(bytes) => AttributeValue::B(Blob::new(bytes)),
        engine::AttributeValue::BOOL(value) => AttributeValue::Bool(value),
        engine::AttributeValue::NULL(value) => AttributeValue::Null(value),
        engine::AttributeValue::SS(texts) => AttributeValue::Ss(texts),
        engine::AttributeValue::NS(numbers) => AttributeValue::Ns(numbers),
        engine::AttributeValue::BS(all) => AttributeValue::Bs(all.into_iter().map(Blob::new).collect()),
        engine::AttributeValue::L(values) => {
            AttributeValue::L(values.into_iter().map(value_from_engine).collect())
        }
        engine::AttributeValue::M(values) => AttributeValue::M(item_from_engine(values)),
    }
}

/// Converts what a call cost.
pub fn capacity_from_engine(capacity: engine::ConsumedCapacity) -> ConsumedCapacity {
    ConsumedCapacity::builder()
        .table_name(capacity.table_name)
        .capacity_units(capacity.capacity_units)
        .set_read_capacity_units(capacity.read_capacity_units)
        .set_write_capacity_units(capacity.write_capacity_units)
        .build()
}

/// Converts items of the engine.
pub fn items_from_engine(items: Vec<engine::Item>) -> Vec<Item> {
    items.into_iter().map(item_from_engine).collect()
}

/// Converts what a call cost in each table.
pub fn capacities_from_engine(capacities: Vec<engine::ConsumedCapacity>) -> Vec<ConsumedCapacity> {
    capacities.into_iter().map(capacity_from_engine).collect()
}
