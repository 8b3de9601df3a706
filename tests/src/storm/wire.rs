//! Sends requests of a client to the service processes, and keeps them as records.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::{Instant, timeout};

use super::answer::{Meaning, meaning, without_answer};
use super::history::Record;
use super::report::Counts;
use super::request::Request;
use crate::client::SCIM_JSON;

/// How long a client waits for an answer: longer than the service has for a request.
const PATIENCE: Duration = Duration::from_secs(40);
/// How much of a request or answer is kept as text.
const KEPT: usize = 300;

/// The clock, the counts and the tags of a run.
pub struct Run {
    start: Instant,
    tags: AtomicUsize,
    /// What is counted.
    pub counts: Counts,
}

impl Run {
    /// Starts the clock.
    pub fn start() -> Self {
        Self { start: Instant::now(), tags: AtomicUsize::new(0), counts: Counts::default() }
    }

    /// The time since the start, in microseconds.
    pub fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// A tag that no request has had.
    pub fn new_tag(&self) -> String {
        format!("t{}", self.tags.fetch_add(1, Ordering::Relaxed))
    }
}

/// A connector, and the requests to it since the last rest point.
pub struct Connector {
    /// Its id.
    pub id: String,
    authorization: String,
    records: Mutex<Vec<Record>>,
}

impl Connector {
    /// The connector with this id and these Basic credentials.
    pub fn new(id: &str, username: &str, password: &str) -> Self {
        let authorization = format!("Basic {}", BASE64.encode(format!("{username}:{password}")));
        Self { id: id.to_owned(), authorization, records: Mutex::default() }
    }

    fn records(&self) -> MutexGuard<'_, Vec<Record>> {
        self.records.lock().expect("no thread panicked with the lock")
    }

    /// Takes the records since the last call.
    pub fn take_records(&self) -> Vec<Record> {
        std::mem::take(&mut self.records())
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status. `None` if there is no answer.
    pub status: Option<u16>,
    /// The body.
    pub body: Vec<u8>,
    /// The entity tag.
    pub entity_tag: Option<String>,
    /// What it says.
    pub meaning: Meaning,
}

/// One client: a connection to each service process.
#[derive(Clone)]
pub struct Sender {
    run: Arc<Run>,
    connector: Arc<Connector>,
    origins: Vec<String>,
    http: Http<HttpConnector, Full<Bytes>>,
    name: String,
}

impl Sender {
    /// A client of this name, for service processes at these URLs.
    pub fn new(run: &Arc<Run>, connector: &Arc<Connector>, origins: &[String], name: &str) -> Self {
        // A request that is sent again would be two requests with one record.
        let http = Http::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http();
        Self {
            run: Arc::clone(run),
            connector: Arc::clone(connector),
            origins: origins.to_vec(),
            http,
            name: name.to_owned(),
        }
    }

    /// The run.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The number of service processes.
    pub fn services(&self) -> usize {
        self.origins.len()
    }

    /// Sends a request to the service process with this number, and keeps its record. With `patience`, the client
    /// disconnects after this time. `None` if no process accepts connections there, so nothing was sent.
    pub async fn send(
        &self,
        service: usize,
        request: &Request,
        patience: Option<Duration>,
    ) -> Option<Answer> {
        let sent = self.run.now();
        let answer = timeout(patience.unwrap_or(PATIENCE), self.exchange(service, request)).await;
        let answered = self.run.now();
        let (status, body, entity_tag, answer_text) = match answer {
            Ok(Err(Failure::NotSent)) => {
                self.run.counts.count_status("not sent");
                return None;
            }
            Ok(Err(Failure::CutOff(why))) => (None, Vec::new(), None, format!("cut off: {why}")),
            Err(_) => (None, Vec::new(), None, "the client disconnected".to_owned()),
            Ok(Ok((status, body, entity_tag))) => {
                let text = format!("{status} {}", shortened(&String::from_utf8_lossy(&body)));
                (Some(status), body, entity_tag, text)
            }
        };
        let meaning = match status {
            Some(status) => meaning(request, status, &body),
            None => without_answer(request),
        };
        self.run.counts.count_status(&status.map_or("no answer".to_owned(), |status| status.to_string()));
        let sent_text = request.body.as_ref().map(ToString::to_string).unwrap_or_default();
        let condition = request.if_match.as_ref().map(|tag| format!(" If-Match: {tag}")).unwrap_or_default();
        self.connector.records().push(Record {
            client: format!("{} to service {service}", self.name),
            sent,
            answered,
            request: format!("{} {}{condition} {}", request.method, request.target, shortened(&sent_text)),
            answer: answer_text,
            changes: request.changes.iter().cloned().zip(meaning.outcomes.iter().cloned()).collect(),
            sightings: meaning.sightings.clone(),
            lookups: meaning.lookups.clone(),
        });
        Some(Answer { status, body, entity_tag, meaning })
    }

    async fn exchange(
        &self,
        service: usize,
        request: &Request,
    ) -> Result<(u16, Vec<u8>, Option<String>), Failure> {
        let url = format!("{}/{}/scim/v2{}", self.origins[service], self.connector.id, request.target);
        let body = request.body.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut message = http::Request::builder()
            .method(request.method)
            .uri(url)
            .header("authorization", &self.connector.authorization)
            .header("accept", SCIM_JSON);
        if request.body.is_some() {
            message = message.header("content-type", SCIM_JSON);
        }
        if let Some(entity_tag) = &request.if_match {
            message = message.header("if-match", entity_tag);
        }
        let message = message.body(Full::new(Bytes::from(body))).expect("the request is valid");
        let answer = self.http.request(message).await.map_err(|error| match error.is_connect() {
            true => Failure::NotSent,
            false => Failure::CutOff(error.to_string()),
        })?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| Failure::CutOff(error.to_string()))?;
        let entity_tag = head.headers.get("etag").and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        Ok((head.status.as_u16(), body.to_bytes().into(), entity_tag))
    }
}

/// Why there is no answer.
enum Failure {
    /// No connection was made.
    NotSent,
    /// The connection ended before the answer was complete.
    CutOff(String),
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(KEPT) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}
