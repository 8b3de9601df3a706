//! `scimctl audit`: who changed what, the newest first.

use clap::Args;
use directory::audit::AuditRecord;
use directory::connectors::ConnectorId;
use jiff::Timestamp;
use shared::resource::ResourceId;

use crate::context::{Context, Failure, fail, say};

/// What is looked for.
#[derive(Args)]
#[command(after_help = "EXAMPLE:\n  scimctl audit okta --since 2026-11-01T00:00:00Z --json")]
pub struct Command {
    /// The connector's id; the trail of one that was deleted is there until it expires
    connector: String,
    /// Only changes of the user, group or role of this id; or of the connector's own record, by its id
    #[arg(long, value_name = "ID")]
    resource: Option<String>,
    /// From this time on, as 2026-11-24T00:00:00Z; else from when the connector was made, or from the beginning if it was deleted
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
    let id = &command.connector;
    let Some(connector) = ConnectorId::parse(id) else { return fail(format!("{id:?} is no connector's id")) };
    let resource = match command.resource.as_deref() {
        Some(resource) if resource != id => match ResourceId::parse(resource) {
            Some(resource) => Some(resource.to_string()),
            None => {
                return fail(format!("{resource:?} is no id; `scimctl user show` and `group show` tell it"));
            }
        },
        own => own.map(str::to_owned),
    };
    let known = context.table().connector(&connector).await?;
    let made = known.as_ref().map(|connector| connector.record.created);
    let since = command.since.or(made).unwrap_or(Timestamp::UNIX_EPOCH);
    let until = command.until.unwrap_or(context.now);
    if since > until {
        return fail("--since is later than --until");
    }
    let table = context.patient_table();
    let records =
        table.audit_trail(&connector).newest(resource.as_deref(), since, until, command.limit).await?;
    if known.is_none() && records.is_empty() {
        return fail(format!("there is no connector {id}, and no trail of one"));
    }
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
