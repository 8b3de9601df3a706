//! Changes of a connector that need its name as a confirmation: rotate, retire, disable, enable, delete. They call the same operations
//! as the commands, so the audit trail is the same.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use directory::connectors::Connector;
use http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};
use shared::credential::{Credential, CredentialScope};

use super::Console;
use super::form::{Errors, Field, Fields, check_confirmation, confirmation};
use super::page::{Part, Section, Tone, notice, redirect};
use super::problem::Problem;
use super::shown_once::NewSecret;
use crate::connector::credentials::{last_of_scope, user_of, username};
use crate::connector::new_credential::{CredentialOptions, NewCredential};
use crate::context::Context;

/// The pages.
pub fn routes() -> Router<Console> {
    Router::new()
        .route("/connectors/{connector}/rotate", get(ask_to_rotate).post(rotate))
        .route("/connectors/{connector}/credentials/{credential}/retire", get(ask_to_retire).post(retire))
        .route("/connectors/{connector}/disable", get(ask_to_disable).post(disable))
        .route("/connectors/{connector}/enable", get(ask_to_enable).post(enable))
        .route("/connectors/{connector}/delete", get(ask_to_delete).post(delete))
}

/// One change: what it is called, what it does, and its own fields.
struct Change<'c> {
    title: String,
    path: String,
    explanation: Markup,
    fields: Markup,
    button: &'c str,
    is_dangerous: bool,
}

/// The page that explains a change and asks for the confirmation. With errors, it has the status 422.
fn ask(console: &Console, connector: &Connector, change: Change<'_>, errors: &Errors) -> Response {
    let Change { title, path, explanation, fields, button, is_dangerous } = change;
    let class = if is_dangerous { "danger" } else { "" };
    let form = html! {
        (fields)
        (confirmation("the name of the connector", &connector.id.to_string(), errors))
        div class="actions" {
            button type="submit" class=(class) { (button) }
            a href=(Part::Overview.path(&connector.id)) { "Cancel" }
        }
    };
    let content = html! {
        (errors.summary())
        (explanation)
        (console.form(&path, form))
    };
    let mut response = console.page(&title, Section::Of(&connector.id, Part::Overview), content);
    if !errors.is_empty() {
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    response
}

/// Reads the connector for a page that changes it.
async fn open(console: &Console, id: &str) -> Result<(Context, Connector), Problem> {
    console.require_write()?;
    let context = console.context();
    let connector = console.connector(&context, id).await?;
    Ok((context, connector))
}

/// The page of a connector, with a note on what was done.
fn done(connector: &Connector, change: &str) -> Response {
    redirect(&format!("{}?done={change}", Part::Overview.path(&connector.id)))
}

async fn ask_to_rotate(State(console): State<Console>, Path(id): Path<String>) -> Result<Response, Problem> {
    let (context, connector) = open(&console, &id).await?;
    let present = username(&context, &connector, CredentialScope::Scim, &CredentialOptions::default());
    let kind = if present.is_some() { "password" } else { "token" };
    let page = rotation(&console, &connector, ("scim", kind), &Errors::default());
    Ok(page)
}

fn rotation(
    console: &Console,
    connector: &Connector,
    (scope, kind): (&str, &str),
    errors: &Errors,
) -> Response {
    let scopes = [
        ("scim", "The identity provider, which provisions users and groups"),
        ("directory", "An application, which reads the directory"),
    ];
    let kinds = [("password", "Username and password (Basic)"), ("token", "Token (Bearer)")];
    let change = Change {
        title: format!("Rotate the credential of {}", connector.id),
        path: format!("{}/rotate", Part::Overview.path(&connector.id)),
        explanation: html! {
            ul {
                li { "A new credential with a new secret is added. It works at once. The secret is shown once." }
                li { "The present credential stays valid until you retire it. So there is no outage." }
                li { "Enter the new secret where the old one is used. When the new credential was used, retire the old one." }
            }
        },
        fields: html! {
            (Field { name: "scope", label: "Who uses it", hint: "", value: scope }.radios(&scopes, errors))
            (Field { name: "kind", label: "Kind", hint: "", value: kind }.radios(&kinds, errors))
        },
        button: "Add the credential",
        is_dangerous: false,
    };
    ask(console, connector, change, errors)
}

async fn rotate(
    State(console): State<Console>,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    let (context, connector) = open(&console, &id).await?;
    let (scope, kind) = (fields.get("scope"), fields.get("kind"));
    let mut errors = check_confirmation(&fields, &id).err().unwrap_or_default();
    let scope_of_name =
        [CredentialScope::Scim, CredentialScope::Directory].into_iter().find(|one| one.name() == scope);
    if scope_of_name.is_none() {
        errors.add("scope", "Choose who uses the credential");
    }
    if !["password", "token"].contains(&kind) {
        errors.add("kind", "Choose a kind");
    }
    let Some(scope) = scope_of_name.filter(|_| errors.is_empty()) else {
        return Ok(rotation(&console, &connector, (scope, kind), &errors));
    };
    let options = CredentialOptions { bearer: kind == "token", ..CredentialOptions::default() };
    let username = username(&context, &connector, scope, &options)
        .or_else(|| (!options.bearer).then(|| connector.id.to_string()));
    let NewCredential { credential, username, secret } =
        NewCredential::create(username, &options, context.now)?;
    let credential = Credential { expires: None, ..credential.with_scope(scope) };
    context.connectors().add_credential(&connector.id, &credential).await?;
    let new = NewCredential { credential, username, secret };
    let ticket = console.secrets().keep(NewSecret { connector: id, new })?;
    Ok(redirect(&format!("{}/secret/{ticket}", Part::Overview.path(&connector.id))))
}

async fn ask_to_retire(
    State(console): State<Console>,
    Path((id, credential)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (context, connector) = open(&console, &id).await?;
    retirement(&console, &context, &connector, &credential, &Errors::default())
}

fn retirement(
    console: &Console,
    context: &Context,
    connector: &Connector,
    credential: &str,
    errors: &Errors,
) -> Result<Response, Problem> {
    let Some(known) = connector.credentials.iter().find(|one| one.id == credential) else {
        let detail = format!("Connector {} has no credential {credential}.", connector.id);
        return Err(Problem::not_found(detail));
    };
    let last = last_of_scope(connector, credential, context.now);
    let change = Change {
        title: format!("Retire credential {credential}"),
        path: format!("{}/credentials/{credential}/retire", Part::Overview.path(&connector.id)),
        explanation: html! {
            ul {
                li { "The credential is deleted. All functions refuse it within a minute: the " (user_of(known.scope)) " gets 401." }
                li { "It cannot be restored. You can add another one at any time." }
            }
            @if let Some(scope) = last {
                (notice(Tone::Warning, html! {
                    p {
                        "This is the last valid credential with the scope " (scope.name()) ". Without another one, the "
                        (user_of(scope)) " cannot connect."
                    }
                }))
            }
        },
        fields: html! {},
        button: "Retire the credential",
        is_dangerous: true,
    };
    Ok(ask(console, connector, change, errors))
}

async fn retire(
    State(console): State<Console>,
    Path((id, credential)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response, Problem> {
    let (context, connector) = open(&console, &id).await?;
    if let Err(errors) = check_confirmation(&fields, &id) {
        return retirement(&console, &context, &connector, &credential, &errors);
    }
    context.connectors().retire_credential(&connector.id, &credential).await?;
    Ok(done(&connector, "retired"))
}

async fn ask_to_disable(State(console): State<Console>, Path(id): Path<String>) -> Result<Response, Problem> {
    let (_, connector) = open(&console, &id).await?;
    Ok(disabling(&console, &connector, &Errors::default()))
}

fn disabling(console: &Console, connector: &Connector, errors: &Errors) -> Response {
    let change = Change {
        title: format!("Disable {}", connector.id),
        path: format!("{}/disable", Part::Overview.path(&connector.id)),
        explanation: html! {
            ul {
                li { "Every request of the connector gets 403, from the identity provider and from applications, within a minute." }
                li { "Nothing is deleted. Users and groups stay as they are." }
                li { "Identity providers may report errors, and some stop provisioning after a time." }
            }
        },
        fields: html! {},
        button: "Disable the connector",
        is_dangerous: true,
    };
    ask(console, connector, change, errors)
}

async fn disable(
    State(console): State<Console>,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    let (context, connector) = open(&console, &id).await?;
    if let Err(errors) = check_confirmation(&fields, &id) {
        return Ok(disabling(&console, &connector, &errors));
    }
    context.connectors().disable(&connector.id).await?;
    Ok(done(&connector, "disabled"))
}

async fn ask_to_enable(State(console): State<Console>, Path(id): Path<String>) -> Result<Response, Problem> {
    let (_, connector) = open(&console, &id).await?;
    Ok(enabling(&console, &connector, &Errors::default()))
}

fn enabling(console: &Console, connector: &Connector, errors: &Errors) -> Response {
    let change = Change {
        title: format!("Enable {}", connector.id),
        path: format!("{}/enable", Part::Overview.path(&connector.id)),
        explanation: html! { p { "All functions serve the requests of the connector again, within a minute." } },
        fields: html! {},
        button: "Enable the connector",
        is_dangerous: false,
    };
    ask(console, connector, change, errors)
}

async fn enable(
    State(console): State<Console>,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    let (context, connector) = open(&console, &id).await?;
    if let Err(errors) = check_confirmation(&fields, &id) {
        return Ok(enabling(&console, &connector, &errors));
    }
    context.connectors().enable(&connector.id).await?;
    Ok(done(&connector, "enabled"))
}

async fn ask_to_delete(State(console): State<Console>, Path(id): Path<String>) -> Result<Response, Problem> {
    let (_, connector) = open(&console, &id).await?;
    Ok(deleting(&console, &connector, &Errors::default()))
}

fn deleting(console: &Console, connector: &Connector, errors: &Errors) -> Response {
    let change = Change {
        title: format!("Delete {}", connector.id),
        path: format!("{}/delete", Part::Overview.path(&connector.id)),
        explanation: html! {
            ul {
                li { "All users, groups and roles of the connector are deleted, with its credentials and settings." }
                li { "Its requests are refused at once. After two and a half minutes, when all functions know that, the deletion begins." }
                li { "It cannot be undone. Audit records stay until they expire." }
                li { "Leave the console running until it is complete." }
            }
        },
        fields: html! {},
        button: "Delete the connector",
        is_dangerous: true,
    };
    ask(console, connector, change, errors)
}

async fn delete(
    State(console): State<Console>,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    let (context, connector) = open(&console, &id).await?;
    if let Err(errors) = check_confirmation(&fields, &id) {
        return Ok(deleting(&console, &connector, &errors));
    }
    let begun = context.connectors().begin_deletion(&connector.id, Timestamp::now()).await?;
    console.deletions().run(&console, begun);
    Ok(done(&connector, "deleting"))
}
