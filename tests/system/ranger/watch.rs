//! `scimctl ranger sync --watch`: Ranger follows the directory by a feed, whose events are acknowledged after Ranger has what they
//! tell of.

use std::process::Stdio;

use serde_json::{Value, json};
use tests::provisioning::{create_group, create_user, set_active_body};
use tests::ranger::{ACCOUNT, FakeRanger, Fault, PASSWORD};
use tests::scimctl::{Done, run, scimctl_with};
use tests::service::{TABLE, TestConnector, binaries, service};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// The arguments of the command that follows the feed `ranger`.
fn arguments(connector: &TestConnector, ranger: &FakeRanger) -> Vec<String> {
    let id = connector.id.to_string();
    [
        "ranger",
        "sync",
        &id,
        "--url",
        &ranger.url,
        "--username",
        ACCOUNT,
        "--password",
        "-",
        "--watch",
        "--feed",
        "ranger",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn watch_once(connector: &TestConnector, ranger: &FakeRanger) -> Done {
    watch(connector, ranger, &["--once"])
}

fn watch(connector: &TestConnector, ranger: &FakeRanger, more: &[&str]) -> Done {
    let arguments = arguments(connector, ranger);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
    tokio::task::block_in_place(|| scimctl_with(service(), &arguments, &format!("{PASSWORD}\n")))
}

/// The number of changes that wait in the feed, and the consumer's last error.
fn waiting(connector: &TestConnector) -> (u64, Value) {
    let shown = run(connector, &["feed", "show", "ranger", "--json"]).ok();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    (shown["waiting"].as_u64().unwrap(), shown["last_error"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_acknowledged_after_ranger_has_what_they_tell() {
    let connector = service().connector().await;
    run(&connector, &["feed", "create", "ranger"]).ok();
    let client = connector.local(service());
    let ann = create_user(&client, "ann").await;
    create_user(&client, "bob").await;
    create_group(&client, "Sales", std::slice::from_ref(&ann)).await;
    let ranger = FakeRanger::start().await;
    assert!(waiting(&connector).0 > 0);
    watch_once(&connector, &ranger).ok();
    assert_eq!(waiting(&connector), (0, Value::Null));
    assert_eq!(ranger.members("Sales"), ["ann"]);

    assert_eq!(client.patch(&format!("/Users/{ann}"), &set_active_body(false)).await.status, 200);
    let before = waiting(&connector).0;
    ranger.fail("ugsync/groupusers", Fault::Status(500), 9);
    let failed = watch_once(&connector, &ranger);
    let reason = "Ranger answered GET xusers/ugsync/groupusers with 500 Internal Server Error: fault";
    assert_eq!((failed.code, failed.err), (1, format!("scimctl: {reason}\n")));
    assert_eq!(waiting(&connector), (before, json!(reason)), "nothing is acknowledged");
    ranger.fail_no_more();
    watch_once(&connector, &ranger).ok();
    assert_eq!(waiting(&connector).0, 0);
    assert_eq!((ranger.members("Sales").len(), ranger.user("ann")["isVisible"].clone()), (0, json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn mass_change_is_acknowledged_only_after_a_confirmation_of_this_run() {
    let connector = service().connector().await;
    run(&connector, &["feed", "create", "ranger"]).ok();
    let client = connector.local(service());
    let users = [
        create_user(&client, "ann").await,
        create_user(&client, "bob").await,
        create_user(&client, "cyd").await,
    ];
    let ranger = FakeRanger::start().await;
    watch_once(&connector, &ranger).ok();
    for user in &users[..2] {
        assert_eq!(client.delete(&format!("/Users/{user}")).await.status, 204);
    }
    assert_eq!(watch_once(&connector, &ranger).code, 1);
    assert_eq!((waiting(&connector).0, ranger.visible_users().len()), (2, 3));
    let refused = watch(&connector, &ranger, &["--yes"]).failed();
    assert_eq!(refused, "--yes confirms one run, so --watch takes it only together with --once");
    watch(&connector, &ranger, &["--yes", "--once"]).ok();
    assert_eq!((waiting(&connector).0, ranger.visible_users().len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_feed_waits_and_a_missing_one_is_an_error() {
    let connector = service().connector().await;
    let ranger = FakeRanger::start().await;
    let missing = watch_once(&connector, &ranger).failed();
    let expected = format!("connector {} has no feed ranger; `scimctl feed create` creates it", connector.id);
    assert_eq!(missing, expected);
    run(&connector, &["feed", "create", "ranger"]).ok();
    create_user(&connector.local(service()), "ann").await;
    run(&connector, &["feed", "pause", "ranger"]).ok();
    assert_eq!(watch_once(&connector, &ranger).ok(), "");
    assert_eq!((waiting(&connector).0, ranger.visible_users().len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_reach_ranger_while_the_command_runs() {
    let connector = service().connector().await;
    run(&connector, &["feed", "create", "ranger"]).ok();
    let ranger = FakeRanger::start().await;
    let mut child = Command::new(binaries().join("scimctl"))
        .args(["--table", TABLE, "--endpoint", &service().endpoint_for("OperateDirectory")])
        .args(arguments(&connector, &ranger))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(format!("{PASSWORD}\n").as_bytes()).await.unwrap();
    drop(input);
    let client = connector.local(service());
    let users = [create_user(&client, "ann").await, create_user(&client, "bob").await];
    let follow = async {
        ranger.until(|ranger| ranger.visible_users() == ["ann", "bob"]).await;
        assert_eq!(client.patch(&format!("/Users/{}", users[0]), &set_active_body(false)).await.status, 200);
        ranger.until(|ranger| ranger.visible_users() == ["bob"]).await;
    };
    tokio::select! {
        () = follow => {}
        ended = child.wait() => panic!("the command ended: {ended:?}"),
    }
}
