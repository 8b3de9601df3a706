//! `scimctl`: what an operator does, on the table itself, with the operator's own rights.

mod connector;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use functions::configuration;
use shared::store::table::Table;
use tokio::time::Instant;

/// What one command may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Operates Rollcall: works on the DynamoDB table itself, with your own AWS credentials.
#[derive(Parser)]
#[command(
    version,
    after_help = "EXAMPLES:
  scimctl --table rollcall-Table-ABC123 connector create --name okta --url https://abc123.execute-api.eu-west-1.amazonaws.com
  scimctl --table rollcall --endpoint http://127.0.0.1:8000 connector list"
)]
struct Arguments {
    /// The table, as the stack's output TableName has it
    #[arg(long, env = "TABLE_NAME", default_value = configuration::DEFAULT_TABLE)]
    table: String,

    /// Another DynamoDB than AWS's, which needs no credentials
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Connectors: one for each identity provider
    #[command(subcommand)]
    Connector(connector::Command),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let client = match &arguments.endpoint {
        Some(endpoint) => configuration::dynamodb_at(endpoint).await,
        None => configuration::dynamodb().await,
    };
    let table = Table::new(client, arguments.table, Instant::now() + PATIENCE);
    let said = match arguments.command {
        Command::Connector(command) => connector::run(command, &table).await,
    };
    // Nothing is left to say it to if this fails.
    match said {
        Ok(text) => {
            let _ = writeln!(std::io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "scimctl: {error}");
            ExitCode::FAILURE
        }
    }
}
