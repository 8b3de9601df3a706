//! The first step: the name of the connector, and the URL of the service.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use maud::html;

use super::Step;
use crate::connector::create::{parse_new_id, store};
use crate::connector::new_credential::CredentialOptions;
use crate::console::Console;
use crate::console::form::{Errors, Field, Fields};
use crate::console::page::{Section, redirect};
use crate::console::problem::Problem;
use crate::console::shown_once::NewSecret;
use crate::failure::Failure;
use crate::service_url::ServiceUrl;

/// The page. No connector can have its path, because those begin with `/connectors/`.
pub fn routes() -> Router<Console> {
    Router::new().route("/new", get(ask).post(create))
}

async fn ask(State(console): State<Console>) -> Result<Response, Problem> {
    console.require_write()?;
    let service = console.service_url();
    let url = if service.is_missing() { "" } else { service.text() };
    Ok(page(&console, &[("url", url), ("kind", "password")], &Errors::default()))
}

fn page(console: &Console, values: &[(&str, &str)], errors: &Errors) -> Response {
    let value = |name: &str| values.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| *value);
    let kinds = [
        ("password", "Username and password: Okta, and most others"),
        ("token", "Token: Microsoft Entra ID, and providers that ask for a bearer token"),
    ];
    let form = html! {
        (Field {
            name: "id",
            label: "Id",
            hint: "Part of the endpoint URL, and cannot be changed: 1 to 63 of a-z, 0-9 and -. For example okta",
            value: value("id"),
        }.text(errors))
        (Field {
            name: "name",
            label: "Name (optional)",
            hint: "For people, such as Okta, production. By default the id",
            value: value("name"),
        }.text(errors))
        (Field {
            name: "url",
            label: "URL of the service",
            hint: "The stack's output BaseUrl: https://… For make run, the URL that it prints, such as http://127.0.0.1:3000",
            value: value("url"),
        }.text(errors))
        (Field { name: "kind", label: "How the identity provider signs in", hint: "", value: value("kind") }
            .radios(&kinds, errors))
        div class="actions" {
            button type="submit" { "Create the connector" }
            a href="/" { "Cancel" }
        }
    };
    let content = html! {
        (Step::Name.list())
        (errors.summary())
        p { "A connector connects one identity provider. It gets an endpoint URL and a credential of its own." }
        (console.form("/new", form))
    };
    let mut response = console.page("Set up a connector", Section::Connectors, content);
    if !errors.is_empty() {
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    response
}

async fn create(State(console): State<Console>, fields: Fields) -> Result<Response, Problem> {
    console.require_write()?;
    let (id, name, url, kind) = (fields.get("id"), fields.get("name"), fields.get("url"), fields.get("kind"));
    let values = [("id", id), ("name", name), ("url", url), ("kind", kind)];
    let mut errors = Errors::default();
    let parsed = parse_new_id(id).map_err(|Failure(sentence)| errors.add("id", sentence)).ok();
    let service =
        ServiceUrl::parse_named("the URL", url).map_err(|Failure(sentence)| errors.add("url", sentence)).ok();
    if !["password", "token"].contains(&kind) {
        errors.add("kind", "Choose how the identity provider signs in");
    }
    let (Some(parsed), Some(service)) = (parsed, service) else {
        return Ok(page(&console, &values, &errors));
    };
    if !errors.is_empty() {
        return Ok(page(&console, &values, &errors));
    }
    let context = console.context();
    if context.table().connector(&parsed).await?.is_some() {
        errors.add("id", format!("connector {parsed} already exists; choose another id"));
        return Ok(page(&console, &values, &errors));
    }
    console.set_service_url(service);
    let options = CredentialOptions { bearer: kind == "token", ..CredentialOptions::default() };
    let name = if name.is_empty() { id } else { name };
    let new = store(&context, &parsed, name, id, &options).await?;
    let ticket = console.secrets().keep(NewSecret { connector: id.to_owned(), new })?;
    Ok(redirect(&format!("/connectors/{parsed}/setup/secret/{ticket}")))
}
