//! The requests that most tests send as a client: create users and groups, change memberships, read members
//! and totals.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::client::{Client, Reply};

/// The schema of a user (RFC 7643 §4.1).
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// The schema of a group (RFC 7643 §4.2).
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// The enterprise extension of a user (RFC 7643 §4.3).
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// The schema of a PATCH body (RFC 7644 §3.5.2).
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Creates a user with this userName, and returns its id.
///
/// # Panics
/// When the answer is not 201.
pub async fn create_user(client: &Client, name: &str) -> String {
    let reply = client.post("/Users", &json!({ "schemas": [USER], "userName": name })).await;
    created_id(name, &reply)
}

/// Creates users named `user000`, `user001` and so on, and returns their ids in that order.
///
/// # Panics
/// When an answer is not 201.
pub async fn create_users(client: &Client, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|number| format!("user{number:03}")).collect();
    join_all(names.iter().map(|name| create_user(client, name))).await
}

/// Creates a group with this displayName and these members, and returns its id.
///
/// # Panics
/// When the answer is not 201.
pub async fn create_group(client: &Client, name: &str, members: &[String]) -> String {
    created_id(name, &client.post("/Groups", &group_body(name, members)).await)
}

fn created_id(name: &str, reply: &Reply) -> String {
    assert_eq!(reply.status, 201, "creating {name:?}: {}", String::from_utf8_lossy(&reply.plain_body()));
    reply.json()["id"].as_str().expect("a created resource has an id").to_owned()
}

/// Creates a user and this many groups of which it is a member. Returns its id and those of the groups, in their order.
///
/// # Panics
/// When an answer is not 201.
pub async fn create_user_in_groups(client: &Client, name: &str, groups: usize) -> (String, Vec<String>) {
    let user = create_user(client, name).await;
    let names: Vec<String> = (0..groups).map(|number| format!("{name} {number}")).collect();
    let created = names.iter().map(|name| create_group(client, name, std::slice::from_ref(&user)));
    let mut groups = join_all(created).await;
    groups.sort();
    (user, groups)
}

/// The value of `members` with these ids.
pub fn member_values(ids: &[String]) -> Value {
    ids.iter().map(|id| json!({ "value": id })).collect()
}

/// The body of a group with this displayName and these members.
pub fn group_body(name: &str, members: &[String]) -> Value {
    json!({ "schemas": [GROUP], "displayName": name, "members": member_values(members) })
}

/// The body of a PATCH with these operations.
pub fn patch_body(operations: Value) -> Value {
    json!({ "schemas": [PATCH_OP], "Operations": operations })
}

/// The body of a PATCH that adds these members to a group.
pub fn add_members_body(members: &[String]) -> Value {
    patch_body(json!([{ "op": "add", "path": "members", "value": member_values(members) }]))
}

/// The body of a PATCH that removes these members from a group.
pub fn remove_members_body(members: &[String]) -> Value {
    patch_body(json!([{ "op": "remove", "path": "members", "value": member_values(members) }]))
}

/// The body of a PATCH that replaces the members of a group with these.
pub fn replace_members_body(members: &[String]) -> Value {
    patch_body(json!([{ "op": "replace", "path": "members", "value": member_values(members) }]))
}

/// The body of a PATCH that activates or deactivates a user. It has the form that Okta sends.
pub fn set_active_body(active: bool) -> Value {
    patch_body(json!([{ "op": "replace", "value": { "active": active } }]))
}

/// Adds members to a group.
pub async fn add_members(client: &Client, group: &str, members: &[String]) -> Reply {
    client.patch(&format!("/Groups/{group}"), &add_members_body(members)).await
}

/// The ids of the members of a group.
///
/// # Panics
/// When the group cannot be read.
pub async fn members_of(client: &Client, group: &str) -> BTreeSet<String> {
    let reply = client.get(&format!("/Groups/{group}")).await;
    assert_eq!(reply.status, 200, "reading group {group}");
    let members = reply.json()["members"].as_array().cloned().unwrap_or_default();
    members.iter().map(|member| member["value"].as_str().expect("a member has a value").to_owned()).collect()
}

/// `totalResults` of `/Users` or `/Groups`.
///
/// # Panics
/// When the answer has no `totalResults`.
pub async fn total_of(client: &Client, endpoint: &str) -> u64 {
    let answer = client.get(&format!("{endpoint}?count=0")).await.json();
    answer["totalResults"].as_u64().expect("a list response has a total")
}

/// The text with every byte percent-encoded, for a query.
pub fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
