//! Every operation of the crate `directory` that changes users, groups, roles, connectors, credentials or
//! settings writes an audit record with its actor. The last use of a credential and failed authentications
//! write none.

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::types::AttributeValue;
use directory::connectors::{Connector, Connectors, scheme};
use directory::secrets::generate_credential;
use directory::settings::Settings;
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::credential::CredentialKind;
use shared::patch::{MemberOperation, MemberValue};
use shared::resource::{Document, ResourceId, ResourceKind};
use tests::corruption::{Corruption, SmallDirectory};
use tests::faulty_service::FaultyService;
use tests::hooks::Action;
use tests::layout::Key;
use tests::provisioning::USER;
use tests::service::{Service, TABLE, TestConnector, actor, service};
use tests::table::read_record;

/// The audit records of a connector as `operation kind attributes`, the oldest first.
async fn records(service: &Service, connector: &TestConnector) -> Vec<String> {
    let table = service.table();
    let mut records = table
        .audit_trail(&connector.id)
        .newest(None, Timestamp::UNIX_EPOCH, Timestamp::now(), usize::MAX)
        .await
        .expect("DynamoDB answers");
    records.reverse();
    let line = |record: directory::audit::AuditRecord| {
        assert_eq!((record.by.as_str(), record.who.as_str()), ("operator", "test"));
        format!("{} {} {}", record.operation, record.kind, record.changes.attributes.join(" "))
    };
    records.into_iter().map(line).collect()
}

fn document(value: Value) -> Document {
    value.as_object().expect("the document is an object").clone()
}

fn unchanged(document: &Document) -> Result<Document, shared::error::ScimError> {
    Ok(document.clone())
}

fn add(id: ResourceId) -> MemberOperation {
    MemberOperation::Add(vec![MemberValue { id, kind: None, display: None }])
}

#[tokio::test]
async fn every_change_of_a_resource_leaves_one_audit_record() {
    let service = service();
    let connector = service.connector().await;
    let directory = service.directory(&connector.id).await;
    let mut expected = vec!["create Connector credentials".to_owned()];
    let user = directory.create_user(document(json!({ "userName": "ann" }))).await.unwrap();
    expected.push("create User userName".to_owned());
    for kind in [ResourceKind::LocalGroup, ResourceKind::Role] {
        let name = kind.name();
        let group = directory
            .create_group(kind, document(json!({ "displayName": format!("a {name}") })), Vec::new())
            .await
            .unwrap()
            .group;
        expected.push(format!("create {name} displayName"));
        directory.change_group(kind, group.id, None, unchanged, &[add(user.id)]).await.unwrap();
        expected.push(format!("update {name} members"));
        let renamed = |_: &Document| Ok(document(json!({ "displayName": format!("another {name}") })));
        directory.change_group(kind, group.id, None, renamed, &[]).await.unwrap();
        expected.push(format!("update {name} displayName"));
        directory.delete(kind, group.id, None).await.unwrap();
        expected.push(format!("delete {name} members"));
    }
    let renamed = |_: &Document| Ok(document(json!({ "userName": "bob" })));
    directory.change_user(user.id, None, renamed).await.unwrap();
    expected.push("update User userName".to_owned());
    directory.delete(ResourceKind::User, user.id, None).await.unwrap();
    expected.push("delete User ".to_owned());
    // All these operations have the same time, so their records have no order.
    let mut records = records(service, &connector).await;
    records.sort();
    expected.sort();
    assert_eq!(records, expected);
}

#[tokio::test]
async fn every_change_of_a_connector_leaves_one_audit_record() {
    let service = service();
    let connector = service.connector().await;
    let id = &connector.id;
    // Each operation has a later time than the one before, so their records have an order.
    let begin = Timestamp::now();
    let at = |seconds: i64| {
        let now = begin - jiff::SignedDuration::from_secs(100 - seconds);
        Connectors::new(service.table(), actor(), now)
    };
    let read = async || -> Connector { service.table().connector(id).await.unwrap().unwrap() };
    at(1).rename(id, "Okta").await.unwrap();
    at(2).disable(id).await.unwrap();
    at(3).enable(id).await.unwrap();
    let settings = Settings { audit_days: 30, ..Settings::default() };
    assert!(at(4).replace_settings(&read().await, settings).await.unwrap());
    let kind = CredentialKind::Basic { username: "okta".to_owned() };
    let (new, _) = generate_credential(kind, begin).unwrap();
    at(5).add_credential(id, &new).await.unwrap();
    at(6).set_expiry(id, &new.id, Some(begin)).await.unwrap();
    at(7).retire_credential(id, &new.id).await.unwrap();
    at(8).replace_credentials(id, &[]).await.unwrap();
    at(9).begin_deletion(id, begin).await.unwrap();
    service.table().credential_usage(id).record_use("1f3a5b7c", begin).await.unwrap();
    service.table().password_limit(id).reserve("192.0.2.7".parse().ok(), begin).await.unwrap();
    let mut records = records(service, &connector).await;
    assert_eq!(records.pop().as_deref(), Some("create Connector credentials"));
    assert_eq!(
        records,
        [
            "update Connector name",
            "update Connector disabled",
            "update Connector disabled",
            "update Connector settings",
            "update Connector credentials",
            "update Connector credentials",
            "update Connector credentials",
            "update Connector credentials",
            "delete Connector ",
        ]
    );
}

#[tokio::test]
async fn every_repair_leaves_an_audit_record_that_names_the_finding() {
    let mut repaired = 0;
    for corruption in Corruption::ALL {
        let small = SmallDirectory::create(service()).await;
        small.corrupt(service(), corruption).await;
        let directory = service().directory(&small.connector.id).await;
        for finding in directory.check(|_| ()).await.unwrap() {
            if directory.repair(&finding).await.unwrap() {
                repaired += 1;
                let table = service().table();
                let now = Timestamp::now();
                let id = &small.connector.id;
                let all =
                    table.audit_trail(id).newest(None, Timestamp::UNIX_EPOCH, now, usize::MAX).await.unwrap();
                let is_of_it = |record: &directory::audit::AuditRecord| {
                    let changes = &record.changes;
                    let has_details = !changes.values.is_empty()
                        || !changes.added.is_empty()
                        || !changes.removed.is_empty();
                    record.operation == "repair"
                        && changes.attributes.first().is_some_and(|name| name == finding.name())
                        && has_details == (finding.name() != "unfinished-work")
                };
                assert!(all.iter().any(is_of_it), "{corruption:?}: {finding}: {all:?}");
            }
        }
    }
    assert!(repaired >= 8, "{repaired} repairs");
}

#[tokio::test]
async fn credentials_of_a_new_connector_are_separate_items() {
    let service = service();
    let connector = service.connector().await;
    let record = read_record(service, &connector.id).await.unwrap();
    assert_eq!(record.get("credentials"), None);
    let credentials = service.table().connector(&connector.id).await.unwrap().unwrap().credentials;
    let mut schemes: Vec<&str> = credentials.iter().map(scheme).collect();
    schemes.sort_unstable();
    assert_eq!(schemes, ["Basic", "Bearer"]);
}

/// The rights of the functions allow a put of audit records, which IAM cannot limit to new ones.
#[tokio::test]
async fn audit_record_never_replaces_another() {
    let faulty = FaultyService::new().await;
    let record: Arc<Mutex<Option<Key>>> = Arc::default();
    let (seen, present) = (Arc::clone(&record), Arc::clone(&record));
    let dynamodb = faulty.service.dynamodb();
    let write_record = async move {
        let Key { pk, sk } = present.lock().unwrap().clone().unwrap();
        let put = dynamodb.put_item().table_name(TABLE);
        let put = put.item("pk", AttributeValue::S(pk)).item("sk", AttributeValue::S(sk));
        put.item("op", AttributeValue::S("earlier".to_owned())).send().await.unwrap();
    };
    let finds_record = move |call: &tests::call::Call| {
        let found = call.keys().into_iter().find(|key| key.pk.contains("#audit/"));
        let is_found = found.is_some();
        if is_found {
            *seen.lock().unwrap() = found;
        }
        is_found
    };
    let hook = faulty.dynamodb.at_call(0, finds_record, Action::run(write_record));
    let answer = faulty.send("POST", "/Users", &json!({ "schemas": [USER], "userName": "ann" })).await;
    assert!(hook.was_reached());
    assert_eq!(answer.status(), 500);
    let Key { pk, sk } = record.lock().unwrap().clone().unwrap();
    let read = faulty.service.dynamodb().get_item().table_name(TABLE);
    let read = read.key("pk", AttributeValue::S(pk)).key("sk", AttributeValue::S(sk)).send().await.unwrap();
    assert_eq!(read.item.unwrap()["op"], AttributeValue::S("earlier".to_owned()));
    assert_eq!(faulty.client().get("/Users").await.json()["totalResults"], 0);
}
