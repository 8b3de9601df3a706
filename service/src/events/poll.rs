//! Polling a feed (RFC 8936).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use directory::feeds::{Batch, Feed, FeedId, Outbox};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared::error::{ErrorKind, ScimError};
use shared::resource::parse_object;
use tokio::time::{Instant, sleep};

use crate::call::{Call, ResponseFuture};
use crate::response::{MAX_PAGE_BYTES, Response, json_of};

/// The number of events in a response if the request does not say.
const DEFAULT_EVENTS: usize = 100;
/// The most events in a response.
const MAX_EVENTS: usize = 1_000;
/// The most events that a request can acknowledge.
const MAX_ACKNOWLEDGED: usize = 10_000;
/// How long a request waits for an event, unless it says `returnImmediately`.
const LONG_POLL: Duration = Duration::from_secs(20);
/// The time before the request's deadline at which it stops waiting.
const TIME_TO_READ: Duration = Duration::from_secs(3);
/// The pauses between two reads of an empty feed.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The most bytes of an error that is kept for operators.
const MAX_ERROR_BYTES: usize = 500;

/// The body of a request (RFC 8936 §2.2). Members that the RFC does not define are ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PollRequest {
    max_events: Option<u64>,
    #[serde(default)]
    return_immediately: bool,
    #[serde(default)]
    ack: Vec<String>,
    #[serde(default)]
    set_errs: BTreeMap<String, SetError>,
}

/// Why the consumer cannot use an event (RFC 8936 §2.6).
#[derive(Debug, Deserialize)]
struct SetError {
    err: String,
    #[serde(default)]
    description: String,
}

/// POST /{feed}/poll
///
/// First the acknowledged events are deleted from the feed. Then the waiting events are read. An event that is neither
/// acknowledged now nor later is sent again, also one that the consumer reports as an error: an operator sees the last of these.
pub fn poll(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        let request = parse(&call.request.body)?;
        let unknown = || ScimError::new(ErrorKind::NotFound, "The connector has no feed of this name");
        let id = call.path.first().and_then(|id| FeedId::parse(id)).ok_or_else(unknown)?;
        let feed = call.directory.feed(&id).await?.ok_or_else(unknown)?;
        if !feed.settings.delivery.is_poll() {
            return Err(ScimError::invalid_value(
                "The events of this feed are sent to its consumer, so it cannot be polled",
            ));
        }
        let outbox = call.directory.outbox(&id);
        if !request.ack.is_empty() {
            tokio::try_join!(outbox.acknowledge(&request.ack), call.directory.record_acknowledgement(&feed))?;
        }
        if let Some((jti, error)) = request.set_errs.iter().next() {
            let text = format!("{jti}: {}: {}", error.err, error.description);
            let text = text.get(..text.floor_char_boundary(MAX_ERROR_BYTES)).unwrap_or_default();
            call.directory.record_feed_error(&id, text).await?;
        }
        let most =
            request.max_events.map_or(DEFAULT_EVENTS, |most| usize::try_from(most).unwrap_or(MAX_EVENTS));
        let most = most.min(MAX_EVENTS);
        if most == 0 || feed.settings.paused.is_some() {
            return response(Map::new(), false);
        }
        let wait = if request.return_immediately { Duration::ZERO } else { LONG_POLL };
        let end = (Instant::now() + wait).min(call.request.deadline - TIME_TO_READ);
        let batch = wait_for_events(&outbox, request.ack.last().map(String::as_str), most, end).await?;
        answer(&call, &feed, batch).await
    })
}

fn parse(body: &[u8]) -> Result<PollRequest, ScimError> {
    let invalid =
        |why: String| ScimError::new(ErrorKind::InvalidSyntax, format!("The body is no poll request: {why}"));
    let body = Value::Object(parse_object(body)?);
    let request: PollRequest = serde_json::from_value(body).map_err(|error| invalid(error.to_string()))?;
    let count = request.ack.len() + request.set_errs.len();
    if count > MAX_ACKNOWLEDGED {
        return Err(invalid(format!("it names {count} events; the maximum is {MAX_ACKNOWLEDGED}")));
    }
    Ok(request)
}

/// Reads the feed until it has an event, or until `end`.
async fn wait_for_events(
    outbox: &Outbox,
    after: Option<&str>,
    most: usize,
    end: Instant,
) -> Result<Batch, ScimError> {
    let mut pause = FIRST_PAUSE;
    loop {
        let batch = outbox.read(after, most).await?;
        if !batch.events.is_empty() || Instant::now() + pause >= end {
            return Ok(batch);
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Signs the events until the response is full.
async fn answer(call: &Call, feed: &Feed, batch: Batch) -> Result<Response, ScimError> {
    let mut sets = Map::new();
    let mut has_more = batch.has_more;
    if !batch.events.is_empty() {
        let no_key = || ScimError::internal("a connector with a feed has no signing key");
        let signer = call.directory.signer().await?.ok_or_else(no_key)?;
        let issuer = call.base_url.strip_suffix(call.api.base).unwrap_or(&call.base_url);
        let mut bytes = 0;
        for event in &batch.events {
            let token = signer.sign_event(&event.claims(issuer, feed.settings.audience.as_deref()))?;
            bytes += token.len() + event.jti.len() + 8;
            if bytes > MAX_PAGE_BYTES {
                has_more = true;
                break;
            }
            sets.insert(event.jti.clone(), Value::String(token));
        }
    }
    response(sets, has_more)
}

fn response(sets: Map<String, Value>, has_more: bool) -> Result<Response, ScimError> {
    json_of("application/json", StatusCode::OK, &json!({ "sets": sets, "moreAvailable": has_more }))
}
