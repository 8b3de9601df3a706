//! The last step: what to enter in the identity provider.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use directory::connectors::Connector;
use maud::{Markup, html};
use shared::credential::{CredentialKind, CredentialScope};

use super::Step;
use crate::console::Console;
use crate::console::connectors::endpoint;
use crate::console::page::{Part, Section, table};
use crate::console::problem::Problem;

/// The page. It changes nothing, so it is also there when the console is read-only.
pub fn routes() -> Router<Console> {
    Router::new().route("/connectors/{connector}/setup/done", get(show))
}

async fn show(State(console): State<Console>, Path(id): Path<String>) -> Result<Response, Problem> {
    let context = console.context();
    let connector = console.connector(&context, &id).await?;
    let live = connector
        .credentials
        .iter()
        .filter(|one| one.scope == CredentialScope::Scim && one.is_live(context.now));
    let usernames: Vec<&str> = live
        .filter_map(|one| match &one.kind {
            CredentialKind::Basic { username } => Some(username.as_str()),
            _ => None,
        })
        .collect();
    let content = html! {
        (Step::Done.list())
        p { "The connector is ready. Enter these values in the identity provider." }
        h2 { "Okta" }
        p { "In the application: " b { "Provisioning → Integration → SCIM connection → Edit" } "." }
        (okta(&console, &connector, &usernames))
        h2 { "Microsoft Entra ID" }
        p { "In the enterprise application: " b { "Provisioning → New configuration" } ". Entra needs a token, not a password." }
        (entra(&console, &connector))
        p {
            "Entra needs two other settings: "
            code { "on-deactivate" } " is " code { "keep-groups" } ", and " code { "mapping.email" } " is "
            code { "emails[type eq \"work\"].value" } "."
        }
        h2 { "Another identity provider" }
        p { "It asks for the endpoint URL (also called base URL, tenant URL or SCIM URL), and for a username and password, or a token." }
        h2 { "Then" }
        ul {
            li { "Let the identity provider test the connection, and assign one test user." }
            li { a href=(Part::Users.path(&connector.id)) { "See whether the user has arrived" } "." }
            li { a href=(Part::Requests.path(&connector.id)) { "See the requests that failed" } "." }
        }
        div class="actions" { a class="button" href=(Part::Overview.path(&connector.id)) { "Show the connector" } }
    };
    Ok(console.page("Connect the identity provider", Section::Of(&connector.id, Part::Overview), content))
}

fn secret(what: &str) -> Markup {
    html! { "the " (what) " that was shown once, after the connector was created" }
}

fn okta(console: &Console, connector: &Connector, usernames: &[&str]) -> Markup {
    let mut rows = vec![
        vec![html! { "SCIM connector base URL" }, endpoint(console, connector)],
        vec![html! { "Unique identifier field for users" }, html! { code { "userName" } }],
        vec![
            html! { "Supported provisioning actions" },
            html! { "Import New Users and Profile Updates, Push New Users, Push Profile Updates, Push Groups, Import Groups" },
        ],
    ];
    if usernames.is_empty() {
        rows.push(vec![html! { "Authentication Mode" }, html! { "HTTP Header, with " (secret("token")) }]);
    } else {
        rows.push(vec![html! { "Authentication Mode" }, html! { "Basic Auth" }]);
        rows.push(vec![
            html! { "Username" },
            html! {
                @for (position, username) in usernames.iter().enumerate() {
                    @if position > 0 { " or " }
                    code { (username) }
                }
            },
        ]);
        rows.push(vec![html! { "Password" }, secret("password")]);
    }
    table("What to enter in Okta", &["Field in Okta", "Value"], rows, "")
}

fn entra(console: &Console, connector: &Connector) -> Markup {
    let rows = vec![
        vec![html! { "Tenant URL" }, endpoint(console, connector)],
        vec![html! { "Secret Token" }, secret("token")],
    ];
    table("What to enter in Microsoft Entra ID", &["Field in Entra", "Value"], rows, "")
}
