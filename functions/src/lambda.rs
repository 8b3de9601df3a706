//! Runs a handler as a Lambda function of an HTTP API. Converts events (payload format 2.0) to requests, and responses to
//! the form that API Gateway expects.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use delivery::target::Reach;
use directory::Table;
use http::header::CONTENT_ENCODING;
use jiff::Timestamp;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use lambda_http::aws_lambda_events::encodings::Body;
use lambda_http::lambda_runtime;
use lambda_http::{Context, LambdaEvent};
use runtime::{environment, logging};
use service::oauth::{Fetch, Fetched};
use service::origin_secret::OriginSecret;
use service::request::{Request, decoded_segments, parameters};
use service::response::{self, Packing, Response, packed};
use service::trace::TraceId;
use service::{Handler, Observer, Service};
use shared::error::{ErrorKind, ScimError};
use shared::schema::Schemas;
use tokio::time::Instant;

use crate::metrics::Metrics;

/// The error with which the Lambda runtime ends the process.
pub type Error = lambda_http::Error;

/// The timeout of a function, as in `template.yaml`.
const TIMEOUT: Duration = Duration::from_secs(29);

/// The part of an invocation's time that is reserved for sending a response after the request's deadline.
const TIME_TO_ANSWER: Duration = Duration::from_millis(1_500);

/// How long the start of a process waits for DynamoDB.
const TIME_TO_WARM_UP: Duration = Duration::from_secs(2);

/// Runs a function until Lambda stops it.
///
/// # Errors
/// If the process does not have the environment of a Lambda function, or cannot reach the runtime API.
pub fn run(handler: Handler) -> Result<(), Error> {
    start(handler, None)
}

/// Runs a function that fetches the keys of OAuth issuers from the internet. Only its binary has the client for that.
///
/// # Errors
/// As for [`run`].
pub fn run_with_fetch(handler: Handler) -> Result<(), Error> {
    start(handler, Some(fetch))
}

fn fetch(url: String) -> Fetched {
    let reach = Reach::new(environment::allows_private_targets());
    Box::pin(async move { delivery::fetch::fetch(&url, reach).await })
}

fn start(handler: Handler, fetch: Option<Fetch>) -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(handler, fetch))
}

async fn serve(handler: Handler, fetch: Option<Fetch>) -> Result<(), Error> {
    let start = SystemTime::now();
    logging::start(logging::Format::Json, "info");
    let table = Table::new(runtime::dynamodb::client().await, environment::table_name());
    let schemas = Schemas::built_in();
    let service = Service::new(table.clone(), environment::public_url(), schemas, Timestamp::now)?;
    let origin_secret = environment::origin_secret().map(|secret| OriginSecret::parse(&secret));
    let metrics = Metrics::from_environment().map(|metrics| metrics as Arc<dyn Observer>);
    let service = service.with_origin_secret(origin_secret).with_fetch(fetch).with_observer(metrics);
    let service = Arc::new(service);
    warm_up(&table).await;
    lambda_runtime::run(lambda_http::service_fn(move |event: LambdaEvent<ApiGatewayV2httpRequest>| {
        let service = Arc::clone(&service);
        async move {
            let id = event.context.request_id.clone();
            let response = match to_request(event, start) {
                Ok(request) => service.answer(request, handler).await,
                Err(error) => response::with_request_id(response::error(&error), &id),
            };
            Ok::<_, Error>(to_event(response))
        }
    }))
    .await
}

/// Prepares the process for its first request. Until a function asks for its first event, Lambda gives it a whole CPU, and afterwards
/// one in proportion to its memory. If this fails, the first request connects.
async fn warm_up(table: &Table) {
    if let Err(error) = table.until(Instant::now() + TIME_TO_WARM_UP).warm_up().await {
        tracing::warn!(%error, "DynamoDB did not answer before the first request");
    }
}

/// Reads the JSON of an event, as the runtime does. `start` is when the process started.
///
/// # Errors
/// If the event is not JSON of this form, or its body is not base64 although the event says so.
pub fn parse_event(event: &[u8], start: SystemTime) -> Result<Request, Error> {
    let payload: ApiGatewayV2httpRequest = serde_json::from_slice(event)?;
    Ok(to_request(LambdaEvent::new(payload, Context::default()), start)?)
}

fn to_request(event: LambdaEvent<ApiGatewayV2httpRequest>, start: SystemTime) -> Result<Request, ScimError> {
    let LambdaEvent { payload: event, context } = event;
    let time = time_to_work(context.deadline(), start, SystemTime::now());
    let body = event.body.unwrap_or_default();
    // An HTTP API encodes the body in base64 if the Content-Type is not text.
    let body = if event.is_base64_encoded {
        let invalid = |_| {
            ScimError::new(
                ErrorKind::InvalidSyntax,
                "The event's isBase64Encoded is true, but its body is not base64",
            )
        };
        STANDARD.decode(body).map_err(invalid)?
    } else {
        body.into_bytes()
    };
    let trace = context.xray_trace_id.as_deref().and_then(TraceId::from_xray);
    let traceparent = || TraceId::from_traceparent(event.headers.get("traceparent")?.to_str().ok()?);
    let trace = trace.or_else(traceparent);
    // Use the domain that API Gateway reports: a client can set the Host header to any value.
    let domain = event.request_context.domain_name.unwrap_or_default();
    Ok(Request {
        id: context.request_id,
        trace,
        method: event.request_context.http.method,
        path: decoded_segments(&event.raw_path.unwrap_or_default()),
        query: parameters(&event.raw_query_string.unwrap_or_default()),
        headers: event.headers,
        body,
        origin: format!("https://{domain}"),
        deadline: Instant::now() + time,
        address: event.request_context.http.source_ip.and_then(|address| address.parse().ok()),
    })
}

/// Returns how long a request may take: until the deadline of its invocation, less [`TIME_TO_ANSWER`].
///
/// `cargo lambda watch` sends a constant of ten minutes as the deadline, which is a time in 1970. A deadline before the
/// start of the process cannot be meant as a time, so the function's timeout applies instead.
fn time_to_work(deadline: SystemTime, start: SystemTime, now: SystemTime) -> Duration {
    let time = if deadline < start { TIMEOUT } else { deadline.duration_since(now).unwrap_or_default() };
    time.saturating_sub(TIME_TO_ANSWER)
}

fn to_event(response: Response) -> ApiGatewayV2httpResponse {
    let (parts, body) = response.into_parts();
    let mut event = ApiGatewayV2httpResponse::default();
    event.status_code = i64::from(parts.status.as_u16());
    let is_text = !parts.headers.contains_key(CONTENT_ENCODING);
    event.headers = parts.headers;
    if !body.is_empty() {
        // A compressed body is not text. The event type writes it in base64.
        let body = match packed(&body, is_text).0 {
            Packing::Base64 => Body::Binary(body),
            Packing::Text => {
                String::from_utf8(body).map_or_else(|binary| Body::Binary(binary.into_bytes()), Body::Text)
            }
        };
        event.is_base64_encoded = matches!(body, Body::Binary(_));
        event.body = Some(body);
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadline_before_the_start_of_the_process_counts_as_the_timeout() {
        // Seconds since 1970 of the deadline, the start of the process and the request; milliseconds to work.
        for (deadline, start, now, expected) in [
            (600, 1_000_000, 1_000_005, 27_500),
            (0, 1_000_000, 1_000_005, 27_500),
            (999_999, 1_000_000, 1_000_005, 27_500),
            // Expired: the process was running at the time of the deadline.
            (1_000_000, 1_000_000, 1_000_005, 0),
            (1_000_004, 1_000_000, 1_000_005, 0),
            (1_000_005, 1_000_000, 1_000_005, 0),
            // Less time than the response needs.
            (1_000_006, 1_000_000, 1_000_005, 0),
            (1_000_007, 1_000_000, 1_000_005, 500),
            (1_000_034, 1_000_000, 1_000_005, 27_500),
            // A function with a longer timeout.
            (1_000_105, 1_000_000, 1_000_005, 98_500),
        ] {
            let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let time = time_to_work(at(deadline), at(start), at(now));
            assert_eq!(time, Duration::from_millis(expected), "{deadline} {start} {now}");
        }
    }

    #[test]
    fn traceparent_is_the_trace_if_lambda_gives_none() {
        let mut event: serde_json::Value =
            serde_json::from_str(include_str!("../../events/users-list.json")).unwrap();
        event["headers"]["traceparent"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into();
        let request = parse_event(event.to_string().as_bytes(), SystemTime::now()).unwrap();
        let trace = request.trace.map(|trace| trace.to_string());
        assert_eq!(trace.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    }

    #[test]
    fn timeout_is_the_one_of_the_template() {
        let template = include_str!("../../template.yaml");
        assert!(template.contains(&format!("    Timeout: {}\n", TIMEOUT.as_secs())));
    }
}
