//! The format of the table and its migration. A table of an earlier version is served before, during and
//! after its migration. An unknown format is refused.

use aws_sdk_dynamodb::types::AttributeValue;
use directory::connectors::{ConnectorId, FORMAT, scheme};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::credential::Credential;
use tests::client::Client;
use tests::in_process::InProcess;
use tests::invariants::assert_invariants;
use tests::layout;
use tests::provisioning::USER;
use tests::scimctl::scimctl;
use tests::service::{Service, TIME_LIMIT, TestConnector};
use tests::table::{Item, put_item, read_record, set_attribute, take_item};

/// The passwords of the connectors in `fixtures/tables/format-1.json`.
const PASSWORDS: [(&str, &str); 2] =
    [("okta", "UcSCocm2nixsmoMTrajPwGnpdqkLj_CtLyku29rI1f0"), ("default", "correct horse battery staple")];

/// The record as a process of format 1 reads it. All fields are required.
#[derive(Deserialize)]
#[expect(dead_code, reason = "the test only checks that they can be read")]
struct RecordOfFormat1 {
    name: String,
    created: Timestamp,
    disabled: Option<Timestamp>,
    is_going: bool,
    credentials: Vec<Value>,
    cursor_key: String,
    settings: Value,
}

/// A service over a table of format 1, from a file.
async fn service_of_format_1() -> Service {
    let service = Service::start();
    let text = include_str!("../../fixtures/tables/format-1.json");
    let table: Value = serde_json::from_str(text).unwrap();
    for item in table["items"].as_array().unwrap() {
        let value = |value: &Value| match value.as_object().unwrap().iter().next().unwrap() {
            (kind, Value::String(text)) if kind == "S" => AttributeValue::S(text.clone()),
            (kind, Value::String(text)) if kind == "N" => AttributeValue::N(text.clone()),
            (kind, Value::Bool(value)) if kind == "BOOL" => AttributeValue::Bool(*value),
            other => panic!("{other:?}"),
        };
        let item: Item =
            item.as_object().unwrap().iter().map(|(name, one)| (name.clone(), value(one))).collect();
        put_item(&service, item).await;
    }
    service
}

fn client(service: &Service, connector: &str, password: &str) -> Client {
    Client::new(&format!("{}/{connector}/scim/v2", service.origin()), "okta", password)
}

fn id(connector: &str) -> ConnectorId {
    ConnectorId::parse(connector).unwrap()
}

async fn assert_served(service: &Service) {
    for (connector, password) in PASSWORDS {
        let reply = client(service, connector, password).get("/Users").await;
        let users = if connector == "okta" { 1 } else { 0 };
        assert_eq!((reply.status, &reply.json()["totalResults"]), (200, &users.into()), "{connector}");
        let wrong = client(service, connector, "wrong").get("/Users").await;
        assert_eq!(wrong.status, 401, "{connector}");
    }
}

#[tokio::test]
async fn table_of_format_1_is_served_before_and_after_its_migration() {
    let service = service_of_format_1().await;
    assert_served(&service).await;
    // Before the migration, processes of format 1 can still read what this version writes.
    scimctl(&service, &["connector", "rename", "entra", "Entra ID"]).ok();
    scimctl(&service, &["connector", "create", "--name", "onelogin"]).ok();
    for connector in ["okta", "default", "entra", "onelogin"] {
        let record = read_record(&service, &id(connector)).await.unwrap();
        serde_json::from_value::<RecordOfFormat1>(record).unwrap();
    }
    let migrated = scimctl(&service, &["migrate"]).ok();
    assert_eq!(migrated.lines().last(), Some("4 connectors are now stored in format 2"), "{migrated}");
    let again = scimctl(&service, &["migrate"]).ok();
    assert_eq!(again, "all connectors are already stored in format 2\n");
    let record = read_record(&service, &id("okta")).await.unwrap();
    assert_eq!(record.get("credentials"), None);
    // A new process has an empty cache.
    let restarted = InProcess::uncached(service.dynamodb(), client(&service, "okta", PASSWORDS[0].1));
    let reply = restarted.send("GET", "/Users", None, TIME_LIMIT).await;
    assert_eq!(reply.status(), 200);
    assert_served(&service).await;
    let created = scimctl(&service, &["connector", "create", "--name", "google"]);
    assert!(created.ok().contains("Endpoint URL"));
    for connector in ["okta", "default", "entra", "onelogin", "google"] {
        let connector = service.table().connector(&id(connector)).await.unwrap().unwrap();
        assert_eq!(connector.format, FORMAT, "{}", connector.id);
        assert!(!connector.credentials.is_empty(), "{}", connector.id);
        assert_invariants(&service, &connector.id).await;
    }
}

#[tokio::test]
async fn credential_changes_during_a_migration_are_kept() {
    let service = service_of_format_1().await;
    let connectors = service.connectors();
    let okta = id("okta");
    let before = service.table().connector(&okta).await.unwrap().unwrap().credentials;
    let (old, new) = (before[0].id.clone(), before[1].id.clone());
    let (migrated, retired) = tokio::join!(connectors.migrate(), connectors.retire_credential(&okta, &old));
    assert_eq!(migrated.unwrap().connectors.len(), 3);
    retired.unwrap();
    let after = service.table().connector(&okta).await.unwrap().unwrap();
    assert_eq!(after.format, FORMAT);
    let left: Vec<&str> = after.credentials.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(left, [new.as_str()]);
}

#[tokio::test]
async fn unknown_format_is_refused() {
    let service = Service::start();
    let connector = service.connector().await;
    let text = connector.id.to_string();
    let newer = AttributeValue::N("5".to_owned());
    set_attribute(&service, &layout::connector(&connector.id), "stored_format", newer).await;
    let client = connector.local(&service);
    assert_eq!(client.get("/Users").await.status, 500);
    let user = json!({ "schemas": [USER], "userName": "a" });
    assert_eq!(client.post("/Users", &user).await.status, 500);
    let refused = scimctl(&service, &["user", "create", &text, "ann"]).failed();
    assert!(refused.contains("is stored in format 5, and this version knows formats up to 4"), "{refused}");
    assert!(service.table().connector(&connector.id).await.is_err());
}

/// A connector in a separate service, and its credentials.
struct Stored {
    service: Service,
    connector: TestConnector,
    credentials: Vec<Credential>,
}

impl Stored {
    async fn new() -> Self {
        let service = Service::start();
        let connector = service.connector().await;
        let credentials = service.table().connector(&connector.id).await.unwrap().unwrap().credentials;
        Self { service, connector, credentials }
    }

    fn password(&self) -> &Credential {
        self.credentials.iter().find(|one| scheme(one) == "Basic").unwrap()
    }

    /// Deletes the item of a credential and returns it.
    async fn take_credential(&self, credential: &Credential) -> Item {
        take_item(&self.service, &layout::credential(&self.connector.id, &credential.id)).await
    }

    async fn assert_only_token_is_accepted(&self) {
        let client = self.connector.local(&self.service);
        assert_eq!(client.get("/Users").await.status, 401);
        let bearer = client.bearer();
        assert_eq!(client.send("GET", "/Users", &[("authorization", &bearer)], "").await.status, 200);
    }
}

#[tokio::test]
async fn partly_visible_connector_is_read_again() {
    let stored = Stored::new().await;
    let Stored { service, connector, credentials } = &stored;
    let mut taken = Vec::new();
    for credential in credentials {
        taken.push(stored.take_credential(credential).await);
    }
    // Only the record is visible at first. The credentials become visible while the reader waits.
    let become_visible = async {
        tokio::task::yield_now().await;
        for item in taken.clone() {
            put_item(service, item).await;
        }
    };
    let table = service.table();
    let (read, ()) = tokio::join!(table.connector(&connector.id), become_visible);
    assert_eq!(read.unwrap().unwrap().credentials, *credentials);
}

#[tokio::test]
async fn credential_missing_from_the_record_is_refused() {
    let stored = Stored::new().await;
    let Stored { service, connector, .. } = &stored;
    let password = stored.password();
    let item = stored.take_credential(password).await;
    put_item(service, item.clone()).await;
    service.connectors().retire_credential(&connector.id, &password.id).await.unwrap();
    // The record of the retirement is visible, but the deletion of the credential is not.
    put_item(service, item).await;
    stored.assert_only_token_is_accepted().await;
}

#[tokio::test]
async fn lost_credential_leaves_the_others_valid_and_rotation_repairs_the_list() {
    let stored = Stored::new().await;
    let Stored { service, connector, .. } = &stored;
    stored.take_credential(stored.password()).await;
    stored.assert_only_token_is_accepted().await;
    let (client, text) = (connector.local(service), connector.id.to_string());
    let rotated = scimctl(service, &["connector", "rotate", &text, "--username", "okta"]);
    let new = Client::new(&client.base_url, "okta", &rotated.value("Password:"));
    let restarted = InProcess::uncached(service.dynamodb(), new);
    let reply = restarted.send("GET", "/Users", None, TIME_LIMIT).await;
    assert_eq!(reply.status(), 200);
    let record = take_item(service, &layout::connector(&connector.id)).await;
    assert_eq!(record["credential_ids"].as_l().unwrap().len(), 2, "the token and the new password");
}
