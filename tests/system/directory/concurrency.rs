//! Concurrent requests: each one succeeds or is refused as if the requests ran one after another, and every
//! invariant of the table holds afterwards.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::Client as DynamoDb;
use futures_util::future::join_all;
use serde_json::json;
use tests::away::away;
use tests::client::Client;
use tests::faults::FaultyDynamoDb;
use tests::in_process::{InProcess, json_of};
use tests::invariants::assert_invariants;
use tests::provisioning::{
    GROUP, USER, add_members, add_members_body, create_group, create_user, create_users, member_values,
    members_of, patch_body, replace_members_body, set_active_body, total_of,
};
use tests::service::{TIME_LIMIT, TestConnector, service};

async fn connector() -> (TestConnector, Client) {
    let connector = service().connector().await;
    let client = connector.local(service());
    (connector, client)
}

#[tokio::test]
async fn concurrent_renames_to_the_same_name_all_succeed() {
    let (connector, client) = connector().await;
    let path = format!("/Groups/{}", create_group(&client, "before", &[]).await);
    // All requests read the group before the first of them writes it.
    let dynamodb = away(&service().dynamodb(), Duration::ZERO).build();
    let requests = InProcess::new(DynamoDb::from_conf(dynamodb), client.clone()).await;
    let body = patch_body(json!([{ "op": "replace", "value": { "displayName": "after" } }]));
    let sent = join_all((0..6).map(|_| requests.send("PATCH", &path, Some(&body), TIME_LIMIT))).await;
    assert_eq!(sent.iter().map(|reply| reply.status().as_u16()).collect::<Vec<_>>(), [200; 6]);
    assert_eq!(client.get(&path).await.json()["displayName"], "after");
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn nesting_deeper_than_the_limit_is_rejected() {
    let (connector, client) = connector().await;
    let mut groups = Vec::new();
    for stack in ["a", "b"] {
        let mut inner: Vec<String> = Vec::new();
        for level in 0..17 {
            inner = vec![create_group(&client, &format!("{stack}{level}"), &inner).await];
            groups.push(inner[0].clone());
        }
    }
    let (lowest, top) = (&groups[0], &groups[33]);
    let joined = add_members(&client, lowest, std::slice::from_ref(top)).await;
    assert_eq!((joined.status, &joined.json()["scimType"]), (400, &json!("invalidValue")), "34 levels");
    assert_eq!(
        add_members(&client, lowest, std::slice::from_ref(&groups[32])).await.status,
        200,
        "33 levels"
    );
    let member = create_user(&client, "ann").await;
    assert_eq!(add_members(&client, &groups[17], std::slice::from_ref(&member)).await.status, 200);
    let groups = client.get(&format!("/Users/{member}")).await.json()["groups"].as_array().unwrap().len();
    assert_eq!(groups, 34, "two chains of 17 and 16 groups, and one more group above them");
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn concurrent_creates_of_one_user_name_make_one_user() {
    let (connector, client) = connector().await;
    let names = ["Ann", "ann", "ANN"];
    let posts = (0..24).map(|number| {
        let body = json!({ "schemas": [USER], "userName": names[number % 3] });
        let client = client.clone();
        async move { client.post("/Users", &body).await }
    });
    let replies = join_all(posts).await;
    let created = replies.iter().filter(|reply| reply.status == 201).count();
    let refused = replies
        .iter()
        .filter(|reply| reply.status == 409 && reply.json()["scimType"] == "uniqueness")
        .count();
    assert_eq!((created, refused), (1, 23));
    assert_eq!(total_of(&client, "/Users").await, 1);
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn concurrent_additions_all_reach_the_group() {
    let (connector, client) = connector().await;
    let users = create_users(&client, 32).await;
    let group = create_group(&client, "Tour Guides", &[]).await;
    let adds =
        join_all(users.iter().map(|user| add_members(&client, &group, std::slice::from_ref(user)))).await;
    assert!(adds.iter().all(|reply| reply.status == 200));
    assert_eq!(members_of(&client, &group).await, users.iter().cloned().collect());
    // The new group has version 1, and each addition increases it by 1.
    let version = client.get(&format!("/Groups/{group}")).await.json()["meta"]["version"].clone();
    assert_eq!(version, "W/\"33\"");
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn user_deactivated_during_additions_is_in_no_group() {
    let (connector, client) = connector().await;
    for round in 0..4 {
        let user = create_user(&client, &format!("leaver {round}")).await;
        let mut groups = Vec::new();
        for number in 0..8 {
            groups.push(create_group(&client, &format!("group {round} {number}"), &[]).await);
        }
        let deactivation = set_active_body(false);
        let path = format!("/Users/{user}");
        let (adds, deactivated) = tokio::join!(
            join_all(groups.iter().map(|group| add_members(&client, group, std::slice::from_ref(&user)))),
            client.patch(&path, &deactivation)
        );
        assert_eq!(deactivated.status, 200);
        assert!(adds.iter().all(|reply| reply.status == 200));
        let user = client.get(&path).await.json();
        assert_eq!((&user["active"], user.get("groups")), (&json!(false), None));
        for group in &groups {
            assert_eq!(members_of(&client, group).await, BTreeSet::new());
        }
    }
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn user_deleted_during_additions_is_in_no_group() {
    let (connector, client) = connector().await;
    for round in 0..4 {
        let user = create_user(&client, "leaver").await;
        let mut groups = Vec::new();
        for number in 0..8 {
            groups.push(create_group(&client, &format!("group {round} {number}"), &[]).await);
        }
        let path = format!("/Users/{user}");
        let (adds, deleted) = tokio::join!(
            join_all(groups.iter().map(|group| add_members(&client, group, std::slice::from_ref(&user)))),
            client.delete(&path)
        );
        assert_eq!(deleted.status, 204);
        // 200 if the addition came before the deletion, otherwise 400.
        assert!(adds.iter().all(|reply| [200, 400].contains(&reply.status)));
        assert_eq!(client.get(&path).await.status, 404);
    }
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn group_deleted_while_members_are_added_leaves_no_membership() {
    let (connector, client) = connector().await;
    let users = create_users(&client, 12).await;
    for round in 0..4 {
        let group = create_group(&client, &format!("group {round}"), &users[..3]).await;
        let path = format!("/Groups/{group}");
        let (adds, deleted) = tokio::join!(
            join_all(users.iter().map(|user| add_members(&client, &group, std::slice::from_ref(user)))),
            client.delete(&path)
        );
        assert_eq!(deleted.status, 204);
        assert!(adds.iter().all(|reply| [200, 404].contains(&reply.status)));
    }
    assert_eq!(total_of(&client, "/Groups").await, 0);
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn concurrent_member_replacements_leave_one_complete_set() {
    let (connector, client) = connector().await;
    let users = create_users(&client, 120).await;
    let group = create_group(&client, "Tour Guides", &users[30..90]).await;
    let path = format!("/Groups/{group}");
    for round in 0..3 {
        let (one, other) = (&users[..60], &users[60..]);
        let put = json!({ "schemas": [GROUP], "displayName": "Tour Guides", "members": member_values(one) });
        let replace = replace_members_body(other);
        let (first, second) = tokio::join!(client.put(&path, &put), client.patch(&path, &replace));
        assert_eq!((first.status, second.status), (200, 200));
        let left = members_of(&client, &group).await;
        let sets = [one, other].map(|set| set.iter().cloned().collect::<BTreeSet<_>>());
        assert!(sets.contains(&left), "round {round}: a mixture of {}", left.len());
    }
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn concurrent_nesting_of_two_groups_makes_no_cycle() {
    let (connector, client) = connector().await;
    for round in 0..6 {
        let one = create_group(&client, &format!("one {round}"), &[]).await;
        let other = create_group(&client, &format!("other {round}"), &[]).await;
        let (first, second) = tokio::join!(
            add_members(&client, &one, std::slice::from_ref(&other)),
            add_members(&client, &other, std::slice::from_ref(&one))
        );
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400]);
    }
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn totals_stay_exact_during_concurrent_creates_and_deletes() {
    let (connector, client) = connector().await;
    let remaining = create_users(&client, 10).await;
    let creates_and_deletes = (0..20).map(|number| {
        let client = client.clone();
        async move {
            let id = create_user(&client, &format!("temporary {number}")).await;
            if number % 2 == 0 {
                assert_eq!(client.delete(&format!("/Users/{id}")).await.status, 204);
            }
        }
    });
    join_all(creates_and_deletes).await;
    assert_eq!(total_of(&client, "/Users").await, remaining.len() as u64 + 10);
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn concurrent_puts_with_the_same_if_match_let_one_write() {
    let (connector, client) = connector().await;
    let path = format!("/Users/{}", create_user(&client, "ann").await);
    let puts = (0..8).map(|number| {
        let (client, path) = (client.clone(), path.clone());
        async move {
            let body = json!({ "schemas": [USER], "userName": "ann", "title": format!("title {number}") });
            let headers = [("if-match", "W/\"1\""), ("content-type", "application/scim+json")];
            client.send("PUT", &path, &headers, body.to_string()).await.status
        }
    });
    let mut statuses = join_all(puts).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
    assert_eq!(client.get(&path).await.json()["meta"]["version"], "W/\"2\"");
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn concurrent_renames_of_users_to_one_name_let_one_succeed() {
    let (connector, client) = connector().await;
    let users = create_users(&client, 6).await;
    let renames = users.iter().map(|user| {
        let body = patch_body(json!([{ "op": "replace", "path": "userName", "value": "wanted" }]));
        let (client, path) = (client.clone(), format!("/Users/{user}"));
        async move { client.patch(&path, &body).await.status }
    });
    let mut statuses = join_all(renames).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409]);
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn filter_on_two_names_finds_a_user_that_is_renamed_from_one_to_the_other() {
    let faulty = FaultyDynamoDb::start(service().endpoint()).await;
    let dynamodb = runtime::dynamodb::client_at(&faulty.endpoint).await;
    for at in 0.. {
        let (_, client) = connector().await;
        // The names are looked up in their order, so the user moves from the second to the first.
        let id = create_user(&client, "zoe").await;
        let requests = InProcess::new(dynamodb.clone(), client.clone()).await;
        faulty.interrupt(at, async move {
            let renamed = json!([{ "op": "replace", "path": "userName", "value": "ann" }]);
            let renamed = client.patch(&format!("/Users/{id}"), &patch_body(renamed)).await;
            assert_eq!(renamed.status, 200);
        });
        let filter = "userName%20eq%20%22ann%22%20or%20userName%20eq%20%22zoe%22";
        let found = requests.send("GET", &format!("/Users?filter={filter}"), None, TIME_LIMIT).await;
        assert_eq!(json_of(&found)["totalResults"], 1, "before request {at}");
        if at >= faulty.heal() {
            assert!(at > 1, "only {at} requests");
            break;
        }
    }
}

#[tokio::test]
async fn group_that_is_added_to_itself_while_it_is_deleted_is_refused() {
    let faulty = FaultyDynamoDb::start(service().endpoint()).await;
    let dynamodb = runtime::dynamodb::client_at(&faulty.endpoint).await;
    for at in 0.. {
        let (connector, client) = connector().await;
        let id = create_group(&client, "Sales", &[]).await;
        let requests = InProcess::new(dynamodb.clone(), client.clone()).await;
        let path = format!("/Groups/{id}");
        let deleted = path.clone();
        faulty.interrupt(at, async move { assert_eq!(client.delete(&deleted).await.status, 204) });
        let body = add_members_body(std::slice::from_ref(&id));
        let added = requests.send("PATCH", &path, Some(&body), TIME_LIMIT).await;
        let status = added.status().as_u16();
        assert!([400, 404].contains(&status), "before request {at}: {added:?}");
        let was_interrupted = at < faulty.heal();
        assert_invariants(service(), &connector.id).await;
        if !was_interrupted {
            assert_eq!(status, 400);
            assert!(at > 1, "only {at} requests");
            break;
        }
    }
}
