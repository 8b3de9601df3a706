//! The file in a data folder that names the DynamoDB endpoint of the process that is running over the folder. With it,
//! `scimctl --local FOLDER` finds the embedded engine.

use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

const ENDPOINT_FILE: &str = "dynamodb-endpoint";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Writes the DynamoDB endpoint into a data folder.
///
/// # Errors
/// Fails when the file cannot be written.
pub fn write_endpoint(folder: &Path, endpoint: &str) -> std::io::Result<()> {
    std::fs::write(folder.join(ENDPOINT_FILE), endpoint)
}

/// Reads the DynamoDB endpoint of a data folder, and checks that something listens there.
///
/// # Errors
/// Returns a sentence for the operator when no process is running over this folder.
pub fn read_endpoint(folder: &Path) -> Result<String, String> {
    let endpoint = std::fs::read_to_string(folder.join(ENDPOINT_FILE)).ok();
    let is_listening = |endpoint: &String| {
        let address = endpoint.trim_start_matches("http://").parse().ok();
        address.is_some_and(|address| TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).is_ok())
    };
    endpoint.filter(is_listening).ok_or_else(|| {
        format!(
            "no `make run` or `make lambda` is running over {}; start one, or give an --endpoint",
            folder.display()
        )
    })
}
