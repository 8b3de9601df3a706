//! Changes of more than one transaction: if something happens between two of their requests to DynamoDB, they are carried out
//! completely or not at all, and no request gets a 4xx after a part of it was written.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use directory::settings::{OnDelete, Settings};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::resource::{ResourceId, ResourceKind};
use shared::schema::Schemas;
use tests::client::Client;
use tests::faults::Fault;
use tests::faulty_service::FaultyService;
use tests::in_process::{InProcess, json_of};
use tests::interrupted::{backdate_intents, expire_intents, sweep};
use tests::invariants::assert_invariants;
use tests::layout;
use tests::provisioning::{
    add_members, add_members_body, create_group, create_user, create_users, group_body, member_values,
    members_of, patch_body, percent_encoded, replace_members_body, set_active_body,
};
use tests::scimctl::scimctl;
use tests::service::{TIME_LIMIT, service};
use tests::table::{put_item, read_items, set_attribute};

fn set(ids: &[String]) -> BTreeSet<String> {
    ids.iter().cloned().collect()
}

async fn number_of_groups(client: &Client, name: &str) -> Value {
    let filter = percent_encoded(&format!("displayName eq {name:?}"));
    client.get(&format!("/Groups?filter={filter}")).await.json()["totalResults"].clone()
}

#[tokio::test]
async fn incomplete_creation_is_invisible_and_is_rolled_back() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), &faulty.connector.id);
    let users = create_users(&client, 80).await;
    let first_user = format!("/Users/{}", users[0]);
    let (mut rolled_back, mut taken_over) = (0, 0);
    for at in 0.. {
        let name = format!("Tour Guides {at}");
        let body = group_body(&name, &users);
        faulty.dynamodb.fail_from(at, Fault::Denied);
        let first = faulty.send("POST", "/Groups", &body).await;
        if !faulty.heal_and_was_reached(at) {
            assert_eq!(first.status(), 201);
            assert_eq!(json_of(&first)["members"].as_array().unwrap().len(), 80);
            break;
        }
        assert_eq!(first.status(), 500, "{at}");
        assert_eq!(number_of_groups(&client, &name).await, 0, "{at}");
        assert_eq!(client.get("/Groups?count=0").await.json()["totalResults"], 0, "{at}");
        assert_eq!(client.get(&first_user).await.json().get("groups"), None, "{at}");
        if !read_items(&faulty.service, connector).await.keys().any(|(pk, _)| pk.ends_with("#intent")) {
            continue;
        }
        // Its creator may live, so the name is reserved.
        let again = client.post("/Groups", &body).await;
        assert_eq!(again.status, 429, "{at}: {}", again.json());
        let seconds: u64 = again.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=6).contains(&seconds), "{at}: {seconds}");
        if at % 2 == 0 {
            assert_eq!(sweep(&faulty.service, connector).await, 1, "{at}");
            rolled_back += 1;
        } else {
            // The repeated request itself rolls it back.
            assert_eq!(expire_intents(&faulty.service, connector).await, 1, "{at}");
            taken_over += 1;
        }
        let again = client.post("/Groups", &group_body(&name, &users[40..])).await;
        assert_eq!(again.status, 201, "{at}: {}", again.json());
        let id = again.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(members_of(&client, &id).await, set(&users[40..]), "{at}");
        assert_eq!(client.get(&first_user).await.json().get("groups"), None, "{at}");
        assert_invariants(&faulty.service, connector).await;
        assert_eq!(client.delete(&format!("/Groups/{id}")).await.status, 204, "{at}");
    }
    assert!(rolled_back > 0 && taken_over > 0, "{rolled_back} {taken_over}");
    assert_invariants(&faulty.service, connector).await;
}

/// A change of 60 to 100 memberships, and what it changes.
struct Case {
    method: &'static str,
    path: String,
    body: Value,
    group: String,
    before: BTreeSet<String>,
    after: BTreeSet<String>,
}

async fn large_changes(client: &Client, users: &[String], round: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for what in ["add", "remove", "put", "replace", "matching"] {
        let name = format!("{what} {round}");
        let before = if what == "add" { &users[..10] } else { &users[..60] };
        let group = create_group(client, &name, before).await;
        let path = format!("/Groups/{group}");
        let (method, body, after) = match what {
            "add" => ("PATCH", add_members_body(&users[5..]), users),
            "remove" => {
                let value = member_values(&users[5..60]);
                (
                    "PATCH",
                    patch_body(json!([{ "op": "remove", "path": "members", "value": value }])),
                    &users[..5],
                )
            }
            "put" => ("PUT", group_body(&format!("{name} renamed"), &users[40..]), &users[40..]),
            "replace" => ("PATCH", replace_members_body(&users[40..]), &users[40..]),
            _ => {
                let value = member_values(&users[40..]);
                let path = format!("members[value ne {:?}]", users[69]);
                (
                    "PATCH",
                    patch_body(json!([{ "op": "replace", "path": path, "value": value }])),
                    &users[40..],
                )
            }
        };
        cases.push(Case { method, path, body, group, before: set(before), after: set(after) });
    }
    cases
}

#[tokio::test]
async fn interrupted_change_is_finished_without_the_client() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), &faulty.connector.id);
    let users = create_users(&client, 70).await;
    let (mut finished, mut untouched) = (0, 0);
    for at in 0.. {
        let mut completed = 0;
        let cases = large_changes(&client, &users, &at.to_string()).await;
        for Case { method, path, body, group, before, after } in &cases {
            faulty.dynamodb.fail_from(at, Fault::Denied);
            let answer = faulty.send(method, path, body).await;
            let is_interrupted = faulty.heal_and_was_reached(at);
            // The record of a credential's use may fail, and the request succeeds.
            let is_interrupted = is_interrupted && answer.status() == 500;
            assert!(is_interrupted || answer.status().is_success(), "{method} {path} {at}");
            completed += usize::from(!is_interrupted);
            let swept = sweep(&faulty.service, connector).await;
            finished += swept;
            let members = members_of(&client, group).await;
            if !is_interrupted || swept > 0 {
                assert_eq!(&members, after, "{method} {path} {at}");
            } else {
                // Nothing was written, or the first request after the last transaction failed.
                assert!(members == *before || members == *after, "{method} {path} {at}");
                untouched += usize::from(members == *before);
            }
            if method == &"PUT" {
                let name = client.get(path).await.json()["displayName"].as_str().unwrap().to_owned();
                assert_eq!(name.ends_with("renamed"), members == *after, "{at}");
            }
        }
        assert_invariants(&faulty.service, connector).await;
        if completed == cases.len() {
            break;
        }
    }
    assert!(finished >= 5 && untouched > 10, "{finished} changes were finished, {untouched} did not begin");
}

#[tokio::test]
async fn interrupted_deletion_and_deactivation_are_finished_without_the_client() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), &faulty.connector.id);
    let users = create_users(&client, 60).await;
    let mut groups = Vec::new();
    for number in 0..36 {
        groups.push(create_group(&client, &format!("group {number:02}"), &[]).await);
    }
    let mut finished = 0;
    for at in 0.. {
        let mut completed = 0;
        for what in ["delete user", "deactivate", "delete group"] {
            let leaver = create_user(&client, &format!("leaver {what} {at}")).await;
            for group in &groups {
                let added = add_members(&client, group, std::slice::from_ref(&leaver)).await;
                assert_eq!(added.status, 200);
            }
            let group = create_group(&client, &format!("large {what} {at}"), &users).await;
            let (method, path, body) = match what {
                "delete user" => ("DELETE", format!("/Users/{leaver}"), Value::Null),
                "deactivate" => ("PATCH", format!("/Users/{leaver}"), set_active_body(false)),
                _ => ("DELETE", format!("/Groups/{group}"), Value::Null),
            };
            faulty.dynamodb.fail_from(at, Fault::Denied);
            let answer = faulty.send(method, &path, &body).await;
            let is_interrupted = faulty.heal_and_was_reached(at);
            let is_interrupted = is_interrupted && answer.status() == 500;
            assert!(is_interrupted || answer.status().is_success(), "{what} {at}");
            completed += usize::from(!is_interrupted);
            finished += sweep(&faulty.service, connector).await;
            let now = client.get(&path).await;
            let is_done = match what {
                "deactivate" => now.json()["active"] == false,
                _ => now.status == 404,
            };
            assert!(is_done || is_interrupted, "{what} {at}");
            let held = client.get(&format!("/Groups/{}?attributes=members", groups[0])).await.json();
            let is_member = held["members"]
                .as_array()
                .is_some_and(|members| members.iter().any(|one| one["value"] == leaver));
            assert_eq!(is_member, what == "delete group" || !is_done, "{what} {at}");
            assert_invariants(&faulty.service, connector).await;
            client.delete(&format!("/Users/{leaver}")).await;
        }
        if completed == 3 {
            break;
        }
    }
    assert!(finished > 3, "{finished} changes were finished");
    assert_invariants(&faulty.service, connector).await;
}

#[tokio::test]
async fn leaver_in_a_few_groups_leaves_them_in_the_transaction_that_deactivates_or_deletes() {
    let faulty = FaultyService::new().await;
    let client = faulty.client();
    for (method, body) in [("PATCH", set_active_body(false)), ("DELETE", Value::Null)] {
        for at in 0.. {
            let leaver = create_user(&client, &format!("{method} {at}")).await;
            let mut groups = Vec::new();
            for number in 0..25 {
                groups.push(
                    create_group(&client, &format!("{method} {at} {number}"), std::slice::from_ref(&leaver))
                        .await,
                );
            }
            let path = format!("/Users/{leaver}");
            faulty.dynamodb.fail_from(at, Fault::Denied);
            let status = faulty.send(method, &path, &body).await.status().as_u16();
            let was_reached = faulty.heal_and_was_reached(at);
            let user = client.get(&path).await;
            let has_left = user.status == 404 || user.json()["active"] == false;
            // There is no state in between, so nothing is left for the sweeper.
            assert_invariants(&faulty.service, &faulty.connector.id).await;
            for group in &groups {
                assert_eq!(members_of(&client, group).await.is_empty(), has_left, "{method} {at}");
            }
            if !was_reached {
                assert!(status < 300, "{method}: {status}");
                assert_eq!(at, 2, "a read and a transaction");
                break;
            }
        }
    }
}

#[tokio::test]
async fn sweeper_that_meets_a_slow_request_repeats_none_of_its_changes() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), faulty.connector.id.clone());
    let users = create_users(&client, 70).await;
    let mut met = 0;
    for at in 0.. {
        let mut completed = 0;
        let cases = large_changes(&client, &users, &at.to_string()).await;
        for Case { method, path, body, group, after, .. } in &cases {
            // While the request waits, the sweeper finishes its change, and another client changes one of its members.
            let changed = users[69].clone();
            let was_member = after.contains(&changed);
            let interruption = {
                let (client, connector, path) = (client.clone(), connector.clone(), path.clone());
                let service = Arc::clone(&faulty.service);
                let operation = if was_member { "remove" } else { "add" };
                let value = member_values(std::slice::from_ref(&changed));
                let change = patch_body(json!([{ "op": operation, "path": "members", "value": value }]));
                async move {
                    if sweep(&service, &connector).await > 0 {
                        assert!([200, 204].contains(&client.patch(&path, &change).await.status));
                    }
                }
            };
            faulty.dynamodb.interrupt(at, interruption);
            let answer = faulty.send(method, path, body).await;
            let was_reached = faulty.heal_and_was_reached(at);
            completed += usize::from(!was_reached);
            assert!(answer.status().is_success(), "{method} {path} {at}: {}", answer.status());
            let members = members_of(&client, group).await;
            let mut with_change = after.clone();
            if was_member {
                with_change.remove(&changed);
            } else {
                with_change.insert(changed);
            }
            assert!(members == *after || members == with_change, "{method} {path} {at}: {}", members.len());
            met += usize::from(members == with_change);
            assert_invariants(&faulty.service, &connector).await;
        }
        if completed == cases.len() {
            break;
        }
    }
    assert!(met > 4, "the sweeper met {met} requests");
}

/// The time of a process whose clock is a minute ahead.
fn a_minute_ahead() -> Timestamp {
    Timestamp::now() + Duration::from_secs(60)
}

#[tokio::test]
async fn clocks_that_differ_by_a_minute_lose_nothing() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), faulty.connector.id.clone());
    let users = create_users(&client, 70).await;
    for at in 0.. {
        // A sweeper whose clock is ahead takes work over while its owner lives.
        let group = create_group(&client, &format!("changed {at}"), &users[..10]).await;
        let path = format!("/Groups/{group}");
        let sweep_ahead = || {
            let (service, connector) = (Arc::clone(&faulty.service), connector.clone());
            async move {
                let (table, now) = (service.table(), a_minute_ahead());
                let swept = table.sweep(Some(&connector), Schemas::built_in(), now).await.unwrap();
                assert_eq!((swept.left, swept.failures), (0, Vec::<String>::new()));
            }
        };
        faulty.dynamodb.interrupt(at, sweep_ahead());
        let changed = faulty.send("PATCH", &path, &add_members_body(&users[10..])).await;
        assert!(changed.status().is_success(), "{at}");
        let was_reached = faulty.heal_and_was_reached(at);
        assert_eq!(members_of(&client, &group).await, set(&users), "{at}");
        // A creation is rolled back; the client gets 429 and repeats it.
        faulty.dynamodb.interrupt(at, sweep_ahead());
        let body = group_body(&format!("created {at}"), &users);
        let created = faulty.send("POST", "/Groups", &body).await;
        let was_creation_reached = faulty.heal_and_was_reached(at);
        let created = match created.status().as_u16() {
            429 => client.post("/Groups", &body).await.json(),
            status => {
                assert_eq!(status, 201, "{at}");
                json_of(&created)
            }
        };
        assert_eq!(members_of(&client, created["id"].as_str().unwrap()).await, set(&users), "{at}");
        assert_invariants(&faulty.service, &connector).await;
        if !was_reached && !was_creation_reached {
            break;
        }
    }
    // A service whose clock is ahead waits for no owner.
    let group = create_group(&client, "waiting", &users[..10]).await;
    let path = format!("/Groups/{group}");
    faulty.cut_off("PATCH", &path, &add_members_body(&users[10..])).await;
    let ahead = InProcess::with_clock(faulty.service.dynamodb(), client.clone(), a_minute_ahead);
    let body = replace_members_body(&users[..3]);
    assert_eq!(ahead.send("PATCH", &path, Some(&body), TIME_LIMIT).await.status(), 200);
    assert_eq!(members_of(&client, &group).await, set(&users[..3]));
    assert_invariants(&faulty.service, &connector).await;
}

#[tokio::test]
async fn request_gets_no_4xx_after_a_part_was_written() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), &faulty.connector.id);
    let users = create_users(&client, 70).await;
    let mut inner = Vec::new();
    for number in 0..35 {
        inner.push(create_group(&client, &format!("inner {number}"), &[]).await);
    }
    let mut refused = 0;
    // The search for circles sends about 40 reads that are alike, so a part of them is enough.
    let positions = (0..10).chain((10..).step_by(10));
    let mut left = vec!["noTarget", "circle", "name", "unknown member", "deleted"];
    for at in positions {
        inner.truncate(35);
        inner.push(create_group(&client, &format!("last inner {at}"), &[]).await);
        for what in left.clone() {
            let name = format!("{what} {at}");
            let group = create_group(&client, &name, &users[..20]).await;
            let path = format!("/Groups/{group}");
            let outer = create_group(&client, &format!("outer {name}"), &[]).await;
            let leaver = create_user(&client, &format!("leaver {name}")).await;
            let joining: Vec<String> = users[20..60].iter().cloned().chain([leaver.clone()]).collect();
            // A request, and what another client does meanwhile so that the request could not succeed after that.
            let (method, body, other): (_, _, (&str, String, Value)) = match what {
                "noTarget" => {
                    let operation = json!({
                        "op": "replace", "path": format!("members[value eq {:?}]", users[0]),
                        "value": member_values(&users[20..60])
                    });
                    (
                        "PATCH",
                        patch_body(json!([operation])),
                        ("PATCH", path.clone(), replace_members_body(&users[1..20])),
                    )
                }
                "circle" => {
                    let other = (
                        "PATCH",
                        format!("/Groups/{}", inner[35]),
                        add_members_body(std::slice::from_ref(&group)),
                    );
                    ("PATCH", add_members_body(&inner), other)
                }
                "name" => {
                    let taken = format!("taken {at}");
                    let rename =
                        patch_body(json!([{ "op": "replace", "path": "displayName", "value": taken }]));
                    ("PUT", group_body(&taken, &users[20..60]), ("PATCH", format!("/Groups/{outer}"), rename))
                }
                "unknown member" => {
                    ("PATCH", add_members_body(&joining), ("DELETE", format!("/Users/{leaver}"), Value::Null))
                }
                _ => ("PUT", group_body(&name, &users[20..60]), ("DELETE", path.clone(), Value::Null)),
            };
            let interruption = {
                let client = client.clone();
                let (method, path, body) = other;
                let body = body.to_string();
                async move {
                    let headers = [("content-type", "application/scim+json")];
                    client.send(method, &path, &headers, body).await;
                }
            };
            let before = members_of(&client, &group).await;
            faulty.dynamodb.interrupt(at, interruption);
            let status = faulty.send(method, &path, &body).await.status().as_u16();
            let was_reached = faulty.heal_and_was_reached(at);
            left.retain(|kind| was_reached || *kind != what);
            assert!([200, 204, 400, 404, 409].contains(&status), "{name}: {status}");
            let now = client.get(&path).await;
            if status >= 400 && now.status == 200 {
                refused += 1;
                let members = members_of(&client, &group).await;
                let by_the_other = set(&users[1..20]);
                assert!(
                    members == before || (what == "noTarget" && members == by_the_other),
                    "{name}: {}",
                    members.len()
                );
            }
            assert_invariants(&faulty.service, connector).await;
        }
        if left.is_empty() {
            break;
        }
    }
    assert!(refused > 4, "{refused} requests were refused");
}

#[tokio::test]
async fn changes_that_commute_with_an_unfinished_change_go_on() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), &faulty.connector.id);
    let users = create_users(&client, 70).await;
    let group = create_group(&client, "Tour Guides", &users[..5]).await;
    let path = format!("/Groups/{group}");
    faulty.cut_off("PATCH", &path, &add_members_body(&users[5..60])).await;
    let key = layout::resource(connector, ResourceKind::Group, ResourceId::parse(&group).unwrap());
    let is_unfinished = async || {
        read_items(&faulty.service, connector).await[&(key.pk.clone(), key.sk.clone())].contains_key("intent")
    };
    assert!(is_unfinished().await);
    // Other members and other attributes.
    assert_eq!(client.patch(&path, &add_members_body(&users[65..67])).await.status, 200);
    let removed =
        patch_body(json!([{ "op": "remove", "path": "members", "value": member_values(&users[..2]) }]));
    assert_eq!(client.patch(&path, &removed).await.status, 200);
    let renamed = patch_body(json!([{ "op": "replace", "path": "displayName", "value": "Guides" }]));
    assert_eq!(client.patch(&path, &renamed).await.status, 200);
    assert!(is_unfinished().await);
    // A member that the unfinished change adds: the request waits for it, and here gets 429 at its deadline.
    let members = members_of(&client, &group).await;
    let waiting = users[5..60].iter().position(|id| !members.contains(id)).unwrap() + 5;
    let value = member_values(&users[waiting..=waiting]);
    let removed = patch_body(json!([{ "op": "remove", "path": "members", "value": value }]));
    let short = Duration::from_millis(200);
    let early = faulty.requests.send("PATCH", &path, Some(&removed), short).await;
    assert_eq!(early.status(), 429);
    assert!(is_unfinished().await);
    // If its process is dead, the request finishes the change first.
    expire_intents(&faulty.service, connector).await;
    assert_eq!(client.patch(&path, &removed).await.status, 200);
    assert!(!is_unfinished().await);
    let mut expected: BTreeSet<String> = users[2..60].iter().chain(&users[65..67]).cloned().collect();
    expected.remove(&users[waiting]);
    assert_eq!(members_of(&client, &group).await, expected);
    assert_invariants(&faulty.service, connector).await;
}

#[tokio::test]
async fn groups_that_an_unfinished_change_will_nest_count_in_the_search_for_circles() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), &faulty.connector.id);
    let mut inner = Vec::new();
    for number in 0..70 {
        inner.push(create_group(&client, &format!("inner {number:02}"), &[]).await);
    }
    inner.sort();
    let outer = create_group(&client, "outer", &[]).await;
    let path = format!("/Groups/{outer}");
    faulty.cut_off("PATCH", &path, &add_members_body(&inner)).await;
    let members = members_of(&client, &outer).await;
    // The last one, because the guard also names the first nestings for a reason of its own.
    let waiting = inner.iter().rfind(|id| !members.contains(*id)).unwrap();
    let circle =
        client.patch(&format!("/Groups/{waiting}"), &add_members_body(std::slice::from_ref(&outer))).await;
    assert_eq!((circle.status, &circle.json()["scimType"]), (400, &json!("invalidValue")));
    assert_eq!(sweep(&faulty.service, connector).await, 1);
    assert_eq!(members_of(&client, &outer).await, set(&inner));
    // The guard no longer names the group.
    let is_named = async || {
        let guard = (format!("{connector}#count"), "nesting".to_owned());
        read_items(&faulty.service, connector).await[&guard].contains_key("begun")
    };
    assert!(!is_named().await);
    // Nor a group that is deleted before its change is finished.
    let deleted = create_group(&client, "deleted", &[]).await;
    let path = format!("/Groups/{deleted}");
    faulty.cut_off("PATCH", &path, &add_members_body(&inner)).await;
    assert!(is_named().await);
    assert_eq!(client.delete(&path).await.status, 204);
    assert!(!is_named().await);
    assert_invariants(&faulty.service, connector).await;
}

#[tokio::test]
async fn group_that_is_deleted_during_an_unfinished_change_stays_deleted() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), faulty.connector.id.clone());
    let users = create_users(&client, 70).await;
    for at in 0.. {
        let group = create_group(&client, &format!("Tour Guides {at}"), &users[..5]).await;
        let path = format!("/Groups/{group}");
        let interruption = {
            let (client, path) = (client.clone(), path.clone());
            async move { assert_eq!(client.delete(&path).await.status, 204) }
        };
        faulty.dynamodb.interrupt(at, interruption);
        let status = faulty.send("PATCH", &path, &add_members_body(&users[5..])).await.status().as_u16();
        let was_reached = faulty.heal_and_was_reached(at);
        if !was_reached {
            assert_eq!(status, 200);
            assert_eq!(client.delete(&path).await.status, 204);
            break;
        }
        assert!([200, 204, 404].contains(&status), "{at}: {status}");
        assert_eq!(client.get(&path).await.status, 404, "{at}");
        assert_invariants(&faulty.service, &connector).await;
    }
}

#[tokio::test]
async fn check_reports_work_that_is_unfinished_for_five_minutes_and_repair_finishes_it() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), faulty.connector.id.clone());
    let users = create_users(&client, 80).await;
    let id = connector.to_string();
    let group = create_group(&client, "Tour Guides", &[]).await;
    let path = format!("/Groups/{group}");
    faulty.cut_off("PATCH", &path, &add_members_body(&users)).await;
    assert_eq!(scimctl(&faulty.service, &["check", &id]).ok(), "no findings\n");
    backdate_intents(&faulty.service, &connector, "2026-01-01T00:00:00Z").await;
    let found = scimctl(&faulty.service, &["check", &id]);
    let expected = format!("{id}: found: a change of Group {group} was interrupted and not finished\n");
    assert_eq!((found.code, found.out), (1, expected));
    let repaired = scimctl(&faulty.service, &["check", &id, "--repair"]);
    assert_eq!(repaired.code, 0, "{repaired:?}");
    assert_eq!(members_of(&client, &group).await, set(&users));
    assert_invariants(&faulty.service, &connector).await;
}

#[tokio::test]
async fn check_leaves_the_name_of_a_group_alone_that_is_being_created() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), faulty.connector.id.clone());
    let users = create_users(&client, 60).await;
    let body = group_body("Tour Guides", &users);
    faulty.cut_off("POST", "/Groups", &body).await;
    let checked = scimctl(&faulty.service, &["check", &connector.to_string(), "--repair"]);
    assert_eq!((checked.code, checked.out.as_str()), (0, "no findings\n"));
    assert_eq!(client.post("/Groups", &body).await.status, 429);
    sweep(&faulty.service, &connector).await;
    assert_eq!(client.post("/Groups", &body).await.status, 201);
    assert_invariants(&faulty.service, &connector).await;
}

#[tokio::test]
async fn removal_beside_an_unanswered_addition_is_not_lost() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), faulty.connector.id.clone());
    let users = create_users(&client, 60).await;
    // Two reads at the same time, a read of the intent, two reads in order.
    for at in 0..6 {
        let group = create_group(&client, &format!("Tour Guides {at}"), &[]).await;
        let path = format!("/Groups/{group}");
        faulty.cut_off("PATCH", &path, &add_members_body(&users)).await;
        let members = members_of(&client, &group).await;
        let waiting = users.iter().find(|id| !members.contains(*id)).unwrap().clone();
        // The sweeper adds the member before one of the requests of its removal.
        let interruption = {
            let (service, connector) = (Arc::clone(&faulty.service), connector.clone());
            async move {
                let _ = sweep(&service, &connector).await;
            }
        };
        faulty.dynamodb.interrupt(at, interruption);
        let value = member_values(std::slice::from_ref(&waiting));
        let removed = patch_body(json!([{ "op": "remove", "path": "members", "value": value }]));
        assert!(faulty.send("PATCH", &path, &removed).await.status().is_success(), "{at}");
        assert!(faulty.heal_and_was_reached(at) || at > 3, "{at}");
        assert!(!members_of(&client, &group).await.contains(&waiting), "{at}");
        sweep(&faulty.service, &connector).await;
        assert_invariants(&faulty.service, &connector).await;
    }
}

#[tokio::test]
async fn sweep_goes_on_after_a_connector_that_it_cannot_read() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), faulty.connector.id.clone());
    let users = create_users(&client, 60).await;
    let group = create_group(&client, "Tour Guides", &[]).await;
    faulty.cut_off("PATCH", &format!("/Groups/{group}"), &add_members_body(&users)).await;
    expire_intents(&faulty.service, &connector).await;
    // Connectors before and after it, each with an intent and a record that cannot be read.
    for name in ["aaa", "zzz"] {
        let broken = faulty.service.connector_named(name, "okta", "correct horse battery staple").await.id;
        let mut intent = layout::Key::new(format!("{broken}#intent"), format!("group/{group}")).attributes();
        intent.insert("since".to_owned(), AttributeValue::S("2026-01-01T00:00:00Z".to_owned()));
        intent.insert("due".to_owned(), AttributeValue::N("0".to_owned()));
        put_item(&faulty.service, intent).await;
        let record = layout::connector(&broken);
        set_attribute(&faulty.service, &record, "doc", AttributeValue::S("{".to_owned())).await;
    }
    let swept = faulty.service.table().sweep(None, Schemas::built_in(), Timestamp::now()).await.unwrap();
    assert_eq!((swept.finished, swept.failures.len()), (1, 2), "{swept:?}");
    assert_eq!(members_of(&client, &group).await, set(&users));
}

#[tokio::test]
async fn user_whom_operators_keep_is_kept_if_the_setting_changes_during_the_deletion() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), faulty.connector.id.clone());
    let keep = |settings: Settings| Settings { on_delete: OnDelete::Deactivate, ..settings };
    faulty.service.change_settings(&connector, keep).await;
    let leaver = create_user(&client, "leaver").await;
    for number in 0..40 {
        create_group(&client, &format!("left {number}"), std::slice::from_ref(&leaver)).await;
    }
    let path = format!("/Users/{leaver}");
    // A service that has not read the connector before.
    let dynamodb = runtime::dynamodb::client_at(&faulty.dynamodb.endpoint).await;
    let keeping = InProcess::new(dynamodb, client.clone()).await;
    for at in 0.. {
        faulty.dynamodb.fail_from(at, Fault::Denied);
        keeping.send("DELETE", &path, Some(&Value::Null), TIME_LIMIT).await;
        faulty.dynamodb.heal();
        if expire_intents(&faulty.service, &connector).await > 0 {
            break;
        }
    }
    faulty
        .service
        .change_settings(&connector, |settings| Settings { on_delete: OnDelete::Delete, ..settings })
        .await;
    let deleting = InProcess::new(faulty.service.dynamodb(), client.clone()).await;
    assert_eq!(deleting.send("DELETE", &path, Some(&Value::Null), TIME_LIMIT).await.status(), 204);
    let key = (format!("{connector}#user"), leaver.clone());
    assert!(read_items(&faulty.service, &connector).await[&key].contains_key("kept"));
    assert_invariants(&faulty.service, &connector).await;
}

#[tokio::test]
async fn scimctl_and_the_scheduled_function_finish_interrupted_work() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), faulty.connector.id.clone());
    let users = create_users(&client, 80).await;
    let id = connector.to_string();
    let leaver = create_user(&client, "leaver").await;
    for number in 0..40 {
        create_group(&client, &format!("left {number}"), std::slice::from_ref(&leaver)).await;
    }
    let interrupt = async |group: &str| {
        // One of each kind of work.
        for (method, path, body) in [
            ("PATCH", format!("/Groups/{group}"), add_members_body(&users)),
            ("POST", "/Groups".to_owned(), group_body("created", &users)),
            ("PATCH", format!("/Users/{leaver}"), set_active_body(false)),
        ] {
            faulty.cut_off(method, &path, &body).await;
        }
        expire_intents(&faulty.service, &connector).await;
    };
    let group = create_group(&client, "first", &[]).await;
    interrupt(&group).await;
    let printed = scimctl(&faulty.service, &["sweep", &id]).ok();
    assert_eq!(printed, "3 interrupted changes finished, 0 still being carried out\n");
    assert_eq!(members_of(&client, &group).await, set(&users));
    assert_eq!(number_of_groups(&client, "created").await, 0);
    assert_eq!(client.get(&format!("/Users/{leaver}")).await.json().get("groups"), None);
    assert_invariants(&faulty.service, &connector).await;

    // The function has only the rights that the template gives it.
    assert_eq!(client.patch(&format!("/Users/{leaver}"), &set_active_body(true)).await.status, 200);
    for number in 0..40 {
        create_group(&client, &format!("left again {number}"), std::slice::from_ref(&leaver)).await;
    }
    let group = create_group(&client, "second", &[]).await;
    interrupt(&group).await;
    let event: Value = serde_json::from_str(
        &std::fs::read_to_string(tests::workspace().join("events/directory-sweep.json")).unwrap(),
    )
    .unwrap();
    let result = faulty.service.gateway().lambda().invoke("directory-sweep", &event).await.unwrap();
    // Other tests have interrupted work in other connectors.
    assert!(result["finished"].as_u64().unwrap() >= 3, "{result}");
    assert_eq!(result["failed"], 0, "{result}");
    assert_eq!(members_of(&client, &group).await, set(&users));
    assert_invariants(&faulty.service, &connector).await;
}

#[tokio::test]
async fn changes_of_every_size_are_carried_out_in_transactions_of_33_members() {
    let service = service();
    let connector = service.connector().await;
    let client = connector.local(service);
    let users = create_users(&client, 400).await;
    let counted = tests::ledger::CountedService::new(service, &connector).await;
    let group = create_group(&client, "Tour Guides", &[]).await;
    let (cost, _) =
        counted.cost("PATCH", &format!("/Groups/{group}"), Some(&add_members_body(&users)), 204).await;
    // The reads at the beginning, 400 members in transactions of up to 33, and the read for the response.
    assert!(cost.round_trips <= 3 + 400_usize.div_ceil(32) + 1, "{cost:?}");
    assert_eq!(members_of(&client, &group).await, set(&users));
    assert_invariants(service, &connector.id).await;
}
