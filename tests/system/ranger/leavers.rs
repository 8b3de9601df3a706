//! The walk through a leaver that docs/leavers.md describes: what a user may do in Ranger before and after the user leaves.

use serde_json::json;
use tests::provisioning::{create_group, create_user, set_active_body};
use tests::ranger::{ACCOUNT, FakeRanger, PASSWORD};
use tests::scimctl::{Done, scimctl_with};
use tests::service::service;

#[tokio::test(flavor = "multi_thread")]
async fn access_by_a_group_ends_with_the_user_and_access_by_name_is_found_and_removed() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    create_user(&client, "bob").await;
    create_group(&client, "Analysts", std::slice::from_ref(&ann)).await;
    let ranger = FakeRanger::start().await;
    let id = connector.id.to_string();
    let login = ["--username", ACCOUNT, "--password", "-"];
    let run = |arguments: &[&str]| -> Done {
        let arguments = [arguments, &login[..]].concat();
        tokio::task::block_in_place(|| scimctl_with(service(), &arguments, &format!("{PASSWORD}\n")))
    };
    run(&["ranger", "sync", &id, "--url", &ranger.url]).ok();
    let item = |access: &str, users: &[&str], groups: &[&str]| json!({ "accesses": [{ "type": access, "isAllowed": true }], "users": users, "groups": groups, "roles": [] });
    ranger.add_policy("hive", "by group", &json!({ "policyItems": [item("select", &[], &["Analysts"])] }));
    ranger.add_policy("hive", "by name", &json!({ "policyItems": [item("update", &["ann", "bob"], &[])] }));
    let allowed = |access: &str| ranger.allows("hive", "ann", access);
    assert_eq!([allowed("select"), allowed("update"), allowed("drop")], [true, true, false]);
    assert_eq!(run(&["policies", "check", &id, "--ranger", &ranger.url]).code, 0);

    assert_eq!(client.patch(&format!("/Users/{ann}"), &set_active_body(false)).await.status, 200);
    run(&["ranger", "sync", &id, "--url", &ranger.url]).ok();
    assert_eq!(
        [allowed("select"), allowed("update")],
        [false, true],
        "Ranger's plugins do not know who is hidden"
    );
    let found = run(&["policies", "check", &id, "--ranger", &ranger.url]);
    assert!(found.code == 1 && found.out.contains("user ann"), "{found:?}");
    run(&["policies", "check", &id, "--ranger", &ranger.url, "--remove", "--yes"]).ok();
    assert!(!allowed("update") && ranger.allows("hive", "bob", "update"));
    assert_eq!(run(&["policies", "check", &id, "--ranger", &ranger.url]).code, 0);
}
