//! A display name that an operator entered wins over the names that the identity provider sends. It survives linking, and the
//! SCIM resource stays as it is.

use directory::settings::{DisplayName, Mapping, Settings};
use serde_json::{Value, json};
use tests::client::Client;
use tests::invariants::assert_invariants;
use tests::provisioning::{USER, patch_body};
use tests::scimctl::{run, scimctl};
use tests::service::{TestConnector, service};

async fn connector() -> (TestConnector, Client) {
    let connector = service().connector().await;
    let client = connector.local(service());
    (connector, client)
}

fn shown(connector: &TestConnector, user: &str) -> String {
    let entry: Value = serde_json::from_str(&run(connector, &["user", "show", user, "--json"]).ok()).unwrap();
    entry["display_name"].as_str().unwrap().to_owned()
}

/// Ann as the client sends her.
fn ann() -> Value {
    json!({
        "schemas": [USER], "userName": "ann", "displayName": "Annie",
        "name": { "givenName": "Ann", "familyName": "Ash" }
    })
}

#[tokio::test]
async fn display_name_of_a_local_user_survives_linking() {
    let (connector, client) = connector().await;
    for (name, method) in [("ann", "PUT"), ("ben", "POST")] {
        let printed = run(&connector, &["user", "create", name, "--display-name", "Dr. Ash"]).ok();
        let id = printed.trim().rsplit(' ').next().unwrap();
        let mut user = ann();
        user["userName"] = json!(name);
        let linked = match method {
            "PUT" => client.put(&format!("/Users/{id}"), &user).await,
            _ => client.post("/Users", &user).await,
        };
        assert_eq!((&linked.json()["id"], &linked.json()["displayName"]), (&json!(id), &json!("Annie")));
        assert_eq!(shown(&connector, name), "Dr. Ash");
    }
    // Without a name of an operator, the client's name is shown.
    run(&connector, &["user", "create", "carl"]).ok();
    let mut carl = ann();
    carl["userName"] = json!("carl");
    client.post("/Users", &carl).await;
    assert_eq!(shown(&connector, "carl"), "Annie");
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn operator_sets_the_display_name_of_a_linked_user_without_changing_the_resource() {
    let (connector, client) = connector().await;
    let created = client.post("/Users", &ann()).await.json();
    let path = format!("/Users/{}", created["id"].as_str().unwrap());
    let set = run(&connector, &["user", "set-display-name", "ann", " Dr. Ash "]).ok();
    assert_eq!(set, "user ann is shown as Dr. Ash\n");
    assert_eq!(shown(&connector, "ann"), "Dr. Ash");
    assert_eq!(client.get(&path).await.json(), created, "attributes and version are the same");
    let rename = patch_body(json!([{ "op": "replace", "path": "displayName", "value": "Anna" }]));
    assert_eq!(client.patch(&path, &rename).await.json()["displayName"], "Anna");
    assert_eq!(shown(&connector, "ann"), "Dr. Ash");
    let names = Mapping { display_name: DisplayName::Names, ..Mapping::default() };
    service().change_settings(&connector.id, |settings| Settings { mapping: names, ..settings }).await;
    assert_eq!(shown(&connector, "ann"), "Dr. Ash");
    service()
        .change_settings(&connector.id, |settings| Settings { mapping: Mapping::default(), ..settings })
        .await;
    let cleared = run(&connector, &["user", "set-display-name", "ann", ""]).ok();
    assert_eq!(cleared, "the display name of user ann is cleared\n");
    assert_eq!(shown(&connector, "ann"), "Anna");
    let long = "x".repeat(1_025);
    let refused = run(&connector, &["user", "set-display-name", "ann", &long]).failed();
    assert_eq!(refused, "The display name is 1025 bytes; the maximum is 1024");
    let audit = scimctl(service(), &["audit", &connector.id.to_string(), "--json", "--limit", "1"]).ok();
    let record: Value = serde_json::from_str(&audit).unwrap();
    assert_eq!(
        (&record["by"], &record["operation"], &record["attributes"]),
        (&json!("operator"), &json!("update"), &json!(["shown_display_name"]))
    );
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn operator_sets_and_clears_the_display_name_of_a_local_user() {
    let (connector, _) = connector().await;
    run(&connector, &["user", "create", "ann", "--first-name", "Ann", "--last-name", "Ash"]).ok();
    for (name, expected) in [("Dr. Ash", "Dr. Ash"), ("", "Ann Ash")] {
        run(&connector, &["user", "set-display-name", "ann", name]).ok();
        assert_eq!(shown(&connector, "ann"), expected);
    }
    let missing = run(&connector, &["user", "set-display-name", "ben", "Ben"]).failed();
    assert_eq!(missing, format!("connector {} has no user ben", connector.id));
    assert_invariants(service(), &connector.id).await;
}
