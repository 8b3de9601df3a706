//! `scimctl why` explains a user: what came of the last push, why it is hidden, the way to each group and role, what waits in
//! feeds, and the policies that name it. It also explains users who are deleted, and those whom the directory never had. A user is
//! found by its userName or id, or else by the beginning of a name.

use directory::settings::{Mapping, Rules, Settings};
use serde_json::{Value, json};
use shared::schema::Schemas;
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

#[tokio::test]
async fn user_is_found_by_a_name_if_no_other_user_matches() {
    let (service, _, client) = okta_with(Settings::default()).await;
    let create = async |body: Value| {
        let created = client.post("/Users", &body).await;
        assert_eq!(created.status, 201, "{:?}", created.json());
        created.json()["id"].as_str().unwrap().to_owned()
    };
    let ann = create(json!({
        "schemas": [USER], "userName": "ann@example.com", "name": { "givenName": "Ann Lee", "familyName": "Ash" }
    }))
    .await;
    let anton = create(json!({
        "schemas": [USER], "userName": "anton@example.com", "displayName": "Anton Berg", "externalId": "00U7",
        "emails": [{ "value": "a.berg@example.org", "primary": true }]
    }))
    .await;
    let ash = create_user(&client, "ashley@example.com").await;
    // The display name of Ann is made of her names, and no index has it.
    for (text, id) in [
        ("ANN", &ann),
        ("ann lee a", &ann),
        ("Ann Lee Ash", &ann),
        ("anton b", &anton),
        ("a.berg", &anton),
        ("00U", &anton),
        ("ashl", &ash),
    ] {
        let found = as_json(&service, text);
        let facts = (&found["id"], &found["is_by_search"], &found["state"]);
        assert_eq!(facts, (&json!(id), &json!(true), &json!("shown")), "{text}");
    }
    let by_user_name = as_json(&service, "ANN@example.com");
    assert_eq!((&by_user_name["id"], &by_user_name["is_by_search"]), (&json!(ann), &json!(false)));
    assert_printed("why_by_name", why(&service, "ann l"));
    // A failed request about another name that begins so is not about this user.
    let body = json!({ "schemas": [USER], "userName": "anto", "active": "perhaps" });
    assert_eq!(client.post("/Users", &body).await.status, 400);
    let found = as_json(&service, "anto");
    assert_eq!((&found["id"], &found["failed_requests"]), (&json!(anton), &json!([])));
}

#[tokio::test]
async fn users_are_listed_if_several_match_and_only_a_whole_name_chooses_one() {
    let (service, connector, client) = okta_with(Settings::default()).await;
    for name in ["ann@example.com", "anna@example.com", "anton@example.com"] {
        let user =
            json!({ "schemas": [USER], "userName": name, "displayName": name.split_once('@').unwrap().0 });
        assert_eq!(client.post("/Users", &user).await.status, 201);
    }
    let rules = Rules { exclude_users: vec!["anton*".to_owned()], ..Rules::default() };
    service.change_settings(&connector.id, |_| Settings { rules, ..Settings::default() }).await;
    let several = why(&service, "an");
    assert_eq!(several.code, 1);
    let error = "scimctl: \"an\" matches 3 users; enter the whole userName, or the id\n";
    assert_eq!(several.err, error);
    assert_printed("why_several", Done { code: 0, ..several });
    assert_eq!(as_json(&service, "ann")["user"]["user_name"], "ann@example.com");
    let json = scimctl(&service, &["why", "okta", "an", "--json"]);
    assert_eq!((json.code, json.err.as_str()), (1, error));
    let json: Value = serde_json::from_str(&json.out).unwrap();
    let candidates = json["candidates"].as_array().unwrap();
    let names: Vec<_> = candidates.iter().map(|user| (&user["user_name"], &user["hidden"])).collect();
    let name = |name: &str| json!(format!("{name}@example.com"));
    let (ann, anna, anton) = (name("ann"), name("anna"), name("anton"));
    let excluded = json!("excluded by anton*");
    assert_eq!(names, [(&ann, &Value::Null), (&anna, &Value::Null), (&anton, &excluded)]);
    assert_eq!((&json["asked"], &json["has_more"]), (&json!("an"), &json!(false)));
    for number in 0..20 {
        create_user(&client, &format!("and{number:02}@example.com")).await;
    }
    let many = scimctl(&service, &["why", "okta", "an"]);
    assert!(many.err.contains("\"an\" matches more than 20 users"), "{many:?}");
    assert_eq!(many.out.lines().count(), 21);
}

#[tokio::test]
async fn username_of_a_mapping_finds_the_user() {
    let service = Service::start();
    let connector = service.connector_named("okta", "okta", &secret()).await;
    let client = connector.local(&service);
    let user = json!({ "schemas": [USER], "userName": "ann@example.com", "nickName": "Annie" });
    let ann = client.post("/Users", &user).await.json()["id"].clone();
    let other = json!({ "schemas": [USER], "userName": "annie-lou@example.com", "nickName": "Lou" });
    assert_eq!(client.post("/Users", &other).await.status, 201);
    scimctl(&service, &["connector", "set", "okta", "mapping.username=nickName"]).ok();
    service.build_indexes(&connector.id, Schemas::built_in()).await;
    for text in ["annie", "ANNIE"] {
        assert_eq!(as_json(&service, text)["id"], ann, "the other user only begins so");
    }
    assert_eq!(as_json(&service, "annie-")["user"]["user_name"], "annie-lou@example.com");
}

#[tokio::test]
async fn who_hid_a_user_and_when_is_said() {
    let service = Service::start();
    let connector = service.connector_named("okta", "okta", &secret()).await;
    let client = connector.local(&service);
    let set = |setting: &str| scimctl(&service, &["connector", "set", "okta", setting]).ok();
    let hidden_by = |user: &str| {
        let mut change = as_json(&service, user)["hidden_by"].clone();
        if let Some(change) = change.as_object_mut() {
            let request = change.remove("request").unwrap();
            assert!(change.remove("time").is_some() && request.is_string(), "{request}");
        }
        change
    };
    let operator = tests::scimctl::operator();
    let by_operator =
        |what: &str| json!({ "what": what, "is_setting": true, "by": "operator", "who": operator });

    create_user(&client, "svc-backup").await;
    let credential = as_json(&service, "svc-backup")["last_push"]["credential"].clone();
    let by_client =
        |what: &str| json!({ "what": what, "is_setting": false, "by": "client", "who": credential });
    set("rules.exclude-users=test-*");
    set("rules.exclude-users=test-*,svc-*");
    set("rules.include-groups=*");
    let changed = "rules.exclude-users from 1 pattern to 2 patterns";
    assert_eq!(hidden_by("svc-backup"), by_operator(changed));
    assert_printed("why_rule_changed", why(&service, "svc-backup"));

    create_user(&client, "carl").await;
    set("rules.include-users=bob");
    assert_eq!(hidden_by("carl"), by_operator("rules.include-users from 0 patterns to 1 pattern"));
    set("rules.include-users=");

    let bob = create_user(&client, "bob").await;
    assert_eq!(hidden_by("bob"), Value::Null, "the user is shown");
    assert_eq!(client.patch(&format!("/Users/{bob}"), &set_active_body(false)).await.status, 200);
    assert_eq!(hidden_by("bob"), by_client("deactivated"));

    let inactive = json!({ "schemas": [USER], "userName": "dora", "active": false });
    assert_eq!(client.post("/Users", &inactive).await.status, 201);
    assert_eq!(hidden_by("dora"), by_client("created"));

    set("on-delete=deactivate");
    let erik = create_user(&client, "erik").await;
    let fresh = tests::in_process::InProcess::uncached(service.dynamodb(), client.clone());
    let deleted = fresh.send("DELETE", &format!("/Users/{erik}"), None, tests::service::TIME_LIMIT).await;
    assert_eq!(deleted.status().as_u16(), 204);
    let why_erik = as_json(&service, &erik);
    assert_eq!(why_erik["user"]["entry"]["hidden"], "deleted");
    assert_eq!(hidden_by(&erik), by_client("deleted"));
}
