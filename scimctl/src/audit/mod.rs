//! `scimctl audit`: prints the audit records of a connector, newest first.

mod row;

use clap::Args;
use directory::Directory;
use directory::connectors::ConnectorId;
use jiff::Timestamp;
use shared::resource::{ResourceId, ResourceKind};

use crate::context::Context;
use crate::failure::{Failure, fail};
use crate::output::{print_json, print_note};
use crate::table::{Table, print_total};
use crate::time::DateOrTime;
use crate::user::find_deleted;
pub use row::{Names, row, shown_ids};

/// The options of `scimctl audit`.
#[derive(Args)]
#[command(after_help = "EXAMPLE:\n  scimctl audit okta --resource ann@example.com --since 2026-11-01")]
pub struct Command {
    /// Id of the connector. The records of a deleted connector can be read until they expire
    connector: String,
    /// Print only changes of this user, group or role (userName, name or id), also as a member, or of the connector itself (its
    /// id). A deleted or renamed resource is found by the names that it had, as long as a record has them
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
    let known = context.table().connector(&connector).await?;
    let directory = known.clone().map(|connector| context.directory(connector));
    // No record is older than its connector. When a deleted connector was created is not known.
    let created = known.as_ref().map_or(Timestamp::UNIX_EPOCH, |connector| connector.record.created);
    let resource = match command.resource.as_deref() {
        Some(resource) if resource != id => match ResourceId::parse(resource) {
            Some(resource) => Some(resource.to_string()),
            None => {
                let found = find(context, &connector, directory.as_ref(), created, resource).await?;
                Some(found.to_string())
            }
        },
        connector_or_none => connector_or_none.map(str::to_owned),
    };
    let since = command.since.map_or(created, DateOrTime::first);
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
    let names = match &directory {
        Some(directory) => directory.names_of(&shown_ids(&records).collect()).await?,
        None => Names::new(),
    };
    Table::new(["TIME (UTC)", "BY", "OPERATION", "KIND", "NAME", "ID", "CHANGES"])
        .print(records.into_iter().map(|record| row(record, &names)).collect())?;
    print_total(total, 0, "record", "records")?;
    if total == command.limit {
        print_note("There can be older records: --limit prints more, and --until prints those up to a time");
    }
    Ok(())
}

/// Finds the user, group or role that the operator names. If none has the name now, finds those that had it. Otherwise a note
/// names these.
async fn find(
    context: &Context,
    id: &ConnectorId,
    directory: Option<&Directory>,
    created: Timestamp,
    name: &str,
) -> Result<ResourceId, Failure> {
    let mut found: Vec<(ResourceId, String)> = Vec::new();
    if let Some(directory) = directory {
        for kind in ResourceKind::ALL {
            let resource = directory.find_by_name(kind, name).await?;
            found.extend(resource.map(|resource| (resource, kind.name().to_owned())));
        }
        if found.is_empty() {
            let deleted = find_deleted(directory, name).await?.into_iter();
            found.extend(deleted.map(|user| (user, ResourceKind::User.name().to_owned())));
        }
    }
    let table = context.table_without_deadline();
    let mut named = table.audit_trail(id).named(name, created, context.now).await?;
    if found.is_empty() {
        found.extend(named);
    } else {
        named.retain(|earlier, _| found.iter().all(|(now, _)| now != earlier));
        if !named.is_empty() {
            let named = list(named.iter());
            print_note(&format!(
                "Other resources had the name {name}: {named}. To print their changes, enter an id"
            ));
        }
    }
    match &found[..] {
        [] => fail(format!(
            "connector {id} has no user, group or role {name}, and no audit record has this name. Records of earlier versions have \
             no names; enter an id"
        )),
        [(resource, _)] => Ok(*resource),
        _ => {
            let found = list(found.iter().map(|(id, kind)| (id, kind)));
            fail(format!("{name} is the name of several resources: enter an id of {found}"))
        }
    }
}

fn list<'r>(resources: impl Iterator<Item = (&'r ResourceId, &'r String)>) -> String {
    resources.map(|(id, kind)| format!("{kind} {id}")).collect::<Vec<_>>().join(", ")
}
