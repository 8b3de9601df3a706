//! The users of a connector: all in the order of their names, those that a search finds, or the hidden ones.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use directory::Counted;
use directory::view::{FoundUsers, HiddenUsers, ListedUser, NamePage};
use maud::{Markup, html};
use shared::resource::{ResourceId, ResourceKind};

use super::Console;
use super::form::Fields;
use super::opened::Opened;
use super::page::{Part, pager, table};
use super::problem::Problem;
use super::search::{self, AFTER, PAGE_SIZE, TEXT, address};
use crate::output::{count, format_number};

/// The most users that a search shows.
const MAX_FOUND: usize = 100;
/// The users that one page looks at to find the hidden ones.
const MAX_LOOKED_AT: usize = 500;

/// The parameter that chooses all or only the hidden users.
const SHOW: &str = "show";
const HIDDEN: &str = "hidden";

/// The pages.
pub fn routes() -> Router<Console> {
    Router::new().route("/connectors/{connector}/users", get(list))
}

/// A list, and a sentence that says which users are in it.
struct List {
    sentence: String,
    users: Vec<ListedUser>,
    /// The addresses of the first and the next page.
    first: Option<String>,
    next: Option<String>,
}

async fn list(
    State(console): State<Console>,
    Path(id): Path<String>,
    query: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let text = query.get(TEXT);
    let List { sentence, users, first, next } = if !text.is_empty() {
        found(&opened, text).await?
    } else if query.get(SHOW) == HIDDEN {
        hidden(&opened, query.get(AFTER)).await?
    } else {
        by_name(&opened, query.raw(AFTER)).await?
    };
    let empty = if next.is_some() { "No hidden user here. Go on to the next page." } else { "No user." };
    let rows = users.iter().map(|user| row(&opened, user)).collect();
    let columns = ["Username", "Display name", "Email", "Origin", "State"];
    let path = opened.path(Part::Users);
    let content = html! {
        @if console.is_writable() {
            p class="actions" { a class="button" href={ (path) "/new" } { "Create a local user" } }
        }
        (search::form(&path, "Search", "Beginning of the userName, display name, first or last name, email address or externalId, \
            or a whole id", text, show_field(query.get(SHOW))))
        (search::results(&sentence, html! {
            (table("Users", &columns, rows, empty))
            (pager(first.as_deref(), next.as_deref()))
        }))
    };
    Ok(console.page("Users", opened.section(Part::Users), content))
}

fn show_field(chosen: &str) -> Markup {
    html! {
        div class="field" {
            label for=(SHOW) { "Without a search, show" }
            select id=(SHOW) name=(SHOW) {
                option value="" selected[chosen != HIDDEN] { "all users, by userName" }
                option value=(HIDDEN) selected[chosen == HIDDEN] { "only hidden users" }
            }
        }
    }
}

async fn by_name(opened: &Opened, after: &str) -> Result<List, Problem> {
    let (directory, view) = (opened.directory(), opened.view()?);
    let after = Some(after).filter(|after| !after.is_empty());
    let (page, all) = tokio::try_join!(
        view.users_by_name(after, PAGE_SIZE),
        directory.histogram(ResourceKind::User, Counted::All)
    )?;
    let NamePage { entries: users, next } = page;
    let path = opened.path(Part::Users);
    let sentence = match (users.len(), all.total()) {
        (shown, total) if shown == total => count(total, "user", "users"),
        (shown, total) => format!(
            "{} of {}, in the order of the userName",
            count(shown, "user", "users"),
            format_number(total)
        ),
    };
    let next = next.map(|next| address(&path, &[(AFTER, &next)]));
    Ok(List { sentence, users, first: after.map(|_| path), next })
}

async fn found(opened: &Opened, text: &str) -> Result<List, Problem> {
    let FoundUsers { users, is_cut } = opened.view()?.search_users(text, MAX_FOUND).await?;
    let number = count(users.len(), "user", "users");
    let sentence = match is_cut {
        true => format!("The first {number} that match {text:?}. There are more: enter more characters"),
        false if users.len() == 1 => format!("1 user matches {text:?}"),
        false => format!("{number} match {text:?}"),
    };
    Ok(List { sentence, users, first: None, next: None })
}

async fn hidden(opened: &Opened, after: &str) -> Result<List, Problem> {
    let after = ResourceId::parse(after);
    let HiddenUsers { users, looked_at, next } = opened.view()?.hidden_users(after, MAX_LOOKED_AT).await?;
    let path = opened.path(Part::Users);
    let place = match (after, &next) {
        (None, None) => "",
        (None, Some(_)) => "first ",
        (Some(_), _) => "next ",
    };
    let sentence = format!(
        "{} among the {place}{}, in the order of their ids",
        count(users.len(), "hidden user", "hidden users"),
        count(looked_at, "user", "users")
    );
    let next = next.map(|next| address(&path, &[(SHOW, HIDDEN), (AFTER, &next.to_string())]));
    let first = after.map(|_| address(&path, &[(SHOW, HIDDEN)]));
    Ok(List { sentence, users, first, next })
}

fn row(opened: &Opened, user: &ListedUser) -> Vec<Markup> {
    let name = if user.username.is_empty() { &user.user_name } else { &user.username };
    vec![
        html! {
            a href=(opened.page_of(Part::Users, user.id)) { (name) }
            @if *name != user.user_name { " " span class="soft" { "userName " (user.user_name) } }
        },
        html! { (user.display_name) },
        html! { (user.email.as_deref().unwrap_or("–")) },
        search::origin(user.origin),
        search::visibility(opened, user.hidden.as_ref()),
    ]
}
