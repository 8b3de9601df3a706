//! What the connector does: deactivation, DELETE, limits, and what is recorded.

use directory::settings::Settings;
use maud::{Markup, html};

use super::{choice, text_of, tick};
use crate::console::form::{Errors, Field, Fields};

const ON_DEACTIVATE: &str = "on-deactivate";
const ON_DELETE: &str = "on-delete";
const ATTRIBUTE_ONLY: &str = "attribute-only";
const STRICT: &str = "strict";
const LINK_BY_EMAIL: &str = "link-by-email";
const AUDIT_DAYS: &str = "audit-days";
const TOKEN_MINUTES: &str = "token-minutes";
const TRAIL: &str = "trail";

/// The settings of this page.
pub const FIELDS: [&str; 8] =
    [ON_DEACTIVATE, ON_DELETE, ATTRIBUTE_ONLY, STRICT, LINK_BY_EMAIL, AUDIT_DAYS, TOKEN_MINUTES, TRAIL];

/// The fields with the values of these settings.
pub fn draw(settings: &Settings, errors: &Errors) -> Markup {
    let on_deactivate =
        [("leave-groups", "The user leaves all groups"), ("keep-groups", "The memberships stay (for Entra)")];
    let on_delete = [
        ("delete", "The user or group is deleted"),
        ("deactivate", "A user stays as a hidden user, a group is deleted"),
        ("refuse", "DELETE gets 405"),
    ];
    let trail = [("failures", "Requests that failed"), ("all", "All requests")];
    let select = |name, label, value: String, choices: &[(&str, &str)]| {
        Field { name, label, hint: "", value: &value }.select(choices, errors)
    };
    let checkbox =
        |name, label, hint, value| Field { name, label, hint, value: tick(value) }.checkbox(errors);
    let number =
        |name, label, hint, value: u32| Field { name, label, hint, value: &value.to_string() }.text(errors);
    html! {
        (select(ON_DEACTIVATE, "When a user is deactivated", text_of(&settings.on_deactivate), &on_deactivate))
        (select(ON_DELETE, "When the identity provider deletes a user or group", text_of(&settings.on_delete), &on_delete))
        (checkbox(ATTRIBUTE_ONLY, "The identity provider updates users, but creates none", "", settings.attribute_only))
        (checkbox(STRICT, "Requests must follow the SCIM interoperability profile", "Okta and Entra do not follow it", settings.strict))
        (checkbox(
            LINK_BY_EMAIL,
            "Link new users to local users by email address",
            "Only if no local user has the userName",
            settings.link_by_email,
        ))
        (number(AUDIT_DAYS, "Days that audit records are kept", "1 to 3653", settings.audit_days))
        (number(TOKEN_MINUTES, "Minutes that an access token is valid", "60 to 360", settings.token_minutes))
        (select(TRAIL, "Which requests are recorded for 7 days", text_of(&settings.trail), &trail))
    }
}

/// Reads the form.
pub fn read(fields: &Fields, present: &Settings, errors: &mut Errors) -> Settings {
    let mut number = |name, present: u32| match fields.get(name).parse() {
        Ok(number) => number,
        Err(_) => {
            errors.add(name, format!("{name} is {:?}, and must be a whole number", fields.get(name)));
            present
        }
    };
    let (audit_days, token_minutes) =
        (number(AUDIT_DAYS, present.audit_days), number(TOKEN_MINUTES, present.token_minutes));
    Settings {
        on_deactivate: choice(fields, ON_DEACTIVATE, present.on_deactivate, errors),
        on_delete: choice(fields, ON_DELETE, present.on_delete, errors),
        attribute_only: fields.has(ATTRIBUTE_ONLY),
        strict: fields.has(STRICT),
        link_by_email: fields.has(LINK_BY_EMAIL),
        audit_days,
        token_minutes,
        trail: choice(fields, TRAIL, present.trail, errors),
        ..present.clone()
    }
}
