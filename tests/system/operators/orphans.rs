//! Operators delete an active user, or a group with members, that the identity provider no longer manages.

use serde_json::{Value, json};
use tests::client::Client;
use tests::invariants::assert_invariants;
use tests::provisioning::{create_group, create_user, create_users, members_of, total_of};
use tests::scimctl::{Done, scimctl, scimctl_with};
use tests::service::{TestConnector, service};

async fn connector() -> (TestConnector, Client) {
    let connector = service().connector().await;
    let client = connector.local(service());
    (connector, client)
}

/// Runs `scimctl NOUN delete` with these arguments and this answer to its question.
fn delete(connector: &TestConnector, noun: &str, arguments: &[&str], answer: &str) -> Done {
    let id = connector.id.to_string();
    scimctl_with(service(), &[&[noun, "delete", &id], arguments].concat(), answer)
}

#[tokio::test]
async fn active_user_and_group_with_members_are_deleted_only_as_orphaned() {
    let (connector, client) = connector().await;
    let ann = create_user(&client, "ann").await;
    let mut members = create_users(&client, 60).await;
    members.push(ann.clone());
    let (sales, tours) =
        (create_group(&client, "Sales", &members).await, create_group(&client, "Tours", &members).await);
    for (noun, name) in [("user", "ann"), ("group", "Sales")] {
        let refused = delete(&connector, noun, &[name], &format!("{name}\n")).failed();
        let expected = format!(
            "{noun} {name} belongs to the identity provider of connector {}; delete it there, or use --orphaned if the \
             identity provider no longer manages it",
            connector.id
        );
        assert_eq!(refused, expected);
        let refused = delete(&connector, noun, &[name, "--orphaned"], "no\n");
        assert_eq!((refused.code, refused.err.lines().count()), (1, 2), "{refused:?}");
        assert!(refused.err.contains(&format!("\"no\" is not {name}, so nothing is changed")), "{refused:?}");
    }
    assert_eq!((total_of(&client, "/Users").await, total_of(&client, "/Groups").await), (61, 2));
    let deleted = delete(&connector, "user", &["ann", "--orphaned"], "ann\n");
    assert_eq!((deleted.code, deleted.out.as_str()), (0, "user ann is deleted\n"), "{}", deleted.err);
    assert_eq!(client.get(&format!("/Users/{ann}")).await.status, 404);
    assert_eq!(members_of(&client, &tours).await.len(), 60);
    let deleted = delete(&connector, "group", &["Sales", "--orphaned"], "Sales\n");
    assert_eq!((deleted.code, deleted.out.as_str()), (0, "group Sales is deleted\n"), "{}", deleted.err);
    assert_eq!(client.get(&format!("/Groups/{sales}")).await.status, 404);
    assert_eq!((total_of(&client, "/Users").await, total_of(&client, "/Groups").await), (60, 1));
    let audit = scimctl(service(), &["audit", &connector.id.to_string(), "--json", "--limit", "2"]).ok();
    let records: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let short = |record: &Value| (record["by"].clone(), record["operation"].clone(), record["id"].clone());
    assert_eq!(
        records.iter().map(short).collect::<Vec<_>>(),
        [&sales, &ann].map(|id| (json!("operator"), json!("delete"), json!(id)))
    );
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn disabled_connector_needs_only_the_confirmation() {
    let (connector, client) = connector().await;
    let ann = create_user(&client, "ann").await;
    create_group(&client, "Sales", std::slice::from_ref(&ann)).await;
    scimctl(service(), &["connector", "disable", &connector.id.to_string()]).ok();
    for (noun, name) in [("group", "Sales"), ("user", "ann")] {
        assert_eq!(delete(&connector, noun, &[name], "").code, 1);
        let deleted = delete(&connector, noun, &[name], &format!("{name}\n"));
        assert_eq!(
            (deleted.code, deleted.out),
            (0, format!("{noun} {name} is deleted\n")),
            "{}",
            deleted.err
        );
    }
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn emptied_group_is_deleted_without_a_question() {
    let (connector, client) = connector().await;
    create_group(&client, "Sales", &[]).await;
    assert_eq!(delete(&connector, "group", &["Sales"], "").ok(), "group Sales is deleted\n");
    assert_eq!(total_of(&client, "/Groups").await, 0);
}
