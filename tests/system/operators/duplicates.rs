//! `check`, `doctor` and the dry run of a mapping list users who share a username, an email address or an externalId.

use serde_json::json;
use tests::client::Client;
use tests::provisioning::{USER, set_active_body};
use tests::scimctl::{run, scimctl};
use tests::service::service;

async fn create(client: &Client, name: &str, email: &str, external_id: &str) -> String {
    let user = json!({
        "schemas": [USER], "userName": name, "externalId": external_id,
        "emails": [{ "value": email, "primary": true }]
    });
    let created = client.post("/Users", &user).await.json();
    created["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn users_who_share_a_value_are_listed() {
    let connector = service().connector().await;
    let (id, client) = (connector.id.to_string(), connector.local(service()));
    create(&client, "ann@a.com", "desk@a.com", "1").await;
    create(&client, "ann@b.com", "DESK@a.com", "2").await;
    create(&client, "ben@a.com", "ben@a.com", "2").await;
    // Neither upper and lower case of an externalId, nor a hidden user counts.
    create(&client, "carl@a.com", "carl@a.com", "a").await;
    create(&client, "dora@a.com", "dora@a.com", "A").await;
    let leaver = create(&client, "ann@c.com", "carl@a.com", "a").await;
    client.patch(&format!("/Users/{leaver}"), &set_active_body(false)).await;
    let expected = |users: [&str; 2], value: &str| {
        let mut orders = [users, [users[1], users[0]]].map(|users| users.join(", ")).into_iter();
        (format!("2 users share the {value}: "), orders.next().unwrap(), orders.next().unwrap())
    };
    let emails = expected(["ann@a.com", "ann@b.com"], "email address desk@a.com");
    let external_ids = expected(["ann@b.com", "ben@a.com"], "externalId 2");
    let usernames = expected(["ann@a.com", "ann@b.com"], "username ann");
    let assert_lines = |lines: Vec<&str>, prefix: &str, all: &[&(String, String, String)]| {
        assert_eq!(lines.len(), all.len(), "{lines:?}");
        for (line, (what, one, other)) in lines.iter().zip(all) {
            assert!([one, other].iter().any(|users| **line == format!("{prefix}{what}{users}")), "{line}");
        }
    };
    let checked = scimctl(service(), &["check", &id]);
    assert_eq!((checked.code, checked.out.as_str()), (0, "no findings\n"));
    assert_lines(checked.err.lines().collect(), &format!("{id}: "), &[&emails, &external_ids]);
    let doctor = scimctl(service(), &["doctor", &id]);
    let notes = doctor.out.lines().filter(|line| line.starts_with("note ")).collect();
    assert_lines(notes, "note    ", &[&emails, &external_ids]);
    let dry = run(&connector, &["connector", "set", "mapping.username-from-email=true", "--dry-run"]).ok();
    let shared = dry.lines().filter(|line| line.contains(" users share ")).collect();
    assert_lines(shared, "", &[&emails, &external_ids, &usernames]);
}

#[tokio::test]
async fn doctor_says_that_no_two_users_share_a_value() {
    let connector = service().connector().await;
    let client = connector.local(service());
    create(&client, "ann", "ann@a.com", "1").await;
    create(&client, "ben", "ben@a.com", "2").await;
    let doctor = scimctl(service(), &["doctor", &connector.id.to_string()]);
    let line = "ok      no two users share a username, an email address or an externalId\n";
    assert!(doctor.out.contains(line), "{}", doctor.out);
}
