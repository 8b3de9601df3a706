//! An audit record as a row of a table.

use std::collections::BTreeMap;

use directory::audit::{AuditRecord, ChangedValue, Changes, NamedIds};
use jiff::Timestamp;
use shared::resource::ResourceId;

use crate::output::format_number;

/// The most members or groups that a row names.
const MAX_NAMED: usize = 10;

/// The names that resources have now.
pub type Names = BTreeMap<ResourceId, String>;

/// The ids that rows of these records show by their names.
pub fn shown_ids(records: &[AuditRecord]) -> impl Iterator<Item = ResourceId> {
    let ids = records.iter().flat_map(|record| {
        let listed = lists(&record.changes).into_iter().flat_map(|(_, list)| list.ids.iter().take(MAX_NAMED));
        listed.chain([&record.id])
    });
    ids.filter_map(|id| ResourceId::parse(id))
}

/// The cells of a record. A resource has the name that the record keeps, or else the one that it has now.
pub fn row(record: AuditRecord, names: &Names) -> Vec<String> {
    let AuditRecord { time, by, who, operation, kind, id, changes, .. } = record;
    let seconds = time.parse::<Timestamp>().map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string());
    let name = changes.name.clone().or_else(|| name_of(&id, names).map(str::to_owned));
    let name = name.unwrap_or_else(|| "-".to_owned());
    vec![seconds.unwrap_or(time), format!("{by} {who}"), operation, kind, name, id, describe(&changes, names)]
}

fn name_of<'n>(id: &str, names: &'n Names) -> Option<&'n str> {
    names.get(&ResourceId::parse(id)?).map(String::as_str)
}

fn lists(changes: &Changes) -> [(&'static str, &NamedIds); 4] {
    [
        ("added", &changes.added),
        ("removed", &changes.removed),
        ("got", &changes.joined),
        ("left", &changes.left),
    ]
}

/// The attributes, values, members and groups that changed. An attribute whose value or members follow is left out.
fn describe(changes: &Changes, names: &Names) -> String {
    let lists = lists(changes).into_iter().filter(|(_, list)| !list.is_empty());
    let has_members = !changes.added.is_empty() || !changes.removed.is_empty();
    let has_groups = !changes.joined.is_empty() || !changes.left.is_empty();
    let is_explained = |attribute: &str| match attribute {
        "members" => has_members,
        "groups" => has_groups,
        attribute => changes.values.iter().any(|value| value.what == attribute),
    };
    let attributes = changes.attributes.iter().filter(|attribute| !is_explained(attribute));
    let attributes: Vec<&str> = attributes.map(String::as_str).collect();
    let mut parts: Vec<String> = Vec::new();
    parts.extend((!attributes.is_empty()).then(|| attributes.join(", ")));
    parts.extend(changes.values.iter().map(describe_value));
    parts.extend(lists.map(|(verb, list)| format!("{verb} {}", describe_list(list, names))));
    parts.join("; ")
}

fn describe_value(ChangedValue { what, from, to }: &ChangedValue) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "(none)".to_owned());
    format!("{what}: {} → {}", text(from), text(to))
}

fn describe_list(list: &NamedIds, names: &Names) -> String {
    let named: Vec<&str> =
        list.ids.iter().take(MAX_NAMED).map(|id| name_of(id, names).unwrap_or(id)).collect();
    match list.ids.len() - named.len() + list.more {
        0 => named.join(", "),
        more => format!("{} and {} more", named.join(", "), format_number(more)),
    }
}
