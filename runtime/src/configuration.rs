//! What a function is told by its environment: which DynamoDB, which table, which public URL, how much to log.

use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::HttpClient;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use http::Uri;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The table when `TABLE_NAME` does not say otherwise.
pub const DEFAULT_TABLE: &str = "rollcall";

/// A request to DynamoDB that takes longer than this is given up, and sent again while there is time.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The table's name.
pub fn table_name() -> String {
    std::env::var("TABLE_NAME").unwrap_or_else(|_| DEFAULT_TABLE.to_owned())
}

/// The URL that clients know the service provider by, without a slash at its end.
pub fn public_url() -> Option<String> {
    let url = std::env::var("PUBLIC_URL").ok().filter(|url| !url.is_empty())?;
    Some(url.trim_end_matches('/').to_owned())
}

/// The DynamoDB to use instead of AWS's.
pub fn dynamodb_endpoint() -> Option<String> {
    std::env::var("DYNAMODB_ENDPOINT").ok().filter(|endpoint| !endpoint.is_empty())
}

/// The file in a data folder that says where the DynamoDB of a running `make run` listens.
const ENDPOINT_FILE: &str = "dynamodb-endpoint";

/// Says in a data folder where its DynamoDB listens.
///
/// # Errors
/// When the file cannot be written.
pub fn write_endpoint(folder: &Path, endpoint: &str) -> std::io::Result<()> {
    std::fs::write(folder.join(ENDPOINT_FILE), endpoint)
}

/// Where the DynamoDB of a data folder listens.
///
/// # Errors
/// A sentence that says that nothing runs over this folder.
pub fn read_endpoint(folder: &Path) -> Result<String, String> {
    let endpoint = std::fs::read_to_string(folder.join(ENDPOINT_FILE)).ok();
    let answers = |endpoint: &String| {
        let address = endpoint.trim_start_matches("http://").parse().ok();
        address.is_some_and(|address| TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).is_ok())
    };
    endpoint.filter(answers).ok_or_else(|| {
        format!(
            "no `make run` or `make lambda` is running over {}; start one, or name an --endpoint",
            folder.display()
        )
    })
}

/// A client for the DynamoDB of the environment: AWS's, or the one at `DYNAMODB_ENDPOINT`, which asks for no credentials
/// if it is on this machine and there are none in the environment.
pub async fn dynamodb() -> Client {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let has_credentials = is_set("AWS_ACCESS_KEY_ID") || is_set("AWS_PROFILE");
    match dynamodb_endpoint() {
        Some(endpoint) if is_on_loopback(&endpoint) && !has_credentials => dynamodb_at(&endpoint).await,
        Some(endpoint) => Client::new(&loader().endpoint_url(endpoint).load().await),
        None => Client::new(&loader().load().await),
    }
}

fn is_on_loopback(endpoint: &str) -> bool {
    let endpoint = endpoint.parse::<Uri>().unwrap_or_default();
    matches!(endpoint.host(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

/// A client for a DynamoDB that asks for no credentials.
pub async fn dynamodb_at(endpoint: &str) -> Client {
    let loader = loader().endpoint_url(endpoint).region("local").test_credentials();
    Client::new(&loader.load().await)
}

/// A client for a DynamoDB in this process, which asks for no credentials and is not far away.
pub async fn dynamodb_over(engine: impl HttpClient + 'static) -> Client {
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

fn loader() -> ConfigLoader {
    let http =
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        // The store tries again by itself, against the request's own deadline.
        .retry_config(RetryConfig::disabled())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .build(),
        )
}

/// Starts the log: a line of JSON for each event, as CloudWatch likes it, or lines for people.
pub fn start_log(is_for_people: bool) {
    let level = std::env::var("LOG_LEVEL").unwrap_or_else(|_| "info".to_owned());
    // Libraries speak up when something is wrong; what they do otherwise is nobody's concern.
    let filter: Result<Targets, _> =
        format!("{level},aws_config=warn,aws_runtime=warn,dynoxide=error,hyper=warn").parse();
    let filter = filter.unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer().with_target(false);
    let lines = if is_for_people {
        lines.with_ansi(false).boxed()
    } else {
        let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
        lines.without_time().boxed()
    };
    // A log that is there already, as in tests, is as good.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_on_this_machine_is_on_loopback() {
        for (endpoint, expected) in [
            ("http://127.0.0.1:8000", true),
            ("http://localhost:8000/", true),
            ("http://[::1]:8000", true),
            ("https://dynamodb.eu-west-1.amazonaws.com", false),
            ("http://localhost.example.com:8000", false),
            ("http://127.0.0.1@example.com", false),
            ("not a URL", false),
        ] {
            assert_eq!(is_on_loopback(endpoint), expected, "{endpoint}");
        }
    }
}
