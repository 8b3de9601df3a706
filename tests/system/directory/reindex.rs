//! A new index of a connector with users: filters find every match before, during and after the build, and a
//! version that does not know the index cannot write.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use directory::connectors::{Connector, Connectors, Reindexed};
use directory::{Directory, Table};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use service::response::Plan;
use shared::schema::Schemas;
use tests::client::Client;
use tests::faults::{Fault, FaultyDynamoDb};
use tests::in_process::{InProcess, json_of};
use tests::invariants::assert_invariants;
use tests::layout;
use tests::provisioning::{USER, patch_body};
use tests::schemas::edited_schemas;
use tests::scimctl::scimctl;
use tests::service::{Service, TABLE, TIME_LIMIT, TestConnector, actor};
use tests::table::{read_items, set_attribute};

/// A separate service, because `check` reads the whole table.
fn service() -> &'static Service {
    static SERVICE: LazyLock<Service> = LazyLock::new(Service::start);
    &SERVICE
}

/// The schemas of a newer version, which has an index of titles.
fn newer_schemas() -> &'static Arc<Schemas> {
    static NEWER: LazyLock<&Arc<Schemas>> = LazyLock::new(|| {
        edited_schemas(&[], |user_type| user_type["indexes"].as_array_mut().unwrap().push(json!("title")))
    });
    *NEWER
}

/// One connector, and two versions of the service for it.
struct Versions {
    connector: TestConnector,
    client: Client,
}

impl Versions {
    async fn new() -> Self {
        let connector = service().connector().await;
        let client = connector.local(service());
        Self { connector, client }
    }

    /// Starts a process of the version without the index. It reads the connector as it is now.
    async fn older(&self) -> InProcess {
        InProcess::new(service().dynamodb(), self.client.clone()).await
    }

    /// Starts a process of the version with the index. It reads the connector as it is now.
    async fn newer(&self) -> InProcess {
        InProcess::with_schemas(service().dynamodb(), self.client.clone(), newer_schemas()).await
    }

    async fn read(&self) -> Connector {
        service().table().connector(&self.connector.id).await.unwrap().unwrap()
    }

    /// Begins a build in the past, so that the build needs no waiting time.
    async fn begin(&self, schemas: &Arc<Schemas>) -> Connector {
        let past = Timestamp::now() - SignedDuration::from_mins(10);
        let begun = service().connectors().begin_reindex(&self.connector.id, schemas, past).await.unwrap();
        assert!(!Connectors::time_until_reindex(&begun, Timestamp::now()).is_positive());
        begun
    }

    /// The titles in the index, and the number of entries.
    async fn entries(&self) -> (BTreeSet<String>, usize) {
        let items = read_items(service(), &self.connector.id).await;
        let titles: Vec<String> = items
            .into_keys()
            .filter(|(pk, _)| pk.ends_with("#user.title"))
            .map(|(_, sk)| sk.split('\0').next().unwrap().to_owned())
            .collect();
        (titles.iter().cloned().collect(), titles.len())
    }
}

fn directory_of(connector: &Connector, table: Table) -> Directory {
    Directory::new(table, Arc::new(connector.clone()), newer_schemas(), Timestamp::now(), actor())
}

async fn create(version: &InProcess, name: &str, title: &str) -> String {
    let user = json!({ "schemas": [USER], "userName": name, "title": title });
    let created = version.send("POST", "/Users", Some(&user), TIME_LIMIT).await;
    assert_eq!(created.status(), 201, "{created:?}");
    json_of(&created)["id"].as_str().unwrap().to_owned()
}

async fn set_title(version: &InProcess, id: &str, title: &str) -> u16 {
    let operation = patch_body(json!([{ "op": "replace", "path": "title", "value": title }]));
    version.send("PATCH", &format!("/Users/{id}"), Some(&operation), TIME_LIMIT).await.status().as_u16()
}

/// The plan of a filter on titles, and the number of users that it finds.
async fn find(version: &InProcess, title: &str) -> (&'static str, u64) {
    let found =
        version.send("GET", &format!("/Users?filter=title%20eq%20%22{title}%22"), None, TIME_LIMIT).await;
    assert_eq!(found.status(), 200, "{found:?}");
    let Plan(plan) = found.extensions().get().unwrap();
    (*plan, json_of(&found)["totalResults"].as_u64().unwrap())
}

#[tokio::test]
async fn filters_find_every_match_before_during_and_after_an_index_build() {
    let versions = Versions::new().await;
    let id = versions.connector.id.to_string();
    let (older, newer) = (versions.older().await, versions.newer().await);
    for number in 0..20 {
        create(&older, &format!("guide{number}"), "Guide").await;
    }
    // Before the build, both versions can write, and no filter uses the new index.
    let first = create(&newer, "first", "Cook").await;
    create(&newer, "second", "Cook").await;
    assert_eq!(set_title(&older, &first, "Guide").await, 200);
    assert_eq!((find(&newer, "Guide").await, find(&newer, "Cook").await), (("scan", 21), ("scan", 1)));
    assert_eq!(find(&older, "Guide").await, ("scan", 21));
    assert_eq!(versions.entries().await, (BTreeSet::from(["cook".to_owned()]), 2));
    let connector = versions.read().await;
    assert_eq!(directory_of(&connector, service().table()).check(|_| ()).await.unwrap(), []);

    // During the build, the older version can read but not write.
    let begun = versions.begin(newer_schemas()).await;
    assert_eq!(begun.record.indexes.changing().collect::<Vec<_>>(), ["User.title"]);
    let (older, newer) = (versions.older().await, versions.newer().await);
    assert_eq!(set_title(&older, &first, "Cook").await, 500);
    let refused = scimctl(service(), &["user", "create", &id, "ann"]).failed();
    assert_eq!(
        refused,
        format!(
            "connector {id} has indexes that this version does not know (User.title), so this version \
             refuses to write; use a newer version, or remove the indexes with this version's `scimctl reindex {id}`"
        )
    );
    create(&newer, "third", "Cook").await;
    for version in [&older, &newer] {
        assert_eq!((find(version, "Guide").await, find(version, "Cook").await), (("scan", 21), ("scan", 2)));
    }
    let checked = scimctl(service(), &["check", &id]);
    assert_eq!(checked.ok(), "no findings\n");

    // After the build, the index has an entry for each user and no other entry.
    let built = service().connectors().reindex(&begun, newer_schemas(), |_| ()).await.unwrap();
    let expected =
        Reindexed { ready: vec!["User.title".to_owned()], removed: Vec::new(), added: 21, deleted: 1 };
    assert_eq!(built, expected);
    let ready = versions.read().await;
    let (older, newer) = (versions.older().await, versions.newer().await);
    assert_eq!((find(&newer, "Guide").await, find(&newer, "Cook").await), (("equal", 21), ("equal", 2)));
    assert_eq!(find(&older, "Guide").await, ("scan", 21));
    assert_eq!(set_title(&older, &first, "Cook").await, 500);
    assert_eq!(set_title(&newer, &first, "Cook").await, 200);
    assert_eq!((find(&newer, "Guide").await, find(&newer, "Cook").await), (("equal", 20), ("equal", 3)));
    assert_eq!(directory_of(&ready, service().table()).check(|_| ()).await.unwrap(), []);
    assert_eq!(versions.begin(newer_schemas()).await, ready);
}

#[tokio::test]
async fn older_version_can_write_after_it_removes_the_newer_index() {
    let versions = Versions::new().await;
    let id = versions.connector.id.to_string();
    let newer = versions.newer().await;
    let user = create(&newer, "ann", "Cook").await;
    let begun = versions.begin(newer_schemas()).await;
    service().connectors().reindex(&begun, newer_schemas(), |_| ()).await.unwrap();
    assert_eq!(find(&versions.newer().await, "Cook").await, ("equal", 1));

    let doctor = scimctl(service(), &["doctor", &id]);
    assert!(doctor.out.contains("does not know (User.title)"), "{}", doctor.out);
    // The removal begins. Processes of the newer version stop using the index.
    versions.begin(Schemas::built_in()).await;
    assert_eq!(find(&versions.newer().await, "Cook").await, ("scan", 1));
    assert_eq!(set_title(&versions.older().await, &user, "Guide").await, 500);
    let removed = scimctl(service(), &["reindex", &id]).ok();
    assert_eq!(removed, "index User.title is removed\n0 index entries added, 0 stray ones deleted\n");
    assert_eq!(
        scimctl(service(), &["reindex", &id]).ok(),
        format!("all indexes of connector {id} are ready\n")
    );
    let older = versions.older().await;
    assert_eq!(set_title(&older, &user, "Guide").await, 200);
    assert_eq!(find(&versions.newer().await, "Guide").await, ("scan", 1));
    assert_invariants(service(), &versions.connector.id).await;
    let records = scimctl(service(), &["audit", &id, "--json"]).ok();
    let reindexed = records.lines().filter(|line| line.contains(r#""operation":"reindex""#));
    assert_eq!(reindexed.count(), 4, "{records}");
}

#[tokio::test]
async fn missing_index_is_reported_by_doctor_and_check_and_built_by_reindex() {
    let versions = Versions::new().await;
    let id = versions.connector.id.to_string();
    let older = versions.older().await;
    create(&older, "ann", "Cook").await;
    // In the connector's record, the index of display names is not built yet.
    let mut connector = versions.read().await;
    let record = serde_json::to_value(&connector.record).unwrap();
    let mut indexes = record["indexes"].clone();
    assert_eq!(indexes.as_object().unwrap().len(), 9);
    let past = Timestamp::now() - SignedDuration::from_mins(10);
    indexes["User.displayName"] = json!({ "building": { "since": past } });
    connector.record.indexes = serde_json::from_value(indexes).unwrap();
    let doc = serde_json::to_string(&connector.record).unwrap();
    let doc = aws_sdk_dynamodb::types::AttributeValue::S(doc);
    set_attribute(service(), &layout::connector(&versions.connector.id), "doc", doc).await;

    let doctor = scimctl(service(), &["doctor", &id]);
    assert!(doctor.out.contains("FAILED  1 index is not ready: User.displayName\n"), "{}", doctor.out);
    let checked = scimctl(service(), &["check", &id]);
    assert_eq!(
        (checked.code, checked.err.as_str(), checked.out.as_str()),
        (
            0,
            &*format!(
                "{id}: 1 index is not ready and not checked: User.displayName; `scimctl reindex {id}` builds it\n"
            ),
            "no findings\n"
        )
    );
    let built = scimctl(service(), &["reindex", &id]).ok();
    assert_eq!(built, "index User.displayName is ready\n0 index entries added, 0 stray ones deleted\n");
    let doctor = scimctl(service(), &["doctor", &id]);
    assert!(doctor.out.contains("ok      all indexes of the connector are ready\n"), "{}", doctor.out);
}

/// What a client does while an index is built.
#[derive(Clone, Copy, Debug)]
enum Write {
    ChangeTitle,
    Delete,
    Create,
}

#[tokio::test]
async fn users_written_during_an_index_build_are_indexed() {
    let faulty = FaultyDynamoDb::start(service().endpoint()).await;
    let dynamodb = runtime::dynamodb::client_at(&faulty.endpoint).await;
    for write in [Write::ChangeTitle, Write::Delete, Write::Create] {
        for at in 0.. {
            let versions = Versions::new().await;
            let older = versions.older().await;
            let id = create(&older, "ann", "Cook").await;
            create(&older, "bob", "Cook").await;
            let stray = create(&versions.newer().await, "eve", "Smith").await;
            assert_eq!(set_title(&older, &stray, "Guide").await, 200);
            let begun = versions.begin(newer_schemas()).await;
            let newer = versions.newer().await;
            faulty.interrupt(at, async move {
                match write {
                    Write::ChangeTitle => {
                        assert_eq!(set_title(&newer, &id, "Pilot").await, 200);
                        assert_eq!(set_title(&newer, &stray, "Smith").await, 200);
                    }
                    Write::Delete => {
                        let deleted = newer.send("DELETE", &format!("/Users/{id}"), None, TIME_LIMIT).await;
                        assert_eq!(deleted.status(), 204);
                    }
                    Write::Create => drop(create(&newer, "new", "Cook").await),
                }
            });
            let table = Table::new(dynamodb.clone(), TABLE.to_owned());
            let connectors = Connectors::new(table, actor(), Timestamp::now());
            let built = connectors.reindex(&begun, newer_schemas(), |_| ()).await.unwrap();
            assert_eq!(built.ready, ["User.title"]);
            let was_interrupted = at < faulty.heal();
            let ready = versions.read().await;
            let findings = directory_of(&ready, service().table()).check(|_| ()).await.unwrap();
            assert_eq!(findings, [], "{write:?} before request {at}");
            let newer = versions.newer().await;
            let mut found = Vec::new();
            for title in ["Cook", "Pilot", "Guide", "Smith"] {
                let (plan, count) = find(&newer, title).await;
                assert_eq!(plan, "equal");
                found.push(count);
            }
            let expected = match write {
                _ if !was_interrupted => [2, 0, 1, 0],
                Write::ChangeTitle => [1, 1, 0, 1],
                Write::Delete => [1, 0, 1, 0],
                Write::Create => [3, 0, 1, 0],
            };
            assert_eq!(found, expected, "{write:?} before request {at}");
            if !was_interrupted {
                assert!(at > 10, "only {at} requests");
                break;
            }
        }
    }
}

#[tokio::test]
async fn repeated_build_completes_an_interrupted_build() {
    let faulty = FaultyDynamoDb::start(service().endpoint()).await;
    let dynamodb = runtime::dynamodb::client_at(&faulty.endpoint).await;
    for at in 0.. {
        let versions = Versions::new().await;
        let older = versions.older().await;
        create(&older, "ann", "Cook").await;
        let stray = create(&versions.newer().await, "eve", "Smith").await;
        assert_eq!(set_title(&older, &stray, "Guide").await, 200);
        faulty.fail_from(at, Fault::Denied);
        let table = Table::new(dynamodb.clone(), TABLE.to_owned());
        let build = async || {
            let connectors = Connectors::new(table.clone(), actor(), Timestamp::now());
            let id = &versions.connector.id;
            let begun = connectors.begin_reindex(id, newer_schemas(), Timestamp::now()).await?;
            connectors.reindex(&begun, newer_schemas(), |_| ()).await
        };
        let is_interrupted = build().await.is_err();
        faulty.heal();
        let newer = versions.newer().await;
        assert_eq!((find(&newer, "Cook").await.1, find(&newer, "Guide").await.1), (1, 1), "at {at}");
        build().await.unwrap();
        let ready = versions.read().await;
        assert_eq!(ready.record.indexes.is_ready("User.title"), Some(true), "at {at}");
        assert_eq!(directory_of(&ready, service().table()).check(|_| ()).await.unwrap(), [], "at {at}");
        let titles = BTreeSet::from(["cook".to_owned(), "guide".to_owned()]);
        assert_eq!(versions.entries().await, (titles, 2), "at {at}");
        if !is_interrupted {
            assert!(at > 10, "only {at} requests");
            break;
        }
    }
}

#[tokio::test]
async fn removal_by_an_older_version_stops_the_build_of_a_newer_one() {
    let versions = Versions::new().await;
    create(&versions.newer().await, "ann", "Cook").await;
    let building = versions.begin(newer_schemas()).await;
    let removing = versions.begin(Schemas::built_in()).await;
    assert_ne!(building.record.indexes, removing.record.indexes);
    let stopped = service().connectors().reindex(&building, newer_schemas(), |_| ()).await.unwrap_err();
    assert!(stopped.detail.starts_with("another operator changed the indexes"), "{stopped:?}");
    assert_eq!(versions.read().await.record.indexes.is_ready("User.title"), Some(false));
    let removed = service().connectors().reindex(&removing, Schemas::built_in(), |_| ()).await.unwrap();
    assert_eq!((removed.removed, removed.ready), (vec!["User.title".to_owned()], Vec::new()));
    assert_eq!(versions.entries().await.1, 0);
    // The reverse: a build stops a removal, and loses no entry to it.
    let removing = {
        let begun = versions.begin(newer_schemas()).await;
        service().connectors().reindex(&begun, newer_schemas(), |_| ()).await.unwrap();
        versions.begin(Schemas::built_in()).await
    };
    let building = versions.begin(newer_schemas()).await;
    let stopped = service().connectors().reindex(&removing, Schemas::built_in(), |_| ()).await.unwrap_err();
    assert!(stopped.detail.starts_with("another operator changed the indexes"), "{stopped:?}");
    service().connectors().reindex(&building, newer_schemas(), |_| ()).await.unwrap();
    assert_eq!(find(&versions.newer().await, "Cook").await, ("equal", 1));
}

#[tokio::test]
async fn repair_of_an_older_version_deletes_no_entry_of_an_index_built_meanwhile() {
    let versions = Versions::new().await;
    create(&versions.newer().await, "ann", "Cook").await;
    // To the older version, the entry is stray as long as the index is not listed.
    let older = service().directory(&versions.connector.id).await;
    let findings = older.check(|_| ()).await.unwrap();
    let [finding] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(finding.name(), "stray-entry");
    let begun = versions.begin(newer_schemas()).await;
    service().connectors().reindex(&begun, newer_schemas(), |_| ()).await.unwrap();
    assert!(!older.repair(finding).await.unwrap());
    assert_eq!(find(&versions.newer().await, "Cook").await, ("equal", 1));
    // A check that began with the old list does not report it either.
    assert_eq!(older.check(|_| ()).await.unwrap(), []);
}

#[tokio::test]
async fn repair_fails_if_an_index_changes_before_its_transaction() {
    let faulty = FaultyDynamoDb::start(service().endpoint()).await;
    let dynamodb = runtime::dynamodb::client_at(&faulty.endpoint).await;
    for at in 0.. {
        let versions = Versions::new().await;
        create(&versions.newer().await, "ann", "Cook").await;
        let table = Table::new(dynamodb.clone(), TABLE.to_owned());
        let connector = Arc::new(versions.read().await);
        let older = Directory::new(table, connector, Schemas::built_in(), Timestamp::now(), actor());
        let findings = older.check(|_| ()).await.unwrap();
        let id = versions.connector.id.clone();
        faulty.interrupt(at, async move {
            let past = Timestamp::now() - SignedDuration::from_mins(10);
            let begun = service().connectors().begin_reindex(&id, newer_schemas(), past).await.unwrap();
            service().connectors().reindex(&begun, newer_schemas(), |_| ()).await.unwrap();
        });
        let is_repaired = older.repair(&findings[0]).await.unwrap();
        let was_interrupted = at < faulty.heal();
        assert_eq!(is_repaired, !was_interrupted, "before request {at}");
        if !was_interrupted {
            assert!(at > 4, "only {at} requests");
            break;
        }
        assert_eq!(find(&versions.newer().await, "Cook").await, ("equal", 1), "before request {at}");
    }
}
