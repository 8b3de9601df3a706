//! The groups and the roles of a connector, in the order of their names.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use directory::Counted;
use directory::view::{GroupEntry, NamedGroup};
use maud::{Markup, html};
use shared::resource::ResourceKind;

use super::Console;
use super::form::Fields;
use super::opened::Opened;
use super::page::{Part, pager, table};
use super::problem::Problem;
use super::search::{self, AFTER, PAGE_SIZE, TEXT, address};
use crate::output::{count, format_number};

/// The pages.
pub fn routes() -> Router<Console> {
    Router::new()
        .route("/connectors/{connector}/groups", get(groups))
        .route("/connectors/{connector}/roles", get(roles))
}

async fn groups(
    State(console): State<Console>,
    Path(id): Path<String>,
    query: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let (directory, view) = (opened.directory(), opened.view()?);
    let (text, after) = (query.get(TEXT), query.raw(AFTER));
    let total = async {
        let count = async |kind| directory.histogram(kind, Counted::All).await;
        let (of_client, local) =
            tokio::try_join!(count(ResourceKind::Group), count(ResourceKind::LocalGroup))?;
        Ok(of_client.total() + local.total())
    };
    let (page, total) = tokio::try_join!(view.groups_by_name(text, Some(after), PAGE_SIZE), total)?;
    let row = |group: &GroupEntry| {
        vec![
            html! { a href=(opened.page_of(Part::Groups, &group.id)) { (group.name) } },
            search::origin(group.origin),
            search::visibility(&opened, group.hidden.as_ref()),
        ]
    };
    let rows = page.entries.iter().map(row).collect();
    let list =
        List { part: Part::Groups, columns: &["Group", "Origin", "State"], noun: ["group", "groups"], total };
    Ok(list.page(&console, &opened, rows, page.next, (text, after)))
}

async fn roles(
    State(console): State<Console>,
    Path(id): Path<String>,
    query: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let (directory, view) = (opened.directory(), opened.view()?);
    let (text, after) = (query.get(TEXT), query.raw(AFTER));
    let (page, total) = tokio::try_join!(
        view.roles_by_name(text, Some(after), PAGE_SIZE),
        directory.histogram(ResourceKind::Role, Counted::All)
    )?;
    let row = |role: &NamedGroup| {
        vec![
            html! { a href=(opened.page_of(Part::Roles, &role.id)) { (role.name) } },
            html! { code { (role.id) } },
        ]
    };
    let rows = page.entries.iter().map(row).collect();
    let list =
        List { part: Part::Roles, columns: &["Role", "Id"], noun: ["role", "roles"], total: total.total() };
    Ok(list.page(&console, &opened, rows, page.next, (text, after)))
}

/// What the lists of groups and of roles differ in.
struct List<'l> {
    part: Part,
    columns: &'l [&'l str],
    /// One entry, and several.
    noun: [&'l str; 2],
    /// The number of all.
    total: usize,
}

impl List<'_> {
    fn page(
        &self,
        console: &Console,
        opened: &Opened,
        rows: Vec<Vec<Markup>>,
        next: Option<String>,
        (text, after): (&str, &str),
    ) -> Response {
        let [one, several] = self.noun;
        let path = opened.path(self.part);
        let shown = count(rows.len(), one, several);
        let total = format_number(self.total);
        let sentence = match (text.is_empty(), next.is_some() || !after.is_empty()) {
            (true, false) => shown,
            (true, true) => format!("{shown} of {total}, in the order of their names"),
            (false, false) => format!("{shown} of {total} whose name begins with {text:?}"),
            (false, true) => format!("{shown} whose name begins with {text:?}, of {total} in all"),
        };
        let first = (!after.is_empty()).then(|| address(&path, &[(TEXT, text)]));
        let next = next.map(|next| address(&path, &[(TEXT, text), (AFTER, &next)]));
        let new = if self.part == Part::Roles { "Create a role" } else { "Create a local group" };
        let hint =
            if self.part == Part::Roles { "Beginning of the name" } else { "Beginning of the displayName" };
        let content = html! {
            @if console.is_writable() { p class="actions" { a class="button" href={ (path) "/new" } { (new) } } }
            (search::form(&path, "Search", hint, text, html! {}))
            (search::results(&sentence, html! {
                (table(self.part.name(), self.columns, rows, &format!("No {one}.")))
                (pager(first.as_deref(), next.as_deref()))
            }))
        };
        console.page(self.part.name(), opened.section(self.part), content)
    }
}
