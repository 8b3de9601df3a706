//! What clients and applications asked for, and what came of it: the request trail of a connector, and one request of it.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use directory::settings::TrailScope;
use directory::trail::{Filter, KEPT, Record};
use jiff::Timestamp;
use maud::{Markup, html};
use shared::resource::ResourceId;

use super::Console;
use super::form::{Errors, Field, Fields};
use super::opened::Opened;
use super::page::{Part, Tone, badge, copyable, facts, pager, table};
use super::problem::Problem;
use super::search::{AFTER, PAGE_SIZE, address, results};
use super::user_edit::again;
use crate::output::count;
use crate::requests::{Names, names_of, subjects};
use crate::time::Since;

/// The fields of the form.
const STATUS: &str = "status";
const SUBJECT: &str = "user";
const SINCE: &str = "since";

const COLUMNS: [&str; 6] = ["Time (UTC)", "Status", "Request", "Name", "Detail", "Milliseconds"];

/// The pages.
pub fn routes() -> Router<Console> {
    Router::new()
        .route("/connectors/{connector}/requests", get(list))
        .route("/connectors/{connector}/requests/{request}", get(show))
}

async fn list(
    State(console): State<Console>,
    Path(id): Path<String>,
    query: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let mut errors = Errors::default();
    let mut filter = Filter::until(opened.context.now);
    match query.get(STATUS) {
        "" => {}
        text => match text.parse() {
            Ok(status) => filter.status = Some(status),
            Err(sentence) => errors.add(STATUS, sentence),
        },
    }
    match query.get(SINCE) {
        "" => {}
        text => match Since::parse(text) {
            Ok(since) => filter.since = since.time(opened.context.now).min(opened.context.now),
            Err(sentence) => errors.add(SINCE, sentence),
        },
    }
    let path = opened.path(Part::Requests);
    let list = if errors.is_empty() {
        if !query.get(SUBJECT).is_empty() {
            filter.subjects = subjects(opened.directory(), query.get(SUBJECT)).await?;
        }
        let after = Some(query.raw(AFTER)).filter(|after| !after.is_empty());
        let page = opened.context.table().trail(&opened.id).page(&filter, after, PAGE_SIZE).await?;
        let filters = [STATUS, SUBJECT, SINCE].map(|field| (field, query.get(field)));
        let next = page.next.as_ref().map(|next| address(&path, &[&filters[..], &[(AFTER, next)]].concat()));
        let first = after.map(|_| address(&path, &filters));
        let names = names_of(opened.directory(), &page.records).await?;
        records(&opened, &page.records, &names, (first, next))
    } else {
        html! {}
    };
    let content = html! {
        (errors.summary())
        (form(&path, &query, &errors))
        p class="soft" { (kept(&opened)) }
        (list)
    };
    Ok(again(console.page("Requests", opened.section(Part::Requests), content), &errors))
}

/// Which requests the trail keeps, and for how long.
pub fn kept(opened: &Opened) -> String {
    let days = KEPT.as_hours() / 24;
    match opened.trail {
        TrailScope::All => {
            format!("All requests of the last {days} days, except those without valid credentials.")
        }
        TrailScope::Failures => format!(
            "Failed requests of the last {days} days, except those without valid credentials. With the setting trail=all, all requests are kept."
        ),
    }
}

fn form(path: &str, query: &Fields, errors: &Errors) -> Markup {
    let field = |name, label, hint| Field { name, label, hint, value: query.get(name) }.text(errors);
    html! {
        form class="search" method="get" action=(path) role="search" {
            (field(STATUS, "Status", "Such as 4xx or 409"))
            (field(SUBJECT, "User or group", "Name or id"))
            (field(SINCE, "From", "Such as 2h, 3d, 2026-11-24 or 2026-11-24T12:00:00Z"))
            button type="submit" { "Filter" }
        }
    }
}

fn records(
    opened: &Opened,
    records: &[Record],
    names: &Names,
    (first, next): (Option<String>, Option<String>),
) -> Markup {
    let shown = count(records.len(), "request or operation", "requests and operations");
    let sentence = match next {
        Some(_) => format!("{shown}, the newest first. Older ones are on the next page"),
        None if first.is_some() => format!("{shown}. There are no older ones"),
        None => format!("{shown}, the newest first"),
    };
    let empty = if next.is_some() { "No request here. Go on to the next page." } else { "No request." };
    let rows = records.iter().map(|record| row(opened, record, names)).collect();
    results(
        &sentence,
        html! {
            (table("Requests", &COLUMNS, rows, empty))
            (pager(first.as_deref(), next.as_deref()))
        },
    )
}

/// The failed requests about one user, as a part of its pages.
pub async fn failed(opened: &Opened, records: &[Record]) -> Result<Markup, Problem> {
    let names = names_of(opened.directory(), records).await?;
    let rows = records.iter().map(|record| row(opened, record, &names)).collect();
    Ok(table("Failed requests", &COLUMNS, rows, "The request trail has no failed request about this user."))
}

fn row(opened: &Opened, record: &Record, names: &Names) -> Vec<Markup> {
    vec![
        html! { a href=(opened.page_of(Part::Requests, &record.request)) { (seconds(record.time)) } },
        status(record),
        html! {
            code class="path" { (record.method) " " (record.path) }
            @if let Some(operation) = record.operation { " " span class="soft" { "operation " (operation) } }
        },
        subject(opened, record, names),
        html! { (record.detail.as_deref().unwrap_or("–")) },
        html! { @if record.operation.is_none() { (record.ms) } @else { "–" } },
    ]
}

/// A time to the second, because requests follow each other closely.
fn seconds(time: Timestamp) -> Markup {
    html! { time datetime=(time.to_string()) { (time.strftime("%Y-%m-%d %H:%M:%S").to_string()) } }
}

fn status(record: &Record) -> Markup {
    let tone = match record.status {
        500.. => Tone::Bad,
        400..500 => Tone::Warning,
        _ => Tone::Good,
    };
    html! {
        (badge(tone, &record.status.to_string()))
        @if let Some(scim_type) = &record.scim_type { " " (scim_type) }
    }
}

/// The user or group that a request is about, with a link if the request has its id.
fn subject(opened: &Opened, record: &Record, names: &Names) -> Markup {
    let part = if record.kind.as_deref() == Some("Group") { Part::Groups } else { Part::Users };
    // A request can name a user or group only by its id, which then has the name of now, if there is one.
    let now = || names.get(&ResourceId::parse(record.resource.as_deref()?)?);
    let name = record.name.as_ref().or_else(now).or(record.resource.as_ref());
    html! {
        @match (name, &record.resource) {
            (Some(name), Some(id)) => a href=(opened.page_of(part, id)) { (name) },
            (Some(name), None) => (name),
            (None, _) => "–",
        }
    }
}

async fn show(
    State(console): State<Console>,
    Path((id, request)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let found = opened.context.table().trail(&opened.id).one(&request, opened.context.now).await?;
    let Some(first) = found.first() else {
        return Err(Problem::not_found(format!(
            "The trail of connector {id} has no request {request}. {}",
            kept(&opened)
        )));
    };
    let operations: Vec<&Record> = found.iter().filter(|record| record.operation.is_some()).collect();
    let names = names_of(opened.directory(), &found).await?;
    let content = html! {
        (details(&opened, first, &names))
        @if !operations.is_empty() {
            h2 { "Failed operations" }
            @for record in &operations {
                h3 { "Operation " (record.operation.unwrap_or_default()) }
                (details(&opened, record, &names))
            }
            @if first.unrecorded_operations > 0 {
                p { (count(first.unrecorded_operations, "further operation", "further operations")) " failed, and left no record." }
            }
        }
        p { a href=(opened.path(Part::Requests)) { "All requests" } }
    };
    let title = format!("{} {}", first.method, first.path);
    Ok(console.page(&title, opened.section(Part::Requests), content))
}

/// Everything that a record has.
fn details(opened: &Opened, record: &Record, names: &Names) -> Markup {
    let text = |value: Option<&str>| html! { (value.unwrap_or("–")) };
    let of_request = record.operation.is_none().then(|| {
        let dropped = match record.dropped_before {
            0 => "none".to_owned(),
            lost => count(lost, "record", "records"),
        };
        [
            ("Duration", html! { (record.ms) " ms" }),
            ("Credential", html! { code { (record.credential) } }),
            ("Failed operations", html! { (record.failed_operations) }),
            ("Lost before it", html! { (dropped) }),
            ("Request id", copyable("the request id", &record.request)),
        ]
    });
    let shown = record.shown.as_ref().map(|shown| match &shown.hidden {
        Some(reason) => format!("{}, hidden: {reason}", shown.username),
        None => shown.username.clone(),
    });
    let ignored = if record.ignored.is_empty() { None } else { Some(record.ignored.join(", ")) };
    let first = [
        ("Time (UTC)", seconds(record.time)),
        ("Status", status(record)),
        ("Detail", text(record.detail.as_deref())),
        ("Method and path", html! { code { (record.method) " " (record.path) } }),
        ("User or group", subject(opened, record, names)),
        ("Resource", text(record.resource.as_deref())),
        ("Ignored attributes", text(ignored.as_deref())),
        ("What the platform sees", text(shown.as_deref())),
    ];
    facts(first.into_iter().chain(of_request.into_iter().flatten()))
}
