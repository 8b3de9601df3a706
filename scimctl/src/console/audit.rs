//! Who changed what: the audit trail of a connector, and the history of one user, group or role.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use directory::audit::{AuditPage, AuditRecord, PageSize};
use maud::{Markup, html};
use shared::resource::{ResourceId, ResourceKind};

use super::Console;
use super::form::{Errors, Field, Fields};
use super::opened::Opened;
use super::page::{Part, pager, table};
use super::problem::Problem;
use super::search::{AFTER, address, results};
use super::user_edit::again;
use crate::audit::{Names, row, shown_ids};
use crate::output::{count, format_number};
use crate::time::DateOrTime;

/// A page has at most this many records, and reads at most this many of the trail.
const SIZE: PageSize = PageSize { most: 100, look_at: 2_000 };

/// The fields of the form.
const RESOURCE: &str = "resource";
const SINCE: &str = "since";
const UNTIL: &str = "until";

const COLUMNS: [&str; 7] = ["Time (UTC)", "By", "Operation", "Kind", "Name", "Id", "Changes"];

/// The pages.
pub fn routes() -> Router<Console> {
    Router::new().route("/connectors/{connector}/audit", get(list))
}

/// Which records a page has.
#[derive(Default)]
struct Wanted {
    /// The ids that a record is about; any of them. Empty for every record.
    ids: Vec<String>,
    /// The name that a resource has in a record, also one that it had before.
    name: String,
}

impl Wanted {
    /// The records about the connector, or about the user, group or role that an operator names by its name or id.
    async fn read(opened: &Opened, resource: &str) -> Result<Self, Problem> {
        let id = opened.id.to_string();
        if resource == id || ResourceId::parse(resource).is_some() {
            return Ok(Self { ids: vec![resource.to_owned()], name: String::new() });
        }
        let mut wanted = Self { ids: Vec::new(), name: resource.to_owned() };
        if !resource.is_empty() {
            for kind in ResourceKind::ALL {
                let found = opened.directory().find_by_name(kind, resource).await?;
                wanted.ids.extend(found.map(|id| id.to_string()));
            }
        }
        Ok(wanted)
    }

    fn has(&self, record: &AuditRecord) -> bool {
        let is_everything = self.ids.is_empty() && self.name.is_empty();
        is_everything
            || self.ids.iter().any(|id| record.is_about(id))
            || (!self.name.is_empty() && record.changes.has_name(&self.name))
    }
}

async fn list(
    State(console): State<Console>,
    Path(id): Path<String>,
    query: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let mut errors = Errors::default();
    let mut parse = |field: &'static str| match query.get(field) {
        "" => None,
        text => DateOrTime::parse(text).map_err(|sentence| errors.add(field, sentence)).ok(),
    };
    let (since, until) = (parse(SINCE), parse(UNTIL));
    let now = opened.context.now;
    let since = since.map_or(opened.created, DateOrTime::first).max(opened.created);
    let until = until.map_or(now, DateOrTime::last).min(now);
    let path = opened.path(Part::Audit);
    let list = if errors.is_empty() {
        let resource = query.get(RESOURCE);
        let wanted = Wanted::read(&opened, resource).await?;
        let after = Some(query.raw(AFTER)).filter(|after| !after.is_empty());
        let (table, trail) = (opened.context.table(), &opened.id);
        let page =
            table.audit_trail(trail).page(|record| wanted.has(record), since, until, after, SIZE).await?;
        let filters = [(RESOURCE, resource), (SINCE, query.get(SINCE)), (UNTIL, query.get(UNTIL))];
        show(&opened, page, &path, &filters, after).await?
    } else {
        html! {}
    };
    let content = html! {
        (errors.summary())
        (form(&path, &query, &errors))
        (list)
    };
    Ok(again(console.page("Audit", opened.section(Part::Audit), content), &errors))
}

fn form(path: &str, query: &Fields, errors: &Errors) -> Markup {
    let field = |name, label, hint| Field { name, label, hint, value: query.get(name) }.text(errors);
    let date = "Such as 2026-11-24 or 2026-11-24T12:00:00Z";
    html! {
        form class="search" method="get" action=(path) role="search" {
            (field(RESOURCE, "User, group, role or connector", "Name or id, also one that it had"))
            (field(SINCE, "From", date))
            (field(UNTIL, "Until", date))
            button type="submit" { "Filter" }
        }
    }
}

/// The history of a user, group or role, as a part of its pages. `path` is the address of this page.
pub async fn history(opened: &Opened, id: &str, path: &str, after: &str) -> Result<Markup, Problem> {
    let after = Some(after).filter(|after| !after.is_empty());
    let (table, trail) = (opened.context.table(), &opened.id);
    let is_about = |record: &AuditRecord| record.is_about(id);
    let page =
        table.audit_trail(trail).page(is_about, opened.created, opened.context.now, after, SIZE).await?;
    show(opened, page, path, &[], after).await
}

/// The records of a page, with how far it looked.
async fn show(
    opened: &Opened,
    page: AuditPage,
    path: &str,
    filters: &[(&str, &str)],
    after: Option<&str>,
) -> Result<Markup, Problem> {
    let records = count(page.records.len(), "record", "records");
    let sentence = match page.looked_back_to() {
        Some(time) => format!(
            "{records} among the {} {}, back to {time}. Older ones are on the next page",
            if after.is_some() { "next" } else { "newest" },
            format_number(page.looked_at)
        ),
        None if after.is_some() => format!("{records}. There are no older ones"),
        None => records,
    };
    let next = page.next.as_ref().map(|next| address(path, &[filters, &[(AFTER, next)]].concat()));
    let first = after.map(|_| address(path, filters));
    let names = opened.directory().names_of(&shown_ids(&page.records).collect()).await?;
    let empty = if next.is_some() { "No record here. Go on to the next page." } else { "No record." };
    let rows = page.records.into_iter().map(|record| cells(opened, record, &names)).collect();
    Ok(results(
        &sentence,
        html! {
            (table("Changes, the newest first", &COLUMNS, rows, empty))
            (pager(first.as_deref(), next.as_deref()))
        },
    ))
}

fn cells(opened: &Opened, record: AuditRecord, names: &Names) -> Vec<Markup> {
    let part = match record.kind.as_str() {
        "User" => Part::Users,
        "Group" | "LocalGroup" => Part::Groups,
        "Role" => Part::Roles,
        _ => Part::Overview,
    };
    let page = match part {
        Part::Overview => opened.path(part),
        part => opened.page_of(part, &record.id),
    };
    let cells = row(record, names).into_iter().enumerate();
    // The id leads to the page of what was changed. The page says so if it does not exist any more.
    cells
        .map(|(column, text)| match column {
            0 => html! { time { (text) } },
            5 => html! { a href=(page) { (text) } },
            _ => html! { (text) },
        })
        .collect()
}
