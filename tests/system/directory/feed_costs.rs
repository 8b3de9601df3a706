//! What feeds cost: one item more in each transaction that changes the directory, and nothing without a feed.

use serde_json::{Value, json};
use tests::consumer::Consumer;
use tests::in_process::json_of;
use tests::ledger::{Cost, CountedService};
use tests::provisioning::{add_members_body, group_body, patch_body, set_active_body};
use tests::service::service;

/// The write units of an item of less than 1 kB in a transaction.
const UNITS_OF_ITEM: f64 = 2.0;

/// Sends the same requests to a new connector with this many feeds. Returns the cost of each.
async fn costs(feeds: usize) -> Vec<(String, Cost)> {
    let connector = service().connector().await;
    for feed in 0..feeds {
        Consumer::create(service().table(), &connector.id, &format!("feed-{feed}")).await;
    }
    let counted = CountedService::new(service(), &connector).await;
    let mut costs = Vec::new();
    let mut send = async |name: &str, method: &str, target: &str, body: Option<&Value>, status: u16| {
        let (cost, response) = counted.cost(method, target, body, status).await;
        costs.push((name.to_owned(), cost));
        response
    };
    let user = json!({ "schemas": [tests::provisioning::USER], "userName": "ann" });
    let user = json_of(&send("create a user", "POST", "/Users", Some(&user), 201).await)["id"].clone();
    let member = [user.as_str().unwrap().to_owned()];
    let path = format!("/Users/{}", member[0]);
    let title = patch_body(json!([{ "op": "replace", "path": "title", "value": "x" }]));
    send("patch a user", "PATCH", &path, Some(&title), 200).await;
    send("patch nothing", "PATCH", &path, Some(&title), 200).await;
    let body = group_body("g", &[]);
    let group = json_of(&send("create a group", "POST", "/Groups", Some(&body), 201).await)["id"].clone();
    let group = format!("/Groups/{}", group.as_str().unwrap());
    send("add a member", "PATCH", &group, Some(&add_members_body(&member)), 200).await;
    send("get a user", "GET", &path, None, 200).await;
    send("deactivate a user in a group", "PATCH", &path, Some(&set_active_body(false)), 200).await;
    send("delete a user", "DELETE", &path, None, 204).await;
    costs
}

#[tokio::test]
async fn each_feed_adds_one_item_to_each_transaction_and_no_round_trip() {
    let without = costs(0).await;
    for feeds in [1, 3] {
        for ((name, cost), (_, before)) in costs(feeds).await.into_iter().zip(&without) {
            let is_change = before.write_units > 0.0;
            let more = if is_change { UNITS_OF_ITEM * feeds as f64 } else { 0.0 };
            println!("{name}, {feeds} feeds: {} WCU, {} without", cost.write_units, before.write_units);
            assert!((cost.write_units - before.write_units - more).abs() < 0.01, "{name}, {feeds} feeds");
            assert_eq!(
                (cost.round_trips, cost.read_units),
                (before.round_trips, before.read_units),
                "{name}, {feeds} feeds"
            );
        }
    }
}
