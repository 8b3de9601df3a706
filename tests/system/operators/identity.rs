//! Who the audit trail names as the operator: the AWS identity whose credentials `scimctl` uses, or the system's user if the
//! table is not on AWS. The environment variable USER names nobody.

use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use http::StatusCode;
use serde_json::Value;
use tests::scimctl::{Done, operator, run, scimctl};
use tests::service::{ACCESS_KEY, TABLE, TestConnector, binaries, service};
use tokio::net::TcpListener;

const ARN: &str = "arn:aws:sts::123456789012:assumed-role/Operators/ada@example.com";

/// A substitute for AWS STS, and the requests that it got.
struct Sts {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Sts {
    /// Starts a server that answers every request with this status and body.
    async fn start(status: StatusCode, body: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&requests);
        let answer = move |request: Bytes| {
            seen.lock().unwrap().push(String::from_utf8(request.to_vec()).unwrap());
            async move { (status, [("content-type", "text/xml")], body) }
        };
        tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
        Self { url, requests }
    }

    async fn of_ada() -> Self {
        let body = format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             <Arn>{ARN}</Arn><UserId>AROAEXAMPLE:ada@example.com</UserId><Account>123456789012</Account>\
             </GetCallerIdentityResult></GetCallerIdentityResponse>"
        );
        Self::start(StatusCode::OK, body).await
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Runs `scimctl` as on AWS: the endpoints are those of the SDK's environment, and no option says where the table is.
async fn on_aws(sts: &str, arguments: &[&str]) -> Done {
    let environment = [
        ("AWS_ENDPOINT_URL_DYNAMODB", service().endpoint()),
        ("AWS_ENDPOINT_URL_STS", sts),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("TABLE_NAME", TABLE),
        ("USER", "mallory"),
        ("USERNAME", "mallory"),
        ("LOGNAME", "mallory"),
    ];
    let mut command = Command::new(binaries().join("scimctl"));
    command.args(arguments).env_clear().envs(environment);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    Done {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
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
    let sts = Sts::of_ada().await;
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
    let refusing = Sts::start(StatusCode::FORBIDDEN, error.to_owned()).await;
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
