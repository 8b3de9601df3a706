//! From a request to its answer: who asks, which handler, what goes into the log.

use std::sync::Arc;

use directory::Table;
use directory::connectors::Connector;
use directory::{Actor, By, Directory};
use futures_util::future::BoxFuture;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{Method, StatusCode};
use jiff::{Timestamp, Unit};
use shared::entity_tags::EntityTags;
use shared::error::{ErrorKind, ScimError, chain};
use shared::resource::ResourceId;
use shared::schema::Schemas;
use tokio::time::Instant;

use crate::authentication::{Admitted, Authenticator};
use crate::request::Request;
use crate::response::{self, MAX_RESPONSE_BYTES, Plan, Response, packed};

/// The largest body that is read, in bytes: what Lambda hands to a function.
pub const MAX_BODY_BYTES: usize = 6 * 1024 * 1024;

/// All that requests have in common.
#[derive(Debug)]
pub struct Service {
    table: Table,
    public_url: Option<String>,
    schemas: &'static Schemas,
    now: fn() -> Timestamp,
    authenticator: Authenticator,
}

/// One request of a connector that was let in.
#[derive(Debug)]
pub struct Call {
    /// The request.
    pub request: Request,
    /// The path behind `/{connector}/scim/v2`.
    pub path: Vec<String>,
    /// The connector's users and groups.
    pub directory: Directory,
    /// The connector.
    pub connector: Arc<Connector>,
    /// The endpoint URL: `https://HOST/{connector}/scim/v2`.
    pub base_url: String,
    /// The time of the request.
    pub now: Timestamp,
}

/// What answers one route.
pub type Handler = fn(Arc<Call>) -> BoxFuture<'static, Result<Response, ScimError>>;

impl Service {
    /// A service over this table.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(
        table: Table,
        public_url: Option<String>,
        schemas: &'static Schemas,
        now: fn() -> Timestamp,
    ) -> Result<Self, ScimError> {
        let authenticator = Authenticator::new()?;
        Ok(Self { table, public_url, schemas, now, authenticator })
    }

    /// Answers a request. Nothing that goes wrong goes further than this.
    pub async fn answer(&self, request: Request, handler: Handler) -> Response {
        let began = Instant::now();
        let (id, method) = (request.id.clone(), request.method.clone());
        let path = format!("/{}", request.path.join("/"));
        let accepts_gzip = request.accepts_gzip();
        let response = match self.call(request, handler).await {
            Ok(response) => response,
            Err(error) => {
                log_failure(&id, &error);
                response::error(&error)
            }
        };
        let mut response = fit(response::compress(response, accepts_gzip));
        if method == Method::HEAD {
            // RFC 9110 §9.3.2: what a GET would be answered with, but for the body.
            let length = response.body().len();
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
            response.body_mut().clear();
        }
        let status = response.status().as_u16();
        // JSON numbers, in the log too, are of 64 bits.
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match response.extensions().get::<Plan>() {
            Some(Plan(plan)) => tracing::info!(%method, path, status, ms, id, plan),
            None => tracing::info!(%method, path, status, ms, id),
        }
        response
    }

    async fn call(&self, request: Request, handler: Handler) -> Result<Response, ScimError> {
        let Some((connector, path)) = endpoint(&request.path) else {
            return Err(ScimError::new(
                ErrorKind::NotFound,
                "There is nothing here; an endpoint URL looks like https://HOST/CONNECTOR/scim/v2",
            ));
        };
        let table = self.table.until(request.deadline);
        let now = (self.now)();
        let admitted = self.authenticator.authenticate(&table, connector, &request, now).await?;
        let connector = Arc::clone(&admitted.connector);
        if request.body.len() > MAX_BODY_BYTES {
            let detail = format!("The body is {} bytes, and may be {MAX_BODY_BYTES}", request.body.len());
            return Err(ScimError::new(ErrorKind::PayloadTooLarge, detail));
        }
        check_media_type(&request)?;
        let origin = self.public_url.as_ref().unwrap_or(&request.origin);
        let base_url = format!("{origin}/{}/scim/v2", connector.id);
        // Milliseconds are what clients compare, and what other service providers answer.
        let now = now.round(Unit::Millisecond).unwrap_or(now);
        let actor = Actor { by: By::Client(admitted.credential.clone()), request: request.id.clone() };
        let directory = Directory::new(table.clone(), Arc::clone(&connector), self.schemas, now, actor);
        let path = path.to_vec();
        let call = Call { request, path, directory, connector, base_url, now };
        let (response, ()) = tokio::join!(handler(Arc::new(call)), note_use(&table, &admitted, now));
        response
    }
}

impl Call {
    /// The id in the path, when it can be one.
    ///
    /// # Errors
    /// 404 when it cannot.
    pub fn id(&self) -> Result<ResourceId, ScimError> {
        let id = self.path.get(1).map(String::as_str).unwrap_or_default();
        ResourceId::parse(id).ok_or_else(|| ScimError::not_found(id))
    }

    /// The versions that the resource must be at (RFC 7644 §3.14).
    pub fn if_match(&self) -> Option<EntityTags> {
        self.request.list("if-match").as_deref().map(EntityTags::parse)
    }

    /// The versions that the client has already (RFC 7644 §3.14).
    pub fn if_none_match(&self) -> Option<EntityTags> {
        self.request.list("if-none-match").as_deref().map(EntityTags::parse)
    }
}

/// Notes that a credential was used, beside the work. Nobody waits for it twice, and no request fails for it.
async fn note_use(table: &Table, admitted: &Admitted, now: Timestamp) {
    if !admitted.is_to_be_noted {
        return;
    }
    if let Err(error) = table.record_use(&admitted.connector.id, &admitted.credential, now).await {
        tracing::warn!(%error, "the use of a credential was not noted");
    }
}

/// The connector and the path behind its endpoint URL.
fn endpoint(path: &[String]) -> Option<(&str, &[String])> {
    let [connector, scim, version, rest @ ..] = path else { return None };
    (scim == "scim" && version == "v2").then_some((connector, rest))
}

/// A body is JSON whatever it is called, so long as it is not called something else (RFC 7644 §3.1).
fn check_media_type(request: &Request) -> Result<(), ScimError> {
    let media_type = request.header("content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = accepts_a_missing_content_type(&media_type)
        || accepts_plain_json(&media_type)
        || media_type == response::MEDIA_TYPE;
    if request.body.is_empty() || is_json {
        return Ok(());
    }
    let detail = format!("The body is {media_type}, and must be {}", response::MEDIA_TYPE);
    Err(ScimError::new(ErrorKind::UnsupportedMediaType, detail))
}

/// Okta's specification test, Google and others send `application/json`.
fn accepts_plain_json(media_type: &str) -> bool {
    media_type == "application/json"
}

/// Some clients send none.
fn accepts_a_missing_content_type(media_type: &str) -> bool {
    media_type.is_empty()
}

/// An answer that could not leave a function is replaced by one that says what to do.
fn fit(response: Response) -> Response {
    let (_, length) = packed(response.body(), !response.headers().contains_key(CONTENT_ENCODING));
    if length <= MAX_RESPONSE_BYTES || response.status() != StatusCode::OK {
        return response;
    }
    response::error(&directory::too_large())
}

fn log_failure(id: &str, error: &ScimError) {
    match &error.cause {
        Some(cause) => tracing::error!(id, %error, cause = chain(cause.as_ref())),
        None => tracing::debug!(id, %error),
    }
}
