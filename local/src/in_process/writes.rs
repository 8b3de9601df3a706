//! The calls that write, with the engine's types.

use aws_sdk_dynamodb::operation::batch_write_item::builders::BatchWriteItemInputBuilder;
use aws_sdk_dynamodb::operation::batch_write_item::{BatchWriteItemInput, BatchWriteItemOutput};
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsInputBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItemsInput, TransactWriteItemsOutput};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemInput, UpdateItemOutput};
use aws_sdk_dynamodb::types::{
    ConditionCheck, Delete, DeleteRequest, Put, PutRequest, TransactWriteItem, Update, WriteRequest,
};
use dynoxide::actions::{batch_write_item, transact_write_items, update_item};
use serde_json::Value;

use super::InProcess;
use super::failures::Failure;
use super::values::{
    UnknownType, capacities_from_engine, capacity_from_engine, item_from_engine, item_to_engine, name_of,
    optional_to_engine,
};

impl InProcess {
    pub(super) fn update(&self, input: UpdateItemInputBuilder) -> Result<UpdateItemOutput, Failure> {
        let UpdateItemInput {
            table_name,
            key,
            return_values,
            return_consumed_capacity,
            update_expression,
            condition_expression,
            expression_attribute_names,
            expression_attribute_values,
            return_values_on_condition_check_failure,
            ..
        } = input.build()?;
        let answer = self.database.update_item(update_item::UpdateItemRequest {
            table_name: table_name.unwrap_or_default(),
            key: item_to_engine(key.unwrap_or_default())?,
            update_expression,
            condition_expression,
            expression_attribute_names,
            expression_attribute_values: optional_to_engine(expression_attribute_values)?,
            return_values: return_values.map(name_of),
            return_consumed_capacity: return_consumed_capacity.map(name_of),
            return_values_on_condition_check_failure: return_values_on_condition_check_failure.map(name_of),
            ..update_item::UpdateItemRequest::default()
        })?;
        Ok(UpdateItemOutput::builder()
            .set_attributes(answer.attributes.map(item_from_engine))
            .set_consumed_capacity(answer.consumed_capacity.map(capacity_from_engine))
            .build())
    }

    pub(super) fn write_batch(
        &self,
        input: BatchWriteItemInputBuilder,
    ) -> Result<BatchWriteItemOutput, Failure> {
        let BatchWriteItemInput { request_items, return_consumed_capacity, .. } = input.build()?;
        let write = |write: WriteRequest| {
            let put = write.put_request.map(|put| item_to_engine(put.item)).transpose()?;
            let delete = write.delete_request.map(|delete| item_to_engine(delete.key)).transpose()?;
            Ok::<_, UnknownType>(batch_write_item::WriteRequest {
                put_request: put.map(|item| batch_write_item::PutRequest { item }),
                delete_request: delete.map(|key| batch_write_item::DeleteRequest { key }),
            })
        };
        let writes = |(table, writes): (String, Vec<WriteRequest>)| {
            let writes = writes.into_iter().map(write).collect::<Result<_, _>>()?;
            Ok::<_, UnknownType>((table, writes))
        };
        let answer = self.database.batch_write_item(batch_write_item::BatchWriteItemRequest {
            request_items: request_items
                .unwrap_or_default()
                .into_iter()
                .map(writes)
                .collect::<Result<_, _>>()?,
            return_consumed_capacity: return_consumed_capacity.map(name_of),
            ..batch_write_item::BatchWriteItemRequest::default()
        })?;
        let unprocessed = |(table, writes): (String, Value)| {
            let writes: Vec<batch_write_item::WriteRequest> = serde_json::from_value(writes)?;
            let writes = writes.into_iter().map(|write| {
                let put = write.put_request.map(|put| item_from_engine(put.item));
                let put = put.map(|item| PutRequest::builder().set_item(Some(item)).build()).transpose()?;
                let delete = write.delete_request.map(|delete| item_from_engine(delete.key));
                let delete =
                    delete.map(|key| DeleteRequest::builder().set_key(Some(key)).build()).transpose()?;
                Ok(WriteRequest::builder().set_put_request(put).set_delete_request(delete).build())
            });
            Ok::<_, Failure>((table, writes.collect::<Result<Vec<_>, Failure>>()?))
        };
        Ok(BatchWriteItemOutput::builder()
            .set_unprocessed_items(Some(
                answer.unprocessed_items.into_iter().map(unprocessed).collect::<Result<_, _>>()?,
            ))
            .set_consumed_capacity(answer.consumed_capacity.map(capacities_from_engine))
            .build())
    }

    /// The transaction runs without its token, as in [`InProcess::run`].
    pub(super) fn commit(
        &self,
        input: TransactWriteItemsInputBuilder,
    ) -> Result<TransactWriteItemsOutput, Failure> {
        let TransactWriteItemsInput { transact_items, return_consumed_capacity, .. } = input.build()?;
        let items = transact_items.unwrap_or_default().into_iter().map(write_to_engine);
        let request = transact_write_items::TransactWriteItemsRequest {
            transact_items: items.collect::<Result<_, _>>()?,
            return_consumed_capacity: return_consumed_capacity.map(name_of),
            ..transact_write_items::TransactWriteItemsRequest::default()
        };
        let answer = self.database.transact_write_items(request)?;
        Ok(TransactWriteItemsOutput::builder()
            .set_consumed_capacity(answer.consumed_capacity.map(capacities_from_engine))
            .build())
    }
}

fn write_to_engine(write: TransactWriteItem) -> Result<transact_write_items::TransactWriteItem, UnknownType> {
    let put = |put: Put| {
        Ok(transact_write_items::TransactPut {
            table_name: put.table_name,
            item: item_to_engine(put.item)?,
            condition_expression: put.condition_expression,
            expression_attribute_names: put.expression_attribute_names,
            expression_attribute_values: optional_to_engine(put.expression_attribute_values)?,
            return_values_on_condition_check_failure: put
                .return_values_on_condition_check_failure
                .map(name_of),
        })
    };
    let update = |update: Update| {
        Ok(transact_write_items::TransactUpdate {
            table_name: update.table_name,
            key: item_to_engine(update.key)?,
            update_expression: update.update_expression,
            condition_expression: update.condition_expression,
            expression_attribute_names: update.expression_attribute_names,
            expression_attribute_values: optional_to_engine(update.expression_attribute_values)?,
            return_values_on_condition_check_failure: update
                .return_values_on_condition_check_failure
                .map(name_of),
        })
    };
    let delete = |delete: Delete| {
        Ok(transact_write_items::TransactDelete {
            table_name: delete.table_name,
            key: item_to_engine(delete.key)?,
            condition_expression: delete.condition_expression,
            expression_attribute_names: delete.expression_attribute_names,
            expression_attribute_values: optional_to_engine(delete.expression_attribute_values)?,
            return_values_on_condition_check_failure: delete
                .return_values_on_condition_check_failure
                .map(name_of),
        })
    };
    let check = |check: ConditionCheck| {
        Ok(transact_write_items::TransactConditionCheck {
            table_name: check.table_name,
            key: item_to_engine(check.key)?,
            condition_expression: check.condition_expression,
            expression_attribute_names: check.expression_attribute_names,
            expression_attribute_values: optional_to_engine(check.expression_attribute_values)?,
            return_values_on_condition_check_failure: check
                .return_values_on_condition_check_failure
                .map(name_of),
        })
    };
    Ok(transact_write_items::TransactWriteItem {
        put: write.put.map(put).transpose()?,
        update: write.update.map(update).transpose()?,
        delete: write.delete.map(delete).transpose()?,
        condition_check: write.condition_check.map(check).transpose()?,
    })
}
