//! `scimctl policies`: policies that name users and groups of a directory.

mod check;
mod files;
mod principals;
mod report;

use std::process::ExitCode;

use clap::Subcommand;

use crate::cedar::{self, Try, Who};
use crate::context::Context;
use crate::failure::Failure;

pub use files::{check_files, read_ranger_export};
pub use principals::Principals;
pub use report::{Effect, Gone, Principal, Stale, Why};

/// The commands on policies.
#[derive(Subcommand)]
pub enum Command {
    /// Find the policies that name users or groups who are deactivated, deleted, renamed, hidden or unknown
    Check(check::Command),
    /// Decide with Cedar policies whether a user may do something
    Try(Try),
    /// List the users whom Cedar policies allow something, and the policies that do so
    Who(Who),
}

impl Command {
    /// Whether the command changes what the table holds.
    pub fn is_change(&self) -> bool {
        match self {
            Self::Check(command) => command.is_change(),
            Self::Try(_) | Self::Who(_) => false,
        }
    }

    /// The exit code of a failure. A check that could not look must differ from one that found something.
    pub fn failure_code(&self) -> u8 {
        match self {
            Self::Check(_) | Self::Try(_) | Self::Who(_) => 2,
        }
    }
}

/// Runs a command.
pub async fn run(command: Command, context: &Context) -> Result<ExitCode, Failure> {
    match command {
        Command::Check(command) => check::run(command, context).await,
        Command::Try(command) => cedar::decide(command, context).await,
        Command::Who(command) => cedar::who(command, context).await,
    }
}
