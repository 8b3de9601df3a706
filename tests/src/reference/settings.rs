//! The page of the settings of a connector. Names, defaults and values follow from the code; a sentence says what each setting does.

use std::fmt::Write as _;

use directory::settings::Settings;
use serde_json::{Value, json};
use shared::schema::Schemas;

use super::GENERATED;

const MEANINGS: &[(&str, &str)] = &[
    (
        "on-deactivate",
        "What happens to the memberships of a deactivated user. `leave-groups`: it leaves all groups and loses all roles. If the client activates the user again, it sends the memberships of its own groups, if it does that; roles and memberships of local groups are not restored. `keep-groups`: all of them stay, for clients that send memberships only once",
    ),
    (
        "on-delete",
        "What DELETE does. `delete`: the resource is deleted. `deactivate`: a user is hidden and stays until `scimctl user delete`; a group is deleted. `refuse`: DELETE of a user or group gets 405. With `strict=true`, it must be `delete`",
    ),
    ("attribute-only", "`true`: the client can update existing users, and cannot create any (403)"),
    (
        "strict",
        "`true`: what the SCIM interoperability profile forbids gets 400. See [Strict connectors](../trust/conformance.md#scim-20-interoperability-profile). Leave it `false` for Okta and Entra ID",
    ),
    (
        "link-by-email",
        "`true`: if the client creates a user whose userName does not exist, and exactly one local user has its work or primary email address, this local user becomes the client's. With two such local users, the client gets 409. Turn it on only if you trust the client's email addresses: a linked user keeps the roles of the local user",
    ),
    ("audit-days", "How many days audit records are kept. It applies to later records"),
    (
        "trail",
        "Which requests the request trail keeps for 7 days: `failures`, or `all`. See [See what happens](../operate/requests.md)",
    ),
    (
        "token-minutes",
        "How many minutes an access token of the token endpoint is valid. See [OAuth 2.0](../oauth.md)",
    ),
    ("rules.include-users", "Only these users are shown. An empty list means everyone"),
    ("rules.exclude-users", "These users are hidden. This list wins over `rules.include-users`"),
    ("rules.include-groups", "Only these groups are shown. An empty list means all groups"),
    (
        "rules.exclude-groups",
        "These groups are hidden. This list wins over `rules.include-groups`. A hidden group does not give its roles to its members",
    ),
    (
        "mapping.username",
        "The attribute that usernames are made of. With another one than `userName`, run `scimctl reindex CONNECTOR` after the change. Until then the directory API answers requests for users with 503",
    ),
    ("mapping.username-from-email", "`true`: the username is the part before the `@`"),
    (
        "mapping.username-case",
        "`lower` and `upper` change the case of usernames. A character without exactly one counterpart stays, such as `ß`",
    ),
    ("mapping.first-name", "The attribute of the first name"),
    ("mapping.last-name", "The attribute of the last name"),
    ("mapping.email", "The attribute of the email address, such as `emails[type eq \"work\"].value`"),
    (
        "mapping.display-name",
        "`given-or-names`: the `displayName` that the client sent, or else first and last name. `names`: always first and last name. A display name that an operator entered wins over both",
    ),
    ("mapping.group-name", "The attribute of the name of a group"),
];

/// The titles of the tables, with the beginning of the names of their settings.
const SECTIONS: [(&str, &str); 3] = [
    ("How the connector treats its client", ""),
    ("Rules: who is shown", "rules."),
    ("Mapping: with which names", "mapping."),
];

pub fn page() -> String {
    let mut page = format!(
        "# Settings of a connector\n\n{GENERATED}\n\n`scimctl connector set CONNECTOR SETTING=VALUE` changes a setting. \
        [Rules and mapping](../operate/rules.md) explains how to preview a change, and\nhow to keep settings in a file. \
        Settings that begin with `rules.` or `mapping.` never refuse a client's request.\n"
    );
    let settings = settings();
    for (title, prefix) in SECTIONS {
        let _ = write!(
            page,
            "\n## {title}\n\n| setting | values | default | meaning |\n| --- | --- | --- | --- |\n"
        );
        let is_here = |name: &str| match prefix {
            "" => !name.contains('.'),
            prefix => name.starts_with(prefix),
        };
        for (name, default) in settings.iter().filter(|(name, _)| is_here(name)) {
            let (_, meaning) = MEANINGS.iter().find(|(other, _)| other == name).unwrap_or_else(|| {
                panic!("write what the setting {name} does, in tests/src/reference/settings.rs")
            });
            let shown = match default {
                Value::Array(_) => "empty".to_owned(),
                Value::String(text) => format!("`{text}`"),
                other => format!("`{other}`"),
            };
            let _ = writeln!(page, "| `{name}` | {} | {shown} | {meaning} |", values(name, default));
        }
    }
    page.push_str(
        "\nA list is written with commas: `rules.exclude-users='svc-*,root'`. Its entries are names, or patterns in which `*` stands for any \
        characters. The comparison\nignores upper and lower case. Rules hide only what the identity provider sends: local users, local groups and \
        `public` are always shown.\n\nAn attribute path has the form of a PATCH path (RFC 7644 §3.5.2).\n",
    );
    page
}

/// The names of all settings with their defaults, in the order of the file that `scimctl connector export` writes.
fn settings() -> Vec<(String, Value)> {
    let Ok(Value::Object(settings)) = serde_json::to_value(Settings::default()) else { return Vec::new() };
    let mut flat = Vec::new();
    for (name, value) in settings {
        match value {
            Value::Object(members) => {
                flat.extend(members.into_iter().map(|(member, value)| (format!("{name}.{member}"), value)));
            }
            value => flat.push((name, value)),
        }
    }
    assert_eq!(flat.len(), MEANINGS.len(), "each setting has a meaning, and each meaning a setting");
    flat
}

/// What a setting can be. The code says it when it refuses another value.
fn values(name: &str, default: &Value) -> String {
    match default {
        Value::Bool(_) => "`true`, `false`".to_owned(),
        Value::Array(_) => "names and patterns".to_owned(),
        Value::Number(_) => {
            let refused = with(name, json!(0)).and_then(|settings| {
                settings.check(Schemas::built_in()).map(drop).map_err(|error| error.detail.into_owned())
            });
            let refused = refused.expect_err("0 is out of every range");
            refused.rsplit_once("must be from ").map_or(refused.clone(), |(_, range)| range.to_owned())
        }
        _ => match with(name, json!("?")) {
            Err(refused) => refused
                .rsplit_once("expected ")
                .map_or("", |(_, choices)| choices)
                .replace(" or ", ", ")
                .replace("one of ", ""),
            Ok(_) => "an attribute path".to_owned(),
        },
    }
}

/// The defaults with one other value, or why this value is refused.
fn with(name: &str, value: Value) -> Result<Settings, String> {
    let settings = match name.split_once('.') {
        Some((group, member)) => json!({ group: { member: value } }),
        None => json!({ name: value }),
    };
    serde_json::from_value(settings).map_err(|error| error.to_string())
}
