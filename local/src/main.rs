//! `make run`: the whole service in one process.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use directory::Table;
use local::demo::Demo;
use local::instance::{Instance, Part, Settings};
use local::signals::Signals;
use runtime::escape::escape;
use runtime::{data_folder, dynamodb, environment, logging};
use tokio::sync::oneshot;

/// Runs Rollcall, a SCIM 2.0 service provider, in one process over an embedded DynamoDB engine.
///
/// It prints the endpoint URL, the username and a generated password for the identity provider, and the URL of a start page.
/// It runs until Ctrl-C.
#[derive(Parser)]
#[command(
    version,
    after_help = "ENVIRONMENT:
  PORT               the port on 127.0.0.1; 0 for any free port [default: 3000]
  DATA_DIR           the folder for data and credentials; only one process can use it at a time [default: .local]
  SCIM_USERNAME      the username [default: okta]
  SCIM_PASSWORD      the password, which is not printed [default: one that is generated once and kept in DATA_DIR]
  DYNAMODB_ADDRESS   the IP address on which the embedded engine listens, for other processes [default: 127.0.0.1]
  DYNAMODB_ENDPOINT  another DynamoDB to use; a missing table is created [default: the embedded engine]
  TABLE_NAME         the table [default: rollcall]
  PUBLIC_URL         where clients reach the service, for meta.location and $ref [default: the address it listens on]
  ORIGIN_SECRET      the value that the header x-origin-secret of every SCIM request must have [default: none is required]
  ALLOW_PRIVATE_TARGETS
                     true allows URLs of feeds and of OAuth issuers on this machine and in private networks [default: only public addresses]
  METRICS            off shows no metrics at /metrics [default: they are shown]
  LOG_LEVEL          error, warn, info or debug [default: info]

EXAMPLES:
  local
  PORT=3001 DATA_DIR=.local/second local
  PORT=8000 local dynamodb
  local demo

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
    /// Run only the embedded DynamoDB engine, on PORT of DYNAMODB_ADDRESS, with the connector and its credentials in its table
    Dynamodb,
    /// Provision an example company with the requests that Okta sends; run the service if none runs on PORT
    Demo,
}

// A request can compute for up to a second. With more threads than cores, the system shares the cores between such
// requests and all others.
#[tokio::main(worker_threads = 16)]
async fn main() -> ExitCode {
    let command = Arguments::parse().command;
    // The requests of the demo would hide what it prints.
    let level = if matches!(command, Some(Command::Demo)) { "warn" } else { "info" };
    logging::start(logging::Format::Text, level);
    let result = match command {
        Some(Command::Dynamodb) => run(Part::Engine, None).await,
        Some(Command::Demo) => demo().await,
        None => run(Part::Everything, None).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If this fails too, there is no other place for the message.
            let _ = writeln!(std::io::stderr(), "rollcall: {}", escape(&error));
            ExitCode::FAILURE
        }
    }
}

/// Provisions the example company in the service that runs on PORT, or in one that this process runs.
async fn demo() -> Result<(), String> {
    let settings = Settings::from_environment()?;
    let origin = format!("http://127.0.0.1:{}", settings.port);
    if settings.port == 0 || !Demo::is_service_at(&origin).await? {
        return run(Part::Everything, Some(settings.folder.clone())).await;
    }
    let (table, place) = match environment::dynamodb_endpoint() {
        Some(endpoint) => (dynamodb::client().await, format!("--endpoint {endpoint}")),
        None => {
            let engine = data_folder::read_engine(&settings.folder)?;
            (dynamodb::client_of_engine(&engine).await, format!("--local {}", settings.folder.display()))
        }
    };
    let table = Table::new(table, environment::table_name());
    let demo = Demo::new(&origin, &settings.credentials()?, table, place);
    print(&demo.run().await?)
}

/// Runs the service until a signal. If `demo` has a data folder, also provisions the example company.
async fn run(part: Part, demo: Option<PathBuf>) -> Result<(), String> {
    let instance = Instance::start(&Settings::from_environment()?, part).await?;
    // Before the lines are printed: a program that reads them may send a signal at once.
    let mut signals = Signals::listen()?;
    print(&instance.summary())?;
    let demo = demo.map(|folder| {
        let place = match environment::dynamodb_endpoint() {
            Some(endpoint) => format!("--endpoint {endpoint}"),
            None => format!("--local {}", folder.display()),
        };
        Demo::new(instance.origin(), instance.credentials(), instance.table().clone(), place)
    });
    let provision = async {
        match demo {
            Some(demo) => print(&demo.run().await?),
            None => Ok(()),
        }
    };
    let (stop, mut stopped) = oneshot::channel();
    let two_signals = async {
        signals.next().await;
        tracing::info!("stopping after the running requests are answered; another signal stops at once");
        let _ = stop.send(());
        signals.next().await;
    };
    // The service stops at a signal, or when the example company cannot be provisioned.
    let mut provisioned = Ok(());
    let serve = instance.serve(async {
        tokio::select! {
            _ = &mut stopped => return,
            result = provision => provisioned = result,
        }
        if provisioned.is_ok() {
            drop(stopped.await);
        }
    });
    tokio::select! {
        served = serve => served.and(provisioned),
        () = two_signals => Err("stopped before the running requests were answered".to_owned()),
    }
}

fn print(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout();
    write!(out, "{text}").and_then(|()| out.flush()).map_err(|error| error.to_string())
}
