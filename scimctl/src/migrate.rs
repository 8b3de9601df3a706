//! `scimctl migrate`: stores a table in the newest format, while the service runs.

use clap::Args;
use directory::connectors::{Connectors, FORMAT};

use crate::context::{Context, Failure, say};

/// The options of `scimctl migrate`: there are none.
#[derive(Args)]
#[command(
    after_help = "First deploy this version to all functions: older functions cannot read the newest format.\n\nEXAMPLE:\n  scimctl migrate"
)]
pub struct Command {}

/// Runs the command.
pub async fn run(_: Command, context: &Context) -> Result<(), Failure> {
    // A table can have many connectors, so the command has no deadline.
    let table = context.patient_table();
    let migrated = Connectors::new(table, context.actor().clone(), context.now).migrate().await?.connectors;
    for id in &migrated {
        say(&format!("{id}: migrated to format {FORMAT}"))?;
    }
    match migrated.len() {
        0 => say(&format!("all connectors are stored in format {FORMAT} already")),
        1 => say(&format!("1 connector is stored in format {FORMAT} now")),
        more => say(&format!("{more} connectors are stored in format {FORMAT} now")),
    }
}
