//! The embedded DynamoDB engine: on a loopback socket like the real one, and without one for this process.

use std::path::Path;

use aws_sdk_dynamodb::Client;
use dynoxide::Database;
use dynoxide::server::serve_with_shutdown;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::in_process::InProcess;

/// An engine that serves until it is stopped.
#[derive(Debug)]
pub struct Engine {
    /// Where it is: `http://127.0.0.1:PORT`.
    pub endpoint: String,
    in_process: InProcess,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), String>>,
}

impl Engine {
    /// Starts an engine whose data is in this file, or in memory; on this port, or on any that is free.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the file or the port.
    pub async fn start(file: Option<&Path>, port: u16) -> Result<Self, String> {
        let database = match file {
            Some(file) => {
                let path = file.to_str().ok_or_else(|| format!("{} is no text", file.display()))?;
                Database::new(path)
                    .map_err(|error| format!("the data in {path} cannot be opened: {error}"))?
            }
            None => Database::memory().map_err(|error| format!("no memory for the data: {error}"))?,
        };
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .map_err(|error| format!("port {port} is not free for the DynamoDB engine: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let in_process = InProcess::new(database.clone());
        let (stop, stopped) = oneshot::channel();
        // A sender that is dropped stops the engine too.
        let stopped = async { drop(stopped.await) };
        let task = tokio::spawn(serve_with_shutdown(listener, database, stopped));
        Ok(Self { endpoint: format!("http://{address}"), in_process, stop, task })
    }

    /// A client for it in this process.
    pub async fn client(&self) -> Client {
        runtime::dynamodb::client_over(self.in_process.clone()).await
    }

    /// Stops it when what is running has been answered.
    pub async fn stop(self) {
        // Either may be over already.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}
