//! `scimctl check` finds every inconsistency in the table, and `scimctl check --repair` repairs it without
//! undoing changes that clients make at the same time.

use std::sync::{Arc, LazyLock};

use aws_sdk_dynamodb::types::AttributeValue;
use directory::{Directory, Table};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::resource::{ResourceId, ResourceKind};
use shared::schema::Schemas;
use tests::corruption::{Corruption, SmallDirectory};
use tests::faults::FaultyDynamoDb;
use tests::invariants::assert_invariants;
use tests::layout;
use tests::provisioning::{GROUP, add_members_body, create_group, create_user, patch_body};
use tests::scimctl::scimctl;
use tests::service::{Service, TABLE, actor};
use tests::table::{put_item, read_items, set_attribute, take_item};

/// A separate service, because these tests read the whole table.
fn service() -> &'static Service {
    static SERVICE: LazyLock<Service> = LazyLock::new(Service::start);
    &SERVICE
}

/// The corruptions that `check --repair` repairs, each with the findings of `check` in alphabetical order.
const REPAIRABLE: [(Corruption, &[&str]); 13] = [
    (Corruption::IndexItemIsMissing, &["missing-entry"]),
    (Corruption::IndexItemIsStray, &["stray-entry"]),
    (Corruption::IndexItemNamesAnotherUser, &["missing-entry", "stray-entry"]),
    (Corruption::GroupSideIsMissing, &["half-membership"]),
    (Corruption::MemberSideIsMissing, &["half-membership"]),
    (Corruption::MemberIsMissing, &["dangling-membership", "stray-entry", "wrong-count"]),
    (Corruption::GroupIsMissing, &["dangling-membership", "stray-entry", "wrong-count"]),
    (Corruption::MemberIsDeactivated, &["dangling-membership", "missing-entry", "wrong-count"]),
    (Corruption::CountIsWrong, &["wrong-count"]),
    (Corruption::DeletionIsUnfinished, &["unfinished-work"]),
    (Corruption::ActiveCopyIsWrong, &["wrong-active"]),
    (Corruption::NestingMarkIsMissing, &["unmarked-group"]),
    (Corruption::ItemIsUnknown, &["stray-item"]),
];

#[tokio::test]
async fn corruption_is_found_by_check_and_fixed_by_repair() {
    for (corruption, expected) in REPAIRABLE {
        let small = SmallDirectory::create(service()).await;
        let (id, member, group) = (&small.connector.id, small.member, small.group);
        assert_invariants(service(), id).await;
        small.corrupt(service(), corruption).await;
        let run = |arguments: &[&str]| {
            scimctl(service(), &[&["check", &id.to_string(), "--json"], arguments].concat())
        };
        let found = run(&[]);
        let findings: Vec<Value> =
            found.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut names: Vec<&str> =
            findings.iter().map(|finding| finding["finding"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!((found.code, names), (1, expected.to_vec()), "{corruption:?}: {}", found.out);
        let repaired = run(&["--repair"]);
        let again = run(&["--repair"]);
        assert_eq!(
            (again.code, again.err.as_str()),
            (0, ""),
            "{corruption:?}: {} {}",
            repaired.out,
            again.out
        );
        assert_invariants(service(), id).await;
        if [Corruption::GroupSideIsMissing, Corruption::MemberSideIsMissing].contains(&corruption) {
            assert_eq!(
                small.client.get(&format!("/Groups/{group}")).await.json()["members"][0]["value"],
                json!(member.to_string())
            );
            assert_eq!(
                small.client.get(&format!("/Users/{member}")).await.json()["groups"][0]["value"],
                json!(group.to_string())
            );
        }
        if corruption == Corruption::NestingMarkIsMissing {
            let shown = small.client.get(&format!("/Users/{member}")).await.json();
            assert_eq!(shown["groups"].as_array().unwrap().len(), 2, "{shown}");
        }
    }
}

/// A finding, and a change that a client makes while `check --repair` repairs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConcurrentChange {
    /// An index entry is stray, and the user gets its value.
    UserGetsTheValue,
    /// An inactive user is a member of a group, and is activated.
    MemberIsActivated,
    /// The member's side of a membership is missing, and the member is removed.
    MemberIsRemoved,
    /// The member's side of a membership is missing, so the member does not leave the group when it is
    /// deactivated.
    MemberIsDeactivated,
    /// The count of active users is wrong, and a user is deactivated.
    CountedUserIsDeactivated,
}

impl ConcurrentChange {
    /// Writes the inconsistency, and returns the name of its finding.
    async fn prepare(self, small: &SmallDirectory) -> &'static str {
        match self {
            Self::UserGetsTheValue => {
                let (id, member) = (&small.connector.id, small.member);
                let key = layout::index_item(id, ResourceKind::User, "displayName", "ann", member);
                let mut item = key.attributes();
                item.insert("id".to_owned(), AttributeValue::S(member.to_string()));
                put_item(service(), item).await;
                "stray-entry"
            }
            Self::MemberIsActivated => {
                let mut items = Vec::new();
                for side in [small.group_side(), small.member_side()] {
                    items.push(take_item(service(), &side).await);
                }
                self.replace(small, "active", json!(false)).await;
                for item in items {
                    put_item(service(), item).await;
                }
                "dangling-membership"
            }
            Self::MemberIsRemoved | Self::MemberIsDeactivated => {
                take_item(service(), &small.member_side()).await;
                "half-membership"
            }
            Self::CountedUserIsDeactivated => {
                let count = small.count_key();
                set_attribute(service(), &count, "active", AttributeValue::N("7".to_owned())).await;
                "wrong-count"
            }
        }
    }

    /// The request of a client that replaces an attribute of the member.
    fn replace(
        self,
        small: &SmallDirectory,
        attribute: &str,
        value: Value,
    ) -> impl Future<Output = ()> + use<> {
        let (client, path) = (small.client.clone(), format!("/Users/{}", small.member));
        let body = patch_body(json!([{ "op": "replace", "path": attribute, "value": value }]));
        async move { assert_eq!(client.patch(&path, &body).await.status, 200, "{self:?}") }
    }

    /// The request of the client.
    fn request(self, small: &SmallDirectory) -> BoxFuture<'static, ()> {
        match self {
            Self::UserGetsTheValue => self.replace(small, "displayName", json!("Ann")).boxed(),
            Self::MemberIsActivated => self.replace(small, "active", json!(true)).boxed(),
            Self::MemberIsDeactivated | Self::CountedUserIsDeactivated => {
                self.replace(small, "active", json!(false)).boxed()
            }
            Self::MemberIsRemoved => {
                let (client, path) = (small.client.clone(), format!("/Groups/{}", small.group));
                let filter = format!("members[value eq \"{}\"]", small.member);
                let body = patch_body(json!([{ "op": "remove", "path": filter }]));
                async move { assert_eq!(client.patch(&path, &body).await.status, 200) }.boxed()
            }
        }
    }

    /// Asserts that the directory has the change of the client, or only the repair if the client made none.
    async fn assert_result(self, small: &SmallDirectory, was_interrupted: bool, context: &str) {
        let found = small.client.get("/Users?filter=displayName%20eq%20%22ann%22").await.json();
        let has_value = self == Self::UserGetsTheValue && was_interrupted;
        assert_eq!(found["totalResults"], usize::from(has_value), "{context}");
        let user = small.client.get(&format!("/Users/{}", small.member)).await.json();
        let group = small.client.get(&format!("/Groups/{}", small.group)).await.json();
        let is_member = match self {
            Self::UserGetsTheValue => true,
            Self::MemberIsActivated => was_interrupted,
            Self::MemberIsRemoved | Self::MemberIsDeactivated | Self::CountedUserIsDeactivated => {
                !was_interrupted
            }
        };
        let ids = |value: &Value| -> Vec<String> {
            let values = value.as_array().into_iter().flatten();
            values.map(|one| one["value"].as_str().unwrap().to_owned()).collect()
        };
        let expected = |id: ResourceId| if is_member { vec![id.to_string()] } else { Vec::new() };
        assert_eq!(ids(&user["groups"]), expected(small.group), "{context}");
        assert_eq!(ids(&group["members"]), expected(small.member), "{context}");
    }
}

#[tokio::test]
async fn repair_keeps_what_a_client_changes_meanwhile() {
    let faulty = FaultyDynamoDb::start(service().endpoint()).await;
    let client = runtime::dynamodb::client_at(&faulty.endpoint).await;
    for change in [
        ConcurrentChange::UserGetsTheValue,
        ConcurrentChange::MemberIsActivated,
        ConcurrentChange::MemberIsRemoved,
        ConcurrentChange::MemberIsDeactivated,
        ConcurrentChange::CountedUserIsDeactivated,
    ] {
        for at in 0.. {
            let context = format!("{change:?} before request {at}");
            let small = SmallDirectory::create(service()).await;
            let name = change.prepare(&small).await;
            let connector = service().table().connector(&small.connector.id).await.unwrap().unwrap();
            let table = Table::new(client.clone(), TABLE.to_owned());
            let now = Timestamp::now();
            let directory = Directory::new(table, Arc::new(connector), Schemas::built_in(), now, actor());
            let findings = directory.check(|_| {}).await.unwrap();
            let [finding] = &findings[..] else { panic!("{context}: {findings:?}") };
            assert_eq!(finding.name(), name, "{context}");
            faulty.interrupt(at, change.request(&small));
            let is_repaired = directory.repair(finding).await.unwrap();
            let requests = faulty.heal();
            let was_interrupted = at < requests;
            if change == ConcurrentChange::CountedUserIsDeactivated {
                // If the change comes before the repair reads the count, the repair succeeds. Otherwise the
                // next repair does.
                assert!(is_repaired || was_interrupted, "{context}");
                if !is_repaired {
                    assert!(directory.repair(finding).await.unwrap(), "{context}");
                }
            } else {
                assert_eq!(is_repaired, !was_interrupted, "{context}");
            }
            // The deactivation ends the half of the membership, too.
            if change == ConcurrentChange::MemberIsDeactivated && was_interrupted {
                assert_eq!(directory.check(|_| {}).await.unwrap(), [], "{context}");
            }
            assert_invariants(service(), &small.connector.id).await;
            change.assert_result(&small, was_interrupted, &context).await;
            if !was_interrupted {
                assert!(at > 2, "{change:?}: only {at} requests");
                break;
            }
        }
    }
}

#[tokio::test]
async fn unreadable_item_is_reported_but_not_repaired_and_hides_no_other_finding() {
    let small = SmallDirectory::create(service()).await;
    let (id, member) = (small.connector.id.to_string(), small.member);
    small.corrupt(service(), Corruption::UserIsUnreadable).await;
    take_item(service(), &small.user_name_key("other")).await;
    let message = |state: &str| {
        let key =
            format!("the User {:?} of {id}#user cannot be read, and is not repaired", member.to_string());
        format!("{id}: {state}: {key}: ")
    };
    let found = scimctl(service(), &["check", &id]);
    let lines: Vec<&str> = found.out.lines().collect();
    let [missing, unreadable] = lines[..] else { panic!("{found:?}") };
    assert!(missing.contains("lacks the index entry"), "{missing}");
    assert!(unreadable.starts_with(&message("found")), "{unreadable}");
    let repaired = scimctl(service(), &["check", &id, "--repair"]);
    assert_eq!(repaired.err, "scimctl: 1 of 2 findings is not repaired\n");
    assert!(repaired.out.contains(&message("not repaired")), "{}", repaired.out);
    let again = scimctl(service(), &["check", &id]).out;
    assert_eq!(again.lines().count(), 1, "{again}");
}

#[tokio::test]
async fn connector_that_is_being_deleted_is_not_checked() {
    let service = Service::start();
    let connector = service.connector().await;
    create_user(&connector.local(&service), "ann").await;
    let id = connector.id.to_string();
    let mut count = layout::count(&connector.id, ResourceKind::User, 0).attributes();
    count.insert("n".to_owned(), AttributeValue::N("7".to_owned()));
    put_item(&service, count).await;
    service.connectors().begin_deletion(&connector.id, Timestamp::now()).await.unwrap();
    let error =
        format!("connector {id} is being deleted; `scimctl connector delete {id}` completes the deletion");
    assert_eq!(scimctl(&service, &["check", &id, "--repair"]).failed(), error);
    let all = scimctl(&service, &["check"]);
    assert_eq!((all.code, all.err.trim_end(), all.out.trim_end()), (0, &*error, "no findings"));
}

#[tokio::test]
async fn items_of_a_connector_without_a_record_are_found_and_deleted() {
    let service = Service::start();
    let (complete, without_record) = (service.connector().await, service.connector().await);
    for connector in [&complete, &without_record] {
        let client = connector.local(&service);
        let made = create_user(&client, "ann").await;
        create_group(&client, "Sales", &[made]).await;
    }
    take_item(&service, &layout::connector(&without_record.id)).await;
    let count_items = async |id| {
        let dump = read_items(&service, id).await;
        dump.into_keys().filter(|(pk, _)| !pk.contains("#audit/")).count()
    };
    let (before, found) = (count_items(&complete.id).await, scimctl(&service, &["check"]));
    assert_eq!((found.code, found.out.lines().count()), (1, 1), "{found:?}");
    assert!(
        found.out.starts_with(&format!(
            "{}: found: the connector has no record, but items in ",
            without_record.id
        )),
        "{found:?}"
    );
    scimctl(&service, &["check", "--repair"]).ok();
    assert_eq!((count_items(&without_record.id).await, count_items(&complete.id).await), (0, before));
    assert_eq!(scimctl(&service, &["check"]).ok(), "no findings\n");
}

#[tokio::test]
async fn check_during_writes_reports_no_false_findings() {
    let small = SmallDirectory::create(service()).await;
    let client = &small.client;
    let writes = async {
        for number in 0..30 {
            let made = create_user(client, &format!("user{number}")).await;
            let joins = add_members_body(std::slice::from_ref(&made));
            assert_eq!(client.patch(&format!("/Groups/{}", small.group), &joins).await.status, 200);
            let body = json!({ "schemas": [GROUP], "displayName": format!("group{number}") });
            assert_eq!(client.post("/Groups", &body).await.status, 201);
            if number % 3 == 0 {
                assert_eq!(client.delete(&format!("/Users/{made}")).await.status, 204);
            }
        }
    };
    let directory = service().directory(&small.connector.id).await;
    let checks = async {
        let mut found = Vec::new();
        for _ in 0..5 {
            found.extend(directory.check(|_| ()).await.unwrap());
        }
        // A deletion that is running during the check is not an unfinished one.
        found.retain(|finding| finding.name() != "unfinished-deletion");
        found
    };
    let ((), found) = tokio::join!(writes, checks);
    assert_eq!(found, []);
    let done = scimctl(service(), &["check", &small.connector.id.to_string()]);
    assert_eq!(done.ok(), "no findings\n");
}
