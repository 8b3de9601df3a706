//! The program that `make run` starts, as a process: what it prints, what it keeps, how it ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use serde_json::json;
use tests::client::Client;
use tests::service::{binaries, service};
use uuid::Uuid;

use crate::concurrency::USER;

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("rollcall-test-{}", Uuid::new_v4()));
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The program, and the three lines that it printed.
struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    lines: [String; 3],
}

fn program(folder: &Path, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binaries().join("local"));
    command.env_clear().env("DATA_DIR", folder).env("PORT", "0").envs(environment.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Running {
    fn start(folder: &Path, environment: &[(&str, &str)]) -> Self {
        let mut child = program(folder, environment).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let lines = ["Endpoint URL:", "Username:", "Password:"].map(|name| {
            let mut line = String::new();
            out.read_line(&mut line).unwrap();
            line.strip_prefix(name).unwrap_or_else(|| panic!("{line:?} begins with {name}")).trim().to_owned()
        });
        Self { child, out, lines }
    }

    fn client(&self) -> Client {
        let [url, username, password] = &self.lines;
        Client::new(url, username, password)
    }

    /// Ends it with a signal, and gives what it printed after the three lines.
    fn end(mut self, signal: &str) -> (ExitStatus, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
    }
}

/// A start that fails: its exit code, and what it says.
fn fail(folder: &Path, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = program(folder, environment).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn user(name: &str) -> serde_json::Value {
    json!({ "schemas": [USER], "userName": name })
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart_and_after_a_kill() {
    let folder = Folder::new();
    let first = Running::start(&folder.0, &[]);
    let mode = std::fs::metadata(&folder.0).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "the folder is nobody else's to read");
    let lines = first.lines.clone();
    assert!(
        lines[0].starts_with("http://127.0.0.1:") && lines[0].ends_with("/default/scim/v2"),
        "{}",
        lines[0]
    );
    assert_eq!((lines[1].as_str(), lines[2].len()), ("okta", 43));
    assert_eq!(first.client().post("/Users", &user("before the restart")).await.status, 201);
    let (status, log) = first.end("-TERM");
    assert!(status.success(), "{status}");
    assert!(log.contains("method=POST path=\"/default/scim/v2/Users\" status=201 ms="), "{log}");
    assert!(!log.contains(&lines[2]) && !log.contains("Basic"), "no secret reaches the log: {log}");

    let second = Running::start(&folder.0, &[]);
    assert_eq!(second.lines[1..], lines[1..], "the credentials are kept");
    assert_eq!(second.client().post("/Users", &user("before the kill")).await.status, 201);
    second.end("-KILL");

    let third = Running::start(&folder.0, &[]);
    let names = third.client().get("/Users?sortBy=userName").await.json();
    assert_eq!(
        (&names["totalResults"], &names["Resources"][0]["userName"]),
        (&json!(2), &json!("before the kill"))
    );
    assert!(third.end("-INT").0.success());
}

#[tokio::test]
async fn credentials_of_the_environment_are_taken_and_a_public_url_is_shown() {
    let folder = Folder::new();
    let environment = [
        ("SCIM_USERNAME", "me"),
        ("SCIM_PASSWORD", "chosen by somebody"),
        ("PUBLIC_URL", "https://scim.example.com/"),
    ];
    let running = Running::start(&folder.0, &environment);
    assert_eq!(running.lines, ["https://scim.example.com/default/scim/v2", "me", "chosen by somebody"]);
    assert!(running.end("-TERM").0.success());
}

#[tokio::test]
async fn another_dynamodb_is_used_and_given_its_table() {
    let folder = Folder::new();
    let table = format!("table-{}", Uuid::new_v4());
    let environment = [
        ("DYNAMODB_ENDPOINT", service().endpoint()),
        ("TABLE_NAME", &table),
        ("AWS_REGION", "local"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];
    let running = Running::start(&folder.0, &environment);
    assert_eq!(running.client().post("/Users", &user("ann")).await.status, 201);
    assert!(running.end("-TERM").0.success());
    assert!(!folder.0.join("dynamodb.sqlite").exists(), "the embedded engine was not needed");
    let again = Running::start(&folder.0, &environment);
    assert_eq!(again.client().get("/Users").await.json()["totalResults"], 1);
}

#[test]
fn what_stands_in_the_way_is_said_in_one_line() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let nobody = ("DYNAMODB_ENDPOINT", "http://127.0.0.1:1");
    let keys = [nobody, ("AWS_REGION", "local"), ("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x")];
    std::fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("file");
    std::fs::write(&file, "").unwrap();
    for (folder, environment, expected) in [
        (&folder.0, &[("PORT", port.as_str())][..], format!("rollcall: port {port} cannot be used: ")),
        (&folder.0, &[("PORT", "x")], "rollcall: PORT is \"x\", and must be a number up to 65535".to_owned()),
        (&file.join("inside"), &[], format!("rollcall: {} cannot be made: ", file.join("inside").display())),
        (&folder.0, &keys, "rollcall: DynamoDB does not answer: ".to_owned()),
    ] {
        let (code, said) = fail(folder, environment);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.starts_with(&expected), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
