//! `scimctl user merge` gives the roles and local groups of a local user to the identity provider's user of the same person, and
//! deletes the local user. An interrupted merge is finished, or nothing of it was written.

use std::sync::Arc;

use directory::{Directory, Merge, Table};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::resource::ResourceId;
use shared::schema::Schemas;
use tests::call::Call;
use tests::faults::{Fault, FaultyDynamoDb};
use tests::hooks::Action;
use tests::interrupted::{sweep, unfinished};
use tests::invariants::assert_invariants;
use tests::provisioning::{create_group, create_user, members_of, set_active_body};
use tests::scimctl::{run, scimctl, scimctl_with};
use tests::service::{Service, TABLE, TestConnector, actor, service};
use tests::table::read_items;

/// Creates the local user `ann` with the roles `approver` and `auditor` and the local group `Stewards`. Returns its id.
fn create_ann(service: &Service, connector: &TestConnector) -> String {
    let id = connector.id.to_string();
    let run =
        |arguments: [&str; 2], rest: &[&str]| scimctl(service, &[&arguments[..], &[&id], rest].concat()).ok();
    let created = run(["user", "create"], &["ann"]);
    for role in ["approver", "auditor"] {
        run(["role", "create"], &[role]);
        run(["role", "assign"], &[role, "ann"]);
    }
    run(["group", "create"], &["Stewards"]);
    run(["group", "add"], &["Stewards", "ann"]);
    created.trim().rsplit(' ').next().unwrap().to_owned()
}

/// The groups and roles that applications see of a user.
fn shown(service: &Service, connector: &TestConnector, user: &str) -> [Vec<String>; 2] {
    let shown = scimctl(service, &["user", "show", &connector.id.to_string(), user, "--json"]).ok();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let names = |field: &str| {
        shown[field].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    [names("groups"), names("roles")]
}

#[tokio::test]
async fn pushed_user_gets_roles_and_local_groups_and_the_local_user_is_deleted() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_ann(service(), &connector);
    let pushed = create_user(&client, "ann@example.com").await;
    run(&connector, &["role", "assign", "auditor", "ann@example.com"]).ok();
    let sales = create_group(&client, "Sales", std::slice::from_ref(&ann)).await;
    let plan = "ann@example.com gets: Stewards, approver\nann@example.com already has: auditor\n\
                the local user only leaves, as groups of the identity provider: Sales\n";
    let before = read_items(service(), &connector.id).await;
    let dry_run = run(&connector, &["user", "merge", "ann", "ann@example.com", "--dry-run"]).ok();
    assert_eq!(dry_run, format!("{plan}nothing is written (--dry-run)\n"));
    let id = connector.id.to_string();
    let merge = ["user", "merge", &id, "ann", "ann@example.com"];
    let refused = scimctl_with(service(), &merge, "yes\n");
    assert_eq!(
        (refused.code, refused.err.as_str()),
        (
            1,
            "This deletes local user ann. To continue, enter its name:\n\
             scimctl: \"yes\" is not ann, so nothing is changed\n"
        )
    );
    assert_eq!(read_items(service(), &connector.id).await, before);
    let merged = scimctl_with(service(), &merge, "ann\n").ok();
    assert_eq!(merged, format!("{plan}user ann is merged into ann@example.com, and deleted\n"));
    assert_eq!(
        shown(service(), &connector, "ann@example.com"),
        [vec!["Stewards".to_owned()], vec!["approver".to_owned(), "auditor".to_owned()]]
    );
    assert_eq!(run(&connector, &["user", "show", "ann"]).failed(), format!("connector {id} has no user ann"));
    assert!(members_of(&client, &sales).await.is_empty());
    assert_invariants(service(), &connector.id).await;
    // The name is free, and both records name the other user.
    create_user(&client, "ann").await;
    let trail = scimctl(service(), &["audit", &id, "--json", "--resource", &ann]).ok();
    let trail: Vec<Value> = trail.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |operation: &str| trail.iter().find(|record| record["operation"] == operation).unwrap();
    let (deletion, merge) = (of("delete"), of("merge"));
    assert_eq!((&deletion["name"], &merge["name"]), (&json!("ann"), &json!("ann@example.com")));
    assert_eq!((&deletion["id"], &merge["id"]), (&json!(ann), &json!(pushed)));
    assert_eq!(merge["values"], json!([{ "what": "merged user", "from": null, "to": ann }]));
    assert_eq!(deletion["left"]["ids"].as_array().unwrap().len(), 4);
    assert_eq!(merge["joined"]["ids"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn only_a_local_user_is_merged_and_only_into_an_active_pushed_one() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let ann = create_ann(service(), &connector);
    run(&connector, &["user", "create", "bob"]).ok();
    let pushed = create_user(&client, "ann@example.com").await;
    let merge = |from: &str, into: &str| run(&connector, &["user", "merge", from, into, "--yes"]).failed();
    assert_eq!(
        merge("ann@example.com", "ann"),
        format!("user {pushed} is not local; only a local user can be merged into another")
    );
    for into in ["bob", "ann"] {
        assert!(merge("ann", into).contains("is local; a user can be merged only into one of the identity"));
    }
    client.patch(&format!("/Users/{pushed}"), &set_active_body(false)).await;
    assert_eq!(
        merge("ann", "ann@example.com"),
        format!(
            "user {pushed} is deactivated, so it cannot get roles and groups; activate it first in the identity provider"
        )
    );
    assert_eq!(client.get(&format!("/Users/{ann}")).await.status, 200);
}

/// A directory of an operator whose DynamoDB fails on demand.
async fn faulty_directory(
    dynamodb: &FaultyDynamoDb,
    service: &Service,
    connector: &TestConnector,
) -> Directory {
    let client = runtime::dynamodb::client_at(&dynamodb.endpoint).await;
    let stored = service.table().connector(&connector.id).await.unwrap().unwrap();
    let table = Table::new(client, TABLE.to_owned());
    Directory::new(table, Arc::new(stored), Schemas::built_in(), Timestamp::now(), actor())
}

fn parse(id: &str) -> ResourceId {
    ResourceId::parse(id).unwrap()
}

#[tokio::test]
async fn merge_that_is_interrupted_anywhere_is_finished_or_changes_nothing() {
    let service = Service::start();
    let dynamodb = FaultyDynamoDb::start(&service.endpoint_for("OperateDirectory")).await;
    let (mut unchanged, mut finished) = (0, 0);
    for at in 0.. {
        let connector = service.connector().await;
        let ann = create_ann(&service, &connector);
        let client = connector.local(&service);
        let pushed = create_user(&client, "ann@example.com").await;
        create_group(&client, "Sales", std::slice::from_ref(&ann)).await;
        let directory = faulty_directory(&dynamodb, &service, &connector).await;
        dynamodb.fail_from(at, Fault::Denied);
        let merged = directory.merge_users(parse(&ann), parse(&pushed)).await;
        if dynamodb.heal() <= at {
            assert_eq!(merged.map(|Merge { joined, .. }| joined.len()).ok(), Some(3));
            break;
        }
        assert!(merged.is_err(), "{at}");
        let user = if unfinished(&service, &connector.id).await == 0 {
            unchanged += 1;
            "ann"
        } else {
            // The local user does not exist for a client, and a client cannot finish the merge.
            assert_eq!(client.get(&format!("/Users/{ann}")).await.status, 404, "{at}");
            assert_eq!(client.delete(&format!("/Users/{ann}")).await.status, 404, "{at}");
            assert_eq!(sweep(&service, &connector.id).await, 1, "{at}");
            finished += 1;
            "ann@example.com"
        };
        let roles = ["approver", "auditor"].map(str::to_owned).to_vec();
        let [groups, shown_roles] = shown(&service, &connector, user);
        assert_eq!((groups.contains(&"Stewards".to_owned()), shown_roles), (true, roles), "{at}");
        assert_invariants(&service, &connector.id).await;
    }
    assert!(unchanged > 3 && finished > 3, "{unchanged} {finished}");
}

#[tokio::test]
async fn memberships_end_if_the_pushed_user_is_deactivated_during_the_merge() {
    let service = Service::start();
    let dynamodb = FaultyDynamoDb::start(&service.endpoint_for("OperateDirectory")).await;
    let connector = service.connector().await;
    let ann = create_ann(&service, &connector);
    let client = connector.local(&service);
    let pushed = create_user(&client, "ann@example.com").await;
    let directory = faulty_directory(&dynamodb, &service, &connector).await;
    for at in 0.. {
        dynamodb.fail_from(at, Fault::Denied);
        assert!(directory.merge_users(parse(&ann), parse(&pushed)).await.is_err());
        dynamodb.heal();
        if unfinished(&service, &connector.id).await == 1 {
            break;
        }
    }
    assert_eq!(client.patch(&format!("/Users/{pushed}"), &set_active_body(false)).await.status, 200);
    assert_eq!(sweep(&service, &connector.id).await, 1);
    assert_eq!(shown(&service, &connector, "ann@example.com"), [vec![], vec![]] as [Vec<String>; 2]);
    assert_invariants(&service, &connector.id).await;
}

#[tokio::test]
async fn slow_process_does_not_move_a_membership_again_that_another_one_moved() {
    let service = Arc::new(Service::start());
    let dynamodb = FaultyDynamoDb::start(&service.endpoint_for("OperateDirectory")).await;
    let connector = service.connector().await;
    let ann = create_ann(&service, &connector);
    let client = connector.local(&service);
    let pushed = create_user(&client, "ann@example.com").await;
    let directory = faulty_directory(&dynamodb, &service, &connector).await;
    let (other, of) = (Arc::clone(&service), connector.clone());
    let meanwhile = async move {
        assert_eq!(sweep(&other, &of.id).await, 1);
        let id = of.id.to_string();
        scimctl(&other, &["group", "remove", &id, "Stewards", "ann@example.com"]).ok();
        for role in ["approver", "auditor"] {
            scimctl(&other, &["role", "withdraw", &id, role, "ann@example.com"]).ok();
        }
    };
    // The first change begins the merge, and the second one moves the first membership.
    let hook = dynamodb.at_call(1, Call::is_change, Action::run(meanwhile));
    directory.merge_users(parse(&ann), parse(&pushed)).await.unwrap();
    assert!(hook.was_reached());
    assert_eq!(shown(&service, &connector, "ann@example.com"), [vec![], vec![]] as [Vec<String>; 2]);
    assert_invariants(&service, &connector.id).await;
}
