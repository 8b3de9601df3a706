//! `scimctl console`: a web page for one operator, which this process serves on loopback. It works on the table itself, with the
//! operator's own AWS rights, so a deployment has no administrative endpoint.
//!
//! `server` decides which requests it answers, `session` who may send them, `page` and `form` draw, and each section of the
//! navigation is a module with its routes. Everything works without JavaScript.

mod audit;
mod changes;
mod chart;
mod charts;
mod connectors;
mod deletions;
mod feeds;
mod form;
mod group;
mod group_edit;
mod groups;
mod health;
mod opened;
mod page;
mod policies;
mod problem;
mod requests;
mod search;
mod server;
mod session;
mod settings;
mod setup;
mod shown_once;
mod user;
mod user_edit;
mod users;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use clap::Args;
use directory::connectors::{Connector, ConnectorId};
use maud::{Markup, html};

use crate::context::Context;
use crate::failure::Failure;
use crate::service_url::{NO_URL, ServiceUrl};

use deletions::Deletions;
use page::{Section, Shell};
use problem::Problem;
use session::Session;
use shown_once::ShownOnce;

/// The options of the console.
#[derive(Args)]
pub struct Command {
    /// Also make changes. Without it, the console only shows
    #[arg(long)]
    write: bool,
    /// Port on 127.0.0.1. By default a free one
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// URL of the service: the stack's output BaseUrl
    #[arg(long, value_name = "URL", default_value = NO_URL)]
    url: String,
    /// Files for the page of policies: exports of Ranger Admin, and files or folders with Cedar policies
    #[arg(long, value_name = "PATH", num_args = 1..)]
    policies: Vec<PathBuf>,
}

impl Command {
    /// Whether the console can change what the table holds.
    pub fn is_change(&self) -> bool {
        self.write
    }
}

/// Serves the console until Ctrl-C.
pub async fn run(command: Command, context: Context) -> Result<(), Failure> {
    let Command { write, port, url, policies } = command;
    let service_url = ServiceUrl::parse(&url)?;
    let listener = server::listen(port).await?;
    let session = Session::new(listener.local_addr()?.port())?;
    let console = Console(Arc::new(State {
        context,
        session,
        is_writable: write,
        service_url: Mutex::new(service_url),
        secrets: ShownOnce::default(),
        deletions: Deletions::default(),
        policies,
    }));
    server::serve(listener, console, routes()).await
}

/// The pages of all sections. Each module has its own routes.
fn routes() -> Router<Console> {
    Router::new()
        .merge(connectors::routes())
        .merge(changes::routes())
        .merge(setup::routes())
        .merge(settings::routes())
        .merge(users::routes())
        .merge(user::routes())
        .merge(user_edit::routes())
        .merge(groups::routes())
        .merge(group::routes())
        .merge(group_edit::routes())
        .merge(requests::routes())
        .merge(audit::routes())
        .merge(charts::routes())
        .merge(feeds::routes())
        .merge(policies::routes())
}

/// What every page needs: the table, the session, and whether there are forms.
#[derive(Clone)]
pub struct Console(Arc<State>);

struct State {
    context: Context,
    session: Session,
    is_writable: bool,
    service_url: Mutex<ServiceUrl>,
    secrets: ShownOnce,
    deletions: Deletions,
    policies: Vec<PathBuf>,
}

impl Console {
    /// The table and the operator for one request: with the present time, and an id of its own in the audit trail.
    pub fn context(&self) -> Context {
        self.0.context.renewed()
    }

    /// Reads the connector of a path, even if it is being deleted.
    pub async fn connector(&self, context: &Context, id: &str) -> Result<Connector, Problem> {
        let parsed = ConnectorId::parse(id);
        let connector = match &parsed {
            Some(id) => context.table().connector(id).await?,
            None => None,
        };
        connector.ok_or_else(|| Problem::not_found(format!("There is no connector {id}.")))
    }

    /// Whether the operator can make changes.
    pub fn is_writable(&self) -> bool {
        self.0.is_writable
    }

    /// Refuses a page that makes a change if the console is read-only.
    pub fn require_write(&self) -> Result<(), Problem> {
        if self.is_writable() { Ok(()) } else { Err(Problem::read_only()) }
    }

    /// The URL of the service, which the operator entered last.
    pub fn service_url(&self) -> ServiceUrl {
        self.0.service_url.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers the URL of the service until the console ends.
    pub fn set_service_url(&self, url: ServiceUrl) {
        *self.0.service_url.lock().unwrap_or_else(PoisonError::into_inner) = url;
    }

    /// The new secrets that no page has shown yet.
    pub fn secrets(&self) -> &ShownOnce {
        &self.0.secrets
    }

    /// The deletions of connectors that run.
    pub fn deletions(&self) -> &Deletions {
        &self.0.deletions
    }

    /// The files with policies that the operator named.
    pub fn policies(&self) -> &[PathBuf] {
        &self.0.policies
    }

    fn session(&self) -> &Session {
        &self.0.session
    }

    /// Makes a whole page: the navigation, this title as heading, and this content.
    pub fn page(&self, title: &str, section: Section<'_>, content: Markup) -> axum::response::Response {
        let shell = Shell { table: self.0.context.table_name(), is_writable: self.0.is_writable };
        page::page(shell, title, section, content)
    }

    /// Makes a form that posts these fields to a path. It is empty if the console is read-only, so that no page needs to ask.
    pub fn form(&self, action: &str, fields: Markup) -> Markup {
        html! {
            @if self.0.is_writable {
                form method="post" action=(action) {
                    input type="hidden" name=(form::CSRF) value=(self.session().csrf());
                    (fields)
                }
            }
        }
    }
}
