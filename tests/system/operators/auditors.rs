//! The stack's policy for auditors lets `scimctl` read everything and change nothing.

use tests::folder::Folder;
use tests::provisioning::{create_group, create_user};
use tests::scimctl::{run, scimctl_as};
use tests::service::{Service, service};
use tests::table::read_items;

const AUDITOR: &str = "AuditDirectory";

#[tokio::test]
async fn auditor_can_run_every_command_that_only_reads() {
    let service = Service::start();
    let connector = service.connector_named("okta", "okta", &tests::service::secret()).await;
    let client = connector.local(&service);
    let ann = create_user(&client, "ann").await;
    create_group(&client, "Sales", std::slice::from_ref(&ann)).await;
    let folder = Folder::new();
    let policy = folder.write("all.cedar", "permit (principal, action, resource);");
    for arguments in [
        &["connector", "list"][..],
        &["connector", "show", "okta"],
        &["connector", "export", "okta"],
        &["connector", "sign-ins", "okta"],
        &["connector", "set", "okta", "rules.exclude-users=ann", "--dry-run"],
        &["user", "list", "okta"],
        &["user", "show", "okta", "ann"],
        &["group", "list", "okta"],
        &["group", "members", "okta", "Sales"],
        &["role", "list", "okta"],
        &["export", "users", "okta"],
        &["export", "cedar", "okta", &folder.file_path("entities.json")],
        &[
            "policies",
            "who",
            "okta",
            "--policies",
            &policy,
            "--action",
            "read",
            "--resource",
            "Document::\"plan\"",
        ],
        &["policies", "check", "okta", "--cedar", &policy],
        &["audit", "okta"],
        &["audit", "okta", "--resource", "ann"],
        &["check"],
    ] {
        let done = scimctl_as(AUDITOR, &service, arguments, "");
        assert_eq!(done.code, 0, "{arguments:?}: {}", done.err);
    }
}

#[tokio::test]
async fn auditor_can_change_nothing() {
    let connector = service().connector().await;
    create_user(&connector.local(service()), "ann").await;
    run(&connector, &["role", "create", "approver"]).ok();
    let before = read_items(service(), &connector.id).await;
    let id = connector.id.to_string();
    for arguments in [
        &["user", "create", &id, "bob"][..],
        &["user", "delete", &id, "ann", "--orphaned"],
        &["role", "assign", &id, "approver", "ann"],
        &["role", "delete", &id, "approver", "--yes"],
        &["connector", "set", &id, "on-delete=refuse"],
        &["connector", "rotate", &id],
        &["connector", "disable", &id],
    ] {
        let done = scimctl_as(AUDITOR, service(), arguments, "ann\n");
        assert!(done.code == 1 && done.err.contains("not authorized"), "{arguments:?}: {done:?}");
    }
    assert_eq!(read_items(service(), &connector.id).await, before);
}
