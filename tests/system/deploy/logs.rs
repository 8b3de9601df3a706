//! The logs of the functions and of `make run`, at every level: they contain no secret, and no value that a client chooses can
//! forge a line or change how a line looks.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use directory::Table;
use directory::connectors::ConnectorId;
use runtime::data_folder::read_engine;
use runtime::dynamodb::client_of_engine;
use serde_json::{Value, json};
use service::routes::{FALLBACK, ROUTES, Route};
use tests::client::{Client, SCIM_JSON};
use tests::folder::Folder;
use tests::gateway::{DEFAULT_ROUTE, Gateway};
use tests::lambda::Lambda;
use tests::oauth::{
    SigningKey, get_with_token, request_token_by_assertion, request_token_by_secret, token_of,
};
use tests::provisioning::{USER, create_user, patch_body};
use tests::service::{Service, TABLE, TIME_LIMIT, binaries};
use tokio::time::Instant;

/// The last is not documented: it shows that no library logs more at it.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

const WRONG_PASSWORD: &str = "wrong-password-f81d4fae";
const USER_PASSWORD: &str = "password-of-a-new-user-7dec11d0";
const PATCHED_PASSWORD: &str = "password-by-patch-a76500a0";
const BULK_PASSWORD: &str = "password-by-bulk-c91e6bf6";
const CHOSEN_PASSWORD: &str = "chosen-by-an-operator-3b1f";

/// Where the table of a service is, as `scimctl` and the functions read it from the environment.
type Environment = Vec<(&'static str, String)>;

fn environment(endpoint: &str, access_key: &str, table: &str, level: &str) -> Environment {
    [
        ("DYNAMODB_ENDPOINT", endpoint),
        ("AWS_ACCESS_KEY_ID", access_key),
        ("AWS_SECRET_ACCESS_KEY", access_key),
        ("AWS_REGION", "local"),
        ("TABLE_NAME", table),
        ("LOG_LEVEL", level),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

/// The functions, over the Lambda runtime API. All their output goes to a file.
async fn start_functions(environment: Environment, log: &str) -> Gateway {
    let log = File::create(log).unwrap();
    let lambda = Lambda::new(move |function| {
        let mut command = tokio::process::Command::new(binaries().join(function));
        command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdout(log.try_clone().unwrap()).stderr(log.try_clone().unwrap());
        command
    });
    let paths: Vec<String> = ROUTES.iter().map(Route::full_path).collect();
    let routes = ROUTES.iter().zip(&paths).map(|(route, path)| (route.method, path.as_str(), route.function));
    let routes: Vec<_> = routes.chain([("", DEFAULT_ROUTE, FALLBACK)]).collect();
    Gateway::start(&routes, lambda).await
}

/// The process of `make run`.
struct Local {
    child: std::process::Child,
    client: Client,
    log: JoinHandle<String>,
}

impl Local {
    /// Starts the process. Its error output goes to a file.
    fn start(folder: &Path, level: &str, errors: &str) -> Self {
        let mut command = Command::new(binaries().join("local"));
        command.env_clear().env("DATA_DIR", folder).env("PORT", "0").env("LOG_LEVEL", level);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(errors).unwrap());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        // The password is printed once, and its line is not part of the log.
        let mut log = String::new();
        let [url, username, password, _] =
            ["Endpoint URL:", "Username:", "Password:", "Start page:"].map(|label| {
                loop {
                    let mut line = String::new();
                    assert_ne!(out.read_line(&mut line).unwrap(), 0, "the process ended");
                    match line.strip_prefix(label) {
                        Some(value) => return value.trim().to_owned(),
                        None => log.push_str(&line),
                    }
                }
            });
        // The pipe is read all the time, because a full pipe would stop the process.
        let log = std::thread::spawn(move || {
            out.read_to_string(&mut log).unwrap();
            log
        });
        Self { child, client: Client::new(&url, &username, &password), log }
    }

    /// Ends the process, and returns its log.
    fn end(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.log.join().unwrap()
    }
}

/// Runs `scimctl` on the table, and returns its output and errors.
fn scimctl(environment: &Environment, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(binaries().join("scimctl"));
    command.args(arguments).env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

/// The requests of a client and the commands of an operator that carry secrets. Returns the output of `scimctl`, and the tokens
/// that it printed.
async fn converse(client: &Client, environment: &Environment) -> (String, Vec<String>) {
    let user =
        |name: &str, password: &str| json!({ "schemas": [USER], "userName": name, "password": password });
    let wrong = Client::new(&client.base_url, &client.username, WRONG_PASSWORD);
    assert_eq!(wrong.get("/Users").await.status, 401);
    assert_eq!(client.get("/Users?filter=userName%20xx%20%22ann%22").await.status, 400);
    let created = client.post("/Users", &user("ann", USER_PASSWORD)).await;
    assert_eq!(created.status, 201);
    assert_eq!(client.post("/Users", &user("ann", USER_PASSWORD)).await.status, 409);
    let patch = patch_body(json!([{ "op": "replace", "path": "password", "value": PATCHED_PASSWORD }]));
    let ann = format!("/Users/{}", created.json()["id"].as_str().unwrap());
    assert_eq!(client.patch(&ann, &patch).await.status, 200);
    let operation =
        json!({ "method": "POST", "path": "/Users", "bulkId": "b", "data": user("bob", BULK_PASSWORD) });
    let bulk = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [operation]
    });
    assert_eq!(client.post("/Bulk", &bulk).await.json()["Operations"][0]["status"], "201");
    let page = client.get("/Users?cursor=&count=1").await.json();
    let next = format!("/Users?count=1&cursor={}", page["nextCursor"].as_str().unwrap());
    assert_eq!(client.get(&next).await.status, 200);

    let connector = client.connector();
    let chosen = ["connector", "rotate", connector, "--username", &client.username, "--password", "-"];
    let mut printed = scimctl(environment, &chosen, &format!("{CHOSEN_PASSWORD}\n"));
    let value = |printed: &str, label: &str| {
        printed.lines().find_map(|line| line.strip_prefix(label)).unwrap().trim().to_owned()
    };
    let rotated = scimctl(environment, &["connector", "rotate", connector, "--bearer"], "");
    let token = value(&rotated, "Token:");
    assert_eq!(rotated.matches(&token).count(), 1, "a generated secret is printed once: {rotated}");
    printed.push_str(&rotated.replace(&token, ""));
    // The processes may still have the old credentials in their caches.
    let bearer = format!("Bearer {token}");
    client.send("GET", "/Users", &[("accept", SCIM_JSON), ("authorization", &bearer)], "").await;
    let with_chosen = Client::new(&client.base_url, &client.username, CHOSEN_PASSWORD);
    with_chosen.get("/Users").await;
    let mut secrets = vec![token];
    secrets.extend(converse_with_oauth(client, environment).await);
    (printed, secrets)
}

/// The requests of an OAuth client. Returns its secret, its assertion and its tokens.
async fn converse_with_oauth(client: &Client, environment: &Environment) -> Vec<String> {
    let created = scimctl(environment, &["credential", "create", client.connector(), "--oauth"], "");
    let value =
        |label: &str| created.lines().find_map(|line| line.strip_prefix(label)).unwrap().trim().to_owned();
    let (client_id, secret) = (value("Client id:"), value("Client secret:"));
    assert_eq!(created.matches(&secret).count(), 1, "a generated secret is printed once: {created}");
    let token = token_of(&request_token_by_secret(client, &client_id, &secret).await);
    assert_eq!(get_with_token(client, "/Users", &token).await.status, 200);
    assert_eq!(request_token_by_secret(client, &client_id, WRONG_PASSWORD).await.status, 401);
    let claims = json!({ "iss": client_id, "sub": client_id, "aud": "x", "exp": 4_000_000_000_u64 });
    let assertion = SigningKey::new_ec().sign("1", &claims);
    assert_eq!(request_token_by_assertion(client, &assertion).await.status, 401);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", "A".repeat(signature.len()));
    assert_eq!(get_with_token(client, "/Users", &forged).await.status, 401);
    vec![secret, token, assertion, forged]
}

/// Every secret of the conversation: what clients and operators sent, and what the table stores.
async fn secrets(table: &Table, client: &Client, access_key: &str, tokens: Vec<String>) -> Vec<String> {
    let id = ConnectorId::parse(client.connector()).unwrap();
    let connector = table.until(Instant::now() + TIME_LIMIT).connector(&id).await.unwrap().unwrap();
    assert!(connector.credentials.len() >= 3, "{connector:?}");
    let basic = |password: &str| BASE64.encode(format!("{}:{password}", client.username));
    let passwords = [client.password.as_str(), WRONG_PASSWORD, CHOSEN_PASSWORD];
    let mut secrets: Vec<String> = passwords.iter().map(|password| basic(password)).collect();
    secrets.extend(passwords.map(str::to_owned));
    secrets.extend([USER_PASSWORD, PATCHED_PASSWORD, BULK_PASSWORD, access_key].map(str::to_owned));
    secrets.extend(connector.credentials.into_iter().map(|credential| credential.secret));
    secrets.push(connector.record.cursor_key);
    secrets.extend(client.token.clone());
    secrets.extend(tokens);
    secrets
}

fn assert_no_secret(place: &str, output: &str, secrets: &[String]) {
    for secret in secrets {
        assert!(secret.len() >= 8, "{secret:?} is too short to be looked for");
        let line = output.lines().find(|line| line.contains(secret.as_str()));
        assert_eq!(line, None, "{place}: the output contains the secret {secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_log_no_secret_at_any_level() {
    let service = Service::start();
    let folder = Folder::new();
    for level in LEVELS {
        let connector = service.connector().await;
        let environment = environment(service.engine_url(), service.access_key(), TABLE, level);
        let log = folder.file_path(level);
        let gateway = start_functions(environment.clone(), &log).await;
        let Client { username, password, token, .. } = connector.local(&service);
        let client = Client::new(&gateway.base_url(&connector.id.to_string()), &username, &password);
        let client = client.with_token(&token.unwrap());
        let (printed, tokens) = converse(&client, &environment).await;
        let secrets = secrets(&service.table(), &client, service.access_key(), tokens).await;
        drop(gateway);
        let log = std::fs::read_to_string(log).unwrap();
        let has_requests = ["info", "debug", "trace"].contains(&level);
        assert_eq!(log.contains(r#""method":"POST""#), has_requests, "{level}: {log}");
        assert_no_secret(level, &log, &secrets);
        assert_no_secret("scimctl", &printed, &secrets);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn local_service_logs_no_secret_at_any_level() {
    for level in LEVELS {
        let folder = Folder::new();
        let data = folder.path().join("data");
        let errors = folder.file_path("errors");
        let local = Local::start(&data, level, &errors);
        let engine = read_engine(&data).unwrap();
        let environment = environment(&engine.endpoint, &engine.access_key, "rollcall", level);
        let (printed, tokens) = converse(&local.client, &environment).await;
        let table = Table::new(client_of_engine(&engine).await, "rollcall".to_owned());
        let secrets = secrets(&table, &local.client, &engine.access_key, tokens).await;
        let log = local.end() + &std::fs::read_to_string(errors).unwrap();
        let has_requests = ["info", "debug", "trace"].contains(&level);
        assert_eq!(log.contains(" method=POST "), has_requests, "{level}: {log}");
        assert_no_secret(level, &log, &secrets);
        assert_no_secret("scimctl", &printed, &secrets);
    }
}

/// Characters that begin a line, control a terminal, change the direction of text or have no width.
const DECEPTIVE: &str = "\n\r\u{85}\u{2028}\u{1b}[2K\u{9b}\u{7f}\u{202e}\u{2066}\u{200b}\u{feff}\u{e0041}";
/// What an attacker wants in the log as a line of its own.
const FORGED: &str = r#"2026-01-01T00:00:00.000000Z  INFO {"level":"INFO","forged":true}"#;

/// Sends deceptive characters wherever they can get into the log.
async fn deceive(client: &Client) {
    let text = format!("{DECEPTIVE}{FORGED}");
    let encoded = tests::provisioning::percent_encoded(&text);
    for target in [
        format!("/Users/{encoded}"),
        format!("/{encoded}"),
        format!("/Users?filter={encoded}"),
        format!("/Users?filter=userName%20eq%20%22{encoded}%22&sortBy={encoded}"),
        format!("/Users?attributes={encoded}"),
        format!("/Users?cursor={encoded}"),
    ] {
        client.get(&target).await;
    }
    let other = Client::new(&client.base_url.replace("/scim/v2", &encoded), &client.username, "wrong");
    other.get("/Users").await;
    create_user(client, &format!("ann{text}")).await;
    for body in [
        json!({ "schemas": [text], "userName": "bob" }),
        json!({ "schemas": [USER], "userName": format!("ann{text}") }),
        json!({ "schemas": [USER], "userName": "bob", text.as_str(): 1, "active": text }),
        json!({ "schemas": [USER], "userName": "bob", "emails": text }),
    ] {
        client.post("/Users", &body).await;
    }
    let patch = patch_body(json!([{ "op": "replace", "path": text, "value": text }]));
    client.patch("/Users/11111111-1111-4111-8111-111111111111", &patch).await;
}

fn assert_plain(line: &str) {
    let is_deceptive = |c: char| DECEPTIVE.contains(c) && !"[2K".contains(c);
    assert!(!line.contains(is_deceptive), "{line:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_client_can_forge_a_line_of_the_functions_log() {
    let service = Service::start();
    let folder = Folder::new();
    for level in LEVELS {
        let connector = service.connector().await;
        let environment = environment(service.engine_url(), service.access_key(), TABLE, level);
        let log = folder.file_path(level);
        let gateway = start_functions(environment, &log).await;
        let local = connector.local(&service);
        let base_url = gateway.base_url(&connector.id.to_string());
        deceive(&Client::new(&base_url, &local.username, &local.password)).await;
        drop(gateway);
        let log = std::fs::read_to_string(log).unwrap();
        let has_requests = ["info", "debug", "trace"].contains(&level);
        assert_eq!(log.contains("forged"), has_requests, "{level}: {log}");
        for line in log.split_terminator('\n') {
            assert_plain(line);
            let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
            assert_eq!(line.get("forged"), None, "{line}");
        }
        let paths: Vec<Value> =
            log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
        let is_exact = |line: &Value| line["path"].as_str().is_some_and(|path| path.contains(DECEPTIVE));
        assert_eq!(
            paths.iter().any(is_exact),
            has_requests,
            "the JSON has the values as they were sent: {log}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_client_can_forge_a_line_of_the_local_log() {
    for level in LEVELS {
        let folder = Folder::new();
        let errors = folder.file_path("errors");
        let local = Local::start(&folder.path().join("data"), level, &errors);
        deceive(&local.client).await;
        let log = local.end() + &std::fs::read_to_string(errors).unwrap();
        let has_requests = ["info", "debug", "trace"].contains(&level);
        assert_eq!(log.contains("forged"), has_requests, "{level}: {log}");
        for line in log.split_terminator('\n') {
            assert_plain(line);
            assert!(!line.starts_with(FORGED) && line.starts_with("20") && line.contains("Z "), "{line:?}");
        }
        assert_eq!(log.contains("\\u{202e}"), has_requests, "{log}");
    }
}
