//! The start page at `/`, the health of DynamoDB at `/health`, metrics at `/metrics`, and the documents that the start page links to. They require no
//! credentials, so they show no secrets.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use directory::connectors::{Connector, ConnectorId};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::error::{ScimError, chain};
use shared::resource::ResourceKind;
use shared::schema::Schemas;

use directory::{Actor, By, Counted, Directory, Measured, Table};
use tokio::time::Instant;

use crate::credentials::CONNECTOR;
use crate::metrics::Counters;

/// The longest time that DynamoDB may take before it counts as unavailable.
const TIME_FOR_DYNAMODB: Duration = Duration::from_secs(2);

const TEMPLATE: &str = include_str!("start_page.html");

/// The documents that the start page links to, by their paths.
const DOCUMENTS: [(&str, &str); 2] = [
    ("/README.md", include_str!("../../README.md")),
    ("/ARCHITECTURE.md", include_str!("../../ARCHITECTURE.md")),
];

/// The start page of one service.
#[derive(Clone, Debug)]
pub struct StartPage {
    table: Table,
    endpoint_url: String,
    counters: Option<Arc<Counters>>,
}

/// The number of users and groups of the connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    users: usize,
    inactive: usize,
    groups: usize,
}

impl StartPage {
    /// The start page of the service over this table.
    pub fn new(table: Table, endpoint_url: String) -> Self {
        Self { table, endpoint_url, counters: None }
    }

    /// Also shows these counters at `/metrics`. With `None` there is no such page.
    #[must_use]
    pub fn with_counters(self, counters: Option<Arc<Counters>>) -> Self {
        Self { counters, ..self }
    }

    /// Answers GET for the paths of this module; `None` for any other path.
    pub async fn answer(&self, path: &str) -> Option<Response<Body>> {
        match path {
            "/" => Some(self.page().await),
            "/health" => Some(self.health().await),
            "/metrics" => Some(self.metrics(self.counters.as_ref()?).await),
            _ => {
                let (_, text) = DOCUMENTS.iter().find(|(document, _)| *document == path)?;
                Some(response(StatusCode::OK, "text/plain; charset=utf-8", (*text).to_owned()))
            }
        }
    }

    async fn page(&self) -> Response<Body> {
        let page = render(&self.endpoint_url, self.counts().await);
        response(StatusCode::OK, "text/html; charset=utf-8", page)
    }

    async fn health(&self) -> Response<Body> {
        let (status, body) = health(self.connector(&self.table()).await.map(|_| ()));
        response(status, "application/json", body.to_string())
    }

    /// The metrics. If DynamoDB does not respond, those of the connectors' health are missing.
    async fn metrics(&self, counters: &Counters) -> Response<Body> {
        let now = Timestamp::now();
        let health = self.table().connector_health(now).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the health of the connectors could not be measured");
            Measured::default()
        });
        let page = counters.render(&health.connectors, now);
        response(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", page)
    }

    fn table(&self) -> Table {
        self.table.until(Instant::now() + TIME_FOR_DYNAMODB)
    }

    /// Reads the connector.
    ///
    /// # Errors
    /// A sentence for the user if DynamoDB does not respond.
    async fn connector(&self, table: &Table) -> Result<Option<Connector>, String> {
        let id = ConnectorId::parse(CONNECTOR).ok_or("the connector has no name")?;
        table.connector(&id).await.map_err(|error| reason(&error))
    }

    /// Counts the users and groups of the connector; none if it is missing.
    ///
    /// # Errors
    /// A sentence for the user if DynamoDB does not respond.
    async fn counts(&self) -> Result<Counts, String> {
        let table = self.table();
        let Some(connector) = self.connector(&table).await? else {
            return Ok(Counts { users: 0, inactive: 0, groups: 0 });
        };
        let actor = Actor { by: By::Reader, request: "start page".to_owned() };
        let directory =
            Directory::new(table, Arc::new(connector), Schemas::built_in(), Timestamp::now(), actor);
        let count = async |kind, counted| {
            directory.histogram(kind, counted).await.map(|found| found.total()).map_err(|e| reason(&e))
        };
        Ok(Counts {
            users: count(ResourceKind::User, Counted::All).await?,
            inactive: count(ResourceKind::User, Counted::Inactive).await?,
            groups: count(ResourceKind::Group, Counted::All).await?,
        })
    }
}

/// Why DynamoDB does not respond.
fn reason(error: &ScimError) -> String {
    match &error.cause {
        Some(cause) => format!("DynamoDB did not respond: {}", chain(cause.as_ref())),
        None => format!("DynamoDB did not respond within {} s", TIME_FOR_DYNAMODB.as_secs()),
    }
}

/// The answer of `/health`.
fn health(found: Result<(), String>) -> (StatusCode, Value) {
    match found {
        Ok(()) => (StatusCode::OK, json!({ "status": "ok" })),
        Err(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "unavailable", "reason": reason }))
        }
    }
}

/// The start page as HTML.
fn render(endpoint_url: &str, counts: Result<Counts, String>) -> String {
    let (class, health) = match &counts {
        Ok(_) => ("ok", "ok".to_owned()),
        Err(reason) => ("unavailable", escaped(reason)),
    };
    let (users, groups) = match counts {
        Ok(Counts { users, inactive: 0, groups }) => (users.to_string(), groups.to_string()),
        Ok(Counts { users, inactive, groups }) => {
            (format!("{users}, of which {inactive} deactivated"), groups.to_string())
        }
        Err(_) => ("unknown".to_owned(), "unknown".to_owned()),
    };
    TEMPLATE
        .replace("{endpoint}", &escaped(endpoint_url))
        .replace("{class}", class)
        .replace("{users}", &users)
        .replace("{groups}", &groups)
        // Last, because a reason may contain the other placeholders.
        .replace("{health}", &health)
}

/// Text as HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn response(status: StatusCode, media_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_page_shows_counts_or_the_reason_why_there_are_none() {
        let counts = |users, inactive, groups| Ok(Counts { users, inactive, groups });
        for (counts, health, users, groups) in [
            (counts(0, 0, 0), "ok", "0", "0"),
            (counts(50, 2, 8), "ok", "50, of which 2 deactivated", "8"),
            (Err("a < b & {users}".to_owned()), "a &lt; b &amp; {users}", "unknown", "unknown"),
        ] {
            let page = render("https://scim.example.com/default/scim/v2", counts);
            for expected in [
                "<code>https://scim.example.com/default/scim/v2</code>".to_owned(),
                format!(">{health}</dd>"),
                format!("<dd>{users}</dd>"),
                format!("<dd>{groups}</dd>"),
            ] {
                assert!(page.contains(&expected), "{expected} in {page}");
            }
        }
    }

    #[test]
    fn start_page_escapes_the_endpoint_url() {
        let page = render("http://\"><script>", Err(String::new()));
        assert!(page.contains("<code>http://&quot;&gt;&lt;script&gt;</code>"), "{page}");
    }

    #[test]
    fn start_page_links_to_every_document() {
        for (path, _) in DOCUMENTS {
            assert!(TEMPLATE.contains(&format!("href=\"{path}\"")), "{path}");
        }
    }
}
