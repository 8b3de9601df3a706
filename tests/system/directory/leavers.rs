//! Users and groups that join a group while they are deactivated or deleted, or while they still leave other groups.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use directory::settings::{OnDeactivate, Settings};
use futures_util::future::join_all;
use serde_json::Value;
use tests::call::Call;
use tests::faulty_service::FaultyService;
use tests::hooks::Action;
use tests::in_process::{InProcess, json_of};
use tests::interrupted::sweep;
use tests::invariants::assert_invariants;
use tests::provisioning::{
    add_members, add_members_body, create_group, create_user, create_user_in_groups, create_users,
    group_body, members_of, set_active_body,
};
use tests::service::TIME_LIMIT;
use tokio::sync::oneshot;

fn set(ids: &[String]) -> BTreeSet<String> {
    ids.iter().cloned().collect()
}

/// Whether a request deletes memberships of a deleted group.
fn is_batch(call: &Call) -> bool {
    call.operation == "BatchWriteItem"
}

#[tokio::test]
async fn member_who_joins_at_any_point_of_its_deactivation_or_deletion_is_in_no_group() {
    let faulty = FaultyService::new().await;
    let client = faulty.client();
    for (method, body) in [("PATCH", set_active_body(false)), ("DELETE", Value::Null)] {
        for at in 0.. {
            let (leaver, groups) = create_user_in_groups(&client, &format!("{method} {at}"), 2).await;
            let joined = create_group(&client, &format!("joined {method} {at}"), &[]).await;
            let interruption = {
                let (client, joined, leaver) = (client.clone(), joined.clone(), leaver.clone());
                async move {
                    let added = add_members(&client, &joined, &[leaver]).await;
                    // 400 after the deletion.
                    assert!([200, 400].contains(&added.status), "{}", added.status);
                }
            };
            faulty.dynamodb.interrupt(at, interruption);
            let answer = faulty.send(method, &format!("/Users/{leaver}"), &body).await;
            assert!(answer.status().is_success(), "{method} {at}");
            let was_reached = faulty.heal_and_was_reached(at);
            for group in groups.iter().chain([&joined]) {
                assert_eq!(members_of(&client, group).await, BTreeSet::new(), "{method} {at}");
            }
            assert_invariants(&faulty.service, &faulty.connector.id).await;
            if !was_reached {
                assert!(at > 1, "only {at} requests were met");
                break;
            }
        }
    }
}

#[tokio::test]
async fn member_who_leaves_during_a_change_is_skipped_by_its_later_transactions() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), &faulty.connector.id);
    for (method, body) in [("PATCH", set_active_body(false)), ("DELETE", Value::Null)] {
        for creates in [false, true] {
            let name = format!("{method} {creates}");
            let names: Vec<String> = (0..60).map(|number| format!("{name} {number}")).collect();
            let mut users = join_all(names.iter().map(|name| create_user(&client, name))).await;
            // Changes are carried out in the order of the ids, so the last one is in the last transaction.
            users.sort();
            let leave = {
                let (client, path, body) =
                    (client.clone(), format!("/Users/{}", users[59]), body.to_string());
                async move {
                    let headers = [("content-type", "application/scim+json")];
                    let left = client.send(method, &path, &headers, body).await;
                    assert!([200, 204].contains(&left.status), "{}", left.status);
                }
            };
            let (of_group, target, body) = if creates {
                ("POST", "/Groups".to_owned(), group_body(&name, &users))
            } else {
                let group = create_group(&client, &name, &[]).await;
                ("PATCH", format!("/Groups/{group}"), add_members_body(&users))
            };
            let hook = faulty.dynamodb.at_call(1, Call::is_change, Action::run(leave));
            let changed = faulty.send(of_group, &target, &body).await;
            assert!(hook.was_reached() && changed.status().is_success(), "{name}: {}", changed.status());
            faulty.dynamodb.heal();
            let id = json_of(&changed)["id"].as_str().unwrap().to_owned();
            assert_eq!(members_of(&client, &id).await, set(&users[..59]), "{name}");
            assert_invariants(&faulty.service, connector).await;
        }
    }
}

#[tokio::test]
async fn user_who_is_activated_and_joins_again_stays_in_the_groups_that_a_slow_deactivation_has_not_ended() {
    let faulty = FaultyService::new().await;
    let client = faulty.client();
    // Before the second and before the third, last transaction of the deactivation.
    for position in [1, 2] {
        let (leaver, groups) = create_user_in_groups(&client, &format!("leaver {position}"), 70).await;
        let path = format!("/Users/{leaver}");
        // One of the groups of each of these transactions.
        let joined = [groups[50].clone(), groups[69].clone()];
        let interruption = {
            let (client, path, joined) = (client.clone(), path.clone(), joined.clone());
            let leaver = leaver.clone();
            async move {
                assert_eq!(client.patch(&path, &set_active_body(true)).await.status, 200);
                for group in &joined {
                    assert_eq!(add_members(&client, group, std::slice::from_ref(&leaver)).await.status, 200);
                }
            }
        };
        let hook = faulty.dynamodb.at_call(position, Call::is_change, Action::run(interruption));
        assert_eq!(faulty.send("PATCH", &path, &set_active_body(false)).await.status(), 200);
        assert!(hook.was_reached(), "{position}");
        faulty.dynamodb.heal();
        assert_eq!(client.get(&path).await.json()["active"], true);
        for group in &groups {
            let is_member = members_of(&client, group).await.contains(&leaver);
            assert_eq!(is_member, joined.contains(group), "{position}");
        }
        assert_invariants(&faulty.service, &faulty.connector.id).await;
    }
}

#[tokio::test]
async fn inactive_user_who_is_leaving_its_groups_joins_none_before_the_end() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), &faulty.connector.id);
    let (leaver, _) = create_user_in_groups(&client, "leaver", 40).await;
    let joined = create_group(&client, "joined", &[]).await;
    faulty.cut_off_after(1, "PATCH", &format!("/Users/{leaver}"), &set_active_body(false)).await;
    let keep = |settings: Settings| Settings { on_deactivate: OnDeactivate::KeepGroups, ..settings };
    faulty.service.change_settings(connector, keep).await;
    // A service that has not read the settings before.
    let keeping = InProcess::new(faulty.service.dynamodb(), client.clone()).await;
    let added = add_members_body(std::slice::from_ref(&leaver));
    let path = format!("/Groups/{joined}");
    let short = Duration::from_millis(300);
    assert_eq!(keeping.send("PATCH", &path, Some(&added), short).await.status(), 429);
    assert_eq!(sweep(&faulty.service, connector).await, 1);
    assert_eq!(keeping.send("PATCH", &path, Some(&added), TIME_LIMIT).await.status(), 200);
    assert_eq!(members_of(&client, &joined).await, BTreeSet::from([leaver]));
    assert_invariants(&faulty.service, connector).await;
}

#[tokio::test]
async fn group_whose_deletion_has_begun_joins_no_group() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), &faulty.connector.id);
    let users = create_users(&client, 60).await;
    let inner = create_group(&client, "inner", &users).await;
    let outer = create_group(&client, "outer", &[]).await;
    // The transaction of the addition arrives after the first one of the deletion, and before its memberships are deleted.
    let adder = faulty.another().await;
    let addition = Arc::new(adder.dynamodb.at_call(0, Call::is_change, Action::HoldRequest));
    let (ended, end) = oneshot::channel();
    let add = async {
        let (path, body) = (format!("/Groups/{outer}"), add_members_body(std::slice::from_ref(&inner)));
        let status = adder.send("PATCH", &path, &body).await.status();
        ended.send(()).unwrap();
        status
    };
    let delete = async {
        addition.reached().await;
        let let_it_arrive = {
            let addition = Arc::clone(&addition);
            async move {
                addition.release();
                end.await.unwrap();
            }
        };
        let hook = faulty.dynamodb.at_call(0, is_batch, Action::run(let_it_arrive));
        let status = faulty.send("DELETE", &format!("/Groups/{inner}"), &Value::Null).await.status();
        assert!(hook.was_reached());
        faulty.dynamodb.heal();
        status
    };
    let (added, deleted) = tokio::join!(add, delete);
    assert_eq!((added.as_u16(), deleted.as_u16()), (400, 204));
    assert_invariants(&faulty.service, connector).await;
}
