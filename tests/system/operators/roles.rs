//! Roles: users, groups of the identity provider and local groups get them. They are exported and imported like groups.

use directory::settings::{Rules, Settings};
use serde_json::{Value, json};
use tests::client::Client;
use tests::folder::Folder;
use tests::invariants::assert_invariants;
use tests::provisioning::{create_group, create_user, create_users, set_active_body};
use tests::scimctl::{run, scimctl};
use tests::service::{TestConnector, service};

async fn connector_with(settings: Settings) -> (TestConnector, Client) {
    let connector = service().connector_with(settings).await;
    let client = connector.local(service());
    (connector, client)
}

/// The groups and roles that applications see of a user.
fn shown(connector: &TestConnector, user: &str) -> Value {
    let shown: Value = serde_json::from_str(&run(connector, &["user", "show", user, "--json"]).ok()).unwrap();
    json!([shown["groups"], shown["roles"]])
}

#[tokio::test]
async fn members_of_a_local_group_have_its_roles() {
    let (connector, client) = connector_with(Settings::default()).await;
    create_user(&client, "ann").await;
    let bob = create_user(&client, "bob").await;
    create_group(&client, "Sales", std::slice::from_ref(&bob)).await;
    run(&connector, &["group", "create", "Stewards"]).ok();
    run(&connector, &["group", "add", "Stewards", "ann", "Sales"]).ok();
    run(&connector, &["role", "create", "approver"]).ok();
    let assigned = run(&connector, &["role", "assign", "approver", "Stewards"]).ok();
    assert_eq!(assigned, "role approver is assigned to: Stewards\n");
    let with_role = json!([["Stewards"], ["approver"]]);
    assert_eq!(shown(&connector, "ann"), with_role);
    assert_eq!(shown(&connector, "bob"), json!([["Sales"], ["approver"]]), "through the nested group");
    assert_eq!(run(&connector, &["role", "show", "approver"]).value("Assigned to:"), "0 users, 1 group");
    let mut members: Vec<String> =
        run(&connector, &["role", "members", "approver"]).ok().lines().map(str::to_owned).collect();
    members.sort();
    assert_eq!(members, ["ann", "bob"]);
    assert_eq!(
        client.get("/Groups?count=0").await.json()["totalResults"],
        1,
        "the client sees its own group"
    );
    assert_invariants(service(), &connector.id).await;
    assert_eq!(scimctl(service(), &["check", &connector.id.to_string()]).ok().lines().count(), 1);
    run(&connector, &["role", "withdraw", "approver", "Stewards"]).ok();
    assert_eq!(shown(&connector, "ann"), json!([["Stewards"], []]));
    run(&connector, &["role", "assign", "approver", "Stewards"]).ok();
    run(&connector, &["group", "delete", "Stewards"]).ok();
    assert_eq!(shown(&connector, "ann"), json!([[], []]));
    assert_eq!(run(&connector, &["role", "show", "approver"]).value("Assigned to:"), "0 users, 0 groups");
    assert_invariants(service(), &connector.id).await;
    run(&connector, &["group", "create", "Stewards"]).ok();
    run(&connector, &["role", "assign", "approver", "Stewards"]).ok();
    run(&connector, &["role", "delete", "approver", "--yes"]).ok();
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn local_group_is_a_member_of_roles_only() {
    let (connector, _) = connector_with(Settings::default()).await;
    for name in ["Stewards", "Keepers"] {
        run(&connector, &["group", "create", name]).ok();
    }
    let id = |name: &str| run(&connector, &["group", "show", name]).value("Id:");
    assert_eq!(
        run(&connector, &["group", "add", "Stewards", &id("Keepers")]).failed(),
        format!("members: there is no user or group with the id {}", id("Keepers"))
    );
    run(&connector, &["role", "create", "approver"]).ok();
    assert_eq!(
        run(&connector, &["role", "assign", "approver", "Nobody"]).failed(),
        format!("connector {} has no user and no group Nobody", connector.id)
    );
    run(&connector, &["role", "assign", "approver", &id("Keepers")]).ok();
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn group_that_a_rule_hides_gives_no_roles() {
    let rules = Rules { exclude_groups: vec!["Sales".to_owned()], ..Rules::default() };
    let (connector, client) = connector_with(Settings { rules, ..Settings::default() }).await;
    let ann = create_user(&client, "ann").await;
    create_group(&client, "Sales", std::slice::from_ref(&ann)).await;
    create_group(&client, "Tours", std::slice::from_ref(&ann)).await;
    for (role, group) in [("approver", "Sales"), ("auditor", "Tours")] {
        run(&connector, &["role", "create", role]).ok();
        run(&connector, &["role", "assign", role, group]).ok();
    }
    assert_eq!(shown(&connector, "ann"), json!([["Tours"], ["auditor"]]));
    run(&connector, &["connector", "set", "rules.exclude-groups="]).ok();
    assert_eq!(shown(&connector, "ann"), json!([["Sales", "Tours"], ["approver", "auditor"]]));
}

#[tokio::test]
async fn reactivated_user_has_no_roles_and_no_local_groups() {
    let (connector, client) = connector_with(Settings::default()).await;
    let ann = create_user(&client, "ann").await;
    run(&connector, &["role", "create", "approver"]).ok();
    run(&connector, &["role", "assign", "approver", "ann"]).ok();
    run(&connector, &["group", "create", "Stewards"]).ok();
    run(&connector, &["group", "add", "Stewards", "ann"]).ok();
    assert_eq!(shown(&connector, "ann"), json!([["Stewards"], ["approver"]]));
    for active in [false, true] {
        assert_eq!(client.patch(&format!("/Users/{ann}"), &set_active_body(active)).await.status, 200);
        assert_eq!(shown(&connector, "ann"), json!([[], []]), "{active}");
    }
}

#[tokio::test]
async fn exported_roles_can_be_imported_elsewhere_repeatedly() {
    let (connector, client) = connector_with(Settings::default()).await;
    let (other, other_client) = connector_with(Settings::default()).await;
    for (connector, client) in [(&connector, &client), (&other, &other_client)] {
        create_users(client, 2).await;
        create_group(client, "Sales; EMEA", &[]).await;
        run(connector, &["group", "create", "Stewards"]).ok();
    }
    for role in ["approver", "auditor"] {
        run(&connector, &["role", "create", role]).ok();
    }
    run(&connector, &["role", "assign", "approver", "user000", "user001", "Sales; EMEA", "Stewards"]).ok();
    let folder = Folder::new();
    for extension in ["csv", "jsonl"] {
        let file = folder.file_path(&format!("roles.{extension}"));
        let exported = run(&connector, &["export", "roles", &file]);
        assert_eq!((exported.code, exported.err.as_str()), (0, "2 roles exported\n"));
        if extension == "csv" {
            let dry_run = run(&other, &["import", "roles", &file, "--dry-run"]).ok();
            assert_eq!(
                dry_run,
                "2 created, 0 updated, 0 unchanged, 0 refused; nothing is written (--dry-run)\n"
            );
            assert_eq!(run(&other, &["role", "list"]).ok(), "0 roles\n");
            let imported = run(&other, &["import", "roles", &file]).ok();
            assert_eq!(imported, "2 created, 0 updated, 0 unchanged, 0 refused\n");
        }
        let again = run(&other, &["import", "roles", &file]).ok();
        assert_eq!(again, "0 created, 0 updated, 2 unchanged, 0 refused\n");
    }
    assert_eq!(run(&other, &["role", "show", "approver"]).value("Assigned to:"), "2 users, 2 groups");
    // A missing column leaves its assignments unchanged, and an unknown name refuses the row.
    let fewer = folder.write("fewer.csv", "name,members\napprover,user001\nauditor,nobody\n");
    let imported = run(&other, &["import", "roles", &fewer]);
    assert_eq!((imported.code, imported.out.as_str()), (1, "0 created, 1 updated, 0 unchanged, 1 refused\n"));
    assert!(imported.err.contains(&format!("{fewer}:3: connector {} has no user nobody", other.id)));
    assert_eq!(run(&other, &["role", "show", "approver"]).value("Assigned to:"), "1 user, 2 groups");
    let unknown = folder.write("unknown.csv", "name,member_groups\napprover,Nothing\n");
    let refused = run(&other, &["import", "roles", &unknown]);
    assert!(refused.err.contains(&format!(":2: connector {} has no group Nothing", other.id)), "{refused:?}");
    let groups = folder.write("groups.csv", "name,member_groups\napprover,Stewards\n");
    let imported = run(&other, &["import", "roles", &groups]).ok();
    assert_eq!(imported, "0 created, 1 updated, 0 unchanged, 0 refused\n");
    assert_eq!(run(&other, &["role", "show", "approver"]).value("Assigned to:"), "1 user, 1 group");
    assert_invariants(service(), &other.id).await;
}
