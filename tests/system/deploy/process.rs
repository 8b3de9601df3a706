//! The process that `make run` starts: what it prints, that its data survives a restart, why a start fails,
//! and how it stops.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::types::TimeToLiveSpecification;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use http::{HeaderMap, Response};
use serde_json::json;
use service::MAX_BODY_BYTES;
use tests::client::Client;
use tests::faults::{FAULTS, Fault, FaultyDynamoDb};
use tests::faulty_service::FaultyService;
use tests::folder::Folder;
use tests::forward::{Forward, dynamodb_answer};
use tests::interrupted::unfinished;
use tests::provisioning::{USER, add_members_body, create_group, create_users, members_of};
use tests::receiver::Receiver;
use tests::service::{TABLE, TIME_LIMIT, binaries, service};
use tests::workspace;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use uuid::Uuid;

/// A running process, and the endpoint URL, username and password that it printed.
pub struct Running {
    pub child: Child,
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
    pub fn start(folder: &Path, environment: &[(&str, &str)]) -> Self {
        let mut child = program(folder, environment).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let lines = ["Endpoint URL:", "Username:", "Password:"].map(|name| {
            let mut line = String::new();
            out.read_line(&mut line).unwrap();
            line.strip_prefix(name).unwrap_or_else(|| panic!("{line:?} begins with {name}")).trim().to_owned()
        });
        Self { child, out, lines }
    }

    pub fn client(&self) -> Client {
        let [url, username, password] = &self.lines;
        Client::new(url, username, password)
    }

    /// Opens a connection and sends the beginning of a request, with the right credentials.
    fn begin_request(&self, head: &str) -> TcpStream {
        let address = self.lines[0].trim_start_matches("http://").split('/').next().unwrap();
        let mut connection = TcpStream::connect(address).unwrap();
        let authorization = self.client().basic();
        write!(connection, "{head}Host: localhost\r\nAuthorization: {authorization}\r\n").unwrap();
        connection
    }

    /// Reads the line after the credentials, which has the URL of the start page. Returns the URL.
    fn start_page(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim().trim_start_matches("Start page:").trim().trim_end_matches('/').to_owned()
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Ends the process with a signal. Returns the exit status and the output after the three lines.
    fn end(mut self, signal: &str) -> (ExitStatus, String) {
        self.signal(signal);
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // This fails if the process has ended.
        let _ = self.child.kill();
    }
}

/// Starts a process that must fail. Returns its exit code and its error output.
fn start_and_fail(folder: &Path, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = program(folder, environment).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn user(name: &str) -> serde_json::Value {
    json!({ "schemas": [USER], "userName": name })
}

#[tokio::test]
async fn log_line_has_the_trace_that_the_client_sent_if_its_form_is_exact() {
    let folder = Folder::new();
    let running = Running::start(folder.path(), &[]);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let exact = format!("00-{trace}-00f067aa0ba902b7-01");
    for (path, header) in [("/Users", exact.clone()), ("/Groups", format!("{exact} forged=true"))] {
        assert_eq!(running.client().send("GET", path, &[("traceparent", &header)], "").await.status, 200);
    }
    let (_, log) = running.end("-TERM");
    let line = |path: &str| log.lines().find(|line| line.contains(path)).unwrap_or_else(|| panic!("{log}"));
    assert!(line("/Users").contains(&format!("INFO request{{trace={trace}}}: method=GET")), "{log}");
    assert!(!log.contains("forged") && !line("/Groups").contains("trace"), "{log}");
}

#[tokio::test]
async fn answered_writes_survive_a_restart_and_a_kill() {
    let folder = Folder::missing();
    let first = Running::start(folder.path(), &[]);
    let mode = std::fs::metadata(folder.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "only the current user can read the folder");
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
    assert!(!log.contains(&lines[2]) && !log.contains("Basic"), "the log contains no secret: {log}");

    let second = Running::start(folder.path(), &[]);
    assert_eq!(second.lines[1..], lines[1..], "the credentials are unchanged");
    assert_eq!(second.client().post("/Users", &user("before the kill")).await.status, 201);
    second.end("-KILL");

    let third = Running::start(folder.path(), &[]);
    let names = third.client().get("/Users?sortBy=userName").await.json();
    assert_eq!(
        (&names["totalResults"], &names["Resources"][0]["userName"]),
        (&json!(2), &json!("before the kill"))
    );
    assert!(third.end("-INT").0.success());
}

#[tokio::test]
async fn events_are_sent_to_the_url_of_a_feed() {
    let (folder, receiver) = (Folder::missing(), Receiver::start().await);
    let running = Running::start(folder.path(), &[("ALLOW_PRIVATE_TARGETS", "true")]);
    let data = folder.path().to_str().unwrap();
    let create = ["--local", data, "feed", "create", "default", "platform", "--webhook", &receiver.url];
    let output = Command::new(binaries().join("scimctl"))
        .args(create)
        .args(["--url", "http://localhost"])
        .env("ALLOW_PRIVATE_TARGETS", "true")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let created = running.client().post("/Users", &user("ann")).await;
    assert_eq!(created.status, 201);
    tokio::time::timeout(TIME_LIMIT, receiver.wait_for(1)).await.expect("the event is sent");
    assert_eq!(receiver.uris(), [format!("/Users/{}", created.json()["id"].as_str().unwrap())]);
    assert!(running.end("-TERM").0.success());
}

#[tokio::test]
async fn doctor_passes_on_a_laptop_and_notes_what_is_checked_only_in_aws() {
    let folder = Folder::missing();
    let mut running = Running::start(folder.path(), &[]);
    let url = running.start_page();
    let mut doctor = Command::new(binaries().join("scimctl"));
    doctor.args(["--local", folder.path().to_str().unwrap(), "doctor", "default", "--url", &url]);
    let output = doctor.output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && !out.contains("FAILED"), "{out}");
    let notes: Vec<&str> = out.lines().filter(|line| line.starts_with("note ")).collect();
    let note = "note    the table is in the embedded engine of this machine. In AWS, this command also checks its stream, its deletion \
                protection and its point-in-time recovery, which the engine does not have";
    assert_eq!(notes, [note]);
    assert!(out.contains("ok      the table deletes expired items\n"), "{out}");
    assert!(running.end("-INT").0.success());
}

#[tokio::test]
async fn scim_requests_need_the_origin_secret_and_the_log_does_not_have_it() {
    let folder = Folder::missing();
    let secret = "a-secret-of-the-origin";
    let running = Running::start(folder.path(), &[("ORIGIN_SECRET", secret), ("LOG_LEVEL", "service=trace")]);
    let client = running.client();
    let status =
        async |value: &str| client.send("GET", "/Users", &[("x-origin-secret", value)], "").await.status;
    assert_eq!([status("").await, status("wrong-secret").await, status(secret).await], [403, 403, 200]);
    // The start page and the health are no SCIM requests.
    let origin = running.lines[0].trim_end_matches("/default/scim/v2");
    assert_eq!(Client::new(origin, "", "").get("/health").await.status, 200);
    let (_, log) = running.end("-TERM");
    assert!(log.contains("status=403"), "{log}");
    assert!(!log.contains(secret) && !log.contains("wrong-secret"), "{log}");
}

#[tokio::test]
async fn credentials_and_public_url_come_from_the_environment() {
    let folder = Folder::missing();
    let environment = [
        ("SCIM_USERNAME", "me"),
        ("SCIM_PASSWORD", "a chosen password"),
        ("PUBLIC_URL", "https://scim.example.com/"),
    ];
    let mut running = Running::start(folder.path(), &environment);
    assert_eq!(
        running.lines,
        ["https://scim.example.com/default/scim/v2", "me", "(the value of SCIM_PASSWORD)"],
        "a password of the environment is not printed"
    );
    let url = format!("{}/default/scim/v2", running.start_page());
    assert_eq!(Client::new(&url, "me", "a chosen password").get("/Users").await.status, 200);
    let (status, log) = running.end("-TERM");
    assert!(status.success() && !log.contains("a chosen password"), "{log}");
    assert!(!folder.path().join("credentials.json").exists(), "no password is generated");
}

/// The names and modes of a folder and the files in it.
fn modes(folder: &Path) -> BTreeMap<String, u32> {
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), mode(&path)));
    files.chain([(".".to_owned(), mode(folder))]).collect()
}

#[tokio::test]
async fn only_the_current_user_can_read_the_data() {
    let folder = Folder::missing();
    std::fs::create_dir(folder.path()).unwrap();
    let set_mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode(folder.path(), 0o755);
    for name in ["dynamodb.sqlite", "dynamodb-access-key", "lock"] {
        set_mode(Path::new(&folder.write(name, "")), 0o666);
    }
    let running = Running::start(folder.path(), &[]);
    assert_eq!(running.client().post("/Users", &user("ann")).await.status, 201);
    let mut modes = modes(folder.path());
    assert_eq!(modes.remove("."), Some(0o700));
    for name in ["dynamodb.sqlite", "dynamodb.sqlite-wal", "dynamodb-access-key", "credentials.json", "lock"]
    {
        assert!(modes.contains_key(name), "{name}: {modes:?}");
    }
    assert!(modes.values().all(|mode| mode & 0o077 == 0), "{modes:?}");

    let file = folder.file_path("users.csv");
    let export = ["--local", folder.path().to_str().unwrap(), "export", "users", "default", &file];
    let exported = Command::new(binaries().join("scimctl")).args(export).output().unwrap();
    assert!(exported.status.success(), "{exported:?}");
    assert!(std::fs::read_to_string(&file).unwrap().contains("ann"));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    drop(running);

    let shared = Folder::missing();
    std::fs::create_dir(shared.path()).unwrap();
    set_mode(shared.path(), 0o1777);
    let (code, error) = start_and_fail(shared.path(), &[]);
    assert_eq!(code, Some(1));
    assert!(error.contains("all users of this machine share the folder"), "{error}");
}

/// Starts only the embedded engine. Returns the process, the endpoint that it prints, and the access key in its folder.
fn start_engine(folder: &Path, environment: &[(&str, &str)]) -> (Child, String, String) {
    let mut child = program(folder, environment).arg("dynamodb").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let endpoint = lines.find_map(|line| Some(line.unwrap().strip_prefix("DynamoDB:")?.trim().to_owned()));
    let access_key = std::fs::read_to_string(folder.join("dynamodb-access-key")).unwrap();
    (child, endpoint.unwrap(), access_key)
}

/// Lists the connectors over the port of an engine.
fn list_connectors(endpoint: &str, access_key: &str) -> Output {
    let environment = [
        ("DYNAMODB_ENDPOINT", endpoint),
        ("AWS_ACCESS_KEY_ID", access_key),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_REGION", "us-east-1"),
        ("TABLE_NAME", "rollcall"),
    ];
    let mut command = Command::new(binaries().join("scimctl"));
    command.args(["connector", "list"]).env_clear().envs(environment).output().unwrap()
}

#[tokio::test]
async fn each_run_has_its_own_access_key_and_make_lambda_finds_it() {
    // The Makefile reads the access key from the same file, in another folder.
    let read = "$$(cat .local/lambda/dynamodb-access-key)";
    let makefile = std::fs::read_to_string(workspace().join("Makefile")).unwrap();
    assert!(makefile.contains(&format!("AWS_ACCESS_KEY_ID={read} DYNAMODB_ENDPOINT=http://127.0.0.1:8000")));
    let folder = Folder::missing();
    let start_engine = || start_engine(folder.path(), &[("SCIM_PASSWORD", "correct horse battery staple")]);
    let (mut first, endpoint, first_key) = start_engine();
    let listed = list_connectors(&endpoint, &first_key);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("default"), "{listed:?}");
    first.kill().unwrap();
    first.wait().unwrap();

    let (mut second, endpoint, second_key) = start_engine();
    assert_eq!(first_key.len(), 43);
    assert_ne!(first_key, second_key);
    let refused = list_connectors(&endpoint, &first_key);
    assert!(!refused.status.success(), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("UnrecognizedClientException"), "{refused:?}");
    second.kill().unwrap();
    second.wait().unwrap();
}

// Other systems than Linux have only one loopback address.
#[cfg(target_os = "linux")]
#[test]
fn engine_listens_only_on_the_address_of_the_environment_and_accepts_it_as_host() {
    let folder = Folder::missing();
    let (mut child, endpoint, access_key) = start_engine(folder.path(), &[("DYNAMODB_ADDRESS", "127.0.0.2")]);
    let port = endpoint.strip_prefix("http://127.0.0.2:").unwrap_or_else(|| panic!("{endpoint}"));
    let listed = list_connectors(&endpoint, &access_key);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("default"), "{listed:?}");
    let refused = list_connectors(&endpoint, "wrong");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("UnrecognizedClientException"), "{refused:?}");
    let elsewhere = TcpStream::connect(format!("127.0.0.1:{port}"));
    assert_eq!(elsewhere.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn dynamodb_endpoint_is_used_and_its_missing_table_is_created() {
    let folder = Folder::missing();
    let table = format!("table-{}", Uuid::new_v4());
    let environment = [("DYNAMODB_ENDPOINT", service().endpoint()), ("TABLE_NAME", &table)];
    let running = Running::start(folder.path(), &environment);
    assert_eq!(running.client().post("/Users", &user("ann")).await.status, 201);
    let (status, log) = running.end("-TERM");
    assert!(status.success(), "{status}");
    assert!(!log.contains("WARN"), "a loopback DynamoDB needs no credentials: {log}");
    assert!(!folder.path().join("dynamodb.sqlite").exists(), "the embedded engine is not started");
    let again = Running::start(folder.path(), &environment);
    assert_eq!(again.client().get("/Users").await.json()["totalResults"], 1);
}

#[test]
fn failed_start_prints_one_line_with_the_reason() {
    let folder = Folder::missing();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let unreachable = ("DYNAMODB_ENDPOINT", "http://127.0.0.1:1");
    std::fs::create_dir_all(folder.path()).unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for (folder, environment, expected) in [
        (folder.path(), &[("PORT", port.as_str())][..], format!("rollcall: port {port} cannot be used: ")),
        (
            folder.path(),
            &[("PORT", "x")],
            "rollcall: PORT is \"x\", and must be a number up to 65535".to_owned(),
        ),
        (
            &file.join("inside"),
            &[],
            format!("rollcall: {} cannot be created: ", file.join("inside").display()),
        ),
        (
            folder.path(),
            &[("DYNAMODB_ADDRESS", "0.0.0.0")],
            "rollcall: DYNAMODB_ADDRESS is \"0.0.0.0\", and must be one IP address of this machine, "
                .to_owned(),
        ),
        (
            folder.path(),
            &[("DYNAMODB_ADDRESS", "localhost")],
            "rollcall: DYNAMODB_ADDRESS is \"localhost\", and must be one IP address of this machine, "
                .to_owned(),
        ),
        (folder.path(), &[unreachable], "rollcall: DynamoDB did not respond: ".to_owned()),
    ] {
        let (code, printed) = start_and_fail(folder, environment);
        assert_eq!(code, Some(1), "{printed}");
        assert!(printed.starts_with(&expected), "{printed}");
        assert_eq!(printed.lines().count(), 1, "{printed}");
    }
}

#[test]
fn second_process_over_the_same_data_folder_is_refused() {
    let folder = Folder::missing();
    let first = Running::start(folder.path(), &[]);
    let endpoint = || std::fs::read_to_string(folder.path().join("dynamodb-endpoint")).unwrap();
    let before = endpoint();
    let (code, printed) = start_and_fail(folder.path(), &[]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(
        printed.starts_with(&format!("rollcall: another process is using {}; ", folder.path().display())),
        "{printed}"
    );
    assert_eq!(printed.lines().count(), 1, "{printed}");
    assert_eq!(endpoint(), before, "the file still names the endpoint of the first process");
    assert!(first.end("-TERM").0.success());
}

#[test]
fn unfinished_requests_do_not_delay_the_shutdown() {
    let folder = Folder::missing();
    let running = Running::start(folder.path(), &[]);
    let _half_of_a_head = running.begin_request("GET /default/scim/v2/Users HTTP/1.1\r\n");
    let engine = std::fs::read_to_string(folder.path().join("dynamodb-endpoint")).unwrap();
    let mut engine = TcpStream::connect(engine.trim_start_matches("http://")).unwrap();
    write!(engine, "POST / HTTP/1.1\r\n").unwrap();
    let mut no_body = running.begin_request("POST /default/scim/v2/Users HTTP/1.1\r\n");
    write!(no_body, "Content-Length: 100\r\nExpect: 100-continue\r\n\r\n").unwrap();
    let mut no_body = BufReader::new(no_body);
    let mut interim_answer = String::new();
    no_body.read_line(&mut interim_answer).unwrap();
    assert_eq!(interim_answer, "HTTP/1.1 100 Continue\r\n", "the request is running");
    let (status, log) = running.end("-TERM");
    assert!(status.success(), "{status}");
    assert!(log.contains("method=POST path=\"/default/scim/v2/Users\" status=408 ms="), "{log}");
    let mut answer = String::new();
    no_body.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("HTTP/1.1 408 ") && answer.contains("\"status\":\"408\""), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn second_signal_stops_the_process_at_once() {
    let folder = Folder::missing();
    let dynamodb = FaultyDynamoDb::start(service().endpoint()).await;
    let table = format!("table-{}", Uuid::new_v4());
    let environment = [("DYNAMODB_ENDPOINT", dynamodb.endpoint.as_str()), ("TABLE_NAME", &table)];
    let mut running = Running::start(folder.path(), &environment);
    let (begin, has_begun) = oneshot::channel();
    dynamodb.interrupt(0, async move {
        begin.send(()).unwrap();
        std::future::pending().await
    });
    let mut request = running.begin_request("GET /default/scim/v2/Users HTTP/1.1\r\n");
    write!(request, "\r\n").unwrap();
    has_begun.await.unwrap();
    // The service retries the request until its deadline.
    dynamodb.fail_from(0, Fault::Throttled);
    running.signal("-TERM");
    let mut line = String::new();
    while !line.contains("another signal stops at once") {
        line.clear();
        assert_ne!(running.out.read_line(&mut line).unwrap(), 0, "the process logs the first signal");
    }
    let (status, log) = running.end("-TERM");
    assert_eq!(status.code(), Some(1));
    assert!(!log.contains("method=GET"), "the process does not wait for the request: {log}");
}

#[tokio::test]
async fn request_with_a_refused_body_is_logged() {
    let folder = Folder::missing();
    let running = Running::start(folder.path(), &[]);
    let too_long = vec![b' '; MAX_BODY_BYTES + 1];
    assert_eq!(running.client().send("POST", "/Users", &[], too_long.clone()).await.status, 413);
    let unauthenticated = Client::new(&running.lines[0], "okta", "wrong");
    assert_eq!(unauthenticated.send("PUT", "/Users/x", &[], too_long).await.status, 401);
    let mut cut_off = running.begin_request("PATCH /default/scim/v2/Users/x HTTP/1.1\r\n");
    write!(cut_off, "Content-Length: 100\r\n\r\n{{").unwrap();
    cut_off.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    cut_off.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 ")
            && answer.contains("The connection ended before the request body was complete"),
        "{answer}"
    );
    let (_, log) = running.end("-TERM");
    for expected in [
        "method=POST path=\"/default/scim/v2/Users\" status=413 ms=",
        "method=PUT path=\"/default/scim/v2/Users/x\" status=401 ms=",
        "method=PATCH path=\"/default/scim/v2/Users/x\" status=400 ms=",
    ] {
        assert!(log.contains(expected), "{expected}: {log}");
    }
}

/// Answers as AWS does while it creates a table: the first descriptions have the status CREATING, and the table cannot be
/// changed until then.
async fn create_slowly(
    State((engine, descriptions_left)): State<(Forward, Arc<AtomicUsize>)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let target = headers["x-amz-target"].to_str().unwrap();
    let is_being_created = (1..=2).contains(&descriptions_left.load(Ordering::SeqCst));
    match target.rsplit('.').next().unwrap() {
        "CreateTable" => descriptions_left.store(2, Ordering::SeqCst),
        "DescribeTable" if is_being_created => {
            descriptions_left.fetch_sub(1, Ordering::SeqCst);
            return dynamodb_answer(200, &json!({ "Table": { "TableStatus": "CREATING" } }));
        }
        "UpdateTimeToLive" if is_being_created => {
            let kind = "com.amazonaws.dynamodb.v20120810#ResourceInUseException";
            return dynamodb_answer(400, &json!({ "__type": kind }));
        }
        _ => {}
    }
    engine.send(&headers, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn start_waits_until_a_new_table_is_active() {
    let folder = Folder::missing();
    let table = format!("table-{}", Uuid::new_v4());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let descriptions_left = Arc::new(AtomicUsize::new(0));
    let state = (Forward::to(service().endpoint()), Arc::clone(&descriptions_left));
    tokio::spawn(
        axum::serve(listener, Router::new().fallback(create_slowly).with_state(state)).into_future(),
    );
    let environment = [("DYNAMODB_ENDPOINT", endpoint.as_str()), ("TABLE_NAME", &table)];
    let running = Running::start(folder.path(), &environment);
    assert_eq!(descriptions_left.load(Ordering::SeqCst), 0, "the process waits until the table is active");
    assert_eq!(ttl_attribute(&table).await.as_deref(), Some("expires"));
    assert!(running.end("-TERM").0.success());
}

#[tokio::test]
async fn start_enables_ttl_on_a_table_without_it() {
    let folder = Folder::missing();
    let table = format!("table-{}", Uuid::new_v4());
    let environment = [("DYNAMODB_ENDPOINT", service().endpoint()), ("TABLE_NAME", &table)];
    Running::start(folder.path(), &environment).end("-TERM");
    let never = TimeToLiveSpecification::builder().enabled(false).attribute_name("expires").build().unwrap();
    let update = service().dynamodb().update_time_to_live().table_name(&table);
    update.time_to_live_specification(never).send().await.unwrap();
    assert_eq!(ttl_attribute(&table).await, None);
    Running::start(folder.path(), &environment).end("-TERM");
    assert_eq!(ttl_attribute(&table).await.as_deref(), Some("expires"));
}

/// The TTL attribute of a table, if TTL is enabled.
async fn ttl_attribute(table: &str) -> Option<String> {
    let described = service().dynamodb().describe_time_to_live().table_name(table).send().await.unwrap();
    described.time_to_live_description.unwrap().attribute_name
}

#[tokio::test(flavor = "multi_thread")]
async fn process_finishes_the_work_of_another_that_died() {
    let faulty = FaultyService::new().await;
    let (client, connector) = (faulty.client(), &faulty.connector.id);
    let users = create_users(&client, 60).await;
    let group = create_group(&client, "Tour Guides", &[]).await;
    faulty.cut_off("PATCH", &format!("/Groups/{group}"), &add_members_body(&users)).await;
    let environment = [("DYNAMODB_ENDPOINT", faulty.service.endpoint()), ("TABLE_NAME", TABLE)];
    let folder = Folder::missing();
    let running = Running::start(folder.path(), &environment);
    let finished = async {
        while unfinished(&faulty.service, connector).await > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TIME_LIMIT, finished).await.expect("the process finishes the change");
    assert_eq!(members_of(&client, &group).await, users.into_iter().collect());
    running.end("-TERM");
}

#[tokio::test(flavor = "multi_thread")]
async fn start_over_another_dynamodb_survives_each_fault() {
    let faulty = FaultyDynamoDb::start(service().endpoint()).await;
    // Requests about the table itself do not conflict with transactions.
    for fault in FAULTS.into_iter().filter(|fault| *fault != Fault::Conflict) {
        for at in 0.. {
            let table = format!("t{}", Uuid::new_v4().simple());
            let environment = [("DYNAMODB_ENDPOINT", faulty.endpoint.as_str()), ("TABLE_NAME", &table)];
            let folder = Folder::missing();
            faulty.fail_once(at, fault);
            let running = Running::start(folder.path(), &environment);
            let was_hit = at < faulty.heal();
            assert_eq!(running.client().get("/Users").await.status, 200, "{fault:?} at {at}");
            if !was_hit {
                assert!(at > 4, "only {at} requests");
                break;
            }
        }
    }
}
