//! A service in this process for one connector, with a DynamoDB that fails on demand.
//!
//! It has an engine of its own, so that reading all items after each fault takes no longer when other tests write many.

use std::sync::Arc;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_smithy_types::timeout::TimeoutConfig;
use directory::{Swept, Table};
use jiff::Timestamp;
use serde_json::Value;
use service::response::Response;
use service::routes::FALLBACK;
use shared::error::ScimError;
use shared::schema::Schemas;
use tokio::time::Instant;

use crate::call::Call;
use crate::client::Client;
use crate::faults::{Fault, FaultyDynamoDb};
use crate::hooks::Action;
use crate::in_process::InProcess;
use crate::interrupted::unfinished;
use crate::service::{Service, TABLE, TIME_LIMIT, TestConnector};

/// A connector, and a service for it with a faulty DynamoDB.
pub struct FaultyService {
    /// The service without faults, over the same engine.
    pub service: Arc<Service>,
    /// The connector.
    pub connector: TestConnector,
    /// The DynamoDB of the service. Other clients of the connector have one without faults.
    pub dynamodb: FaultyDynamoDb,
    /// The service.
    pub requests: InProcess,
}

impl FaultyService {
    /// Creates a connector with an empty directory. Nothing fails yet.
    ///
    /// # Panics
    /// When the service does not start.
    pub async fn new() -> Self {
        let service = Arc::new(Service::start());
        let connector = service.connector().await;
        Self::of(service, connector).await
    }

    /// Starts another service for the same connector, with faults of its own.
    ///
    /// # Panics
    /// When the service does not start.
    pub async fn another(&self) -> Self {
        Self::of(Arc::clone(&self.service), self.connector.clone()).await
    }

    async fn of(service: Arc<Service>, connector: TestConnector) -> Self {
        let dynamodb = FaultyDynamoDb::start(&service.endpoint_for(FALLBACK)).await;
        let client = without_timeouts(&runtime::dynamodb::client_at(&dynamodb.endpoint).await);
        let requests = InProcess::new(client, connector.local(&service)).await;
        Self { service, connector, dynamodb, requests }
    }

    /// A client of the same connector whose requests meet no faults.
    pub fn client(&self) -> Client {
        self.connector.local(&self.service)
    }

    /// Sends a request to the service with the faulty DynamoDB.
    pub async fn send(&self, method: &str, target: &str, body: &Value) -> Response {
        self.requests.send(method, target, Some(body), TIME_LIMIT).await
    }

    /// Sends a request of more than one transaction, which is cut off after its first transaction.
    ///
    /// # Panics
    /// When the request needs only one transaction.
    pub async fn cut_off(&self, method: &str, target: &str, body: &Value) {
        let before = unfinished(&self.service, &self.connector.id).await;
        self.cut_off_after(1, method, target, body).await;
        let after = unfinished(&self.service, &self.connector.id).await;
        assert!(after > before, "{method} {target} needs one transaction");
    }

    /// Sends a request that is cut off after this many transactions.
    ///
    /// # Panics
    /// When the request needs no more transactions.
    pub async fn cut_off_after(&self, transactions: usize, method: &str, target: &str, body: &Value) {
        let cut = self.dynamodb.at_call(transactions, Call::is_change, Action::Fail(Fault::Denied));
        let answer = self.send(method, target, body).await;
        assert!(cut.was_reached(), "{method} {target} needs {transactions} transactions at most");
        assert_eq!(answer.status(), 500, "{method} {target}");
        self.dynamodb.heal();
    }

    /// Sweeps the connector through the faulty DynamoDB, at this time.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn sweep(&self, now: Timestamp) -> Result<Swept, ScimError> {
        let client = runtime::dynamodb::client_at(&self.dynamodb.endpoint).await;
        let table = Table::new(client, TABLE.to_owned()).until(Instant::now() + TIME_LIMIT);
        table.sweep(Some(&self.connector.id), Schemas::built_in(), now).await
    }

    /// Ends the faults. Returns whether there was a request at this position, so the fault or the interruption happened.
    pub fn heal_and_was_reached(&self, at: usize) -> bool {
        self.dynamodb.heal() > at
    }
}

/// The same client, which waits for each response until the deadline of the request. Interruptions can take longer than the
/// timeout of a single attempt. After that timeout the service would go on while the interruption still runs.
fn without_timeouts(client: &DynamoDb) -> DynamoDb {
    let config = client.config().to_builder().timeout_config(TimeoutConfig::disabled());
    DynamoDb::from_conf(config.build())
}
