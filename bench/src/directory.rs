//! The users and groups of all measurements. They are the same for every server.

use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Returns the userName of a user.
pub fn user_name(number: usize) -> String {
    format!("user{number:07}@example.com")
}

/// Returns a user as Okta sends it.
pub fn user(number: usize) -> Value {
    let user_name = user_name(number);
    json!({
        "schemas": [USER],
        "userName": user_name,
        "externalId": format!("00u{number:017}"),
        "name": { "givenName": format!("Given{number:07}"), "familyName": format!("Family{number:07}") },
        "displayName": format!("Given{number:07} Family{number:07}"),
        "emails": [{ "primary": true, "value": user_name, "type": "work" }],
        "phoneNumbers": [{ "primary": true, "value": format!("+1 555 {number:07}"), "type": "mobile" }],
        "title": "Tour Guide",
        "locale": "en-US",
        "active": true
    })
}

/// Returns a group with these members.
pub fn group(name: &str, members: &[String]) -> Value {
    let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
    json!({ "schemas": [GROUP], "displayName": name, "members": members })
}

/// Returns a PATCH request with one operation.
pub fn patch(op: &str, path: &str, value: Option<Value>) -> Value {
    let mut operation = json!({ "op": op, "path": path });
    if let Some(value) = value {
        operation["value"] = value;
    }
    json!({ "schemas": [PATCH], "Operations": [operation] })
}
