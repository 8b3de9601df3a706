//! Requests to the table: strongly consistent reads, transactions that are applied once, and one rule for retries.
//!
//! Errors that may pass (throttling, conflicts of transactions, a lost response) are retried with jitter until the deadline
//! of the request. After that the client gets 429. The SDK's own retries are off, so that there is only one clock.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemInput;
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemInput;
use aws_sdk_dynamodb::operation::get_item::GetItemInput;
use aws_sdk_dynamodb::operation::query::QueryInput;
use aws_sdk_dynamodb::operation::scan::ScanInput;
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsInput;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsInput;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemInput};
use aws_sdk_dynamodb::types::{
    DeleteRequest, Get, KeysAndAttributes, PutRequest, ReturnConsumedCapacity, ReturnValue, TransactGetItem,
    WriteRequest,
};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use super::attributes::{Item, get_text, text};
use super::calls::{Answer, DynamoDb};
use super::conditions::Condition;
use super::errors::{
    is_result_unknown, is_retryable, is_retryable_cancellation, is_retryable_read, is_throttle,
    is_throttled_read, is_throttled_write, positions_of_failed_conditions,
};
use super::expressions::Expression;
use super::keys::Key;
use super::transaction::Transaction;
use crate::usage::{Consumed, Usage, UsageCounter};
use shared::error::{ErrorKind, ScimError, chain};

/// The most requests that one call sends at the same time.
const CONCURRENCY: usize = 16;
/// The most small reads of one page that are sent at the same time.
const PAGE_CONCURRENCY: usize = 100;

const BATCH_GET_LIMIT: usize = 100;
const BATCH_WRITE_LIMIT: usize = 25;
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(640);
/// The deadline of a handle that was given none: a year.
const NO_DEADLINE: Duration = Duration::from_secs(365 * 24 * 3_600);
/// The Retry-After of a 429, in seconds.
const RETRY_AFTER_SECONDS: u32 = 2;

/// A handle for the table. Its requests end at its deadline.
#[derive(Clone, Debug)]
pub struct Table {
    dynamodb: Arc<dyn DynamoDb>,
    name: String,
    deadline: Instant,
    /// The time by the calendar from which on no request begins, if there is one: the clock of the deadline stands still while a machine
    /// sleeps.
    latest: Option<Timestamp>,
    usage: UsageCounter,
}

/// The result of a transaction.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was written.
    Committed,
    /// Nothing was written: these conditions failed.
    Refused(Vec<Condition>),
}

/// A range of sort keys in one partition.
#[derive(Clone, Debug)]
pub enum Range {
    /// The whole partition.
    All,
    /// Sort keys that begin with this.
    Prefix(String),
    /// Sort keys from the first to the second, both included.
    Between(String, String),
    /// Sort keys from this one on.
    From(String),
    /// Sort keys up to this one.
    UpTo(String),
}

impl Table {
    /// Makes a handle for the table of this name. Its requests have no deadline until [`Table::until`] sets one.
    pub fn new(dynamodb: impl DynamoDb + 'static, name: String) -> Self {
        let (dynamodb, deadline) = (Arc::new(dynamodb), Instant::now() + NO_DEADLINE);
        Self { dynamodb, name, deadline, latest: None, usage: UsageCounter::default() }
    }

    /// Reads one item.
    pub(crate) async fn get(&self, key: &Key) -> Result<Option<Item>, ScimError> {
        let request = GetItemInput::builder()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        Ok(self.retry(|| self.dynamodb.get_item(request.clone())).await?.item)
    }

    /// Reads these items as they are at one moment: no transaction is between two of the reads. Keys without an item are left
    /// out. There can be at most 100 different keys.
    pub(crate) async fn get_at_once(&self, keys: &BTreeSet<Key>) -> Result<Vec<Item>, ScimError> {
        let get = |key: &Key| {
            let get = Get::builder().table_name(&self.name).set_key(Some(key.attributes())).build();
            get.map(|get| TransactGetItem::builder().get(get).build()).map_err(ScimError::internal)
        };
        let request = TransactGetItemsInput::builder()
            .set_transact_items(Some(keys.iter().map(get).collect::<Result<_, _>>()?))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let mut backoff = self.backoff();
        loop {
            match self.send(self.dynamodb.transact_get_items(request.clone())).await? {
                Ok(answer) => {
                    let responses = answer.responses.unwrap_or_default();
                    return Ok(responses.into_iter().filter_map(|response| response.item).collect());
                }
                Err(error) if is_retryable(&error) || is_retryable_read(&error) => {
                    if is_throttled_read(&error) {
                        self.usage.add_throttle();
                    }
                    tracing::debug!(cause = chain(&error), "read is retried");
                    backoff.wait_after(error).await?;
                }
                Err(error) => return Err(ScimError::internal(error)),
            }
        }
    }

    /// Reads any number of items, in no order. Keys without an item are left out.
    pub(crate) async fn get_all(&self, keys: &[Key]) -> Result<Vec<Item>, ScimError> {
        // BatchGetItem refuses a key that is named twice.
        let keys: Vec<&Key> = keys.iter().collect::<BTreeSet<_>>().into_iter().collect();
        let batches = keys.chunks(BATCH_GET_LIMIT).map(|batch| self.get_batch(batch).boxed()).collect();
        Ok(concurrently(batches).await?.into_iter().flatten().collect())
    }

    async fn get_batch(&self, keys: &[&Key]) -> Result<Vec<Item>, ScimError> {
        let mut wanted: Vec<Item> = keys.iter().map(|key| key.attributes()).collect();
        let mut items = Vec::with_capacity(keys.len());
        let mut backoff = self.backoff();
        loop {
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(wanted))
                .consistent_read(true)
                .build()
                .map_err(ScimError::internal)?;
            let request = BatchGetItemInput::builder()
                .request_items(&self.name, keys)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let answer = self.retry(|| self.dynamodb.batch_get_item(request.clone())).await?;
            let found = answer.responses.and_then(|mut tables| tables.remove(&self.name));
            items.extend(found.unwrap_or_default());
            match answer.unprocessed_keys.and_then(|mut tables| tables.remove(&self.name)) {
                // BatchGetItem leaves items out when it lacks capacity or the response is too large.
                Some(rest) if !rest.keys.is_empty() => wanted = rest.keys,
                _ => return Ok(items),
            }
            backoff.wait().await?;
        }
    }

    /// Reads one page of a partition: at most `limit` items or 1 MB. Returns the sort key after which the next page starts.
    pub(crate) async fn query_page(
        &self,
        pk: &str,
        range: &Range,
        after: Option<&str>,
        limit: Option<i32>,
    ) -> Result<(Vec<Item>, Option<String>), ScimError> {
        self.query_page_in_order(pk, range, after, limit, false).await
    }

    /// The same, from the end if `is_descending`.
    pub(crate) async fn query_page_in_order(
        &self,
        pk: &str,
        range: &Range,
        after: Option<&str>,
        limit: Option<i32>,
        is_descending: bool,
    ) -> Result<(Vec<Item>, Option<String>), ScimError> {
        let request = QueryInput::builder()
            .table_name(&self.name)
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .scan_index_forward(!is_descending)
            .set_limit(limit)
            .set_exclusive_start_key(
                after.map(|sk| Key { pk: pk.to_owned(), sk: sk.to_owned() }.attributes()),
            )
            .expression_attribute_values(":pk", text(pk));
        let (condition, bounds) = match range {
            Range::All => ("pk = :pk", vec![]),
            Range::Prefix(prefix) => ("pk = :pk AND begins_with(sk, :a)", vec![(":a", prefix)]),
            Range::Between(first, last) => {
                ("pk = :pk AND sk BETWEEN :a AND :b", vec![(":a", first), (":b", last)])
            }
            Range::From(first) => ("pk = :pk AND sk >= :a", vec![(":a", first)]),
            Range::UpTo(last) => ("pk = :pk AND sk <= :a", vec![(":a", last)]),
        };
        let request = request.key_condition_expression(condition);
        let request = bounds
            .into_iter()
            .fold(request, |request, (name, bound)| request.expression_attribute_values(name, text(bound)));
        let answer = self.retry(|| self.dynamodb.query(request.clone())).await?;
        let next = answer.last_evaluated_key.as_ref().and_then(|key| key.get("sk")?.as_s().ok().cloned());
        Ok((answer.items.unwrap_or_default(), next))
    }

    /// Reads a whole range, page after page.
    pub(crate) async fn query(&self, pk: &str, range: &Range) -> Result<Vec<Item>, ScimError> {
        let mut items = Vec::new();
        let mut after = None;
        loop {
            let (page, next) = self.query_page(pk, range, after.as_deref(), None).await?;
            items.extend(page);
            match next {
                Some(next) => after = Some(next),
                None => return Ok(items),
            }
        }
    }

    /// Reads one page of one segment of the whole table, which need not be the newest state, and keeps the items of partitions with this prefix. Returns the key
    /// after which the next page starts. Only operators' commands scan; no request of a client may.
    pub(crate) async fn scan_page(
        &self,
        segment: i32,
        segments: i32,
        prefix: &str,
        after: Option<Key>,
    ) -> Result<(Vec<Item>, Option<Key>), ScimError> {
        let request = ScanInput::builder()
            .table_name(&self.name)
            .consistent_read(false)
            .segment(segment)
            .total_segments(segments)
            .set_filter_expression((!prefix.is_empty()).then(|| "begins_with(pk, :prefix)".to_owned()))
            .set_expression_attribute_values(
                (!prefix.is_empty()).then(|| HashMap::from([(":prefix".to_owned(), text(prefix))])),
            )
            .set_exclusive_start_key(after.map(|key| key.attributes()));
        let answer = self.retry(|| self.dynamodb.scan(request.clone())).await?;
        let string = |item: &Item, name: &str| get_text(item, name).map(str::to_owned);
        let next = answer.last_evaluated_key.as_ref();
        let next = next.and_then(|key| Some(Key { pk: string(key, "pk")?, sk: string(key, "sk")? }));
        Ok((answer.items.unwrap_or_default(), next))
    }

    /// Applies a transaction as a whole or not at all (TransactWriteItems). It is applied once, even if it is sent again.
    pub(crate) async fn commit(&self, transaction: &Transaction) -> Result<Outcome, ScimError> {
        // All attempts share one token. After a lost response, the next attempt finds that the transaction was applied.
        let token = Uuid::new_v4().to_string();
        let mut backoff = self.backoff();
        // Whether an attempt had no response, or one that does not say what happened.
        let mut may_be_done = false;
        loop {
            let is_in_time = !is_over(self.deadline, self.latest);
            let request = TransactWriteItemsInput::builder()
                .set_transact_items(Some(transaction.items().to_vec()))
                .client_request_token(&token)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let error = match self.send(self.dynamodb.transact_write_items(request)).await {
                Ok(Ok(_)) => return Ok(Outcome::Committed),
                Ok(Err(error)) => error,
                Err(_) if may_be_done || is_in_time => return Err(busy_with_unknown_result()),
                Err(error) => return Err(error),
            };
            if is_retryable(&error) || is_retryable_cancellation(&error) {
                if is_throttled_write(&error) {
                    self.usage.add_throttle();
                }
                tracing::debug!(cause = chain(&error), "transaction is retried");
                may_be_done |= is_result_unknown(&error);
                backoff.wait_after(error).await.map_err(|error| match may_be_done {
                    true => ScimError { cause: error.cause, ..busy_with_unknown_result() },
                    false => error,
                })?;
                continue;
            }
            let failed = positions_of_failed_conditions(&error);
            if failed.is_empty() {
                return Err(ScimError::internal(error));
            }
            return Ok(Outcome::Refused(transaction.conditions_at(&failed)));
        }
    }

    /// Updates one item if a condition holds, and returns the updated item; `None` if the condition fails. After a lost
    /// response the update is applied twice, so it is for updates where that does no harm.
    pub(crate) async fn update(
        &self,
        key: &Key,
        update: Expression,
        condition: Expression,
    ) -> Result<Option<Item>, ScimError> {
        let mut values = update.values().unwrap_or_default();
        values.extend(condition.values().unwrap_or_default());
        let request = UpdateItemInput::builder()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .update_expression(update.text())
            .condition_expression(condition.text())
            .set_expression_attribute_values(Some(values))
            .return_values(ReturnValue::AllNew)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let mut backoff = self.backoff();
        loop {
            match self.send(self.dynamodb.update_item(request.clone())).await? {
                Ok(answer) => return Ok(Some(answer.attributes.unwrap_or_default())),
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
                {
                    return Ok(None);
                }
                Err(error) if is_retryable(&error) => backoff.wait_after(error).await?,
                Err(error) => return Err(ScimError::internal(error)),
            }
        }
    }

    /// Deletes any number of items, each for itself. A call that was interrupted can be repeated.
    pub(crate) async fn delete_all(&self, keys: &[Key]) -> Result<(), ScimError> {
        let delete = |key: &Key| {
            let request = DeleteRequest::builder().set_key(Some(key.attributes())).build();
            request.map(|request| WriteRequest::builder().delete_request(request).build())
        };
        self.write_all(keys.iter().map(delete).collect::<Result<_, _>>().map_err(ScimError::internal)?).await
    }

    /// Writes any number of items, each for itself. A call that was interrupted can be repeated.
    pub(crate) async fn put_all(&self, items: Vec<Item>) -> Result<(), ScimError> {
        let put = |item: Item| {
            let request = PutRequest::builder().set_item(Some(item)).build();
            request.map(|request| WriteRequest::builder().put_request(request).build())
        };
        self.write_all(items.into_iter().map(put).collect::<Result<_, _>>().map_err(ScimError::internal)?)
            .await
    }

    /// Writes items that may get lost: each request is sent once. If it fails, some of the items can be written.
    pub(crate) async fn put_once(&self, items: Vec<Item>) -> Result<(), ScimError> {
        let mut requests = Vec::with_capacity(items.len());
        for item in items {
            let put = PutRequest::builder().set_item(Some(item)).build().map_err(ScimError::internal)?;
            requests.push(WriteRequest::builder().put_request(put).build());
        }
        let batches = requests.chunks(BATCH_WRITE_LIMIT).map(|batch| {
            let request = BatchWriteItemInput::builder()
                .request_items(&self.name, batch.to_vec())
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            async move {
                let answer =
                    self.send(self.dynamodb.batch_write_item(request)).await?.map_err(ScimError::internal)?;
                let is_complete = answer.unprocessed_items.is_none_or(|tables| tables.is_empty());
                if is_complete { Ok(()) } else { Err(busy()) }
            }
            .boxed()
        });
        concurrently(batches.collect()).await.map(|_: Vec<()>| ())
    }

    async fn write_all(&self, requests: Vec<WriteRequest>) -> Result<(), ScimError> {
        let batches =
            requests.chunks(BATCH_WRITE_LIMIT).map(|batch| self.write_batch(batch.to_vec()).boxed());
        concurrently(batches.collect()).await.map(|_: Vec<()>| ())
    }

    async fn write_batch(&self, mut requests: Vec<WriteRequest>) -> Result<(), ScimError> {
        let mut backoff = self.backoff();
        loop {
            let request = BatchWriteItemInput::builder()
                .request_items(&self.name, requests)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let answer = self.retry(|| self.dynamodb.batch_write_item(request.clone())).await?;
            match answer.unprocessed_items.and_then(|mut tables| tables.remove(&self.name)) {
                Some(rest) if !rest.is_empty() => requests = rest,
                _ => return Ok(()),
            }
            backoff.wait().await?;
        }
    }

    /// Makes a handle whose usage is counted on its own, together with that of the handles that are made from it.
    pub fn counted(&self) -> Self {
        Self { usage: UsageCounter::default(), ..self.clone() }
    }

    /// What the requests cost that this handle sent, and those that share its counter.
    pub fn usage(&self) -> Usage {
        self.usage.usage()
    }

    /// Makes a handle with this deadline.
    pub fn until(&self, deadline: Instant) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// Makes a handle whose requests end at this deadline too, and none begins at this time or later.
    pub(crate) fn no_later_than(&self, deadline: Instant, latest: Timestamp) -> Self {
        Self { deadline: self.deadline.min(deadline), latest: Some(latest), ..self.clone() }
    }

    /// Makes a handle that has this share of the time that is left, one divided by `shares`.
    pub(crate) fn with_share(&self, shares: usize) -> Self {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(shares).unwrap_or(u32::MAX).max(1);
        self.until(Instant::now() + share)
    }

    /// Makes the pauses between the attempts of an operation that conflicts with other writers.
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff { deadline: self.deadline, longest: FIRST_PAUSE, usage: self.usage.clone() }
    }

    /// Makes an empty transaction on this table.
    pub(crate) fn transaction(&self) -> Transaction {
        Transaction::new(&self.name)
    }

    /// Sends a request, counts what it costs, and waits for the response until the deadline. After that, the request counts as one
    /// whose response was lost.
    async fn send<T: Consumed, E: ProvideErrorMetadata>(
        &self,
        answer: Answer<'_, T, E>,
    ) -> Result<Result<T, SdkError<E>>, ScimError> {
        // No request starts after the deadline.
        if is_over(self.deadline, self.latest) {
            return Err(busy());
        }
        self.usage.add_call();
        let answer = tokio::time::timeout_at(self.deadline, answer).await.map_err(|_| busy())?;
        match &answer {
            Ok(answer) => self.usage.add_units(answer),
            Err(error) if is_throttle(error) => self.usage.add_throttle(),
            Err(_) => {}
        }
        Ok(answer)
    }

    async fn retry<'d, T, E>(&self, mut call: impl FnMut() -> Answer<'d, T, E>) -> Result<T, ScimError>
    where
        T: Consumed,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let mut backoff = self.backoff();
        loop {
            match self.send(call()).await? {
                Ok(answer) => return Ok(answer),
                Err(error) if is_retryable(&error) => {
                    tracing::debug!(cause = chain(&error), "request is retried");
                    backoff.wait_after(error).await?;
                }
                Err(error) => return Err(ScimError::internal(error)),
            }
        }
    }
}

/// Whether a deadline has passed, by the clock of the process or by the calendar.
fn is_over(deadline: Instant, latest: Option<Timestamp>) -> bool {
    Instant::now() >= deadline || latest.is_some_and(|latest| Timestamp::now() >= latest)
}

/// Runs futures, some at the same time, and returns their results in order, or the first error.
pub async fn concurrently<T>(futures: Vec<BoxFuture<'_, Result<T, ScimError>>>) -> Result<Vec<T>, ScimError> {
    stream::iter(futures).buffered(CONCURRENCY).try_collect().await
}

/// Runs the small reads of one page at the same time, and returns their results in order, or the first error. A page of 100 needs
/// one read for each entry, which [`concurrently`] would do in seven round trips.
pub(crate) async fn at_once<T>(
    futures: Vec<BoxFuture<'_, Result<T, ScimError>>>,
) -> Result<Vec<T>, ScimError> {
    stream::iter(futures).buffered(PAGE_CONCURRENCY).try_collect().await
}

/// Growing pauses with full jitter, up to the deadline.
pub struct Backoff {
    deadline: Instant,
    longest: Duration,
    usage: UsageCounter,
}

impl Backoff {
    /// Waits for the next pause.
    ///
    /// # Errors
    /// 429 when the pause would end after the deadline.
    pub async fn wait(&mut self) -> Result<(), ScimError> {
        let mut random = [0; 4];
        // Without randomness the pause is the longest one, which is correct but less fair.
        let share = getrandom::fill(&mut random)
            .map_or(1.0, |()| f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX));
        let pause = self.longest.mul_f64(share);
        self.longest = (self.longest * 2).min(LONGEST_PAUSE);
        if Instant::now() + pause >= self.deadline {
            return Err(busy());
        }
        self.usage.add_retry();
        tokio::time::sleep(pause).await;
        Ok(())
    }

    async fn wait_after(
        &mut self,
        cause: impl std::error::Error + Send + Sync + 'static,
    ) -> Result<(), ScimError> {
        self.wait().await.map_err(|error| ScimError { cause: Some(Box::new(cause)), ..error })
    }
}

/// The error of a request that could not be done in its time.
pub(crate) fn busy() -> ScimError {
    ScimError::new(
        ErrorKind::TooManyRequests(RETRY_AFTER_SECONDS),
        "The directory is busy. Repeat the request as it is",
    )
}

/// The error of a request whose transaction may be committed or not.
fn busy_with_unknown_result() -> ScimError {
    ScimError::new(
        ErrorKind::TooManyRequests(RETRY_AFTER_SECONDS),
        "The directory is busy, and it is not known whether the request was carried out. Repeat it as it is. If it is a \
         POST that was carried out, its repetition gets 409",
    )
}
