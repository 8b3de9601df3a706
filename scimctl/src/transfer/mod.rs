//! `scimctl export` and `scimctl import`: users, groups and roles in files, one in each row.
//!
//! An export has two sets of columns: what is stored, and what the directory shows after the connector's mapping. An import
//! reads only what is stored. So importing an export into the connector that it came from changes nothing.

mod export;
mod import;
mod rows;

use std::fmt::Display;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use crate::cedar;
use crate::context::Context;
use crate::failure::{Failure, fail};

pub use import::import;

/// The commands that export a directory.
#[derive(Subcommand)]
pub enum Export {
    /// Export the users, with what is stored and what the directory shows
    #[command(after_help = "EXAMPLE:\n  scimctl export users okta users.csv --hidden")]
    Users(ExportedRows),
    /// Export the groups and their direct members
    #[command(after_help = "EXAMPLE:\n  scimctl export groups okta groups.jsonl")]
    Groups(ExportedRows),
    /// Export the roles and to whom they are assigned
    #[command(after_help = "EXAMPLE:\n  scimctl export roles okta roles.csv")]
    Roles(ExportedRows),
    /// Export the users, groups and roles that the directory shows as entities for Cedar, with their schema
    #[command(
        after_help = "The schema is written beside the file: entities.cedarschema for entities.json.\n\n\
EXAMPLE:\n  scimctl export cedar okta entities.json"
    )]
    Cedar {
        /// Id of the connector
        connector: String,
        /// File to write, .json
        file: PathBuf,
    },
}

/// What to export as rows, and where to.
#[derive(Args)]
pub struct ExportedRows {
    /// Id of the connector
    connector: String,
    /// File to write, .csv or .jsonl. Without it, CSV is written to standard output
    file: Option<PathBuf>,
    /// Export hidden users or groups too, with the reason
    #[arg(long)]
    hidden: bool,
}

/// Runs a command that exports a directory.
pub async fn export(command: Export, context: &Context) -> Result<(), Failure> {
    match command {
        Export::Users(rows) => export::export(context, RowKind::Users, &rows).await,
        Export::Groups(rows) => export::export(context, RowKind::Groups, &rows).await,
        Export::Roles(rows) => export::export(context, RowKind::Roles, &rows).await,
        Export::Cedar { connector, file } => cedar::export(context, &connector, &file).await,
    }
}

/// What the rows of a file are.
#[derive(Clone, Copy, ValueEnum)]
pub enum RowKind {
    /// Users. Import reads username, first_name, last_name, display_name and email, and ignores the other exported columns
    Users,
    /// Groups. Import reads name, members (userNames) and member_groups (names), and ignores the other exported columns
    Groups,
    /// Roles and to whom they are assigned. Import reads name, members (userNames) and member_groups (names)
    Roles,
}

impl RowKind {
    /// The column that identifies a row.
    fn name_column(self) -> &'static str {
        match self {
            Self::Users => "username",
            Self::Groups | Self::Roles => "name",
        }
    }

    /// All columns of an export.
    fn columns(self) -> Result<Vec<String>, Failure> {
        match self {
            Self::Users => rows::columns_of::<UserRow>(),
            Self::Groups => rows::columns_of::<GroupRow>(),
            Self::Roles => rows::columns_of::<RoleRow>(),
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

/// The columns of a role.
#[derive(Default, Serialize)]
struct RoleRow {
    name: String,
    members: Vec<String>,
    member_groups: Vec<String>,
    id: String,
}

/// Reads names from a file: one from each line, or from a column of a .csv file.
pub fn read_names(file: &Path, column: &str) -> Result<Vec<String>, Failure> {
    let text = std::fs::read(file).map_err(|error| in_file(file, error))?;
    if file.extension().is_none_or(|extension| extension != "csv") {
        let text = String::from_utf8(text).map_err(|_| in_file(file, "the file is not UTF-8"))?;
        // Editors on Windows begin a file with a byte order mark.
        return Ok(text.trim_start_matches('\u{feff}').lines().map(str::to_owned).collect());
    }
    let mut names = Vec::new();
    for (line, row) in rows::read(&text, rows::Format::Csv).map_err(|Failure(error)| in_file(file, error))? {
        let mut row = row.map_err(|Failure(error)| Failure(format!("{}:{line}: {error}", file.display())))?;
        let Some(name) = row.shift_remove(column) else {
            let columns: Vec<&str> = row.keys().map(String::as_str).collect();
            return fail(
                in_file(
                    file,
                    format!("there is no column {column:?}; the columns are {}", columns.join(", ")),
                )
                .0,
            );
        };
        names.extend(name.as_str().map(str::to_owned));
    }
    Ok(names)
}

/// Adds the name of the file to an error.
fn in_file(file: &Path, error: impl Display) -> Failure {
    Failure(format!("{}: {error}", file.display()))
}
