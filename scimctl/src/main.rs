//! `scimctl`: what an operator does, on the table itself, with the operator's own rights.

mod audit;
mod check;
mod connector;
mod context;
mod credentials;
mod doctor;
mod group;
mod migrate;
mod reindex;
mod settings;
mod silence;
mod transfer;
mod user;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use context::{Context, Failure, Place};
use transfer::What;

/// Operates Rollcall: works on the DynamoDB table itself, with your own AWS credentials.
#[derive(Parser)]
#[command(
    version,
    after_help = "EXAMPLES:
  scimctl --table rollcall-Table-ABC123 connector create --name okta --url https://abc123.execute-api.eu-west-1.amazonaws.com
  scimctl --local .local connector list
  scimctl --endpoint http://127.0.0.1:8000 connector rotate okta

EXIT CODES:
  0  done
  1  not done, or done in part; the line on standard error says why
  2  the command line is wrong"
)]
struct Arguments {
    #[command(flatten)]
    place: Place,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Connectors: one for each identity provider
    #[command(
        subcommand,
        after_help = "EXAMPLES:
  scimctl connector create --name okta --url https://scim.example.com
  scimctl connector rotate okta
  scimctl connector set okta rules.exclude-users='svc-*,root' --dry-run"
    )]
    Connector(connector::Command),
    /// Users, as the directory shows them; and those made by hand
    #[command(
        subcommand,
        after_help = "EXAMPLES:
  scimctl user list okta --hidden --filter 'active eq false'
  scimctl user create okta ann@example.com --first-name Ann --last-name Ash"
    )]
    User(user::Command),
    /// Groups, as the directory shows them; and those made by hand
    #[command(
        subcommand,
        after_help = "EXAMPLES:
  scimctl group members okta 'Data Stewards'
  scimctl group add okta 'Data Stewards' ann@example.com Sales"
    )]
    Group(group::Command),
    /// Roles, which operators give to users and groups
    #[command(subcommand)]
    Role(group::RoleCommand),
    /// Write the users or groups that a directory shows to a file, .csv or .jsonl, or as CSV to standard output
    #[command(after_help = "EXAMPLE:\n  scimctl export users okta users.csv --hidden")]
    Export {
        /// What
        what: What,
        /// The connector's id
        connector: String,
        /// The file
        file: Option<PathBuf>,
        /// Also those that the directory hides, and why
        #[arg(long)]
        hidden: bool,
    },
    /// Make users or groups of a file, .csv or .jsonl, by hand: the columns are those of `export`
    #[command(after_help = "EXAMPLE:\n  scimctl import users okta contractors.csv")]
    Import {
        /// What
        what: What,
        /// The connector's id
        connector: String,
        /// The file
        file: PathBuf,
    },
    /// Who changed what, the newest first
    Audit(audit::Command),
    /// Look through all of the table for what must not be, and mend it
    Check(check::Command),
    /// Store the table in the newest format, after an upgrade, while the service runs
    Migrate(migrate::Command),
    /// Build the indexes that a connector lacks after an upgrade, while the service runs
    Reindex(reindex::Command),
    /// Look whether a deployed stack is as it should be, and a connector answers
    Doctor(doctor::Command),
    /// Print the completions of a shell
    #[command(after_help = "EXAMPLE:\n  scimctl completions bash > /etc/bash_completion.d/scimctl")]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Completions { shell } => completions(shell),
        command => run(command, arguments.place).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(error)) => {
            // Nothing is left to say it to if this fails.
            let _ = writeln!(std::io::stderr(), "scimctl: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command, place: Place) -> Result<(), Failure> {
    let context = Context::new(place).await?;
    match command {
        Command::Connector(command) => connector::run(command, &context).await,
        Command::User(command) => user::run(command, &context).await,
        Command::Group(command) => group::run(command, &context).await,
        Command::Role(command) => group::run_role(command, &context).await,
        Command::Export { what, connector, file, hidden } => {
            transfer::export(&context, what, &connector, file.as_deref(), hidden).await
        }
        // A large file takes longer than a deletion waits for those who read the connector's record before.
        Command::Import { what, connector, file } => tokio::select! {
            done = transfer::import(&context, what, &connector, file) => done,
            failure = context.end_of(&connector) => Err(failure),
        },
        Command::Audit(command) => audit::run(command, &context).await,
        Command::Check(command) => check::run(command, &context).await,
        Command::Migrate(command) => migrate::run(command, &context).await,
        Command::Reindex(command) => reindex::run(command, &context).await,
        Command::Doctor(command) => doctor::run(command, &context).await,
        Command::Completions { .. } => Ok(()),
    }
}

fn completions(shell: Shell) -> Result<(), Failure> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "scimctl", &mut out);
    context::say(&String::from_utf8_lossy(&out))
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    fn without_example(command: &Command, path: &str, missing: &mut Vec<String>) {
        let path = format!("{path} {}", command.get_name());
        if command.has_subcommands() {
            command.get_subcommands().for_each(|command| without_example(command, &path, missing));
        } else if !command.get_after_help().is_some_and(|help| help.to_string().contains("scimctl ")) {
            missing.push(path);
        }
    }

    #[test]
    fn every_command_has_an_example_in_its_help() {
        let mut missing = Vec::new();
        for name in
            ["connector", "export", "import", "audit", "check", "doctor", "migrate", "reindex", "completions"]
        {
            let command = Arguments::command();
            without_example(command.find_subcommand(name).unwrap(), "scimctl", &mut missing);
        }
        assert_eq!(missing, [""; 0]);
    }
}
