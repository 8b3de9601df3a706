//! `scimctl audit`: prints the audit records of a connector, newest first.

use clap::Args;
use directory::audit::AuditRecord;
use directory::connectors::ConnectorId;
use jiff::Timestamp;
use shared::resource::{ResourceId, ResourceKind};

use crate::context::Context;
use crate::failure::{Failure, fail};
use crate::open_directory::OpenDirectory;
use crate::output::{print_json, print_note};
use crate::table::{Table, print_total};
use crate::time::DateOrTime;
use crate::user::find_deleted;

/// The options of `scimctl audit`.
#[derive(Args)]
#[command(after_help = "EXAMPLE:\n  scimctl audit okta --resource ann@example.com --since 2026-11-01")]
pub struct Command {
    /// Id of the connector. The records of a deleted connector can be read until they expire
    connector: String,
    /// Print only changes of this user, group or role (userName, name or id), or of the connector itself (its id). Records have no
    /// names, so a deleted resource is found by its id only, and a user whom the connector keeps also by its userName
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
    /// Print only changes from this date (00:00 UTC) or time on, such as 2026-11-24 or 2026-11-24T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = DateOrTime::parse)]
    since: Option<DateOrTime>,
    /// Print only changes up to the end of this date (UTC), or up to this time
    #[arg(long, value_name = "TIME", value_parser = DateOrTime::parse)]
    until: Option<DateOrTime>,
    /// Print at most this number of records
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Print one JSON object on each line, with the milliseconds and the id of the request too
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
            None => Some(find(context, id, resource).await?.to_string()),
        },
        connector_or_none => connector_or_none.map(str::to_owned),
    };
    let known = context.table().connector(&connector).await?;
    // No record is older than its connector. When a deleted connector was created is not known.
    let created = known.as_ref().map(|connector| connector.record.created);
    let since = command.since.map(DateOrTime::first).or(created).unwrap_or(Timestamp::UNIX_EPOCH);
    let until = command.until.map_or(context.now, DateOrTime::last).min(context.now);
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
    if command.json {
        return records.iter().try_for_each(print_json);
    }
    let total = records.len();
    Table::new(["TIME (UTC)", "BY", "OPERATION", "KIND", "ID", "ATTRIBUTES"])
        .print(records.into_iter().map(row).collect())?;
    print_total(total, 0, "record", "records")?;
    if total == command.limit {
        print_note("There can be older records: --limit prints more, and --until prints those up to a time");
    }
    Ok(())
}

/// Finds the user, group or role that the operator names.
async fn find(context: &Context, connector: &str, name: &str) -> Result<ResourceId, Failure> {
    let open = OpenDirectory::open(context, connector).await?;
    let mut found = Vec::new();
    for kind in ResourceKind::ALL {
        found.extend(open.directory.find_by_name(kind, name).await?.map(|id| (kind, id)));
    }
    if found.is_empty() {
        found.extend(find_deleted(&open, name).await?.into_iter().map(|id| (ResourceKind::User, id)));
    }
    match &found[..] {
        [] => fail(format!(
            "connector {connector} has no user, group or role {name}. Audit records have no names, so enter the id of a deleted one"
        )),
        [(_, id)] => Ok(*id),
        _ => {
            let found: Vec<String> = found.iter().map(|(kind, id)| format!("{} {id}", kind.name())).collect();
            fail(format!("{name} is the name of several resources: enter an id of {}", found.join(", ")))
        }
    }
}

fn row(record: AuditRecord) -> Vec<String> {
    let AuditRecord { time, by, who, operation, kind, id, attributes, .. } = record;
    let seconds = time.parse::<Timestamp>().map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string());
    vec![seconds.unwrap_or(time), format!("{by} {who}"), operation, kind, id, attributes.join(", ")]
}
