//! The files in a data folder that name the embedded engine of the process that is running over the folder. With them,
//! `scimctl --local FOLDER` finds the engine.

use std::fs;
use std::io::{self, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use crate::private_file;

const ENDPOINT_FILE: &str = "dynamodb-endpoint";
const ACCESS_KEY_FILE: &str = "dynamodb-access-key";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// An embedded engine that another process runs.
#[derive(Clone)]
pub struct RunningEngine {
    /// Its URL.
    pub endpoint: String,
    /// The access key that its requests must have.
    pub access_key: String,
}

/// Writes the DynamoDB endpoint into a data folder.
///
/// # Errors
/// Fails when the file cannot be written.
pub fn write_endpoint(folder: &Path, endpoint: &str) -> io::Result<()> {
    private_file::create(&folder.join(ENDPOINT_FILE))?.write_all(endpoint.as_bytes())
}

/// Writes the access key of the engine into a data folder. Only the current user can read the file.
///
/// # Errors
/// Fails when the file cannot be written.
pub fn write_access_key(folder: &Path, access_key: &str) -> io::Result<()> {
    private_file::create(&folder.join(ACCESS_KEY_FILE))?.write_all(access_key.as_bytes())
}

/// Reads where the engine of a data folder is, and checks that something listens there.
///
/// # Errors
/// Returns a sentence for the operator when no process is running over this folder.
pub fn read_engine(folder: &Path) -> Result<RunningEngine, String> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let is_listening = |endpoint: &String| {
        let address = endpoint.trim_start_matches("http://").parse().ok();
        address.is_some_and(|address| TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).is_ok())
    };
    let engine = read(ENDPOINT_FILE).filter(is_listening).zip(read(ACCESS_KEY_FILE));
    engine.map(|(endpoint, access_key)| RunningEngine { endpoint, access_key }).ok_or_else(|| {
        format!(
            "no `make run` or `make lambda` is running over {}; start one, or give an --endpoint",
            folder.display()
        )
    })
}
