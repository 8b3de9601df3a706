//! `scimctl requests`: prints the requests that the trail of a connector has, newest first.

mod print;

use std::collections::HashSet;
use std::time::Duration;

use clap::Args;
use directory::Directory;
use directory::connectors::ConnectorId;
use directory::trail::{Filter, KEPT, Page, Record, StatusFilter, Subject};
use jiff::{SignedDuration, Timestamp};
use shared::resource::{ResourceId, ResourceKind};

use crate::context::Context;
use crate::failure::{Failure, fail};
use crate::output::{print_json, print_note};
use crate::table::{Table, print_total};
use crate::time::Since;
use print::{HEADING, print_whole, row};

pub use print::{Names, names_of};

/// The pause between two looks for new requests.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(2);
/// How far back each look goes. The clocks of two processes can differ by that.
const LOOK_BACK: SignedDuration = SignedDuration::from_secs(30);

/// The options of `scimctl requests`.
#[derive(Args)]
#[command(after_help = "\
Failed requests are kept for 7 days; all requests if the connector's setting `trail` is `all`. Requests without right credentials are \
only counted: `scimctl connector sign-ins` prints the counts.\n\n\
EXAMPLES:
  scimctl requests okta --status 4xx --since 2h
  scimctl requests okta --user ann@example.com
  scimctl requests okta --id 5d1f7c2e-88a1-4f0e-9d5b-0a1b2c3d4e5f")]
pub struct Command {
    /// Id of the connector
    connector: String,
    /// Print only requests with this status, such as 409, or of this class, such as 4xx
    #[arg(long, value_name = "STATUS")]
    status: Option<StatusFilter>,
    /// Print only requests about this user (userName or id) or group (name or id)
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Print only requests of this last period, such as 30m, 2h or 3d, or from this date (00:00 UTC) or time on
    #[arg(long, value_name = "TIME", value_parser = Since::parse)]
    since: Option<Since>,
    /// Print at most this number of requests
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Print new requests as they come, until you press Ctrl-C. The oldest comes first
    #[arg(long, conflicts_with = "id")]
    follow: bool,
    /// Print everything about the request with this id, and about the operations of a Bulk request that failed
    #[arg(long, value_name = "REQUEST", conflicts_with_all = ["status", "user", "since"])]
    id: Option<String>,
    /// Print one JSON object on each line
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let connector = context.connector_or_deleting(&command.connector).await?;
    let id = connector.id.clone();
    let directory = context.directory(connector);
    if let Some(request) = &command.id {
        return one(context, &directory, &id, request, command.json).await;
    }
    let mut filter = Filter::until(context.now);
    filter.status = command.status;
    if let Some(user) = &command.user {
        filter.subjects = subjects(&directory, user).await?;
    }
    if let Some(since) = command.since {
        filter.since = since.time(context.now);
        if filter.since > context.now {
            return fail(format!("--since ({}) is later than now", filter.since));
        }
    }
    let records = newest(context, &id, &filter, command.limit).await?;
    if command.follow {
        return follow(context, &directory, &id, filter, records, command.json).await;
    }
    if command.json {
        return records.iter().try_for_each(print_json);
    }
    let (total, has_more) = (records.len(), records.len() == command.limit);
    print_rows(&mut Table::new(HEADING), &directory, records).await?;
    print_total(total, 0, "request", "requests")?;
    if has_more {
        print_note("There can be older requests: --limit prints more");
    }
    Ok(())
}

/// What a name or id can mean. A name is also looked up, because a request can name a user only by its id.
pub async fn subjects(directory: &Directory, name: &str) -> Result<Vec<Subject>, Failure> {
    let mut subjects = vec![Subject::Name(name.to_owned())];
    subjects.extend(ResourceId::parse(name).map(Subject::Id));
    for kind in [ResourceKind::User, ResourceKind::Group] {
        subjects.extend(directory.find_by_name(kind, name).await?.map(Subject::Id));
    }
    Ok(subjects)
}

/// Reads the newest records, up to a limit.
pub async fn newest(
    context: &Context,
    connector: &ConnectorId,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Record>, Failure> {
    let table = context.table_without_deadline();
    let trail = table.trail(connector);
    let (mut records, mut cursor) = (Vec::new(), None);
    while records.len() < limit {
        let Page { records: found, next } =
            trail.page(filter, cursor.as_deref(), limit - records.len()).await?;
        records.extend(found);
        match next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    Ok(records)
}

async fn one(
    context: &Context,
    directory: &Directory,
    connector: &ConnectorId,
    request: &str,
    is_json: bool,
) -> Result<(), Failure> {
    let records = context.table().trail(connector).one(request, context.now).await?;
    if records.is_empty() {
        return fail(format!(
            "the trail of connector {connector} has no request {request}. It has those of the last {} days that failed, or all if \
             the connector's setting `trail` is `all`",
            KEPT.as_hours() / 24
        ));
    }
    if is_json {
        return records.iter().try_for_each(print_json);
    }
    let names = names_of(directory, &records).await?;
    print_whole(&records, &names)
}

/// Prints these records, and then those that come later.
async fn follow(
    context: &Context,
    directory: &Directory,
    connector: &ConnectorId,
    mut filter: Filter,
    mut records: Vec<Record>,
    is_json: bool,
) -> Result<(), Failure> {
    let mut table = Table::new(HEADING);
    let mut seen: HashSet<(String, Option<usize>)> = HashSet::new();
    loop {
        let present: HashSet<_> =
            records.iter().map(|record| (record.request.clone(), record.operation)).collect();
        records.retain(|record| !seen.contains(&(record.request.clone(), record.operation)));
        records.reverse();
        match is_json {
            true => records.iter().try_for_each(print_json)?,
            false => print_rows(&mut table, directory, records).await?,
        }
        seen = present;
        tokio::time::sleep(FOLLOW_INTERVAL).await;
        let now = Timestamp::now();
        // What is in this period is read again, so it has to contain all that was printed in it.
        (filter.since, filter.until) = (filter.until - LOOK_BACK, now + LOOK_BACK);
        records = newest(context, connector, &filter, usize::MAX).await?;
        filter.until = now;
    }
}

async fn print_rows(table: &mut Table, directory: &Directory, records: Vec<Record>) -> Result<(), Failure> {
    let names = names_of(directory, &records).await?;
    table.print(records.iter().map(|record| row(record, &names)).collect())
}
