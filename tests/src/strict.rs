//! A stricter DynamoDB: refuses every request that breaks a limit of AWS (see [`limits`]), and makes the
//! test fail that caused it.
//!
//! It is before the engine of every [`Service`](crate::service::Service): in the SDK's client of the service
//! in this process, and as a proxy for other processes. A refused request gets a ValidationException, as on
//! AWS, and is recorded. The clients of the test kit read the record after each answer.

use std::fmt;
use std::sync::{Arc, LazyLock, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient as _, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use http::{HeaderMap, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::call::Call;
use crate::forward::{Forward, body_of, dynamodb_answer};
use crate::limits;

/// The requests that broke a limit.
#[derive(Clone, Default)]
pub struct Violations(Arc<Mutex<Vec<Violation>>>);

#[derive(Clone)]
struct Violation {
    sentence: String,
    request: String,
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request: String = self.request.chars().take(500).collect();
        write!(f, "{} in {request}", self.sentence)
    }
}

impl Violations {
    /// The record of all services in this process.
    pub fn of_this_process() -> Self {
        static RECORD: LazyLock<Violations> = LazyLock::new(Violations::default);
        RECORD.clone()
    }

    /// Fails if a request broke a limit that has this text, such as the id of a connector. The empty text
    /// stands for all requests.
    ///
    /// # Panics
    /// When there was such a request.
    pub fn assert_none(&self, text: &str) {
        let found: Vec<Violation> = {
            let violations = self.0.lock().expect("no thread panicked with the lock");
            violations.iter().filter(|one| one.request.contains(text)).cloned().collect()
        };
        let count = found.len();
        assert!(found.is_empty(), "{count} requests broke a limit of DynamoDB: {found:#?}");
    }

    /// Checks a request. If it breaks a limit, records it and returns the body of DynamoDB's refusal.
    fn check(&self, call: &Call) -> Result<(), Value> {
        limits::check(call).map_err(|sentence| self.record(call, sentence))
    }

    fn check_answer(&self, call: &Call, answer: &[u8]) -> Result<(), Value> {
        if call.operation != "TransactGetItems" {
            return Ok(());
        }
        let answer = serde_json::from_slice(answer).unwrap_or_default();
        limits::check_answer(call, &answer).map_err(|sentence| self.record(call, sentence))
    }

    fn record(&self, call: &Call, sentence: String) -> Value {
        let refusal =
            json!({ "__type": "com.amazon.coral.validate#ValidationException", "message": &sentence });
        let request = format!("{} {}", call.operation, call.body);
        let violation = Violation { sentence, request };
        self.0.lock().expect("no thread panicked with the lock").push(violation);
        refusal
    }
}

/// The client of an engine in this process, with the checks before it.
///
/// # Panics
/// When the client has no HTTP client.
pub fn client(engine: &aws_sdk_dynamodb::Client, violations: &Violations) -> aws_sdk_dynamodb::Client {
    let http = engine.config().http_client().expect("the client has an HTTP client");
    let config = engine.config().to_builder().http_client(http_client(http, violations.clone()));
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

fn http_client(engine: SharedHttpClient, violations: Violations) -> SharedHttpClient {
    http_client_fn(move |settings, components| {
        let engine = engine.http_connector(settings, components);
        SharedHttpConnector::new(StrictConnector { engine, violations: violations.clone() })
    })
}

struct StrictConnector {
    engine: SharedHttpConnector,
    violations: Violations,
}

impl fmt::Debug for StrictConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StrictConnector")
    }
}

impl HttpConnector for StrictConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (engine, violations) = (self.engine.clone(), self.violations.clone());
        let call = Call::of(&request);
        let refused = |body: Value| {
            let status = StatusCode::try_from(400).expect("the status is valid");
            HttpResponse::new(status, SdkBody::from(body.to_string()))
        };
        HttpConnectorFuture::new(async move {
            if let Err(refusal) = violations.check(&call) {
                return Ok(refused(refusal));
            }
            let answer = engine.call(request).await?;
            // An engine over HTTP streams its answers. Only the proxy sees what they contain.
            match answer.body().bytes().map(|answer| violations.check_answer(&call, answer)) {
                Some(Err(refusal)) => Ok(refused(refusal)),
                _ => Ok(answer),
            }
        })
    }
}

#[derive(Clone)]
struct Proxy {
    forward: Forward,
    violations: Violations,
}

/// Starts a proxy with the checks before an engine, and returns its URL. It runs until the runtime ends.
///
/// # Panics
/// When no port is free.
pub async fn start(engine: Forward, violations: Violations) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let endpoint = format!("http://{}", listener.local_addr().expect("the listener has an address"));
    let router = Router::new().fallback(answer).with_state(Proxy { forward: engine, violations });
    tokio::spawn(async move { axum::serve(listener, router).await.expect("the proxy is served") });
    endpoint
}

async fn answer(State(proxy): State<Proxy>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let call = Call::new(&headers, &body);
    if let Err(refusal) = proxy.violations.check(&call) {
        return dynamodb_answer(400, &refusal);
    }
    let (parts, answer) = proxy.forward.send(&headers, body).await.into_parts();
    let answer = body_of(Response::new(answer)).await;
    match proxy.violations.check_answer(&call, &answer) {
        Err(refusal) => dynamodb_answer(400, &refusal),
        Ok(()) => Response::from_parts(parts, Body::from(answer)),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::Client;
    use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
    use aws_sdk_dynamodb::types::AttributeValue;
    use local::engine::Engine;
    use local::table;

    use super::*;

    async fn code_of_get(client: &Client, sk: &str) -> Option<String> {
        let get = client.get_item().table_name("limits").key("pk", AttributeValue::S("c#user".to_owned()));
        let answer = get.key("sk", AttributeValue::S(sk.to_owned())).send().await;
        answer.err().map(|error| error.code().unwrap_or_default().to_owned())
    }

    #[tokio::test]
    async fn request_that_breaks_a_limit_is_refused_and_fails_the_test() {
        let engine = Engine::start(None, ([127, 0, 0, 1], 0), crate::service::ACCESS_KEY).await.unwrap();
        let in_process = engine.client().await;
        table::ensure(&in_process, "limits").await.unwrap();
        let violations = Violations::default();
        let proxy = start(Forward::to(&engine.endpoint), violations.clone()).await;
        let proxied = runtime::dynamodb::client_at(&proxy).await;
        for client in [client(&in_process, &violations), proxied] {
            violations.0.lock().unwrap().clear();
            assert_eq!(code_of_get(&client, "a").await, None);
            violations.assert_none("");
            let refused = code_of_get(&client, "").await;
            assert_eq!(refused.as_deref(), Some("ValidationException"));
            violations.assert_none("another-connector#");
            for text in ["c#user", ""] {
                let violations = violations.clone();
                let failed = std::panic::catch_unwind(move || violations.assert_none(text)).unwrap_err();
                let message = failed.downcast_ref::<String>().unwrap();
                assert!(message.contains("sk is an empty string in GetItem"), "{message}");
            }
        }
    }
}
