//! The frame of every page, and the parts that pages are made of: tables, facts, badges, pagers.

use axum::response::{IntoResponse as _, Response};
use directory::connectors::ConnectorId;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

use crate::output::format_time;

/// Where a page is in the navigation.
#[derive(Clone, Copy)]
pub enum Section<'c> {
    /// The list of connectors, and pages that belong to no connector.
    Connectors,
    /// A part of the pages of one connector.
    Of(&'c ConnectorId, Part),
}

/// The parts of the pages of a connector, as the navigation lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The connector itself: health, credentials, feeds.
    Overview,
    /// Its users.
    Users,
    /// Its groups.
    Groups,
    /// Its roles.
    Roles,
    /// The requests that failed.
    Requests,
    /// Who changed what.
    Audit,
    /// How many requests failed, and how many users joined and left.
    Charts,
    /// How applications learn of changes.
    Feeds,
    /// Policies that name users and groups.
    Policies,
    /// What the connector does, and what its directory shows.
    Settings,
}

impl Part {
    const ALL: [Self; 10] = [
        Self::Overview,
        Self::Users,
        Self::Groups,
        Self::Roles,
        Self::Requests,
        Self::Audit,
        Self::Charts,
        Self::Feeds,
        Self::Policies,
        Self::Settings,
    ];

    /// The name in the navigation.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Users => "Users",
            Self::Groups => "Groups",
            Self::Roles => "Roles",
            Self::Requests => "Requests",
            Self::Audit => "Audit",
            Self::Charts => "Charts",
            Self::Feeds => "Feeds",
            Self::Policies => "Policies",
            Self::Settings => "Settings",
        }
    }

    /// The path of the part of a connector: `/connectors/okta/users`.
    pub fn path(self, connector: &ConnectorId) -> String {
        match self {
            Self::Overview => format!("/connectors/{connector}"),
            part => format!("/connectors/{connector}/{}", part.name().to_lowercase()),
        }
    }
}

/// What the frame of every page says.
pub struct Shell<'s> {
    /// The name of the table.
    pub table: &'s str,
    /// Whether the operator can make changes.
    pub is_writable: bool,
}

/// Makes a whole page. `title` is its heading.
pub fn page(shell: Shell<'_>, title: &str, section: Section<'_>, content: Markup) -> Response {
    let (connector, part) = match section {
        Section::Connectors => (None, None),
        Section::Of(connector, part) => (Some(connector), Some(part)),
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) @if let Some(connector) = connector { " · " (connector) } " · Rollcall console" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/style.css";
                script src="/console.js" defer {}
            }
            body {
                a class="skip" href="#main" { "Skip to the content" }
                header {
                    a class="brand" href="/" { "Rollcall" }
                    span class="table-name" { "Table " code { (shell.table) } }
                    @if shell.is_writable { (badge(Tone::Warning, "changes allowed")) } @else { (badge(Tone::Plain, "read-only")) }
                }
                div class="columns" {
                    nav aria-label="Console" {
                        ul {
                            li { (nav_link("/", "Connectors", connector.is_none())) }
                        }
                        @if let Some(connector) = connector {
                            p class="nav-heading" id="nav-connector" { (connector) }
                            ul aria-labelledby="nav-connector" {
                                @for entry in Part::ALL {
                                    li { (nav_link(&entry.path(connector), entry.name(), part == Some(entry))) }
                                }
                            }
                        }
                    }
                    main id="main" tabindex="-1" {
                        h1 { (title) }
                        (content)
                    }
                }
            }
        }
    };
    to_response(page)
}

fn nav_link(path: &str, name: &str, is_current: bool) -> Markup {
    html! { a href=(path) aria-current=[is_current.then_some("page")] { (name) } }
}

/// Makes a page without navigation and style, for a browser that is not signed in.
pub fn bare(title: &str, content: Markup) -> Response {
    to_response(html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href="data:,";
            }
            body { main { h1 { (title) } (content) } }
        }
    })
}

fn to_response(page: Markup) -> Response {
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], page.into_string()).into_response()
}

/// A response that leads to another page, after a change.
pub fn redirect(path: &str) -> Response {
    (http::StatusCode::SEE_OTHER, [(http::header::LOCATION, path.to_owned())]).into_response()
}

/// The colour of a badge. Its text says the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// The operator should look at it.
    Warning,
    /// Something does not work.
    Bad,
    /// A fact.
    Plain,
}

/// A short text in a coloured frame.
pub fn badge(tone: Tone, text: &str) -> Markup {
    let class = match tone {
        Tone::Good => "badge good",
        Tone::Warning => "badge warning",
        Tone::Bad => "badge bad",
        Tone::Plain => "badge",
    };
    html! { span class=(class) { (text) } }
}

/// A table with a caption for screen readers. The first cell of each row is its heading. Without rows, it is the sentence `empty`.
pub fn table(caption: &str, columns: &[&str], rows: Vec<Vec<Markup>>, empty: &str) -> Markup {
    html! {
        @if rows.is_empty() {
            (self::empty(empty))
        } @else {
            // A wide table scrolls by itself, also with the keyboard.
            div class="table" role="region" aria-label=(caption) tabindex="0" {
                table {
                    caption { (caption) }
                    thead { tr { @for column in columns { th scope="col" { (column) } } } }
                    tbody {
                        @for row in &rows {
                            tr {
                                @for (position, cell) in row.iter().enumerate() {
                                    @if position == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What stands where nothing is to be shown: a sentence that says so, and what to do.
pub fn empty(sentence: &str) -> Markup {
    html! { p class="empty" { (sentence) } }
}

/// Labels and their values.
pub fn facts<'l>(facts: impl IntoIterator<Item = (&'l str, Markup)>) -> Markup {
    html! {
        dl class="facts" {
            @for (label, value) in facts { div { dt { (label) } dd { (value) } } }
        }
    }
}

/// A paragraph that tells the operator something important.
pub fn notice(tone: Tone, content: Markup) -> Markup {
    let class = match tone {
        Tone::Good => "notice good",
        Tone::Warning => "notice warning",
        Tone::Bad => "notice bad",
        Tone::Plain => "notice",
    };
    html! { div class=(class) role="status" { (content) } }
}

/// Links to the first page of a list, unless this is it, and to the next one, if there is one.
pub fn pager(first: Option<&str>, next: Option<&str>) -> Markup {
    html! {
        @if first.is_some() || next.is_some() {
            nav class="pager" aria-label="Pages" {
                @if let Some(path) = first { a href=(path) rel="first" { "First page" } }
                @if let Some(path) = next { a href=(path) rel="next" { "Next page" } }
            }
        }
    }
}

/// A time to the minute, in UTC.
pub fn time(time: Timestamp) -> Markup {
    html! { time datetime=(time.to_string()) { (format_time(time)) } }
}

/// A time, or a word if there is none.
pub fn time_or(value: Option<Timestamp>, word: &str) -> Markup {
    match value {
        Some(value) => time(value),
        None => html! { (word) },
    }
}

/// A value to copy, with a button that does it. Without JavaScript, there is no button.
pub fn copyable(label: &str, value: &str) -> Markup {
    html! {
        span class="copyable" {
            code { (value) }
            " "
            button type="button" class="copy" data-copy=(value) aria-label={ "Copy " (label) } hidden { "Copy" }
        }
    }
}
