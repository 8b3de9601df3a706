//! `scimctl why`: explains what the directory shows of a user, and what came of the requests about it.

mod asked;
pub mod find;
mod hiding;
pub mod policies;
mod print;

use std::path::PathBuf;

use clap::Args;

use crate::context::Context;
use crate::failure::Failure;
use crate::open_directory::OpenDirectory;
use crate::output::{print_json, print_lines};

use asked::{Asked, resolve};

pub use asked::Person;
pub use find::{State, find};
pub use print::{facts, sections};

/// The options of `scimctl why`.
#[derive(Args)]
#[command(after_help = "\
Works also for a user who was deleted, and for one whom the identity provider could not create: enter the whole userName.\n\n\
EXAMPLES:
  scimctl why okta ann@example.com
  scimctl why okta 'Ann Ash'
  scimctl why okta ann@example.com --policies policies.json cedar/")]
pub struct Command {
    /// Id of the connector
    connector: String,
    /// userName or id of the user, or the beginning of its userName, display name, first or last name, email address or externalId. If
    /// several users match, they are listed
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
    let person = match resolve(context, &open, &command.user).await? {
        Asked::One(person) => person,
        Asked::Several(candidates) => return candidates.print(command.json),
    };
    let why = find(context, &open, &person, &command.policies).await?;
    if command.json {
        return print_json(&why);
    }
    print_lines(&print::format(&why))
}
