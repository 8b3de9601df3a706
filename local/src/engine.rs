//! The embedded DynamoDB engine. Other processes reach it over HTTP; this process calls it directly.

use std::net::SocketAddr;
use std::path::Path;

use aws_sdk_dynamodb::Client;
use dynoxide::Database;
use runtime::private_file;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::engine_port::EnginePort;
use crate::http_server;
use crate::in_process::InProcess;

/// How many connections to the file of the engine only read, besides the one that reads and writes.
const READERS: usize = 4;

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    /// Its URL: `http://ADDRESS:PORT`.
    pub endpoint: String,
    in_process: InProcess,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Engine {
    /// Starts an engine. Its data is in this file, or in memory if there is none. It listens on this address; port 0 means any
    /// free port. A request that comes over the port must be signed with this access key.
    ///
    /// # Errors
    /// A sentence for the user if the file or the address cannot be used.
    pub async fn start(
        file: Option<&Path>,
        address: impl Into<SocketAddr>,
        access_key: &str,
    ) -> Result<Self, String> {
        let (database, readers) = match file {
            Some(file) => {
                let path = file.to_str().ok_or_else(|| format!("{} is not valid UTF-8", file.display()))?;
                let message =
                    |error: &dyn std::fmt::Display| format!("the data in {path} cannot be opened: {error}");
                // SQLite gives the files beside a database the mode of the database.
                private_file::open(file).map_err(|error| message(&error))?;
                let open = || Database::new(path).map_err(|error| message(&error));
                (open()?, (0..READERS).map(|_| open()).collect::<Result<_, _>>()?)
            }
            None => {
                let message = |error| format!("the engine cannot start in memory: {error}");
                (Database::memory().map_err(message)?, Vec::new())
            }
        };
        let address = address.into();
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| format!("the DynamoDB engine cannot listen on {address}: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let in_process = InProcess::new(database.clone(), readers);
        let (stop, stopped) = oneshot::channel();
        // The engine also stops when the sender is dropped.
        let stopped = async { drop(stopped.await) };
        let engine_port = EnginePort::new(database, access_key, address.ip());
        let answer = move |_, request| engine_port.clone().answer(request);
        let task = tokio::spawn(http_server::serve(listener, answer, stopped));
        Ok(Self { endpoint: format!("http://{address}"), in_process, stop, task })
    }

    /// Gives access to the engine without a socket.
    pub fn in_process(&self) -> InProcess {
        self.in_process.clone()
    }

    /// Makes a client of the SDK that calls the engine without a socket.
    pub async fn client(&self) -> Client {
        runtime::dynamodb::client_over(self.in_process.clone()).await
    }

    /// Stops the engine after it has answered the running requests.
    pub async fn stop(self) {
        // The task may have ended already.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}
