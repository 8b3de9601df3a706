//! `scimctl check`: whether the table is in order, and how to mend it.

use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;
use shared::resource::ResourceKind;
use shared::store::Counted;

use crate::context::{Context, Failure, fail, progress, say};

/// What is checked.
#[derive(Args)]
pub struct Command {
    /// The connector's id; all connectors if none is named
    connector: Option<String>,
    /// Mend what is found
    #[arg(long)]
    repair: bool,
    /// An object of JSON for each finding
    #[arg(long)]
    json: bool,
}

/// Carries out the command.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let connectors = match &command.connector {
        Some(id) => vec![context.connector(id).await?],
        None => context.table().connectors().await?,
    };
    let (mut found, mut mended) = (0, 0);
    for connector in connectors {
        let id = connector.id.to_string();
        let directory = context.directory(connector);
        let users = directory.histogram(ResourceKind::User, Counted::All).await?.total();
        // A user is itself, some index entries and some memberships: how many is known at the end.
        let bar: ProgressBar = progress(&format!("checking {id}, {users} users"), users);
        let findings = directory
            .check(|items| {
                bar.inc(items);
                bar.set_length(bar.position().max(bar.length().unwrap_or_default()));
            })
            .await?;
        bar.finish_and_clear();
        for finding in findings {
            found += 1;
            let is_mended = command.repair && directory.repair(&finding).await?;
            mended += usize::from(is_mended);
            let state = match (command.repair, is_mended) {
                (false, _) => "found",
                (true, true) => "mended",
                (true, false) => "not mended",
            };
            if command.json {
                let line = json!({
                    "connector": id, "finding": finding.name(), "detail": finding.to_string(), "state": state
                });
                say(&line.to_string())?;
            } else {
                say(&format!("{id}: {state}: {finding}"))?;
            }
        }
    }
    match found - mended {
        0 if command.json => Ok(()),
        0 if found == 0 => say("everything is in order"),
        0 => say(&format!("{mended} findings, all mended; check again to see what they hid")),
        left if command.repair => fail(format!("{left} of {found} findings are not mended")),
        _ => fail(format!("{found} findings; `scimctl check --repair` mends them")),
    }
}
