//! `make run`: the whole service in one process.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use directory::Table;
use jiff::Timestamp;
use local::credentials::{CONNECTOR, Credentials};
use local::engine::Engine;
use local::{server, table};
use runtime::{data_folder, environment, logging};
use service::Service;
use shared::schema::Schemas;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

const DEFAULT_PORT: u16 = 3000;
const DATA_FILE: &str = "dynamodb.sqlite";
const LOCK_FILE: &str = "lock";
/// What the beginning may take: a DynamoDB that is out of reach must not be waited for.
const TIME_TO_BEGIN: Duration = Duration::from_secs(10);
/// What the engine may take to end. Its operations take milliseconds: who is not done then has sent half of a request.
const TIME_TO_END: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to say it to if this fails.
            let _ = writeln!(std::io::stderr(), "rollcall: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    logging::start(logging::Format::Text);
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let port = match variable("PORT") {
        Some(port) => {
            port.parse().map_err(|_| format!("PORT is {port:?}, and must be a number up to 65535"))?
        }
        None => DEFAULT_PORT,
    };
    // Only the engine: for `make lambda`, where the functions are processes of their own.
    let is_engine_only = std::env::args().nth(1).is_some_and(|argument| argument == "dynamodb");
    let listener = TcpListener::bind(("127.0.0.1", if is_engine_only { 0 } else { port }))
        .await
        .map_err(|error| format!("port {port} cannot be used: {error}"))?;
    let folder = PathBuf::from(variable("DATA_DIR").unwrap_or_else(|| ".local".to_owned()));
    make_private(&folder).map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;

    // The lock is held until the process ends.
    let (engine, _lock) = match environment::dynamodb_endpoint() {
        Some(_) => (None, None),
        None => {
            let lock = lock(&folder)?;
            let engine_port = if is_engine_only { port } else { 0 };
            (Some(Engine::start(Some(&folder.join(DATA_FILE)), engine_port).await?), Some(lock))
        }
    };
    if let Some(engine) = &engine {
        let said = |error| format!("{} cannot be written to: {error}", folder.display());
        data_folder::write_endpoint(&folder, &engine.endpoint).map_err(said)?;
    }
    let client = match &engine {
        Some(engine) => engine.client().await,
        None => runtime::dynamodb::client().await,
    };
    let table_name = environment::table_name();
    table::ensure(&client, &table_name).await?;

    let (username, password) = (variable("SCIM_USERNAME"), variable("SCIM_PASSWORD"));
    let is_chosen = password.is_some();
    let credentials = Credentials::find(username, password, &folder)?;
    let table = Table::new(client, table_name);
    credentials.install(&table.until(Instant::now() + TIME_TO_BEGIN), is_chosen).await?;

    let public_url = environment::public_url();
    let origin = match &public_url {
        Some(url) => url.clone(),
        None => format!("http://{}", listener.local_addr().map_err(|error| error.to_string())?),
    };
    // Before anything is said: who reads the lines may end the process at once.
    let mut signals = Signals::listen().map_err(|error| format!("signals cannot be heard: {error}"))?;
    say(&origin, &credentials, engine.as_ref().filter(|_| is_engine_only))?;
    let (stop, stopped) = oneshot::channel();
    let stopped = async { drop(stopped.await) };
    let work = async {
        if is_engine_only {
            stopped.await;
        } else {
            let service = Service::new(table, public_url, Schemas::built_in(), Timestamp::now);
            let service = service.map_err(|error| error.to_string())?;
            server::serve(listener, service, stopped).await.map_err(|error| error.to_string())?;
        }
        if let Some(engine) = engine {
            let _ = timeout(TIME_TO_END, engine.stop()).await;
        }
        Ok(())
    };
    let two_signals = async {
        signals.next().await;
        tracing::info!("stopping once what is running is answered; another signal stops at once");
        let _ = stop.send(());
        signals.next().await;
    };
    tokio::select! {
        ended = work => ended,
        () = two_signals => Err("stopped before what was running was answered".to_owned()),
    }
}

/// Keeps other processes from the data in a folder, for as long as the file is open.
fn lock(folder: &Path) -> Result<File, String> {
    let path = folder.join(LOCK_FILE);
    let said = |error| format!("{} cannot be locked: {error}", path.display());
    let file = File::create(&path).map_err(said)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(format!(
            "another process is using {}; stop it, or give this one a DATA_DIR of its own",
            folder.display()
        )),
        Err(TryLockError::Error(error)) => Err(said(error)),
    }
}

/// Makes a folder that only this user can look into: people's data will be there.
fn make_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.mode(0o700).recursive(true).create(folder)
}

/// The three lines to paste into the identity provider.
fn say(origin: &str, credentials: &Credentials, engine: Option<&Engine>) -> Result<(), String> {
    let mut out = std::io::stdout();
    let engine = engine.map(|engine| format!("DynamoDB:      {}\n", engine.endpoint)).unwrap_or_default();
    write!(
        out,
        "Endpoint URL:  {origin}/{CONNECTOR}/scim/v2\nUsername:      {}\nPassword:      {}\n{engine}",
        credentials.username, credentials.password
    )
    .and_then(|()| out.flush())
    .map_err(|error| error.to_string())
}

/// SIGTERM and Ctrl-C, from the moment this is made.
struct Signals {
    terminated: Signal,
    interrupted: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let (terminated, interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { terminated, interrupted })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminated.recv() => {}
            _ = self.interrupted.recv() => {}
        }
    }
}
