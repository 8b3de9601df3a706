//! `scimctl why`: explains what the directory shows of a user, and what came of the requests about it.

pub mod find;
pub mod policies;
mod print;

use std::path::PathBuf;

use clap::Args;

use crate::context::Context;
use crate::failure::Failure;
use crate::open_directory::OpenDirectory;
use crate::output::{print_json, print_lines};

pub use find::{State, find};
pub use print::{facts, sections};

/// The options of `scimctl why`.
#[derive(Args)]
#[command(after_help = "\
Works also for a user who was deleted, and for one whom the identity provider could not create.\n\n\
EXAMPLES:
  scimctl why okta ann@example.com
  scimctl why okta ann@example.com --policies policies.json cedar/")]
pub struct Command {
    /// Id of the connector
    connector: String,
    /// userName or id of the user
    user: String,
    /// Also list the places in these policies that name the user: exports of Ranger Admin, and files and folders of Cedar
    #[arg(long, value_name = "FILE", num_args = 1..)]
    policies: Vec<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let open = OpenDirectory::open(context, &command.connector).await?;
    let why = find(context, &open, &command.user, &command.policies).await?;
    if command.json {
        return print_json(&why);
    }
    print_lines(&print::format(&why))
}
