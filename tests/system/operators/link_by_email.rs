//! `link-by-email`: a user that the client creates becomes the local user with the same email address, if the connector says so.

use directory::settings::Settings;
use serde_json::{Value, json};
use tests::client::{Client, Reply};
use tests::invariants::assert_invariants;
use tests::provisioning::{USER, total_of};
use tests::scimctl::run;
use tests::service::{TestConnector, service};

async fn connector(link_by_email: bool) -> (TestConnector, Client) {
    let connector = service().connector_with(Settings { link_by_email, ..Settings::default() }).await;
    // The functions, because they may read only some partitions.
    let client = connector.functions(service());
    (connector, client)
}

fn create_local_user(connector: &TestConnector, name: &str, email: &str) -> String {
    let printed = run(connector, &["user", "create", name, "--email", email]).ok();
    printed.trim().rsplit(' ').next().unwrap().to_owned()
}

async fn push(client: &Client, name: &str, emails: Value) -> Reply {
    client.post("/Users", &json!({ "schemas": [USER], "userName": name, "emails": emails })).await
}

fn work(email: &str) -> Value {
    json!([{ "value": email, "type": "work" }])
}

#[tokio::test]
async fn pushed_user_becomes_the_one_local_user_with_its_work_or_primary_email() {
    let (connector, client) = connector(true).await;
    run(&connector, &["role", "create", "approver"]).ok();
    for (name, email, emails) in [
        ("ann", "Ann.Ash@example.com", work("ann.ash@EXAMPLE.com")),
        ("bob", "bob@example.com", json!([{ "value": "bob@example.com", "primary": true }])),
    ] {
        let local = create_local_user(&connector, name, email);
        run(&connector, &["role", "assign", "approver", name]).ok();
        let pushed = push(&client, &format!("{name}.pushed"), emails).await;
        assert_eq!((pushed.status, pushed.json()["id"].as_str()), (201, Some(local.as_str())), "{name}");
        let shown = run(&connector, &["user", "show", &format!("{name}.pushed"), "--json"]).ok();
        let shown: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!((&shown["origin"], &shown["roles"]), (&json!("scim"), &json!(["approver"])));
        assert!(run(&connector, &["user", "show", name]).failed().ends_with(&format!("has no user {name}")));
    }
    let trail = tests::scimctl::scimctl(
        service(),
        &["audit", &connector.id.to_string(), "--json", "--resource", "ann.pushed"],
    );
    let newest: Value = serde_json::from_str(trail.ok().lines().next().unwrap()).unwrap();
    assert_eq!(
        (&newest["operation"], &newest["values"]),
        (&json!("adopt"), &json!([{ "what": "userName", "from": "ann", "to": "ann.pushed" }]))
    );
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn pushed_user_is_new_without_the_setting_and_with_another_or_a_private_email() {
    for (link, email) in [
        (false, work("ann@example.com")),
        (true, work("other@example.com")),
        (true, json!([{ "value": "ann@example.com", "type": "home" }])),
    ] {
        let (connector, client) = connector(link).await;
        let local = create_local_user(&connector, "ann", "ann@example.com");
        let pushed = push(&client, "ann.pushed", email.clone()).await;
        assert_eq!(pushed.status, 201);
        assert_ne!(pushed.json()["id"], json!(local), "{link} {email}");
    }
}

#[tokio::test]
async fn user_name_wins_over_the_email() {
    let (connector, client) = connector(true).await;
    let ann = create_local_user(&connector, "ann", "ann@example.com");
    create_local_user(&connector, "bob", "shared@example.com");
    let pushed = push(&client, "ann", work("shared@example.com")).await;
    assert_eq!((pushed.status, pushed.json()["id"].as_str()), (201, Some(ann.as_str())));
    let again = push(&client, "ann", work("shared@example.com")).await;
    assert_eq!((again.status, &again.json()["scimType"]), (409, &json!("uniqueness")));
    assert_eq!(total_of(&client, "/Users").await, 1);
}

#[tokio::test]
async fn two_local_users_with_the_email_are_a_conflict() {
    let (connector, client) = connector(true).await;
    for name in ["ann", "anna"] {
        create_local_user(&connector, name, "ann@example.com");
    }
    let pushed = push(&client, "ann.pushed", work("ann@example.com")).await;
    let detail = pushed.json()["detail"].as_str().unwrap().to_owned();
    assert_eq!((pushed.status, &pushed.json()["scimType"]), (409, &json!("uniqueness")));
    assert!(
        ["ann, anna", "anna, ann"].iter().any(|names| detail
            == format!(
                "2 local users have an email address of this user ({names}), so it cannot be linked to one of them. An operator \
                 must change the address of the others or delete them, or create this userName"
            )),
        "{detail}"
    );
    // After one of them is linked, the other one is the only local user with the address.
    assert_eq!(push(&client, "anna", work("ann@example.com")).await.status, 201);
    assert_eq!(push(&client, "ann.pushed", work("ann@example.com")).await.status, 201);
    assert_eq!(total_of(&client, "/Users").await, 2);
    assert_invariants(service(), &connector.id).await;
}
