//! A service in this process for one connector, with a DynamoDB that fails on demand.
//!
//! It has an engine of its own, so that reading all items after each fault takes no longer when other tests write many.

use std::sync::Arc;

use serde_json::Value;
use service::response::Response;
use service::routes::FALLBACK;

use crate::client::Client;
use crate::faults::{Fault, FaultyDynamoDb};
use crate::in_process::InProcess;
use crate::interrupted::unfinished;
use crate::service::{Service, TIME_LIMIT, TestConnector};

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
        let dynamodb = FaultyDynamoDb::start(&service.endpoint_for(FALLBACK)).await;
        let client = runtime::dynamodb::client_at(&dynamodb.endpoint).await;
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
        for at in 0.. {
            self.dynamodb.fail_from(at, Fault::Denied);
            let answer = self.send(method, target, body).await;
            assert!(self.heal_and_was_reached(at), "{method} {target} needs one transaction");
            assert_eq!(answer.status(), 500, "{method} {target}");
            if unfinished(&self.service, &self.connector.id).await > before {
                return;
            }
        }
    }

    /// Ends the faults. Returns whether there was a request at this position, so the fault or the interruption happened.
    pub fn heal_and_was_reached(&self, at: usize) -> bool {
        self.dynamodb.heal() > at
    }
}
