//! The calls that read, with the engine's types.

use aws_sdk_dynamodb::operation::batch_get_item::builders::BatchGetItemInputBuilder;
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::get_item::builders::GetItemInputBuilder;
use aws_sdk_dynamodb::operation::get_item::{GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::scan::builders::ScanInputBuilder;
use aws_sdk_dynamodb::operation::scan::{ScanInput, ScanOutput};
use aws_sdk_dynamodb::operation::transact_get_items::builders::TransactGetItemsInputBuilder;
use aws_sdk_dynamodb::operation::transact_get_items::{TransactGetItemsInput, TransactGetItemsOutput};
use aws_sdk_dynamodb::types::{ItemResponse, KeysAndAttributes, TransactGetItem};
use aws_smithy_types::error::operation::BuildError;
use dynoxide::actions::{batch_get_item, get_item, query, scan, transact_get_items};
use serde_json::Value;

use super::InProcess;
use super::failures::Failure;
use super::values::{
    UnknownType, capacities_from_engine, capacity_from_engine, item_from_engine, item_to_engine,
    items_from_engine, name_of, optional_to_engine,
};

impl InProcess {
    pub(super) fn get(&self, input: GetItemInputBuilder) -> Result<GetItemOutput, Failure> {
        let GetItemInput {
            table_name,
            key,
            attributes_to_get,
            consistent_read,
            return_consumed_capacity,
            projection_expression,
            expression_attribute_names,
            ..
        } = input.build()?;
        let answer = self.reader().get_item(get_item::GetItemRequest {
            table_name: table_name.unwrap_or_default(),
            key: item_to_engine(key.unwrap_or_default())?,
            consistent_read,
            projection_expression,
            expression_attribute_names,
            return_consumed_capacity: return_consumed_capacity.map(name_of),
            attributes_to_get,
        })?;
        Ok(GetItemOutput::builder()
            .set_item(answer.item.map(item_from_engine))
            .set_consumed_capacity(answer.consumed_capacity.map(capacity_from_engine))
            .build())
    }

    pub(super) fn get_batch(&self, input: BatchGetItemInputBuilder) -> Result<BatchGetItemOutput, Failure> {
        let BatchGetItemInput { request_items, return_consumed_capacity, .. } = input.build()?;
        let keys = |(table, keys): (String, KeysAndAttributes)| {
            let wanted = batch_get_item::KeysAndAttributes {
                keys: keys.keys.into_iter().map(item_to_engine).collect::<Result<_, _>>()?,
                projection_expression: keys.projection_expression,
                expression_attribute_names: keys.expression_attribute_names,
                consistent_read: keys.consistent_read,
                attributes_to_get: keys.attributes_to_get,
            };
            Ok::<_, UnknownType>((table, wanted))
        };
        let answer = self.reader().batch_get_item(batch_get_item::BatchGetItemRequest {
            request_items: request_items
                .unwrap_or_default()
                .into_iter()
                .map(keys)
                .collect::<Result<_, _>>()?,
            return_consumed_capacity: return_consumed_capacity.map(name_of),
        })?;
        let unprocessed = |(table, keys): (String, Value)| {
            let keys: batch_get_item::KeysAndAttributes = serde_json::from_value(keys)?;
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(items_from_engine(keys.keys)))
                .set_projection_expression(keys.projection_expression)
                .set_expression_attribute_names(keys.expression_attribute_names)
                .set_consistent_read(keys.consistent_read)
                .set_attributes_to_get(keys.attributes_to_get)
                .build()?;
            Ok::<_, Failure>((table, keys))
        };
        let responses = answer.responses.into_iter();
        Ok(BatchGetItemOutput::builder()
            .set_responses(Some(responses.map(|(table, items)| (table, items_from_engine(items))).collect()))
            .set_unprocessed_keys(Some(
                answer.unprocessed_keys.into_iter().map(unprocessed).collect::<Result<_, _>>()?,
            ))
            .set_consumed_capacity(answer.consumed_capacity.map(capacities_from_engine))
            .build())
    }

    /// These reads are several in the engine, so they hold the connection of the writers.
    pub(super) fn get_at_once(
        &self,
        input: TransactGetItemsInputBuilder,
    ) -> Result<TransactGetItemsOutput, Failure> {
        let TransactGetItemsInput { transact_items, return_consumed_capacity, .. } = input.build()?;
        let get = |item: TransactGetItem| {
            let get =
                item.get.ok_or_else(|| BuildError::missing_field("get", "each item of the read needs it"))?;
            let get = transact_get_items::TransactGet {
                table_name: get.table_name,
                key: item_to_engine(get.key)?,
                projection_expression: get.projection_expression,
                expression_attribute_names: get.expression_attribute_names,
            };
            Ok::<_, Failure>(transact_get_items::TransactGetItem { get })
        };
        let items = transact_items.unwrap_or_default().into_iter().map(get);
        let answer = self.database.transact_get_items(transact_get_items::TransactGetItemsRequest {
            transact_items: items.collect::<Result<_, _>>()?,
            return_consumed_capacity: return_consumed_capacity.map(name_of),
        })?;
        let responses = answer
            .responses
            .into_iter()
            .map(|response| ItemResponse::builder().set_item(response.item.map(item_from_engine)).build());
        Ok(TransactGetItemsOutput::builder()
            .set_responses(Some(responses.collect()))
            .set_consumed_capacity(answer.consumed_capacity.map(capacities_from_engine))
            .build())
    }

    pub(super) fn query_page(&self, input: QueryInputBuilder) -> Result<QueryOutput, Failure> {
        let QueryInput {
            table_name,
            index_name,
            select,
            attributes_to_get,
            limit,
            consistent_read,
            scan_index_forward,
            exclusive_start_key,
            return_consumed_capacity,
            projection_expression,
            filter_expression,
            key_condition_expression,
            expression_attribute_names,
            expression_attribute_values,
            ..
        } = input.build()?;
        let answer = self.reader().query(query::QueryRequest {
            table_name: table_name.unwrap_or_default(),
            key_condition_expression,
            filter_expression,
            projection_expression,
            expression_attribute_names,
            expression_attribute_values: optional_to_engine(expression_attribute_values)?,
            scan_index_forward: scan_index_forward.unwrap_or(true),
            limit: page_limit(limit)?,
            exclusive_start_key: optional_to_engine(exclusive_start_key)?,
            select: select.map(name_of),
            consistent_read,
            index_name,
            return_consumed_capacity: return_consumed_capacity.map(name_of),
            attributes_to_get,
            ..query::QueryRequest::default()
        })?;
        Ok(QueryOutput::builder()
            .set_items(answer.items.map(items_from_engine))
            .count(count(answer.count))
            .scanned_count(count(answer.scanned_count))
            .set_last_evaluated_key(answer.last_evaluated_key.map(item_from_engine))
            .set_consumed_capacity(answer.consumed_capacity.map(capacity_from_engine))
            .build())
    }

    pub(super) fn scan_page(&self, input: ScanInputBuilder) -> Result<ScanOutput, Failure> {
        let ScanInput {
            table_name,
            index_name,
            attributes_to_get,
            limit,
            select,
            exclusive_start_key,
            return_consumed_capacity,
            total_segments,
            segment,
            projection_expression,
            filter_expression,
            expression_attribute_names,
            expression_attribute_values,
            consistent_read,
            ..
        } = input.build()?;
        let answer = self.reader().scan(scan::ScanRequest {
            table_name: table_name.unwrap_or_default(),
            filter_expression,
            projection_expression,
            expression_attribute_names,
            expression_attribute_values: optional_to_engine(expression_attribute_values)?,
            limit: page_limit(limit)?,
            exclusive_start_key: optional_to_engine(exclusive_start_key)?,
            select: select.map(name_of),
            consistent_read,
            index_name,
            segment: segment.map(u32::try_from).transpose().map_err(BuildError::other)?,
            total_segments: total_segments.map(u32::try_from).transpose().map_err(BuildError::other)?,
            return_consumed_capacity: return_consumed_capacity.map(name_of),
            attributes_to_get,
            ..scan::ScanRequest::default()
        })?;
        Ok(ScanOutput::builder()
            .set_items(answer.items.map(items_from_engine))
            .count(count(answer.count))
            .scanned_count(count(answer.scanned_count))
            .set_last_evaluated_key(answer.last_evaluated_key.map(item_from_engine))
            .set_consumed_capacity(answer.consumed_capacity.map(capacity_from_engine))
            .build())
    }
}

fn page_limit(limit: Option<i32>) -> Result<Option<usize>, BuildError> {
    limit.map(usize::try_from).transpose().map_err(BuildError::other)
}

fn count(items: usize) -> i32 {
    i32::try_from(items).unwrap_or(i32::MAX)
}
