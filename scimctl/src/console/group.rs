//! The pages of one group or role: its members, everyone who has it, what it belongs to, and its history.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use directory::Counted;
use directory::view::{EntryPage, GroupDetails, GroupWithPath, MemberEntry, UserEntry, UserFilter, owner};
use maud::{Markup, html};
use shared::resource::{ResourceId, ResourceKind};

use super::Console;
use super::audit;
use super::form::Fields;
use super::group_edit;
use super::opened::{Opened, parse_id};
use super::page::{Part, Tone, copyable, facts, notice, pager, table, time};
use super::problem::Problem;
use super::search::{self, AFTER, PAGE_SIZE, address};
use super::user::links;
use crate::output::{count, format_number};

/// The most groups of a connector whose nesting is read to find all members of one.
const MAX_GROUPS: usize = 2_000;

/// The pages of groups and of roles.
pub fn routes() -> Router<Console> {
    [Part::Groups, Part::Roles].into_iter().fold(Router::new(), |router, part| {
        let path = format!("/connectors/{{connector}}/{}/{{group}}", part.name().to_lowercase());
        router
            .route(&path, get(move |console, path, query| members(part, console, path, query)))
            .route(
                &format!("{path}/everyone"),
                get(move |console, path, query| everyone(part, console, path, query)),
            )
            .route(
                &format!("{path}/history"),
                get(move |console, path, query| history(part, console, path, query)),
            )
    })
}

/// The pages of a group, as the links between them list them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tab {
    Members,
    Everyone,
    History,
}

/// Reads the group or role of a path.
pub async fn read(opened: &Opened, part: Part, group: &str) -> Result<(ResourceId, GroupDetails), Problem> {
    let id = parse_id(group)?;
    let details = opened.view()?.group_details(id).await?;
    let is_of_part =
        |details: &GroupDetails| (details.group.kind == ResourceKind::Role) == (part == Part::Roles);
    let noun = if part == Part::Roles { "role" } else { "group" };
    let details = details.filter(is_of_part);
    Ok((id, details.ok_or_else(|| Problem::not_found(format!("There is no {noun} with the id {group}.")))?))
}

fn tabs(opened: &Opened, part: Part, id: ResourceId, present: Tab) -> Markup {
    let path = opened.page_of(part, id);
    let everyone = if part == Part::Roles { "Everyone who has it" } else { "Everyone in it" };
    let tabs = [
        (Tab::Members, "Members", path.clone()),
        (Tab::Everyone, everyone, format!("{path}/everyone")),
        (Tab::History, "History", format!("{path}/history")),
    ];
    html! {
        nav class="tabs" aria-label=(if part == Part::Roles { "Role" } else { "Group" }) {
            ul {
                @for (tab, name, path) in tabs {
                    li { a href=(path) aria-current=[(tab == present).then_some("page")] { (name) } }
                }
            }
        }
    }
}

async fn members(
    part: Part,
    State(console): State<Console>,
    Path((id, group)): Path<(String, String)>,
    query: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let (id, details) = read(&opened, part, &group).await?;
    let (view, after) = (opened.view()?, ResourceId::parse(query.get(AFTER)));
    let page = match part {
        Part::Roles => view.role_members(id, after, PAGE_SIZE).await?,
        _ => view.members(id, false, after, PAGE_SIZE).await?,
    };
    let content = html! {
        (tabs(&opened, part, id, Tab::Members))
        (about(&opened, &details))
        (group_edit::actions(&console, &opened, part, &details))
        h2 { "Members" }
        (list_members(&console, &opened, part, &details, page, after))
        (group_edit::add(&console, &opened, part, &details))
        @if part == Part::Groups { (belongs(&opened, &details)) }
    };
    Ok(console.page(&details.name, opened.section(part), content))
}

fn about(opened: &Opened, details: &GroupDetails) -> Markup {
    let group = &details.group;
    let stored = group.document.get("displayName").and_then(|name| name.as_str()).unwrap_or_default();
    html! {
        (facts([
            ("State", search::visibility(opened, details.hidden.as_ref())),
            ("Stored displayName", html! { (stored) }),
            ("Owner", html! { (owner(group.origin, &opened.id.to_string())) }),
            ("Created", time(group.created)),
            ("Last changed", time(group.last_modified)),
            ("Id", copyable("the id", &group.id.to_string())),
        ]))
    }
}

fn list_members(
    console: &Console,
    opened: &Opened,
    part: Part,
    details: &GroupDetails,
    page: EntryPage<MemberEntry>,
    after: Option<ResourceId>,
) -> Markup {
    let EntryPage { entries, next } = page;
    let path = opened.page_of(part, details.group.id);
    let sentence = match (after, next) {
        (None, None) => count(entries.len(), "member", "members"),
        (None, Some(_)) => {
            format!("The first {}, in the order of their ids", count(entries.len(), "member", "members"))
        }
        (Some(_), _) => {
            format!("The next {}, in the order of their ids", count(entries.len(), "member", "members"))
        }
    };
    let is_changeable = console.is_writable() && details.group.kind != ResourceKind::Group;
    let row = |(_, member): &(ResourceId, MemberEntry)| {
        let of_member = if member.kind == "user" { Part::Users } else { Part::Groups };
        let mut row = vec![
            html! { a href=(opened.page_of(of_member, &member.id)) { (member.name) } },
            html! { (member.kind) },
            search::visibility(opened, member.hidden.as_ref()),
        ];
        row.extend(is_changeable.then(|| group_edit::remove(console, opened, part, details, member)));
        row
    };
    let mut columns = vec!["Member", "Kind", "State"];
    columns.extend(is_changeable.then_some("Change"));
    let first = after.map(|_| path.clone());
    let next = next.map(|next| address(&path, &[(AFTER, &next.to_string())]));
    html! {
        p class="soft" { (sentence) }
        (table("Members", &columns, entries.iter().map(row).collect(), "No member."))
        (pager(first.as_deref(), next.as_deref()))
    }
}

/// The groups that contain a group, and the roles that it gives.
fn belongs(opened: &Opened, details: &GroupDetails) -> Markup {
    let row = |group: &GroupWithPath| {
        vec![
            html! { a href=(opened.page_of(Part::Groups, &group.group.id)) { (group.group.name) } },
            html! { @if group.path.is_empty() { "direct" } @else { "through " (links(opened, &group.path)) } },
            search::visibility(opened, group.hidden.as_ref()),
        ]
    };
    let role = |role: &directory::view::RoleWithSource| {
        vec![
            html! { a href=(opened.page_of(Part::Roles, &role.role.id)) { (role.role.name) } },
            html! { @if role.is_direct { "direct" } @else { "through " (links(opened, &role.through)) } },
        ]
    };
    html! {
        h2 { "Groups that contain it" }
        (table("Groups that contain it", &["Group", "How", "State"], details.belongs.groups.iter().map(row).collect(),
            "No group contains it."))
        h2 { "Roles of its members" }
        (table("Roles of its members", &["Role", "How"], details.belongs.roles.iter().map(role).collect(), "It has no role."))
        @if details.hidden.is_some() && !details.belongs.roles.is_empty() {
            p class="soft" { "The group is hidden, so it gives no roles." }
        }
    }
}

async fn everyone(
    part: Part,
    State(console): State<Console>,
    Path((id, group)): Path<(String, String)>,
    query: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let (id, details) = read(&opened, part, &group).await?;
    let groups = opened.directory().histogram(ResourceKind::Group, Counted::All).await?.total();
    let list = if groups > MAX_GROUPS {
        too_many_groups(&opened, part, &details, groups)
    } else {
        let after = ResourceId::parse(query.get(AFTER));
        let (text, mut filter) = (Some(id.to_string()), UserFilter::default());
        match part {
            Part::Roles => filter.role = text,
            _ => filter.group = text,
        }
        let page = opened.view()?.users(&filter, after, PAGE_SIZE).await?;
        list_everyone(&opened, &format!("{}/everyone", opened.page_of(part, id)), page, after)
    };
    let content = html! { (tabs(&opened, part, id, Tab::Everyone)) (list) };
    Ok(console.page(&details.name, opened.section(part), content))
}

fn too_many_groups(opened: &Opened, part: Part, details: &GroupDetails, groups: usize) -> Markup {
    let noun = if part == Part::Roles { "role" } else { "group" };
    let argument = shell_word(&details.name);
    notice(
        Tone::Warning,
        html! {
            p {
                "To find the members of groups in groups, all groups are read. This connector has " (format_number(groups))
                ", so this page leaves them out. To list everyone:"
            }
            p { code { "scimctl " (noun) " members " (opened.id) " " (argument) } }
        },
    )
}

/// A name as one word for a POSIX shell.
fn shell_word(name: &str) -> String {
    format!("'{}'", name.replace('\'', r"'\''"))
}

fn list_everyone(
    opened: &Opened,
    path: &str,
    page: EntryPage<UserEntry>,
    after: Option<ResourceId>,
) -> Markup {
    let EntryPage { entries, next } = page;
    let users = count(entries.len(), "user", "users");
    let sentence = match (after, next) {
        (None, None) => format!("{users}, also those in groups that are members"),
        (None, Some(_)) => {
            format!("The first {users}, in the order of their ids, also those in groups that are members")
        }
        (Some(_), _) => format!("The next {users}, in the order of their ids"),
    };
    let row = |(_, user): &(ResourceId, UserEntry)| {
        vec![
            html! { a href=(opened.page_of(Part::Users, &user.id)) { (user.username) } },
            html! { (user.display_name) },
            search::origin(user.origin),
            search::visibility(opened, user.hidden.as_ref()),
        ]
    };
    let next = next.map(|next| address(path, &[(AFTER, &next.to_string())]));
    html! {
        p class="soft" { (sentence) }
        (table("Everyone", &["Username", "Display name", "Origin", "State"], entries.iter().map(row).collect(), "Nobody."))
        (pager(after.map(|_| path), next.as_deref()))
    }
}

async fn history(
    part: Part,
    State(console): State<Console>,
    Path((id, group)): Path<(String, String)>,
    query: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let (id, details) = read(&opened, part, &group).await?;
    let path = format!("{}/history", opened.page_of(part, id));
    let content = html! {
        (tabs(&opened, part, id, Tab::History))
        (audit::history(&opened, &id.to_string(), &path, query.get(AFTER)).await?)
    };
    Ok(console.page(&details.name, opened.section(part), content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_one_word_for_a_shell() {
        assert_eq!(shell_word("Data Stewards"), "'Data Stewards'");
        assert_eq!(shell_word("it's; rm"), r"'it'\''s; rm'");
    }
}
