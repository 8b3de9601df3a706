//! What other settings change, before they are stored.

use directory::connectors::Connector;
use directory::settings::Settings;
use maud::{Markup, html};

use crate::connector::dry_run::{Extent, Found, compare};
use crate::connector::settings::Change;
use crate::console::page::{Tone, notice, table};
use crate::console::problem::Problem;
use crate::context::Context;
use crate::output::format_number;

/// What one page compares. So the preview of a directory with 1,000,000 users takes as long as that of one with 1,000.
const EXTENT: Extent = Extent { most: 1_000, examples: 10 };

/// The settings that change.
pub fn changes(changes: &[Change]) -> Markup {
    let rows = changes.iter().map(|Change { name, old, new }| {
        vec![html! { code { (name) } }, html! { code { (old) } }, html! { code { (new) } }]
    });
    table("Settings that change", &["Setting", "Now", "New"], rows.collect(), "")
}

/// Which users and groups appear, disappear and change in the directory that applications see.
pub async fn differences(
    context: &Context,
    connector: &Connector,
    settings: &Settings,
) -> Result<Markup, Problem> {
    let (id, present) = (connector.id.to_string(), &connector.record.settings);
    let directory = context.directory_with_deadline(connector.clone());
    let comparison = compare(&directory, &id, (present, settings), EXTENT).await?;
    let most = format_number(EXTENT.most);
    let part = match (comparison.has_all_users, comparison.has_all_groups) {
        (true, true) => None,
        (false, true) => Some(format!("of the first {most} users")),
        (true, false) => Some(format!("of about the first {most} groups")),
        (false, false) => Some(format!("of the first {most} users and about the first {most} groups")),
    };
    Ok(html! {
        @if let Some(part) = &part {
            (notice(Tone::Warning, html! {
                p {
                    "The directory is large, so this is a preview " (part) ". For the whole directory, run "
                    code { "scimctl connector set " (id) " … --dry-run" } "."
                }
            }))
        }
        @if comparison.changes.is_empty() {
            p { "No user or group would change" @if let Some(part) = &part { ", " (part) } "." }
        }
        @for Found { sentence, number, examples } in &comparison.changes {
            h3 { (sentence) @if let Some(part) = &part { ", " (part) } }
            ul {
                @for example in examples { li { (example) } }
                @if *number > examples.len() { li { "and " (format_number(number - examples.len())) " more" } }
            }
        }
        @if !comparison.shared_values.is_empty() {
            h3 { "Values that several users would share" }
            ul { @for line in &comparison.shared_values { li { (line) } } }
        }
    })
}
