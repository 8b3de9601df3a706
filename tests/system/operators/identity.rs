//! Who the audit trail names as the operator: the AWS identity whose credentials `scimctl` uses, or the system's user if the
//! table is not on AWS. The environment variable USER has no effect.

use http::StatusCode;
use serde_json::Value;
use tests::scimctl::{Done, operator, run, scimctl, scimctl_on_aws};
use tests::service::{ACCESS_KEY, TestConnector, service};
use tests::stub::{ARN, Stub};

/// Runs `scimctl` as on AWS, with keys in the environment, which also names users that are not the operator.
async fn on_aws(sts: &str, arguments: &[&str]) -> Done {
    let environment = [
        ("AWS_ENDPOINT_URL_STS", sts),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("USER", "mallory"),
        ("USERNAME", "mallory"),
        ("LOGNAME", "mallory"),
    ];
    scimctl_on_aws(service(), &environment, arguments).await
}

/// The operator and the operation of each audit record, the newest first.
fn audited(connector: &TestConnector) -> Vec<String> {
    let records = scimctl(service(), &["audit", &connector.id.to_string(), "--json"]).ok();
    let records = records.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.map(|record| format!("{} {}", record["who"].as_str().unwrap(), record["operation"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_on_aws_is_the_caller_identity() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    let sts = Stub::sts_of_ada().await;
    on_aws(&sts.url, &["user", "create", &id, "ann"]).await.ok();
    assert_eq!(audited(&connector), [format!("{ARN} \"create\""), "test \"create\"".to_owned()]);
    assert_eq!(sts.requests(), ["Action=GetCallerIdentity&Version=2011-06-15"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn change_is_refused_if_the_caller_identity_is_unknown_and_reads_do_not_ask() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    let error = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code>\
                 <Message>The security token is invalid</Message></Error></ErrorResponse>";
    let refusing = Stub::start(StatusCode::FORBIDDEN, error.to_owned()).await;
    let nowhere = "http://127.0.0.1:1";
    for (sts, reason) in [(nowhere, "Connection refused"), (&refusing.url, "InvalidClientTokenId")] {
        for arguments in [
            &["user", "create", &id, "ann"][..],
            &["connector", "disable", &id],
            &["connector", "set", &id, "audit-days=30"],
            &["group", "create", &id, "Team"],
            &["role", "create", &id, "approver"],
            &["check", &id, "--repair"],
            &["import", "users", &id, "users.csv"],
            &["reindex", &id],
            &["migrate"],
        ] {
            let printed = on_aws(sts, arguments).await.failed();
            assert!(printed.starts_with("AWS STS does not say who you are ("), "{arguments:?}: {printed}");
            assert!(printed.contains(reason) && printed.contains("nothing is changed"), "{printed}");
        }
    }
    let asked = refusing.requests().len();
    for arguments in [
        &["user", "list", &id][..],
        &["connector", "show", &id],
        &["connector", "set", &id, "audit-days=30", "--dry-run"],
        &["audit", &id],
        &["check", &id],
        &["sweep", &id],
        &["export", "users", &id],
    ] {
        on_aws(&refusing.url, arguments).await.ok();
    }
    assert_eq!(refusing.requests().len(), asked, "commands that only read need no identity");
    assert_eq!(audited(&connector), ["test \"create\""]);
}

#[tokio::test]
async fn operator_elsewhere_is_the_user_of_the_system() {
    let connector = service().connector().await;
    // The kit sets USER to another name.
    run(&connector, &["user", "create", "ann"]).ok();
    assert_eq!(audited(&connector), [format!("{} \"create\"", operator()), "test \"create\"".to_owned()]);
}
