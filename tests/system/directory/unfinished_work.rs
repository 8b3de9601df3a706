//! Requests for a group whose members an unfinished change is adding.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, select};
use serde_json::{Value, json};
use tests::call::Call;
use tests::faults::Fault;
use tests::faulty_service::FaultyService;
use tests::hooks::{Action, Hook};
use tests::in_process::json_of;
use tests::interrupted::{expire_intents, sweep};
use tests::invariants::assert_invariants;
use tests::provisioning::{
    add_members, add_members_body, create_group, create_user, create_users, group_body, members_of,
    patch_body, remove_members_body,
};
use tests::table::read_items;

fn set(ids: &[String]) -> BTreeSet<String> {
    ids.iter().cloned().collect()
}

/// Whether a request deletes memberships of a deleted group.
fn is_batch(call: &Call) -> bool {
    call.operation == "BatchWriteItem"
}

#[tokio::test]
async fn large_addition_beside_an_unfinished_one_is_made_after_it() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), &faulty.connector.id);
    let users = create_users(&client, 100).await;
    // Another process begins an addition and dies: before the first request of this addition, or before its first transaction.
    let moments: [fn(&Call) -> bool; 2] = [|_| true, Call::is_change];
    for (number, moment) in moments.into_iter().enumerate() {
        let group = create_group(&client, &format!("Tour Guides {number}"), &[]).await;
        let path = format!("/Groups/{group}");
        let other = faulty.another().await;
        let begin_and_die = {
            let (path, body) = (path.clone(), add_members_body(&users[50..]));
            async move {
                other.cut_off_after(1, "PATCH", &path, &body).await;
                expire_intents(&other.service, &other.connector.id).await;
            }
        };
        let hook = faulty.dynamodb.at_call(0, moment, Action::run(begin_and_die));
        let added = faulty.send("PATCH", &path, &add_members_body(&users[..50])).await;
        assert!(hook.was_reached() && added.status().is_success(), "{number}: {}", added.status());
        faulty.dynamodb.heal();
        assert_eq!(members_of(&client, &group).await, set(&users), "{number}");
        assert_invariants(&faulty.service, connector).await;
    }
}

#[tokio::test]
async fn member_whose_change_is_carried_out_can_be_removed_while_the_rest_is_unfinished() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), &faulty.connector.id);
    let mut users = create_users(&client, 110).await;
    // Changes are carried out in the order of the ids.
    users.sort();
    let group = create_group(&client, "Tour Guides", &[]).await;
    let path = format!("/Groups/{group}");
    faulty.cut_off_after(2, "PATCH", &path, &add_members_body(&users)).await;
    let mut members = members_of(&client, &group).await;
    let done = members.len();
    assert_eq!(members, set(&users[..done]));
    assert!(done > 40 && done < 100, "{done}");
    // One of the first transaction, and the last one of the second.
    for removed in [&users[0], &users[done - 1]] {
        assert_eq!(
            client.patch(&path, &remove_members_body(std::slice::from_ref(removed))).await.status,
            200
        );
        members.remove(removed);
        assert_eq!(members_of(&client, &group).await, members);
    }
    // The next one waits for the change, and here gets 429 at its deadline.
    let short = Duration::from_millis(200);
    let early =
        faulty.requests.send("PATCH", &path, Some(&remove_members_body(&users[done..=done])), short).await;
    assert_eq!(early.status(), 429);
    assert_eq!(members_of(&client, &group).await, members);
    assert_eq!(sweep(&faulty.service, connector).await, 1);
    members.extend(users[done..].iter().cloned());
    assert_eq!(members_of(&client, &group).await, members);
    assert_invariants(&faulty.service, connector).await;
}

#[tokio::test]
async fn removal_beside_an_addition_of_more_than_one_item_is_not_lost() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), faulty.connector.id.clone());
    let mut users = create_users(&client, 60).await;
    users.sort();
    // The JSON of the changes is about 360 KB, and an item holds 250 KB of it.
    let display = "\u{1}".repeat(1_000);
    let members: Value = users.iter().map(|id| json!({ "value": id, "display": display })).collect();
    let added = patch_body(json!([{ "op": "add", "path": "members", "value": members }]));
    for at in 0..8 {
        let group = create_group(&client, &format!("Tour Guides {at}"), &[]).await;
        let path = format!("/Groups/{group}");
        faulty.cut_off_after(1, "PATCH", &path, &added).await;
        // The sweeper adds the member, whose change is in the second item, before one of the requests of its removal.
        let interruption = {
            let (service, connector) = (Arc::clone(&faulty.service), connector.clone());
            async move {
                sweep(&service, &connector).await;
            }
        };
        faulty.dynamodb.interrupt(at, interruption);
        let removed = faulty.send("PATCH", &path, &remove_members_body(&users[59..])).await;
        assert!(removed.status().is_success(), "{at}: {}", removed.status());
        assert!(faulty.heal_and_was_reached(at) || at > 4, "{at}");
        assert_eq!(members_of(&client, &group).await, set(&users[..59]), "{at}");
        assert_invariants(&faulty.service, &connector).await;
    }
}

#[tokio::test]
async fn every_transaction_of_a_change_increases_the_version_of_the_group() {
    let faulty = FaultyService::new().await;
    let client = faulty.client();
    let users = create_users(&client, 90).await;
    let path = format!("/Groups/{}", create_group(&client, "Tour Guides", &[]).await);
    let read = {
        let (client, path) = (client.clone(), path.clone());
        async move { assert_eq!(client.get(&path).await.json()["meta"]["version"], "W/\"3\"") }
    };
    let hook = faulty.dynamodb.at_call(2, Call::is_change, Action::run(read));
    let changed = faulty.send("PATCH", &path, &add_members_body(&users)).await;
    assert!(hook.was_reached());
    faulty.dynamodb.heal();
    // Each of 3 transactions adds 33 members at most.
    assert_eq!(json_of(&changed)["meta"]["version"], "W/\"4\"");
    assert_eq!(client.get(&path).await.json()["meta"]["version"], "W/\"4\"");
}

#[tokio::test]
async fn deletion_of_a_group_that_is_changed_is_finished_without_the_client() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), &faulty.connector.id);
    let users = create_users(&client, 140).await;
    let group = create_group(&client, "Tour Guides", &users[..60]).await;
    let path = format!("/Groups/{group}");
    faulty.cut_off_after(1, "PATCH", &path, &add_members_body(&users[60..])).await;
    // Its memberships are deleted in batches after its first transaction.
    let cut = faulty.dynamodb.at_call(0, is_batch, Action::Fail(Fault::Denied));
    assert_eq!(faulty.send("DELETE", &path, &Value::Null).await.status(), 500);
    assert!(cut.was_reached());
    faulty.dynamodb.heal();
    assert_eq!(client.get(&path).await.status, 404);
    assert_eq!(sweep(&faulty.service, connector).await, 1);
    assert_invariants(&faulty.service, connector).await;
}

#[tokio::test]
async fn deletion_of_a_group_does_not_wait_for_the_end_of_a_change() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), &faulty.connector.id);
    let users = create_users(&client, 240).await;
    let group = create_group(&client, "Tour Guides", &[]).await;
    let path = format!("/Groups/{group}");
    // Before each transaction of the deletion, the change makes one transaction more, as long as it can.
    let changer = faulty.another().await;
    let transactions: Arc<Vec<Hook>> = Arc::new(
        (0..8)
            .map(|position| changer.dynamodb.at_call(position, Call::is_change, Action::HoldAnswer))
            .collect(),
    );
    let body = add_members_body(&users);
    let change = changer.send("PATCH", &path, &body);
    let delete = async {
        transactions[0].reached().await;
        // After its first transaction, the change reads the group only if it lost its work.
        let is_read = |call: &Call| call.operation == "GetItem";
        let lost = Arc::new(changer.dynamodb.at_call(0, is_read, Action::run(async {})));
        let steps: Vec<Hook> = (0..7)
            .map(|position| {
                let (transactions, lost) = (Arc::clone(&transactions), Arc::clone(&lost));
                let step = async move {
                    transactions[position].release();
                    let next = transactions[position + 1].reached();
                    select(Box::pin(next), Box::pin(lost.reached())).await;
                };
                faulty.dynamodb.at_call(position, Call::is_change, Action::run(step))
            })
            .collect();
        let status = faulty.send("DELETE", &path, &Value::Null).await.status();
        changer.dynamodb.heal();
        drop(steps);
        status
    };
    let (changed, deleted) = tokio::join!(change, delete);
    assert!(changed.status().is_success(), "{}", changed.status());
    assert_eq!(deleted.as_u16(), 204);
    // The change would need 8 transactions.
    let made = transactions.iter().filter(|transaction| transaction.was_reached()).count();
    assert!(made < 6, "{made}");
    assert_eq!(client.get(&path).await.status, 404);
    assert_invariants(&faulty.service, connector).await;
}

#[tokio::test]
async fn group_that_is_being_created_counts_in_the_depth_of_nesting() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), &faulty.connector.id);
    let lowest = create_group(&client, "level 0", &[]).await;
    let mut inner = lowest.clone();
    for level in 1..31 {
        inner = create_group(&client, &format!("level {level}"), std::slice::from_ref(&inner)).await;
    }
    let names: Vec<String> = (0..8).map(|number| format!("level 31, group {number}")).collect();
    let tops =
        join_all(names.iter().map(|name| create_group(&client, name, std::slice::from_ref(&inner)))).await;
    // Members join in the order of their ids, so this group joins in the last transaction of the creation.
    let top = tops.iter().max().unwrap();
    let mut members = Vec::new();
    for number in 0.. {
        let user = create_user(&client, &format!("user {number}")).await;
        members.extend(Some(user).filter(|user| user < top));
        if members.len() == 40 {
            break;
        }
    }
    members.push(top.clone());
    let below = create_group(&client, "below", &[]).await;
    faulty.cut_off_after(1, "POST", "/Groups", &group_body("above", &members)).await;
    // The guard also names the nestings of its last change, which is this one.
    let others = [create_group(&client, "other", &[]).await, create_group(&client, "another", &[]).await];
    assert_eq!(add_members(&client, &others[0], &others[1..]).await.status, 200);
    // 32 levels, the group above them, and this group below them.
    let added = add_members(&client, &lowest, std::slice::from_ref(&below)).await;
    assert_eq!((added.status, &added.json()["scimType"]), (400, &json!("invalidValue")));
    assert_eq!(sweep(&faulty.service, connector).await, 1);
    assert_eq!(add_members(&client, &lowest, std::slice::from_ref(&below)).await.status, 200);
    let guard =
        &read_items(&faulty.service, connector).await[&(format!("{connector}#count"), "nesting".to_owned())];
    assert!(!guard.contains_key("begun"), "{guard:?}");
    assert_invariants(&faulty.service, connector).await;
}
