//! `scimctl check`: whether the table is in order, and how to mend it.

use clap::Args;
use directory::Counted;
use indicatif::ProgressBar;
use serde_json::json;
use shared::resource::ResourceKind;
use shared::schema::Schemas;

use directory::connectors::{Connectors, being_deleted};

use crate::context::{Context, Failure, fail, progress, remark, say};

/// What is checked.
#[derive(Args)]
#[command(after_help = "EXAMPLE:\n  scimctl check okta --repair")]
pub struct Command {
    /// The connector's id; all connectors, and what is left of any other, if none is named
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
    let mut tally = Tally { is_repair: command.repair, is_json: command.json, found: 0, mended: 0 };
    for connector in connectors {
        if connector.record.is_deleting {
            // What is half gone is in no order, and is not to be mended.
            remark(&being_deleted(&connector.id));
            continue;
        }
        let id = connector.id.to_string();
        let not_ready = connector.record.indexes.not_ready(Schemas::built_in());
        if !not_ready.is_empty() {
            remark(&format!(
                "{id}: indexes are not ready and are not checked: {}; `scimctl reindex {id}` builds them",
                not_ready.join(", ")
            ));
        }
        let directory = context.directory(connector);
        let users = directory.histogram(ResourceKind::User, Counted::All).await?.total();
        let bar = progress(&format!("checking {id}, {users} users"), users);
        let findings = directory.check(|items| pass(&bar, items)).await?;
        bar.finish_and_clear();
        for finding in findings {
            let is_mended = command.repair && directory.repair(&finding).await?;
            tally.say(&id, finding.name(), &finding.to_string(), is_mended)?;
        }
    }
    if command.connector.is_none() {
        let connectors = Connectors::new(context.patient_table(), context.actor().clone(), context.now);
        let bar = progress("looking for what is left of other connectors", 0);
        let leftovers = connectors.leftovers(|items| pass(&bar, items)).await?;
        bar.finish_and_clear();
        for leftover in leftovers {
            let is_mended = command.repair && connectors.delete_leftover(&leftover).await?;
            tally.say(&leftover.connector.to_string(), "leftover", &leftover.to_string(), is_mended)?;
        }
    }
    let Tally { found, mended, .. } = tally;
    match found - mended {
        0 if command.json => Ok(()),
        0 if found == 0 => say("everything is in order"),
        0 => say(&format!("{mended} findings, all mended; check again to see what they hid")),
        left if command.repair => fail(format!("{left} of {found} findings are not mended")),
        _ => fail(format!("{found} findings; `scimctl check --repair` mends them")),
    }
}

/// Items were read: how many there are is known at the end.
fn pass(bar: &ProgressBar, items: u64) {
    bar.inc(items);
    bar.set_length(bar.position().max(bar.length().unwrap_or_default()));
}

/// What was found, and how much of it was mended.
struct Tally {
    is_repair: bool,
    is_json: bool,
    found: usize,
    mended: usize,
}

impl Tally {
    fn say(&mut self, id: &str, name: &str, detail: &str, is_mended: bool) -> Result<(), Failure> {
        self.found += 1;
        self.mended += usize::from(is_mended);
        let state = match (self.is_repair, is_mended) {
            (false, _) => "found",
            (true, true) => "mended",
            (true, false) => "not mended",
        };
        if self.is_json {
            let line = json!({ "connector": id, "finding": name, "detail": detail, "state": state });
            say(&line.to_string())
        } else {
            say(&format!("{id}: {state}: {detail}"))
        }
    }
}
