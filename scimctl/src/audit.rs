//! `scimctl audit`: who changed what, the newest first.

use clap::Args;
use jiff::Timestamp;
use shared::store::audit::AuditRecord;

use crate::context::{Context, Failure, fail, say};

/// What is looked for.
#[derive(Args)]
pub struct Command {
    /// The connector's id
    connector: String,
    /// Only changes of this user, group or role
    #[arg(long, value_name = "ID")]
    resource: Option<String>,
    /// From this time on, as 2026-11-24T00:00:00Z; else from when the connector was made
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Up to this time
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// An object of JSON a line
    #[arg(long)]
    json: bool,
}

/// Carries out the command.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let connector = context.connector(&command.connector).await?;
    let since = command.since.unwrap_or(connector.record.created);
    let until = command.until.unwrap_or(context.now);
    if since > until {
        return fail("--since is later than --until");
    }
    let directory = context.directory(connector);
    let records = directory.audit(command.resource.as_deref(), since, until, command.limit).await?;
    for record in &records {
        let line = if command.json {
            serde_json::to_string(record).map_err(|error| Failure(error.to_string()))?
        } else {
            line(record)
        };
        say(&line)?;
    }
    Ok(())
}

fn line(record: &AuditRecord) -> String {
    let AuditRecord { time, by, who, operation, kind, id, attributes, request } = record;
    let attributes = attributes.join(", ");
    format!("{time}  {by} {who}  {operation:<6} {kind} {id}  {attributes}  [{request}]")
}
