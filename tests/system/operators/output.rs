//! What `scimctl` prints for people: lists, details, checks, and the help of every command. It is compared with snapshots.
//! `INSTA_UPDATE=always make test` accepts a change.

use directory::connectors::scheme;
use tests::provisioning::{create_group, create_user, set_active_body};
use tests::scimctl::{Done, help_of_every_command, scimctl};
use tests::service::{Service, secret};

/// What a command printed, with placeholders for what differs in each run.
fn assert_printed(name: &str, done: &Done) {
    let Done { code, out, err } = done;
    let mut settings = insta::Settings::clone_current();
    settings.add_filter("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[UUID]");
    settings.add_filter(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?( UTC|Z)?", "[TIME]");
    settings.add_filter(r"\b[0-9a-f]{8}\b", "[ID]");
    settings.add_filter("[A-Za-z0-9_-]{43}", "[SECRET]");
    settings.add_filter("aws_request_id: \"[^\"]*\"", "aws_request_id: [ID]");
    // The same on every machine: the help also names the table of the environment, or the default.
    settings.add_filter(r"\[env: TABLE_NAME=.*\]", "[env: TABLE_NAME]");
    let mut printed = format!("exit code {code}\n--- standard output\n{out}");
    if !err.is_empty() {
        printed.push_str(&format!("--- standard error\n{err}"));
    }
    settings.bind(|| insta::assert_snapshot!(name, printed));
}

#[tokio::test]
async fn lists_and_details_are_as_in_the_snapshots() {
    let service = Service::start();
    let connector = service.connector_named("okta", "okta", &secret()).await;
    let client = connector.local(&service);
    let run = |arguments: &[&str]| scimctl(&service, arguments);
    // Lists are in the order of ids, which are random. So the users are created until their ids are in order.
    let present = service.table().connector(&connector.id).await.unwrap().unwrap();
    let token = present.credentials.iter().find(|credential| scheme(credential) == "Bearer").unwrap();
    service.connectors().retire_credential(&connector.id, &token.id).await.unwrap();
    let (mut ann, mut bob) = (String::from("z"), String::new());
    while ann > bob {
        for id in [&ann, &bob].into_iter().filter(|id| id.len() > 1) {
            assert_eq!(client.delete(&format!("/Users/{id}")).await.status, 204);
        }
        ann = create_user(&client, "ann@example.com").await;
        bob = create_user(&client, "bob@example.com").await;
    }
    create_group(&client, "Sales", std::slice::from_ref(&ann)).await;
    let deactivated = client.patch(&format!("/Users/{bob}"), &set_active_body(false)).await;
    assert_eq!(deactivated.status, 200);
    for (name, arguments) in [
        ("set", &["connector", "set", "okta", "rules.exclude-users=svc-*"][..]),
        ("connector_list", &["connector", "list"]),
        ("connector_show", &["connector", "show", "okta"]),
        (
            "connector_create",
            &["connector", "create", "--name", "entra", "--url", "https://scim.example.com"],
        ),
        ("connector_create_again", &["connector", "create", "--name", "okta"]),
        ("user_list", &["user", "list", "okta"]),
        ("user_list_hidden", &["user", "list", "okta", "--hidden"]),
        ("user_show", &["user", "show", "okta", "ann@example.com"]),
        ("group_list", &["group", "list", "okta"]),
        ("group_members", &["group", "members", "okta", "Sales"]),
        ("group_unknown", &["group", "members", "okta", "Marketing"]),
        ("export_users", &["export", "users", "okta", "--hidden"]),
        ("user_create", &["user", "create", "okta", "carl", "--first-name", "Carl"]),
        ("role_create", &["role", "create", "okta", "approver"]),
        ("role_list", &["role", "list", "okta"]),
        ("role_show", &["role", "show", "okta", "approver"]),
        ("set_dry_run", &["connector", "set", "okta", "mapping.username-from-email=true", "--dry-run"]),
        ("audit", &["audit", "okta", "--resource", &ann]),
        ("check", &["check"]),
        ("doctor", &["doctor", "okta"]),
        ("migrate", &["migrate"]),
        ("reindex", &["reindex", "okta"]),
    ] {
        assert_printed(name, &run(arguments));
    }
}

#[test]
fn help_of_every_command_is_as_in_the_snapshots() {
    let mut help = String::new();
    for (command, printed) in help_of_every_command() {
        help.push_str(&format!("===== scimctl {command}\n{printed}\n"));
    }
    assert!(help.matches("===== ").count() > 30, "{help}");
    assert_printed("help", &Done { code: 0, out: help, err: String::new() });
}
