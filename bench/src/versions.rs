//! The versions of what is measured, and the machine.

use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::server::ServerKind;

/// What a measured server is.
#[derive(Serialize, Deserialize)]
pub struct Description {
    /// The server.
    pub server: ServerKind,
    /// Its version, and those of what it runs on.
    pub version: String,
    /// Where it stores users.
    pub store: String,
}

/// Describes a server. The peers are installed in this folder.
pub fn describe(server: ServerKind, peers: &Path) -> Description {
    let (version, store) = match server {
        ServerKind::OnDisk => {
            ("`make run`, release build".to_owned(), "embedded DynamoDB engine (SQLite), on disk")
        }
        ServerKind::InMemory => {
            ("the same".to_owned(), "the same, in memory: the data is lost when the process ends")
        }
        ServerKind::Scimmy => {
            let package = |name| version_of_package(peers, name);
            let version = format!(
                "scimmy {}, scimmy-routers {}, Express {}, Node {}",
                package("scimmy"),
                package("scimmy-routers"),
                package("express"),
                output_of("node", &["--version"])
            );
            (version, "it has no store: a JavaScript `Map`, as in its documentation")
        }
        ServerKind::Scim2Server => {
            let python = peers.join("venv/bin/python");
            let python = python.to_str().expect("a path of text");
            let code = "import importlib.metadata as m; print(m.version('scim2-server'))";
            let version =
                format!("{}, {}", output_of(python, &["-c", code]), output_of(python, &["--version"]));
            (version, "in memory")
        }
        ServerKind::Yardstick => (
            format!("axum and rusqlite, SQLite {}, release build", rusqlite::version()),
            "one table of JSON documents (SQLite), on disk, with the same journal and `synchronous` as the engine",
        ),
    };
    Description { server, version, store: store.to_owned() }
}

fn version_of_package(peers: &Path, name: &str) -> String {
    let file = peers.join("node_modules").join(name).join("package.json");
    let package = std::fs::read(file).expect("the peers are installed");
    let package: serde_json::Value = serde_json::from_slice(&package).expect("JSON");
    package["version"].as_str().unwrap_or_default().to_owned()
}

/// This machine and its versions.
pub fn machine() -> String {
    let processor = file_line("/proc/cpuinfo", "model name").unwrap_or_default();
    let memory = file_line("/proc/meminfo", "MemTotal").unwrap_or_default();
    let kilobytes: f64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let (system, compiler) = (output_of("uname", &["-sr"]), output_of("rustc", &["--version"]));
    format!(
        "{processor}, {cores} cores, {:.0} GB of memory, {system}, {compiler}",
        kilobytes / 1024.0 / 1024.0
    )
}

/// The commit of this source.
pub fn commit() -> String {
    output_of("git", &["rev-parse", "--short=10", "HEAD"])
}

fn file_line(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("the program is installed");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
