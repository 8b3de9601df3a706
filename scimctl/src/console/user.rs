//! The pages of one user: what the platform sees, its groups and roles and how it got them, its history, and its SCIM JSON.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use directory::view::{GroupWithPath, NamedGroup, Person, RoleWithSource, owner};
use maud::{Markup, html};
use shared::projection::Projection;
use shared::resource::{ResourceKind, represent};

use super::Console;
use super::audit;
use super::form::Fields;
use super::opened::{Opened, parse_id};
use super::page::{self, Part, copyable, facts, table, time};
use super::problem::Problem;
use super::requests;
use super::search;
use super::user_edit;
use crate::output::count;
use crate::user::user_name;
use crate::why;

/// The pages.
pub fn routes() -> Router<Console> {
    Router::new()
        .route("/connectors/{connector}/users/{user}", get(show))
        .route("/connectors/{connector}/users/{user}/why", get(why))
        .route("/connectors/{connector}/users/{user}/history", get(history))
        .route("/connectors/{connector}/users/{user}/scim", get(scim))
}

/// The pages of a user, as the links between them list them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tab {
    /// What the platform sees.
    Overview,
    /// What explains it.
    Why,
    /// What changed.
    History,
    /// The SCIM JSON.
    Scim,
}

/// Reads the user of a path.
pub async fn read(opened: &Opened, user: &str) -> Result<Person, Problem> {
    let person = opened.view()?.person(parse_id(user)?).await?;
    person.ok_or_else(|| Problem::not_found(format!("There is no user with the id {user}.")))
}

/// The name of a user in headings: the username, or the stored `userName` if the mapping gives none.
pub fn title(person: &Person) -> &str {
    match person.user.username.as_str() {
        "" => user_name(&person.stored.resource.document),
        username => username,
    }
}

/// The links between the pages of a user.
fn tabs(opened: &Opened, user: &str, present: Tab) -> Markup {
    let path = opened.page_of(Part::Users, user);
    let tabs = [
        (Tab::Overview, "Overview", path.clone()),
        (Tab::Why, "Why", format!("{path}/why")),
        (Tab::History, "History", format!("{path}/history")),
        (Tab::Scim, "SCIM", format!("{path}/scim")),
    ];
    html! {
        nav class="tabs" aria-label="User" {
            ul {
                @for (tab, name, path) in tabs {
                    li { a href=(path) aria-current=[(tab == present).then_some("page")] { (name) } }
                }
            }
        }
    }
}

async fn show(
    State(console): State<Console>,
    Path((id, user)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let person = read(&opened, &user).await?;
    let content = html! {
        (tabs(&opened, &person.user.id, Tab::Overview))
        (what_the_platform_sees(&opened, &person))
        (user_edit::actions(&console, &opened, &person))
        h2 { "Groups" }
        (groups(&console, &opened, &person))
        h2 { "Roles" }
        (roles(&console, &opened, &person))
    };
    Ok(console.page(title(&person), opened.section(Part::Users), content))
}

fn what_the_platform_sees(opened: &Opened, person: &Person) -> Markup {
    let (user, stored) = (&person.user, &person.stored);
    let text = |value: &Option<String>| html! { (value.as_deref().unwrap_or("–")) };
    facts([
        ("State", search::visibility(opened, user.hidden.as_ref())),
        ("Username", html! { (user.username) }),
        ("Stored userName", html! { (user_name(&stored.resource.document)) }),
        ("First name", text(&user.first_name)),
        ("Last name", text(&user.last_name)),
        (
            "Display name",
            html! {
                (user.display_name)
                @if stored.shown_name.is_some() { " " span class="soft" { "entered by an operator" } }
            },
        ),
        ("Email", text(&user.email)),
        ("Owner", html! { (owner(stored.resource.origin, &opened.id.to_string())) }),
        ("Created", time(stored.resource.created)),
        ("Last changed", time(stored.resource.last_modified)),
        ("Id", copyable("the id", &user.id)),
    ])
}

fn groups(console: &Console, opened: &Opened, person: &Person) -> Markup {
    let id = &person.user.id;
    let row = |group: &GroupWithPath| {
        let mut row = vec![
            html! { a href=(opened.page_of(Part::Groups, &group.group.id)) { (group.group.name) } },
            html! { @if group.path.is_empty() { "direct" } @else { "through " (links(opened, &group.path)) } },
            search::origin(group.origin),
            search::visibility(opened, group.hidden.as_ref()),
        ];
        row.extend(console.is_writable().then(|| {
            html! {
                @if group.path.is_empty() && group.origin == "local" {
                    (user_edit::leave(console, opened, Part::Groups, id, &group.group, "Remove"))
                }
            }
        }));
        row
    };
    let columns = search::columns(console, &["Group", "How", "Origin", "State"]);
    html! {
        (table("Groups", &columns, person.belongs.groups.iter().map(row).collect(), "The user is in no group."))
        @if person.user.hidden.is_none() {
            p class="soft" { "Every user that is not hidden is also in the built-in group public." }
        }
        (user_edit::join(console, opened, Part::Groups, id))
    }
}

fn roles(console: &Console, opened: &Opened, person: &Person) -> Markup {
    let id = &person.user.id;
    let row = |role: &RoleWithSource| {
        let mut row = vec![
            html! { a href=(opened.page_of(Part::Roles, &role.role.id)) { (role.role.name) } },
            html! {
                @if role.is_direct { "direct" }
                @if role.is_direct && !role.through.is_empty() { ", and " }
                @if !role.through.is_empty() { "through " (links(opened, &role.through)) }
            },
        ];
        row.extend(console.is_writable().then(|| html! {
            @if role.is_direct { (user_edit::leave(console, opened, Part::Roles, id, &role.role, "Withdraw")) }
        }));
        row
    };
    let columns = search::columns(console, &["Role", "How"]);
    html! {
        (table("Roles", &columns, person.belongs.roles.iter().map(row).collect(), "The user has no role."))
        (user_edit::join(console, opened, Part::Roles, id))
    }
}

/// Links to groups, in this order.
pub fn links(opened: &Opened, groups: &[NamedGroup]) -> Markup {
    html! {
        @for (position, group) in groups.iter().enumerate() {
            @if position > 0 { " → " }
            a href=(opened.page_of(Part::Groups, &group.id)) { (group.name) }
        }
    }
}

/// Explains a user, also one who was deleted: the audit trail and the request trail still have it.
async fn why(
    State(console): State<Console>,
    Path((id, user)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let person = why::Person::of_id(parse_id(&user)?);
    let user = &person.text;
    let found = why::find(&opened.context, &opened.open, &person, console.policies()).await?;
    if found.state == why::State::NeverSeen && found.failed_requests.is_empty() {
        return Err(Problem::not_found(format!("The directory never had a user with the id {user}.")));
    }
    // The first fact is the id that the path has.
    let facts = why::facts(&found).split_off(1);
    let title = found.user.as_ref().map_or(user.as_str(), |user| user.user_name.as_str());
    let content = html! {
        (tabs(&opened, user, Tab::Why))
        (page::facts(facts.iter().map(|(label, value)| (label.trim_end_matches(':'), html! { (value) }))))
        @for (title, lines) in why::sections(&found) {
            @if !lines.is_empty() {
                h2 { (title) }
                ul { @for line in lines { li { (line) } } }
            }
        }
        h2 { "Failed requests" }
        (requests::failed(&opened, &found.failed_requests).await?)
    };
    Ok(console.page(title, opened.section(Part::Users), content))
}

async fn history(
    State(console): State<Console>,
    Path((id, user)): Path<(String, String)>,
    query: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let person = read(&opened, &user).await?;
    let path = format!("{}/history", opened.page_of(Part::Users, &person.user.id));
    let content = html! {
        (tabs(&opened, &person.user.id, Tab::History))
        (audit::history(&opened, &person.user.id, &path, query.get(search::AFTER)).await?)
    };
    Ok(console.page(title(&person), opened.section(Part::Users), content))
}

async fn scim(
    State(console): State<Console>,
    Path((id, user)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let person = read(&opened, &user).await?;
    let base_url = console.service_url().endpoint(&opened.id.to_string());
    let mut json = represent(&person.stored.resource, &person.references, None, &base_url);
    let schema = opened.directory().schemas().of(ResourceKind::User);
    Projection::new(None, None, schema)?.apply(&mut json, schema);
    let json = serde_json::to_string_pretty(&json)
        .map_err(|error| Problem::from(crate::failure::Failure::from(error)))?;
    let content = html! {
        (tabs(&opened, &person.user.id, Tab::Scim))
        p {
            "What the identity provider sent, as it would read it, with " (count(person.references.len(), "group", "groups")) ". Rules and mapping are not \
             applied."
        }
        pre tabindex="0" role="region" aria-label="SCIM JSON" { code { (json) } }
    };
    Ok(console.page(title(&person), opened.section(Part::Users), content))
}
