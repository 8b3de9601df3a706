//! `scimctl audit`: prints the audit records of a connector, newest first.

use clap::Args;
use directory::audit::AuditRecord;
use directory::connectors::ConnectorId;
use jiff::Timestamp;
use shared::resource::ResourceId;

use crate::context::Context;
use crate::failure::{Failure, fail};
use crate::output::{print, print_json};

/// The options of `scimctl audit`.
#[derive(Args)]
#[command(after_help = "EXAMPLE:\n  scimctl audit okta --since 2026-11-01T00:00:00Z --json")]
pub struct Command {
    /// Id of the connector. The records of a deleted connector can be read until they expire
    connector: String,
    /// Print only changes of the user, group or role with this id, or of the connector itself with its own id
    #[arg(long, value_name = "ID")]
    resource: Option<String>,
    /// Print only changes from this time on, such as 2026-11-24T00:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Print only changes up to this time
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Print at most this number of records
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Print one JSON object on each line
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let id = &command.connector;
    let Some(connector) = ConnectorId::parse(id) else {
        return fail(format!("{id:?} is not a connector id; `scimctl connector list` lists all connectors"));
    };
    let resource = match command.resource.as_deref() {
        Some(resource) if resource != id => match ResourceId::parse(resource) {
            Some(resource) => Some(resource.to_string()),
            None => {
                return fail(format!(
                    "{resource:?} is not a resource id; `scimctl user show` and `scimctl group show` print ids"
                ));
            }
        },
        connector_or_none => connector_or_none.map(str::to_owned),
    };
    let known = context.table().connector(&connector).await?;
    // No record is older than its connector. When a deleted connector was created is not known.
    let created = known.as_ref().map(|connector| connector.record.created);
    let since = command.since.or(created).unwrap_or(Timestamp::UNIX_EPOCH);
    let until = command.until.unwrap_or(context.now);
    if since > until {
        let start = if command.since.is_some() { "--since" } else { "the creation of the connector" };
        return fail(format!("{start} ({since}) is later than --until ({until})"));
    }
    let table = context.table_without_deadline();
    let records =
        table.audit_trail(&connector).newest(resource.as_deref(), since, until, command.limit).await?;
    if known.is_none() && records.is_empty() {
        return fail(format!(
            "there is no connector {id}, and there are no audit records of a deleted one with this id"
        ));
    }
    for record in &records {
        if command.json { print_json(record)? } else { print(&format_record(record))? }
    }
    Ok(())
}

fn format_record(record: &AuditRecord) -> String {
    let AuditRecord { time, by, who, operation, kind, id, attributes, request } = record;
    let attributes = attributes.join(", ");
    format!("{time}  {by} {who}  {operation:<6} {kind} {id}  {attributes}  [{request}]")
}
