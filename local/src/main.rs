//! `make run`: the whole service in one process.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use local::instance::{Instance, Part, Settings};
use local::signals::Signals;
use runtime::logging;
use tokio::sync::oneshot;

/// Runs Rollcall, a SCIM 2.0 service provider, in one process over an embedded DynamoDB engine.
///
/// It prints the endpoint URL, the username and the password for the identity provider, and the URL of a start page.
/// It runs until Ctrl-C.
#[derive(Parser)]
#[command(
    version,
    after_help = "ENVIRONMENT:
  PORT               the port on 127.0.0.1; 0 for any free port [default: 3000]
  DATA_DIR           the folder for data and credentials; only one process can use it at a time [default: .local]
  SCIM_USERNAME      the username [default: okta]
  SCIM_PASSWORD      the password [default: one that is generated once and kept in DATA_DIR]
  DYNAMODB_ENDPOINT  another DynamoDB to use; a missing table is created [default: the embedded engine]
  TABLE_NAME         the table [default: rollcall]
  PUBLIC_URL         where clients reach the service, for meta.location and $ref [default: the address it listens on]
  LOG_LEVEL          error, warn, info, debug or trace [default: info]

EXAMPLES:
  local
  PORT=3001 DATA_DIR=.local/second local
  PORT=8000 local dynamodb

EXIT CODES:
  0  stopped by a signal
  1  not started, or stopped by a second signal; the line on standard error says why
  2  the command line is wrong"
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run only the embedded DynamoDB engine, on PORT, with the connector and its credentials in its table
    Dynamodb,
}

#[tokio::main]
async fn main() -> ExitCode {
    let part = match Arguments::parse().command {
        Some(Command::Dynamodb) => Part::Engine,
        None => Part::Everything,
    };
    match run(part).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to say it to if this fails.
            let _ = writeln!(std::io::stderr(), "rollcall: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(part: Part) -> Result<(), String> {
    logging::start(logging::Format::Text);
    let instance = Instance::start(&Settings::from_environment()?, part).await?;
    // Before anything is said: who reads the lines may end the process at once.
    let mut signals = Signals::listen()?;
    let mut out = std::io::stdout();
    write!(out, "{}", instance.summary()).and_then(|()| out.flush()).map_err(|error| error.to_string())?;
    let (stop, stopped) = oneshot::channel();
    let two_signals = async {
        signals.next().await;
        tracing::info!("stopping once what is running is answered; another signal stops at once");
        let _ = stop.send(());
        signals.next().await;
    };
    tokio::select! {
        ended = instance.serve(async { drop(stopped.await) }) => ended,
        () = two_signals => Err("stopped before what was running was answered".to_owned()),
    }
}
