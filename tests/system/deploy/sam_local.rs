//! `make sam-local`: the functions run in containers under the real `sam local start-api`, over the embedded engine.

use std::path::Path;
use std::process::Stdio;

use directory::Table;
use tests::client::Client;
use tests::deployment::Deployment;
use tests::folder::Folder;
use tests::workspace;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// A running `make sam-local`, and the URL, username and password that it printed.
struct SamLocal {
    child: Child,
    lines: [String; 3],
}

impl SamLocal {
    /// Builds what is missing, and waits until the functions can be called.
    async fn start(folder: &Path, port: u16) -> Self {
        let mut make = Command::new("make");
        // A build depends on the variables that cargo sets for a test: with them, a crate is compiled that is not stale.
        for (name, _) in
            std::env::vars().filter(|(name, _)| name.starts_with("CARGO_") && name != "CARGO_HOME")
        {
            make.env_remove(name);
        }
        let mut child = make
            .args(["--no-print-directory", "sam-local"])
            .current_dir(workspace())
            .env("DATA_DIR", folder)
            .env("PORT", port.to_string())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = Vec::new();
        while lines.len() < 3 {
            let line = output.next_line().await.unwrap().expect("make sam-local started the functions");
            let name = ["Endpoint URL:", "Username:", "Password:"][lines.len()];
            lines.extend(line.strip_prefix(name).map(|value| value.trim().to_owned()));
        }
        // The engine logs to the same pipe, and would block if it were full.
        tokio::spawn(async move { while let Ok(Some(_)) = output.next_line().await {} });
        Self { child, lines: lines.try_into().unwrap() }
    }

    /// Sends what Ctrl-C at a terminal sends: SIGINT to the process group.
    fn interrupt(&self) {
        if let Some(group) = self.child.id() {
            let _ = std::process::Command::new("kill").args(["-INT", "--", &format!("-{group}")]).status();
        }
    }
}

impl Drop for SamLocal {
    fn drop(&mut self) {
        self.interrupt();
    }
}

/// The ids of all containers of functions: those of Docker, and those of the engine that `make sam-local` starts if there is
/// no Docker.
async fn containers() -> Vec<String> {
    let engine = workspace().join(".aws-sam/containers");
    let mut podman = Command::new("podman");
    podman.args(["ps", "--all", "--quiet"]);
    podman.env("CONTAINERS_STORAGE_CONF", engine.join("storage.conf"));
    podman.env("CONTAINERS_CONF", engine.join("containers.conf"));
    let mut docker = Command::new("docker");
    docker.args(["ps", "--all", "--quiet", "--filter", "label=sam.cli.container.type=lambda"]);
    let mut containers = Vec::new();
    for (command, is_there) in [(&mut podman, engine.join("storage.conf").exists()), (&mut docker, true)] {
        if !is_there {
            continue;
        }
        // Without Docker, its command fails or does not exist.
        let output = command.output().await.map(|output| output.stdout).unwrap_or_default();
        containers.extend(String::from_utf8(output).unwrap().lines().map(str::to_owned));
    }
    containers
}

#[tokio::test]
#[ignore = "it needs a container engine and builds the functions; .ci/run runs it"]
async fn sam_local_answers_every_okta_conversation_and_leaves_no_container() {
    let folder = Folder::missing();
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let before = containers().await;
    let mut sam = SamLocal::start(folder.path(), port).await;
    let [url, username, password] = &sam.lines;
    assert_eq!(url, &format!("http://127.0.0.1:{port}/default/scim/v2"));
    assert_eq!(Client::new(url, username, password).get("/Users").await.status, 200);

    let engine = runtime::data_folder::read_engine(folder.path()).unwrap();
    let dynamodb = runtime::dynamodb::client_of_engine(&engine).await;
    // The name that sam gives the table of the template.
    let table = Table::new(dynamodb, "Table".to_owned());
    let deployment = Deployment::new(&format!("http://127.0.0.1:{port}"), table);
    let conversations =
        deployment.check_okta_conversations().await.unwrap_or_else(|failures| panic!("{failures}"));
    assert!(conversations > 10, "{conversations} conversations");
    let failures = deployment.check_forged_addresses().await.unwrap();
    assert!(failures >= 10, "{failures} wrong passwords");
    assert!(containers().await.len() > before.len(), "the functions run in containers");

    sam.interrupt();
    sam.child.wait().await.unwrap();
    assert_eq!(containers().await, before);
    assert!(runtime::data_folder::read_engine(folder.path()).is_err(), "the engine ended");
}
