//! Handles a request: authentication, checks, handler, response, log, request trail.

use std::sync::Arc;

use directory::connectors::ConnectorId;
use directory::{Actor, By, Directory, Table};
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH};
use http::{Method, StatusCode};
use jiff::{Timestamp, Unit};
use shared::error::{ErrorKind, Schemes, ScimError, chain};
use shared::schema::Schemas;
use tokio::time::{Duration, Instant};
use tracing::{Instrument as _, Span};

use crate::api::{Api, ErrorFormat, Location, SCIM};
use crate::authentication::{Authenticator, SIDE_WRITE_TIMEOUT, schemes};
use crate::call::{Call, Handler, PublicCall, TokenCall};
use crate::events;
use crate::measurement::{Measurement, Observer};
use crate::oauth::{self, Fetch, IssuerKeys};
use crate::origin_secret::OriginSecret;
use crate::problem;
use crate::request::Request;
use crate::response::{self, MAX_RESPONSE_BYTES, Plan, Response, packed};
use crate::routes;
use crate::trail::{Notes, Outcome, Recorder, Seen};

/// The largest request body, in bytes. Lambda has the same limit.
pub const MAX_BODY_BYTES: usize = 6 * 1024 * 1024;

/// Everything that all requests of a process share.
#[derive(Debug)]
pub struct Service {
    table: Table,
    public_url: Option<String>,
    schemas: Arc<Schemas>,
    now: fn() -> Timestamp,
    authenticator: Arc<Authenticator>,
    issuer_keys: Arc<IssuerKeys>,
    origin_secret: Option<OriginSecret>,
    recorder: Recorder,
    observer: Option<Arc<dyn Observer>>,
}

impl Service {
    /// Creates a service over this table. URLs in responses begin with `public_url`, or with the origin of
    /// each request if it is `None`.
    ///
    /// # Errors
    /// If the system's random number generator fails.
    pub fn new(
        table: Table,
        public_url: Option<String>,
        schemas: &Arc<Schemas>,
        now: fn() -> Timestamp,
    ) -> Result<Self, ScimError> {
        let (schemas, authenticator) = (Arc::clone(schemas), Arc::new(Authenticator::new()?));
        let (issuer_keys, recorder) = (Arc::default(), Recorder::new(SIDE_WRITE_TIMEOUT));
        Ok(Self {
            table,
            public_url,
            schemas,
            now,
            authenticator,
            issuer_keys,
            origin_secret: None,
            recorder,
            observer: None,
        })
    }

    /// Fetches the keys of issuers with this function. Without one, only clients with a secret or a key of their own get tokens.
    #[must_use]
    pub fn with_fetch(self, fetch: Option<Fetch>) -> Self {
        Self { issuer_keys: Arc::new(IssuerKeys::new(fetch)), ..self }
    }

    /// Refuses every request without this secret, before anything else. `None` refuses none.
    #[must_use]
    pub fn with_origin_secret(self, origin_secret: Option<OriginSecret>) -> Self {
        Self { origin_secret, ..self }
    }

    /// Gives up writes of the request trail after this time, instead of 100 ms. It is for tests on slow machines.
    #[must_use]
    pub fn with_trail_timeout(self, timeout: Duration) -> Self {
        Self { recorder: Recorder::new(timeout), ..self }
    }

    /// Gives the measurement of every request to this observer.
    #[must_use]
    pub fn with_observer(self, observer: Option<Arc<dyn Observer>>) -> Self {
        Self { observer, ..self }
    }

    /// Answers a request. Every error becomes a response here. Every log line has the trace of the request.
    pub async fn answer(&self, request: Request, handler: Handler) -> Response {
        let span = match &request.trace {
            Some(trace) => tracing::error_span!("request", %trace),
            None => Span::none(),
        };
        self.answer_in_trace(request, handler).instrument(span).await
    }

    async fn answer_in_trace(&self, request: Request, handler: Handler) -> Response {
        let started = Instant::now();
        let table = self.table.counted();
        let (seen, notes) = (Seen::of(&request), Arc::new(Notes::default()));
        let (trace, accepts_gzip) = (request.trace.clone(), request.accepts_gzip());
        let Seen { id, method, path, .. } = &seen;
        let location = Location::of(path);
        let (response, mut failure) = match self.call(request, location, handler, &table, &notes).await {
            Ok(response) => (response, None),
            Err(error) => {
                log_failure(id, &error);
                (error_response(&error, location, method, id), Some(error))
            }
        };
        let mut response = response::compress(response, accepts_gzip);
        if is_too_large(&response) {
            let error = failure.insert(response::too_large());
            response = error_response(error, location, method, id);
        }
        response = response::with_request_id(response, id);
        if *method == Method::HEAD {
            // RFC 9110 §9.3.2: the response to a HEAD is that to a GET without its body.
            let length = response.body().len();
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
            response.body_mut().clear();
        }
        // The JSON log cannot hold a number of 128 bits.
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        log(&seen, &response, ms);
        let time = (self.now)();
        let outcome = Outcome { status: response.status(), error: failure.as_ref(), ms, time };
        let noted = notes.noted();
        let records = seen.records(&outcome, &noted);
        if let (Some((connector, _)), false) = (&noted.signed_in, records.is_empty()) {
            self.recorder.write(&table, &connector.id, records, time).await;
        }
        if let Some(observer) = &self.observer {
            let connector = location.and_then(|location| ConnectorId::parse(location.connector));
            observer.observe(&Measurement {
                request: id.clone(),
                trace,
                function: location.map_or(routes::FALLBACK, |location| {
                    routes::function(location.api, method, location.path)
                }),
                connector: connector.filter(|id| self.authenticator.connectors().has_read(id)),
                status: response.status().as_u16(),
                latency: started.elapsed(),
                usage: table.usage(),
            });
        }
        response
    }

    async fn call(
        &self,
        request: Request,
        location: Option<Location<'_>>,
        handler: Handler,
        table: &Table,
        notes: &Arc<Notes>,
    ) -> Result<Response, ScimError> {
        if let Some(secret) = &self.origin_secret {
            secret.check(&request)?;
        }
        let Some(Location { connector, api, path }) = location else {
            return Err(ScimError::new(
                ErrorKind::NotFound,
                "Unknown URL. An endpoint URL looks like https://HOST/CONNECTOR/scim/v2",
            ));
        };
        let handler = match handler {
            Handler::ByRoute(find) => find(api, &request.method, path),
            handler => Ok(handler),
        };
        let has_credentials = request.headers.contains_key(AUTHORIZATION);
        if let Ok(Handler::Anyone(handler)) = handler
            && !has_credentials
            && let Some(id) = ConnectorId::parse(connector)
        {
            check_body(&request)?;
            // Known and unknown connectors get the same response, without a read of the table.
            let schemes = Schemes { basic: true, bearer: true, oauth: true };
            let schemas = Arc::clone(&self.schemas);
            return handler(self.public_call(request, api, path, &id, (schemes, schemas, false))).await;
        }
        let table = table.until(request.deadline);
        if let Ok(Handler::OfConnector(handler)) = handler {
            check_body(&request)?;
            let id = ConnectorId::parse(connector).ok_or_else(unknown_connector)?;
            let connector = self.authenticator.connector(&table, &id).await?;
            return handler(connector.ok_or_else(unknown_connector)?).await;
        }
        let now = (self.now)();
        let issuer = self.issuer(&request, connector);
        if let Ok(Handler::Token(handler)) = handler {
            check_encoding(&request)?;
            let connector = ConnectorId::parse(connector).ok_or_else(oauth::unknown_client)?;
            let authenticator = Arc::clone(&self.authenticator);
            let issuer_keys = Arc::clone(&self.issuer_keys);
            let notes = Arc::clone(notes);
            let call =
                TokenCall { request, connector, table, authenticator, issuer_keys, issuer, now, notes };
            return handler(call).await;
        }
        let authenticator = &self.authenticator;
        let authenticated =
            authenticator.authenticate(&table, (connector, &issuer), &request, api.scope, now, notes).await?;
        check_body(&request)?;
        // Clients compare times, and other service providers send milliseconds.
        let now = now.round(Unit::Millisecond).unwrap_or(now);
        let connector = Arc::clone(&authenticated.connector);
        let response = match handler? {
            Handler::Anyone(handler) => {
                let has_feeds = !connector.record.feeds.is_empty();
                let schemas = connector.schemas(&self.schemas);
                let shown = (schemes(&connector, api.scope, now), schemas, has_feeds);
                handler(self.public_call(request, api, path, &connector.id, shown))
            }
            Handler::Client(handler) => {
                let by = By::Client(authenticated.credential.clone());
                let actor = Actor { by, request: request.id.clone() };
                let base_url = self.base_url(&request, api, &connector.id);
                let directory =
                    Directory::new(table.clone(), Arc::clone(&connector), &self.schemas, now, actor);
                let (path, notes) = (path.to_vec(), Arc::clone(notes));
                handler(Arc::new(Call { request, api, path, directory, connector, base_url, now, notes }))
            }
            Handler::OfConnector(_) | Handler::Token(_) | Handler::ByRoute(_) => {
                return Err(ScimError::internal("a route has no handler of its own"));
            }
        };
        // At the same time as the handler runs.
        let (response, ()) = tokio::join!(response, authenticator.record_use(&table, &authenticated, now));
        response
    }

    fn public_call(
        &self,
        request: Request,
        api: Api,
        path: &[String],
        connector: &ConnectorId,
        (schemes, schemas, has_feeds): (Schemes, Arc<Schemas>, bool),
    ) -> PublicCall {
        let base_url = self.base_url(&request, api, connector);
        let issuer = self.issuer(&request, connector);
        PublicCall { request, path: path.to_vec(), schemas, schemes, has_feeds, base_url, issuer }
    }

    /// The URL of a connector, which is the issuer of its access tokens.
    fn issuer(&self, request: &Request, connector: impl std::fmt::Display) -> String {
        format!("{}/{connector}", self.public_url.as_ref().unwrap_or(&request.origin))
    }

    fn base_url(&self, request: &Request, api: Api, connector: &ConnectorId) -> String {
        api.url(self.public_url.as_ref().unwrap_or(&request.origin), connector)
    }
}

/// Writes the log line of a request.
fn log(Seen { id, method, path, .. }: &Seen, response: &Response, ms: u64) {
    let (path, status) = (format!("/{}", path.join("/")), response.status().as_u16());
    match response.extensions().get::<Plan>() {
        Some(Plan(plan)) => tracing::info!(%method, path, status, ms, id, plan),
        None => tracing::info!(%method, path, status, ms, id),
    }
}

fn unknown_connector() -> ScimError {
    ScimError::new(ErrorKind::NotFound, "There is no connector of this name")
}

/// Rejects a body that is too long, has a media type other than JSON, or is compressed.
fn check_body(request: &Request) -> Result<(), ScimError> {
    if request.body.len() > MAX_BODY_BYTES {
        let detail = format!("Request body is {} bytes; the maximum is {MAX_BODY_BYTES}", request.body.len());
        return Err(ScimError::new(ErrorKind::PayloadTooLarge, detail));
    }
    check_media_type(request)?;
    check_encoding(request)
}

/// Rejects a body that has a media type other than JSON (RFC 7644 §3.1).
fn check_media_type(request: &Request) -> Result<(), ScimError> {
    let media_type = request.header("content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = accepts_a_missing_content_type(&media_type)
        || accepts_plain_json(&media_type)
        || media_type == response::MEDIA_TYPE;
    if request.body.is_empty() || is_json {
        return Ok(());
    }
    let detail = format!("Content-Type is {media_type}; send {}", response::MEDIA_TYPE);
    Err(ScimError::new(ErrorKind::UnsupportedMediaType, detail))
}

/// Rejects a compressed body (RFC 9110 §15.5.16): its size after decompression is not known.
fn check_encoding(request: &Request) -> Result<(), ScimError> {
    let encoding = request.header("content-encoding").unwrap_or_default();
    if request.body.is_empty() || encoding.is_empty() || encoding.eq_ignore_ascii_case("identity") {
        return Ok(());
    }
    let detail = format!("Content-Encoding is {encoding}; send the body without compression");
    Err(ScimError::new(ErrorKind::UnsupportedMediaType, detail))
}

/// Okta's specification test, Google and others send `application/json`.
fn accepts_plain_json(media_type: &str) -> bool {
    media_type == "application/json"
}

/// Some clients send no Content-Type.
fn accepts_a_missing_content_type(media_type: &str) -> bool {
    media_type.is_empty()
}

/// The response for an error, in the form of its API. A 405 lists the methods of its path, but not the one
/// that was refused: a connector can refuse a method that has a route.
fn error_response(error: &ScimError, location: Option<Location>, method: &Method, id: &str) -> Response {
    let api = location.map_or(SCIM, |location| location.api);
    let response = match api.error_format {
        ErrorFormat::Scim => response::error(error),
        ErrorFormat::Problem => problem::error(error, api, id),
        ErrorFormat::Events => events::error::response(error, api),
        ErrorFormat::Oauth => oauth::error::response(error, api),
    };
    match location {
        Some(Location { api, path, .. }) if error.kind == ErrorKind::MethodNotAllowed => {
            let mut methods = routes::methods(api, path);
            methods.retain(|other| *other != method.as_str());
            response::with_allow(response, &methods)
        }
        _ => response,
    }
}

/// Whether Lambda cannot carry this response. Only the response to a read can be: a write leaves out what is
/// too large.
fn is_too_large(response: &Response) -> bool {
    let (_, length) = packed(response.body(), !response.headers().contains_key(CONTENT_ENCODING));
    length > MAX_RESPONSE_BYTES && response.status() == StatusCode::OK
}

fn log_failure(id: &str, error: &ScimError) {
    match &error.cause {
        Some(cause) => tracing::error!(id, %error, cause = chain(cause.as_ref())),
        None => tracing::debug!(id, %error),
    }
}
