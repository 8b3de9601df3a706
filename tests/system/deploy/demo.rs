//! `make demo`: an example company, provisioned with the requests that Okta sends. It can be repeated.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tests::client::Client;
use tests::service::binaries;
use uuid::Uuid;

/// A running `local demo`. It is killed, and its folder removed, when this is dropped.
struct Demo {
    child: Child,
    folder: std::path::PathBuf,
    /// What it printed until the last line of the demo.
    printed: String,
}

impl Demo {
    fn start(environment: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("rollcall-demo-{}", Uuid::new_v4()));
        let mut command = command(&folder, "0");
        let mut child = command.envs(environment.iter().copied()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut printed = String::new();
        while !printed.contains(" audit default\n") {
            assert_ne!(out.read_line(&mut printed).unwrap(), 0, "the demo ended after {printed}");
        }
        Self { child, folder, printed }
    }

    fn value(&self, label: &str) -> &str {
        let line = self.printed.lines().find_map(|line| line.strip_prefix(label));
        line.unwrap_or_else(|| panic!("{label} in {}", self.printed)).trim()
    }

    fn scimctl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(binaries().join("scimctl"));
        let output = command.arg("--local").arg(&self.folder).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn command(folder: &std::path::Path, port: &str) -> Command {
    let mut command = Command::new(binaries().join("local"));
    command.arg("demo").env_clear().env("DATA_DIR", folder).env("PORT", port);
    command.stdin(Stdio::null());
    command
}

#[tokio::test]
async fn demo_provisions_a_company_and_a_repetition_changes_nothing() {
    let demo = Demo::start(&[]);
    let url = demo.value("Endpoint URL:");
    let client = Client::new(url, demo.value("Username:"), demo.value("Password:"));
    let total = async |target: &str| client.get(target).await.json()["totalResults"].as_u64().unwrap();
    assert_eq!(total("/Users?count=0").await, 50);
    assert_eq!(total("/Users?count=0&filter=active%20eq%20false").await, 2);
    assert_eq!(total("/Groups?count=0").await, 8);
    let leaver = &client.get("/Users?filter=active%20eq%20false").await.json()["Resources"][0];
    assert_eq!(leaver.get("groups"), None);
    let company = client.get("/Groups?filter=displayName%20eq%20%22Company%22").await.json();
    let members = company["Resources"][0]["members"].as_array().unwrap();
    let mut names: Vec<&str> = members.iter().map(|member| member["display"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["Engineering", "Finance", "Sales", "Support"]);
    let users = demo.scimctl(&["user", "list", "default"]);
    assert!(users.ends_with("46 users, and 4 hidden (--hidden)\n"), "{users}");
    let groups = demo.scimctl(&["group", "list", "default"]);
    assert!(groups.contains("Company") && !groups.contains("Service Accounts"), "{groups}");

    // The printed commands succeed without changes.
    let printed: Vec<&str> = demo.printed.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert_eq!(printed.len(), 5, "{}", demo.printed);
    for line in printed {
        let path = format!("{}:{}", binaries().display(), std::env::var("PATH").unwrap());
        let output = Command::new("bash").args(["-c", line]).env("PATH", path).output().unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "{line}: {output:?}");
        if line.starts_with("curl") {
            let found: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert!(found["totalResults"].as_u64().unwrap() > 0, "{line}: {found}");
        }
    }

    let before = demo.scimctl(&["audit", "default", "--json"]);
    assert!(before.lines().count() > 60, "{before}");
    let port = url.split([':', '/']).nth(4).unwrap();
    let again = command(&demo.folder, port).output().unwrap();
    assert!(again.status.success(), "{again:?}");
    let again = String::from_utf8(again.stdout).unwrap();
    assert!(demo.printed.ends_with(&again), "{again}");
    assert_eq!(demo.scimctl(&["audit", "default", "--json"]), before);
}

#[test]
fn demo_does_not_print_a_password_of_the_environment() {
    let password = ("SCIM_PASSWORD", "it's \"chosen\" $HOME `id`");
    let demo = Demo::start(&[password]);
    assert!(!demo.printed.contains("chosen"), "{}", demo.printed);
    assert_eq!(demo.value("Password:"), "(the value of SCIM_PASSWORD)");
    let curl = demo.printed.lines().find(|line| line.starts_with("  curl ")).unwrap();
    let output = Command::new("bash").args(["-c", curl]).envs([password]).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["totalResults"], 2, "the printed command authenticates with the variable: {found}");
}

#[test]
fn demo_says_that_another_program_uses_its_port() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let answer = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = BufReader::new(connection.try_clone().unwrap()).lines();
        while request.next().is_some_and(|line| !line.unwrap().is_empty()) {}
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").unwrap();
        listener
    });
    let folder = std::env::temp_dir().join(format!("rollcall-demo-{}", Uuid::new_v4()));
    let output = command(&folder, &port).output().unwrap();
    drop(answer.join().unwrap());
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        printed,
        format!("rollcall: another program answers at http://127.0.0.1:{port}; stop it, or set PORT\n")
    );
}
