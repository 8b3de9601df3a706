//! The policies that name users and groups who are gone: the report of `scimctl policies check` on the files of `--policies`.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use directory::Counted;
use maud::{Markup, html};
use shared::resource::ResourceKind;

use super::Console;
use super::form::Fields;
use super::opened::Opened;
use super::page::{Part, Tone, empty, notice, table};
use super::problem::Problem;
use super::search::results;
use crate::failure::Failure;
use crate::output::{count, format_number};
use crate::policies::{Principals, Stale, check_files};

/// The most users of a directory that the console checks. All are read, so a larger directory needs the command.
const MAX_USERS: usize = 20_000;

/// The parameter that starts a check.
const CHECK: &str = "check";

/// The pages.
pub fn routes() -> Router<Console> {
    Router::new().route("/connectors/{connector}/policies", get(show))
}

async fn show(
    State(console): State<Console>,
    Path(id): Path<String>,
    query: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let files = console.policies();
    let content = if files.is_empty() {
        empty(
            "No files with policies. Start the console with --policies and the files that Ranger Admin exported, or files or \
            folders with Cedar policies.",
        )
    } else {
        let users = opened.directory().histogram(ResourceKind::User, Counted::All).await?.total();
        html! {
            p { "Checks these files for users and groups who are deactivated, deleted, renamed, hidden, or not in the directory:" }
            ul { @for file in files { li { code { (file.display()) } } } }
            @if users > MAX_USERS {
                (too_many(&opened, users))
            } @else {
                form method="get" action=(opened.path(Part::Policies)) {
                    p class="hint" { "This reads all users, and the audit trail." }
                    button type="submit" name=(CHECK) value="true" { "Check the policies" }
                }
                @if query.has(CHECK) { (report(&console, &opened).await?) }
            }
        }
    };
    Ok(console.page("Policies", opened.section(Part::Policies), content))
}

fn too_many(opened: &Opened, users: usize) -> Markup {
    notice(
        Tone::Warning,
        html! {
            p {
                "This directory has " (format_number(users)) " users; the console checks at most " (format_number(MAX_USERS)) ". Use "
                code { "scimctl policies check " (opened.id) } "."
            }
        },
    )
}

async fn report(console: &Console, opened: &Opened) -> Result<Markup, Problem> {
    let principals = Principals::read(&opened.context, &opened.open).await?;
    let lines = match check_files(console.policies(), &principals, &opened.id.to_string()) {
        Ok(lines) => lines,
        Err(Failure(sentence)) => return Ok(notice(Tone::Bad, html! { p { (sentence) } })),
    };
    let sentence = count(
        lines.len(),
        "place names a user or group who is gone",
        "places name users or groups who are gone",
    );
    let columns = ["Principal", "Why", "Since", "Service", "Policy", "Place", "Effect", "Note", "Id"];
    let cells = |line: &Stale| line.row().into_iter().map(|cell| html! { (cell) }).collect();
    let rows = lines.iter().map(cells).collect();
    Ok(results(
        &sentence,
        table(
            "Users and groups who are gone",
            &columns,
            rows,
            "No policy names a user or group who is gone.",
        ),
    ))
}
