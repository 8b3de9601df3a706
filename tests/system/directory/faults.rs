//! Faults of DynamoDB (throttling, conflicts, errors, lost requests and answers) and changes at the same
//! time: the service retries or answers an error, no accepted change is lost, and every invariant of the
//! table holds afterwards.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use service::response::Response;
use tests::faults::{FAULTS, Fault};
use tests::faulty_service::FaultyService;
use tests::in_process::{InProcess, json_of};
use tests::interrupted::{expire_intents, sweep};
use tests::invariants::assert_invariants;
use tests::provisioning::{
    GROUP, USER, add_members_body, create_group, create_user, create_users, member_values, members_of,
    patch_body, replace_members_body, set_active_body,
};
use tests::service::service;

#[tokio::test]
async fn one_fault_at_any_request_is_retried_and_no_change_is_made_twice() {
    let faulty = FaultyService::new().await;
    let client = faulty.client();
    let members = create_users(&client, 3).await;
    let operator = faulty.service.directory(&faulty.connector.id).await;
    let (mut users_made, mut faults_met) = (3, 0);
    for fault in FAULTS {
        for at in 0.. {
            let name = format!("{fault:?} {at}");
            faulty.dynamodb.fail_once(at, fault);
            let created =
                faulty.send("POST", "/Users", &json!({ "schemas": [USER], "userName": name })).await;
            assert_eq!(created.status(), 201, "{name}");
            users_made += 1;
            if !faulty.heal_and_was_reached(at) {
                break;
            }
            faults_met += 1;
        }
        for at in 0.. {
            let path = format!("/Users/{}", create_user(&client, &format!("patched {fault:?} {at}")).await);
            users_made += 1;
            let body =
                patch_body(json!([{ "op": "replace", "value": { "title": "x", "displayName": "y" } }]));
            faulty.dynamodb.fail_once(at, fault);
            let patched = faulty.send("PATCH", &path, &body).await;
            assert_eq!(
                (patched.status().as_u16(), &json_of(&patched)["meta"]["version"]),
                (200, &json!("W/\"2\""))
            );
            if !faulty.heal_and_was_reached(at) {
                break;
            }
            faults_met += 1;
        }
        for at in 0.. {
            let group = create_group(&client, &format!("joined {fault:?} {at}"), &[]).await;
            let body = add_members_body(&members[..1]);
            faulty.dynamodb.fail_once(at, fault);
            let joined = faulty.send("PATCH", &format!("/Groups/{group}"), &body).await;
            assert_eq!(
                (joined.status().as_u16(), &json_of(&joined)["meta"]["version"]),
                (200, &json!("W/\"2\""))
            );
            assert_eq!(json_of(&joined)["members"][0]["value"], members[0]);
            if !faulty.heal_and_was_reached(at) {
                break;
            }
            faults_met += 1;
        }
        for at in 0.. {
            let leaver = create_user(&client, &format!("leaver {fault:?} {at}")).await;
            users_made += 1;
            for number in 0..2 {
                create_group(
                    &client,
                    &format!("left {fault:?} {at} {number}"),
                    std::slice::from_ref(&leaver),
                )
                .await;
            }
            let body = set_active_body(false);
            faulty.dynamodb.fail_once(at, fault);
            let left = faulty.send("PATCH", &format!("/Users/{leaver}"), &body).await;
            assert_eq!((left.status().as_u16(), json_of(&left).get("groups")), (200, None));
            if !faulty.heal_and_was_reached(at) {
                break;
            }
            faults_met += 1;
        }
        for at in 0.. {
            let name = format!("adopted {fault:?} {at}");
            let document = json!({ "schemas": [USER], "userName": name });
            let local = operator.create_user(document.as_object().unwrap().clone()).await.unwrap();
            users_made += 1;
            faulty.dynamodb.fail_once(at, fault);
            let adopted = faulty.send("POST", "/Users", &document).await;
            let body = json_of(&adopted);
            assert_eq!(
                (adopted.status().as_u16(), &body["id"], &body["meta"]["version"]),
                (201, &json!(local.id.to_string()), &json!("W/\"2\"")),
                "{name}"
            );
            if !faulty.heal_and_was_reached(at) {
                break;
            }
            faults_met += 1;
        }
        for at in 0.. {
            let group = create_group(&client, &format!("deleted {fault:?} {at}"), &members).await;
            faulty.dynamodb.fail_once(at, fault);
            assert_eq!(faulty.send("DELETE", &format!("/Groups/{group}"), &Value::Null).await.status(), 204);
            if !faulty.heal_and_was_reached(at) {
                break;
            }
            faults_met += 1;
        }
    }
    assert!(faults_met > FAULTS.len() * 10, "only {faults_met} faults were interrupted");
    assert_eq!(client.get("/Users?count=0").await.json()["totalResults"], users_made);
    assert_invariants(&faulty.service, &faulty.connector.id).await;
}

#[tokio::test]
async fn busy_dynamodb_gives_429_and_a_retry_completes_the_request() {
    let faulty = FaultyService::new().await;
    let client = faulty.client();
    let users = create_users(&client, 140).await;
    let short = Duration::from_millis(400);
    let replaced = replace_members_body(&users[40..]);
    let deactivated = set_active_body(false);
    let mut cut_off = 0;
    // In each round, one more request reaches DynamoDB before all others fail.
    for at in 0..12 {
        let replaced_group = create_group(&client, &format!("replaced {at}"), &users[..60]).await;
        let deleted_group = create_group(&client, &format!("deleted {at}"), &users[..100]).await;
        let leaver = create_user(&client, &format!("leaver {at}")).await;
        for number in 0..40 {
            create_group(&client, &format!("left {at} {number}"), std::slice::from_ref(&leaver)).await;
        }
        for (method, target, body, status) in [
            ("PATCH", format!("/Groups/{replaced_group}"), &replaced, 200),
            ("DELETE", format!("/Groups/{deleted_group}"), &Value::Null, 204),
            ("PATCH", format!("/Users/{leaver}"), &deactivated, 200),
        ] {
            faulty.dynamodb.fail_from(at, Fault::Throttled);
            let first = faulty.requests.send(method, &target, Some(body), short).await;
            let is_cut_off = faulty.heal_and_was_reached(at);
            cut_off += usize::from(is_cut_off);
            // On a slow machine the deadline may pass without a fault.
            if is_cut_off || first.status() == 429 {
                assert_eq!(first.status(), 429, "{method} {target} {at}");
                assert_eq!(first.headers()["retry-after"], "2");
                let again = faulty.send(method, &target, body).await;
                assert_eq!(again.status(), status, "{method} {target} {at}");
            } else {
                assert_eq!(first.status(), status, "{method} {target} {at}");
            }
        }
        assert_eq!(members_of(&client, &replaced_group).await, users[40..].iter().cloned().collect());
        assert_eq!(client.get(&format!("/Groups/{deleted_group}")).await.status, 404);
        let leaver = client.get(&format!("/Users/{leaver}")).await.json();
        assert_eq!((&leaver["active"], leaver.get("groups")), (&json!(false), None));
    }
    assert!(cut_off > 15, "only {cut_off} requests were cut off");
    assert_invariants(&faulty.service, &faulty.connector.id).await;
}

/// A request of each route that writes, and the status of its success. Some of them need several transactions.
async fn writing_requests(faulty: &FaultyService, round: &str) -> Vec<(&'static str, String, Value, u16)> {
    let client = faulty.client();
    let users = create_users(&client, 40).await;
    let user = create_user(&client, &format!("user {round}")).await;
    let other = create_user(&client, &format!("other {round}")).await;
    let group = create_group(&client, &format!("group {round}"), &users[..5]).await;
    let large = create_group(&client, &format!("large {round}"), &[]).await;
    let body = |name: &str, members: &[String]| json!({ "schemas": [GROUP], "displayName": format!("{name} {round}"), "members": member_values(members) });
    let new_user = json!({ "schemas": [USER], "userName": format!("new {round}") });
    let operation = json!({ "method": "POST", "path": "/Users", "bulkId": "1", "data": { "schemas": [USER], "userName": format!("bulk {round}") } });
    let bulk = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [operation] });
    vec![
        ("POST", "/Users".to_owned(), new_user.clone(), 201),
        (
            "PUT",
            format!("/Users/{user}"),
            json!({ "schemas": [USER], "userName": format!("put {round}") }),
            200,
        ),
        ("PATCH", format!("/Users/{user}"), set_active_body(false), 200),
        ("DELETE", format!("/Users/{other}"), Value::Null, 204),
        ("POST", "/Groups".to_owned(), body("new", &users[..3]), 201),
        ("POST", "/Groups".to_owned(), body("large new", &users), 201),
        ("PUT", format!("/Groups/{group}"), body("put", &users[3..]), 200),
        ("PATCH", format!("/Groups/{large}"), add_members_body(&users), 200),
        ("DELETE", format!("/Groups/{large}"), Value::Null, 204),
        ("POST", "/Bulk".to_owned(), bulk, 201),
    ]
}

/// The status of a response and its detail, or those of the only operation of a Bulk.
fn outcome(response: &Response) -> (u16, String) {
    let detail = |error: &Value| error["detail"].as_str().unwrap_or_default().to_owned();
    if response.body().is_empty() {
        return (response.status().as_u16(), String::new());
    }
    let body = json_of(response);
    match body["Operations"].get(0) {
        Some(operation) => {
            (operation["status"].as_str().unwrap().parse().unwrap(), detail(&operation["response"]))
        }
        None => (response.status().as_u16(), detail(&body)),
    }
}

#[tokio::test]
async fn request_of_any_route_that_gets_429_can_be_repeated_as_it_is() {
    let short = Duration::from_millis(300);
    let (mut refused, mut sentences) = (BTreeSet::new(), BTreeSet::new());
    for fault in [Fault::Throttled, Fault::LostAnswer] {
        for at in 0..5 {
            let faulty = FaultyService::new().await;
            for (method, target, body, success) in writing_requests(&faulty, &at.to_string()).await {
                let context = format!("{fault:?} {at}: {method} {target}");
                faulty.dynamodb.fail_from(at, fault);
                let (status, detail) =
                    outcome(&faulty.requests.send(method, &target, Some(&body), short).await);
                faulty.dynamodb.heal();
                if status != 429 {
                    assert!((200..300).contains(&status), "{context}: {status} {detail}");
                    continue;
                }
                let is_unknown = detail.contains("it is not known whether the request was carried out");
                assert!(is_unknown || detail.contains("Repeat the request as it is"), "{context}: {detail}");
                sentences.insert(if is_unknown { "unknown" } else { "busy" });
                refused.insert(format!("{method} {}", target.split('/').nth(1).unwrap()));
                // A change of several transactions may have begun, and its process count as living.
                expire_intents(&faulty.service, &faulty.connector.id).await;
                let (again, detail) = outcome(&faulty.send(method, &target, &body).await);
                // As the message says, a POST that was carried out gets 409. A resource that was deleted gets 404.
                let was_done = (method, again) == ("POST", 409) || (method, again) == ("DELETE", 404);
                assert!(again == success || (is_unknown && was_done), "{context}: {again} {detail}");
            }
            sweep(&faulty.service, &faulty.connector.id).await;
            assert_invariants(&faulty.service, &faulty.connector.id).await;
        }
    }
    assert_eq!(sentences, BTreeSet::from(["busy", "unknown"]));
    let of_groups = ["POST Groups", "PUT Groups", "PATCH Groups", "DELETE Groups"];
    let of_users = ["POST Users", "PUT Users", "PATCH Users", "DELETE Users"];
    let routes = of_groups.into_iter().chain(of_users).chain(["POST Bulk"]).map(str::to_owned);
    assert_eq!(refused, routes.collect());
}

#[tokio::test]
async fn request_without_time_left_gives_429_and_writes_nothing() {
    let client = service().client().await;
    // This DynamoDB has no faults.
    let requests = InProcess::new(service().dynamodb(), client.clone()).await;
    let body = json!({ "schemas": [USER], "userName": "ann" });
    let late = requests.send("POST", "/Users", Some(&body), Duration::ZERO).await;
    assert_eq!((late.status().as_u16(), &late.headers()["retry-after"]), (429, &"2".parse().unwrap()));
    assert_eq!(client.get("/Users").await.json()["totalResults"], 0);
}

#[tokio::test]
async fn user_reactivated_during_deactivation_keeps_new_memberships() {
    let faulty = FaultyService::new().await;
    let client = faulty.client();
    for at in 0.. {
        let leaver = create_user(&client, &format!("leaver {at}")).await;
        for number in 0..40 {
            create_group(&client, &format!("left {at} {number}"), std::slice::from_ref(&leaver)).await;
        }
        let path = format!("/Users/{leaver}");
        let added = add_members_body(std::slice::from_ref(&leaver));
        let joined = create_group(&client, &format!("joined {at}"), &[]).await;
        let interruption = {
            let (client, path, back) = (client.clone(), path.clone(), set_active_body(true));
            let joined = format!("/Groups/{joined}");
            async move {
                assert_eq!(client.patch(&path, &back).await.status, 200);
                assert_eq!(client.patch(&joined, &added).await.status, 200);
            }
        };
        faulty.dynamodb.interrupt(at, interruption);
        assert_eq!(faulty.send("PATCH", &path, &set_active_body(false)).await.status(), 200, "{at}");
        if !faulty.heal_and_was_reached(at) {
            assert!(at > 2, "only {at} requests were interrupted");
            break;
        }
        // The user is active and a member, or neither: it depends on which request came last.
        let now = client.get(&path).await.json();
        let is_member = members_of(&client, &joined).await.contains(&leaver);
        assert_eq!(json!(is_member), now["active"], "{at}");
    }
    assert_invariants(&faulty.service, &faulty.connector.id).await;
}

#[tokio::test]
async fn failed_condition_in_a_conflicting_transaction_is_retried() {
    let faulty = FaultyService::new().await;
    let client = faulty.client();
    let path = format!("/Users/{}", create_user(&client, "ann").await);
    let renamed = patch_body(json!([{ "op": "replace", "path": "userName", "value": "bob" }]));
    // The second request is the write. It conflicts with a transaction that is not complete and has the same
    // name.
    faulty.dynamodb.fail_once(1, Fault::HalfWritten);
    assert_eq!(faulty.send("PATCH", &path, &renamed).await.status(), 200);
    assert_eq!(faulty.dynamodb.heal(), 3);
    assert_eq!(client.get(&path).await.json()["userName"], "bob");
    assert_invariants(&faulty.service, &faulty.connector.id).await;
}

#[tokio::test]
async fn interrupted_member_replacement_leaves_one_complete_set() {
    let faulty = FaultyService::new().await;
    let client = faulty.client();
    let all = create_users(&client, 120).await;
    // Replacements of one transaction, and of several.
    for count in [20, 120] {
        let users = &all[..count];
        let (one, other) = users.split_at(count / 2);
        let before = &users[count / 4..count / 4 * 3];
        let replaced = replace_members_body(other);
        for at in 0.. {
            let name = format!("replaced {count} {at}");
            let path = format!("/Groups/{}", create_group(&client, &name, before).await);
            let put = json!({ "schemas": [GROUP], "displayName": name, "members": member_values(one) });
            let interruption = {
                let (client, path) = (client.clone(), path.clone());
                async move { assert_eq!(client.put(&path, &put).await.status, 200) }
            };
            faulty.dynamodb.interrupt(at, interruption);
            assert_eq!(faulty.send("PATCH", &path, &replaced).await.status(), 200, "{name}");
            if !faulty.heal_and_was_reached(at) {
                assert!(at > 3, "only {at} requests were interrupted");
                break;
            }
            let left = members_of(&client, path.trim_start_matches("/Groups/")).await;
            let sets = [one, other].map(|set| set.iter().cloned().collect());
            assert!(sets.contains(&left), "{name}: a mixture of {}", left.len());
        }
    }
    assert_invariants(&faulty.service, &faulty.connector.id).await;
}

#[tokio::test]
async fn version_of_a_group_is_never_newer_than_the_members_in_the_same_answer() {
    let faulty = FaultyService::new().await;
    let client = faulty.client();
    let users = create_users(&client, 3).await;
    let group = create_group(&client, "Tour Guides", &users).await;
    let path = format!("/Groups/{group}");
    let version = |tag: &str| tag["W/\"".len()..].trim_end_matches('"').parse::<u64>().unwrap();
    let mut is_member = true;
    for (method, body) in [
        ("GET", Value::Null),
        (
            "PUT",
            json!({ "schemas": [GROUP], "displayName": "Tour Guides", "members": member_values(&users[..2]) }),
        ),
        ("PATCH", patch_body(json!([{ "op": "replace", "path": "displayName", "value": "Tour Guides" }]))),
    ] {
        let mut same_version = 0;
        for at in 0.. {
            is_member = !is_member;
            let op = if is_member { "add" } else { "remove" };
            let body_of_interruption =
                patch_body(json!([{ "op": op, "path": "members", "value": member_values(&users[2..]) }]));
            let interruption = {
                let (client, path) = (client.clone(), path.clone());
                async move { assert_eq!(client.patch(&path, &body_of_interruption).await.status, 200) }
            };
            faulty.dynamodb.interrupt(at, interruption);
            let answer = faulty.send(method, &path, &body).await;
            assert_eq!(answer.status(), 200, "{method} {at}");
            if !faulty.heal_and_was_reached(at) {
                is_member = !is_member;
                assert!(at > 1, "only {at} requests of {method} were interrupted");
                break;
            }
            let now = client.get(&path).await;
            let answered = version(answer.headers()["etag"].to_str().unwrap());
            let current = version(now.header("etag").unwrap());
            assert!(
                answered <= current,
                "{method} {at}: the response has version {answered}, the group has {current}"
            );
            if answered == current {
                assert_eq!(now.json()["members"], json_of(&answer)["members"], "{method} {at}");
                same_version += 1;
            }
        }
        assert!(same_version > 0, "no response to {method} had the current version of the group");
    }
    assert_invariants(&faulty.service, &faulty.connector.id).await;
}

#[tokio::test]
async fn user_deactivated_at_any_point_of_an_addition_is_in_no_group() {
    let faulty = FaultyService::new().await;
    let client = faulty.client();
    let deactivated = set_active_body(false);
    for at in 0.. {
        let leaver = create_user(&client, &format!("leaver {at}")).await;
        let group = create_group(&client, &format!("joined {at}"), &[]).await;
        let added = add_members_body(std::slice::from_ref(&leaver));
        let interruption = {
            let (client, path, body) = (client.clone(), format!("/Users/{leaver}"), deactivated.clone());
            async move { assert_eq!(client.patch(&path, &body).await.status, 200) }
        };
        faulty.dynamodb.interrupt(at, interruption);
        assert_eq!(faulty.send("PATCH", &format!("/Groups/{group}"), &added).await.status(), 200, "{at}");
        if !faulty.heal_and_was_reached(at) {
            assert!(at > 1, "only {at} requests were met");
            break;
        }
        assert_eq!(members_of(&client, &group).await, BTreeSet::new(), "{at}");
        assert_eq!(client.get(&format!("/Users/{leaver}")).await.json().get("groups"), None, "{at}");
    }
    assert_invariants(&faulty.service, &faulty.connector.id).await;
}

#[tokio::test]
async fn user_deleted_while_pages_are_read_does_not_repeat_or_skip_others() {
    let faulty = FaultyService::new().await;
    let client = faulty.client();
    let remaining = create_users(&client, 12).await;
    for at in 0.. {
        let deleted = create_user(&client, "user001x").await;
        let interruption = {
            let (client, path) = (client.clone(), format!("/Users/{deleted}"));
            async move { assert_eq!(client.delete(&path).await.status, 204) }
        };
        faulty.dynamodb.interrupt(at, interruption);
        let (mut cursor, mut seen) = (String::new(), Vec::new());
        for number in 1.. {
            assert!(number <= 12, "the pages of 12 users have no end");
            let target = format!("/Users?sortBy=userName&count=4&cursor={cursor}");
            let page = json_of(&faulty.send("GET", &target, &Value::Null).await);
            let ids = page["Resources"].as_array().unwrap().iter();
            seen.extend(ids.map(|user| user["id"].as_str().unwrap().to_owned()).filter(|id| *id != deleted));
            let Some(next) = page.get("nextCursor") else { break };
            cursor = next.as_str().unwrap().to_owned();
        }
        assert_eq!(seen, remaining, "{at}");
        if !faulty.heal_and_was_reached(at) {
            assert!(at > 8, "only {at} requests were interrupted");
            break;
        }
    }
    assert_invariants(&faulty.service, &faulty.connector.id).await;
}

#[tokio::test]
async fn group_with_few_members_is_created_complete_or_not_at_all() {
    let faulty = FaultyService::new().await;
    let client = faulty.client();
    let users = create_users(&client, 20).await;
    let inner = create_group(&client, "Guides in training", &[]).await;
    let members: Vec<String> = users.iter().cloned().chain([inner]).collect();
    let body = |at: usize| json!({ "schemas": [GROUP], "displayName": format!("Tour Guides {at}"), "members": member_values(&members) });
    for at in 0.. {
        // All requests from this one on are lost, as if the process was killed.
        faulty.dynamodb.fail_from(at, Fault::Denied);
        let first = faulty.send("POST", "/Groups", &body(at)).await;
        if !faulty.heal_and_was_reached(at) {
            assert_eq!(first.status(), 201);
            let returned: BTreeSet<String> = json_of(&first)["members"]
                .as_array()
                .unwrap()
                .iter()
                .map(|member| member["value"].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(returned, members.iter().cloned().collect());
            assert!(at > 3, "only {at} requests were met");
            break;
        }
        assert_eq!(first.status(), 500, "{at}");
        let filter = format!("/Groups?filter=displayName%20eq%20%22Tour%20Guides%20{at}%22");
        assert_eq!(client.get(&filter).await.json()["totalResults"], 0, "{at}");
        // So the repetition succeeds.
        let again = faulty.send("POST", "/Groups", &body(at)).await;
        assert_eq!(again.status(), 201, "{at}");
    }
    assert_invariants(&faulty.service, &faulty.connector.id).await;
}

#[tokio::test]
async fn group_is_created_without_a_member_that_leaves_meanwhile() {
    let faulty = FaultyService::new().await;
    let client = faulty.client();
    for at in 0.. {
        let names = ["ann", "bob", "eve"].map(|name| format!("{name} {at}"));
        let users = futures_util::future::join_all(names.iter().map(|name| create_user(&client, name))).await;
        let leaver = format!("/Users/{}", users[1]);
        let body =
            json!({ "schemas": [GROUP], "displayName": format!("g {at}"), "members": member_values(&users) });
        let interruption = {
            let client = client.clone();
            async move { assert_eq!(client.patch(&leaver, &set_active_body(false)).await.status, 200) }
        };
        faulty.dynamodb.interrupt(at, interruption);
        let created = faulty.send("POST", "/Groups", &body).await;
        assert_eq!(created.status(), 201, "{at}");
        let id = json_of(&created)["id"].as_str().unwrap().to_owned();
        let was_reached = faulty.heal_and_was_reached(at);
        let expected = if was_reached { vec![users[0].clone(), users[2].clone()] } else { users };
        assert_eq!(members_of(&client, &id).await, expected.into_iter().collect(), "{at}");
        if !was_reached {
            assert!(at > 1, "only {at} requests were met");
            break;
        }
    }
    assert_invariants(&faulty.service, &faulty.connector.id).await;
}
