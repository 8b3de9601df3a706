//! The processes of a run: the engine (`local dynamodb`) and the service processes (`local`). They are killed
//! without warning and started again on the same ports.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// The pause before a process that could not start is started again.
const PAUSE: Duration = Duration::from_millis(100);
/// How often a process may fail to start. DynamoDB may fail while it starts.
const MAX_STARTS: usize = 600;

/// A process that can be killed and started again.
pub struct Process {
    program: PathBuf,
    arguments: Vec<&'static str>,
    environment: Vec<(&'static str, String)>,
    /// Its URL.
    pub url: String,
    child: Option<Child>,
}

/// What a process prints when it has started.
#[derive(Clone, Debug)]
pub struct Started {
    /// The username of the first connector.
    pub username: String,
    /// Its password.
    pub password: String,
}

impl Process {
    /// Prepares the engine, with its data in this folder.
    pub async fn engine(binaries: &Path, folder: &Path) -> Self {
        Self::new(binaries, vec!["dynamodb"], folder, Vec::new()).await
    }

    /// Prepares a service process over the DynamoDB at this URL. It has the credentials that the engine printed.
    pub async fn service(binaries: &Path, folder: &Path, dynamodb: &str, credentials: &Started) -> Self {
        let environment = vec![
            ("DYNAMODB_ENDPOINT", dynamodb.to_owned()),
            ("SCIM_USERNAME", credentials.username.clone()),
            ("SCIM_PASSWORD", credentials.password.clone()),
        ];
        Self::new(binaries, Vec::new(), folder, environment).await
    }

    async fn new(
        binaries: &Path,
        arguments: Vec<&'static str>,
        folder: &Path,
        mut environment: Vec<(&'static str, String)>,
    ) -> Self {
        // The port is free again when the listener is dropped. The process keeps it over its restarts.
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("the listener has an address").port();
        environment.push(("PORT", port.to_string()));
        environment.push(("DATA_DIR", folder.to_str().expect("the folder is UTF-8").to_owned()));
        environment.push(("LOG_LEVEL", "error".to_owned()));
        let url = format!("http://127.0.0.1:{port}");
        Self { program: binaries.join("local"), arguments, environment, url, child: None }
    }

    /// Starts the process, and waits until it accepts requests.
    ///
    /// # Panics
    /// When it ends again and again before it accepts requests.
    pub async fn start(&mut self) -> Started {
        for _ in 0..MAX_STARTS {
            if let Some(started) = self.try_start().await {
                return started;
            }
            sleep(PAUSE).await;
        }
        panic!("{} does not start", self.program.display());
    }

    async fn try_start(&mut self) -> Option<Started> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", self.program.display()));
        let mut lines = BufReader::new(child.stdout.take()?).lines();
        self.child = Some(child);
        let mut values = Vec::new();
        while let Some(line) = lines.next_line().await.ok()? {
            if let Some((_, value)) = line.split_once(":  ") {
                values.push(value.trim().to_owned());
            }
            // The lines are the endpoint URL, the username, the password and another URL.
            if let [_, username, password, _] = values.as_slice() {
                let started = Started { username: username.clone(), password: password.clone() };
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Some(started);
            }
        }
        None
    }

    /// Kills the process, and waits until it has ended.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // This fails if the process has ended.
            let _ = child.kill().await;
        }
    }
}
