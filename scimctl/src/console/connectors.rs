//! The list of connectors with their health, and the page of each.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use directory::connectors::Connector;
use directory::{Counted, Directory};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use maud::{Markup, html};
use shared::error::ScimError;
use shared::resource::ResourceKind;

use super::Console;
use super::form::Fields;
use super::health::Health;
use super::page::{Part, Section, Tone, badge, copyable, facts, notice, table, time, time_or};
use super::problem::Problem;
use crate::connector::credentials::{ShownCredential, read_credentials};
use crate::context::Context;
use crate::output::format_number;

/// The pages.
pub fn routes() -> Router<Console> {
    Router::new().route("/", get(list)).route("/connectors/{connector}", get(show))
}

async fn list(State(console): State<Console>) -> Result<Response, Problem> {
    let context = console.context();
    let connectors = context.table().connectors().await?;
    let healths = try_join_all(connectors.iter().map(|one| Health::read(&context, one))).await?;
    let rows = connectors.iter().zip(&healths).map(|(connector, health)| {
        vec![
            html! { a href=(Part::Overview.path(&connector.id)) { (connector.id) } },
            html! { (connector.record.name) },
            state_badge(health),
            problems(health),
            time_or(health.last_contact, "never"),
            html! { (health.errors.text()) },
            time_or(health.expires, "not soon"),
            html! { @if health.feeds.is_empty() { "no feed" } @else { (health.waiting().text()) } },
        ]
    });
    let columns = [
        "Connector",
        "Name",
        "State",
        "Health",
        "Last contact",
        "Errors, last hour",
        "Credential expires",
        "Waiting in feeds",
    ];
    let nothing = "There is no connector yet. A connector is the connection of one identity provider.";
    let content = html! {
        @if console.is_writable() {
            p class="actions" { a class="button" href="/new" { "Set up a connector" } }
        }
        (table("Connectors", &columns, rows.collect(), nothing))
        @if connectors.is_empty() && !console.is_writable() {
            p { "To set one up here, start the console with " code { "--write" } "." }
        }
        p class="soft" { "Last contact is when a credential for provisioning was last used, to the hour." }
    };
    Ok(console.page("Connectors", Section::Connectors, content))
}

fn state_badge(health: &Health) -> Markup {
    let tone = match health.state {
        "enabled" => Tone::Good,
        "deleting" => Tone::Bad,
        _ => Tone::Warning,
    };
    badge(tone, health.state)
}

fn problems(health: &Health) -> Markup {
    html! {
        @if health.problems.is_empty() { (badge(Tone::Good, "no problem found")) }
        @for (position, (tone, problem)) in health.problems.iter().enumerate() {
            @if position > 0 { " " }
            (badge(*tone, problem))
        }
    }
}

async fn show(
    State(console): State<Console>,
    Path(id): Path<String>,
    query: Fields,
) -> Result<Response, Problem> {
    let context = console.context();
    let connector = console.connector(&context, &id).await?;
    let health = Health::read(&context, &connector).await?;
    let credentials = read_credentials(&context, &connector).await?;
    let directory = context.directory_with_deadline(connector.clone());
    let sizes = Sizes::read(&directory).await?;
    let content = html! {
        @if let Some(sentence) = done(query.get("done")) { (notice(Tone::Good, html! { p { (sentence) } })) }
        (deletion(&console, &connector))
        p { (state_badge(&health)) " " (problems(&health)) }
        (facts([
            ("Endpoint URL", endpoint(&console, &connector)),
            ("Name", html! { (connector.record.name) }),
            ("Created", time(connector.record.created)),
            ("Last contact", html! { (time_or(health.last_contact, "never")) }),
            ("Errors, last hour", html! { a href=(Part::Requests.path(&connector.id)) { (health.errors.text()) } }),
            ("Users", html! { (sizes.users) " (" (sizes.inactive) " deactivated)" }),
            ("Groups", html! { (sizes.groups) " of the identity provider, " (sizes.local_groups) " local" }),
            ("Roles", html! { (sizes.roles) }),
        ]))
        h2 id="credentials" { "Credentials" }
        (credential_table(&console, &context, &connector, &credentials))
        h2 id="feeds" { "Feeds" }
        (feed_table(&connector, &health))
        @if console.is_writable() { (actions(&connector)) }
    };
    Ok(console.page(&id, Section::Of(&connector.id, Part::Overview), content))
}

/// What a change says on the page that follows it.
fn done(change: &str) -> Option<&'static str> {
    Some(match change {
        "disabled" => "The connector is disabled. All functions refuse its requests within a minute.",
        "enabled" => "The connector is enabled. All functions serve its requests within a minute.",
        "retired" => "The credential is retired. All functions refuse it within a minute.",
        "deleting" => "The deletion has begun.",
        _ => return None,
    })
}

/// How far a deletion is.
fn deletion(console: &Console, connector: &Connector) -> Markup {
    html! {
        @if connector.record.is_deleting {
            @let progress = console.deletions().progress(&connector.id);
            (notice(Tone::Warning, html! {
                @if let Some(progress) = progress {
                    p { (progress) " Leave the console running. Load this page again to see how far it is." }
                } @else {
                    p {
                        "The deletion of this connector was interrupted. "
                        @if console.is_writable() {
                            a href={ (Part::Overview.path(&connector.id)) "/delete" } { "Continue it" } ", or run "
                        } @else { "Run " }
                        code { "scimctl connector delete " (connector.id) } "."
                    }
                }
            }))
        }
    }
}

/// The endpoint URL of a connector, and what to do if the console does not know the service.
pub fn endpoint(console: &Console, connector: &Connector) -> Markup {
    let service = console.service_url();
    let url = service.endpoint(&connector.id.to_string());
    html! {
        (copyable("the endpoint URL", &url))
        @if service.is_missing() {
            p class="hint" {
                "Replace " code { (service.text()) } " with the URL of the service, or start the console with " code { "--url" } "."
            }
        }
    }
}

/// The numbers of resources.
struct Sizes {
    users: String,
    inactive: String,
    groups: String,
    local_groups: String,
    roles: String,
}

impl Sizes {
    async fn read(directory: &Directory) -> Result<Self, ScimError> {
        let total = async |kind, counted| {
            Ok::<_, ScimError>(format_number(directory.histogram(kind, counted).await?.total()))
        };
        let (users, inactive, groups, local_groups, roles) = tokio::try_join!(
            total(ResourceKind::User, Counted::All),
            total(ResourceKind::User, Counted::Inactive),
            total(ResourceKind::Group, Counted::All),
            total(ResourceKind::LocalGroup, Counted::All),
            total(ResourceKind::Role, Counted::All),
        )?;
        Ok(Self { users, inactive, groups, local_groups, roles })
    }
}

fn credential_table(
    console: &Console,
    context: &Context,
    connector: &Connector,
    credentials: &[ShownCredential],
) -> Markup {
    let is_expired = |expires: Timestamp| expires <= context.now;
    let rows = credentials.iter().map(|one| {
        let mut row = vec![
            html! { code { (one.id) } },
            html! { (one.scope) },
            html! { (one.scheme) },
            html! { (one.username.as_ref().or(one.client_id.as_ref()).map_or("–", String::as_str)) },
            time(one.created),
            html! {
                (time_or(one.expires, "never"))
                @if one.expires.is_some_and(is_expired) { " " (badge(Tone::Bad, "expired")) }
            },
            time_or(one.last_used, "never"),
        ];
        if console.is_writable() {
            let path = format!("{}/credentials/{}/retire", Part::Overview.path(&connector.id), one.id);
            row.push(html! { a href=(path) { "Retire" span class="hidden" { " credential " (one.id) } } });
        }
        row
    });
    let mut columns =
        vec!["Credential", "Scope", "Scheme", "Username or client", "Created", "Expires", "Last used"];
    if console.is_writable() {
        columns.push("Change");
    }
    let nothing = "The connector has no credential, so nobody can use it.";
    table("Credentials, without their secrets", &columns, rows.collect(), nothing)
}

fn feed_table(connector: &Connector, health: &Health) -> Markup {
    let rows = health.feeds.iter().map(|info| {
        let (tone, state) = match &info.feed {
            feed if feed.is_paused() => (Tone::Warning, "paused"),
            feed if feed.failures > 0 => (Tone::Bad, "retrying"),
            feed if feed.marking.is_some() => (Tone::Plain, "marking"),
            _ => (Tone::Good, "active"),
        };
        let waiting = super::health::Counted::up_to_limit(info.waiting);
        vec![
            html! { a href={ (Part::Feeds.path(&connector.id)) "/" (info.feed.id) } { (info.feed.id) } },
            badge(tone, state),
            html! { (waiting.text()) },
            time_or(info.oldest, "–"),
            html! {
                @if let Some((at, error)) = &info.feed.last_error { (time(*at)) ": " (error) } @else { "none" }
            },
        ]
    });
    let nothing = "No application follows the changes of this connector.";
    table("Feeds", &["Feed", "State", "Changes waiting", "Oldest", "Last error"], rows.collect(), nothing)
}

fn actions(connector: &Connector) -> Markup {
    let path = Part::Overview.path(&connector.id);
    html! {
        h2 id="changes" { "Changes" }
        ul {
            @if !connector.record.is_deleting {
                li { a href={ (path) "/rotate" } { "Rotate the credential" } }
                li { a href=(Part::Settings.path(&connector.id)) { "Change the settings" } }
                li { a href={ (path) "/setup/done" } { "Show what to enter in the identity provider" } }
                @if connector.record.disabled.is_some() {
                    li { a href={ (path) "/enable" } { "Enable the connector" } }
                } @else {
                    li { a href={ (path) "/disable" } { "Disable the connector" } }
                }
            }
            li { a href={ (path) "/delete" } { "Delete the connector" } }
        }
    }
}
