//! The service under test: one embedded DynamoDB engine, the local server, and the functions with their
//! gateway. Most tests share them, and each test has its own connectors.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use aws_sdk_dynamodb::Client as DynamoDb;
use directory::Table;
use directory::connectors::{ConnectorId, Connectors, scheme};
use directory::secrets::{credential_of_generated, generate_secret};
use directory::settings::Settings;
use directory::{Actor, By, Directory};
use jiff::Timestamp;
use local::engine::Engine;
use local::{server, table};
use service::Service as Functions;
use service::routes::{FALLBACK, ROUTES, Route};
use shared::credential::{CredentialKind, CredentialScope};
use shared::schema::Schemas;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use uuid::Uuid;

use crate::client::Client;
use crate::forward::Forward;
use crate::gateway::{DEFAULT_ROUTE, Gateway};
use crate::lambda::Lambda;
use crate::rights;
use crate::strict::{self, Violations};

/// The name of the table.
pub const TABLE: &str = "rollcall-test";

/// The environment variable with the URL of a DynamoDB for the tests, instead of the embedded engine. Each
/// [`Service`] uses a region of its own there.
const OTHER_DYNAMODB: &str = "TEST_DYNAMODB_ENDPOINT";
/// The access key of the engines in tests. It is that of the SDK's test credentials, which `client_at` and `scimctl
/// --endpoint` use.
pub const ACCESS_KEY: &str = "ANOTREAL";

/// The time limit of requests and operations in tests. It is long, so that no test fails because a machine is slow. Tests of
/// limits set shorter ones.
pub const TIME_LIMIT: Duration = Duration::from_secs(300);

/// The engine, the local server and the functions. The functions start at their first use.
pub struct Service {
    runtime: Option<Runtime>,
    dynamodb: DynamoDb,
    endpoint: String,
    engine_url: String,
    access_key: String,
    origin: String,
    rights: OnceLock<String>,
    gateway: OnceLock<Gateway>,
}

/// A connector that only one test uses.
#[derive(Clone)]
pub struct TestConnector {
    /// The id of the connector.
    pub id: ConnectorId,
    /// The username of its Basic credential.
    pub username: String,
    /// The password of its Basic credential.
    pub password: String,
    token: String,
}

/// The service that the tests of this process share. It has its own threads, so it does not end with a test.
pub fn service() -> &'static Service {
    static SERVICE: LazyLock<Service> = LazyLock::new(Service::start);
    &SERVICE
}

impl Service {
    /// Starts a separate service with a new engine, for tests that read the whole table.
    ///
    /// # Panics
    /// When the service does not start.
    pub fn start() -> Self {
        Self::start_over(None)
    }

    /// Starts a separate service whose engine keeps its data in this file, or in memory.
    ///
    /// # Panics
    /// When the service does not start.
    pub fn start_over(file: Option<PathBuf>) -> Self {
        Self::start_with(file, ACCESS_KEY.to_owned())
    }

    /// Starts a separate service whose engine has a random access key.
    ///
    /// # Panics
    /// When the service does not start.
    pub fn start_with_random_access_key() -> Self {
        Self::start_with(None, secret())
    }

    fn start_with(file: Option<PathBuf>, access_key: String) -> Self {
        let key = access_key.clone();
        let runtime = Runtime::new().expect("a runtime starts");
        let (send, receive) = mpsc::channel();
        runtime.spawn(async move {
            let (engine, client, endpoint) = start_dynamodb(file.as_deref(), &key).await;
            table::ensure(&client, TABLE).await.expect("the table is created");
            let functions = Functions::new(
                Table::new(client.clone(), TABLE.to_owned()),
                None,
                Schemas::built_in(),
                Timestamp::now,
            );
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
            let origin = format!("http://{}", listener.local_addr().expect("the listener has an address"));
            send.send((client, endpoint, origin)).expect("the receiver waits");
            let functions = functions.expect("the service starts").with_trail_timeout(TIME_LIMIT);
            let served = server::serve(listener, functions, None, TIME_LIMIT, std::future::pending());
            served.await.expect("the server runs");
            if let Some(engine) = engine {
                engine.stop().await;
            }
        });
        let (dynamodb, [endpoint, engine_url], origin) = receive.recv().expect("the service starts");
        let (rights, gateway) = (OnceLock::new(), OnceLock::new());
        Self { runtime: Some(runtime), dynamodb, endpoint, engine_url, access_key, origin, rights, gateway }
    }

    /// The URL of the DynamoDB engine, with the checks of [`strict`] before it.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The URL of the DynamoDB engine itself.
    pub fn engine_url(&self) -> &str {
        &self.engine_url
    }

    /// The access key that the engine requires.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// The scheme, host and port of the local server.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// A DynamoDB client for this engine.
    pub fn dynamodb(&self) -> DynamoDb {
        self.dynamodb.clone()
    }

    /// The table as the crate `directory` uses it.
    pub fn table(&self) -> Table {
        Table::new(self.dynamodb(), TABLE.to_owned()).until(Instant::now() + TIME_LIMIT)
    }

    /// The directory of a connector. The actor is an operator.
    ///
    /// # Panics
    /// When there is no such connector.
    pub async fn directory(&self, connector: &ConnectorId) -> Directory {
        let table = self.table();
        let connector =
            table.connector(connector).await.expect("DynamoDB answers").expect("the connector exists");
        Directory::new(table, Arc::new(connector), Schemas::built_in(), Timestamp::now(), actor())
    }

    /// Creates a connector with a random name.
    pub async fn connector(&self) -> TestConnector {
        create_connector(&self.connectors()).await
    }

    /// Creates a connector with this name, these Basic credentials and a random token.
    pub async fn connector_named(&self, name: &str, username: &str, password: &str) -> TestConnector {
        create_connector_named(&self.connectors(), name, username, password).await
    }

    /// The operations on connectors. The actor is an operator.
    pub fn connectors(&self) -> Connectors {
        Connectors::new(self.table(), actor(), Timestamp::now())
    }

    /// Sets when the password of a connector expires.
    ///
    /// # Panics
    /// When there is no such connector, or it has no password.
    pub async fn expire_password(&self, id: &ConnectorId, expires: Timestamp) {
        let present =
            self.table().connector(id).await.expect("DynamoDB answers").expect("the connector exists");
        let password = present
            .credentials
            .iter()
            .find(|one| scheme(one) == "Basic")
            .expect("the connector has a password");
        let set = self.connectors().set_expiry(id, &password.id, Some(expires)).await;
        set.expect("DynamoDB answers");
    }

    /// Creates a connector with a random name and these settings.
    pub async fn connector_with(&self, settings: Settings) -> TestConnector {
        let connector = self.connector().await;
        self.change_settings(&connector.id, |_| settings).await;
        connector
    }

    /// Changes the settings of a connector. A process that has the connector in its cache still uses the old
    /// settings.
    ///
    /// # Panics
    /// When there is no such connector, or it was changed at the same time.
    pub async fn change_settings(&self, id: &ConnectorId, change: impl FnOnce(Settings) -> Settings) {
        let present =
            self.table().connector(id).await.expect("DynamoDB answers").expect("the connector exists");
        let settings = change(present.record.settings.clone());
        let is_written = self.connectors().replace_settings(&present, settings).await;
        assert!(is_written.expect("DynamoDB answers"), "another writer was faster");
    }

    /// Builds the indexes of these schemas for a connector that no process has in its cache.
    ///
    /// # Panics
    /// When there is no such connector.
    pub async fn build_indexes(&self, id: &ConnectorId, schemas: &Arc<Schemas>) {
        let (connectors, now) = (self.connectors(), Timestamp::now());
        let begun = connectors.begin_reindex(id, schemas, now).await.expect("the connector exists");
        connectors.reindex(&begun, schemas, |_| ()).await.expect("DynamoDB answers");
    }

    /// A client of a new connector on the local server.
    pub async fn client(&self) -> Client {
        self.connector().await.local(self)
    }

    /// The gateway of the functions. The functions are the binaries of the same build as this test.
    pub fn gateway(&self) -> &Gateway {
        self.gateway.get_or_init(|| {
            let (endpoint, (send, receive)) = (self.endpoint_for("{function}"), mpsc::channel());
            self.runtime().spawn(async move {
                let gateway = gateway(&endpoint, &[]).await;
                send.send(gateway).map_err(|_| ()).expect("the receiver waits");
            });
            receive.recv().expect("the gateway starts")
        })
    }

    /// A gateway of functions of their own, which get these environment variables too.
    pub async fn gateway_with(&self, environment: &[(&str, &str)]) -> Gateway {
        gateway(&self.endpoint_for("{function}"), environment).await
    }

    /// The URL of DynamoDB with the rights that `template.yaml` gives a principal: a function, or a person who has
    /// only the managed policy of this id.
    ///
    /// # Panics
    /// When the proxy does not start.
    pub fn endpoint_for(&self, principal: &str) -> String {
        let endpoint = self.rights.get_or_init(|| {
            let (endpoint, (send, receive)) = (self.endpoint.clone(), mpsc::channel());
            self.runtime().spawn(async move {
                send.send(rights::start(&endpoint).await).expect("the receiver waits");
            });
            receive.recv().expect("the proxy starts")
        });
        endpoint.replace("{function}", principal)
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("the runtime runs until the service is dropped")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            Violations::of_this_process().assert_none("");
        }
        // An async test must not block, so the runtime stops in the background.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Starts a gateway of the functions with a DynamoDB, and with more environment variables. `{function}` in the URL is
/// replaced by the name of the function.
async fn gateway(dynamodb: &str, more: &[(&str, &str)]) -> Gateway {
    serve(functions(dynamodb, more)).await
}

/// The same, with metrics, and with the output of the functions in a file.
///
/// # Panics
/// When the file cannot be created, or no port is free.
pub async fn logged_gateway(dynamodb: &str, more: &[(&str, &str)], log: &Path) -> Gateway {
    let file = File::create(log).expect("the log can be created");
    let more = [&[("METRICS", "test"), ("LOG_LEVEL", "debug")], more].concat();
    serve(functions(dynamodb, &more).with_output(file)).await
}

fn functions(dynamodb: &str, more: &[(&str, &str)]) -> Lambda {
    let environment = [
        ("DYNAMODB_ENDPOINT", dynamodb),
        ("TABLE_NAME", TABLE),
        ("LOG_LEVEL", "warn"),
        // A line for each request would hide what a failed test prints.
        ("METRICS", "off"),
        ("ALLOW_PRIVATE_TARGETS", "true"),
        ("AWS_REGION", "local"),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];
    Lambda::of_binaries(binaries(), &[&environment[..], more].concat())
}

async fn serve(lambda: Lambda) -> Gateway {
    let paths: Vec<String> = ROUTES.iter().map(Route::full_path).collect();
    let mut routes: Vec<(&str, &str, &str)> = ROUTES
        .iter()
        .zip(&paths)
        .map(|(route, path)| (route.method, path.as_str(), route.function))
        .collect();
    routes.push(("", DEFAULT_ROUTE, FALLBACK));
    Gateway::start(&routes, lambda).await
}

/// Starts the embedded engine, or uses the DynamoDB that the environment names. Returns a client and the URL.
///
/// # Panics
/// When the engine does not start, or the DynamoDB is not on this machine.
async fn start_dynamodb(file: Option<&Path>, access_key: &str) -> (Option<Engine>, DynamoDb, [String; 2]) {
    let violations = Violations::of_this_process();
    match std::env::var(OTHER_DYNAMODB) {
        Ok(url) if file.is_none() => {
            // Tests write and delete.
            assert!(url.starts_with("http://127.0.0.1:"), "{OTHER_DYNAMODB} is {url}, not on this machine");
            let region = format!("test-{}", Uuid::new_v4().simple());
            let endpoint = strict::start(Forward::to(&url).with_region(region), violations).await;
            (None, runtime::dynamodb::client_at(&endpoint).await, [endpoint, url])
        }
        _ => {
            let engine =
                Engine::start(file, ([127, 0, 0, 1], 0), access_key).await.expect("the engine starts");
            let client = strict::client(&engine.client().await, &violations);
            let endpoint = strict::start(Forward::to(&engine.endpoint), violations).await;
            let url = engine.endpoint.clone();
            (Some(engine), client, [endpoint, url])
        }
    }
}

/// Creates a connector with a random name and random credentials.
///
/// # Panics
/// When DynamoDB fails.
pub async fn create_connector(connectors: &Connectors) -> TestConnector {
    create_connector_named(connectors, &format!("t{}", Uuid::new_v4().simple()), "okta", &secret()).await
}

/// Creates a connector with this name, these Basic credentials and a random token.
///
/// # Panics
/// When DynamoDB fails, or there is such a connector.
pub async fn create_connector_named(
    connectors: &Connectors,
    name: &str,
    username: &str,
    password: &str,
) -> TestConnector {
    let id = ConnectorId::parse(name).expect("the name is a valid id");
    let token = secret();
    let now = Timestamp::now();
    let kind = CredentialKind::Basic { username: username.to_owned() };
    let credentials = vec![
        credential_of_generated(kind, password, now).expect("the password is valid"),
        credential_of_generated(CredentialKind::Bearer, &token, now).expect("the token is valid"),
    ];
    let created = connectors.create(&id, name.to_owned(), credentials, Schemas::built_in()).await;
    assert!(created.expect("DynamoDB answers").is_some(), "there is a connector {name} already");
    TestConnector { id, username: username.to_owned(), password: password.to_owned(), token }
}

impl TestConnector {
    /// A client of this connector on the local server.
    pub fn local(&self, service: &Service) -> Client {
        let base_url = format!("{}/{}/scim/v2", service.origin, self.id);
        Client::new(&base_url, &self.username, &self.password).with_token(&self.token)
    }

    /// An application that reads this connector's directory on the local server, with a new credential for that.
    ///
    /// # Panics
    /// When two such credentials are live.
    pub async fn reader(&self, service: &Service) -> Client {
        self.reader_with_password(service, &secret()).await
    }

    /// The same as [`TestConnector::reader`], with this password.
    ///
    /// # Panics
    /// When two such credentials are live.
    pub async fn reader_with_password(&self, service: &Service, password: &str) -> Client {
        let username = "reader";
        let kind = CredentialKind::Basic { username: username.to_owned() };
        let credential = credential_of_generated(kind, password, Timestamp::now());
        let credential = credential.expect("the password is valid").with_scope(CredentialScope::Directory);
        let added = service.connectors().add_credential(&self.id, &credential).await;
        added.expect("the connector has less than two such credentials");
        Client::new(&format!("{}/{}/directory/v1", service.origin, self.id), username, password)
    }

    /// A client of this connector on a deployment with this URL, which has no path: https in AWS, http on this machine.
    pub fn deployed(&self, url: &str) -> Client {
        let new = if url.starts_with("https://") { Client::of_stack } else { Client::new };
        new(&format!("{url}/{}/scim/v2", self.id), &self.username, &self.password).with_token(&self.token)
    }

    /// A client of this connector on the functions.
    pub fn functions(&self, service: &Service) -> Client {
        let (gateway, id) = (service.gateway(), self.id.to_string());
        Client::new(&gateway.base_url(&id), &self.username, &self.password)
            .with_token(&self.token)
            .with_public_url(&gateway.public_url(&id))
    }
}

/// The operator who is the actor of changes in tests.
pub fn actor() -> Actor {
    Actor { by: By::Operator("test".to_owned()), request: "test".to_owned() }
}

/// Generates a password or token.
pub fn secret() -> String {
    generate_secret().expect("randomness is available")
}

/// A folder with hard links to the binaries of the same build as this test. `cargo lambda watch` builds the
/// binaries again during a test. The links keep the old files, so other tests can start them at any time.
///
/// # Panics
/// When the binaries are not built.
pub fn binaries() -> PathBuf {
    static LINKS: LazyLock<PathBuf> = LazyLock::new(|| {
        let built = built_binaries();
        let links = built.join("linked-for-tests");
        let _ = std::fs::remove_dir_all(&links);
        std::fs::create_dir_all(&links).expect("the folder can be created");
        for entry in std::fs::read_dir(&built).expect("the target folder can be read") {
            let path = entry.expect("the target folder can be read").path();
            if path.is_file() && path.extension().is_none() {
                let link = links.join(path.file_name().expect("a file has a name"));
                std::fs::hard_link(&path, link).expect("the binary can be linked");
            }
        }
        links
    });
    LINKS.clone()
}

fn built_binaries() -> PathBuf {
    let test = std::env::current_exe().expect("the test binary has a path");
    // Tests are in PROFILE/deps, and programs in PROFILE.
    let mut folders = test.ancestors().skip(1).take(2);
    let folder = folders.find(|folder| folder.join(FALLBACK).exists()).unwrap_or_else(|| {
        panic!("the functions are not built; run `cargo build --workspace --bins` first, as `make test` does")
    });
    folder.to_owned()
}
