//! Measures what a request costs: the sequential round trips to DynamoDB, and the capacity units that
//! DynamoDB reports.
//!
//! An interceptor in the SDK's client counts them, on a service in this process. Reads of the connector and
//! its credentials are not counted. A warm function reads them once a minute, so the cost would depend on the
//! clock.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::call::Call;
use crate::heat::{Heat, Share};
use crate::layout;
use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::config::interceptors::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
    FinalizerInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemOutput;
use aws_sdk_dynamodb::operation::get_item::{GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsOutput;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsOutput;
use aws_sdk_dynamodb::types::ConsumedCapacity;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use service::response::Response;

use crate::away::away;
use crate::client::Client;
use crate::in_process::InProcess;
use crate::service::{Service, TIME_LIMIT, TestConnector};

/// What one request cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Requests to DynamoDB. Requests that run at the same time are counted one by one.
    pub requests: usize,
    /// Round trips to DynamoDB. Requests that run at the same time are one round trip.
    pub round_trips: usize,
    /// Capacity units read.
    pub read_units: f64,
    /// Capacity units written.
    pub write_units: f64,
    /// Requests whose answer did not report the capacity. This must be 0 in the end.
    without_capacity: usize,
    /// Requests that run now.
    running: usize,
}

#[derive(Clone, Debug, Default)]
struct Counter(Arc<Mutex<Cost>>, Arc<Mutex<Heat>>);

impl Counter {
    fn cost(&self) -> MutexGuard<'_, Cost> {
        self.0.lock().expect("no thread panicked with the lock")
    }

    fn heat(&self) -> MutexGuard<'_, Heat> {
        self.1.lock().expect("no thread panicked with the lock")
    }
}

impl Intercept for Counter {
    fn name(&self) -> &'static str {
        "Counter"
    }

    fn read_before_execution(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if reads_a_connector(context) {
            config.interceptor_state().store_put(Uncounted);
            return Ok(());
        }
        let mut cost = self.cost();
        cost.requests += 1;
        cost.round_trips += usize::from(cost.running == 0);
        cost.running += 1;
        Ok(())
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        let target = HeaderValue::from_str(request.headers().get("x-amz-target").unwrap_or_default())?;
        let headers = HeaderMap::from_iter([(HeaderName::from_static("x-amz-target"), target)]);
        let call = Call::new(&headers, request.body().bytes().unwrap_or_default());
        config.interceptor_state().store_put(Sent(call));
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if config.load::<Uncounted>().is_some() {
            return Ok(());
        }
        let mut cost = self.cost();
        cost.running -= 1;
        let Some(Ok(output)) = context.output_or_error() else { return Ok(()) };
        let all = |list: &Option<Vec<ConsumedCapacity>>| list.clone().unwrap_or_default();
        let (consumed, is_write) = if let Some(output) = output.downcast_ref::<GetItemOutput>() {
            (output.consumed_capacity.clone().into_iter().collect(), false)
        } else if let Some(output) = output.downcast_ref::<QueryOutput>() {
            (output.consumed_capacity.clone().into_iter().collect(), false)
        } else if let Some(output) = output.downcast_ref::<BatchGetItemOutput>() {
            (all(&output.consumed_capacity), false)
        } else if let Some(output) = output.downcast_ref::<TransactGetItemsOutput>() {
            (all(&output.consumed_capacity), false)
        } else if let Some(output) = output.downcast_ref::<TransactWriteItemsOutput>() {
            (all(&output.consumed_capacity), true)
        } else if let Some(output) = output.downcast_ref::<BatchWriteItemOutput>() {
            (all(&output.consumed_capacity), true)
        } else {
            (Vec::new(), false)
        };
        cost.without_capacity += usize::from(consumed.is_empty());
        let units: f64 = consumed.iter().filter_map(|capacity| capacity.capacity_units).sum();
        *(if is_write { &mut cost.write_units } else { &mut cost.read_units }) += units;
        let answer = context.response().and_then(|response| response.body().bytes());
        if let (Some(Sent(call)), Some(answer)) = (config.load::<Sent>(), answer) {
            self.heat().add(call, &serde_json::from_slice(answer)?, units);
        }
        Ok(())
    }
}

/// The request that was sent.
#[derive(Debug)]
struct Sent(Call);

impl Storable for Sent {
    type Storer = StoreReplace<Self>;
}

/// Marks a request to DynamoDB that is not counted.
#[derive(Debug)]
struct Uncounted;

impl Storable for Uncounted {
    type Storer = StoreReplace<Self>;
}

fn reads_a_connector(context: &BeforeSerializationInterceptorContextRef<'_>) -> bool {
    let input = context.input();
    let key = input.downcast_ref::<GetItemInput>().and_then(|input| input.key.as_ref());
    let values =
        input.downcast_ref::<QueryInput>().and_then(|input| input.expression_attribute_values.as_ref());
    let partition = key.and_then(|key| key.get("pk")).or_else(|| values.and_then(|values| values.get(":pk")));
    // The record of the connector, or its credentials.
    let is_connector = |pk: &String| pk == layout::CONNECTORS || pk.ends_with("#connector");
    partition.and_then(|pk| pk.as_s().ok()).is_some_and(is_connector)
}

/// A service in this process whose requests to DynamoDB are counted.
pub struct CountedService {
    counter: Counter,
    service: InProcess,
    connector: String,
}

impl CountedService {
    /// A counted service for one connector. The credentials are in its cache, as in a warm function.
    pub async fn new(service: &Service, connector: &TestConnector) -> Self {
        Self::for_client(service, connector, connector.local(service)).await
    }

    /// A counted service whose requests read the directory.
    pub async fn for_reader(service: &Service, connector: &TestConnector) -> Self {
        let reader = connector.reader(service).await;
        let counted = Self::for_client(service, connector, reader).await;
        // The first request of a process also records the use of the credential.
        counted.send("GET", "/users?limit=1", None).await;
        counted
    }

    async fn for_client(service: &Service, connector: &TestConnector, client: Client) -> Self {
        let counter = Counter::default();
        let config = away(&service.dynamodb(), Duration::ZERO).interceptor(counter.clone()).build();
        let service = InProcess::new(DynamoDb::from_conf(config), client).await;
        Self { counter, service, connector: connector.id.to_string() }
    }

    /// Sends a request and returns its cost and the answer.
    ///
    /// # Panics
    /// When the answer does not have this status.
    pub async fn cost(
        &self,
        method: &str,
        target: &str,
        body: Option<&Value>,
        status: u16,
    ) -> (Cost, Response) {
        let (cost, response) = self.send(method, target, body).await;
        let text = String::from_utf8_lossy(response.body());
        assert_eq!(response.status().as_u16(), status, "{method} {target}: {text}");
        (cost, response)
    }

    /// The same as [`CountedService::cost`], for an answer with any status.
    ///
    /// # Panics
    /// When DynamoDB did not report the capacity of a request.
    pub async fn send(&self, method: &str, target: &str, body: Option<&Value>) -> (Cost, Response) {
        *self.counter.cost() = Cost::default();
        *self.counter.heat() = Heat::default();
        let response = self.service.send(method, target, body, TIME_LIMIT).await;
        let cost = *self.counter.cost();
        assert_eq!((cost.without_capacity, cost.running), (0, 0), "{method} {target}");
        (cost, response)
    }

    /// The partition with the lowest ceiling in the last request. `None` if it used none.
    pub fn hottest_partition(&self) -> Option<Share> {
        self.counter.heat().hottest_partition(&self.connector)
    }

    /// The item with the lowest ceiling in the last request, among the items that requests for different
    /// users share.
    pub fn hottest_item(&self) -> Option<Share> {
        self.counter.heat().hottest_item(&self.connector)
    }
}
