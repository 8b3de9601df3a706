//! DynamoDB as far away as it is from a function: requests to it that are sent at the same time are under way at the same
//! time, and each may take a while longer.

use std::time::Duration;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_smithy_runtime_api::client::http::{
    HttpClient as _, HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

#[derive(Debug)]
struct Away {
    connector: SharedHttpConnector,
    delay: Duration,
}

impl HttpConnector for Away {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (connector, delay) = (self.connector.clone(), self.delay);
        HttpConnectorFuture::new(async move {
            // The engine in this process answers at once; here others come to send theirs first.
            tokio::task::yield_now().await;
            tokio::time::sleep(delay).await;
            connector.call(request).await
        })
    }
}

/// The configuration of a client whose requests take so much longer.
///
/// # Panics
/// When the client has no way to DynamoDB.
pub fn away(client: &DynamoDb, delay: Duration) -> aws_sdk_dynamodb::config::Builder {
    let near = client.config().http_client().expect("a client has a way to DynamoDB");
    client.config().to_builder().http_client(http_client_fn(move |settings, components| {
        SharedHttpConnector::new(Away { connector: near.http_connector(settings, components), delay })
    }))
}
