//! `scimctl why` explains a user: what came of the last push, why it is hidden, the way to each group and role, what waits in
//! feeds, and the policies that name it. It also explains users who are deleted, and those whom the directory never had.

use directory::settings::{Mapping, Rules, Settings};
use serde_json::{Value, json};
use tests::client::Client;
use tests::folder::Folder;
use tests::provisioning::{USER, create_group, create_user, patch_body, set_active_body};
use tests::scimctl::{Done, VARYING, scimctl, scimctl_as};
use tests::service::{Service, TestConnector, secret};

fn assert_printed(name: &str, done: Done) {
    let mut settings = insta::Settings::clone_current();
    for (pattern, placeholder) in VARYING {
        settings.add_filter(pattern, placeholder);
    }
    settings.bind(|| insta::assert_snapshot!(name, done.ok()));
}

async fn okta_with(settings: Settings) -> (Service, TestConnector, Client) {
    let service = Service::start();
    let connector = service.connector_named("okta", "okta", &secret()).await;
    service.change_settings(&connector.id, |_| settings).await;
    let client = connector.local(&service);
    (service, connector, client)
}

fn why(service: &Service, user: &str) -> Done {
    scimctl_as("AuditDirectory", service, &["why", "okta", user], "")
}

fn as_json(service: &Service, user: &str) -> Value {
    serde_json::from_str(&scimctl(service, &["why", "okta", user, "--json"]).ok()).unwrap()
}

#[tokio::test]
async fn shown_user_is_explained_with_ways_to_groups_roles_feeds_and_policies() {
    let rules = Rules { exclude_groups: vec!["secret-*".to_owned()], ..Rules::default() };
    let (service, _, client) = okta_with(Settings { rules, ..Settings::default() }).await;
    let ann = create_user(&client, "ann@example.com").await;
    let interns = create_group(&client, "Interns", std::slice::from_ref(&ann)).await;
    let sales = create_group(&client, "Sales", std::slice::from_ref(&interns)).await;
    create_group(&client, "Everyone in Europe", std::slice::from_ref(&sales)).await;
    create_group(&client, "secret-project", std::slice::from_ref(&ann)).await;
    for arguments in [
        &["role", "create", "okta", "approver"][..],
        &["role", "assign", "okta", "approver", "Sales"],
        &["role", "create", "okta", "steward"],
        &["role", "assign", "okta", "steward", "ann@example.com"],
        &["feed", "create", "okta", "platform"],
    ] {
        scimctl(&service, arguments).ok();
    }
    let title = patch_body(json!([{ "op": "replace", "path": "title", "value": "Dr." }]));
    let fresh = tests::in_process::InProcess::uncached(service.dynamodb(), client.clone());
    let target = format!("/Users/{ann}");
    let changed = fresh.send("PATCH", &target, Some(&title), tests::service::TIME_LIMIT).await;
    assert_eq!(changed.status().as_u16(), 200);
    let folder = Folder::new();
    let ranger = json!({ "policies": [
        { "id": 42, "name": "salaries", "service": "hive", "policyItems": [{ "users": ["bob"] }, { "users": ["Ann@Example.com"] }] },
        { "id": 43, "name": "old", "service": "hive", "isEnabled": false, "denyPolicyItems": [{ "users": ["ann@example.com"] }] },
    ] });
    let ranger = folder.write("ranger.json", &ranger.to_string());
    let cedar = format!(
        "permit (principal, action, resource);\nforbid (principal == Rollcall::User::\"{ann}\", action, resource);\n"
    );
    let cedar = folder.write("all.cedar", &cedar);
    assert_printed("why_shown", why(&service, "ann@example.com"));
    let arguments = ["why", "okta", &ann, "--policies", &ranger, &cedar];
    let done = scimctl(&service, &arguments);
    let out = done.ok().replace(&folder.path().display().to_string(), "FOLDER");
    let policies = out.split_once("\nPolicies\n").expect("the policies are listed").1;
    assert_eq!(
        policies.lines().map(str::trim).collect::<Vec<_>>(),
        [
            "hive: policy 42 salaries, policyItems[1]: allow",
            "hive: policy 43 old, denyPolicyItems[0]: deny, disabled",
            "FOLDER/all.cedar: policy policy1 , line 2, principal: deny",
        ]
    );
    let json = as_json(&service, "ann@example.com");
    assert_eq!(
        (&json["state"], &json["id"], &json["policies"]),
        (&json!("shown"), &json!(ann), &Value::Null)
    );
    assert_eq!(json["last_push"]["what"], "update title");
    assert_eq!(json["feeds"][0]["waiting"], 1);
}

#[tokio::test]
async fn hidden_users_are_explained_by_the_rule_the_name_or_the_deactivation() {
    let rules = Rules { exclude_users: vec!["svc-*".to_owned()], ..Rules::default() };
    let mapping = Mapping { username_from_email: true, ..Mapping::default() };
    let (service, _, client) = okta_with(Settings { rules, mapping, ..Settings::default() }).await;
    create_user(&client, "svc-backup@example.com").await;
    create_user(&client, "ann@example.com").await;
    create_user(&client, "ann@example.org").await;
    let bob = create_user(&client, "bob@example.com").await;
    assert_eq!(client.patch(&format!("/Users/{bob}"), &set_active_body(false)).await.status, 200);
    assert_printed("why_excluded", why(&service, "svc-backup@example.com"));
    assert_printed("why_name_taken", why(&service, "ann@example.org"));
    assert_printed("why_deactivated", why(&service, &bob));
    let states = ["svc-backup@example.com", "ann@example.org", "bob@example.com", "ann@example.com"]
        .map(|name| as_json(&service, name)["state"].clone());
    assert_eq!(states, ["hidden", "hidden", "hidden", "shown"]);
}

#[tokio::test]
async fn failed_pushes_deleted_users_and_unknown_users_are_explained() {
    let (service, _, client) = okta_with(Settings::default()).await;
    let ann = create_user(&client, "ann@example.com").await;
    let rename = patch_body(json!([{ "op": "replace", "path": "userName", "value": "anna@example.com" }]));
    assert_eq!(client.patch(&format!("/Users/{ann}"), &rename).await.status, 200);
    let body = json!({ "schemas": [USER], "userName": "anna@example.com" });
    assert_eq!(client.post("/Users", &body).await.status, 409);
    assert_printed("why_failed_push", why(&service, "anna@example.com"));
    assert_eq!(client.delete(&format!("/Users/{ann}")).await.status, 204);
    assert_printed("why_deleted", why(&service, "ann@example.com"));
    // An earlier user of the same name.
    let second = create_user(&client, "ann@example.com").await;
    assert_eq!(client.delete(&format!("/Users/{second}")).await.status, 204);
    let deleted = as_json(&service, "ann@example.com");
    assert_eq!((&deleted["state"], &deleted["id"]), (&json!("deleted"), &json!(second)));
    assert_eq!(deleted["others"], json!([ann]));
    let body = json!({ "schemas": [USER], "userName": "carl@example.com", "active": "perhaps" });
    assert_eq!(client.post("/Users", &body).await.status, 400);
    assert_printed("why_never_seen", why(&service, "carl@example.com"));
    assert_printed("why_unknown", why(&service, "dora@example.com"));
}
