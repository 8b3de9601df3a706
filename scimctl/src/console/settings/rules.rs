//! Inclusions and exclusions.

use directory::settings::{Rules, Settings};
use maud::{Markup, html};

use crate::console::form::{Errors, Field, Fields};

/// The settings of this page.
pub const FIELDS: [&str; 4] =
    ["rules.include-users", "rules.exclude-users", "rules.include-groups", "rules.exclude-groups"];

/// The fields with the values of these settings.
pub fn draw(settings: &Settings, errors: &Errors) -> Markup {
    let Rules { include_users, exclude_users, include_groups, exclude_groups } = &settings.rules;
    let everyone = "Empty means everyone";
    let fields = [
        (FIELDS[0], "Users to show", everyone, include_users),
        (FIELDS[1], "Users to hide", "These win over the users to show", exclude_users),
        (FIELDS[2], "Groups to show", "Empty means all groups", include_groups),
        (FIELDS[3], "Groups to hide", "These win over the groups to show", exclude_groups),
    ];
    html! {
        p {
            "One name or pattern on each line. " code { "*" } " stands for any characters. Upper and lower case are the same. Rules hide users \
             and groups of the identity provider from applications. They refuse nothing and delete nothing."
        }
        @for (name, label, hint, patterns) in fields {
            (Field { name, label, hint, value: &patterns.join("\n") }.lines(errors))
        }
    }
}

/// Reads the form.
pub fn read(fields: &Fields, present: &Settings) -> Settings {
    let [include_users, exclude_users, include_groups, exclude_groups] =
        FIELDS.map(|name| fields.lines(name));
    let rules = Rules { include_users, exclude_users, include_groups, exclude_groups };
    Settings { rules, ..present.clone() }
}
