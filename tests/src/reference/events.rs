//! The page of the events of feeds. The names follow from the code; a sentence says when each is sent.

use std::fmt::Write as _;

use delivery::type_of;
use directory::feeds::EVENT_URIS;
use serde_json::json;

use super::GENERATED;

const MEANINGS: &[(&str, &str, &str)] = &[
    (
        "feed:add",
        "A new feed, `feed replay`, or changed rules or mapping: the directory shows the resource",
        "none",
    ),
    ("feed:remove", "The same, and the directory hides the resource", "none"),
    ("prov:create:notice", "The resource was created", "`attributes`: the names of those that it has"),
    (
        "prov:patch:notice",
        "Attributes of the resource changed, also by a PUT",
        "`attributes`: the names of those that changed. `groups`, if a user joined or left a group or role",
    ),
    (
        "prov:patch:full",
        "Members of a group or role joined or left",
        "`data`: a PATCH request (RFC 7644 §3.5.2) with the operations that are true now",
    ),
    ("prov:delete", "The resource was deleted", "none"),
    ("prov:activate", "The user was activated", "none"),
    ("prov:deactivate", "The user was deactivated, or created inactive", "none"),
];

pub fn page() -> String {
    let prefix = "urn:ietf:params:scim:event:";
    let mut page = format!(
        "# Events\n\n{GENERATED}\n\nThe events that [feeds](../operate/feeds.md) send (RFC 9967). A token names one resource and has one or more of these events. Their URIs begin with\n\
        `{prefix}`. The type is that of a webhook, and the detail type in Amazon EventBridge. If a token has several events, one type stands for all.\n\n\
        | event | type, here for a user | when | payload |\n| --- | --- | --- | --- |\n"
    );
    assert_eq!(EVENT_URIS.len(), MEANINGS.len(), "each event has a meaning, and each meaning an event");
    for uri in EVENT_URIS {
        let name = uri.strip_prefix(prefix).expect("each URI has the prefix");
        let (_, when, payload) = MEANINGS
            .iter()
            .find(|(other, ..)| *other == name)
            .unwrap_or_else(|| panic!("write when {name} is sent, in tests/src/reference/events.rs"));
        let kind = if name == "prov:patch:full" { "Groups" } else { "Users" };
        let claims = json!({ "sub_id": { "uri": format!("/{kind}/1") }, "events": { uri: {} } });
        let _ = writeln!(page, "| `{name}` | `{}` | {when} | {payload} |", type_of(&claims));
    }
    page.push_str(
        "\n`group.` and `role.` begin the types of the other resources. `scimctl feed test` sends the verification event of the OpenID Shared \
        Signals Framework;\nas a webhook its type is `feed.test`.\n\n\
        ## Claims of a token\n\n| claim | content |\n| --- | --- |\n\
        | `iss` | the URL of the service with the connector: `https://HOST/CONNECTOR` |\n\
        | `aud` | an array with the audience of the feed, if it has one (`--audience`) |\n\
        | `jti` | the id of the event. An event that is sent again has the same |\n\
        | `iat` | when the newest change was made |\n\
        | `txn` | the id of the newest change, the same in all feeds |\n\
        | `sub_id` | `format`: `scim`; `uri`: `/Users/ID`, `/Groups/ID` or `/Roles/ID`; `externalId`, if there is one |\n\
        | `events` | the events with their payloads |\n",
    );
    page
}
