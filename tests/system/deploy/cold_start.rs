//! What a function does before it asks for its first event: it connects to DynamoDB, while Lambda gives it a whole CPU. It starts
//! without DynamoDB too.

use tests::client::Client;
use tests::gateway::Gateway;
use tests::service::service;
use tests::tls_endpoint::TlsEndpoint;
use tokio::net::TcpListener;

/// A start gives up to connect after some time, which a slow machine can exceed. Then the test starts the function again.
const STARTS: usize = 20;

/// Sends a request that is answered without a read of the table. Returns the status.
async fn discover(gateway: &Gateway) -> u16 {
    let client = Client::new(&gateway.base_url("unknown"), "", "");
    client.send("GET", "/ServiceProviderConfig", &[("authorization", "")], "").await.status
}

/// The connections of each start until one start has two, if its function gets only this request.
async fn connections(request: impl AsyncFn(&Gateway)) -> Vec<usize> {
    let mut connections = Vec::new();
    while connections.len() < STARTS && connections.last() != Some(&2) {
        let dynamodb = TlsEndpoint::start(service().endpoint()).await;
        let (url, certificates) = (dynamodb.url.as_str(), dynamodb.certificates.as_str());
        let environment = [("DYNAMODB_ENDPOINT", url), ("SSL_CERT_FILE", certificates)];
        let gateway = service().gateway_with(&environment).await;
        request(&gateway).await;
        connections.push(dynamodb.connections());
    }
    connections
}

#[tokio::test]
async fn function_has_two_connections_to_dynamodb_before_its_first_event() {
    let connections = connections(async |gateway| assert_eq!(discover(gateway).await, 200)).await;
    assert_eq!(connections.last(), Some(&2), "the request itself needs none: {connections:?}");
}

#[tokio::test]
async fn first_request_needs_no_further_connection() {
    let connector = service().connector().await;
    let connections = connections(async |gateway| {
        let base_url = gateway.base_url(&connector.id.to_string());
        let client = Client::new(&base_url, &connector.username, &connector.password);
        // Its reads follow each other.
        assert_eq!(client.get("/Users?filter=userName%20eq%20%22ann%22").await.status, 200);
    });
    let connections = connections.await;
    assert_eq!(connections.last(), Some(&2), "{connections:?}");
}

#[tokio::test]
async fn function_starts_while_dynamodb_does_not_answer() {
    // It accepts connections and does not answer.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let gateway = service().gateway_with(&[("DYNAMODB_ENDPOINT", endpoint.as_str())]).await;
    assert_eq!(discover(&gateway).await, 200);
}

#[tokio::test]
async fn function_starts_while_dynamodb_refuses_connections() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let endpoint = format!("http://{closed}");
    let gateway = service().gateway_with(&[("DYNAMODB_ENDPOINT", endpoint.as_str())]).await;
    assert_eq!(discover(&gateway).await, 200);
}
