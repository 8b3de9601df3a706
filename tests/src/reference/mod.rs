//! The generated pages of `docs/reference/`. `make reference` writes them, and a test fails if one is outdated.
//!
//! | page | what it follows from |
//! | --- | --- |
//! | `scimctl.md` | the help of every command |
//! | `settings.md` | `directory::settings`, and a sentence for each setting in `settings.rs` |
//! | `parameters.md` | the parameters of `template.yaml` |
//! | `errors.md` | the catalogue in `errors/` |
//! | `events.md` | the events of feeds in the code, and a sentence for each in `events.rs` |
//! | `rights.md` | the policies of `template.yaml`, and the routes |
//! | `api.md` | `docs/openapi.yaml` |

mod api;
mod commands;
pub mod errors;
mod events;
mod parameters;
mod rights;
mod settings;

use std::fs;

use crate::workspace;

/// The first line of each page after its title.
const GENERATED: &str = "<!-- `make reference` writes this page. -->";

/// The path of each page, relative to the root of the repository, and its text.
///
/// # Panics
/// When `scimctl` is not built, or a file cannot be read.
pub fn pages() -> Vec<(&'static str, String)> {
    vec![
        ("docs/reference/scimctl.md", commands::page()),
        ("docs/reference/settings.md", settings::page()),
        ("docs/reference/parameters.md", parameters::page()),
        ("docs/reference/errors.md", errors::page()),
        ("docs/reference/events.md", events::page()),
        ("docs/reference/rights.md", rights::page()),
        ("docs/reference/api.md", api::page()),
    ]
}

/// The pages whose files have another text.
///
/// # Panics
/// As [`pages`].
pub fn outdated() -> Vec<(&'static str, String)> {
    let is_outdated =
        |path: &str, text: &str| fs::read_to_string(workspace().join(path)).ok().as_deref() != Some(text);
    pages().into_iter().filter(|(path, text)| is_outdated(path, text)).collect()
}

/// A text for a cell of a table: a vertical line would end the cell.
fn cell(text: &str) -> String {
    text.trim().replace('|', "\\|").replace('\n', " ")
}
