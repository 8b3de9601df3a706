//! The list of connectors with their health, and the page of each.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use maud::html;

use super::Console;
use super::page::{Part, Section, Tone, badge, facts, table, time};
use super::problem::Problem;
use crate::connector::state;

/// The pages.
pub fn routes() -> Router<Console> {
    Router::new().route("/", get(list)).route("/connectors/{connector}", get(show))
}

async fn list(State(console): State<Console>) -> Result<Response, Problem> {
    let connectors = console.context().table().connectors().await?;
    let rows = connectors.iter().map(|connector| {
        let state = state(&connector.record);
        vec![
            html! { a href=(Part::Overview.path(&connector.id)) { (connector.id) } },
            html! { (connector.record.name) },
            badge(if state == "enabled" { Tone::Good } else { Tone::Warning }, state),
            time(connector.record.created),
        ]
    });
    let content = table(
        "Connectors",
        &["Connector", "Name", "State", "Created"],
        rows.collect(),
        "There is no connector yet.",
    );
    Ok(console.page("Connectors", Section::Connectors, content))
}

async fn show(State(console): State<Console>, Path(id): Path<String>) -> Result<Response, Problem> {
    let context = console.context();
    let connector = console.connector(&context, &id).await?;
    let content = facts([
        ("Name", html! { (connector.record.name) }),
        ("State", html! { (state(&connector.record)) }),
        ("Created", time(connector.record.created)),
    ]);
    Ok(console.page(&id, Section::Of(&connector.id, Part::Overview), content))
}
