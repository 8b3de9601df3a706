//! `scimctl sweep`: finishes the work of requests that died.

use clap::Args;
use directory::Swept;
use directory::feeds::Tended;
use shared::schema::Schemas;

use crate::context::Context;
use crate::failure::{Failure, fail};
use crate::output::{count, print, print_note};

/// The options of `scimctl sweep`.
#[derive(Args)]
#[command(
    after_help = "The function directory-sweep does the same every minute, and `make run` every few seconds. A change of more \
than one transaction says in the table what is left to do. Here it is finished if its process has made no progress for 6 \
seconds.\n\nEXAMPLE:\n  scimctl sweep okta"
)]
pub struct Command {
    /// Id of a connector. Without it, all connectors are swept
    connector: Option<String>,
}

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let id = match command.connector {
        Some(id) => Some(context.connector(&id).await?.id),
        None => None,
    };
    let table = context.table_without_deadline();
    let Swept { finished, left, failures } =
        table.sweep(id.as_ref(), Schemas::built_in(), context.now).await?;
    let finished = count(finished, "interrupted change", "interrupted changes");
    print(&format!("{finished} finished, {left} still being carried out"))?;
    let Tended { marked, cleared, failures: feed_failures } =
        table.tend_feeds(id.as_ref(), context.now).await?;
    if marked + cleared > 0 {
        print(&format!("{} marked, {cleared} cleared", count(marked, "feed", "feeds")))?;
    }
    let failures = [failures, feed_failures].concat();
    if failures.is_empty() {
        return Ok(());
    }
    for failure in &failures {
        print_note(failure);
    }
    fail(format!(
        "{} could not be finished",
        count(failures.len(), "interrupted change", "interrupted changes")
    ))
}
