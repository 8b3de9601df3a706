//! The calls of the table, answered by the engine's own functions.

use aws_sdk_dynamodb::operation::batch_get_item::builders::BatchGetItemInputBuilder;
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemError, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::batch_write_item::builders::BatchWriteItemInputBuilder;
use aws_sdk_dynamodb::operation::batch_write_item::{BatchWriteItemError, BatchWriteItemOutput};
use aws_sdk_dynamodb::operation::get_item::builders::GetItemInputBuilder;
use aws_sdk_dynamodb::operation::get_item::{GetItemError, GetItemOutput};
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::operation::query::{QueryError, QueryOutput};
use aws_sdk_dynamodb::operation::scan::builders::ScanInputBuilder;
use aws_sdk_dynamodb::operation::scan::{ScanError, ScanOutput};
use aws_sdk_dynamodb::operation::transact_get_items::builders::TransactGetItemsInputBuilder;
use aws_sdk_dynamodb::operation::transact_get_items::{TransactGetItemsError, TransactGetItemsOutput};
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsInputBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItemsError, TransactWriteItemsOutput};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use directory::{Answer, DynamoDb};
use dynoxide::DynoxideError;

use super::InProcess;
use super::failures::cancelled;
use super::values::item_from_engine;

impl DynamoDb for InProcess {
    fn get_item(&self, input: GetItemInputBuilder) -> Answer<'_, GetItemOutput, GetItemError> {
        Box::pin(async move {
            self.get(input).map_err(|failure| failure.into_error(|_, meta| GetItemError::generic(meta)))
        })
    }

    fn batch_get_item(
        &self,
        input: BatchGetItemInputBuilder,
    ) -> Answer<'_, BatchGetItemOutput, BatchGetItemError> {
        Box::pin(async move {
            self.get_batch(input)
                .map_err(|failure| failure.into_error(|_, meta| BatchGetItemError::generic(meta)))
        })
    }

    fn transact_get_items(
        &self,
        input: TransactGetItemsInputBuilder,
    ) -> Answer<'_, TransactGetItemsOutput, TransactGetItemsError> {
        Box::pin(async move {
            self.get_at_once(input).map_err(|failure| {
                failure.into_error(|error, meta| match error {
                    DynoxideError::TransactionCanceledException(_, reasons) => {
                        TransactGetItemsError::TransactionCanceledException(cancelled(reasons, meta))
                    }
                    _ => TransactGetItemsError::generic(meta),
                })
            })
        })
    }

    fn query(&self, input: QueryInputBuilder) -> Answer<'_, QueryOutput, QueryError> {
        Box::pin(async move {
            self.query_page(input).map_err(|failure| failure.into_error(|_, meta| QueryError::generic(meta)))
        })
    }

    fn scan(&self, input: ScanInputBuilder) -> Answer<'_, ScanOutput, ScanError> {
        Box::pin(async move {
            self.scan_page(input).map_err(|failure| failure.into_error(|_, meta| ScanError::generic(meta)))
        })
    }

    fn update_item(&self, input: UpdateItemInputBuilder) -> Answer<'_, UpdateItemOutput, UpdateItemError> {
        Box::pin(async move {
            self.update(input).map_err(|failure| {
                failure.into_error(|error, meta| match error {
                    DynoxideError::ConditionalCheckFailedException(message, item) => {
                        let failed = ConditionalCheckFailedException::builder()
                            .message(message)
                            .set_item(item.map(item_from_engine))
                            .meta(meta)
                            .build();
                        UpdateItemError::ConditionalCheckFailedException(failed)
                    }
                    _ => UpdateItemError::generic(meta),
                })
            })
        })
    }

    fn batch_write_item(
        &self,
        input: BatchWriteItemInputBuilder,
    ) -> Answer<'_, BatchWriteItemOutput, BatchWriteItemError> {
        Box::pin(async move {
            self.write_batch(input)
                .map_err(|failure| failure.into_error(|_, meta| BatchWriteItemError::generic(meta)))
        })
    }

    fn transact_write_items(
        &self,
        input: TransactWriteItemsInputBuilder,
    ) -> Answer<'_, TransactWriteItemsOutput, TransactWriteItemsError> {
        Box::pin(async move {
            self.commit(input).map_err(|failure| {
                failure.into_error(|error, meta| match error {
                    DynoxideError::TransactionCanceledException(_, reasons) => {
                        TransactWriteItemsError::TransactionCanceledException(cancelled(reasons, meta))
                    }
                    _ => TransactWriteItemsError::generic(meta),
                })
            })
        })
    }
}
