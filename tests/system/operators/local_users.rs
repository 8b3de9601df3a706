//! Local users, which operators created: a client's lists leave them out, so that an import does not take them over. A filter
//! that names one finds it, so that the client can link it.

use std::collections::BTreeSet;

use directory::settings::Settings;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tests::client::Client;
use tests::in_process::{InProcess, json_of};
use tests::invariants::assert_invariants;
use tests::layout;
use tests::ledger::CountedService;
use tests::provisioning::{
    USER, create_group, create_user, create_users, members_of, percent_encoded, set_active_body, total_of,
};
use tests::scimctl::{run, scimctl};
use tests::service::{Service, TIME_LIMIT, TestConnector, service};
use tests::table::{read_items, set_attribute, take_item};

const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

/// Creates a local user on the shared service, and returns its id.
fn create_local_user(connector: &TestConnector, name: &str) -> String {
    let printed = run(connector, &["user", "create", name, "--email", &format!("{name}@example.com")]).ok();
    printed.trim().rsplit(' ').next().unwrap().to_owned()
}

async fn connector_with(settings: Settings) -> (TestConnector, Client) {
    let connector = service().connector_with(settings).await;
    let client = connector.local(service());
    (connector, client)
}

/// The total and the ids of a list response.
fn listed(list: &Value) -> (u64, Vec<String>) {
    let resources = list["Resources"].as_array().cloned().unwrap_or_default();
    let ids = resources.iter().map(|resource| resource["id"].as_str().unwrap().to_owned()).collect();
    (list["totalResults"].as_u64().unwrap(), ids)
}

async fn filtered(client: &Client, filter: &str) -> (u64, Vec<String>) {
    listed(&client.get(&format!("/Users?filter={}", percent_encoded(filter))).await.json())
}

#[tokio::test]
async fn client_lists_leave_local_users_out() {
    let (connector, client) = connector_with(Settings::default()).await;
    let mut pushed = create_users(&client, 4).await;
    for name in ["aaa", "user000b", "user001b", "user002b", "user003b", "zzz"] {
        create_local_user(&connector, name);
    }
    let inactive = pushed[3].clone();
    client.patch(&format!("/Users/{inactive}"), &set_active_body(false)).await;
    let by_name = pushed.clone();
    let backwards: Vec<String> = by_name.iter().rev().cloned().collect();
    pushed.sort();
    assert_eq!(total_of(&client, "/Users").await, 4);
    for (query, expected) in [
        ("", &pushed[..]),
        ("?count=2", &pushed[..2]),
        ("?startIndex=3&count=2", &pushed[2..]),
        ("?startIndex=5", &[]),
        ("?sortBy=id", &pushed),
        ("?sortBy=userName", &by_name),
        ("?sortBy=userName&startIndex=2&count=2", &by_name[1..3]),
        ("?sortBy=userName&sortOrder=descending&startIndex=3&count=9", &backwards[2..]),
        ("?sortBy=meta.created&count=0", &[]),
    ] {
        let list = client.get(&format!("/Users{query}")).await.json();
        assert_eq!(listed(&list), (4, expected.to_vec()), "{query}");
    }
    let active: Vec<String> = pushed.iter().filter(|id| **id != inactive).cloned().collect();
    let name_of = |number: usize| format!("user00{number}");
    for (filter, expected) in [
        ("active eq true", active.clone()),
        ("active eq false", vec![inactive.clone()]),
        ("userName sw \"user\"", pushed.clone()),
        ("userName co \"a\" or userName co \"u\"", pushed.clone()),
        ("emails.value sw \"user\"", vec![]),
        ("emails[value eq \"aaa@example.com\"]", vec![]),
        ("not (userName eq \"user000\")", pushed.iter().filter(|id| **id != by_name[0]).cloned().collect()),
        ("userName eq \"aaa\" or userName sw \"user001\"", vec![by_name[1].clone()]),
    ] {
        assert_eq!(filtered(&client, filter).await, (expected.len() as u64, expected), "{filter}");
    }
    assert_eq!(filtered(&client, &format!("userName eq \"{}\"", name_of(2))).await.0, 1);
    for path in ["/Users/.search", "/.search"] {
        let search = client.post(path, &json!({ "schemas": [SEARCH], "filter": "userName pr" })).await.json();
        assert_eq!(listed(&search), (4, pushed.clone()), "{path}");
    }
    for sort in ["", "&sortBy=userName", "&sortBy=userName&sortOrder=descending"] {
        let (mut cursor, mut seen) = (String::new(), Vec::new());
        loop {
            let page = client.get(&format!("/Users?count=1&cursor={cursor}{sort}")).await.json();
            assert_eq!(page["totalResults"], 4);
            seen.extend(listed(&page).1);
            match page["nextCursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        let expected = match sort {
            "" => &pushed,
            "&sortBy=userName" => &by_name,
            _ => &backwards,
        };
        assert_eq!(seen, *expected, "{sort}");
    }
    // Operators see all users. The list has a header and a total.
    assert_eq!(run(&connector, &["user", "list", "--hidden"]).ok().lines().count(), 1 + 10 + 1);
    assert_eq!(run(&connector, &["connector", "show"]).value("Users:"), "10, of which 1 deactivated");
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn client_without_users_lists_none_while_operators_have_some() {
    let (connector, client) = connector_with(Settings::default()).await;
    create_local_user(&connector, "ann");
    for query in ["", "?count=0", "?sortBy=userName", "?cursor=", "?startIndex=2"] {
        let list = client.get(&format!("/Users{query}")).await.json();
        assert_eq!(listed(&list), (0, vec![]), "{query}");
    }
    assert_eq!(filtered(&client, "active eq true").await, (0, vec![]));
}

#[tokio::test]
async fn list_beside_local_users_takes_at_most_one_round_trip_more_than_without() {
    let connector = service().connector().await;
    let counted = CountedService::new(service(), &connector).await;
    create_users(&connector.local(service()), 20).await;
    let targets =
        ["/Users", "/Users?sortBy=userName", "/Users?cursor=&count=20", "/Users?filter=active%20eq%20true"];
    let round_trips = async || {
        let mut trips = Vec::new();
        for target in targets {
            let (cost, list) = counted.cost("GET", target, None, 200).await;
            assert_eq!(json_of(&list)["totalResults"], 20, "{target}");
            trips.push(cost.round_trips);
        }
        trips
    };
    let without = round_trips().await;
    for number in 0..20 {
        create_local_user(&connector, &format!("local{number:02}"));
    }
    // A first page that begins without the counts can read too few items to fill it, because half of them are left out.
    let with = round_trips().await;
    assert!(with.iter().zip(&without).all(|(with, without)| *with <= without + 1), "{with:?}, {without:?}");
}

#[tokio::test]
async fn filter_that_names_a_local_user_finds_it() {
    let (connector, client) = connector_with(Settings::default()).await;
    let ann = create_user(&client, "ann").await;
    let ben = create_local_user(&connector, "ben");
    create_local_user(&connector, "carl");
    let mut both = vec![ann.clone(), ben.clone()];
    both.sort();
    for (filter, expected) in [
        ("userName eq \"BEN\"".to_owned(), vec![ben.clone()]),
        ("userName eq \"ben\" and active eq true".to_owned(), vec![ben.clone()]),
        ("(userName eq \"ann\" or userName eq \"ben\") and active eq true".to_owned(), both),
        (format!("id eq \"{ben}\""), vec![ben.clone()]),
        ("userName eq \"ben\" and active eq false".to_owned(), vec![]),
    ] {
        assert_eq!(filtered(&client, &filter).await, (expected.len() as u64, expected), "{filter}");
    }
    assert_eq!(client.get(&format!("/Users/{ben}")).await.status, 200);
}

#[tokio::test]
async fn client_cannot_delete_a_local_user_before_it_links_the_user() {
    let (connector, client) = connector_with(Settings::default()).await;
    let ben = create_local_user(&connector, "ben");
    let path = format!("/Users/{ben}");
    run(&connector, &["group", "create", "Stewards"]).ok();
    run(&connector, &["group", "add", "Stewards", "ben"]).ok();
    let group = create_group(&client, "Tour Guides", std::slice::from_ref(&ben)).await;
    let refused = client.delete(&path).await;
    let detail = format!(
        "User {ben} was created by an operator, so the client cannot delete it. A PUT or PATCH of this user makes it the client's"
    );
    assert_eq!((refused.status, &refused.json()["detail"]), (404, &json!(detail)));
    let bulk = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [{ "method": "DELETE", "path": path }]
    });
    assert_eq!(client.post("/Bulk", &bulk).await.json()["Operations"][0]["status"], "404");
    assert_eq!(total_of(&client, "/Users").await, 0);
    assert_invariants(service(), &connector.id).await;

    let put = json!({ "schemas": [USER], "userName": "ben", "title": "Cook" });
    let linked = client.put(&path, &put).await;
    assert_eq!((linked.status, &linked.json()["id"]), (200, &json!(ben)));
    assert_eq!(listed(&client.get("/Users").await.json()), (1, vec![ben.clone()]));
    assert_eq!(listed(&client.get("/Users?sortBy=userName").await.json()), (1, vec![ben.clone()]));
    assert_eq!(members_of(&client, &group).await, BTreeSet::from([ben.clone()]));
    assert_eq!(run(&connector, &["group", "members", "Stewards"]).ok(), "ben\n");
    assert_invariants(service(), &connector.id).await;

    assert_eq!(client.delete(&path).await.status, 204);
    assert_eq!(total_of(&client, "/Users").await, 0);
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn reindex_hides_the_local_users_of_an_older_table() {
    // A separate service, because `check` reads the whole table.
    let service = Service::start();
    let connector = service.connector().await;
    let id = connector.id.to_string();
    create_user(&connector.local(&service), "ann").await;
    for name in ["ben", "carl"] {
        scimctl(&service, &["user", "create", &id, name]).ok();
    }
    // A table of an earlier version has no index of local users.
    let entries = || async {
        let items = read_items(&service, &connector.id).await;
        items.into_keys().filter(|(pk, _)| pk.ends_with("#user.local")).collect::<Vec<_>>()
    };
    assert_eq!(entries().await.len(), 2);
    for (pk, sk) in entries().await {
        take_item(&service, &layout::Key::new(pk, sk)).await;
    }
    let stored = service.table().connector(&connector.id).await.unwrap().unwrap();
    let mut record = serde_json::to_value(&stored.record).unwrap();
    let put_record = async |record: &Value| {
        let doc = aws_sdk_dynamodb::types::AttributeValue::S(record.to_string());
        set_attribute(&service, &layout::connector(&connector.id), "doc", doc).await;
    };
    record["indexes"].as_object_mut().unwrap().remove("User.local").unwrap();
    put_record(&record).await;
    let uncached = || InProcess::uncached(service.dynamodb(), connector.local(&service));
    let total = async || {
        let reply = uncached().send("GET", "/Users?count=0", None, TIME_LIMIT).await;
        json_of(&reply)["totalResults"].clone()
    };
    assert_eq!(total().await, 3);
    assert_invariants(&service, &connector.id).await;
    let doctor = scimctl(&service, &["doctor", &id]);
    assert!(doctor.out.contains("FAILED  1 index is not ready: User.local\n"), "{}", doctor.out);
    // The build began so long ago that every process knows it.
    record["indexes"]["User.local"] =
        json!({ "building": { "since": Timestamp::now() - SignedDuration::from_mins(10) } });
    put_record(&record).await;
    assert_eq!(total().await, 3);
    let built = scimctl(&service, &["reindex", &id]).ok();
    assert_eq!(built, "index User.local is ready\n2 index entries added, 0 stray ones deleted\n");
    assert_eq!(total().await, 1);
    assert_invariants(&service, &connector.id).await;

    let (pk, sk) = entries().await.remove(0);
    take_item(&service, &layout::Key::new(pk, sk)).await;
    assert_eq!(total().await, 2);
    assert!(scimctl(&service, &["check", &id]).out.contains("lacks the index entry"));
    scimctl(&service, &["check", &id, "--repair"]).ok();
    assert_eq!(total().await, 1);
    assert_invariants(&service, &connector.id).await;
}
