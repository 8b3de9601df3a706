//! The requests of Microsoft Entra ID: `tests/fixtures/clients/entra/` has each of them.

use std::sync::Arc;

use bench::directory::user_name;
use serde_json::json;

use super::client::{Client, Listed};
use super::plan::{Plan, entra_user, group_name};

const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const MICROSOFT_GROUP: &str = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group";

/// Looks each user up and creates it, as the initial cycle does. Returns the ids of the users.
pub async fn create_users(client: &Arc<Client>, plan: &Plan) -> Vec<String> {
    let test = "1d8c9b3c-434e-4cd5-bb61-f2094ef7d9e7";
    client.get(&format!("/Users?filter=userName+eq+%22{test}%22")).await;
    let create = |number| {
        let client = Arc::clone(client);
        async move {
            assert_eq!(find_user(&client, number).await, 0);
            client.create("/Users", &entra_user(number)).await
        }
    };
    client.all((0..plan.users).map(create)).await
}

/// Creates each group and adds its members, one in each PATCH. The requests of one group follow each other.
pub async fn create_groups(client: &Arc<Client>, plan: &Plan, users: &[String]) {
    let create = |(number, members): (usize, &Vec<usize>)| {
        let client = Arc::clone(client);
        let members: Vec<String> = members.iter().map(|user| users[*user].clone()).collect();
        async move {
            assert_eq!(find_group(&client, number).await, 0);
            let group = json!({
                "schemas": [GROUP, MICROSOFT_GROUP],
                "externalId": format!("8aa1a0c0-c4c3-4bc0-b4a5-{number:012}"),
                "displayName": group_name(number),
                "members": [],
                "meta": { "resourceType": "Group" }
            });
            let path = format!("/Groups/{}", client.create("/Groups", &group).await);
            client.get(&format!("{path}?excludedAttributes=members")).await;
            for member in members {
                let value = json!([{ "$ref": null, "value": member }]);
                let operation = json!({ "op": "Add", "path": "members", "value": value });
                client.patch(&path, &json!({ "schemas": [PATCH], "Operations": [operation] })).await;
            }
        }
    };
    client.all(plan.groups.iter().enumerate().map(create)).await;
}

/// Looks each user and each group up again, as after "Restart provisioning".
pub async fn restart(client: &Arc<Client>, plan: &Plan) {
    let look_up_user = |number| {
        let client = Arc::clone(client);
        async move { assert_eq!(find_user(&client, number).await, 1) }
    };
    client.all((0..plan.users).map(look_up_user)).await;
    let look_up_group = |number| {
        let client = Arc::clone(client);
        async move { assert_eq!(find_group(&client, number).await, 1) }
    };
    client.all((0..plan.groups.len()).map(look_up_group)).await;
}

/// Reads all users, and all groups without their members, one page after another, as "Discover identities" does. Returns the
/// pages of both.
pub async fn discover(client: &Client, plan: &Plan) -> [Listed; 2] {
    let (mut users, mut groups) = (0, 0);
    let users_listed = client.list("/Users", |_| users += 1).await;
    let groups_listed = client.list("/Groups?excludedAttributes=members", |_| groups += 1).await;
    assert_eq!((users, groups), (plan.users, plan.groups.len()));
    [users_listed, groups_listed]
}

/// Disables the leavers, as after a soft deletion in Entra.
pub async fn disable(client: &Arc<Client>, plan: &Plan, users: &[String]) {
    let disable = |user: &usize| {
        let (client, id) = (Arc::clone(client), users[*user].clone());
        async move {
            let operation = json!({ "op": "Replace", "path": "active", "value": "False" });
            client
                .patch(&format!("/Users/{id}"), &json!({ "schemas": [PATCH], "Operations": [operation] }))
                .await;
        }
    };
    client.all(plan.leavers.iter().map(disable)).await;
}

/// Deletes the leavers, as 30 days later.
pub async fn delete(client: &Arc<Client>, plan: &Plan, users: &[String]) {
    let delete = |user: &usize| {
        let (client, id) = (Arc::clone(client), users[*user].clone());
        async move { client.delete(&format!("/Users/{id}")).await }
    };
    client.all(plan.leavers.iter().map(delete)).await;
}

async fn find_user(client: &Client, number: usize) -> u64 {
    let name = user_name(number).replace('@', "%40");
    total(client, &format!("/Users?filter=userName+eq+%22{name}%22")).await
}

async fn find_group(client: &Client, number: usize) -> u64 {
    let name = group_name(number).replace(' ', "+");
    total(client, &format!("/Groups?excludedAttributes=members&filter=displayName+eq+%22{name}%22")).await
}

async fn total(client: &Client, target: &str) -> u64 {
    client.get(target).await["totalResults"].as_u64().expect("a number")
}
