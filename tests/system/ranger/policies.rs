//! `scimctl policies check` over Ranger: which policies, roles and zones name users and groups who are gone, and how the names are
//! removed.

use serde_json::{Value, json};
use tests::client::Client;
use tests::provisioning::{create_group, create_user, patch_body, set_active_body};
use tests::ranger::{ACCOUNT, FakeRanger, Fault, PASSWORD};
use tests::scimctl::{Done, run, scimctl, scimctl_with};
use tests::service::{TestConnector, service};

/// Runs `scimctl policies check --ranger` with more options. `answer` is entered after the password.
fn check_with(connector: &TestConnector, ranger: &FakeRanger, more: &[&str], answer: &str) -> Done {
    let id = connector.id.to_string();
    let fixed = ["policies", "check", &id, "--ranger", &ranger.url, "--username", ACCOUNT, "--password", "-"];
    let input = format!("{PASSWORD}\n{answer}\n");
    tokio::task::block_in_place(|| scimctl_with(service(), &[&fixed[..], more].concat(), &input))
}

fn check(connector: &TestConnector, ranger: &FakeRanger, more: &[&str]) -> Done {
    check_with(connector, ranger, more, "")
}

fn item(access: &str, users: &[&str], groups: &[&str]) -> Value {
    json!({
        "accesses": [{ "type": access, "isAllowed": true }], "users": users, "groups": groups, "roles": [], "conditions": [],
        "delegateAdmin": false
    })
}

/// The lines of a report in JSON.
fn lines(done: &Done) -> Vec<Value> {
    done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The names and places of a report.
fn places(done: &Done) -> Vec<String> {
    let name =
        |line: &Value| line.get("user").or_else(|| line.get("group")).unwrap().as_str().unwrap().to_owned();
    lines(done).iter().map(|line| format!("{} {}", name(line), line["where"].as_str().unwrap())).collect()
}

/// The audit records of a user, as lines of JSON.
fn audit_of(connector: &TestConnector, user: &str) -> String {
    scimctl(service(), &["audit", &connector.id.to_string(), "--resource", user, "--json"]).ok()
}

async fn set_active(client: &Client, user: &str, active: bool) {
    assert_eq!(client.patch(&format!("/Users/{user}"), &set_active_body(active)).await.status, 200);
}

/// A Ranger that knows these users as external ones.
async fn ranger_with(users: &[&str]) -> FakeRanger {
    let ranger = FakeRanger::start().await;
    for user in users {
        ranger.put_user(user, &json!({ "firstName": user, "userSource": 1 }));
    }
    ranger
}

#[tokio::test(flavor = "multi_thread")]
async fn report_names_every_place_and_why_each_name_is_gone() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let mut ids = Vec::new();
    for name in ["ann", "bob", "cyd", "dan", "svc-x"] {
        ids.push(create_user(&client, name).await);
    }
    let sales = create_group(&client, "Sales", &[]).await;
    create_group(&client, "Tours", &[]).await;
    let ranger = ranger_with(&["ann", "bob", "cyd", "dan", "svc-x"]).await;
    ranger.put_user("lee", &json!({ "firstName": "lee", "userSource": 1, "syncSource": "LDAP/AD" }));
    let policy = ranger.add_policy(
        "hive_prod",
        "hr_salaries",
        &json!({
            "policyItems": [item("select", &["ANN", "cyd"], &["Tours"]), item("select", &["bob"], &["public"])],
            "denyPolicyItems": [item("drop", &["dan"], &[])],
            "allowExceptions": [item("select", &["svc-x", "{USER}"], &[])],
            "denyExceptions": [item("drop", &["nobody", "hive", "lee"], &["Sales"])],
            "dataMaskPolicyItems": [item("select", &["ann"], &[])],
            "rowFilterPolicyItems": [item("select", &["cyd"], &["Nowhere"])],
        }),
    );
    let role = ranger.add_role("analysts", &json!({ "users": [{ "name": "ann", "isAdmin": false }], "groups": [{ "name": "Tours", "isAdmin": false }] }));
    let zone = ranger.add_zone(
        "hr",
        &json!({ "adminUsers": ["ann"], "adminUserGroups": ["Tours"], "auditUsers": ["ann"] }),
    );
    ranger.add_policy(
        "hive_prod",
        "clean",
        &json!({ "policyItems": [item("select", &["cyd"], &["Tours"])] }),
    );
    let clean = check(&connector, &ranger, &["--json"]);
    assert_eq!(places(&clean), ["nobody denyExceptions[0]", "Nowhere rowFilterPolicyItems[0]"], "{clean:?}");

    set_active(&client, &ids[0], false).await;
    assert_eq!(client.delete(&format!("/Users/{}", ids[1])).await.status, 204);
    let rename = patch_body(json!([{ "op": "replace", "path": "userName", "value": "daniel" }]));
    assert_eq!(client.patch(&format!("/Users/{}", ids[3]), &rename).await.status, 200);
    assert_eq!(client.delete(&format!("/Groups/{sales}")).await.status, 204);
    run(&connector, &["connector", "set", "rules.exclude-users=svc-*"]).ok();
    let done = check(&connector, &ranger, &["--json"]);
    assert_eq!(done.code, 1);
    assert_eq!(done.err, "2 names of Ranger itself or of other sources left out\n");
    let mut found = lines(&done);
    let times: Vec<Option<String>> =
        found.iter().map(|line| line["since"].as_str().map(str::to_owned)).collect();
    for line in &mut found {
        line.as_object_mut().unwrap().remove("since");
    }
    let of_policy = |name: Value, id: Option<&str>, why: Value, place: &str, effect: &str, last: bool| {
        let mut line = json!({
            "id": id, "why": why, "engine": "ranger", "service": "hive_prod", "policy": policy.to_string(),
            "name": "hr_salaries", "where": place, "effect": effect, "enabled": true, "last_principal": last
        });
        line.as_object_mut().unwrap().extend(name.as_object().unwrap().clone());
        line
    };
    let user = |name: &str| json!({ "user": name });
    let (ann, gone, hidden) =
        (Some(ids[0].as_str()), json!("deactivated"), json!({ "hidden": "excluded by svc-*" }));
    let mut expected = vec![
        of_policy(user("ANN"), ann, gone.clone(), "policyItems[0]", "allow", false),
        of_policy(user("bob"), Some(&ids[1]), json!("deleted"), "policyItems[1]", "allow", false),
        of_policy(user("dan"), Some(&ids[3]), json!("renamed"), "denyPolicyItems[0]", "deny", true),
        of_policy(user("svc-x"), Some(&ids[4]), hidden, "allowExceptions[0]", "allow_exception", false),
        of_policy(
            user("nobody"),
            None,
            json!("not_in_directory"),
            "denyExceptions[0]",
            "deny_exception",
            false,
        ),
        of_policy(
            json!({ "group": "Sales" }),
            Some(&sales),
            json!("deleted"),
            "denyExceptions[0]",
            "deny_exception",
            false,
        ),
        of_policy(user("ann"), ann, gone.clone(), "dataMaskPolicyItems[0]", "mask", true),
        of_policy(
            json!({ "group": "Nowhere" }),
            None,
            json!("not_in_directory"),
            "rowFilterPolicyItems[0]",
            "row_filter",
            false,
        ),
    ];
    for (service, id, name, place, effect, last) in [
        ("roles", role, "analysts", "users", "member", false),
        ("zones", zone, "hr", "adminUsers", "administer", false),
        ("zones", zone, "hr", "auditUsers", "audit", true),
    ] {
        let mut line = of_policy(user("ann"), ann, gone.clone(), place, effect, last);
        (line["service"], line["policy"], line["name"]) =
            (json!(service), json!(id.to_string()), json!(name));
        expected.push(line);
    }
    assert_eq!(found, expected);
    let has_time = [true, true, true, false, false, true, true, false, true, true, true];
    assert_eq!(times.iter().map(Option::is_some).collect::<Vec<_>>(), has_time, "{times:?}");
    let table = check(&connector, &ranger, &[]).out;
    assert!(table.starts_with("PRINCIPAL      WHY                   SINCE"), "{table}");
    assert!(table.ends_with("\n11 places name principals that are gone\n"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_matched_after_the_mapping() {
    let connector = service().connector().await;
    let client = connector.local(service());
    run(&connector, &["connector", "set", "mapping.username-from-email=true", "mapping.username-case=lower"])
        .ok();
    create_user(&client, "Ann@example.com").await;
    let bob = create_user(&client, "Bob@example.com").await;
    let cyd = create_user(&client, "cyd@example.com").await;
    set_active(&client, &bob, false).await;
    assert_eq!(client.delete(&format!("/Users/{cyd}")).await.status, 204);
    let ranger = FakeRanger::start().await;
    // A name that a shown user has is not gone, even if users who left had it too.
    for number in 0..8 {
        let earlier = create_user(&client, &format!("ann@{number}.example.com")).await;
        set_active(&client, &earlier, false).await;
    }
    let items = json!({ "policyItems": [item("select", &["ann", "bob", "cyd", "Ann@example.com"], &[])] });
    ranger.add_policy("hive", "all", &items);
    let found = lines(&check(&connector, &ranger, &["--json"]));
    let found: Vec<Value> = found.iter().map(|line| json!([line["user"], line["why"], line["id"]])).collect();
    let expected = [
        json!(["bob", "deactivated", bob]),
        json!(["cyd", "deleted", cyd]),
        json!(["Ann@example.com", "not_in_directory", null]),
    ];
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_of_all_pages_are_read() {
    let connector = service().connector().await;
    let ranger = FakeRanger::start().await;
    for number in 0..=1_000 {
        let user = format!("user{number}");
        let items = json!({ "policyItems": [item("select", &[&user], &[])] });
        ranger.add_policy("hive & prod", &user, &items);
    }
    let found = lines(&check(&connector, &ranger, &["--json"]));
    let names: Vec<&str> = found.iter().map(|line| line["user"].as_str().unwrap()).collect();
    let expected: Vec<String> = (0..=1_000).map(|number| format!("user{number}")).collect();
    assert!(names == expected, "{} names: {:?}", names.len(), names.last());
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_code_says_whether_the_command_could_look() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    let ranger = FakeRanger::start().await;
    ranger.add_policy(
        "hive",
        "all",
        &json!({ "isEnabled": false, "policyItems": [item("select", &["ann"], &[])] }),
    );
    let file = std::env::temp_dir().join(format!("ranger-{}.json", connector.id));
    let id = connector.id.to_string();
    let export = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let arguments = ["policies", "check", &id, "--ranger-export", file.to_str().unwrap(), "--json"];
        tokio::task::block_in_place(|| scimctl(service(), &arguments))
    };
    assert_eq!(check(&connector, &ranger, &[]).code, 0);
    assert_eq!(export(&ranger.export()), Done { code: 0, out: String::new(), err: String::new() });
    set_active(&client, &ann, false).await;
    let live = check(&connector, &ranger, &["--json"]);
    assert_eq!((live.code, lines(&live)[0]["enabled"].clone()), (1, json!(false)));
    assert_eq!(lines(&export(&ranger.export())), lines(&live));
    for (text, expected) in [
        ("{}", "it has no list `policies` or `roles`; export it in Ranger Admin as JSON"),
        ("<html>", "expected value at line 1 column 1"),
    ] {
        let failed = export(text);
        assert_eq!((failed.code, failed.err), (2, format!("scimctl: {}: {expected}\n", file.display())));
    }
    std::fs::remove_file(&file).unwrap();
    ranger.fail("public/v2/api/zones", Fault::Html, 9);
    let failed = check(&connector, &ranger, &[]);
    assert!(failed.code == 2 && failed.err.contains("is not complete JSON of Ranger"), "{failed:?}");
    ranger.fail("xusers/users", Fault::Status(401), 1);
    assert_eq!(check(&connector, &ranger, &[]).code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_removed_after_a_confirmation_and_recorded() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    create_user(&client, "bob").await;
    set_active(&client, &ann, false).await;
    let ranger = ranger_with(&["ann", "bob"]).await;
    let shared = ranger.add_policy(
        "hive",
        "shared",
        &json!({
            "policyItems": [item("select", &["ann", "bob"], &[]), item("update", &["ann"], &[])],
            "denyPolicyItems": [item("drop", &["ann"], &[])],
        }),
    );
    let role = ranger.add_role(
        "analysts",
        &json!({ "users": [{ "name": "ann", "isAdmin": true }, { "name": "bob", "isAdmin": false }] }),
    );
    let zone = ranger.add_zone("hr", &json!({ "adminUsers": ["ann", "bob"], "auditUsers": ["bob"] }));
    let before = ranger.policy(shared);
    let refused = check_with(&connector, &ranger, &["--remove"], "no");
    let question = "This removes 3 names from 3 policies, roles and zones in Ranger. To continue, enter the id of the connector:\n";
    let error = format!("scimctl: \"no\" is not {}, so nothing is changed\n", connector.id);
    assert_eq!((refused.code, refused.err), (2, format!("{question}{error}")));
    assert_eq!(ranger.policy(shared), before);

    let removed = check_with(&connector, &ranger, &["--remove"], &connector.id.to_string());
    assert_eq!((removed.code, removed.err.as_str()), (1, question));
    let printed = removed.out.split_once("gone\n").unwrap().1;
    let title = format!("policy {shared} shared of hive");
    let expected = format!(
        "keep user ann in policyItems[1] of {title}: without it, policyItems[1] would have no user, group or role (--even-last)
keep user ann in denyPolicyItems[0] of {title}: without it, denyPolicyItems[0] would have no user, group or role (--even-last)
remove user ann from policyItems[0] of {title}
remove user ann from users of role {role} analysts
remove user ann from adminUsers of zone {zone} hr
1 name removed from {title}
1 name removed from role {role} analysts
1 name removed from zone {zone} hr
"
    );
    assert_eq!(printed, expected);
    let mut expected = before.clone();
    expected["policyItems"][0]["users"] = json!(["bob"]);
    expected["version"] = json!(2);
    assert_eq!(ranger.policy(shared), expected, "nothing else of the policy changes");
    assert_eq!(ranger.role(role)["users"], json!([{ "name": "bob", "isAdmin": false }]));
    assert_eq!(ranger.zone(zone)["adminUsers"], json!(["bob"]));

    let last = check_with(&connector, &ranger, &["--remove", "--even-last", "--yes"], "");
    assert_eq!((last.code, last.err.as_str()), (0, ""));
    assert_eq!(ranger.policy(shared)["policyItems"], json!([item("select", &["bob"], &[])]));
    assert_eq!(ranger.policy(shared)["denyPolicyItems"], json!([]));
    assert_eq!(check(&connector, &ranger, &[]).code, 0);

    let audit = audit_of(&connector, &ann);
    let records: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let records: Vec<&Value> =
        records.iter().filter(|record| record["operation"] == "clean-policy").collect();
    let names: Vec<&str> = records.iter().map(|record| record["name"].as_str().unwrap()).collect();
    let of_policy = format!("ranger {title}");
    let expected = [
        of_policy.clone(),
        format!("ranger zone {zone} hr"),
        format!("ranger role {role} analysts"),
        of_policy,
    ];
    assert_eq!(names, expected, "{audit}");
    let first = records.last().unwrap();
    let value = json!([{ "what": "policyItems[0]", "from": "user ann", "to": null }]);
    assert_eq!((&first["values"], &first["removed"]["ids"]), (&value, &json!([ann])));
    assert_eq!(first["who"], tests::scimctl::operator());
}

#[tokio::test(flavor = "multi_thread")]
async fn zone_keeps_its_last_administrator_and_loses_the_other_names() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    create_user(&client, "bob").await;
    set_active(&client, &ann, false).await;
    let ranger = ranger_with(&["ann", "bob"]).await;
    let zone = ranger.add_zone("hr", &json!({ "adminUsers": ["ann"], "auditUsers": ["ann", "bob"] }));
    for more in [&["--remove", "--yes"][..], &["--remove", "--even-last", "--yes"]] {
        let removed = check_with(&connector, &ranger, more, "");
        assert_eq!((removed.code, removed.err.as_str()), (1, ""), "{removed:?}");
        let kept = format!(
            "keep user ann in adminUsers of zone {zone} hr: Ranger refuses a zone without administrators; give it another one first\n"
        );
        assert!(removed.out.contains(&kept), "{}", removed.out);
        let expected = (json!(["ann"]), json!(["bob"]));
        assert_eq!(
            (ranger.zone(zone)["adminUsers"].clone(), ranger.zone(zone)["auditUsers"].clone()),
            expected
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_that_changed_meanwhile_is_read_again() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    create_user(&client, "bob").await;
    set_active(&client, &ann, false).await;
    let ranger = ranger_with(&["ann", "bob", "cyd"]).await;
    let items = json!({ "policyItems": [item("select", &["ann", "bob"], &[])] });
    let policy = ranger.add_policy("hive", "all", &items);
    // Another administrator adds an item, and a name that the operator has not seen.
    ranger.on_next(&format!("api/policy/{policy}"), move |ranger| {
        ranger.change_policy(policy, |policy| {
            let items = policy["policyItems"].as_array_mut().unwrap();
            items.insert(0, item("update", &["bob", "nobody"], &[]));
        });
        ranger.put_user("nobody", &json!({ "firstName": "x", "userSource": 1 }));
    });
    let removed = check_with(&connector, &ranger, &["--remove", "--yes"], "");
    assert_eq!(removed.code, 0, "{removed:?}");
    let expected = json!([item("update", &["bob", "nobody"], &[]), item("select", &["bob"], &[])]);
    assert_eq!(ranger.policy(policy)["policyItems"], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answer_is_read_again_and_a_refusal_leaves_the_other_policies() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    create_user(&client, "bob").await;
    set_active(&client, &ann, false).await;
    let ranger = ranger_with(&["ann", "bob"]).await;
    let items = json!({ "policyItems": [item("select", &["ann", "bob"], &[])] });
    let first = ranger.add_policy("hive", "first", &items);
    // Ranger refuses every change of a policy that names a user whom it does not know.
    let refused = ranger.add_policy(
        "hive",
        "refused",
        &json!({ "policyItems": [item("select", &["ann", "bob", "zed"], &[])] }),
    );
    create_user(&client, "zed").await;
    let last = ranger.add_policy("hive", "last", &items);
    ranger.fail_put(&format!("api/policy/{first}"), Fault::Lost, 1);
    let removed = check_with(&connector, &ranger, &["--remove", "--yes"], "");
    assert_eq!(removed.code, 1);
    let expected = format!(
        "policy {refused} refused of hive is not changed: Ranger answered PUT public/v2/api/policy/{refused} with 400 Bad Request: \
         Operation denied. User name: zed specified in policy does not exist in ranger admin.\n"
    );
    assert_eq!(removed.err, expected);
    for policy in [first, last] {
        assert_eq!(ranger.policy(policy)["policyItems"][0]["users"], json!(["bob"]));
    }
    assert_eq!(ranger.policy(refused)["policyItems"][0]["users"], json!(["ann", "bob", "zed"]));
    let audit = audit_of(&connector, &ann);
    assert_eq!(audit.matches("\"clean-policy\"").count(), 2, "{audit}");
}
