//! `scimctl check`: finds inconsistent data in the table, and repairs it.

use clap::Args;
use directory::connectors::{Connector, Connectors, being_deleted};
use directory::view::{EntryMaker, Hidden, MembershipNames, ShownNames, for_each_user};
use directory::{Counted, Directory};
use indicatif::ProgressBar;
use serde_json::json;
use shared::resource::ResourceKind;
use shared::schema::Schemas;

use crate::context::Context;
use crate::duplicates::Duplicates;
use crate::failure::{Failure, fail};
use crate::open_directory::entry_maker;
use crate::output::{count, print, print_json, print_note};
use crate::progress::progress_bar;

/// The options of `scimctl check`.
#[derive(Args)]
#[command(after_help = "EXAMPLE:\n  scimctl check okta --repair")]
pub struct Command {
    /// Id of a connector. Without it, all connectors are checked, and items of connectors that no longer exist
    connector: Option<String>,
    /// Repair the findings
    #[arg(long)]
    repair: bool,
    /// Print one JSON object for each finding
    #[arg(long)]
    json: bool,
}

impl Command {
    /// Whether the command changes what the table holds.
    pub fn is_change(&self) -> bool {
        self.repair
    }
}

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let connectors = match &command.connector {
        Some(id) => vec![context.connector(id).await?],
        None => context.table().connectors().await?,
    };
    let mut report =
        Report { is_repair: command.repair, is_json: command.json, found: 0, repaired: 0, taken_names: 0 };
    for connector in connectors {
        check_connector(context, connector, &mut report).await?;
    }
    if command.connector.is_none() {
        check_leftovers(context, &mut report).await?;
    }
    report.finish()
}

async fn check_connector(
    context: &Context,
    connector: Connector,
    report: &mut Report,
) -> Result<(), Failure> {
    if connector.record.is_deleting {
        // A partly deleted directory is inconsistent, and only the deletion repairs that.
        print_note(&being_deleted(&connector.id));
        return Ok(());
    }
    let id = connector.id.to_string();
    let schemas = connector.schemas(Schemas::built_in());
    let not_ready = connector.record.indexes.not_ready(&schemas, &connector.record.settings.mapping);
    if !not_ready.is_empty() {
        let (verb, pronoun) = if not_ready.len() == 1 { ("is", "it") } else { ("are", "them") };
        print_note(&format!(
            "{id}: {} {verb} not ready and not checked: {}; `scimctl reindex {id}` builds {pronoun}",
            count(not_ready.len(), "index", "indexes"),
            not_ready.join(", ")
        ));
    }
    let settings = connector.record.settings.clone();
    let directory = context.directory(connector);
    let users = directory.histogram(ResourceKind::User, Counted::All).await?.total();
    let bar = progress_bar(&format!("checking {id} ({})", count(users, "user", "users")), users);
    let findings = directory.check(|items| advance(&bar, items)).await?;
    bar.finish_and_clear();
    let is_readable = findings.iter().all(|finding| finding.name() != "unreadable");
    for finding in findings {
        let is_repaired = report.is_repair && directory.repair(&finding).await?;
        report.add(&id, finding.name(), &finding.to_string(), is_repaired)?;
    }
    if !is_readable {
        // The list of users cannot be read either.
        return Ok(());
    }
    let maker = entry_maker(&id, &settings)?;
    report_taken_names(&directory, &maker, report).await?;
    // Two users can share an address or an externalId on purpose, so this is no finding.
    for line in Duplicates::read(&directory, &maker).await?.lines() {
        print_note(&format!("{id}: {line}"));
    }
    Ok(())
}

/// Reports the users who are hidden because another user is shown with their username.
async fn report_taken_names(
    directory: &Directory,
    maker: &EntryMaker<'_>,
    report: &mut Report,
) -> Result<(), Failure> {
    let names = ShownNames::read(directory, maker).await?;
    for_each_user(directory, |user| {
        let taken_by = names.taken_by(&user.stored, maker);
        let entry = maker.entry(&user.stored, MembershipNames::default(), taken_by);
        let Some(Hidden::NameTakenBy(other)) = &entry.hidden else { return Ok(()) };
        let detail = format!(
            "User {} is hidden, because User {other} was created earlier and has the same username {}; change one of them, or the \
             mapping",
            entry.id, entry.username
        );
        report.taken_names += 1;
        report.add(&entry.connector, "name-taken", &detail, false)
    })
    .await
}

/// Looks for items of connectors that have no record.
async fn check_leftovers(context: &Context, report: &mut Report) -> Result<(), Failure> {
    let table = context.table_without_deadline();
    let connectors = Connectors::new(table, context.actor().clone(), context.now);
    let bar = progress_bar("looking for items of other connectors", 0);
    let leftovers = connectors.leftovers(|items| advance(&bar, items)).await?;
    bar.finish_and_clear();
    for leftover in leftovers {
        let is_repaired = report.is_repair && connectors.delete_leftover(&leftover).await?;
        report.add(&leftover.connector.to_string(), "leftover", &leftover.to_string(), is_repaired)?;
    }
    Ok(())
}

/// Advances a progress bar whose total is not known before the end.
fn advance(bar: &ProgressBar, items: u64) {
    bar.inc(items);
    bar.set_length(bar.position().max(bar.length().unwrap_or_default()));
}

/// Prints the findings, and counts them.
struct Report {
    is_repair: bool,
    is_json: bool,
    found: usize,
    repaired: usize,
    /// The findings that only a change in the identity provider or of the mapping ends.
    taken_names: usize,
}

impl Report {
    fn add(&mut self, id: &str, name: &str, detail: &str, is_repaired: bool) -> Result<(), Failure> {
        self.found += 1;
        self.repaired += usize::from(is_repaired);
        let state = match (self.is_repair, is_repaired) {
            (false, _) => "found",
            (true, true) => "repaired",
            (true, false) => "not repaired",
        };
        if self.is_json {
            print_json(&json!({ "connector": id, "finding": name, "detail": detail, "state": state }))
        } else {
            print(&format!("{id}: {state}: {detail}"))
        }
    }

    /// Prints the result. Fails if a finding is left.
    fn finish(&self) -> Result<(), Failure> {
        let findings = count(self.found, "finding", "findings");
        match self.found - self.repaired {
            0 if self.is_json => Ok(()),
            0 if self.found == 0 => print("no findings"),
            0 => print(&format!("{findings} repaired; check again, because a finding can hide others")),
            left if left == self.taken_names => fail(format!("{findings} that `--repair` cannot repair")),
            1 if self.is_repair => fail(format!("1 of {findings} is not repaired")),
            left if self.is_repair => fail(format!("{left} of {findings} are not repaired")),
            1 => fail("1 finding; `scimctl check --repair` repairs it"),
            _ => fail(format!("{findings}; `scimctl check --repair` repairs them")),
        }
    }
}
