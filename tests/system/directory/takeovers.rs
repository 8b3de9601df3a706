//! Work of a process that counts as dead: who takes it over, when, and what the process and others do meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde_json::Value;
use tests::call::Call;
use tests::faults::Fault;
use tests::faulty_service::FaultyService;
use tests::hooks::Action;
use tests::in_process::{InProcess, json_of};
use tests::interrupted::{expire_intents, sweep};
use tests::invariants::assert_invariants;
use tests::provisioning::{
    add_members_body, create_group, create_user_in_groups, create_users, group_body, members_of,
    remove_members_body, set_active_body,
};
use tests::service::TIME_LIMIT;
use tests::table::{put_item, read_items};
use tokio::sync::oneshot;

fn set(ids: &[String]) -> BTreeSet<String> {
    ids.iter().cloned().collect()
}

/// The time of a process whose clock is an hour ahead.
fn an_hour_ahead() -> Timestamp {
    Timestamp::now() + Duration::from_secs(3_600)
}

/// Begins one change of each kind that needs several transactions, and lets its process die.
async fn begin_one_of_each(faulty: &FaultyService, requests: &InProcess) {
    let client = faulty.client();
    let users = create_users(&client, 80).await;
    let group = create_group(&client, "changed", &[]).await;
    let deleted = create_group(&client, "deleted", &users).await;
    let (leaver, _) = create_user_in_groups(&client, "leaver", 40).await;
    for (method, path, body) in [
        ("PATCH", format!("/Groups/{group}"), add_members_body(&users)),
        ("POST", "/Groups".to_owned(), group_body("created", &users)),
        ("PATCH", format!("/Users/{leaver}"), set_active_body(false)),
        ("DELETE", format!("/Groups/{deleted}"), Value::Null),
    ] {
        // A deletion goes on with batches.
        let is_write = |call: &Call| call.is_change() || call.operation == "BatchWriteItem";
        let cut = faulty.dynamodb.at_call(1, is_write, Action::Fail(Fault::Denied));
        assert_eq!(
            requests.send(method, &path, Some(&body), TIME_LIMIT).await.status(),
            500,
            "{method} {path}"
        );
        assert!(cut.was_reached(), "{method} {path}");
        faulty.dynamodb.heal();
    }
}

#[tokio::test]
async fn sweeper_leaves_work_until_its_process_counts_as_dead() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), &faulty.connector.id);
    let dynamodb = runtime::dynamodb::client_at(&faulty.dynamodb.endpoint).await;
    let ahead = InProcess::with_clock(dynamodb, client.clone(), an_hour_ahead);
    begin_one_of_each(&faulty, &ahead).await;
    let swept = faulty.sweep(Timestamp::now()).await.unwrap();
    assert_eq!((swept.finished, swept.left, swept.failures), (0, 4, Vec::new()));
    // The owners of member changes made progress after the times that the intents name.
    for ((pk, _), mut item) in read_items(&faulty.service, connector).await {
        if pk.ends_with("#intent") {
            item.insert("due".to_owned(), AttributeValue::N("1000".to_owned()));
            put_item(&faulty.service, item).await;
        }
    }
    let swept = faulty.sweep(Timestamp::now()).await.unwrap();
    assert_eq!((swept.finished, swept.left, swept.failures), (2, 2, Vec::new()));
    let swept = faulty.sweep(an_hour_ahead() + Duration::from_secs(60)).await.unwrap();
    assert_eq!((swept.finished, swept.left, swept.failures), (2, 0, Vec::new()));
    assert_invariants(&faulty.service, connector).await;
}

#[tokio::test]
async fn process_that_makes_progress_or_takes_work_over_has_the_whole_time_again() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), &faulty.connector.id);
    let users = create_users(&client, 110).await;
    let group = create_group(&client, "Tour Guides", &[]).await;
    let path = format!("/Groups/{group}");
    let due = async || {
        let items = read_items(&faulty.service, connector).await;
        let number = |pk: &str, sk: &str, name: &str| {
            let item = &items[&(format!("{connector}#{pk}"), sk.to_owned())];
            item[name].as_n().unwrap().parse::<i64>().unwrap()
        };
        (number("intent", &format!("group/{group}"), "due"), number("group", &group, "intent_due"))
    };
    // The first transaction arrives some milliseconds after it was made.
    let later = async {
        let start = Timestamp::now();
        while Timestamp::now().duration_since(start).as_millis() < 2 {
            tokio::task::yield_now().await;
        }
    };
    let _hook = faulty.dynamodb.at_call(0, Call::is_change, Action::run(later));
    faulty.cut_off_after(2, "PATCH", &path, &add_members_body(&users)).await;
    let (first, now) = due().await;
    assert!(now > first, "{now} {first}");
    // A sweeper takes the work over, and dies.
    let cut = faulty.dynamodb.at_call(1, Call::is_change, Action::Fail(Fault::Denied));
    let swept = faulty.sweep(an_hour_ahead()).await.unwrap();
    assert!(cut.was_reached());
    assert_eq!((swept.finished, swept.left, swept.failures.len()), (0, 0, 1));
    faulty.dynamodb.heal();
    assert_eq!(due().await.0, first);
    assert!(due().await.1 > now + 3_000_000, "{now}");
    assert_eq!(sweep(&faulty.service, connector).await, 1);
    assert_eq!(members_of(&client, &group).await, set(&users));
    assert_invariants(&faulty.service, connector).await;
}

#[tokio::test]
async fn sweeper_that_comes_too_late_changes_nothing() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), faulty.connector.id.clone());
    let users = create_users(&client, 80).await;
    for what in ["deleted", "finished"] {
        for at in 0.. {
            let group = create_group(&client, &format!("{what} {at}"), &[]).await;
            let path = format!("/Groups/{group}");
            faulty.cut_off_after(1, "PATCH", &path, &add_members_body(&users)).await;
            expire_intents(&faulty.service, &connector).await;
            // Before one of the sweeper's requests.
            let interruption = {
                let (service, client) = (Arc::clone(&faulty.service), client.clone());
                let (connector, path, removed) = (connector.clone(), path.clone(), users[0].clone());
                async move {
                    if what == "deleted" {
                        assert_eq!(client.delete(&path).await.status, 204);
                    } else {
                        sweep(&service, &connector).await;
                        assert_eq!(client.patch(&path, &remove_members_body(&[removed])).await.status, 200);
                    }
                }
            };
            faulty.dynamodb.interrupt(at, interruption);
            let swept = faulty.sweep(Timestamp::now()).await.unwrap();
            assert_eq!(swept.failures, Vec::<String>::new(), "{what} {at}");
            let was_reached = faulty.heal_and_was_reached(at);
            if !was_reached {
                assert_eq!(members_of(&client, &group).await, set(&users));
                assert!(at > 4, "only {at} requests were met");
                break;
            }
            if what == "deleted" {
                assert_eq!(client.get(&path).await.status, 404, "{at}");
            } else {
                assert_eq!(members_of(&client, &group).await, set(&users[1..]), "{at}");
            }
            assert_invariants(&faulty.service, &connector).await;
        }
    }
}

#[tokio::test]
async fn sweeper_that_loses_the_work_to_another_one_changes_nothing_more() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), &faulty.connector.id);
    let users = create_users(&client, 80).await;
    let group = create_group(&client, "Tour Guides", &[]).await;
    faulty.cut_off_after(1, "PATCH", &format!("/Groups/{group}"), &add_members_body(&users)).await;
    expire_intents(&faulty.service, connector).await;
    let before = members_of(&client, &group).await;
    // After the first sweeper took the work over, and before it reads how far the work is, the second one does. Its clock is
    // ahead, and it is slow.
    let second = faulty.another().await;
    let slow = Arc::new(second.dynamodb.at_call(1, Call::is_change, Action::HoldRequest));
    let (begin, begun) = oneshot::channel();
    let second_takes = {
        let slow = Arc::clone(&slow);
        async move {
            begin.send(()).unwrap();
            slow.reached().await;
        }
    };
    let is_read = |call: &Call| call.operation == "TransactGetItems";
    let hook = faulty.dynamodb.at_call(0, is_read, Action::run(second_takes));
    let first = async {
        let swept = faulty.sweep(Timestamp::now()).await.unwrap();
        assert!(hook.was_reached());
        let members = members_of(&client, &group).await;
        slow.release();
        (swept.finished, swept.left, members)
    };
    let second = async {
        begun.await.unwrap();
        let swept = second.sweep(an_hour_ahead()).await.unwrap();
        (swept.finished, swept.left)
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first, second), ((0, 1, before), (1, 0)));
    assert_eq!(members_of(&client, &group).await, set(&users));
    assert_invariants(&faulty.service, connector).await;
}

#[tokio::test]
async fn creation_that_ends_while_it_is_rolled_back_is_complete_or_gone() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), faulty.connector.id.clone());
    let users = create_users(&client, 60).await;
    let (mut complete, mut gone) = (0, 0);
    for at in 0.. {
        let body = group_body(&format!("Tour Guides {at}"), &users);
        let creator = faulty.another().await;
        // The creator is slow: its last transaction arrives before one of the requests of the sweeper.
        let last = Arc::new(creator.dynamodb.at_call(1, Call::is_change, Action::HoldRequest));
        let (ended, end) = oneshot::channel();
        let create = async {
            let created = creator.send("POST", "/Groups", &body).await;
            // The interruption waits for it, unless it did not happen.
            let _ = ended.send(());
            created
        };
        let roll_back = async {
            last.reached().await;
            expire_intents(&faulty.service, &connector).await;
            let interruption = {
                let last = Arc::clone(&last);
                async move {
                    last.release();
                    end.await.unwrap();
                }
            };
            faulty.dynamodb.interrupt(at, interruption);
            let swept = faulty.sweep(Timestamp::now()).await.unwrap();
            assert_eq!(swept.failures, Vec::<String>::new(), "{at}");
            let was_reached = faulty.heal_and_was_reached(at);
            last.release();
            was_reached
        };
        let (created, was_reached) = tokio::join!(create, roll_back);
        if created.status() == 201 {
            let id = json_of(&created)["id"].as_str().unwrap().to_owned();
            assert_eq!(members_of(&client, &id).await, set(&users), "{at}");
            complete += 1;
        } else {
            assert_eq!(created.status(), 429, "{at}");
            assert_eq!(client.post("/Groups", &body).await.status, 201, "{at}");
            gone += 1;
        }
        assert_invariants(&faulty.service, &connector).await;
        if !was_reached {
            break;
        }
    }
    assert!(complete > 1 && gone > 1, "{complete} {gone}");
}

#[tokio::test]
async fn request_whose_work_was_taken_over_is_answered_after_its_end() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), &faulty.connector.id);
    let users = create_users(&client, 60).await;
    let group = create_group(&client, "Tour Guides", &[]).await;
    let path = format!("/Groups/{group}");
    // Before its second transaction, a sweeper whose clock is ahead takes the work over, and dies.
    let sweeper = faulty.another().await;
    let take_and_die = async move {
        let cut = sweeper.dynamodb.at_call(1, Call::is_change, Action::Fail(Fault::Denied));
        assert_eq!(sweeper.sweep(an_hour_ahead()).await.unwrap().failures.len(), 1);
        assert!(cut.was_reached());
    };
    let _hook = faulty.dynamodb.at_call(1, Call::is_change, Action::run(take_and_die));
    let short = Duration::from_secs(1);
    let added = faulty.requests.send("PATCH", &path, Some(&add_members_body(&users)), short).await;
    assert_eq!(added.status(), 429);
    faulty.dynamodb.heal();
    sweep(&faulty.service, connector).await;
    assert_eq!(client.patch(&path, &add_members_body(&users)).await.status, 200);
    assert_eq!(members_of(&client, &group).await, set(&users));
    assert_invariants(&faulty.service, connector).await;
}
