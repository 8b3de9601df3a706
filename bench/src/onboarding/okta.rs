//! The requests of Okta, as an application of its catalogue sends them: `tests/fixtures/clients/okta/` has each of them.

use std::sync::Arc;

use bench::directory::user_name;
use serde_json::{Value, json};

use super::client::{Client, Listed};
use super::plan::{Plan, group_name, okta_user};

const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The most operations of one PATCH. The first is a rename to the same name; each of the others adds one member.
const OPERATIONS: usize = 256;

/// Looks each user up and creates it. Returns the ids of the users.
pub async fn create_users(client: &Arc<Client>, plan: &Plan) -> Vec<String> {
    client.get("/Users?startIndex=1&count=2").await;
    client.get("/Groups?startIndex=1&count=100").await;
    let create = |number| {
        let client = Arc::clone(client);
        async move {
            let name = user_name(number).replace('@', "%40");
            let found = client
                .get(&format!("/Users?filter=userName%20eq%20%22{name}%22&startIndex=1&count=100"))
                .await;
            assert_eq!(found["totalResults"], 0, "{name}");
            client.create("/Users", &okta_user(number)).await
        }
    };
    client.all((0..plan.users).map(create)).await
}

/// Pushes each group: looks it up, creates it without members, and adds the members in several PATCH requests.
pub async fn push_groups(client: &Arc<Client>, plan: &Plan, users: &[String]) {
    let push = |(number, members): (usize, &Vec<usize>)| {
        let client = Arc::clone(client);
        let members: Vec<(String, String)> =
            members.iter().map(|user| (users[*user].clone(), user_name(*user))).collect();
        async move { push_group(&client, &group_name(number), &members).await }
    };
    client.all(plan.groups.iter().enumerate().map(push)).await;
}

async fn push_group(client: &Client, name: &str, members: &[(String, String)]) {
    let encoded = name.replace(' ', "%20");
    let found = client
        .get(&format!("/Groups?filter=displayName%20eq%20%22{encoded}%22&startIndex=1&count=100"))
        .await;
    assert_eq!(found["totalResults"], 0, "{name}");
    let group =
        client.create("/Groups", &json!({ "schemas": [GROUP], "displayName": name, "members": [] })).await;
    for members in members.chunks(OPERATIONS - 1) {
        let rename = json!({ "op": "replace", "value": { "id": group, "displayName": name } });
        let adds = members.iter().map(|(id, display)| {
            json!({ "op": "add", "path": "members", "value": [{ "value": id, "display": display }] })
        });
        let operations: Vec<Value> = [rename].into_iter().chain(adds).collect();
        client
            .patch(&format!("/Groups/{group}"), &json!({ "schemas": [PATCH], "Operations": operations }))
            .await;
    }
}

/// Reads all users and all groups with their members, one page after another, as a scheduled import does. Returns the pages of
/// both.
pub async fn import(client: &Client, plan: &Plan) -> [Listed; 2] {
    let mut users = 0;
    let users_listed = client.list("/Users", |_| users += 1).await;
    let (mut groups, mut memberships) = (0, 0);
    let groups_listed = client.list("/Groups", |group| {
        groups += 1;
        memberships += group["members"].as_array().map_or(0, Vec::len);
    });
    let groups_listed = groups_listed.await;
    assert_eq!((users, groups, memberships), (plan.users, plan.groups.len(), plan.memberships()));
    [users_listed, groups_listed]
}

/// Deactivates the leavers.
pub async fn deactivate(client: &Arc<Client>, plan: &Plan, users: &[String]) {
    let deactivate = |user: &usize| {
        let (client, id) = (Arc::clone(client), users[*user].clone());
        async move {
            let operation = json!({ "op": "replace", "value": { "active": false } });
            client
                .patch(&format!("/Users/{id}"), &json!({ "schemas": [PATCH], "Operations": [operation] }))
                .await;
        }
    };
    client.all(plan.leavers.iter().map(deactivate)).await;
}
