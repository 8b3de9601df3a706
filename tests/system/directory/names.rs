//! Names with special characters, in other cases and normal forms, and long names: each is stored unchanged,
//! found by filters, and unique.

use serde_json::{Value, json};
use tests::client::Client;
use tests::invariants::assert_invariants;
use tests::provisioning::{GROUP, USER, percent_encoded};
use tests::service::service;

/// Names, each with another spelling that counts as the same name.
fn names() -> Vec<(String, String)> {
    let mut names: Vec<(String, String)> = [
        ("Conan \"the\" O'Brien", "CONAN \"THE\" O'BRIEN"),
        ("a#user/b", "A#USER/B"),
        ("back\\slash", "BACK\\SLASH"),
        ("two\nlines\tand a tab", "TWO\nLINES\tAND A TAB"),
        ("nul\u{0}inside", "NUL\u{0}INSIDE"),
        ("emoji 👩‍🔬 🇫🇷", "EMOJI 👩‍🔬 🇫🇷"),
        ("composed é", "composed e\u{301}"),
        ("decomposed e\u{301}", "DECOMPOSED É"),
        ("İstanbul", "İSTANBUL"),
        ("straße", "STRAßE"),
        (" spaces around ", "SPACES AROUND"),
        ("no spaces around", "\t NO SPACES AROUND\u{a0}"),
        ("100% \u{1} + & = ? ; 日本語", "100% \u{1} + & = ? ; 日本語"),
        ("eq or not (pr)", "EQ OR NOT (PR)"),
        ("~", "~"),
    ]
    .map(|(name, other)| (name.to_owned(), other.to_owned()))
    .into();
    names.push(("é".repeat(1_000), "É".repeat(1_000)));
    names
}

async fn find(client: &Client, endpoint: &str, attribute: &str, value: &str) -> Value {
    let filter = percent_encoded(&format!("{attribute} eq {}", Value::from(value)));
    let reply = client.get(&format!("/{endpoint}?filter={filter}")).await;
    assert_eq!(reply.status, 200, "{value:?}: {}", String::from_utf8_lossy(&reply.body));
    reply.json()
}

#[tokio::test]
async fn names_with_special_characters_are_kept_found_and_unique() {
    let connector = service().connector().await;
    let client = connector.local(service());
    for (endpoint, schema, attribute) in [("Users", USER, "userName"), ("Groups", GROUP, "displayName")] {
        for (name, other) in names() {
            let path = format!("/{endpoint}");
            let created = client.post(&path, &json!({ "schemas": [schema], attribute: name })).await;
            assert_eq!(created.status, 201, "{name:?}: {}", String::from_utf8_lossy(&created.body));
            let created = created.json();
            assert_eq!(created[attribute], name);
            for spelling in [&name, &other] {
                let found = find(&client, endpoint, attribute, spelling).await;
                assert_eq!(
                    (&found["totalResults"], &found["Resources"][0]),
                    (&json!(1), &created),
                    "{spelling:?}"
                );
                let again = client.post(&path, &json!({ "schemas": [schema], attribute: spelling })).await;
                assert_eq!(
                    (again.status, &again.json()["scimType"]),
                    (409, &json!("uniqueness")),
                    "{spelling:?}"
                );
            }
        }
    }
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn long_values_with_the_same_beginning_are_distinguished() {
    let connector = service().connector().await;
    let client = connector.local(service());
    // Longer than the part that a key holds, and with differences only after that part.
    let names = [
        "x".repeat(600),
        format!("{}y", "x".repeat(600)),
        "x".repeat(512),
        "x\u{0}".to_owned(),
        "x".to_owned(),
    ];
    for name in &names {
        let body = json!({ "schemas": [USER], "userName": name, "externalId": name });
        assert_eq!(client.post("/Users", &body).await.status, 201);
    }
    for name in &names {
        for attribute in ["userName", "externalId"] {
            let found = find(&client, "Users", attribute, name).await;
            assert_eq!(
                (&found["totalResults"], &found["Resources"][0]["userName"]),
                (&json!(1), &json!(name))
            );
        }
    }
    assert_invariants(service(), &connector.id).await;
}
