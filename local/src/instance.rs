//! One running service: its DynamoDB, port and credentials. Its settings come from the environment.

use std::fs::{File, TryLockError};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use delivery::target::Reach;
use directory::Table;
use directory::secrets::generate_secret;
use jiff::Timestamp;
use runtime::{data_folder, dynamodb, environment, private_file};
use service::oauth::Fetched;
use service::origin_secret::OriginSecret;
use service::{Observer, Service};
use shared::schema::Schemas;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use crate::credentials::{CONNECTOR, Credentials};
use crate::deliverer;
use crate::engine::Engine;
use crate::metrics::Counters;
use crate::private_folder::create_private_folder;
use crate::server::{self, TIME_FOR_A_REQUEST};
use crate::start_page::StartPage;
use crate::sweeper;

const DEFAULT_PORT: u16 = 3000;
const DEFAULT_FOLDER: &str = ".local";
const DATA_FILE: &str = "dynamodb.sqlite";
const LOCK_FILE: &str = "lock";
/// How long the start may take if DynamoDB does not respond.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the engine may take to stop. Its operations take milliseconds, but a client may have sent only half of a
/// request.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// The settings from the environment: `PORT`, `DATA_DIR`, `SCIM_USERNAME`, `SCIM_PASSWORD` and `DYNAMODB_ADDRESS`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The port on 127.0.0.1; 0 for any free port.
    pub port: u16,
    /// The folder for data and credentials.
    pub folder: PathBuf,
    /// The address on which the embedded engine listens.
    engine_address: IpAddr,
    username: Option<String>,
    password: Option<String>,
}

impl Settings {
    /// Reads the environment. An empty variable counts as unset.
    ///
    /// # Errors
    /// A sentence for the user if a variable is wrong.
    pub fn from_environment() -> Result<Self, String> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let port = match variable("PORT") {
            Some(port) => {
                port.parse().map_err(|_| format!("PORT is {port:?}, and must be a number up to 65535"))?
            }
            None => DEFAULT_PORT,
        };
        let engine_address = match variable("DYNAMODB_ADDRESS") {
            Some(address) => parse_engine_address(&address)?,
            None => Ipv4Addr::LOCALHOST.into(),
        };
        let folder = PathBuf::from(variable("DATA_DIR").unwrap_or_else(|| DEFAULT_FOLDER.to_owned()));
        let (username, password) = (variable("SCIM_USERNAME"), variable("SCIM_PASSWORD"));
        Ok(Self { port, folder, engine_address, username, password })
    }

    /// Reads the credentials, or generates them and keeps them in the folder.
    ///
    /// # Errors
    /// A sentence for the user if the folder cannot be used.
    pub fn credentials(&self) -> Result<Credentials, String> {
        Credentials::find(self.username.clone(), self.password.clone(), &self.folder)
    }
}

/// The engine accepts requests for the address that it listens on. A request is never for the address 0.0.0.0 or `::`.
fn parse_engine_address(address: &str) -> Result<IpAddr, String> {
    let parsed = address.parse().ok().filter(|address: &IpAddr| !address.is_unspecified());
    parsed.ok_or_else(|| {
        format!(
            "DYNAMODB_ADDRESS is {address:?}, and must be one IP address of this machine, such as 172.17.0.1"
        )
    })
}

/// The parts that an instance can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// SCIM and the start page.
    Everything,
    /// Only the embedded DynamoDB engine, on the port of the settings. `make lambda` and `make sam-local` use it, as their
    /// functions are processes of their own.
    Engine,
}

/// A service that has opened its DynamoDB, port and credentials. It accepts connections when [`serve`](Self::serve) runs.
pub struct Instance {
    part: Part,
    listener: TcpListener,
    /// While this file is open, no other process can use the data.
    _lock: Option<File>,
    engine: Option<Engine>,
    table: Table,
    public_url: Option<String>,
    address: String,
    credentials: Credentials,
}

impl Instance {
    /// Opens the data, the port and the credentials.
    ///
    /// # Errors
    /// A sentence for the user if the port, the folder or DynamoDB cannot be used.
    pub async fn start(settings: &Settings, part: Part) -> Result<Self, String> {
        let Settings { port, folder, engine_address, .. } = settings;
        let is_engine_only = part == Part::Engine;
        let listener = TcpListener::bind(("127.0.0.1", if is_engine_only { 0 } else { *port }))
            .await
            .map_err(|error| format!("port {port} cannot be used: {error}"))?;
        create_private_folder(folder)?;

        let (engine, lock) = match environment::dynamodb_endpoint() {
            Some(_) => (None, None),
            None => {
                let lock = lock(folder)?;
                let engine_port = if is_engine_only { *port } else { 0 };
                let address = SocketAddr::new(*engine_address, engine_port);
                (Some(start_engine(folder, address).await?), Some(lock))
            }
        };
        let client = match &engine {
            Some(engine) => engine.client().await,
            None => dynamodb::client().await,
        };
        let table_name = environment::table_name();
        crate::table::ensure(&client, &table_name).await?;

        let credentials = settings.credentials()?;
        let table = match &engine {
            Some(engine) => Table::new(engine.in_process(), table_name),
            None => Table::new(client, table_name),
        };
        let starting = table.until(Instant::now() + START_TIMEOUT);
        credentials.install(&starting).await?;

        let address = listener.local_addr().map_err(|error| error.to_string())?;
        Ok(Self {
            part,
            listener,
            _lock: lock,
            engine,
            table,
            public_url: environment::public_url(),
            address: format!("http://{address}"),
            credentials,
        })
    }

    /// The credentials to give the identity provider.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Where the server listens: `http://127.0.0.1:3000`.
    pub fn origin(&self) -> &str {
        &self.address
    }

    /// The endpoint URL that clients use.
    pub fn endpoint_url(&self) -> String {
        format!("{}/{CONNECTOR}/scim/v2", self.public_url.as_ref().unwrap_or(&self.address))
    }

    /// The lines that the program prints: what to give the identity provider, and another URL of this instance.
    pub fn summary(&self) -> String {
        let (username, password) = (&self.credentials.username, self.credentials.printed_password());
        let last = match (self.part, &self.engine) {
            (Part::Engine, Some(engine)) => format!("DynamoDB:      {}\n", engine.endpoint),
            (Part::Engine, None) => String::new(),
            (Part::Everything, _) => format!("Start page:    {}/\n", self.address),
        };
        let endpoint = self.endpoint_url();
        format!("Endpoint URL:  {endpoint}\nUsername:      {username}\nPassword:      {password}\n{last}")
    }

    /// Serves until `stop` resolves and the running requests are answered.
    ///
    /// # Errors
    /// A sentence for the user if the server fails.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send) -> Result<(), String> {
        let counters = Arc::new(Counters::default());
        let shown = environment::metrics().map(|_| Arc::clone(&counters));
        let page = StartPage::new(self.table.clone(), self.endpoint_url()).with_counters(shown);
        let Self { part, listener, engine, table, public_url, .. } = self;
        match part {
            Part::Engine => stop.await,
            Part::Everything => {
                let service = Service::new(table.clone(), public_url, Schemas::built_in(), Timestamp::now);
                let origin_secret = environment::origin_secret().map(|secret| OriginSecret::parse(&secret));
                let service = service.map_err(|error| error.to_string())?.with_origin_secret(origin_secret);
                let observer = Arc::clone(&counters) as Arc<dyn Observer>;
                let service = service.with_fetch(Some(fetch)).with_observer(Some(observer));
                tokio::select! {
                    served = server::serve(listener, service, Some(page), TIME_FOR_A_REQUEST, stop) => {
                        served.map_err(|error| error.to_string())?;
                    }
                    () = sweeper::sweep(table.clone(), &counters) => {}
                    () = deliverer::deliver(table, Arc::clone(&counters)) => {}
                }
            }
        }
        if let Some(engine) = engine {
            let _ = timeout(STOP_TIMEOUT, engine.stop()).await;
        }
        Ok(())
    }
}

/// Fetches the keys of an OAuth issuer.
fn fetch(url: String) -> Fetched {
    let reach = Reach::new(environment::allows_private_targets());
    Box::pin(async move { delivery::fetch::fetch(&url, reach).await })
}

/// Starts the engine over the data in a folder, with a new access key. Other processes read the access key and the endpoint
/// from the folder.
async fn start_engine(folder: &Path, address: SocketAddr) -> Result<Engine, String> {
    let message = |error| format!("{} cannot be written to: {error}", folder.display());
    let access_key = generate_secret().map_err(|error| error.to_string())?;
    // Before the port opens: `make lambda` reads the access key when it can connect.
    data_folder::write_access_key(folder, &access_key).map_err(message)?;
    let engine = Engine::start(Some(&folder.join(DATA_FILE)), address, &access_key).await?;
    data_folder::write_endpoint(folder, &engine.endpoint).map_err(message)?;
    Ok(engine)
}

/// Locks a folder while the file is open.
fn lock(folder: &Path) -> Result<File, String> {
    let path = folder.join(LOCK_FILE);
    let message = |error| format!("{} cannot be locked: {error}", path.display());
    let file = private_file::open(&path).map_err(message)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(format!(
            "another process is using {}; stop it, or give this one a DATA_DIR of its own",
            folder.display()
        )),
        Err(TryLockError::Error(error)) => Err(message(error)),
    }
}
