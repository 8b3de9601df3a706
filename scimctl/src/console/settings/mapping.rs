//! The mapping of attributes, with one real user before and after.

use directory::connectors::Connector;
use directory::settings::{Mapping, Settings};
use directory::view::MembershipNames;
use directory::{Directory, StoredUser};
use maud::{Markup, html};
use shared::resource::{ResourceId, ResourceKind};

use super::{choice, text_of, tick};
use crate::console::form::{Errors, Field, Fields};
use crate::console::page::{empty, table};
use crate::console::problem::Problem;
use crate::context::Context;
use crate::open_directory::entry_maker;
use crate::user::user_name;

const USERNAME: &str = "mapping.username";
const FROM_EMAIL: &str = "mapping.username-from-email";
const CASE: &str = "mapping.username-case";
const FIRST_NAME: &str = "mapping.first-name";
const LAST_NAME: &str = "mapping.last-name";
const EMAIL: &str = "mapping.email";
const DISPLAY_NAME: &str = "mapping.display-name";
const GROUP_NAME: &str = "mapping.group-name";

/// The settings of this page.
pub const FIELDS: [&str; 8] =
    [FROM_EMAIL, CASE, USERNAME, FIRST_NAME, LAST_NAME, EMAIL, DISPLAY_NAME, GROUP_NAME];
/// The field with the user of the preview. It is no setting.
pub const SAMPLE: &str = "sample";

/// The fields with the values of these settings.
pub fn draw(settings: &Settings, errors: &Errors) -> Markup {
    let mapping = &settings.mapping;
    let path = |name, label, value| Field { name, label, hint: "", value }.text(errors);
    let cases =
        [("as-is", "As the identity provider sends it"), ("lower", "Lower case"), ("upper", "Upper case")];
    let display_names = [
        ("given-or-names", "displayName or, if it is missing, first and last name"),
        ("names", "First and last name"),
    ];
    html! {
        p {
            "Paths of attributes, as in SCIM: " code { "userName" } ", " code { "name.givenName" } ", "
            code { "emails[type eq \"work\"].value" } "."
        }
        (path(USERNAME, "Username", &mapping.username))
        (Field {
            name: FROM_EMAIL,
            label: "Only the part before the @",
            hint: "If two users get the same username, only the one who was created first is shown",
            value: tick(mapping.username_from_email),
        }.checkbox(errors))
        (Field { name: CASE, label: "Case of usernames", hint: "", value: &text_of(&mapping.username_case) }.select(&cases, errors))
        (path(FIRST_NAME, "First name", &mapping.first_name))
        (path(LAST_NAME, "Last name", &mapping.last_name))
        (path(EMAIL, "Email address", &mapping.email))
        (Field { name: DISPLAY_NAME, label: "Display name", hint: "", value: &text_of(&mapping.display_name) }
            .select(&display_names, errors))
        (path(GROUP_NAME, "Name of a group", &mapping.group_name))
        (Field {
            name: SAMPLE,
            label: "User for the preview (optional)",
            hint: "The userName or id of a user. By default the first user of the directory",
            value: "",
        }.text(errors))
    }
}

/// Reads the form.
pub fn read(fields: &Fields, present: &Settings, errors: &mut Errors) -> Settings {
    let text = |name: &str| fields.get(name).to_owned();
    let before = &present.mapping;
    let mapping = Mapping {
        username: text(USERNAME),
        username_from_email: fields.has(FROM_EMAIL),
        username_case: choice(fields, CASE, before.username_case, errors),
        first_name: text(FIRST_NAME),
        last_name: text(LAST_NAME),
        email: text(EMAIL),
        display_name: choice(fields, DISPLAY_NAME, before.display_name, errors),
        group_name: text(GROUP_NAME),
    };
    Settings { mapping, ..present.clone() }
}

/// Shows one user with the present settings and with these.
pub async fn sample(
    context: &Context,
    connector: &Connector,
    settings: &Settings,
    user: &str,
) -> Result<Markup, Problem> {
    let id = connector.id.to_string();
    let directory = context.directory_with_deadline(connector.clone());
    let Some(found) = find(&directory, user).await? else {
        return Ok(html! {
            h2 { "A real user" }
            @if user.is_empty() {
                (empty("There is no user yet. When the identity provider has sent some, check the mapping with one of them."))
            } @else {
                (empty(&format!("There is no user {user}.")))
            }
        });
    };
    let entry = |settings: &Settings| {
        let maker = entry_maker(&id, settings)?;
        Ok::<_, Problem>(maker.entry(&found.stored, MembershipNames::default(), None))
    };
    let (before, after) = (entry(&connector.record.settings)?, entry(settings)?);
    let hidden = |reason: &Option<directory::view::Hidden>| {
        reason.as_ref().map_or_else(|| "no".to_owned(), ToString::to_string)
    };
    let from_email = if settings.mapping.username_from_email { ", the part before the @" } else { "" };
    let rows = [
        (
            "Username",
            Some(before.username),
            Some(after.username),
            format!("{}{from_email}", settings.mapping.username),
        ),
        ("First name", before.first_name, after.first_name, settings.mapping.first_name.clone()),
        ("Last name", before.last_name, after.last_name, settings.mapping.last_name.clone()),
        ("Email address", before.email, after.email, settings.mapping.email.clone()),
        (
            "Display name",
            Some(before.display_name),
            Some(after.display_name),
            text_of(&settings.mapping.display_name),
        ),
        ("Hidden", Some(hidden(&before.hidden)), Some(hidden(&after.hidden)), "rules and mapping".to_owned()),
    ];
    let rows = rows.into_iter().map(|(label, before, after, source)| {
        let is_changed = before != after;
        let value = |value: Option<String>| value.filter(|value| !value.is_empty());
        vec![
            html! { (label) },
            html! { (value(before).as_deref().unwrap_or("(none)")) },
            html! {
                @let after = value(after);
                @if is_changed { strong { (after.as_deref().unwrap_or("(none)")) } } @else { (after.as_deref().unwrap_or("(none)")) }
            },
            html! { code { (source) } },
        ]
    });
    let name = user_name(&found.stored.resource.document);
    Ok(html! {
        h2 { "A real user" }
        (table(&format!("The user {name}"), &["Field", "Now", "With these settings", "Made from"], rows.collect(), ""))
    })
}

/// Finds the user by userName or id, or the first one. It never reads more than one page.
async fn find(directory: &Directory, user: &str) -> Result<Option<StoredUser>, Problem> {
    if user.is_empty() {
        let first = directory.queries().walk(ResourceKind::User).next().await?;
        return Ok(first.and_then(|users| users.into_iter().next()));
    }
    let id = match directory.find_by_name(ResourceKind::User, user).await? {
        Some(id) => Some(id),
        None => ResourceId::parse(user),
    };
    match id {
        Some(id) => Ok(directory.user_or_retained(id).await?),
        None => Ok(None),
    }
}
