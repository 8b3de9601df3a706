//! The calls of DynamoDB that the table makes. The SDK's client answers them over the network. The embedded engine answers them
//! in its own process, without the SDK's pipeline and JSON.

use std::fmt::Debug;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
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
use futures_util::future::BoxFuture;

/// The answer to a call, when it arrives.
pub type Answer<'d, T, E> = BoxFuture<'d, Result<T, SdkError<E>>>;

/// Writes the trait, and its implementation for the SDK's client, from the list of calls.
macro_rules! calls {
    ($($call:ident: $input:ty => $output:ty, $error:ty;)+) => {
        /// DynamoDB, as a [`Table`](crate::Table) uses it: one method for each call, with the SDK's types and the same semantics.
        pub trait DynamoDb: Debug + Send + Sync {
            $(
                #[doc = concat!("Answers the call `", stringify!($call), "` of DynamoDB's API.")]
                fn $call(&self, input: $input) -> Answer<'_, $output, $error>;
            )+
        }

        impl DynamoDb for Client {
            $(
                fn $call(&self, input: $input) -> Answer<'_, $output, $error> {
                    Box::pin(input.send_with(self))
                }
            )+
        }
    };
}

calls! {
    get_item: GetItemInputBuilder => GetItemOutput, GetItemError;
    batch_get_item: BatchGetItemInputBuilder => BatchGetItemOutput, BatchGetItemError;
    transact_get_items: TransactGetItemsInputBuilder => TransactGetItemsOutput, TransactGetItemsError;
    query: QueryInputBuilder => QueryOutput, QueryError;
    scan: ScanInputBuilder => ScanOutput, ScanError;
    update_item: UpdateItemInputBuilder => UpdateItemOutput, UpdateItemError;
    batch_write_item: BatchWriteItemInputBuilder => BatchWriteItemOutput, BatchWriteItemError;
    transact_write_items: TransactWriteItemsInputBuilder => TransactWriteItemsOutput, TransactWriteItemsError;
}
