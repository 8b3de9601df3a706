//! `make lambda` and `make invoke`: the functions run under the real `cargo lambda watch`. The test sends
//! every event in `events/` with the real `cargo lambda invoke`, and the conversations of Okta over HTTP. A
//! wrong method gets 405, an unknown path 404.

use std::process::Stdio;

use serde_json::Value;
use tests::client::Client;
use tests::fixture::conversations;
use tests::service::{Service, TABLE, binaries};
use tests::workspace;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use super::events::{assert_answer, create_event_fixtures, expected_answers};

/// A running `cargo lambda watch`. It and the functions that it started end when this is dropped.
struct Watch {
    port: u16,
    child: Child,
}

/// The `cargo-lambda` that `make tools` installs.
fn cargo_lambda() -> Command {
    let program = workspace().join(".tools/venv/bin/cargo-lambda");
    assert!(program.exists(), "cargo-lambda is not installed; run `make tools`, which `make test` does");
    let mut command = Command::new(program);
    command.arg("lambda").current_dir(workspace()).kill_on_drop(true);
    command
}

impl Watch {
    async fn start(service: &Service) -> Self {
        // The links to the binaries must exist before cargo replaces the binaries.
        binaries();
        let port = free_port().await;
        let mut child = cargo_lambda()
            .args(["watch", "--locked", "--ignore-changes", "--disable-cors"])
            .args(["--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()])
            .env("DYNAMODB_ENDPOINT", service.endpoint())
            .env("TABLE_NAME", TABLE)
            .env("PUBLIC_URL", format!("http://127.0.0.1:{port}"))
            .env("LOG_LEVEL", "warn")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", service.access_key())
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        loop {
            let line = lines.next_line().await.unwrap();
            if line.expect("cargo lambda watch ended").contains("starting Runtime server") {
                break;
            }
        }
        // Cargo blocks when its output pipe is full, so the output must be read.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { port, child }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The functions are children of cargo, in the same process group.
        if let Some(group) = self.child.id() {
            let _ = std::process::Command::new("kill").args(["--", &format!("-{group}")]).status();
        }
    }
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn cargo_lambda_answers_every_event_and_every_okta_conversation() {
    let service = Service::start_with_random_access_key();
    create_event_fixtures(&service).await;
    let watch = Watch::start(&service).await;
    for (name, status, pattern) in expected_answers() {
        let invoked = cargo_lambda()
            .args(["invoke", name, "--invoke-address", "127.0.0.1"])
            .args(["--invoke-port", &watch.port.to_string()])
            .args(["--data-file", &format!("events/{name}.json")])
            .output()
            .await
            .unwrap();
        let printed = String::from_utf8_lossy(&invoked.stderr);
        assert!(invoked.status.success(), "{name}: {printed}");
        let answer: Value = serde_json::from_slice(&invoked.stdout).unwrap();
        // The events name the host of a deployed API.
        let pattern = pattern.to_string().replace(
            "https://rollcall000.execute-api.us-east-1.amazonaws.com",
            &format!("http://127.0.0.1:{}", watch.port),
        );
        assert_answer(name, &answer, status, &serde_json::from_str(&pattern).unwrap());
    }
    let url = format!("http://127.0.0.1:{}/default/scim/v2", watch.port);
    let client = Client::new(&url, "okta", "correct horse battery staple");
    let refused = client.delete("/Users").await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD, POST")));
    assert_eq!(client.get("/Nothing").await.status, 404);
    let mut failures = Vec::new();
    let okta = conversations("okta");
    assert!(okta.len() > 10, "{} conversations", okta.len());
    for conversation in okta {
        let connector = service.connector().await;
        let local = connector.local(&service);
        let url = format!("http://127.0.0.1:{}/{}/scim/v2", watch.port, connector.id);
        let client = Client::new(&url, &local.username, &connector.password).with_public_url(&url);
        if let Err(failure) = conversation.replay(&client).await {
            failures.push(failure);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
