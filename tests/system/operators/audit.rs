//! `scimctl audit` answers who changed what: memberships from the group's and the member's side, names that resources had, and
//! old and new values where these are no personal data. `connector sign-ins` counts requests with wrong credentials.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tests::client::Client;
use tests::in_process::InProcess;
use tests::provisioning::{
    GROUP, add_members, create_group, create_user, create_users, patch_body, remove_members_body,
    set_active_body,
};
use tests::scimctl::{run, scimctl};
use tests::service::{TIME_LIMIT, TestConnector, service};

/// The records about a resource, the oldest first.
fn trail(connector: &TestConnector, resource: &str) -> Vec<Value> {
    let id = connector.id.to_string();
    let printed = scimctl(service(), &["audit", &id, "--json", "--resource", resource]).ok();
    let mut records: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    records.reverse();
    records
}

/// The operation, the name and the lists of a record.
fn summary(record: &Value) -> Value {
    let ids = |list: &str| record[list]["ids"].clone();
    json!([record["operation"], record["name"], ids("added"), ids("removed"), ids("joined"), ids("left")])
}

fn summaries(records: &[Value]) -> Vec<Value> {
    records.iter().map(summary).collect()
}

/// The values of a record: what, from, to.
fn values(record: &Value) -> Vec<[Option<&str>; 3]> {
    let values = record["values"].as_array().unwrap().iter();
    values.map(|value| ["what", "from", "to"].map(|field| value[field].as_str())).collect()
}

#[tokio::test]
async fn membership_is_found_from_both_sides_also_after_both_are_deleted() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann@example.com").await;
    let bob = create_user(&client, "bob@example.com").await;
    let sales = create_group(&client, "Sales", std::slice::from_ref(&ann)).await;
    add_members(&client, &sales, std::slice::from_ref(&bob)).await;
    let removed =
        client.patch(&format!("/Groups/{sales}"), &remove_members_body(std::slice::from_ref(&ann))).await;
    assert_eq!(removed.status, 200);
    assert_eq!(client.patch(&format!("/Users/{bob}"), &set_active_body(false)).await.status, 200);
    let of_sales = vec![
        json!(["create", "Sales", [ann], [], [], []]),
        json!(["update", "Sales", [bob], [], [], []]),
        json!(["update", "Sales", [], [ann], [], []]),
        json!(["update", null, [], [], [], [sales]]),
    ];
    assert_eq!(summaries(&trail(&connector, "sales")), of_sales);
    let created = |name: &str| json!(["create", name, [], [], [], []]);
    let of_ann = vec![created("ann@example.com"), of_sales[0].clone(), of_sales[2].clone()];
    assert_eq!(summaries(&trail(&connector, "ann@example.com")), of_ann);
    let of_bob = vec![created("bob@example.com"), of_sales[1].clone(), of_sales[3].clone()];
    assert_eq!(summaries(&trail(&connector, &bob)), of_bob);
    for path in [format!("/Groups/{sales}"), format!("/Users/{ann}")] {
        assert_eq!(client.delete(&path).await.status, 204);
    }
    let deleted = |name: &str| json!(["delete", name, [], [], [], []]);
    assert_eq!(summaries(&trail(&connector, "SALES")), [&of_sales[..], &[deleted("Sales")]].concat());
    let with_deletion = [&of_ann[..], &[deleted("ann@example.com")]].concat();
    assert_eq!(summaries(&trail(&connector, "Ann@Example.com")), with_deletion);
    let shown = scimctl(service(), &["audit", &connector.id.to_string(), "--resource", "sales"]).ok();
    for line in [
        format!("update     Group  Sales            {sales}  added bob@example.com"),
        format!("update     Group  Sales            {sales}  removed {ann}"),
        format!("update     User   bob@example.com  {bob}  active: true → false; left {sales}"),
    ] {
        assert!(shown.contains(&line), "{line}:\n{shown}");
    }
}

#[tokio::test]
async fn deletion_names_all_members_of_a_large_group_and_all_groups_of_a_user() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let mut members = create_users(&client, 60).await;
    let group = create_group(&client, "Sales", &members).await;
    assert_eq!(client.delete(&format!("/Groups/{group}")).await.status, 204);
    members.sort();
    let expected =
        [json!(["create", "Sales", members, [], [], []]), json!(["delete", "Sales", [], members, [], []])];
    assert_eq!(summaries(&trail(&connector, &group)), expected);
    let of_first = trail(&connector, "user000");
    assert_eq!(summaries(&of_first[1..]), expected);
    let user = of_first[0]["id"].as_str().unwrap().to_owned();
    let mut groups = Vec::new();
    for number in 0..3 {
        groups.push(create_group(&client, &format!("G{number}"), std::slice::from_ref(&user)).await);
    }
    groups.sort();
    assert_eq!(client.delete(&format!("/Users/{user}")).await.status, 204);
    assert_eq!(
        summary(trail(&connector, &user).last().unwrap()),
        json!(["delete", "user000", [], [], [], groups])
    );
}

#[tokio::test]
async fn names_that_resources_had_find_them() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    let renamed = json!([{ "op": "replace", "path": "userName", "value": "anna" }]);
    assert_eq!(client.patch(&format!("/Users/{ann}"), &patch_body(renamed)).await.status, 200);
    let retitled = json!([{ "op": "replace", "path": "title", "value": "Dr." }]);
    assert_eq!(client.patch(&format!("/Users/{ann}"), &patch_body(retitled)).await.status, 200);
    let records = trail(&connector, "Ann");
    assert_eq!(records, trail(&connector, "anna"));
    assert_eq!(
        summaries(&records),
        [
            json!(["create", "ann", [], [], [], []]),
            json!(["update", "anna", [], [], [], []]),
            json!(["update", null, [], [], [], []]),
        ]
    );
    assert_eq!(values(&records[1]), [[Some("userName"), Some("ann"), Some("anna")]]);
    assert_eq!((&records[2]["attributes"], &records[2]["values"]), (&json!(["title"]), &json!([])));
    // A new user with the old name is found instead, with a note. When it is deleted too, the operator has to choose.
    let other = create_user(&client, "ann").await;
    assert_eq!(trail(&connector, "ann").len(), 1);
    let noted = scimctl(service(), &["audit", &connector.id.to_string(), "--resource", "ann"]).err;
    assert_eq!(
        noted,
        format!("Other resources had the name ann: User {ann}. To print their changes, enter an id\n")
    );
    assert_eq!(client.delete(&format!("/Users/{other}")).await.status, 204);
    let id = connector.id.to_string();
    let ambiguous = scimctl(service(), &["audit", &id, "--resource", "ann"]).failed();
    let (first, second) = (ann.clone().min(other.clone()), ann.max(other));
    assert_eq!(
        ambiguous,
        format!("ann is the name of several resources: enter an id of User {first}, User {second}")
    );
    assert_eq!(
        scimctl(service(), &["audit", &id, "--resource", "bob"]).failed(),
        format!(
            "connector {id} has no user, group or role bob, and no audit record has this name. Records of earlier versions have no \
             names; enter an id"
        )
    );
}

#[tokio::test]
async fn records_of_roles_settings_and_credentials_have_old_and_new_values_but_no_secrets() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    run(&connector, &["role", "create", "approver"]).ok();
    run(&connector, &["role", "assign", "approver", "ann"]).ok();
    run(&connector, &["role", "withdraw", "approver", "ann"]).ok();
    assert_eq!(
        summaries(&trail(&connector, "approver")),
        [
            json!(["create", "approver", [], [], [], []]),
            json!(["update", "approver", [ann], [], [], []]),
            json!(["update", "approver", [], [ann], [], []]),
        ]
    );
    let set = |setting: &str| run(&connector, &["connector", "set", setting]).ok();
    set("rules.exclude-users=private-name,svc-*");
    set("on-delete=refuse");
    set("rules.exclude-groups=Interns,Temps");
    run(&connector, &["connector", "rotate"]).ok();
    let credentials: Value =
        serde_json::from_str(&run(&connector, &["connector", "show", "--json"]).ok()).unwrap();
    let credentials = credentials["credentials"].as_array().unwrap();
    let new = credentials.last().unwrap();
    let [new, username] = ["id", "username"].map(|field| new[field].as_str().unwrap().to_owned());
    run(&connector, &["connector", "expires", &new, "2199-01-31"]).ok();
    run(&connector, &["connector", "retire", &new]).ok();
    run(&connector, &["connector", "rename", "Okta"]).ok();
    let records = trail(&connector, &id);
    let what = format!("credential {new}");
    let what = Some(what.as_str());
    let never = format!("Basic {username}, never expires");
    let expires = format!("Basic {username}, expires 2199-01-31T00:00:00Z");
    let (never, expires) = (Some(never.as_str()), Some(expires.as_str()));
    let expected = [
        [Some("rules.exclude-users"), Some("0 patterns"), Some("2 patterns")],
        [Some("on-delete"), Some("delete"), Some("refuse")],
        [Some("rules.exclude-groups"), Some(""), Some("Interns, Temps")],
        [what, None, never],
        [what, never, expires],
        [what, expires, None],
        [Some("name"), records[records.len() - 1]["values"][0]["from"].as_str(), Some("Okta")],
    ];
    for (record, expected) in records[records.len() - 7..].iter().zip(expected) {
        assert_eq!(values(record), [expected]);
    }
    let all = scimctl(service(), &["audit", &id, "--json"]).ok();
    assert!(!all.contains("private-name") && !all.contains("$sha256$"), "{all}");
    let cursor_key = tests::table::read_record(service(), &connector.id).await.unwrap()["cursor_key"].clone();
    assert!(!all.contains(cursor_key.as_str().unwrap()));
}

#[tokio::test]
async fn record_of_a_long_name_has_its_first_kilobyte() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let name = "n".repeat(140_000);
    let created =
        client.post("/Groups", &json!({ "schemas": [GROUP], "displayName": name, "externalId": "x" })).await;
    assert_eq!(created.status, 201);
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let records = trail(&connector, &id);
    assert_eq!(records[0]["name"].as_str().map(str::len), Some(1_024));
    assert_eq!(trail(&connector, &name[..100_000]).len(), 1, "a name is compared up to its limit");
}

/// A process with this clock and a wrong password, whose requests come from this address.
fn wrong_password_from(connector: &TestConnector, address: &str, clock: fn() -> Timestamp) -> InProcess {
    let client = Client::new(&connector.local(service()).base_url, "okta", "wrong");
    let mut process = InProcess::with_clock(service().dynamodb(), client, clock);
    process.address = address.parse().unwrap();
    process
}

fn yesterday() -> Timestamp {
    today() - SignedDuration::from_hours(24)
}

/// The clock of the machine decides which days `scimctl` lists.
fn today() -> Timestamp {
    static TODAY: std::sync::LazyLock<Timestamp> = std::sync::LazyLock::new(Timestamp::now);
    *TODAY
}

#[tokio::test]
async fn failed_sign_ins_are_counted_by_day_and_address() {
    let connector = service().connector().await;
    for (address, clock, times) in [
        ("192.0.2.1", today as fn() -> Timestamp, 3),
        ("192.0.2.2", today, 1),
        ("2001:db8::1", today, 1),
        ("2001:db8::2", today, 1),
        ("192.0.2.1", yesterday, 2),
    ] {
        for _ in 0..times {
            let process = wrong_password_from(&connector, address, clock);
            assert_eq!(process.send("GET", "/Users", None, TIME_LIMIT).await.status().as_u16(), 401);
        }
    }
    let without = InProcess::new(service().dynamodb(), connector.local(service())).await;
    assert_eq!(without.send_without_credentials("GET", "/Users", TIME_LIMIT).await.status().as_u16(), 401);
    let [today, yesterday] = [today(), yesterday()].map(|time| time.strftime("%Y-%m-%d").to_string());
    let expected = [
        json!({ "day": today, "address": "192.0.2.1", "count": 3 }),
        json!({ "day": today, "address": "2001:db8::/64", "count": 2 }),
        json!({ "day": today, "address": "192.0.2.2", "count": 1 }),
        json!({ "day": yesterday, "address": "192.0.2.1", "count": 2 }),
    ];
    let listed = |options: &[&str]| -> Vec<Value> {
        let printed = run(&connector, &[&["connector", "sign-ins", "--json"], options].concat()).ok();
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(listed(&[]), expected);
    assert_eq!(listed(&["--since", &today]), expected[..3]);
    let table = run(&connector, &["connector", "sign-ins"]).ok();
    assert_eq!(table.lines().nth(1), Some(format!("{today}  192.0.2.1      3").as_str()));
}

#[tokio::test]
async fn strangers_with_many_addresses_fill_a_hundred_counts_a_day() {
    let connector = service().connector().await;
    let table = service().table();
    let failures = table.failed_sign_ins(&connector.id);
    for number in 0..130_u8 {
        for _ in 0..2 {
            failures.count(Some([192, 0, 2, number].into()), today()).await.unwrap();
        }
    }
    let counts = failures.counts(today(), today()).await.unwrap();
    let (others, known): (Vec<_>, Vec<_>) = counts.into_iter().partition(|count| count.address.is_none());
    assert_eq!(others.iter().map(|count| count.count).collect::<Vec<_>>(), [60]);
    assert_eq!(known.iter().map(|count| count.count).collect::<Vec<_>>(), [2; 100]);
    let mut stranger = wrong_password_from(&connector, "192.0.2.1", today);
    let url = format!("{}/unknown-connector/scim/v2", service().origin());
    stranger.client = Client::new(&url, "okta", "wrong");
    assert_eq!(stranger.send("GET", "/Users", None, TIME_LIMIT).await.status().as_u16(), 401);
    let id = directory::connectors::ConnectorId::parse("unknown-connector").unwrap();
    assert_eq!(table.failed_sign_ins(&id).counts(today(), today()).await.unwrap(), []);
}
