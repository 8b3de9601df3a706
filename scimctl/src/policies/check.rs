//! `scimctl policies check`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::principals::Principals;
use super::report;
use crate::cedar;
use crate::context::Context;
use crate::failure::Failure;
use crate::open_directory::OpenDirectory;

/// The options of `scimctl policies check`.
#[derive(Args)]
#[command(after_help = "\
EXAMPLE:
  scimctl policies check okta --cedar policies/

EXIT CODES:
  0  no policy names a user or group who is gone
  1  some do; standard output lists them
  2  the command could not look; standard error says why")]
pub struct Command {
    /// Id of the connector
    connector: String,
    /// Files or folders with Cedar policies
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    cedar: Vec<PathBuf>,
    /// Print one JSON object on each line
    #[arg(long)]
    json: bool,
}

impl Command {
    /// Whether the command changes what the table holds.
    pub fn is_change(&self) -> bool {
        false
    }
}

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> Result<ExitCode, Failure> {
    let open = OpenDirectory::open(context, &command.connector).await?;
    let principals = Principals::read(context, &open).await?;
    let lines = cedar::find_stale(&command.cedar, &principals)?;
    report::print(&lines, command.json)?;
    Ok(if lines.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
