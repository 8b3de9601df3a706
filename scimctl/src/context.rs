//! What every command has: the table, the operator, and ways to say things.

use std::fmt;
use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use clap::Args;
use directory::Table;
use directory::connectors::{Connector, ConnectorId, Connectors, being_deleted};
use directory::{Actor, By, Directory};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use runtime::{data_folder, environment};
use shared::error::{ErrorKind, ScimError, chain};
use shared::schema::Schemas;
use tokio::time::Instant;
use uuid::Uuid;

use crate::silence::{Silence, Watch};

/// What one request to DynamoDB may take, its repetitions with it.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often a command that writes for long reads the connector again. It is less than `CONNECTOR_CACHE_TTL`.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(10);

/// Where the table is.
#[derive(Args)]
pub struct Place {
    /// The table, as the stack's output TableName has it
    #[arg(long, env = "TABLE_NAME", default_value = environment::DEFAULT_TABLE, global = true)]
    table: String,

    /// Another DynamoDB than AWS's, which needs no credentials
    #[arg(long, value_name = "URL", global = true)]
    endpoint: Option<String>,

    /// The data of a `make run` that is running: its folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "endpoint", global = true)]
    local: Option<PathBuf>,
}

/// A sentence that says why something was not done.
#[derive(Debug)]
pub struct Failure(pub String);

impl From<ScimError> for Failure {
    fn from(error: ScimError) -> Self {
        // A client does not see the cause of an internal error; an operator does.
        match (error.kind, &error.cause) {
            (_, Some(cause)) if is_silence(cause.as_ref()) => Self(Silence.to_string()),
            (ErrorKind::TooManyRequests(_), None) => {
                Self("DynamoDB did not respond in time; run the same command again to continue".to_owned())
            }
            (ErrorKind::Internal | ErrorKind::TooManyRequests(_), Some(cause)) => Self(chain(cause.as_ref())),
            _ => Self(error.detail.into_owned()),
        }
    }
}

fn is_silence(cause: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(cause), |cause| cause.source()).any(|cause| cause.is::<Silence>())
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// A failure with this sentence.
pub fn fail<T>(sentence: impl fmt::Display) -> Result<T, Failure> {
    Err(Failure(sentence.to_string()))
}

/// The table, and who works on it.
pub struct Context {
    client: Client,
    table_name: String,
    table: Table,
    actor: Actor,
    /// The time of this command.
    pub now: Timestamp,
}

impl Context {
    /// Finds the table.
    pub async fn new(place: Place) -> Result<Self, Failure> {
        let endpoint = match place.local {
            Some(folder) => Some(data_folder::read_endpoint(&folder).map_err(Failure)?),
            None => place.endpoint,
        };
        let client = match endpoint {
            Some(endpoint) => runtime::dynamodb::client_at(&endpoint).await,
            None => runtime::dynamodb::client().await,
        };
        let watched = client.config().to_builder().interceptor(Watch::default());
        let client = Client::from_conf(watched.build());
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let operator =
            variable("USER").or_else(|| variable("USERNAME")).unwrap_or_else(|| "operator".to_owned());
        Ok(Self {
            table: Table::new(client.clone(), place.table.clone()),
            client,
            table_name: place.table,
            actor: Actor { by: By::Operator(operator), request: format!("scimctl-{}", Uuid::new_v4()) },
            now: Timestamp::now(),
        })
    }

    /// DynamoDB itself.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The table's name.
    pub fn table_name(&self) -> &str {
        &self.table_name
    }

    /// The table, for one step.
    pub fn table(&self) -> Table {
        self.table.until(Instant::now() + PATIENCE)
    }

    /// The table, for what takes as long as the directory is large.
    pub fn patient_table(&self) -> Table {
        self.table.clone()
    }

    /// Who works here.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The connector of this id, unless it is being deleted: what is written to it then may stay behind.
    pub async fn connector(&self, id: &str) -> Result<Connector, Failure> {
        let connector = self.any_connector(id).await?;
        if connector.record.is_deleting { fail(being_deleted(&connector.id)) } else { Ok(connector) }
    }

    /// Returns why a connector can no longer be written to: it is being deleted, or has an index that only a newer version
    /// knows. A command that writes for longer than a process may use one record watches this.
    pub async fn end_of(&self, id: &str) -> Failure {
        loop {
            tokio::time::sleep(LOOKED_AT_EVERY).await;
            match self.connector(id).await {
                Ok(Connector { id, record, .. }) => {
                    if let Err(error) = record.indexes.check_writable(Schemas::built_in(), &id) {
                        return error.into();
                    }
                }
                Err(failure) => return failure,
            }
        }
    }

    /// The connector of this id, also while it is being deleted.
    pub async fn any_connector(&self, id: &str) -> Result<Connector, Failure> {
        let known = match ConnectorId::parse(id) {
            Some(id) => self.table().connector(&id).await?,
            None => None,
        };
        known.ok_or_else(|| unknown_connector(id))
    }

    /// The operations on connectors, in the operator's name.
    pub fn connectors(&self) -> Connectors {
        Connectors::new(self.table(), self.actor.clone(), self.now)
    }

    /// The directory of a connector, in the hands of the operator.
    pub fn directory(&self, connector: Connector) -> Directory {
        let table = self.patient_table();
        Directory::new(table, Arc::new(connector), Schemas::built_in(), self.now, self.actor.clone())
    }
}

/// Reads the id of a connector.
pub fn parse_connector_id(id: &str) -> Result<ConnectorId, Failure> {
    ConnectorId::parse(id).ok_or_else(|| unknown_connector(id))
}

fn unknown_connector(id: &str) -> Failure {
    Failure(format!("there is no connector {id}; `scimctl connector list` names them"))
}

/// Prints a text, and a line's end where it has none.
pub fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out
        .write_all(text.as_bytes())
        .and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") })
    {
        // Whoever reads may have seen enough, as `head` has.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints a sentence where it is in nobody's way who reads the output.
pub fn remark(text: &str) {
    // Nothing is left to say it to if this fails.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// One line of standard input, without its end.
pub fn read_line() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// A bar on standard error, which is not drawn where that is no terminal.
pub fn progress(what: &str, total: usize) -> ProgressBar {
    let bar = ProgressBar::new(total as u64).with_message(what.to_owned());
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Waits for this time, with a bar of its seconds.
pub async fn wait(what: &str, time: SignedDuration) {
    let seconds = u64::try_from(time.as_secs()).unwrap_or_default();
    if time.is_positive() {
        let bar = progress(what, seconds as usize + 1);
        for _ in 0..=seconds {
            tokio::time::sleep(Duration::from_secs(1)).await;
            bar.inc(1);
        }
        bar.finish_and_clear();
    }
}

/// Rows in columns as wide as what stands in them.
pub fn columns(rows: &[Vec<String>]) -> String {
    columns_below(&mut Vec::new(), rows)
}

/// The same below other rows, whose columns were so wide: a table of which the first rows are printed already.
pub fn columns_below(widths: &mut Vec<usize>, rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    widths.resize(rows.iter().map(Vec::len).max().unwrap_or_default().max(widths.len()), 0);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(widths.iter().copied());
        let line: String = cells.map(|(cell, width)| format!("{cell:width$}  ")).collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Prints how many entries of a list are hidden, if any are.
pub fn say_hidden(shown: usize, hidden: usize) -> Result<(), Failure> {
    if hidden == 0 { Ok(()) } else { say(&format!("{shown} shown, {hidden} hidden (--hidden)")) }
}

/// A text for people: its control characters are spelled out, as a client may send what moves a terminal's cursor.
pub fn printable(text: &str) -> String {
    let spell = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(spell).collect()
}
