//! DynamoDB clients. The SDK's own retries are off in all of them: `directory` retries against the deadline of the request.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, HttpClient, SharedHttpClient};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use http::Uri;

use crate::data_folder::RunningEngine;
use crate::environment;

/// How long one attempt of a request to DynamoDB may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes a client for the DynamoDB that the environment names: AWS's, or the one at `DYNAMODB_ENDPOINT`.
///
/// An endpoint on this machine needs no credentials if the environment has none.
pub async fn client() -> Client {
    let has_credentials =
        ["AWS_ACCESS_KEY_ID", "AWS_PROFILE"].into_iter().any(|name| environment::variable(name).is_some());
    match environment::dynamodb_endpoint() {
        Some(endpoint) if is_loopback(&endpoint) && !has_credentials => client_at(&endpoint).await,
        Some(endpoint) => Client::new(&aws_loader().endpoint_url(endpoint).load().await),
        None => Client::new(&aws_loader().load().await),
    }
}

/// Whether a URL leads to this machine only.
pub fn is_loopback(url: &str) -> bool {
    let url = url.parse::<Uri>().unwrap_or_default();
    matches!(url.host(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

/// Makes a client for a DynamoDB that requires no credentials.
pub async fn client_at(endpoint: &str) -> Client {
    let loader = aws_loader().endpoint_url(endpoint).region("local").test_credentials();
    Client::new(&loader.load().await)
}

/// Makes a client for the embedded engine of another process.
pub async fn client_of_engine(engine: &RunningEngine) -> Client {
    let RunningEngine { endpoint, access_key } = engine;
    let credentials = Credentials::new(access_key, access_key, None, None, "data folder");
    let loader = aws_loader().endpoint_url(endpoint).region("local").credentials_provider(credentials);
    Client::new(&loader.load().await)
}

/// Makes a client for a DynamoDB engine in this process. It needs no credentials and no timeouts.
pub async fn client_over(engine: impl HttpClient + 'static) -> Client {
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(engine)
        .endpoint_url("http://localhost")
        .region("local")
        .no_credentials()
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    let config = aws_sdk_dynamodb::config::Builder::from(&loader.load().await).allow_no_auth();
    Client::from_conf(config.build())
}

/// Makes the HTTPS client of the AWS SDK.
pub fn https_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}

/// Makes a loader of credentials, region and endpoints from the environment, with this project's timeouts and no retries.
pub fn aws_loader() -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(https_client())
        .retry_config(RetryConfig::disabled())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .build(),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_endpoints_on_this_machine_are_loopback() {
        for (endpoint, expected) in [
            ("http://127.0.0.1:8000", true),
            ("http://localhost:8000/", true),
            ("http://[::1]:8000", true),
            ("https://dynamodb.eu-west-1.amazonaws.com", false),
            ("http://localhost.example.com:8000", false),
            ("http://127.0.0.1@example.com", false),
            ("not a URL", false),
        ] {
            assert_eq!(is_loopback(endpoint), expected, "{endpoint}");
        }
    }
}
