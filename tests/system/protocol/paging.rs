//! Paging by index (RFC 7644 §3.4.2.4), paging by cursor (RFC 9865), and sorting (RFC 7644 §3.4.2.3).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use shared::resource::ResourceId;
use tests::in_process::InProcess;
use tests::pages::{ids_of, read_page, texts_of, walk_pages};
use tests::provisioning::{USER, create_group, create_user, create_users, patch_body};
use tests::seed;
use tests::service::{TIME_LIMIT, service};

#[tokio::test]
async fn start_index_and_count_select_the_page() {
    let client = service().client().await;
    let users = create_users(&client, 45).await;
    // In the table, items of memberships are between the items of users. They must not count as users.
    for number in 0..3 {
        create_group(&client, &format!("group {number}"), &users[number * 10..]).await;
    }
    let all = ids_of(&read_page(&client, "").await);
    assert_eq!(all.iter().collect::<BTreeSet<_>>(), users.iter().collect());
    for (query, start_index, expected) in [
        ("startIndex=1&count=10", 1, &all[..10]),
        ("startIndex=11&count=10", 11, &all[10..20]),
        ("startIndex=41&count=10", 41, &all[40..]),
        ("startIndex=46&count=10", 46, &[]),
        ("startIndex=0&count=2", 1, &all[..2]),
        ("startIndex=-5&count=2", 1, &all[..2]),
        ("count=0", 1, &[]),
        ("count=-1", 1, &[]),
        ("count=100000", 1, &all[..]),
        ("STARTINDEX=45", 45, &all[44..]),
        ("filter=userName%20pr&startIndex=44&count=5", 44, &all[43..]),
    ] {
        let found = read_page(&client, query).await;
        assert_eq!(ids_of(&found), expected, "{query}");
        assert_eq!(
            (&found["totalResults"], &found["startIndex"], &found["itemsPerPage"], found.get("nextCursor")),
            (&json!(45), &json!(start_index), &json!(expected.len()), None),
            "{query}"
        );
    }
    let first = &read_page(&client, "startIndex=1&count=1").await["Resources"][0];
    let first_user = client.get(&format!("/Users/{}", all[0])).await.json();
    assert_eq!(*first, first_user, "a page has the same representation as a GET, with groups and version");
}

#[tokio::test]
async fn page_is_the_same_when_its_bucket_is_read_from_either_end() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let in_bucket = |bucket: &str| {
        let random = directory::secrets::new_resource_id().to_string();
        ResourceId::parse(&format!("{bucket}{}", &random[2..])).unwrap()
    };
    let buckets = [("10", 160), ("11", 90), ("ff", 70)].into_iter();
    let seeded: Vec<ResourceId> =
        buckets.flat_map(|(bucket, count)| (0..count).map(move |_| in_bucket(bucket))).collect();
    seed::users_with_ids(service(), &connector.id, &seeded).await;
    let all = walk_pages(&client, "count=50", async |_| {}).await;
    assert_eq!(all.len(), 320);
    let some: Vec<String> = all.iter().step_by(3).cloned().collect();
    for name in ["one", "other"] {
        create_group(&client, name, &some).await;
    }
    for start in (1..=320).step_by(9).chain([160, 161, 251, 320]) {
        for count in [1, 20, 100] {
            let found = read_page(&client, &format!("startIndex={start}&count={count}")).await;
            let expected = all.iter().skip(start - 1).take(count);
            assert_eq!(ids_of(&found), expected.cloned().collect::<Vec<_>>(), "{count} from {start}");
            for user in found["Resources"].as_array().unwrap() {
                let groups = user["groups"].as_array().map_or(0, Vec::len);
                let is_in = some.iter().any(|id| user["id"] == **id);
                assert_eq!(groups, if is_in { 2 } else { 0 }, "{count} from {start}: {user}");
            }
        }
    }
}

#[tokio::test]
async fn pages_of_an_active_filter_contain_only_matches() {
    let client = service().client().await;
    let users = create_users(&client, 30).await;
    for user in &users[..10] {
        let body = patch_body(json!([{ "op": "replace", "path": "active", "value": false }]));
        assert_eq!(client.patch(&format!("/Users/{user}"), &body).await.status, 200);
    }
    for (value, expected) in [("true", &users[10..]), ("false", &users[..10])] {
        let mut seen = BTreeSet::new();
        for start in (1..=expected.len()).step_by(4) {
            let found =
                read_page(&client, &format!("filter=active%20eq%20{value}&startIndex={start}&count=4")).await;
            assert_eq!(found["totalResults"], expected.len());
            seen.extend(ids_of(&found));
        }
        assert_eq!(seen, expected.iter().cloned().collect(), "active eq {value}");
    }
}

#[tokio::test]
async fn cursor_pages_show_each_remaining_user_once() {
    let client = service().client().await;
    let users = create_users(&client, 40).await;
    let (remaining, leavers) = users.split_at(30);
    for query in [
        "count=7",
        "count=7&filter=userName%20sw%20%22u%22",
        "count=7&sortBy=userName",
        "count=7&sortBy=userName&sortOrder=descending",
        "count=7&sortBy=id",
        "count=7&sortBy=id&sortOrder=descending&filter=userName%20pr",
        "count=7&sortBy=name.familyName",
    ] {
        let seen = walk_pages(&client, query, async |number| {
            if let Some(leaver) = leavers.get(number) {
                client.delete(&format!("/Users/{leaver}")).await;
            }
            create_user(&client, &format!("new {query} {number}")).await;
        })
        .await;
        for user in remaining {
            assert_eq!(seen.iter().filter(|id| *id == user).count(), 1, "{query}: {user}");
        }
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len(), "{query}: a user is on two pages");
    }
}

#[tokio::test]
async fn cursor_is_refused_for_another_query_connector_or_count() {
    let client = service().client().await;
    create_users(&client, 5).await;
    let first = read_page(&client, "count=2&cursor=").await;
    assert_eq!((&first["totalResults"], &first["itemsPerPage"]), (&json!(5), &json!(2)));
    let cursor = first["nextCursor"].as_str().unwrap().to_owned();
    let other = service().client().await;
    create_users(&other, 5).await;
    let mut forged = cursor.clone();
    forged.replace_range(5..6, if &forged[5..6] == "A" { "B" } else { "A" });
    for (client, query, scim_type) in [
        (&client, format!("count=2&cursor={forged}"), "invalidCursor"),
        (&client, format!("count=2&cursor={cursor}&filter=userName%20pr"), "invalidCursor"),
        (&client, format!("count=2&cursor={cursor}&sortBy=userName"), "invalidCursor"),
        (&other, format!("count=2&cursor={cursor}"), "invalidCursor"),
        (&client, format!("count=3&cursor={cursor}"), "invalidCount"),
        (&client, "count=1001&cursor=".to_owned(), "invalidCount"),
        // RFC 9865 §2.1: an empty page could not have a next page.
        (&client, "count=0&cursor=".to_owned(), "invalidCount"),
        (&client, "count=-1&cursor=".to_owned(), "invalidCount"),
        (&client, "sortBy=shoeSize".to_owned(), "invalidPath"),
    ] {
        let reply = client.get(&format!("/Users?{query}")).await;
        assert_eq!((reply.status, &reply.json()["scimType"]), (400, &json!(scim_type)), "{query}");
    }
    assert_eq!(ids_of(&read_page(&client, &format!("count=2&cursor={cursor}")).await).len(), 2);
}

#[tokio::test]
async fn sort_by_and_sort_order_order_the_resources() {
    let client = service().client().await;
    for (name, title, emails) in [
        ("Cat", json!("b"), json!([{ "value": "z@x" }, { "value": "a@x", "primary": true }])),
        ("ann", json!("C"), json!([{ "value": "b@x" }])),
        ("Bob", json!(null), json!([])),
        ("dan", json!("a"), json!([{ "value": "c@x" }])),
    ] {
        let body = json!({ "schemas": [USER], "userName": name, "title": title, "emails": emails });
        assert_eq!(client.post("/Users", &body).await.status, 201);
    }
    for (query, expected) in [
        ("sortBy=userName", ["ann", "Bob", "Cat", "dan"]),
        ("sortBy=USERNAME&sortOrder=Descending", ["dan", "Cat", "Bob", "ann"]),
        // RFC 7644 §3.4.2.3: resources without a value come last in ascending order and first in descending
        // order.
        ("sortBy=title", ["dan", "Cat", "ann", "Bob"]),
        ("sortBy=title&sortOrder=descending", ["Bob", "ann", "Cat", "dan"]),
        ("sortBy=emails", ["Cat", "ann", "dan", "Bob"]),
        ("sortBy=emails.value&filter=userName%20pr", ["Cat", "ann", "dan", "Bob"]),
        ("sortBy=userName&filter=userName%20pr", ["ann", "Bob", "Cat", "dan"]),
    ] {
        let mut names = Vec::new();
        for start in [1, 3] {
            let found = read_page(&client, &format!("{query}&startIndex={start}&count=2")).await;
            assert_eq!(found["totalResults"], 4);
            let resources = found["Resources"].as_array().unwrap().clone();
            names.extend(resources.iter().map(|user| user["userName"].as_str().unwrap().to_owned()));
        }
        assert_eq!(names, expected, "{query}");
    }
}

/// A clock that is 1 s later each time that it is read.
fn clock_with_distinct_times() -> Timestamp {
    static SECONDS: AtomicI64 = AtomicI64::new(0);
    Timestamp::now() + SignedDuration::from_secs(SECONDS.fetch_add(1, Ordering::SeqCst))
}

#[tokio::test]
async fn users_can_be_sorted_by_creation_time() {
    let client = service().client().await;
    let requests = InProcess::with_clock(service().dynamodb(), client.clone(), clock_with_distinct_times);
    let mut names = ["cat", "ann", "dan", "bob"];
    for name in names {
        let body = json!({ "schemas": [USER], "userName": name });
        assert_eq!(requests.send("POST", "/Users", Some(&body), TIME_LIMIT).await.status(), 201, "{name}");
    }
    let ascending = read_page(&client, "sortBy=meta.created").await;
    assert_eq!(texts_of(&ascending, "userName"), names);
    let descending = read_page(&client, "sortBy=meta.created&sortOrder=descending").await;
    names.reverse();
    assert_eq!(texts_of(&descending, "userName"), names);
}
