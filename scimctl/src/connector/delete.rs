//! `scimctl connector delete`.

use directory::connectors::Connectors;
use directory::{Counted, Directory};
use jiff::Timestamp;
use shared::resource::ResourceKind;

use crate::context::{Context, parse_connector_id};
use crate::failure::Failure;
use crate::output::{count, print};
use crate::progress::{progress_bar, wait};
use crate::prompt::confirm;

/// Deletes a connector in three steps: refuses its requests, deletes its directory after all functions refuse them, and deletes
/// its record last. An interrupted deletion is continued by the same command.
pub async fn delete(context: &Context, id: &str) -> Result<(), Failure> {
    let connector = context.connector_or_deleting(id).await?;
    let directory = context.directory(connector);
    let users = directory.histogram(ResourceKind::User, Counted::All).await?.total();
    let groups = count_groups(&directory).await?;
    let question = format!(
        "This deletes connector {id} with {} and {}. To continue, enter the id of the connector:",
        count(users, "user", "users"),
        count(groups, "group or role", "groups and roles")
    );
    confirm(&question, id, false)?;
    // The operator can take long to enter the id, so the time at which the command started is too early.
    let now = Timestamp::now();
    let connector = context.connectors().begin_deletion(&parse_connector_id(id)?, now).await?;
    let time = Connectors::time_until_unused(&connector, now);
    wait("waiting until all functions refuse its requests", time).await;
    let bar = progress_bar("deleting", users + groups);
    context.directory(connector).delete_connector(|deleted| bar.inc(deleted)).await?;
    bar.finish_and_clear();
    print(&format!("connector {id} is deleted; its audit records stay until they expire"))
}

/// Counts the groups of the identity provider, the local groups and the roles.
async fn count_groups(directory: &Directory) -> Result<usize, Failure> {
    let mut groups = 0;
    for kind in ResourceKind::WITH_MEMBERS {
        groups += directory.histogram(kind, Counted::All).await?.total();
    }
    Ok(groups)
}
