//! Functions over the Lambda runtime API, whose output a test reads.

use std::fs;

use serde_json::Value;

use crate::client::Client;
use crate::emf;
use crate::folder::Folder;
use crate::gateway::Gateway;
use crate::service::{TestConnector, logged_gateway};

/// Functions whose standard output and errors go to a file.
pub struct LoggedFunctions {
    /// The functions.
    pub gateway: Gateway,
    folder: Folder,
}

impl LoggedFunctions {
    /// Starts functions over a DynamoDB, with more environment variables. `{function}` in the URL is replaced by the name of the
    /// function.
    pub async fn start(dynamodb: &str, environment: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let gateway = logged_gateway(dynamodb, environment, &folder.path().join("log")).await;
        Self { gateway, folder }
    }

    /// A client of a connector.
    pub fn client(&self, connector: &TestConnector) -> Client {
        Client::new(
            &self.gateway.base_url(&connector.id.to_string()),
            &connector.username,
            &connector.password,
        )
    }

    /// Sends a request, and repeats it until the process has recorded the use of the credential. It gives that up after 100 ms, and tries
    /// again with the next request, which would then cost one call more.
    pub async fn warm_up(&self, send: impl AsyncFn()) {
        let failures = || self.log().matches("cannot record the use of a credential").count();
        loop {
            let before = failures();
            send().await;
            if failures() == before {
                return;
            }
        }
    }

    /// The whole output.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("the log can be read")
    }

    /// The lines of the output.
    ///
    /// # Panics
    /// When a line is not JSON.
    pub fn lines(&self) -> Vec<Value> {
        let log = self.log();
        log.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    /// The lines with metrics.
    pub fn metrics(&self) -> Vec<emf::Line> {
        self.log().lines().filter_map(emf::Line::parse).collect()
    }
}
