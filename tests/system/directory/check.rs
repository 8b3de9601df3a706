//! What is not in order is found, whatever it is, and mended.

use std::sync::{Arc, LazyLock};

use aws_sdk_dynamodb::types::AttributeValue;
use directory::{Actor, By, Directory, Table};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::resource::{ResourceId, ResourceKind};
use shared::schema::Schemas;
use tests::client::Client;
use tests::faults::FaultyDynamoDb;
use tests::invariants::assert_invariants;
use tests::layout::{self as keys, Key};
use tests::provisioning::{GROUP, add_members_body, create_group, create_user, patch_body};
use tests::scimctl::scimctl;
use tests::service::{Service, TABLE, TestConnector};
use tests::table::Item;

/// A table of its own, since each of these reads all of it.
fn service() -> &'static Service {
    static SERVICE: LazyLock<Service> = LazyLock::new(Service::start);
    &SERVICE
}

/// Two users, one of them in a group.
struct Sound {
    connector: TestConnector,
    client: Client,
    member: ResourceId,
    other: ResourceId,
    group: ResourceId,
}

impl Sound {
    async fn new() -> Self {
        let connector = service().connector().await;
        let client = connector.local(service());
        let (member, other) = (create_user(&client, "member").await, create_user(&client, "other").await);
        let group = create_group(&client, "Tour Guides", std::slice::from_ref(&member)).await;
        let [member, other, group] = [member, other, group].map(|id| ResourceId::parse(&id).unwrap());
        Self { connector, client, member, other, group }
    }

    fn user(&self, id: ResourceId) -> Key {
        keys::resource(&self.connector.id, ResourceKind::User, id)
    }

    fn entry(&self, name: &str) -> Key {
        Key { pk: keys::index(&self.connector.id, ResourceKind::User, "userName"), sk: name.to_owned() }
    }

    async fn take(&self, key: &Key) -> Item {
        let taken = service().dynamodb().delete_item().table_name(TABLE).set_key(Some(key.attributes()));
        let taken = taken.return_values(aws_sdk_dynamodb::types::ReturnValue::AllOld).send().await.unwrap();
        taken.attributes.unwrap_or_else(|| panic!("{key:?}"))
    }

    async fn put(&self, item: Item) {
        service().dynamodb().put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
    }

    async fn change(&self, key: &Key, name: &str, value: AttributeValue) {
        let mut item = self.take(key).await;
        item.insert(name.to_owned(), value);
        self.put(item).await;
    }
}

#[tokio::test]
async fn whatever_is_not_in_order_is_found_and_mended() {
    let cases = [
        "missing-entry",
        "stray-entry",
        "entry-of-another",
        "half-membership",
        "other-half",
        "no-member",
        "no-group",
        "inactive-member",
        "wrong-count",
        "unfinished-deletion",
        "wrong-active",
        "stray-item",
        "unmarked-group",
    ];
    for case in cases {
        let sound = Sound::new().await;
        assert_invariants(service(), &sound.connector.id).await;
        let (member, other, group) = (sound.member, sound.other, sound.group);
        let id = &sound.connector.id;
        let of_group = keys::resource(id, ResourceKind::Group, group);
        let expected: &[&str] = match case {
            "missing-entry" => {
                sound.take(&sound.entry("member")).await;
                &["missing-entry"]
            }
            "stray-entry" => {
                let mut entry = sound.entry("nobody").attributes();
                entry.insert("id".to_owned(), AttributeValue::S(member.to_string()));
                sound.put(entry).await;
                &["stray-entry"]
            }
            "entry-of-another" => {
                sound.change(&sound.entry("member"), "id", AttributeValue::S(other.to_string())).await;
                &["missing-entry", "stray-entry"]
            }
            "half-membership" => {
                sound.take(&keys::group_side(id, group, member)).await;
                &["half-membership"]
            }
            "other-half" => {
                sound.take(&keys::member_side(id, ResourceKind::User, member, group)).await;
                &["half-membership"]
            }
            "no-member" => {
                sound.take(&sound.user(member)).await;
                &["dangling-membership", "stray-entry", "wrong-count"]
            }
            "no-group" => {
                sound.take(&of_group).await;
                &["dangling-membership", "stray-entry", "wrong-count"]
            }
            "inactive-member" => {
                let deactivated = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "member", "active": false });
                sound.change(&sound.user(member), "doc", AttributeValue::S(deactivated.to_string())).await;
                sound.change(&sound.user(member), "active", AttributeValue::Bool(false)).await;
                &["dangling-membership", "missing-entry", "wrong-count"]
            }
            "wrong-count" => {
                let key = keys::count(id, ResourceKind::User, member.bucket());
                sound.change(&key, "n", AttributeValue::N("7".to_owned())).await;
                &["wrong-count"]
            }
            "unfinished-deletion" => {
                let first = sound.client.delete(&format!("/Users/{other}")).await;
                assert_eq!(first.status, 204);
                let mut item = sound.user(other).attributes();
                let doc = json!({ "userName": "other" }).to_string();
                for (name, value) in [
                    ("doc", doc.as_str()),
                    ("origin", "scim"),
                    ("created", "2026-01-01T00:00:00Z"),
                    ("modified", "2026-01-01T00:00:00Z"),
                ] {
                    item.insert(name.to_owned(), AttributeValue::S(value.to_owned()));
                }
                item.insert("version".to_owned(), AttributeValue::N("1".to_owned()));
                item.insert("going".to_owned(), AttributeValue::Bool(true));
                sound.put(item).await;
                &["unfinished-deletion"]
            }
            "wrong-active" => {
                sound.change(&sound.user(other), "active", AttributeValue::Bool(false)).await;
                &["wrong-active"]
            }
            "unmarked-group" => {
                let outer = group_of(&sound.client, "outer", group).await;
                let shown = sound.client.get(&format!("/Users/{member}")).await.json();
                assert_eq!(shown["groups"][1]["value"], json!(outer));
                let mut item = sound.take(&of_group).await;
                item.remove("nested").unwrap();
                sound.put(item).await;
                &["unmarked-group"]
            }
            _ => {
                sound.put(Key { pk: format!("{id}#nothing"), sk: "x".to_owned() }.attributes()).await;
                &["stray-item"]
            }
        };
        let run = |arguments: &[&str]| {
            scimctl(service(), &[&["check", &id.to_string(), "--json"], arguments].concat())
        };
        let found = run(&[]);
        let findings: Vec<Value> =
            found.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut names: Vec<&str> =
            findings.iter().map(|finding| finding["finding"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!((found.code, names), (1, expected.to_vec()), "{case}: {}", found.out);
        let mended = run(&["--repair"]);
        let again = run(&["--repair"]);
        assert_eq!((again.code, again.err.as_str()), (0, ""), "{case}: {} {}", mended.out, again.out);
        assert_invariants(service(), id).await;
        if ["half-membership", "other-half"].contains(&case) {
            assert_eq!(
                sound.client.get(&format!("/Groups/{group}")).await.json()["members"][0]["value"],
                json!(member.to_string())
            );
            assert_eq!(
                sound.client.get(&format!("/Users/{member}")).await.json()["groups"][0]["value"],
                json!(group.to_string())
            );
        }
        if case == "unmarked-group" {
            let shown = sound.client.get(&format!("/Users/{member}")).await.json();
            assert_eq!(shown["groups"].as_array().unwrap().len(), 2, "{shown}");
        }
    }
}

/// What a client does while `check --repair` repairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intrusion {
    /// An index entry is stray, and the user gets its value.
    ValueComesBack,
    /// An inactive user is a member of a group, and is activated.
    MemberIsActivated,
    /// The member's side of a membership is missing, and the member is removed.
    MemberIsRemoved,
    /// The member's side of a membership is missing, so the member does not leave the group when it is deactivated.
    MemberIsDeactivated,
    /// The count of active users is wrong, and a user is deactivated.
    CountedUserIsDeactivated,
}

impl Intrusion {
    async fn prepare(self, sound: &Sound) -> &'static str {
        let (id, member, group) = (&sound.connector.id, sound.member, sound.group);
        let sides =
            [keys::group_side(id, group, member), keys::member_side(id, ResourceKind::User, member, group)];
        match self {
            Self::ValueComesBack => {
                let pk = keys::index(id, ResourceKind::User, "displayName");
                let mut entry = Key { pk, sk: format!("ann\0{member}") }.attributes();
                entry.insert("id".to_owned(), AttributeValue::S(member.to_string()));
                sound.put(entry).await;
                "stray-entry"
            }
            Self::MemberIsActivated => {
                let mut items = Vec::new();
                for side in &sides {
                    items.push(sound.take(side).await);
                }
                self.replace(sound, "active", json!(false)).await;
                for item in items {
                    sound.put(item).await;
                }
                "dangling-membership"
            }
            Self::MemberIsRemoved | Self::MemberIsDeactivated => {
                sound.take(&sides[1]).await;
                "half-membership"
            }
            Self::CountedUserIsDeactivated => {
                let count = keys::count(id, ResourceKind::User, member.bucket());
                sound.change(&count, "active", AttributeValue::N("7".to_owned())).await;
                "wrong-count"
            }
        }
    }

    fn replace(self, sound: &Sound, attribute: &str, value: Value) -> impl Future<Output = ()> + use<> {
        let (client, path) = (sound.client.clone(), format!("/Users/{}", sound.member));
        let body = patch_body(json!([{ "op": "replace", "path": attribute, "value": value }]));
        async move { assert_eq!(client.patch(&path, &body).await.status, 200, "{self:?}") }
    }

    fn intrude(self, sound: &Sound) -> BoxFuture<'static, ()> {
        match self {
            Self::ValueComesBack => self.replace(sound, "displayName", json!("Ann")).boxed(),
            Self::MemberIsActivated => self.replace(sound, "active", json!(true)).boxed(),
            Self::MemberIsDeactivated | Self::CountedUserIsDeactivated => {
                self.replace(sound, "active", json!(false)).boxed()
            }
            Self::MemberIsRemoved => {
                let (client, path) = (sound.client.clone(), format!("/Groups/{}", sound.group));
                let filter = format!("members[value eq \"{}\"]", sound.member);
                let body = patch_body(json!([{ "op": "remove", "path": filter }]));
                async move { assert_eq!(client.patch(&path, &body).await.status, 200) }.boxed()
            }
        }
    }

    /// Asserts that the change of the client is in the directory, or that the repair alone is.
    async fn assert_result(self, sound: &Sound, was_interrupted: bool, context: &str) {
        let found = sound.client.get("/Users?filter=displayName%20eq%20%22ann%22").await.json();
        let has_value = self == Self::ValueComesBack && was_interrupted;
        assert_eq!(found["totalResults"], usize::from(has_value), "{context}");
        let user = sound.client.get(&format!("/Users/{}", sound.member)).await.json();
        let group = sound.client.get(&format!("/Groups/{}", sound.group)).await.json();
        let is_member = match self {
            Self::ValueComesBack => true,
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
        assert_eq!(ids(&user["groups"]), expected(sound.group), "{context}");
        assert_eq!(ids(&group["members"]), expected(sound.member), "{context}");
    }
}

#[tokio::test]
async fn repair_changes_nothing_that_a_client_writes_meanwhile() {
    let faulty = FaultyDynamoDb::start(service().endpoint()).await;
    let client = runtime::dynamodb::client_at(&faulty.endpoint).await;
    for intrusion in [
        Intrusion::ValueComesBack,
        Intrusion::MemberIsActivated,
        Intrusion::MemberIsRemoved,
        Intrusion::MemberIsDeactivated,
        Intrusion::CountedUserIsDeactivated,
    ] {
        for at in 0.. {
            let context = format!("{intrusion:?} before request {at}");
            let sound = Sound::new().await;
            let name = intrusion.prepare(&sound).await;
            let connector = service().table().connector(&sound.connector.id).await.unwrap().unwrap();
            let actor = Actor { by: By::Operator("test".to_owned()), request: "test".to_owned() };
            let table = Table::new(client.clone(), TABLE.to_owned());
            let now = Timestamp::now();
            let directory = Directory::new(table, Arc::new(connector), Schemas::built_in(), now, actor);
            let findings = directory.check(|_| {}).await.unwrap();
            let [finding] = &findings[..] else { panic!("{context}: {findings:?}") };
            assert_eq!(finding.name(), name, "{context}");
            faulty.interrupt(at, intrusion.intrude(&sound));
            let is_repaired = directory.repair(finding).await.unwrap();
            let requests = faulty.heal();
            let was_interrupted = at < requests;
            if intrusion == Intrusion::CountedUserIsDeactivated {
                // A change before the count is read does not hinder the repair. After it, the next repair counts again.
                assert!(is_repaired || was_interrupted, "{context}");
                if !is_repaired {
                    assert!(directory.repair(finding).await.unwrap(), "{context}");
                }
            } else {
                assert_eq!(is_repaired, !was_interrupted, "{context}");
            }
            if intrusion == Intrusion::MemberIsDeactivated && was_interrupted {
                let rest = directory.check(|_| {}).await.unwrap();
                let [rest] = &rest[..] else { panic!("{context}: {rest:?}") };
                assert_eq!(rest.name(), "dangling-membership", "{context}");
                assert!(directory.repair(rest).await.unwrap(), "{context}");
            }
            assert_invariants(service(), &sound.connector.id).await;
            intrusion.assert_result(&sound, was_interrupted, &context).await;
            if !was_interrupted {
                assert!(at > 2, "{intrusion:?}: only {at} requests");
                break;
            }
        }
    }
}

async fn group_of(client: &Client, name: &str, member: ResourceId) -> String {
    create_group(client, name, &[member.to_string()]).await
}

#[tokio::test]
async fn what_cannot_be_read_is_named_and_left_and_hides_nothing_else() {
    let sound = Sound::new().await;
    let (id, member) = (sound.connector.id.to_string(), sound.member);
    sound.change(&sound.user(member), "doc", AttributeValue::S("{1}".to_owned())).await;
    sound.take(&sound.entry("other")).await;
    let said = |state: &str| {
        let key =
            format!("the User {:?} of {id}#user cannot be read, and is not repaired", member.to_string());
        format!("{id}: {state}: {key}: ")
    };
    let found = scimctl(service(), &["check", &id]);
    let lines: Vec<&str> = found.out.lines().collect();
    let [missing, unreadable] = lines[..] else { panic!("{found:?}") };
    assert!(missing.contains("lacks the index entry"), "{missing}");
    assert!(unreadable.starts_with(&said("found")), "{unreadable}");
    let mended = scimctl(service(), &["check", &id, "--repair"]);
    assert_eq!(mended.err, "scimctl: 1 of 2 findings are not mended\n");
    assert!(mended.out.contains(&said("not mended")), "{}", mended.out);
    let again = scimctl(service(), &["check", &id]).out;
    assert_eq!(again.lines().count(), 1, "{again}");
}

#[tokio::test]
async fn a_connector_that_is_being_deleted_is_not_checked() {
    let service = Service::start();
    let connector = service.connector().await;
    create_user(&connector.local(&service), "ann").await;
    let id = connector.id.to_string();
    let count = keys::count(&connector.id, ResourceKind::User, 0).attributes();
    let count = [count, Item::from([("n".to_owned(), AttributeValue::N("7".to_owned()))])];
    let count = count.into_iter().flatten().collect();
    service.dynamodb().put_item().table_name(TABLE).set_item(Some(count)).send().await.unwrap();
    service.connectors().begin_deletion(&connector.id, Timestamp::now()).await.unwrap();
    let why =
        format!("connector {id} is being deleted; `scimctl connector delete {id}` completes the deletion");
    assert_eq!(scimctl(&service, &["check", &id, "--repair"]).failed(), why);
    let all = scimctl(&service, &["check"]);
    assert_eq!((all.code, all.err.trim_end(), all.out.trim_end()), (0, &*why, "everything is in order"));
}

#[tokio::test]
async fn what_is_left_of_a_connector_without_a_record_is_found_and_deleted() {
    let service = Service::start();
    let (there, gone) = (service.connector().await, service.connector().await);
    for connector in [&there, &gone] {
        let client = connector.local(&service);
        let made = create_user(&client, "ann").await;
        create_group(&client, "Sales", &[made]).await;
    }
    let record = keys::connector(&gone.id).attributes();
    service.dynamodb().delete_item().table_name(TABLE).set_key(Some(record)).send().await.unwrap();
    let of = async |id| {
        let dump = tests::table::read_items(&service, id).await;
        dump.into_keys().filter(|(pk, _)| !pk.contains("#audit/")).count()
    };
    let (before, found) = (of(&there.id).await, scimctl(&service, &["check"]));
    assert_eq!((found.code, found.out.lines().count()), (1, 1), "{found:?}");
    assert!(
        found.out.starts_with(&format!("{}: found: the connector has no record, but items in ", gone.id)),
        "{found:?}"
    );
    scimctl(&service, &["check", "--repair"]).ok();
    assert_eq!((of(&gone.id).await, of(&there.id).await), (0, before));
    assert_eq!(scimctl(&service, &["check"]).ok(), "everything is in order\n");
}

#[tokio::test]
async fn a_check_beside_writers_finds_nothing() {
    let sound = Sound::new().await;
    let client = &sound.client;
    let writes = async {
        for number in 0..30 {
            let made = create_user(client, &format!("user{number}")).await;
            let joins = add_members_body(std::slice::from_ref(&made));
            assert_eq!(client.patch(&format!("/Groups/{}", sound.group), &joins).await.status, 200);
            let body = json!({ "schemas": [GROUP], "displayName": format!("group{number}") });
            assert_eq!(client.post("/Groups", &body).await.status, 201);
            if number % 3 == 0 {
                assert_eq!(client.delete(&format!("/Users/{made}")).await.status, 204);
            }
        }
    };
    let directory = service().directory(&sound.connector.id).await;
    let checks = async {
        let mut found = Vec::new();
        for _ in 0..5 {
            found.extend(directory.check(|_| ()).await.unwrap());
        }
        // A deletion that goes on while it is looked at is no deletion that was left.
        found.retain(|finding| finding.name() != "unfinished-deletion");
        found
    };
    let ((), found) = tokio::join!(writes, checks);
    assert_eq!(found, []);
    let done = scimctl(service(), &["check", &sound.connector.id.to_string()]);
    assert_eq!(done.ok(), "everything is in order\n");
}
