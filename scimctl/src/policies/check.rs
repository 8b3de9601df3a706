//! `scimctl policies check`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgGroup, Args};

use super::principals::Principals;
use super::report::{self, Stale};
use crate::cedar;
use crate::context::Context;
use crate::failure::Failure;
use crate::open_directory::OpenDirectory;
use crate::output::{count, print_note};
use crate::ranger::{self, Accounts, Login, RangerClient, Removal};

/// The options of `scimctl policies check`.
#[derive(Args)]
#[command(
    group = ArgGroup::new("source").required(true),
    after_help = "\
Reports users and groups that are deactivated, deleted, renamed, hidden by a rule, or not in the directory. Ranger's own users and \
groups, and those of other sources, are left out if the directory never had their names.\n\n\
EXAMPLES:
  scimctl policies check okta --ranger https://ranger.example.com:6182 --username rangerusersync --password -
  scimctl policies check okta --ranger-export policies.json --json
  scimctl policies check okta --cedar policies/ resources.json

EXIT CODES:
  0  no policy names a user or group who is gone
  1  some do; standard output lists them
  2  the command could not look, or could not do the rest; standard error says why"
)]
pub struct Command {
    /// Id of the connector
    connector: String,
    /// URL of Ranger Admin, whose policies, roles and zones are read
    #[arg(long, value_name = "URL", group = "source")]
    ranger: Option<String>,
    /// File that Ranger Admin exported as JSON: policies or roles
    #[arg(long, value_name = "FILE", group = "source")]
    ranger_export: Option<PathBuf>,
    /// Files or folders with Cedar policies, JSON policy sets and entities: .cedar and .json
    #[arg(long, value_name = "PATH", num_args = 1.., group = "source")]
    cedar: Vec<PathBuf>,
    #[command(flatten)]
    login: Login,
    /// Print one JSON object on each line
    #[arg(long)]
    json: bool,
    /// Remove the names from Ranger. To confirm, enter the id of the connector on standard input
    #[arg(long, requires = "ranger", conflicts_with = "json")]
    remove: bool,
    /// Also take out the last name of a place, such as a policy item or a role of Ranger. A deny item then denies no user
    #[arg(long, requires = "remove")]
    even_last: bool,
    /// Do not ask for a confirmation
    #[arg(long, requires = "remove")]
    yes: bool,
}

impl Command {
    /// Whether the command changes what the table holds.
    pub fn is_change(&self) -> bool {
        // Each policy from which names are removed gets an audit record.
        self.remove
    }
}

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> Result<ExitCode, Failure> {
    if let Some(url) = &command.ranger {
        return check_ranger(&command, url, context).await;
    }
    let open = OpenDirectory::open(context, &command.connector).await?;
    let principals = Principals::read(context, &open).await?;
    let lines = match &command.ranger_export {
        Some(file) => check_export(file, &principals, &command.connector)?,
        None => cedar::find_stale(&command.cedar, &principals)?,
    };
    report::print(&lines, command.json)?;
    Ok(exit_code(lines.is_empty()))
}

fn exit_code(is_clean: bool) -> ExitCode {
    if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn check_export(file: &Path, principals: &Principals, connector: &str) -> Result<Vec<Stale>, Failure> {
    let in_file = |error: String| Failure(format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| in_file(error.to_string()))?;
    let rules = ranger::read_export(&text).map_err(|Failure(error)| in_file(error))?;
    Ok(ranger::find_stale(&rules, principals, None, connector).0)
}

async fn check_ranger(command: &Command, url: &str, context: &Context) -> Result<ExitCode, Failure> {
    let client = RangerClient::new("--ranger", url, &command.login)?;
    let open = OpenDirectory::open(context, &command.connector).await?;
    let principals = Principals::read(context, &open).await?;
    let accounts = Accounts::read(&client).await?;
    let rules = ranger::read_rules(&client).await?;
    let (lines, left_out) = ranger::find_stale(&rules, &principals, Some(&accounts), &command.connector);
    report::print(&lines, command.json)?;
    if left_out > 0 {
        print_note(&format!(
            "{} of Ranger itself or of other sources left out",
            count(left_out, "name", "names")
        ));
    }
    if !command.remove || lines.is_empty() {
        return Ok(exit_code(lines.is_empty()));
    }
    let removal = Removal { even_last: command.even_last, is_confirmed: command.yes };
    Ok(exit_code(ranger::remove(&open, &client, &rules, &lines, &removal).await?))
}
