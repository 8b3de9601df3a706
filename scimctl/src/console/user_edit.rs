//! Changes of users by hand: local users are created, changed and deleted; every user can get a display name, local groups and roles.
//! Each change is the one of a `scimctl user`, `group` or `role` command, with its checks and its audit record.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use directory::view::{NamedGroup, Person};
use http::StatusCode;
use maud::{Markup, html};
use shared::resource::{Origin, ResourceId, ResourceKind};

use super::Console;
use super::form::{Errors, Field, Fields, button, check_confirmation, confirmation};
use super::opened::{Opened, parse_id};
use super::page::{Part, Tone, notice, redirect};
use super::problem::Problem;
use super::user::{read, title};
use crate::failure::Failure;
use crate::group::{Added, FoundGroup, find_group, find_role, join as add_to, leave as remove_from};
use crate::orphaned;
use crate::user::{UserAttributes, new_document, user_name};

/// The fields of the forms.
const USER_NAME: &str = "user_name";
const FIRST_NAME: &str = "first_name";
const LAST_NAME: &str = "last_name";
const DISPLAY_NAME: &str = "display_name";
const EMAIL: &str = "email";
const NAME: &str = "name";
const GROUP: &str = "group";
const ROLE: &str = "role";
const ORPHANED: &str = "orphaned";

/// The pages.
pub fn routes() -> Router<Console> {
    Router::new()
        .route("/connectors/{connector}/users/new", get(new).post(create))
        .route("/connectors/{connector}/users/{user}/edit", get(edit).post(update))
        .route("/connectors/{connector}/users/{user}/delete", get(confirm_deletion).post(delete))
        .route("/connectors/{connector}/users/{user}/{part}/join", post(join_one))
        .route("/connectors/{connector}/users/{user}/{part}/leave", post(leave_one))
}

/// A page with a form that is shown again, because a field is wrong or the directory refused the change.
pub fn again(mut response: Response, errors: &Errors) -> Response {
    if !errors.is_empty() {
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    response
}

/// The links to the forms of a user.
pub fn actions(console: &Console, opened: &Opened, person: &Person) -> Markup {
    let path = opened.page_of(Part::Users, &person.user.id);
    html! {
        @if console.is_writable() {
            p class="actions" {
                a class="button second" href={ (path) "/edit" } {
                    @match person.stored.resource.origin {
                        Origin::Local => "Change",
                        Origin::Scim => "Set the display name",
                    }
                }
                a class="button second" href={ (path) "/delete" } { "Delete" }
            }
        }
    }
}

/// The values of the form of a local user.
struct Form {
    user_name: String,
    attributes: UserAttributes,
}

impl Form {
    fn of(fields: &Fields) -> Self {
        let text = |name| Some(fields.get(name).to_owned());
        Self {
            user_name: fields.get(USER_NAME).to_owned(),
            attributes: UserAttributes {
                first_name: text(FIRST_NAME),
                last_name: text(LAST_NAME),
                display_name: text(DISPLAY_NAME),
                email: text(EMAIL),
            },
        }
    }

    fn fields(&self, errors: &Errors) -> Markup {
        let UserAttributes { first_name, last_name, display_name, email } = &self.attributes;
        let field = |name, label, hint, value: &Option<String>| {
            Field { name, label, hint, value: value.as_deref().unwrap_or_default() }.text(errors)
        };
        html! {
            (field(FIRST_NAME, "First name", "", first_name))
            (field(LAST_NAME, "Last name", "", last_name))
            (field(DISPLAY_NAME, "Display name", "By default the first and last name", display_name))
            (field(EMAIL, "Email address", "", email))
        }
    }
}

async fn new(State(console): State<Console>, Path(id): Path<String>) -> Result<Response, Problem> {
    console.require_write()?;
    let opened = Opened::read(&console, &id).await?;
    let form = Form { user_name: String::new(), attributes: UserAttributes::default() };
    Ok(creation(&console, &opened, &form, &Errors::default()))
}

fn creation(console: &Console, opened: &Opened, form: &Form, errors: &Errors) -> Response {
    let name = Field {
        name: USER_NAME,
        label: "userName",
        hint: "If the identity provider creates a user with this userName later, it takes this user over, with its groups and roles",
        value: &form.user_name,
    };
    let content = html! {
        (errors.summary())
        (console.form(&format!("{}/new", opened.path(Part::Users)), html! {
            (name.text(errors))
            (form.fields(errors))
            (button("create", "Create the user"))
        }))
    };
    again(console.page("Create a local user", opened.section(Part::Users), content), errors)
}

async fn create(
    State(console): State<Console>,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let form = Form::of(&fields);
    if form.user_name.is_empty() {
        return Ok(creation(&console, &opened, &form, &Errors::of(USER_NAME, "Enter the userName")));
    }
    let created = match form.attributes.apply_to(&new_document(&form.user_name)) {
        Ok(document) => opened.directory().create_user(document).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(user) => Ok(redirect(&opened.page_of(Part::Users, user.id))),
        Err(error) => {
            let Failure(sentence) = error.into();
            Ok(creation(&console, &opened, &form, &Errors::of(USER_NAME, sentence)))
        }
    }
}

async fn edit(
    State(console): State<Console>,
    Path((id, user)): Path<(String, String)>,
) -> Result<Response, Problem> {
    console.require_write()?;
    let opened = Opened::read(&console, &id).await?;
    let person = read(&opened, &user).await?;
    let attributes = present_attributes(&person);
    Ok(change(&console, &opened, &person, attributes, &Errors::default()))
}

/// The values that the form of a user shows first. Of a user of the identity provider, operators set only the display name.
fn present_attributes(person: &Person) -> UserAttributes {
    match person.stored.resource.origin {
        Origin::Local => UserAttributes::of(&person.stored.resource.document),
        Origin::Scim => {
            UserAttributes { display_name: person.stored.shown_name.clone(), ..UserAttributes::default() }
        }
    }
}

fn change(
    console: &Console,
    opened: &Opened,
    person: &Person,
    attributes: UserAttributes,
    errors: &Errors,
) -> Response {
    let form = Form { user_name: String::new(), attributes };
    let name = Field {
        name: DISPLAY_NAME,
        label: "Display name",
        hint: "It wins over the names that the identity provider sends. Without one, their names are shown",
        value: form.attributes.display_name.as_deref().unwrap_or_default(),
    };
    let content = html! {
        (errors.summary())
        (console.form(&format!("{}/edit", opened.page_of(Part::Users, &person.user.id)), html! {
            @match person.stored.resource.origin {
                Origin::Local => (form.fields(errors)),
                Origin::Scim => (name.text(errors)),
            }
            (button("save", "Save"))
        }))
    };
    let title = format!("Change {}", title(person));
    again(console.page(&title, opened.section(Part::Users), content), errors)
}

async fn update(
    State(console): State<Console>,
    Path((id, user)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let person = read(&opened, &user).await?;
    let Form { attributes, .. } = Form::of(&fields);
    let (directory, user) = (opened.directory(), person.stored.resource.id);
    let result = match person.stored.resource.origin {
        Origin::Local => {
            let changes = attributes.clone().changes_from(present_attributes(&person));
            directory.change_user(user, None, |document| changes.apply_to(document)).await.map(drop)
        }
        Origin::Scim => {
            let name = attributes.display_name.as_deref().filter(|name| !name.is_empty());
            directory.set_display_name(user, name).await.map(drop)
        }
    };
    match result {
        Ok(()) => Ok(redirect(&opened.page_of(Part::Users, user))),
        Err(error) => {
            let Failure(sentence) = error.into();
            Ok(change(&console, &opened, &person, attributes, &Errors::of(DISPLAY_NAME, sentence)))
        }
    }
}

async fn confirm_deletion(
    State(console): State<Console>,
    Path((id, user)): Path<(String, String)>,
) -> Result<Response, Problem> {
    console.require_write()?;
    let opened = Opened::read(&console, &id).await?;
    let person = read(&opened, &user).await?;
    let is_used =
        orphaned::is_used(opened.directory(), ResourceKind::User, person.stored.resource.id).await?;
    let name = user_name(&person.stored.resource.document);
    Ok(deletion(
        &console,
        &opened,
        (Part::Users, person.stored.resource.id, name),
        is_used,
        &Errors::default(),
    ))
}

/// The page that asks before a user, group or role is deleted. `is_used` says that the identity provider still uses it.
pub fn deletion(
    console: &Console,
    opened: &Opened,
    (part, id, name): (Part, ResourceId, &str),
    is_used: bool,
    errors: &Errors,
) -> Response {
    let abandoned =
        Field { name: ORPHANED, label: "The identity provider no longer manages it", hint: "", value: "" };
    let content = html! {
        (errors.summary())
        p { "This deletes " strong { (name) } ", with all its memberships. It cannot be undone." }
        @if is_used {
            (notice(Tone::Warning, html! {
                p {
                    "It belongs to the identity provider of connector " (opened.id) ", which has not deactivated or deleted it. An identity \
                     provider that still manages it can get 404. Delete it in the identity provider instead, if you can."
                }
            }))
        }
        (console.form(&format!("{}/delete", opened.page_of(part, id)), html! {
            @if is_used {
                @if !opened.open.is_disabled { (abandoned.checkbox(errors)) }
                (confirmation("the name", name, errors))
            }
            p class="actions" {
                button type="submit" class="danger" name="delete" value="true" { "Delete " (name) }
                a href=(opened.page_of(part, id)) { "Cancel" }
            }
        }))
    };
    again(console.page(&format!("Delete {name}"), opened.section(part), content), errors)
}

/// Deletes a user, group or role if the form of [`deletion`] confirms it.
pub async fn delete_confirmed(
    console: &Console,
    opened: &Opened,
    kind: ResourceKind,
    (part, id, name): (Part, ResourceId, &str),
    fields: &Fields,
) -> Result<Response, Problem> {
    let is_used = orphaned::is_used(opened.directory(), kind, id).await?;
    let mut errors = Errors::default();
    if is_used {
        errors = check_confirmation(fields, name).err().unwrap_or_default();
        if !fields.has(ORPHANED) && !opened.open.is_disabled {
            errors.add(ORPHANED, "Say that the identity provider no longer manages it, or delete it there");
        }
    }
    if !errors.is_empty() {
        return Ok(deletion(console, opened, (part, id, name), is_used, &errors));
    }
    orphaned::delete(opened.directory(), kind, id, is_used).await?;
    Ok(redirect(&opened.path(part)))
}

async fn delete(
    State(console): State<Console>,
    Path((id, user)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let person = read(&opened, &user).await?;
    let name = user_name(&person.stored.resource.document);
    let named = (Part::Users, person.stored.resource.id, name);
    delete_confirmed(&console, &opened, ResourceKind::User, named, &fields).await
}

/// The form that adds a user to a local group, or gives it a role. `part` says which.
pub fn join(console: &Console, opened: &Opened, part: Part, user: &str) -> Markup {
    join_again(console, opened, part, user, "", &Errors::default())
}

fn join_again(
    console: &Console,
    opened: &Opened,
    part: Part,
    user: &str,
    name: &str,
    errors: &Errors,
) -> Markup {
    let (label, hint, verb) = match part {
        Part::Roles => ("Role", "Its name", "Give the role"),
        _ => ("Local group", "Its name or id", "Add to the group"),
    };
    let path = format!("{}/{}/join", opened.page_of(Part::Users, user), word(part));
    console.form(
        &path,
        html! {
            (Field { name: field(part), label, hint, value: name }.text(errors))
            (button("join", verb))
        },
    )
}

/// A button that takes a user out of a local group, or withdraws a role.
pub fn leave(
    console: &Console,
    opened: &Opened,
    part: Part,
    user: &str,
    group: &NamedGroup,
    verb: &str,
) -> Markup {
    let path = format!("{}/{}/leave", opened.page_of(Part::Users, user), word(part));
    console.form(&path, html! {
        input type="hidden" name=(NAME) value=(group.id);
        button type="submit" class="second" name="leave" value="true" aria-label={ (verb) " " (group.name) } { (verb) }
    })
}

/// The field of the form of [`join`]. A page has two of them, and each needs an id of its own.
fn field(part: Part) -> &'static str {
    if part == Part::Roles { ROLE } else { GROUP }
}

/// The part as a word in paths.
fn word(part: Part) -> &'static str {
    if part == Part::Roles { "roles" } else { "groups" }
}

fn parse_part(part: &str) -> Result<Part, Problem> {
    match part {
        "groups" => Ok(Part::Groups),
        "roles" => Ok(Part::Roles),
        _ => Err(Problem::not_found("The console has no such page.")),
    }
}

async fn join_one(
    State(console): State<Console>,
    Path((id, user, part)): Path<(String, String, String)>,
    fields: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let part = parse_part(&part)?;
    let name = fields.get(field(part));
    let error = match try_join(&opened, part, name, &user).await {
        Ok(Added { skipped, .. }) if skipped.is_empty() => {
            return Ok(redirect(&opened.page_of(Part::Users, &user)));
        }
        Ok(_) => "The user is deactivated, so it cannot join a group or get a role".to_owned(),
        Err(Failure(sentence)) => sentence,
    };
    let person = read(&opened, &user).await?;
    let errors = Errors::of(field(part), error);
    let content = html! {
        (errors.summary())
        (join_again(&console, &opened, part, &user, name, &errors))
    };
    Ok(again(console.page(title(&person), opened.section(Part::Users), content), &errors))
}

async fn try_join(opened: &Opened, part: Part, name: &str, user: &str) -> Result<Added, Failure> {
    if name.is_empty() {
        return Err(Failure("Enter a name".to_owned()));
    }
    let found = match part {
        Part::Roles => find_role(&opened.open, name).await?,
        _ => find_group(&opened.open, name).await?,
    };
    add_to(&opened.open, &found, &[user.to_owned()]).await
}

async fn leave_one(
    State(console): State<Console>,
    Path((id, user, part)): Path<(String, String, String)>,
    fields: Fields,
) -> Result<Response, Problem> {
    let opened = Opened::read(&console, &id).await?;
    let group = parse_id(fields.get(NAME))?;
    let kind = match parse_part(&part)? {
        Part::Roles => ResourceKind::Role,
        _ => ResourceKind::LocalGroup,
    };
    // The group is read first: without one, the change would be refused with the id of the user.
    opened.directory().group(kind, group).await?;
    let found = FoundGroup { kind, id: group, entered: group.to_string() };
    let removed = remove_from(&opened.open, &found, std::slice::from_ref(&user)).await;
    removed.map_err(|Failure(sentence)| Problem::conflict(sentence))?;
    Ok(redirect(&opened.page_of(Part::Users, user)))
}
