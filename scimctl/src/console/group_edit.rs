//! Changes of local groups and roles by hand: create, rename, delete, add and remove members, give and withdraw roles. Each change is
//! the one of a `scimctl group` or `role` command, with its checks and its audit record.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use directory::view::{GroupDetails, MemberEntry};
use maud::{Markup, html};
use shared::resource::{ResourceId, ResourceKind};

use super::Console;
use super::form::{Errors, Field, Fields, button};
use super::group::read;
use super::opened::Opened;
use super::page::{Part, redirect};
use super::problem::Problem;
use super::user_edit::{again, delete_confirmed, deletion};
use crate::failure::Failure;
use crate::group::{self, Added, FoundGroup, display_name, new_document};
use crate::orphaned;

const NAME: &str = "name";
const MEMBER: &str = "member";

/// The pages of groups and of roles.
pub fn routes() -> Router<Console> {
    [Part::Groups, Part::Roles].into_iter().fold(Router::new(), |router, part| {
        let list = format!("/connectors/{{connector}}/{}", part.name().to_lowercase());
        let one = format!("{list}/{{group}}");
        router
            .route(
                &format!("{list}/new"),
                get(move |console, path| new(part, console, path))
                    .post(move |console, path, fields| create(part, console, path, fields)),
            )
            .route(
                &format!("{one}/delete"),
                get(move |console, path| confirm_deletion(part, console, path))
                    .post(move |console, path, fields| delete(part, console, path, fields)),
            )
            .route(
                &format!("{one}/rename"),
                get(move |console, path| rename(part, console, path))
                    .post(move |console, path, fields| set_name(part, console, path, fields)),
            )
            .route(
                &format!("{one}/add"),
                post(move |console, path, fields| add_member(part, console, path, fields)),
            )
            .route(
                &format!("{one}/remove"),
                post(move |console, path, fields| remove_member(part, console, path, fields)),
            )
    })
}

/// One group, as a command on it expects it.
fn found(details: &GroupDetails) -> FoundGroup {
    FoundGroup { kind: details.group.kind, id: details.group.id, entered: details.name.clone() }
}

fn noun(part: Part) -> &'static str {
    if part == Part::Roles { "role" } else { "local group" }
}

/// The links to the forms of a group or role. Operators rename only local groups, and delete every kind.
pub fn actions(console: &Console, opened: &Opened, part: Part, details: &GroupDetails) -> Markup {
    let path = opened.page_of(part, details.group.id);
    html! {
        @if console.is_writable() {
            p class="actions" {
                @if details.group.kind == ResourceKind::LocalGroup { a class="button second" href={ (path) "/rename" } { "Rename" } }
                a class="button second" href={ (path) "/delete" } { "Delete" }
            }
        }
    }
}

fn name_form(
    console: &Console,
    opened: &Opened,
    (part, path, title, verb): (Part, String, String, &str),
    name: &str,
    errors: &Errors,
) -> Response {
    let content = html! {
        (errors.summary())
        (console.form(&path, html! {
            (Field { name: NAME, label: "Name", hint: "", value: name }.text(errors))
            (button("save", verb))
        }))
    };
    again(console.page(&title, opened.section(part), content), errors)
}

fn creation(console: &Console, opened: &Opened, part: Part, name: &str, errors: &Errors) -> Response {
    let (path, title) = (format!("{}/new", opened.path(part)), format!("Create a {}", noun(part)));
    name_form(console, opened, (part, path, title, "Create"), name, errors)
}

async fn new(
    part: Part,
    State(console): State<Console>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    console.require_write()?;
    let opened = Opened::read(&console, &id).await?;
    Ok(creation(&console, &opened, part, "", &Errors::default()))
}

async fn create(
    part: Part,
    State(console): State<Console>,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let name = fields.get(NAME);
    if name.is_empty() {
        return Ok(creation(&console, &opened, part, name, &Errors::of(NAME, "Enter a name")));
    }
    let kind = if part == Part::Roles { ResourceKind::Role } else { ResourceKind::LocalGroup };
    let created = match new_document(kind, name) {
        Ok(document) => opened.directory().create_group(kind, document, Vec::new()).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(created) => Ok(redirect(&opened.page_of(part, created.group.id))),
        Err(error) => {
            let Failure(sentence) = error.into();
            Ok(creation(&console, &opened, part, name, &Errors::of(NAME, sentence)))
        }
    }
}

fn renaming(
    console: &Console,
    opened: &Opened,
    (part, details): (Part, &GroupDetails),
    name: &str,
    errors: &Errors,
) -> Response {
    let path = format!("{}/rename", opened.page_of(part, details.group.id));
    name_form(console, opened, (part, path, format!("Rename {}", details.name), "Rename"), name, errors)
}

async fn rename(
    part: Part,
    State(console): State<Console>,
    Path((id, group)): Path<(String, String)>,
) -> Result<Response, Problem> {
    console.require_write()?;
    let opened = Opened::read(&console, &id).await?;
    let (_, details) = read(&opened, part, &group).await?;
    Ok(renaming(&console, &opened, (part, &details), display_name(&details.group), &Errors::default()))
}

async fn set_name(
    part: Part,
    State(console): State<Console>,
    Path((id, group)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let (id, details) = read(&opened, part, &group).await?;
    let name = fields.get(NAME);
    if name.is_empty() {
        return Ok(renaming(&console, &opened, (part, &details), name, &Errors::of(NAME, "Enter a name")));
    }
    match group::set_name(&opened.open, &found(&details), name).await {
        Ok(()) => Ok(redirect(&opened.page_of(part, id))),
        Err(Failure(sentence)) => {
            Ok(renaming(&console, &opened, (part, &details), name, &Errors::of(NAME, sentence)))
        }
    }
}

async fn confirm_deletion(
    part: Part,
    State(console): State<Console>,
    Path((id, group)): Path<(String, String)>,
) -> Result<Response, Problem> {
    console.require_write()?;
    let opened = Opened::read(&console, &id).await?;
    let (id, details) = read(&opened, part, &group).await?;
    let is_used = orphaned::is_used(opened.directory(), details.group.kind, id).await?;
    Ok(deletion(&console, &opened, (part, id, &details.name), is_used, &Errors::default()))
}

async fn delete(
    part: Part,
    State(console): State<Console>,
    Path((id, group)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let (id, details) = read(&opened, part, &group).await?;
    delete_confirmed(&console, &opened, details.group.kind, (part, id, &details.name), &fields).await
}

/// The form that adds a member. A group of the identity provider has none.
pub fn add(console: &Console, opened: &Opened, part: Part, details: &GroupDetails) -> Markup {
    match details.group.kind {
        ResourceKind::Group if console.is_writable() => html! {
            p class="soft" { "The identity provider decides about the members of this group." }
        },
        ResourceKind::Group => html! {},
        _ => add_again(console, opened, (part, details.group.id), "", &Errors::default()),
    }
}

fn add_again(
    console: &Console,
    opened: &Opened,
    (part, id): (Part, ResourceId),
    member: &str,
    errors: &Errors,
) -> Markup {
    let (label, hint, verb) = match part {
        Part::Roles => ("User or group", "userName, name of a group, or id", "Give the role"),
        _ => ("User or group", "userName, name of a group of the identity provider, or id", "Add"),
    };
    console.form(
        &format!("{}/add", opened.page_of(part, id)),
        html! {
            (Field { name: MEMBER, label, hint, value: member }.text(errors))
            (button("add", verb))
        },
    )
}

/// The button that removes a member.
pub fn remove(
    console: &Console,
    opened: &Opened,
    part: Part,
    details: &GroupDetails,
    member: &MemberEntry,
) -> Markup {
    let verb = if part == Part::Roles { "Withdraw" } else { "Remove" };
    console.form(&format!("{}/remove", opened.page_of(part, details.group.id)), html! {
        input type="hidden" name=(MEMBER) value=(member.id);
        button type="submit" class="second" name="remove" value="true" aria-label={ (verb) " " (member.name) } { (verb) }
    })
}

async fn add_member(
    part: Part,
    State(console): State<Console>,
    Path((id, group)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let (id, details) = read(&opened, part, &group).await?;
    let member = fields.get(MEMBER);
    let added = match member {
        "" => Err(Failure("Enter a user or group".to_owned())),
        member => group::join(&opened.open, &found(&details), &[member.to_owned()]).await,
    };
    let sentence = match added {
        Ok(Added { skipped, .. }) if skipped.is_empty() => return Ok(redirect(&opened.page_of(part, id))),
        Ok(_) => format!("{member} is a deactivated user, and is not added"),
        Err(Failure(sentence)) => sentence,
    };
    let errors = Errors::of(MEMBER, sentence);
    let content = html! {
        (errors.summary())
        (add_again(&console, &opened, (part, id), member, &errors))
        p { a href=(opened.page_of(part, id)) { "Back to " (details.name) } }
    };
    Ok(again(console.page(&details.name, opened.section(part), content), &errors))
}

async fn remove_member(
    part: Part,
    State(console): State<Console>,
    Path((id, group)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let (id, details) = read(&opened, part, &group).await?;
    let member = fields.get(MEMBER).to_owned();
    let removed = group::leave(&opened.open, &found(&details), &[member]).await;
    removed.map_err(|Failure(sentence)| Problem::conflict(sentence))?;
    Ok(redirect(&opened.page_of(part, id)))
}
