//! `scimctl reindex`: builds the indexes that a connector lacks, while the service runs.

use clap::Args;
use directory::Counted;
use directory::connectors::{BuiltIndexes, Connectors};
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
    after_help = "A new version can have an index that the users and groups of a connector lack. Until it is built, filters \
read all users instead. First deploy the version to all functions: older functions cannot write to a connector with an \
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
    let begun = context.connectors().begin_reindex(&id, schemas, context.now).await?;
    let names = begun.record.indexes.building();
    if names.is_empty() {
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
    let BuiltIndexes { added, deleted } = directory.build_indexes(|built| bar.inc(built)).await?;
    bar.finish_and_clear();
    let indexes = context.connectors().end_reindex(&begun, schemas).await?.record.indexes;
    for name in &names {
        print(&match indexes.is_ready(name) {
            Some(true) => format!("index {name} is ready"),
            Some(false) => format!("another operator builds index {name}; run `scimctl reindex {id}` again"),
            None => format!("index {name} is removed"),
        })?;
    }
    print(&format!("{} added, {deleted} deleted", count(added, "index entry", "index entries")))
}
