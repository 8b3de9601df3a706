//! Commands of operators that take longer than a process may use what it read of a connector. A feed that is created meanwhile gets
//! every change, and no command goes on with old settings.

use std::sync::Arc;

use directory::Directory;
use directory::connectors::{Connector, ConnectorId};
use directory::feeds::FeedId;
use directory::settings::{Mapping, Settings};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shared::error::ErrorKind;
use shared::patch::{MemberOperation, MemberValue};
use shared::resource::{Document, ResourceId, ResourceKind};
use shared::schema::Schemas;
use tests::consumer::Consumer;
use tests::corruption::{Corruption, SmallDirectory};
use tests::faulty_service::FaultyService;
use tests::interrupted::expire_intents;
use tests::provisioning::{
    USER, add_members_body, create_group, create_user, create_user_in_groups, create_users,
};
use tests::service::{Service, actor, service};

/// After this time, every process knows a new feed.
const LATER: SignedDuration = SignedDuration::from_secs(150);

async fn read(service: &Service, id: &ConnectorId) -> Connector {
    service.table().connector(id).await.unwrap().unwrap()
}

/// The directory of a command that began more than a minute ago and read the connector then.
fn begun(service: &Service, connector: &Connector) -> Directory {
    let start = Timestamp::now() - SignedDuration::from_secs(61);
    Directory::new(service.table(), Arc::new(connector.clone()), Schemas::built_in(), start, actor())
}

fn document(value: &Value) -> Document {
    value.as_object().unwrap().clone()
}

fn parse(id: &str) -> ResourceId {
    ResourceId::parse(id).unwrap()
}

fn add(ids: &[String]) -> Vec<MemberOperation> {
    let value = |id: &String| MemberValue { id: parse(id), display: None, kind: None };
    vec![MemberOperation::Add(ids.iter().map(value).collect())]
}

/// Creates as many feeds as a connector can have. Returns the consumer of one of them, after it has read the whole directory.
async fn consumer_of_new_feeds(service: &Service, id: &ConnectorId) -> Consumer {
    for feed in ["two", "three"] {
        Consumer::create(service.table(), id, feed).await;
    }
    let mut consumer = Consumer::create(service.table(), id, "platform").await;
    consumer.tend(LATER).await;
    consumer.drain().await.unwrap();
    consumer
}

/// Asserts that the consumer learns of a change, and then knows the whole directory.
async fn assert_learned(consumer: &mut Consumer, what: &str) {
    let before = consumer.shown();
    consumer.drain().await.unwrap();
    assert!(consumer.shown() != before, "{what}");
    assert_eq!(consumer.shown(), consumer.expected().await.unwrap(), "{what}");
}

#[tokio::test]
async fn feed_that_is_created_during_a_command_gets_its_changes() {
    let faulty = FaultyService::new().await;
    let (service, id) = (&*faulty.service, &faulty.connector.id);
    let client = faulty.client();
    let users = create_users(&client, 80).await;
    let (leaver, _) = create_user_in_groups(&client, "leaver", 40).await;
    let large = create_group(&client, "large", &users[..60]).await;
    let growing = create_group(&client, "growing", &[]).await;
    let growing_path = format!("/Groups/{growing}");
    faulty.cut_off_after(1, "PATCH", &growing_path, &add_members_body(&users[..70])).await;
    let before = read(service, id).await;
    let local = service.directory(id).await;
    let ann = document(&json!({ "schemas": [USER], "userName": "ann" }));
    let ann = local.create_user(ann).await.unwrap().id;
    let role = document(&json!({ "displayName": "approver" }));
    let member = [ann.to_string()];
    local.create_group(ResourceKind::Role, role, add(&member)).await.unwrap();

    let mut consumer = consumer_of_new_feeds(service, id).await;
    consumer.assert_equals_directory().await;
    expire_intents(service, id).await;
    assert_eq!(begun(service, &before).sweep().await.unwrap().finished, 1);
    assert_learned(&mut consumer, "sweep").await;

    // Each of these is the first change of a command.
    let user = document(&json!({ "schemas": [USER], "userName": "bob" }));
    begun(service, &before).create_user(user).await.unwrap();
    assert_learned(&mut consumer, "import users").await;
    let group = document(&json!({ "displayName": "Stewards" }));
    let directory = begun(service, &before);
    let created = directory.create_group(ResourceKind::LocalGroup, group, add(&users[..70])).await;
    let stewards = created.unwrap().group.id;
    assert_learned(&mut consumer, "import groups").await;
    let same = |document: &Document| Ok(document.clone());
    let (directory, more) = (begun(service, &before), add(&users[70..]));
    directory.change_group(ResourceKind::LocalGroup, stewards, None, same, &more).await.unwrap();
    assert_learned(&mut consumer, "group add").await;
    begun(service, &before).merge_users(ann, parse(&users[0])).await.unwrap();
    assert_learned(&mut consumer, "user merge").await;
    begun(service, &before).delete_orphaned(ResourceKind::Group, parse(&large)).await.unwrap();
    assert_learned(&mut consumer, "group delete").await;
    begun(service, &before).delete_orphaned(ResourceKind::User, parse(&leaver)).await.unwrap();
    assert_learned(&mut consumer, "user delete").await;
}

#[tokio::test]
async fn feed_that_is_created_during_a_check_gets_its_repairs() {
    let small = SmallDirectory::create(service()).await;
    let id = &small.connector.id;
    small.corrupt(service(), Corruption::MemberSideIsMissing).await;
    let directory = begun(service(), &read(service(), id).await);
    let findings = directory.check(|_| ()).await.unwrap();
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    let mut consumer = consumer_of_new_feeds(service(), id).await;
    assert!(directory.repair(finding).await.unwrap());
    assert_learned(&mut consumer, "check --repair").await;
}

#[tokio::test]
async fn feed_that_is_deleted_during_a_command_gets_nothing() {
    let connector = service().connector().await;
    let consumer = Consumer::create(service().table(), &connector.id, "platform").await;
    let before = read(service(), &connector.id).await;
    let feed = FeedId::parse("platform").unwrap();
    service().connectors().delete_feed(&connector.id, &feed).await.unwrap();
    let user = document(&json!({ "schemas": [USER], "userName": "ann" }));
    begun(service(), &before).create_user(user).await.unwrap();
    assert_eq!(consumer.events().await, []);
}

#[tokio::test]
async fn command_ends_when_settings_were_changed_that_it_does_not_know() {
    let connector = service().connector().await;
    let id = &connector.id;
    create_user(&connector.local(service()), "kim").await;
    let before = read(service(), id).await;
    let recent = service().directory(id).await;
    let mapping = Mapping { username_from_email: true, ..Mapping::default() };
    service().change_settings(id, |_| Settings { mapping, ..Settings::default() }).await;
    let user = |name: &str| document(&json!({ "schemas": [USER], "userName": name }));
    let refused = begun(service(), &before).create_user(user("ann")).await.unwrap_err();
    let detail = format!(
        "the settings, indexes or schemas of connector {id} were changed meanwhile; run the command again"
    );
    assert_eq!((refused.kind, refused.detail.as_ref()), (ErrorKind::Unavailable, detail.as_str()));
    // For a minute, every process may use what it read.
    recent.create_user(user("bob")).await.unwrap();
    let now = read(service(), id).await;
    begun(service(), &now).create_user(user("cyd")).await.unwrap();

    service().connectors().begin_deletion(id, Timestamp::now()).await.unwrap();
    let refused = begun(service(), &now).create_user(user("dan")).await.unwrap_err();
    let detail =
        format!("connector {id} is being deleted; `scimctl connector delete {id}` completes the deletion");
    assert_eq!((refused.kind, refused.detail.as_ref()), (ErrorKind::Unavailable, detail.as_str()));
}
