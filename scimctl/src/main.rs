//! `scimctl`: the operator's command line. It works on the DynamoDB table itself, with the operator's own AWS credentials.

mod audit;
mod auth;
mod cedar;
mod check;
mod completion;
mod connector;
mod console;
mod context;
mod credential;
mod doctor;
mod duplicates;
mod failure;
mod feed;
mod group;
mod https;
mod login;
mod migrate;
mod open_directory;
mod operator;
mod orphaned;
mod output;
mod place;
mod policies;
mod progress;
mod prompt;
mod ranger;
mod refusal;
mod reindex;
mod requests;
mod role;
mod schema;
mod service_url;
mod sweep;
mod table;
mod time;
mod transfer;
mod user;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use context::Context;
use failure::Failure;
use place::TableLocation;
use transfer::RowKind;

/// Operates Rollcall. Works on the DynamoDB table itself, with your own AWS credentials.
#[derive(Parser)]
#[command(
    version,
    after_help = "EXAMPLES:
  scimctl --table rollcall-Table-ABC123 connector create --name okta --url https://abc123.execute-api.eu-west-1.amazonaws.com
  scimctl --local .local connector list
  scimctl --endpoint http://127.0.0.1:8000 connector rotate okta

EXIT CODES:
  0  success
  1  failure; standard error says why, and the command may have done part of its work
  2  wrong command line"
)]
struct Arguments {
    #[command(flatten)]
    location: TableLocation,

    /// Print tables without cutting long cells to the width of the terminal
    #[arg(long, global = true, help_heading = "Output options")]
    wide: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Manage connectors, each of which connects one identity provider
    #[command(
        subcommand,
        after_help = "EXAMPLES:
  scimctl connector create --name okta --url https://scim.example.com
  scimctl connector rotate okta
  scimctl connector set okta rules.exclude-users='svc-*,root' --dry-run"
    )]
    Connector(connector::Command),
    /// Create and list the credentials of a connector
    #[command(
        subcommand,
        after_help = "EXAMPLES:
  scimctl credential create okta --scope directory
  scimctl credential list okta"
    )]
    Credential(credential::Command),
    /// Explain why the service accepts or refuses a token
    #[command(
        subcommand,
        after_help = "EXAMPLE:\n  scimctl auth explain okta --url https://scim.example.com < token.txt"
    )]
    Auth(auth::Command),
    /// Show the users of a directory, and manage local users
    #[command(
        subcommand,
        after_help = "EXAMPLES:
  scimctl user list okta --hidden --filter 'active eq false'
  scimctl user create okta ann@example.com --first-name Ann --last-name Ash"
    )]
    User(user::Command),
    /// Show the groups of a directory, and manage local groups
    #[command(
        subcommand,
        after_help = "EXAMPLES:
  scimctl group members okta 'Data Stewards'
  scimctl group add okta 'Data Stewards' ann@example.com Sales"
    )]
    Group(group::Command),
    /// Manage roles, and assign them to users and groups
    #[command(
        subcommand,
        after_help = "EXAMPLES:
  scimctl role create okta approver
  scimctl role assign okta approver ann@example.com Sales"
    )]
    Role(role::Command),
    /// Manage feeds, by which the platform learns of changes
    #[command(
        subcommand,
        after_help = "EXAMPLES:
  scimctl feed create okta platform
  scimctl feed list okta
  scimctl feed tail okta platform"
    )]
    Feed(feed::Command),
    /// Send users and groups to Apache Ranger
    #[command(
        subcommand,
        after_help = "EXAMPLE:\n  scimctl ranger sync okta --url https://ranger.example.com:6182 --username rangerusersync --password -"
    )]
    Ranger(ranger::Command),
    /// Check policies that name users and groups of a directory
    #[command(
        subcommand,
        after_help = "EXAMPLE:\n  scimctl policies check okta --ranger-export policies.json"
    )]
    Policies(policies::Command),
    /// Manage custom schemas, which extend the users or groups of a connector
    #[command(
        subcommand,
        after_help = "EXAMPLES:
  scimctl schema add okta badge.json --dry-run
  scimctl schema list okta"
    )]
    Schema(schema::Command),
    /// Export the users, groups or roles of a directory to a file
    #[command(
        subcommand,
        after_help = "EXAMPLES:
  scimctl export users okta users.csv --hidden
  scimctl export cedar okta entities.json"
    )]
    Export(transfer::Export),
    /// Create or update local users, local groups or roles from a file, with the columns of `export`
    #[command(after_help = "EXAMPLE:\n  scimctl import users okta contractors.csv --dry-run")]
    Import {
        /// What to import
        kind: RowKind,
        /// Id of the connector
        connector: String,
        /// File to read, .csv or .jsonl
        file: PathBuf,
        /// Only print how many rows would be created, updated and refused, and why
        #[arg(long)]
        dry_run: bool,
    },
    /// Show who changed what in a connector, newest first
    Audit(audit::Command),
    /// Show what the identity provider and applications asked for, and what came of it, newest first
    Requests(requests::Command),
    /// Explain a user: the last push, why it is hidden, the way to each group, and what failed
    Why(why::Command),
    /// Find inconsistent data in the table, and repair it
    Check(check::Command),
    /// Store the table in the newest format after an upgrade, while the service runs
    Migrate(migrate::Command),
    /// Build the indexes that a connector lacks after an upgrade or a new custom schema, while the service runs
    Reindex(reindex::Command),
    /// Finish changes that were interrupted
    Sweep(sweep::Command),
    /// Serve a web page on this machine, for one operator
    #[command(
        after_help = "Without --write, it only shows. The printed link works once. Ctrl-C ends the console.\n\nEXAMPLE:\n  scimctl console --write"
    )]
    Console(console::Command),
    /// Check a deployed stack, a connector and the service, and say how to solve problems
    Doctor(doctor::Command),
    /// Print a script with which a shell completes commands, options and the names of connectors
    #[command(after_help = "EXAMPLE:\n  scimctl completions bash > /etc/bash_completion.d/scimctl")]
    Completions {
        /// Shell that uses the script
        shell: Shell,
    },
}

fn main() -> ExitCode {
    completion::complete();
    execute()
}

#[tokio::main]
async fn execute() -> ExitCode {
    let Arguments { location, wide, command } = Arguments::parse();
    if wide {
        table::set_wide();
    }
    let failure_code = match &command {
        Command::Policies(command) => command.failure_code(),
        _ => 1,
    };
    let result = match command {
        // Completions need no table.
        Command::Completions { shell } => completion::print_script(shell).map(|()| ExitCode::SUCCESS),
        command => run(command, location).await,
    };
    result.unwrap_or_else(|Failure(sentence)| {
        output::print_note(&format!("scimctl: {sentence}"));
        failure_code.into()
    })
}

impl Command {
    /// Whether the command changes what the table holds, so that audit records name its operator.
    fn is_change(&self) -> bool {
        match self {
            Self::Connector(command) => command.is_change(),
            Self::Credential(command) => command.is_change(),
            Self::User(command) => command.is_change(),
            Self::Group(command) => command.is_change(),
            Self::Role(command) => command.is_change(),
            Self::Feed(command) => command.is_change(),
            Self::Ranger(command) => command.is_change(),
            Self::Policies(command) => command.is_change(),
            Self::Schema(command) => command.is_change(),
            Self::Check(command) => command.is_change(),
            Self::Console(command) => command.is_change(),
            Self::Import { dry_run, .. } => !dry_run,
            Self::Migrate(_) | Self::Reindex(_) => true,
            // A sweep finishes the changes of others.
            Self::Export(_)
            | Self::Auth(_)
            | Self::Audit(_)
            | Self::Requests(_)
            | Self::Why(_)
            | Self::Sweep(_)
            | Self::Doctor(_)
            | Self::Completions { .. } => false,
        }
    }
}

async fn run(command: Command, location: TableLocation) -> Result<ExitCode, Failure> {
    let context = Context::new(location, command.is_change()).await?;
    let result = match command {
        Command::Policies(command) => return policies::run(command, &context).await,
        Command::Console(command) => console::run(command, context).await,
        Command::Connector(command) => connector::run(command, &context).await,
        Command::Credential(command) => credential::run(command, &context).await,
        Command::Auth(command) => auth::run(command, &context).await,
        Command::User(command) => user::run(command, &context).await,
        Command::Group(command) => group::run(command, &context).await,
        Command::Role(command) => role::run(command, &context).await,
        Command::Feed(command) => feed::run(command, &context).await,
        Command::Schema(command) => schema::run(command, &context).await,
        Command::Ranger(command) => ranger::run(command, &context).await,
        Command::Export(command) => transfer::export(command, &context).await,
        Command::Import { kind, connector, file, dry_run } => {
            transfer::import(&context, kind, &connector, &file, dry_run).await
        }
        Command::Audit(command) => audit::run(command, &context).await,
        Command::Requests(command) => requests::run(command, &context).await,
        Command::Why(command) => why::run(command, &context).await,
        Command::Check(command) => check::run(command, &context).await,
        Command::Migrate(command) => migrate::run(command, &context).await,
        Command::Reindex(command) => reindex::run(command, &context).await,
        Command::Sweep(command) => sweep::run(command, &context).await,
        Command::Doctor(command) => doctor::run(command, &context).await,
        Command::Completions { shell } => completion::print_script(shell),
    };
    result.map(|()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _};

    use super::*;

    fn find_missing_examples(command: &Command, parents: &str, missing: &mut Vec<String>) {
        let path = format!("{parents}{}", command.get_name());
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let is_example = |line: &str| line == path || line.starts_with(&format!("{path} "));
        if !help.lines().any(|line| is_example(line.trim_start())) {
            missing.push(path.clone());
        }
        for command in command.get_subcommands() {
            find_missing_examples(command, &format!("{path} "), missing);
        }
    }

    #[test]
    fn every_command_has_an_example_in_its_help() {
        let mut missing = Vec::new();
        for command in Arguments::command().get_subcommands() {
            find_missing_examples(command, "scimctl ", &mut missing);
        }
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
