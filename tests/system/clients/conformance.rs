//! Conformance with SCIM 2.0: the independent tool scim2-tester reports no error for the local server.

use std::process::Command;

use tests::service::service;
use tests::workspace;

#[tokio::test]
async fn scim2_tester_reports_no_error() {
    let client = service().client().await;
    let scim2 = workspace().join(".tools/venv/bin/scim2");
    assert!(scim2.exists(), "scim2 is not installed; run `make tools` first, as `make test` does");
    let mut command = Command::new(scim2);
    command.env("SCIM_CLI_HEADERS", format!("Authorization: {}", client.basic()));
    command.args(["--url", &client.base_url, "test"]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    let lines = |status: &str| report.lines().filter(|line| line.starts_with(status)).count();
    assert_eq!((lines("ERROR"), lines("CRITICAL")), (0, 0), "{report}");
    assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
    assert!(lines("SUCCESS") > 100, "{report}");
}
