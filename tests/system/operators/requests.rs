//! `scimctl requests` lists what clients asked for, and shows one request with everything that is known about it.

use std::process::Stdio;

use serde_json::{Value, json};
use tests::client::{Client, Reply};
use tests::provisioning::{USER, create_user, patch_body};
use tests::scimctl::{Done, VARYING, scimctl, scimctl_as};
use tests::service::{Service, TABLE, TestConnector, binaries, secret};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

fn assert_printed(name: &str, done: Done) {
    let mut settings = insta::Settings::clone_current();
    for (pattern, placeholder) in VARYING {
        settings.add_filter(pattern, placeholder);
    }
    settings.bind(|| insta::assert_snapshot!(name, done.ok()));
}

async fn okta() -> (Service, TestConnector, Client) {
    let service = Service::start();
    let connector = service.connector_named("okta", "okta", &secret()).await;
    let client = connector.local(&service);
    (service, connector, client)
}

fn user(name: &str) -> Value {
    json!({ "schemas": [USER], "userName": name, "shoeSize": 38 })
}

fn id_of(reply: &Reply) -> String {
    reply.headers["x-request-id"].to_str().unwrap().to_owned()
}

/// The ids of the requests that a command lists, as JSON.
fn listed(service: &Service, options: &[&str]) -> Vec<String> {
    let printed = scimctl(service, &[&["requests", "okta", "--json"], options].concat()).ok();
    let records = printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.map(|record| record["request"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn requests_are_listed_newest_first_and_selected_by_status_user_and_time() {
    let (service, _, client) = okta().await;
    let ann = create_user(&client, "ann@example.com").await;
    let bob = create_user(&client, "bob@example.com").await;
    let conflict = id_of(&client.post("/Users", &user("Ann@Example.com")).await);
    let path = json!([{ "op": "replace", "path": "unknown", "value": 1 }]);
    let of_ann = id_of(&client.patch(&format!("/Users/{ann}"), &patch_body(path.clone())).await);
    let of_bob = id_of(&client.patch(&format!("/Users/{bob}"), &patch_body(path)).await);
    let new =
        id_of(&client.post("/Users", &json!({ "schemas": [USER], "userName": "carl", "active": "x" })).await);
    let all = [&new, &of_bob, &of_ann, &conflict].map(String::clone);
    assert_eq!(listed(&service, &[]), all);
    assert_eq!(listed(&service, &["--limit", "2"]), all[..2]);
    assert_eq!(listed(&service, &["--status", "4xx"]), all);
    assert_eq!(listed(&service, &["--status", "409"]), all[3..]);
    assert_eq!(listed(&service, &["--status", "5xx"]), [""; 0]);
    // By the name in the body and by the id in the path.
    assert_eq!(listed(&service, &["--user", "ANN@example.com"]), all[2..]);
    assert_eq!(listed(&service, &["--user", &ann]), all[2..3]);
    assert_eq!(listed(&service, &["--user", "carl"]), all[..1]);
    assert_eq!(listed(&service, &["--user", "nobody-of-this-name"]), [""; 0]);
    assert_eq!(listed(&service, &["--since", "1h"]), all);
    assert_eq!(listed(&service, &["--since", "0s"]), [""; 0]);
    let tomorrow = scimctl(&service, &["requests", "okta", "--since", "2999-01-01"]).failed();
    assert!(tomorrow.contains("is later than now"), "{tomorrow}");
    let unknown = scimctl(&service, &["requests", "okta", "--id", "unknown"]).failed();
    assert!(unknown.starts_with("the trail of connector okta has no request unknown"), "{unknown}");
    assert_printed("requests", scimctl(&service, &["requests", "okta", "--status", "409"]));
    assert_printed("requests_none", scimctl(&service, &["requests", "okta", "--status", "5xx"]));
    assert_printed("requests_one", scimctl(&service, &["requests", "okta", "--id", &conflict]));
    let of_auditor = scimctl_as("AuditDirectory", &service, &["requests", "okta", "--id", &of_ann], "");
    assert_printed("requests_one_by_id", of_auditor);
}

#[tokio::test]
async fn request_of_a_bulk_is_shown_with_its_failed_operations() {
    let (service, _, client) = okta().await;
    create_user(&client, "ann").await;
    let post = |number: usize, name: &str| json!({ "method": "POST", "path": "/Users", "bulkId": number.to_string(), "data": user(name) });
    let bulk = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [post(1, "bob"), post(2, "ann")],
    });
    let request = id_of(&client.post("/Bulk", &bulk).await);
    assert_printed("requests_bulk", scimctl(&service, &["requests", "okta", "--id", &request]));
    assert_printed("requests_bulk_in_list", scimctl(&service, &["requests", "okta"]));
}

#[tokio::test]
async fn follow_prints_requests_as_they_come_and_each_once() {
    let (service, _, client) = okta().await;
    let first = id_of(&client.post("/Users", &json!({})).await);
    let mut child = Command::new(binaries().join("scimctl"))
        .args(["--table", TABLE, "--endpoint", &service.endpoint_for("OperateDirectory")])
        .args(["requests", "okta", "--follow", "--json"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = lines.next_line().await.unwrap().expect("the command runs on");
        serde_json::from_str::<Value>(&line).unwrap()["request"].as_str().unwrap().to_owned()
    };
    assert_eq!(next().await, first);
    let second = id_of(&client.post("/Users", &json!({})).await);
    assert_eq!(next().await, second);
    let third = id_of(&client.post("/Users", &json!({})).await);
    assert_eq!(next().await, third);
    child.kill().await.unwrap();
}
