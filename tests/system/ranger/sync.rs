//! `scimctl ranger sync`: Ranger has the users, groups and memberships that the directory shows.

use std::collections::BTreeSet;

use directory::settings::{OnDeactivate, Settings};
use serde_json::{Value, json};
use tests::client::Client;
use tests::provisioning::{
    USER, add_members, create_group, create_user, create_users, members_of, patch_body, set_active_body,
};
use tests::ranger::{ACCOUNT, FakeRanger, Fault, PASSWORD};
use tests::scimctl::{Done, run, scimctl, scimctl_with};
use tests::seed;
use tests::service::{Service, TestConnector, service};

/// Runs `scimctl ranger sync` with more options.
async fn sync_of(service: &Service, connector: &TestConnector, ranger: &FakeRanger, more: &[&str]) -> Done {
    let id = connector.id.to_string();
    let fixed = ["ranger", "sync", &id, "--url", &ranger.url, "--username", ACCOUNT, "--password", "-"];
    let arguments = [&fixed[..], more].concat();
    // The fake Ranger answers on a thread of this test's runtime.
    tokio::task::block_in_place(|| scimctl_with(service, &arguments, &format!("{PASSWORD}\n")))
}

async fn sync(connector: &TestConnector, ranger: &FakeRanger, more: &[&str]) -> Done {
    sync_of(service(), connector, ranger, more).await
}

/// A connector with ann and bob in Sales, where Sales is in Everyone.
async fn directory() -> (TestConnector, Client, [String; 4]) {
    directory_with(Settings::default()).await
}

/// The same, with other settings.
async fn directory_with(settings: Settings) -> (TestConnector, Client, [String; 4]) {
    let connector = service().connector_with(settings).await;
    let client = connector.local(service());
    let ann = json!({
        "schemas": [USER], "userName": "ann", "name": { "givenName": "Ann", "familyName": "Ash" },
        "emails": [{ "value": "ann@example.com", "primary": true }]
    });
    let ann = client.post("/Users", &ann).await.json()["id"].as_str().unwrap().to_owned();
    let bob = create_user(&client, "bob").await;
    let sales = create_group(&client, "Sales", &[ann.clone(), bob.clone()]).await;
    let everyone = create_group(&client, "Everyone", std::slice::from_ref(&sales)).await;
    (connector, client, [ann, bob, sales, everyone])
}

const SENT: &str = "2 users and 2 groups sent, 4 memberships added and 0 memberships removed, 0 users and 0 groups hidden, 0 roles changed\n";
const NOTHING: &str = "Ranger is up to date; nothing is sent\n";

#[tokio::test(flavor = "multi_thread")]
async fn ranger_gets_users_groups_and_effective_memberships_and_then_nothing() {
    let (connector, _, [ann, ..]) = directory().await;
    let ranger = FakeRanger::start().await;
    assert_eq!(sync(&connector, &ranger, &[]).await.ok(), SENT);
    let mut user = ranger.user("ann");
    let attributes: Value = serde_json::from_str(user["otherAttributes"].as_str().unwrap()).unwrap();
    let id = connector.id.to_string();
    let expected = json!({
        "sync_source": "SCIM", "connector": id, "full_name": ann, "original_name": "ann", "email": "ann@example.com",
        "first_name": "Ann", "last_name": "Ash"
    });
    assert_eq!(attributes, expected);
    for field in ["id", "otherAttributes"] {
        user.as_object_mut().unwrap().remove(field);
    }
    let expected = json!({
        "name": "ann", "firstName": "Ann", "lastName": "Ash", "description": format!("SCIM {id}"), "status": 1,
        "userSource": 1, "isVisible": 1, "userRoleList": ["ROLE_USER"], "syncSource": "SCIM"
    });
    assert_eq!(user, expected, "emailAddress is never sent");
    assert_eq!(ranger.user("bob")["firstName"], "bob", "Ranger passes over users without a first name");
    assert_eq!(ranger.visible_groups(), ["Everyone", "Sales"]);
    assert_eq!([ranger.members("Sales"), ranger.members("Everyone")], [["ann", "bob"], ["ann", "bob"]]);
    ranger.take_calls();
    assert_eq!(sync(&connector, &ranger, &[]).await.ok(), NOTHING);
    let calls = ranger.take_calls();
    assert!(calls.iter().all(|call| call.starts_with("GET ")), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leavers_and_deleted_groups_lose_their_memberships_and_are_hidden() {
    let (connector, client, [ann, _, sales, _]) = directory().await;
    let ranger = FakeRanger::start().await;
    sync(&connector, &ranger, &[]).await.ok();
    assert_eq!(client.patch(&format!("/Users/{ann}"), &set_active_body(false)).await.status, 200);
    let printed = sync(&connector, &ranger, &[]).await.ok();
    assert_eq!(
        printed,
        "0 users and 0 groups sent, 0 memberships added and 2 memberships removed, 1 user and 0 groups hidden, 0 roles changed\n"
    );
    assert_eq!(ranger.visible_users(), ["bob"]);
    assert_eq!([ranger.members("Sales"), ranger.members("Everyone")], [["bob"], ["bob"]]);
    assert_eq!(client.delete(&format!("/Groups/{sales}")).await.status, 204);
    sync(&connector, &ranger, &[]).await.ok();
    assert_eq!(ranger.visible_groups(), ["Everyone"]);
    assert_eq!(ranger.memberships(), 0, "a hidden group would still give access to its members");
    // A user who comes back is shown again.
    assert_eq!(client.patch(&format!("/Users/{ann}"), &set_active_body(true)).await.status, 200);
    sync(&connector, &ranger, &[]).await.ok();
    assert_eq!(ranger.visible_users(), ["ann", "bob"]);
    assert_eq!(sync(&connector, &ranger, &[]).await.ok(), NOTHING);
}

#[tokio::test(flavor = "multi_thread")]
async fn deactivated_user_whose_memberships_are_kept_has_none_in_ranger() {
    let keeps = Settings { on_deactivate: OnDeactivate::KeepGroups, ..Settings::default() };
    let (connector, client, [ann, bob, sales, _]) = directory_with(keeps).await;
    let ranger = FakeRanger::start().await;
    sync(&connector, &ranger, &[]).await.ok();
    assert_eq!(client.patch(&format!("/Users/{ann}"), &set_active_body(false)).await.status, 200);
    assert_eq!(
        members_of(&client, &sales).await,
        BTreeSet::from([ann.clone(), bob]),
        "the directory keeps it"
    );
    sync(&connector, &ranger, &[]).await.ok();
    assert_eq!(ranger.visible_users(), ["bob"]);
    assert_eq!([ranger.members("Sales"), ranger.members("Everyone")], [["bob"], ["bob"]]);
    assert_eq!(client.patch(&format!("/Users/{ann}"), &set_active_body(true)).await.status, 200);
    sync(&connector, &ranger, &[]).await.ok();
    assert_eq!([ranger.members("Sales"), ranger.members("Everyone")], [["ann", "bob"], ["ann", "bob"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rename_makes_the_new_name_and_hides_the_old_one() {
    let (connector, client, [ann, ..]) = directory().await;
    let ranger = FakeRanger::start().await;
    sync(&connector, &ranger, &[]).await.ok();
    let rename = patch_body(json!([{ "op": "replace", "path": "userName", "value": "anna" }]));
    assert_eq!(client.patch(&format!("/Users/{ann}"), &rename).await.status, 200);
    sync(&connector, &ranger, &[]).await.ok();
    assert_eq!(ranger.visible_users(), ["anna", "bob"]);
    assert_eq!(ranger.members("Sales"), ["anna", "bob"]);
    assert_eq!(ranger.user("ann")["isVisible"], 0);
    // Some databases of Ranger cannot tell these names apart.
    let rename = patch_body(json!([{ "op": "replace", "path": "userName", "value": "ANNA" }]));
    assert_eq!(client.patch(&format!("/Users/{ann}"), &rename).await.status, 200);
    let printed = sync(&connector, &ranger, &[]).await.ok();
    assert_eq!(printed, format!("skipped user ANNA: Ranger has anna, which differs only in case\n{NOTHING}"));
    assert_eq!(
        (ranger.visible_users(), ranger.members("Sales").len()),
        (vec!["anna".to_owned(), "bob".to_owned()], 2)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_hide_users_and_groups_in_ranger() {
    let (connector, ..) = directory().await;
    let ranger = FakeRanger::start().await;
    sync(&connector, &ranger, &[]).await.ok();
    run(&connector, &["connector", "set", "rules.exclude-users=ann", "rules.exclude-groups=Every*"]).ok();
    sync(&connector, &ranger, &["--max-removed", "100"]).await.ok();
    assert_eq!(
        (ranger.visible_users(), ranger.visible_groups()),
        (vec!["bob".to_owned()], vec!["Sales".to_owned()])
    );
    assert_eq!((ranger.members("Sales"), ranger.members("Everyone").len()), (vec!["bob".to_owned()], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_groups_of_others_are_left_as_they_are_and_listed() {
    let (connector, client, [_, _, sales, _]) = directory().await;
    let ranger = FakeRanger::start().await;
    let mut ids = Vec::new();
    for name in ["admin", "RangerUserSync", "hive", "lee", "kim", "null"] {
        ids.push(create_user(&client, name).await);
    }
    assert!(add_members(&client, &sales, &ids).await.status < 300);
    create_group(&client, "Finance", &ids).await;
    let other = |source: &str, attributes: &Value| {
        json!({ "firstName": "x", "status": 1, "userSource": 1, "groupSource": 1, "isVisible": 1, "syncSource": source,
            "otherAttributes": attributes.to_string() })
    };
    ranger.put_user("LEE", &other("LDAP/AD", &json!({})));
    ranger.put_user("kim", &other("SCIM", &json!({ "connector": "another" })));
    ranger.put_user("zoe", &other("SCIM", &json!({ "connector": "another" })));
    ranger.put_group("Finance", &other("LDAP/AD", &json!({})), &["LEE"]);
    // A user whom a policy named before any source sent it.
    ranger.put_user("ann", &json!({ "firstName": "ann", "userSource": 1 }));
    ranger.put_group("Sales", &json!({ "groupSource": 1 }), &["LEE"]);
    let before = ["admin", ACCOUNT, "hive", "LEE", "kim", "zoe"].map(|name| ranger.user(name));
    let group = ranger.group("Finance");
    let printed = sync(&connector, &ranger, &[]).await.ok();
    assert_eq!(
        printed,
        format!(
            "skipped group Finance: Ranger has Finance of the source LDAP/AD
skipped user RangerUserSync: it is the account that this command uses
skipped user admin: it is Ranger's administrator
skipped user hive: Ranger has hive of Ranger itself
skipped user kim: Ranger has kim of connector another
skipped user lee: Ranger has LEE of the source LDAP/AD
skipped user null: Ranger ignores this name
{SENT}"
        )
    );
    assert_eq!(["admin", ACCOUNT, "hive", "LEE", "kim", "zoe"].map(|name| ranger.user(name)), before);
    assert_eq!((ranger.group("Finance"), ranger.members("Finance")), (group, vec!["LEE".to_owned()]));
    assert_eq!(ranger.members("Sales"), ["LEE", "ann", "bob"]);
    assert_eq!(ranger.user("ann")["syncSource"], "SCIM", "a user without a source becomes this connector's");
    assert!(sync(&connector, &ranger, &[]).await.ok().ends_with(NOTHING));
}

#[tokio::test(flavor = "multi_thread")]
async fn member_of_another_source_in_a_group_is_listed_and_stays() {
    let (connector, ..) = directory().await;
    let ranger = FakeRanger::start().await;
    sync(&connector, &ranger, &[]).await.ok();
    ranger.put_user("lee", &json!({ "firstName": "x", "userSource": 1, "syncSource": "LDAP/AD" }));
    ranger.put_group("Sales", &json!({}), &["lee"]);
    let printed = sync(&connector, &ranger, &[]).await.ok();
    let skipped = "skipped user lee: stays in group Sales, because the user is not this connector's\n";
    assert_eq!(printed, format!("{skipped}{NOTHING}"));
    assert_eq!(ranger.members("Sales"), ["ann", "bob", "lee"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn mass_change_stops_until_it_is_confirmed() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let users = create_users(&client, 20).await;
    create_group(&client, "Sales", &users).await;
    let ranger = FakeRanger::start().await;
    sync(&connector, &ranger, &[]).await.ok();
    run(&connector, &["connector", "set", "rules.exclude-users=user00*"]).ok();
    let stopped = sync(&connector, &ranger, &[]).await;
    let expected = "10 users of 20 would be hidden\n10 users of 20 would leave group Sales\n\
        scimctl: nothing is sent, because this run would hide or remove more than the limit. Look at it with --dry-run, and continue with --yes\n";
    assert_eq!((stopped.code, stopped.err.as_str()), (1, expected));
    assert_eq!((ranger.visible_users().len(), ranger.members("Sales").len()), (20, 20));
    let shown = sync(&connector, &ranger, &["--dry-run"]).await.ok();
    assert!(
        shown.contains("\nhide user user001\n") && shown.contains("\nneeds --yes: 10 users of 20"),
        "{shown}"
    );
    assert!(
        shown.ends_with("10 users and 0 groups hidden, 0 roles changed; nothing is sent (--dry-run)\n"),
        "{shown}"
    );
    assert_eq!(ranger.visible_users().len(), 20);
    sync(&connector, &ranger, &["--yes"]).await.ok();
    assert_eq!((ranger.visible_users().len(), ranger.members("Sales").len()), (10, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_directory_stops_until_it_is_confirmed() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let user = create_user(&client, "ann").await;
    let ranger = FakeRanger::start().await;
    sync(&connector, &ranger, &[]).await.ok();
    assert_eq!(client.delete(&format!("/Users/{user}")).await.status, 204);
    let stopped = sync(&connector, &ranger, &["--max-removed", "100"]).await;
    assert!(stopped.code == 1 && stopped.err.starts_with("the directory shows no users\n"), "{stopped:?}");
    assert_eq!(ranger.visible_users(), ["ann"]);
    sync(&connector, &ranger, &["--yes"]).await.ok();
    assert_eq!(ranger.visible_users(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_run_sends_nothing() {
    let (connector, ..) = directory().await;
    let ranger = FakeRanger::start().await;
    let printed = sync(&connector, &ranger, &["--dry-run"]).await.ok();
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 9, "{printed}");
    assert!(lines.contains(&"user ann") && lines.contains(&"user bob into group Everyone"), "{printed}");
    let calls = ranger.take_calls();
    assert!(calls.iter().all(|call| call.starts_with("GET ")), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_of_auditors_are_given_and_taken_and_administrators_are_left() {
    let (connector, ..) = directory().await;
    let ranger = FakeRanger::start().await;
    for role in ["ROLE_ADMIN_AUDITOR", "ROLE_SYS_ADMIN"] {
        run(&connector, &["role", "create", role]).ok();
    }
    run(&connector, &["role", "assign", "ROLE_ADMIN_AUDITOR", "ann"]).ok();
    run(&connector, &["role", "assign", "ROLE_SYS_ADMIN", "bob"]).ok();
    sync(&connector, &ranger, &[]).await.ok();
    assert_eq!(ranger.user("ann")["userRoleList"], json!(["ROLE_USER"]), "roles need --roles");
    let printed = sync(&connector, &ranger, &["--roles"]).await.ok();
    assert!(
        printed.starts_with("skipped the role of user bob: ROLE_SYS_ADMIN is never given\n"),
        "{printed}"
    );
    assert_eq!(ranger.user("ann")["userRoleList"], json!(["ROLE_ADMIN_AUDITOR"]));
    assert_eq!(ranger.user("bob")["userRoleList"], json!(["ROLE_USER"]));
    run(&connector, &["role", "withdraw", "ROLE_ADMIN_AUDITOR", "ann"]).ok();
    run(&connector, &["role", "withdraw", "ROLE_SYS_ADMIN", "bob"]).ok();
    ranger.put_user("bob", &json!({ "userRoleList": ["ROLE_KEY_ADMIN"] }));
    sync(&connector, &ranger, &["--roles"]).await.ok();
    assert_eq!(ranger.user("ann")["userRoleList"], json!(["ROLE_USER"]));
    assert_eq!(ranger.user("bob")["userRoleList"], json!(["ROLE_KEY_ADMIN"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn run_that_is_interrupted_anywhere_can_be_repeated() {
    let (connector, ..) = directory().await;
    let whole = FakeRanger::start().await;
    sync(&connector, &whole, &[]).await.ok();
    let posts = whole.take_calls().iter().filter(|call| call.starts_with("POST ")).count();
    assert_eq!(posts, 3);
    for path in ["ugsync/users", "ugsync/groups", "ugsync/groupusers"] {
        for fault in [Fault::Status(500), Fault::Lost, Fault::Html, Fault::Half] {
            let ranger = FakeRanger::start().await;
            // The GET of memberships has the same path as the change, so it is retried too.
            ranger.fail(path, fault, 9);
            let failed = sync(&connector, &ranger, &[]).await;
            assert_eq!(failed.code, 1, "{path} {fault:?}: {failed:?}");
            ranger.fail_no_more();
            sync(&connector, &ranger, &[]).await.ok();
            assert_eq!(ranger.members("Everyone"), ["ann", "bob"], "{path} {fault:?}");
            assert_eq!(ranger.visible_users(), ["ann", "bob"]);
            assert_eq!(sync(&connector, &ranger, &[]).await.ok(), NOTHING);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_ranger_are_retried_or_explained() {
    let (connector, ..) = directory().await;
    let ranger = FakeRanger::start().await;
    for path in ["xusers/users/", "xusers/groups/", "ugsync/groupusers", "ugsync/users", "ugsync/groups"] {
        ranger.fail(path, Fault::Status(503), 1);
    }
    assert_eq!(sync(&connector, &ranger, &[]).await.ok(), SENT, "one error of each call is retried");
    for (fault, times, expected) in [
        (
            Fault::Status(401),
            1,
            "Ranger refuses the password of rangerusersync (401); check --username and --password",
        ),
        (
            Fault::Status(403),
            1,
            "Ranger refuses GET xusers/users/?startIndex=0&pageSize=1000 to rangerusersync (403); give the account ROLE_SYS_ADMIN",
        ),
        (
            Fault::Status(302),
            1,
            "Ranger answered GET xusers/users/?startIndex=0&pageSize=1000 with 302 Found: fault",
        ),
        (
            Fault::Status(500),
            3,
            "Ranger answered GET xusers/users/?startIndex=0&pageSize=1000 with 500 Internal Server Error: fault",
        ),
    ] {
        ranger.fail("xusers/users/", fault, times);
        assert_eq!(sync(&connector, &ranger, &[]).await.failed(), expected);
    }
    for fault in [Fault::Html, Fault::Half] {
        ranger.fail("xusers/users/", fault, 3);
        let failed = sync(&connector, &ranger, &[]).await.failed();
        assert!(failed.contains("is not complete JSON of Ranger"), "{failed}");
    }
    ranger.take_calls();
    ranger.fail("xusers/users/", Fault::FewerEntries, 9);
    let failed = sync(&connector, &ranger, &[]).await.failed();
    assert!(failed.starts_with("Ranger counts 6 users, and answered with 5 of them"), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ranger_passes_over_is_named() {
    let (connector, ..) = directory().await;
    let ranger = FakeRanger::start().await;
    ranger.pass_over("bob");
    let failed = sync(&connector, &ranger, &[]).await;
    let expected = "Ranger counts 1 of 2 users that were sent\nscimctl: Ranger did not take everything: user bob, user bob into \
        group Everyone, user bob into group Sales\n";
    assert_eq!((failed.code, failed.err.as_str()), (1, expected));
}

#[test]
fn ranger_that_is_away_and_urls_without_tls_are_explained() {
    let (service, runtime) = (service(), tokio::runtime::Runtime::new().unwrap());
    let connector = runtime.block_on(service.connector());
    let id = connector.id.to_string();
    let at = |url: &str| {
        let arguments = ["ranger", "sync", &id, "--url", url, "--username", ACCOUNT, "--password", "-"];
        scimctl_with(service, &arguments, "x\n").failed()
    };
    let away = at("http://127.0.0.1:1");
    assert!(away.starts_with("Ranger at http://127.0.0.1:1 does not answer GET xusers/users/"), "{away}");
    let plain = at("http://ranger.example.com:6080");
    assert!(
        plain.starts_with("--url is \"http://ranger.example.com:6080\". Enter the https:// URL of Ranger"),
        "{plain}"
    );
    let refused = scimctl(service, &["ranger", "sync", &id, "--url", "http://127.0.0.1:1"]).failed();
    assert_eq!(refused, "--url needs --username and --password: the account in Ranger");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_directory_is_sent_in_few_calls() {
    let service = Service::start();
    let connector = service.connector().await;
    let ids = seed::users(&service, &connector.id, 20_000).await;
    for number in 0..500 {
        let group = directory::secrets::new_resource_id();
        seed::group_with_id(&service, &connector.id, group, &format!("Group {number:03}")).await;
        let members: Vec<_> = ids.iter().skip(number * 40).take(100).copied().collect();
        seed::members(&service, &connector.id, group, &members).await;
    }
    let ranger = FakeRanger::start().await;
    let started = std::time::Instant::now();
    let printed = sync_of(&service, &connector, &ranger, &[]).await.ok();
    println!("20,000 users and 500 groups were sent in {:.1} s", started.elapsed().as_secs_f64());
    assert!(printed.starts_with("20,000 users and 500 groups sent, 49,920 memberships added"), "{printed}");
    let calls = ranger.take_calls();
    println!("{} calls", calls.len());
    assert!(calls.len() <= 100, "{} calls", calls.len());
    assert_eq!((ranger.visible_users().len(), ranger.visible_groups().len()), (20_000, 500));
    assert_eq!(sync_of(&service, &connector, &ranger, &[]).await.ok(), NOTHING);
}
