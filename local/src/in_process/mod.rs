//! An embedded engine in this process, without a socket. A [`Table`](directory::Table) calls its functions. The SDK's client, which
//! makes the table and which tests use, passes its requests to it in memory.

mod calls;
mod failures;
mod reads;
mod values;
mod writes;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use dynoxide::actions::transact_write_items::TransactWriteItemsRequest;
use dynoxide::{Database, DynoxideError};

use crate::operations::run_operation;

/// An engine in this process.
#[derive(Clone)]
pub struct InProcess {
    database: Database,
    readers: Arc<Readers>,
}

/// More connections to the file of the engine, for reads. A connection does one thing at a time, and SQLite lets others read
/// while one writes. A read sees every transaction that ended before it.
struct Readers {
    connections: Vec<Database>,
    turn: AtomicUsize,
}

impl InProcess {
    /// Gives access to this engine. Reads of a single item or of one page take turns on the `readers`, connections to the same
    /// file; if there are none, they use the connection of the engine.
    pub fn new(database: Database, readers: Vec<Database>) -> Self {
        Self { database, readers: Arc::new(Readers { connections: readers, turn: AtomicUsize::new(0) }) }
    }

    fn reader(&self) -> &Database {
        let Readers { connections, turn } = &*self.readers;
        let turn = turn.fetch_add(1, Ordering::Relaxed).checked_rem(connections.len());
        turn.and_then(|turn| connections.get(turn)).unwrap_or(&self.database)
    }

    /// Runs an operation of DynamoDB and returns the body of its response.
    ///
    /// A transaction runs without its token. A token makes a repetition safe after a lost response, and no response is
    /// lost here. With a token, the engine would search all tokens of the last ten minutes.
    fn run(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>, DynoxideError> {
        if operation != "TransactWriteItems" {
            let unknown = || DynoxideError::UnsupportedCapability(operation.to_owned());
            return run_operation(&self.database, operation, body).ok_or_else(unknown)?;
        }
        let unreadable = |error: serde_json::Error| DynoxideError::SerializationException(error.to_string());
        let request: TransactWriteItemsRequest = serde_json::from_slice(body).map_err(unreadable)?;
        let request = TransactWriteItemsRequest { client_request_token: None, ..request };
        serde_json::to_vec(&self.database.transact_write_items(request)?).map_err(unreadable)
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let engine = self.clone();
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let operation = target.rsplit('.').next().unwrap_or_default();
            let body = request.body().bytes().ok_or_else(|| {
                ConnectorError::user("the body of a request to DynamoDB must be in memory".into())
            })?;
            let (status, body) = match engine.run(operation, body) {
                Ok(body) => (200, body),
                Err(error) => (error.status_code(), error.to_json().into_bytes()),
            };
            let status =
                StatusCode::try_from(status).map_err(|error| ConnectorError::other(error.into(), None))?;
            Ok(HttpResponse::new(status, SdkBody::from(body)))
        })
    }
}

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
