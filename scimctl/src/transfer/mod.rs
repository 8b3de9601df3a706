//! `scimctl export` and `scimctl import`: users and groups in files, one in each row.
//!
//! An export has two sets of columns: what is stored, and what the directory shows after the connector's mapping. An import
//! reads only what is stored. So importing an export into the connector that it came from changes nothing.

mod export;
mod import;
mod rows;

use std::fmt::Display;
use std::path::Path;

use clap::ValueEnum;
use serde::Serialize;

use crate::failure::Failure;

pub use export::export;
pub use import::import;

/// What the rows of a file are.
#[derive(Clone, Copy, ValueEnum)]
pub enum RowKind {
    /// Users. Import reads username, first_name, last_name, display_name and email, and ignores the other exported columns
    Users,
    /// Groups. Import reads name, members (userNames) and member_groups (names), and ignores the other exported columns
    Groups,
}

impl RowKind {
    /// The column that identifies a row.
    fn name_column(self) -> &'static str {
        match self {
            Self::Users => "username",
            Self::Groups => "name",
        }
    }

    /// All columns of an export.
    fn columns(self) -> Result<Vec<String>, Failure> {
        match self {
            Self::Users => rows::columns_of::<UserRow>(),
            Self::Groups => rows::columns_of::<GroupRow>(),
        }
    }
}

/// The columns of a user: first what import reads, then what the directory shows.
#[derive(Default, Serialize)]
struct UserRow {
    username: String,
    first_name: Option<String>,
    last_name: Option<String>,
    display_name: Option<String>,
    email: Option<String>,
    shown_username: String,
    shown_first_name: Option<String>,
    shown_last_name: Option<String>,
    shown_display_name: String,
    shown_email: Option<String>,
    groups: Vec<String>,
    effective_groups: Vec<String>,
    roles: Vec<String>,
    origin: &'static str,
    hidden: Option<String>,
    id: String,
}

/// The columns of a group: first what import reads, then what the directory shows.
#[derive(Default, Serialize)]
struct GroupRow {
    name: String,
    members: Vec<String>,
    member_groups: Vec<String>,
    shown_name: String,
    origin: &'static str,
    hidden: Option<String>,
    id: String,
}

/// Adds the name of the file to an error.
fn in_file(file: &Path, error: impl Display) -> Failure {
    Failure(format!("{}: {error}", file.display()))
}
