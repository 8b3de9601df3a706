//! `scimctl reindex`: builds the indexes that a connector lacks, while the service runs.

use clap::Args;
use directory::Counted;
use directory::connectors::{Connectors, Reindexed};
use jiff::Timestamp;
use shared::resource::ResourceKind;
use shared::schema::Schemas;

use crate::context::{Context, parse_connector_id};
use crate::failure::Failure;
use crate::output::{count, print};
use crate::progress::{progress_bar, wait};

/// The options of `scimctl reindex`.
#[derive(Args)]
#[command(
    after_help = "A new version or a custom schema can have an index that the users and groups of a connector lack. Until it is \
built, filters read all users instead. First deploy the version to all functions: older functions cannot write to a connector with an \
index that they do not know. After a rollback, the same command of the older version removes the index.\n\n\
EXAMPLE:\n  scimctl reindex okta"
)]
pub struct Command {
    /// Id of the connector
    connector: String,
}

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let (id, schemas) = (parse_connector_id(&command.connector)?, Schemas::built_in());
    let connectors = Connectors::new(context.table_without_deadline(), context.actor().clone(), context.now);
    let begun = connectors.begin_reindex(&id, schemas, Timestamp::now()).await?;
    if begun.record.indexes.changing().next().is_none() {
        return print(&format!("all indexes of connector {id} are ready"));
    }
    let time = Connectors::time_until_reindex(&begun, Timestamp::now());
    wait("waiting until all functions know the indexes", time).await;
    let directory = context.directory(begun.clone());
    let mut total = 0;
    for kind in ResourceKind::ALL {
        total += directory.histogram(kind, Counted::All).await?.total();
    }
    let bar = progress_bar("building", total);
    let Reindexed { ready, removed, added, deleted } =
        connectors.reindex(&begun, schemas, |read| bar.inc(read)).await?;
    bar.finish_and_clear();
    for name in ready {
        print(&format!("index {name} is ready"))?;
    }
    for name in removed {
        print(&format!("index {name} is removed"))?;
    }
    print(&format!("{} added, {deleted} stray ones deleted", count(added, "index entry", "index entries")))
}
