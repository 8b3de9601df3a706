//! Starts the measured servers, each in a separate process.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use directory::Table;
use jiff::Timestamp;
use local::credentials::{CONNECTOR, Credentials};
use local::engine::Engine;
use local::server::{self, TIME_FOR_A_REQUEST};
use local::table;
use runtime::logging;
use serde::{Deserialize, Serialize};
use service::Service;
use shared::schema::Schemas;
use tests::service::TABLE;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::load::Target;
use crate::throughput::Operation;

const USERNAME: &str = "okta";
const PASSWORD: &str = "password-of-the-bench";

/// A measured server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerKind {
    /// Rollcall with its data on disk.
    OnDisk,
    /// Rollcall with its data in memory.
    InMemory,
    /// A peer on Node.js.
    Scimmy,
    /// A peer on Python.
    Scim2Server,
    /// The smallest server over SQLite, on disk. It is no service provider.
    Yardstick,
}

impl ServerKind {
    /// All servers, in the order of the report.
    pub const ALL: [Self; 5] =
        [Self::OnDisk, Self::InMemory, Self::Scimmy, Self::Scim2Server, Self::Yardstick];

    /// The name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::OnDisk => "Rollcall, on disk",
            Self::InMemory => "Rollcall, in memory",
            Self::Scimmy => "SCIMMY",
            Self::Scim2Server => "scim2-server",
            Self::Yardstick => "yardstick",
        }
    }

    /// Whether it is another service provider.
    pub fn is_peer(self) -> bool {
        matches!(self, Self::Scimmy | Self::Scim2Server)
    }

    /// The operations that it has.
    pub fn operations(self) -> &'static [Operation] {
        match self {
            Self::Yardstick => &[Operation::Get, Operation::UserNameEq, Operation::Create],
            _ => &Operation::ALL,
        }
    }
}

/// A server that runs until it is dropped.
pub struct Server {
    /// Its address and credentials.
    pub target: Target,
    child: Child,
}

impl Server {
    /// Starts a server. A server that stores its data on disk gets a folder of its own in `folder`; `peers` is the folder in which
    /// the peers are installed.
    pub async fn of_kind(kind: ServerKind, folder: &Path, peers: &Path) -> Self {
        match kind {
            ServerKind::OnDisk => Self::rollcall(&folder.join("rollcall")).await,
            ServerKind::InMemory => Self::rollcall_in_memory().await,
            ServerKind::Scimmy => Self::scimmy(&peers.join("scimmy")).await,
            ServerKind::Scim2Server => Self::scim2_server(&peers.join("venv/bin/scim2-server")).await,
            ServerKind::Yardstick => Self::yardstick(&folder.join("yardstick")).await,
        }
    }

    /// Starts the server of `make run`, with its data in this folder.
    pub async fn rollcall(data: &Path) -> Self {
        let mut command = Command::new(binaries().join("local"));
        command
            .env_clear()
            .env("DATA_DIR", data)
            .env("PORT", "0")
            .env("SCIM_USERNAME", USERNAME)
            .env("SCIM_PASSWORD", PASSWORD)
            .env("TABLE_NAME", TABLE);
        Self::start(command, "Endpoint URL:", basic()).await
    }

    /// Starts the same service with its data in memory: [`serve_in_memory`] in a separate process.
    async fn rollcall_in_memory() -> Self {
        let mut command = Command::new(std::env::current_exe().expect("a running program"));
        command.arg("serve-in-memory");
        Self::start(command, "Endpoint URL:", basic()).await
    }

    /// Starts the yardstick, with its data in this folder: [`crate::yardstick::serve`] in a separate process.
    async fn yardstick(data: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("a running program"));
        command.arg("serve-yardstick").arg(data);
        Self::start(command, "Endpoint URL:", basic()).await
    }

    /// Starts SCIMMY with scimmy-routers, on Node.js.
    async fn scimmy(folder: &Path) -> Self {
        let mut command = Command::new("node");
        command.arg(folder.join("server.mjs")).env("NODE_ENV", "production").env("PASSWORD", PASSWORD);
        Self::start(command, "Endpoint URL:", basic()).await
    }

    /// Starts scim2-server, on Python.
    async fn scim2_server(program: &Path) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").await.and_then(|free| free.local_addr()).expect("a port");
        let mut command = Command::new(program);
        command.args(["--port", &free.port().to_string(), "--bearer-token", PASSWORD]);
        command.env("PYTHONUNBUFFERED", "1").stderr(Stdio::null());
        Self::start(command, "Serving SCIM on", format!("Bearer {PASSWORD}")).await
    }

    /// Starts a server. The first line that it prints must be `words`, followed by its endpoint URL.
    async fn start(mut command: Command, words: &str, authorization: String) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("a server");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let first = lines.next_line().await.expect("its output").expect("a first line");
        // Read the rest of the output, so that the server does not block on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let url = first.strip_prefix(words).expect("an endpoint URL").trim();
        let (address, base) = url.strip_prefix("http://").and_then(|url| url.split_once('/')).expect("a URL");
        Self {
            target: Target { address: address.to_owned(), base: format!("/{base}"), authorization },
            child,
        }
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }
}

/// Runs the service of `make run` with its data in memory, until the process is killed.
pub async fn serve_in_memory() {
    logging::start(logging::Format::Text, "info");
    let engine = Engine::start(None, ([127, 0, 0, 1], 0), "local").await.expect("an engine");
    let client = engine.client().await;
    table::ensure(&client, TABLE).await.expect("a table");
    let credentials = Credentials {
        username: USERNAME.to_owned(),
        password: PASSWORD.to_owned(),
        is_from_environment: true,
    };
    let table = Table::new(engine.in_process(), TABLE.to_owned());
    let deadline = Instant::now() + Duration::from_secs(10);
    let installed = credentials.install(&table.until(deadline)).await;
    installed.expect("a connector");
    let service = Service::new(table, None, Schemas::built_in(), Timestamp::now);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    println!("Endpoint URL: http://{address}/{CONNECTOR}/scim/v2");
    let served = server::serve(
        listener,
        service.expect("a service"),
        None,
        TIME_FOR_A_REQUEST,
        std::future::pending(),
    )
    .await;
    served.expect("requests are served");
}

fn basic() -> String {
    format!("Basic {}", BASE64.encode(format!("{USERNAME}:{PASSWORD}")))
}

/// Returns the folder of this binary, which contains the other binaries of the build.
pub fn binaries() -> PathBuf {
    std::env::current_exe().expect("a running program").parent().expect("it is in a folder").to_owned()
}
