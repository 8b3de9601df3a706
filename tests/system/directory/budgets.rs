//! Every request stays within its budget of round trips, read units and write units. To see the table of
//! costs, run `cargo test --test system budgets -- --nocapture`.

use std::fmt::Write as _;

use directory::settings::{Mapping, Settings};
use serde_json::{Value, json};
use service::response::Response;
use shared::resource::ResourceId;
use tests::heat::Share;
use tests::in_process::json_of;
use tests::ledger::{Cost, CountedService};
use tests::provisioning::{GROUP, USER, patch_body};
use tests::seed;
use tests::service::{Service, TestConnector, service};

const USERS: usize = 100_000;

/// A budget: the maximum of round trips, read units and write units.
type Budget = (usize, f64, f64);

#[derive(Default)]
struct Ledger {
    table: String,
    exceeded: Vec<String>,
    ceilings: String,
}

impl Ledger {
    /// Records the last request of the service.
    fn record(
        &mut self,
        counted: &CountedService,
        operation: &str,
        cost: Cost,
        (round_trips, read_units, write_units): Budget,
    ) {
        let cell = |share: Option<Share>| match share {
            Some(Share { pattern, units, requests_a_second }) => format!(
                "`{pattern}` | {:.1} RCU, {:.1} WCU | {requests_a_second:.0}",
                units.read, units.write
            ),
            None => "none | |".to_owned(),
        };
        let (partition, item) = (cell(counted.hottest_partition()), cell(counted.hottest_item()));
        writeln!(self.ceilings, "| {operation} | {partition} | {item} |").unwrap();
        let Cost { round_trips: trips, read_units: read, write_units: written, .. } = cost;
        let row = format!(
            "{operation:<52} {trips:>3} /{round_trips:>3} {read:>7.1} /{read_units:>5} {written:>7.1} /{write_units:>5}"
        );
        if trips > round_trips || read > read_units || written > write_units {
            self.exceeded.push(row.clone());
        }
        writeln!(self.table, "{row}").unwrap();
    }
}

fn id(response: &Response) -> String {
    json_of(response)["id"].as_str().unwrap().to_owned()
}

/// A user as Okta sends it. Its item is just under 1 kB.
fn user(name: &str) -> Value {
    json!({
        "schemas": [USER],
        "userName": name,
        "name": { "givenName": "Test", "familyName": name },
        "emails": [{ "primary": true, "value": name, "type": "work" }],
        "displayName": "Test User",
        "externalId": format!("00u-{name}"),
        "title": "x".repeat(250),
        "active": true
    })
}

fn patch(operation: Value) -> Value {
    patch_body(json!([operation]))
}

#[tokio::test]
async fn groups_that_a_filter_finds_are_read_in_one_batch() {
    let connector = service().connector().await;
    let counted = CountedService::new(service(), &connector).await;
    for number in 0..60 {
        let group = json!({ "schemas": [GROUP], "displayName": format!("group {number}") });
        counted.cost("POST", "/Groups", Some(&group), 201).await;
    }
    let target = "/Groups?filter=displayName%20sw%20%22group%22&excludedAttributes=members&count=100";
    let (cost, found) = counted.cost("GET", target, None, 200).await;
    assert_eq!(json_of(&found)["totalResults"], 60);
    assert_eq!(cost.requests, 2, "one request for the index, one for the groups");
}

#[tokio::test]
async fn hottest_partition_and_item_of_a_request_are_known() {
    let connector = service().connector().await;
    let counted = CountedService::new(service(), &connector).await;
    let (cost, created) = counted.cost("POST", "/Users", Some(&user("ann@example.com")), 201).await;
    let (partition, item) = (counted.hottest_partition().unwrap(), counted.hottest_item().unwrap());
    assert!(partition.units.write > 0.0 && partition.units.write < cost.write_units, "{partition:?}");
    assert_eq!((partition.units.read, item.pattern.as_str()), (0.0, "c#count user/bucket"));
    counted.cost("GET", &format!("/Users/{}", id(&created)), None, 200).await;
    assert_eq!(counted.hottest_partition().unwrap().pattern, "c#user");
    let group = json!({ "schemas": [GROUP], "displayName": "Tour Guides" });
    let (_, group) = counted.cost("POST", "/Groups", Some(&group), 201).await;
    let add = patch(json!({ "op": "add", "path": "members", "value": [{ "value": id(&created) }] }));
    counted.cost("PATCH", &format!("/Groups/{}", id(&group)), Some(&add), 200).await;
    assert_eq!(counted.hottest_item().unwrap().pattern, "c#group {id}");
}

#[tokio::test]
async fn every_request_stays_within_its_budget() {
    // A separate engine, because tests that read the whole shared table would have to read all these users.
    let (service, mut ledger) = (&Service::start(), Ledger::default());
    let connector = service.connector().await;
    let counted = CountedService::new(service, &connector).await;

    let (cost, created) = counted.cost("POST", "/Users", Some(&user("test.user@okta.local")), 201).await;
    ledger.record(&counted, "create a user", cost, (1, 0.0, 20.0));
    let user_id = id(&created);
    let item = format!("/Users/{user_id}");
    let (cost, _) = counted.cost("GET", &item, None, 200).await;
    ledger.record(&counted, "get a user in no group", cost, (1, 2.0, 0.0));
    let title = patch(json!({ "op": "replace", "path": "title", "value": "y".repeat(250) }));
    let (cost, _) = counted.cost("PATCH", &item, Some(&title), 200).await;
    ledger.record(&counted, "patch an attribute that is not indexed", cost, (2, 2.0, 4.0));
    let (cost, _) = counted.cost("PATCH", &item, Some(&title), 200).await;
    ledger.record(&counted, "patch nothing", cost, (1, 2.0, 0.0));

    let mut groups = Vec::new();
    for number in 0..40 {
        let group = json!({
            "schemas": [GROUP],
            "displayName": format!("group {number}"),
            "members": if number < 5 { json!([{ "value": user_id }]) } else { json!([]) }
        });
        let (_, created) = counted.cost("POST", "/Groups", Some(&group), 201).await;
        groups.push(id(&created));
    }
    let (cost, _) = counted.cost("GET", &item, None, 200).await;
    ledger.record(&counted, "get a user in 5 groups", cost, (2, 2.0 + 5.0, 0.0));
    let by_name = "/Users?filter=userName%20eq%20%22test.user%40okta.local%22";
    let (cost, _) = counted.cost("GET", by_name, None, 200).await;
    ledger.record(&counted, "find a user in 5 groups by userName", cost, (3, 3.0 + 5.0, 0.0));
    let deactivation = patch(json!({ "op": "replace", "value": { "active": false } }));
    let (cost, _) = counted.cost("PATCH", &item, Some(&deactivation), 200).await;
    ledger.record(&counted, "deactivate a user in 5 groups", cost, (2, 2.0, 8.0 + 5.0 * 6.0));
    // 40 groups need an intent: a second transaction, a check, and the writes of the intent. The audit record names them in 2 kB.
    for (count, budget) in [(0, (2, 2.0, 8.0)), (40, (3, 3.0, 8.0 + 40.0 * 6.0 + 6.0 + 2.0))] {
        let (_, created) =
            counted.cost("POST", "/Users", Some(&user(&format!("in{count}groups@okta.local"))), 201).await;
        let member = patch(json!({ "op": "add", "path": "members", "value": [{ "value": id(&created) }] }));
        for group in groups.iter().take(count) {
            counted.cost("PATCH", &format!("/Groups/{group}"), Some(&member), 200).await;
        }
        let (cost, _) =
            counted.cost("PATCH", &format!("/Users/{}", id(&created)), Some(&deactivation), 200).await;
        ledger.record(&counted, &format!("deactivate a user in {count} groups"), cost, budget);
    }

    // Another connector, so that its directory has only these users.
    let connector = service.connector().await;
    let counted = CountedService::new(service, &connector).await;
    let users = seed::users(service, &connector.id, USERS).await;
    let mut units = Vec::new();
    for (place, start) in [("at the start", 1), ("in the middle", 50_000), ("at the end", USERS - 99)] {
        let (cost, page) =
            counted.cost("GET", &format!("/Users?startIndex={start}&count=100"), None, 200).await;
        let page = json_of(&page);
        assert_eq!((&page["totalResults"], &page["itemsPerPage"]), (&json!(USERS), &json!(100)), "{place}");
        let expected = json!(users[start - 1].to_string());
        assert_eq!(page["Resources"][0]["id"], expected, "the first user of the page {place}");
        // The first page needs no counts to begin.
        let trips = if start == 1 { 2 } else { 4 };
        ledger.record(
            &counted,
            &format!("a page of 100 of {USERS} users {place}"),
            cost,
            (trips, 200.0, 0.0),
        );
        units.push(cost.read_units);
    }
    assert!(units[2] <= 2.0 * units[0], "a page at the end costs {units:?}");
    let by_name = "/Users?filter=userName%20eq%20%22user050000@example.com%22";
    let (cost, found) = counted.cost("GET", by_name, None, 200).await;
    assert_eq!(json_of(&found)["Resources"][0]["id"], json!(users[50_000].to_string()));
    ledger.record(&counted, &format!("find one of {USERS} users by userName"), cost, (3, 3.0, 0.0));
    // If the order comes from an index, users are read one by one, 16 at the same time.
    for (what, query, round_trips) in [
        (
            "a sorted page of 100, descending",
            "sortBy=userName&sortOrder=descending&count=100".to_owned(),
            2 + 7,
        ),
        ("a page of 100 by id at the end", format!("sortBy=id&startIndex={}&count=100", USERS - 99), 5),
    ] {
        let (cost, page) = counted.cost("GET", &format!("/Users?{query}"), None, 200).await;
        assert_eq!(json_of(&page)["itemsPerPage"], 100, "{what}");
        ledger.record(&counted, what, cost, (round_trips, 200.0, 0.0));
    }
    for size in [10, 1_000, USERS - 1] {
        let group = json!({
            "schemas": [GROUP], "displayName": format!("group of {size}")
        });
        let (_, created) = counted.cost("POST", "/Groups", Some(&group), 201).await;
        let group_id = id(&created);
        seed::members(service, &connector.id, ResourceId::parse(&group_id).unwrap(), &users[..size]).await;
        let last = users[USERS - 1].to_string();
        let status = if size < 100 { 200 } else { 204 };
        let add = patch(json!({ "op": "add", "path": "members", "value": [{ "value": last }] }));
        let (cost, _) = counted.cost("PATCH", &format!("/Groups/{group_id}"), Some(&add), status).await;
        ledger.record(&counted, &format!("add a member to a group of {size}"), cost, (3, 20.0, 12.0));
        let (cost, _) = counted.cost("PATCH", &format!("/Groups/{group_id}"), Some(&add), status).await;
        ledger.record(
            &counted,
            &format!("add an existing member to a group of {size}"),
            cost,
            (2, 20.0, 0.0),
        );
        let remove = patch(json!({ "op": "remove", "path": format!("members[value eq \"{last}\"]") }));
        let (cost, _) = counted.cost("PATCH", &format!("/Groups/{group_id}"), Some(&remove), status).await;
        ledger.record(&counted, &format!("remove a member of a group of {size}"), cost, (3, 20.0, 12.0));
    }
    let (cost, _) = counted.cost("GET", "/Users?startIndex=50000&count=100", None, 200).await;
    ledger.record(&counted, "a page of 100 users, each in up to 3 groups", cost, (5, 200.0, 0.0));

    let large = platform_costs(service, &connector, &users).await;
    let connector = service.connector().await;
    let users = seed::users(service, &connector.id, 1_000).await;
    // The same groups as the users of the large directory have.
    let counted = CountedService::new(service, &connector).await;
    for size in [10, 100, users.len() - 1] {
        let group = json!({ "schemas": [GROUP], "displayName": format!("group of {size}") });
        let (_, created) = counted.cost("POST", "/Groups", Some(&group), 201).await;
        let group = ResourceId::parse(&id(&created)).unwrap();
        seed::members(service, &connector.id, group, &users[..size]).await;
    }
    let small = platform_costs(service, &connector, &users).await;
    for ((what, one), (_, other)) in small.iter().zip(&large) {
        let is_flat = other.read_units <= 1.5 * one.read_units + 3.0;
        assert!(is_flat, "{what}: {one:?} with 1,000 users, {other:?} with {USERS}");
    }

    println!(
        "Each write holds one audit record, of 2 WCU and 2 more for each 25 members or groups that it names.\n{:<52} {:>8} {:>14} {:>14}\n{}",
        "", "trips", "RCU", "WCU", ledger.table
    );
    let head = "| operation | hottest partition | units | requests a second before a split \
                | hottest shared item | units | requests a second |\n\
                | --- | --- | --- | ---: | --- | --- | ---: |\n";
    println!("{head}{}", ledger.ceilings);
    // What a page reads depends on the ids, which are random.
    let stable = ledger.ceilings.lines().filter(|row| !row.contains(" page of "));
    let ceilings = format!("{head}{}", stable.collect::<Vec<_>>().join("\n"));
    insta::assert_snapshot!("ceilings", ceilings);
    assert!(ledger.exceeded.is_empty(), "past the budget:\n{}", ledger.exceeded.join("\n"));
}

/// Measures how the platform reads a directory. Usernames are the parts before the `@`, so the names of other users are read too.
async fn platform_costs(
    service: &Service,
    connector: &TestConnector,
    users: &[ResourceId],
) -> Vec<(&'static str, Cost)> {
    let mut ledger = Ledger::default();
    service
        .change_settings(&connector.id, |settings| {
            let mapping = Mapping { username_from_email: true, ..settings.mapping.clone() };
            Settings { mapping, ..settings }
        })
        .await;
    let client = CountedService::new(service, connector).await;
    let reader = CountedService::for_reader(service, connector).await;
    let mut costs = Vec::new();
    let mut read = async |what: &'static str, target: String, budget: Budget, entries: Option<usize>| {
        let (cost, response) = reader.cost("GET", &target, None, 200).await;
        let body = json_of(&response);
        assert_eq!(body["entries"].as_array().map(Vec::len), entries, "{what}: {body}");
        ledger.record(&reader, what, cost, budget);
        costs.push((what, cost));
    };
    // Pages are in the order of ids. So the user in no group, the last one, is not in the first page.
    let mut users = users.to_vec();
    users.sort();
    let (first, middle) = (users[0], users[users.len() / 2]);
    read("get a user in no group", format!("/users/{}", users[users.len() - 1]), (3, 4.0, 0.0), None).await;
    read("find a user by username", "/users?username=user000500".to_owned(), (5, 20.0, 0.0), Some(1)).await;
    let one = json!({ "schemas": [GROUP], "displayName": "one of the platform" });
    let (_, one) = client.cost("POST", "/Groups", Some(&one), 201).await;
    let one = id(&one);
    seed::members(service, &connector.id, ResourceId::parse(&one).unwrap(), &users[..users.len() - 1]).await;
    read("get a user in a group", format!("/users/{middle}"), (3, 12.0, 0.0), None).await;
    let page = "a page of 100 users, each in a group";
    read(page, "/users?limit=100".to_owned(), (5, 400.0, 0.0), Some(100)).await;
    let members = format!("/groups/{one}/members?limit=100");
    read("a page of 100 members of a group", members, (5, 350.0, 0.0), Some(100)).await;
    let effective = format!("/groups/{one}/members?limit=100&effective=true");
    read("a page of 100 effective members of a group", effective, (5, 350.0, 0.0), Some(100)).await;
    let of_group = format!("/users?limit=100&group={one}");
    read("a page of 100 users of a group", of_group, (5, 600.0, 0.0), Some(100)).await;
    read("ask whether a user is in a group", format!("/groups/{one}/members/{first}"), (3, 20.0, 0.0), None)
        .await;

    let two =
        json!({ "schemas": [GROUP], "displayName": "two of the platform", "members": [{ "value": one }] });
    let (_, two) = client.cost("POST", "/Groups", Some(&two), 201).await;
    let two = id(&two);
    read("get a user in a nested group", format!("/users/{middle}"), (4, 15.0, 0.0), None).await;
    let page = "a page of 100 users in a nested group";
    read(page, "/users?limit=100".to_owned(), (6, 400.0, 0.0), Some(100)).await;
    let effective = format!("/groups/{two}/members?limit=100&effective=true");
    read("a page of 100 effective members through a group", effective, (6, 350.0, 0.0), Some(100)).await;
    let of_group = format!("/users?limit=100&group={two}");
    // A page is made of members, so the group takes a place in it if its id comes before that of the hundredth user.
    let shown = 100 - usize::from(one < users[99].to_string());
    read("a page of 100 users through a group", of_group, (6, 600.0, 0.0), Some(shown)).await;
    let asked = format!("/groups/{two}/members/{first}");
    read("ask whether a user is in a group through another", asked, (4, 25.0, 0.0), None).await;
    read("a page of groups", "/groups".to_owned(), (5, 50.0, 0.0), Some(5)).await;
    println!("Platform, {} users\n{}", users.len(), ledger.table);
    assert!(ledger.exceeded.is_empty(), "past the budget:\n{}", ledger.exceeded.join("\n"));
    costs
}
