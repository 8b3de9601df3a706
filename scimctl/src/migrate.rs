//! `scimctl migrate`: stores a table in the newest format, while the service runs.

use clap::Args;
use directory::connectors::{Connectors, FORMAT};

use crate::context::Context;
use crate::failure::Failure;
use crate::output::print;

/// The options of `scimctl migrate`: there are none.
#[derive(Args)]
#[command(
    after_help = "First deploy this version to all functions: older functions cannot read the newest format.\n\n\
EXAMPLE:\n  scimctl migrate"
)]
pub struct Command {}

/// Runs the command.
pub async fn run(_: Command, context: &Context) -> Result<(), Failure> {
    // A table can have many connectors, so the command has no deadline.
    let table = context.table_without_deadline();
    let migrated = Connectors::new(table, context.actor().clone(), context.now).migrate().await?.connectors;
    for id in &migrated {
        print(&format!("{id}: migrated to format {FORMAT}"))?;
    }
    match migrated.len() {
        0 => print(&format!("all connectors are already stored in format {FORMAT}")),
        1 => print(&format!("1 connector is now stored in format {FORMAT}")),
        connectors => print(&format!("{connectors} connectors are now stored in format {FORMAT}")),
    }
}
