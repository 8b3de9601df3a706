//! A DynamoDB client with network latency. Requests that are sent at the same time overlap, as they do
//! between a function and DynamoDB.

use std::time::Duration;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_smithy_runtime_api::client::http::{
    HttpClient as _, HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

#[derive(Debug)]
struct DelayedConnector {
    connector: SharedHttpConnector,
    delay: Duration,
}

impl HttpConnector for DelayedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (connector, delay) = (self.connector.clone(), self.delay);
        HttpConnectorFuture::new(async move {
            // The engine in this process answers at once. Yielding lets other tasks send their requests
            // first.
            tokio::task::yield_now().await;
            tokio::time::sleep(delay).await;
            connector.call(request).await
        })
    }
}

/// The configuration of this client with a delay before each request.
///
/// # Panics
/// When the client has no HTTP client.
pub fn away(client: &DynamoDb, delay: Duration) -> aws_sdk_dynamodb::config::Builder {
    let near = client.config().http_client().expect("the client has an HTTP client");
    client.config().to_builder().http_client(http_client_fn(move |settings, components| {
        SharedHttpConnector::new(DelayedConnector {
            connector: near.http_connector(settings, components),
            delay,
        })
    }))
}
