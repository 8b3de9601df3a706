//! `scimctl policies`: policies that name users and groups of a directory.

mod check;
mod principals;
mod report;

use std::process::ExitCode;

use clap::Subcommand;

use crate::context::Context;
use crate::failure::Failure;

pub use principals::Principals;
pub use report::{Effect, Gone, Principal, Stale, Why};

/// The commands on policies.
#[derive(Subcommand)]
pub enum Command {
    /// Find the policies that name users or groups who are gone
    Check(check::Command),
}

impl Command {
    /// Whether the command changes what the table holds.
    pub fn is_change(&self) -> bool {
        match self {
            Self::Check(command) => command.is_change(),
        }
    }

    /// The exit code of a failure. A check that could not look must differ from one that found something.
    pub fn failure_code(&self) -> u8 {
        match self {
            Self::Check(_) => 2,
        }
    }
}

/// Runs a command.
pub async fn run(command: Command, context: &Context) -> Result<ExitCode, Failure> {
    match command {
        Command::Check(command) => check::run(command, context).await,
    }
}
