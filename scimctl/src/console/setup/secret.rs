//! The page that shows a new secret once: the second step of the wizard, and what follows a rotation.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use directory::connectors::Connector;
use http::StatusCode;
use maud::{Markup, html};
use shared::credential::CredentialScope;

use super::Step;
use crate::connector::credentials::user_of;
use crate::console::Console;
use crate::console::page::{Part, Section, Tone, copyable, facts, notice};
use crate::console::problem::Problem;
use crate::console::shown_once::NewSecret;

/// The pages.
pub fn routes() -> Router<Console> {
    Router::new()
        .route("/connectors/{connector}/setup/secret/{ticket}", get(show_in_wizard))
        .route("/connectors/{connector}/secret/{ticket}", get(show_alone))
}

async fn show_in_wizard(
    State(console): State<Console>,
    Path((id, ticket)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (connector, secret) = take(&console, &id, &ticket).await?;
    let next = html! {
        div class="actions" {
            a class="button" href={ (Part::Overview.path(&connector.id)) "/setup/rules" } { "Continue: users and groups" }
            a href={ (Part::Overview.path(&connector.id)) "/setup/done" } { "Skip to what to enter in the identity provider" }
        }
    };
    Ok(page(&console, &connector, secret, &Step::Credential.list(), &next))
}

async fn show_alone(
    State(console): State<Console>,
    Path((id, ticket)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (connector, secret) = take(&console, &id, &ticket).await?;
    let next = html! {
        div class="actions" { a class="button" href=(Part::Overview.path(&connector.id)) { "I have stored it" } }
    };
    Ok(page(&console, &connector, secret, &html! {}, &next))
}

async fn take(console: &Console, id: &str, ticket: &str) -> Result<(Connector, Option<NewSecret>), Problem> {
    console.require_write()?;
    let connector = console.connector(&console.context(), id).await?;
    Ok((connector, console.secrets().take(id, ticket)))
}

fn page(
    console: &Console,
    connector: &Connector,
    secret: Option<NewSecret>,
    steps: &Markup,
    next: &Markup,
) -> Response {
    let is_shown = secret.is_some();
    let content = html! {
        (steps)
        @if let Some(NewSecret { new, .. }) = &secret {
            (notice(Tone::Warning, html! {
                p { "This page shows the secret only now. Store it before you leave the page." }
            }))
            (credential_facts(console, connector, new))
        } @else {
            p { "The secret was shown before, and is not stored anywhere. If you do not have it, add another credential." }
            p { a href={ (Part::Overview.path(&connector.id)) "/rotate" } { "Add another credential" } }
        }
        (next)
    };
    let mut response = console.page("New credential", Section::Of(&connector.id, Part::Overview), content);
    if !is_shown {
        *response.status_mut() = StatusCode::GONE;
    }
    response
}

fn credential_facts(
    console: &Console,
    connector: &Connector,
    new: &crate::connector::new_credential::NewCredential,
) -> Markup {
    let scope = new.credential.scope;
    let url = console.service_url().api_url(&connector.id.to_string(), scope);
    let label = if scope == CredentialScope::Scim { "Endpoint URL" } else { "URL of the directory API" };
    let mut lines = vec![(label, copyable("the URL", &url))];
    match &new.username {
        Some(username) => {
            lines.push(("Username", copyable("the username", username)));
            lines.push(("Password", copyable("the password", &new.secret)));
        }
        None => lines.push(("Token", copyable("the token", &new.secret))),
    }
    lines.push(("Id of the credential", html! { code { (new.credential.id) } }));
    html! {
        (facts(lines))
        p { "It works at once. Enter it in the " (user_of(scope)) "." }
    }
}
