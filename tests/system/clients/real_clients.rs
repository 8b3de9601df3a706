//! SCIM clients that others maintain can use the service: each creates, lists, filters, changes and deletes users and
//! groups, also in Bulk requests. The scripts are in `tests/clients`.

use std::process::Command;

use tests::folder::Folder;
use tests::workspace;

use crate::deploy::process::Running;

/// Runs a script against a new process of the service.
fn run(script: &str) {
    let python = workspace().join(".tools/clients/bin/python3");
    assert!(python.exists(), "the clients are not installed; run `make clients` first, as `make test` does");
    let folder = Folder::missing();
    let running = Running::start(folder.path(), &[]);
    let client = running.client();
    let mut command = Command::new(python);
    command.arg(workspace().join("tests/clients").join(script)).arg(&client.base_url);
    let output = command.env("AUTHORIZATION", client.basic()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.ends_with("complete\n"), "{out}{err}");
}

#[test]
fn library_scim2_client_can_use_the_service() {
    run("scim2_client_library.py");
}

#[test]
fn command_scim2_can_use_the_service() {
    run("scim2_command_line.py");
}
