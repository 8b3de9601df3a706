//! The embedded engine in its own process answers each call exactly as the SDK's client brings it back, errors included.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::Path;

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemInput;
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemInput;
use aws_sdk_dynamodb::operation::get_item::GetItemInput;
use aws_sdk_dynamodb::operation::query::QueryInput;
use aws_sdk_dynamodb::operation::scan::ScanInput;
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsInput;
use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItemsError, TransactWriteItemsInput};
use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Delete, DeleteRequest, Get, KeysAndAttributes, Put,
    PutRequest, ReturnConsumedCapacity, ReturnValue, TransactGetItem, TransactWriteItem, Update,
    WriteRequest,
};
use directory::DynamoDb;
use local::engine::Engine;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tests::folder::Folder;
use tests::service::{ACCESS_KEY, TABLE};
use tokio::runtime::Runtime;

type Item = HashMap<String, AttributeValue>;

/// A call, in terms of a few keys, so that calls meet each other's items.
#[derive(Clone, Debug)]
enum Call {
    Get(Key),
    GetBatch(Vec<Key>),
    GetAtOnce(Vec<Key>),
    Query {
        pk: u8,
        from: u8,
        limit: Option<i32>,
        is_descending: bool,
        after: Option<u8>,
    },
    Scan {
        prefix: Option<String>,
        after: Option<Key>,
    },
    Update {
        key: Key,
        expected: i32,
    },
    WriteBatch(Vec<(Key, Option<AttributeValue>)>),
    Commit(Vec<Write>),
    /// A call for a table that does not exist.
    UnknownTable(Key),
    /// An expression that cannot be read.
    WrongExpression(Key),
}

type Key = (u8, u8);

/// One write of a transaction.
#[derive(Clone, Debug)]
enum Write {
    Put(Key, AttributeValue, bool),
    Update(Key, i32),
    Delete(Key, i32),
    Check(Key),
}

fn key() -> impl Strategy<Value = Key> {
    (0u8..2, 0u8..4)
}

fn value() -> impl Strategy<Value = AttributeValue> {
    let bytes = || proptest::collection::vec(any::<u8>(), 1..20).prop_map(Blob::new);
    let leaf = prop_oneof![
        "[a-zäß\u{1F600}]{0,8}".prop_map(AttributeValue::S),
        (-1_000_000i64..1_000_000).prop_map(|number| AttributeValue::N(number.to_string())),
        bytes().prop_map(AttributeValue::B),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null(true)),
        proptest::collection::btree_set("[a-z]{1,4}", 1..4)
            .prop_map(|set| AttributeValue::Ss(set.into_iter().collect())),
        // One number: a set has no order, and the two ways give its numbers in different ones.
        any::<u8>().prop_map(|number| AttributeValue::Ns(vec![number.to_string()])),
        bytes().prop_map(|bytes| AttributeValue::Bs(vec![bytes])),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(AttributeValue::L),
            proptest::collection::hash_map("[a-z]{1,4}", inner, 0..3).prop_map(AttributeValue::M),
        ]
    })
}

fn call() -> impl Strategy<Value = Call> {
    let write = prop_oneof![
        (key(), value(), any::<bool>()).prop_map(|(key, value, is_new)| Write::Put(key, value, is_new)),
        (key(), 0..3i32).prop_map(|(key, expected)| Write::Update(key, expected)),
        (key(), 0..3i32).prop_map(|(key, expected)| Write::Delete(key, expected)),
        key().prop_map(Write::Check),
    ];
    prop_oneof![
        2 => key().prop_map(Call::Get),
        1 => proptest::collection::vec(key(), 0..6).prop_map(Call::GetBatch),
        1 => proptest::collection::vec(key(), 0..6).prop_map(Call::GetAtOnce),
        2 => (0u8..2, 0u8..4, proptest::option::of(1..4i32), any::<bool>(), proptest::option::of(0u8..4)).prop_map(
            |(pk, from, limit, is_descending, after)| Call::Query { pk, from, limit, is_descending, after }
        ),
        1 => (proptest::option::of("p[01]?"), proptest::option::of(key()))
            .prop_map(|(prefix, after)| Call::Scan { prefix, after }),
        2 => (key(), 0..3i32).prop_map(|(key, expected)| Call::Update { key, expected }),
        2 => proptest::collection::vec((key(), proptest::option::of(value())), 0..5).prop_map(Call::WriteBatch),
        4 => proptest::collection::vec(write, 0..5).prop_map(Call::Commit),
        1 => key().prop_map(Call::UnknownTable),
        1 => key().prop_map(Call::WrongExpression),
    ]
}

fn attributes((pk, sk): Key) -> Item {
    [("pk", format!("p{pk}")), ("sk", format!("s{sk}"))]
        .map(|(name, value)| (name.to_owned(), AttributeValue::S(value)))
        .into()
}

fn number(value: i32) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn values(all: impl IntoIterator<Item = (&'static str, AttributeValue)>) -> Option<Item> {
    Some(all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn item(key: Key, value: &AttributeValue) -> Item {
    let mut item = attributes(key);
    item.insert("value".to_owned(), value.clone());
    item
}

fn write(write: &Write) -> TransactWriteItem {
    let one = TransactWriteItem::builder();
    match write {
        Write::Put(key, value, is_new) => one.put(
            Put::builder()
                .table_name(TABLE)
                .set_item(Some(item(*key, value)))
                .set_condition_expression(is_new.then(|| "attribute_not_exists(pk)".to_owned()))
                .build()
                .unwrap(),
        ),
        Write::Update(key, expected) => one.update(
            Update::builder()
                .table_name(TABLE)
                .set_key(Some(attributes(*key)))
                .update_expression("ADD n :one SET changed = :true")
                .condition_expression("attribute_not_exists(n) OR n = :expected")
                .set_expression_attribute_values(values([
                    (":one", number(1)),
                    (":true", AttributeValue::Bool(true)),
                    (":expected", number(*expected)),
                ]))
                .build()
                .unwrap(),
        ),
        Write::Delete(key, expected) => one.delete(
            Delete::builder()
                .table_name(TABLE)
                .set_key(Some(attributes(*key)))
                .condition_expression("attribute_not_exists(pk) OR n = :expected")
                .set_expression_attribute_values(values([(":expected", number(*expected))]))
                .build()
                .unwrap(),
        ),
        Write::Check(key) => one.condition_check(
            ConditionCheck::builder()
                .table_name(TABLE)
                .set_key(Some(attributes(*key)))
                .condition_expression("attribute_exists(pk)")
                .build()
                .unwrap(),
        ),
    }
    .build()
}

/// What a caller sees of a refusal.
#[derive(Debug, PartialEq)]
struct Refusal {
    status: u16,
    code: Option<String>,
    message: Option<String>,
    reasons: Vec<CancellationReason>,
}

fn seen<T, E: ProvideErrorMetadata + std::error::Error + 'static>(
    answer: Result<T, SdkError<E>>,
    reasons: impl FnOnce(&E) -> &[CancellationReason],
) -> Result<T, Refusal> {
    answer.map_err(|error| match error {
        SdkError::ServiceError(error) => Refusal {
            status: error.raw().status().as_u16(),
            code: error.err().code().map(str::to_owned),
            message: error.err().message().map(str::to_owned),
            reasons: reasons(error.err()).to_vec(),
        },
        error => panic!("the engine did not answer: {}", DisplayErrorContext(&error)),
    })
}

/// Makes the same call both ways, and compares what the caller sees.
macro_rules! compare {
    ($direct:ident, $sdk:ident, $call:ident($request:expr)) => {
        compare!($direct, $sdk, $call($request), |_| &[])
    };
    ($direct:ident, $sdk:ident, $call:ident($request:expr), $reasons:expr) => {{
        let request = $request;
        let direct = seen($direct.$call(request.clone()).await, $reasons);
        prop_assert_eq!(direct, seen($sdk.$call(request).await, $reasons));
    }};
}

/// Makes a call both ways, and compares what the caller sees.
async fn compare(direct: &dyn DynamoDb, sdk: &dyn DynamoDb, call: &Call) -> Result<(), TestCaseError> {
    let total = ReturnConsumedCapacity::Total;
    match call.clone() {
        Call::Get(key) => {
            let get = GetItemInput::builder().table_name(TABLE).set_key(Some(attributes(key)));
            let get = get.consistent_read(true).return_consumed_capacity(total);
            compare!(direct, sdk, get_item(get));
        }
        Call::UnknownTable(key) => {
            let get = GetItemInput::builder().table_name("unknown").set_key(Some(attributes(key)));
            compare!(direct, sdk, get_item(get));
        }
        Call::GetBatch(keys) => {
            let keys = keys.into_iter().map(attributes).collect();
            let keys =
                KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build().unwrap();
            let get = BatchGetItemInput::builder().request_items(TABLE, keys);
            compare!(direct, sdk, batch_get_item(get.return_consumed_capacity(total)));
        }
        Call::GetAtOnce(keys) => {
            let get = |key| Get::builder().table_name(TABLE).set_key(Some(attributes(key))).build().unwrap();
            let gets = keys.into_iter().map(|key| TransactGetItem::builder().get(get(key)).build()).collect();
            let get = TransactGetItemsInput::builder().set_transact_items(Some(gets));
            compare!(direct, sdk, transact_get_items(get.return_consumed_capacity(total)));
        }
        Call::Query { pk, from, limit, is_descending, after } => {
            let query = QueryInput::builder()
                .table_name(TABLE)
                .consistent_read(true)
                .scan_index_forward(!is_descending)
                .set_limit(limit)
                .set_exclusive_start_key(after.map(|sk| attributes((pk, sk))))
                .key_condition_expression("pk = :pk AND sk >= :from")
                .expression_attribute_values(":pk", AttributeValue::S(format!("p{pk}")))
                .expression_attribute_values(":from", AttributeValue::S(format!("s{from}")))
                .return_consumed_capacity(total);
            compare!(direct, sdk, query(query));
        }
        Call::Scan { prefix, after } => {
            let scan = ScanInput::builder()
                .table_name(TABLE)
                .segment(0)
                .total_segments(1)
                .set_filter_expression(prefix.as_ref().map(|_| "begins_with(pk, :prefix)".to_owned()))
                .set_expression_attribute_values(
                    prefix.and_then(|prefix| values([(":prefix", AttributeValue::S(prefix))])),
                )
                .set_exclusive_start_key(after.map(attributes))
                .return_consumed_capacity(total);
            compare!(direct, sdk, scan(scan));
        }
        Call::Update { key, expected } => {
            let update = UpdateItemInput::builder()
                .table_name(TABLE)
                .set_key(Some(attributes(key)))
                .update_expression("ADD n :one")
                .condition_expression("attribute_not_exists(n) OR n = :expected")
                .set_expression_attribute_values(values([
                    (":one", number(1)),
                    (":expected", number(expected)),
                ]))
                .return_values(ReturnValue::AllNew)
                .return_consumed_capacity(total);
            compare!(direct, sdk, update_item(update));
        }
        Call::WrongExpression(key) => {
            let update = UpdateItemInput::builder()
                .table_name(TABLE)
                .set_key(Some(attributes(key)))
                .update_expression("ADD n :one")
                .condition_expression("n = = :one")
                .set_expression_attribute_values(values([(":one", number(1))]));
            compare!(direct, sdk, update_item(update));
        }
        Call::WriteBatch(writes) => {
            let writes = writes.into_iter().map(|(key, value)| {
                let write = WriteRequest::builder();
                match value {
                    Some(value) => write
                        .put_request(PutRequest::builder().set_item(Some(item(key, &value))).build().unwrap())
                        .build(),
                    None => write
                        .delete_request(
                            DeleteRequest::builder().set_key(Some(attributes(key))).build().unwrap(),
                        )
                        .build(),
                }
            });
            let batch = BatchWriteItemInput::builder().request_items(TABLE, writes.collect());
            compare!(direct, sdk, batch_write_item(batch.return_consumed_capacity(total)));
        }
        Call::Commit(writes) => {
            let commit = TransactWriteItemsInput::builder()
                .set_transact_items(Some(writes.iter().map(write).collect()))
                .return_consumed_capacity(total);
            compare!(direct, sdk, transact_write_items(commit), |error| match error {
                TransactWriteItemsError::TransactionCanceledException(error) => error.cancellation_reasons(),
                _ => &[],
            });
        }
    }
    Ok(())
}

/// Compares random calls to two engines: one in memory, which the SDK calls, and one whose data is in this file or in memory.
fn compare_random_calls(file: Option<&Path>) {
    let runtime = Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config { cases: 24, ..Config::default() });
    let result = runner.run(&proptest::collection::vec(call(), 1..60), |calls| {
        if let Some(file) = file {
            drop(std::fs::remove_file(file));
        }
        runtime.block_on(async {
            let memory = Engine::start(None, (Ipv4Addr::LOCALHOST, 0), ACCESS_KEY).await.unwrap();
            let engine = Engine::start(file, (Ipv4Addr::LOCALHOST, 0), ACCESS_KEY).await.unwrap();
            let sdk = memory.client().await;
            for client in [&sdk, &engine.client().await] {
                local::table::ensure(client, TABLE).await.unwrap();
            }
            for call in &calls {
                compare(&engine.in_process(), &sdk, call).await?;
            }
            memory.stop().await;
            engine.stop().await;
            Ok(())
        })
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn call_in_the_process_is_answered_as_a_call_of_the_sdk() {
    compare_random_calls(None);
}

#[test]
fn call_to_an_engine_with_a_file_sees_every_write_before_it() {
    let folder = Folder::new();
    compare_random_calls(Some(&folder.path().join("data.sqlite")));
}

#[test]
fn transaction_in_the_process_is_seen_whole_by_reads_beside_it() {
    let folder = Folder::new();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let file = folder.path().join("data.sqlite");
        let engine = Engine::start(Some(&file), (Ipv4Addr::LOCALHOST, 0), ACCESS_KEY).await.unwrap();
        local::table::ensure(&engine.client().await, TABLE).await.unwrap();
        let keys: Vec<Key> = (0..4).map(|sk| (0, sk)).collect();
        let writer = engine.in_process();
        let written = {
            let keys = keys.clone();
            tokio::spawn(async move {
                for round in 0..200 {
                    let put = |key: &Key| write(&Write::Put(*key, number(round), false));
                    let commit = TransactWriteItemsInput::builder();
                    let commit = commit.set_transact_items(Some(keys.iter().map(put).collect()));
                    writer.transact_write_items(commit).await.unwrap();
                }
            })
        };
        let reader = engine.in_process();
        while !written.is_finished() {
            let query = QueryInput::builder().table_name(TABLE).consistent_read(true);
            let query = query.key_condition_expression("pk = :pk");
            let query = query.expression_attribute_values(":pk", AttributeValue::S("p0".to_owned()));
            let items = reader.query(query).await.unwrap().items.unwrap_or_default();
            let seen: Vec<&AttributeValue> = items.iter().map(|item| &item["value"]).collect();
            assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
            assert!([0, keys.len()].contains(&seen.len()), "{seen:?}");
            tokio::task::yield_now().await;
        }
        written.await.unwrap();
        engine.stop().await;
    });
}
