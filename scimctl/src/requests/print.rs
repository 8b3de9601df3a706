//! How requests are printed.

use std::collections::BTreeMap;

use directory::Directory;
use directory::trail::{Record, Shown};
use shared::resource::ResourceId;

use crate::failure::Failure;
use crate::output::{count, format_fact_list, format_number, print_lines};

/// The columns of a list.
pub const HEADING: [&str; 7] = ["TIME (UTC)", "STATUS", "TYPE", "REQUEST", "NAME", "DETAIL", "ID"];

/// The names that resources have now.
pub type Names = BTreeMap<ResourceId, String>;

/// Reads the names of the resources of records that have none.
pub async fn names_of(directory: &Directory, records: &[Record]) -> Result<Names, Failure> {
    let unnamed = records.iter().filter(|record| record.name.is_none());
    let ids = unnamed.filter_map(|record| ResourceId::parse(record.resource.as_deref()?));
    Ok(directory.names_of(&ids.collect()).await?)
}

/// The cells of a record.
pub fn row(record: &Record, names: &Names) -> Vec<String> {
    let Record { time, status, scim_type, detail, request, .. } = record;
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let mut notes: Vec<String> = detail.iter().cloned().collect();
    notes.extend((record.failed_operations > 0).then(|| failed_operations(record)));
    notes.extend((record.dropped_before > 0).then(|| dropped(record)));
    vec![
        time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        status.to_string(),
        or_none(scim_type.clone()),
        title(record),
        or_none(name(record, names)),
        if notes.is_empty() { "-".to_owned() } else { notes.join("; ") },
        request.clone(),
    ]
}

/// The method and the path, and the position of an operation.
fn title(record: &Record) -> String {
    let Record { method, path, operation, .. } = record;
    match operation {
        None => format!("{method} {path}"),
        Some(position) => format!("operation {position}: {method} {path}"),
    }
}

fn name(record: &Record, names: &Names) -> Option<String> {
    let now = || names.get(&ResourceId::parse(record.resource.as_deref()?)?).cloned();
    record.name.clone().or_else(now)
}

fn failed_operations(record: &Record) -> String {
    count(record.failed_operations, "operation failed", "operations failed")
}

fn dropped(record: &Record) -> String {
    let records = count(record.dropped_before, "earlier record", "earlier records");
    format!("{records} could not be written")
}

/// Prints everything about a request and its operations.
pub fn print_whole(records: &[Record], names: &Names) -> Result<(), Failure> {
    let parts: Vec<String> = records.iter().map(|record| format_fact_list(&facts(record, names))).collect();
    print_lines(&parts.join("\n"))
}

/// The facts about one record, without those that it does not have.
fn facts(record: &Record, names: &Names) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Request:", record.request.clone()),
        ("Time:", format!("{:.3}", record.time)),
        ("Asked for:", title(record)),
        ("Status:", record.status.to_string()),
    ];
    let mut add = |label, value: Option<String>| facts.extend(value.map(|value| (label, value)));
    add("Type:", record.scim_type.clone());
    add("Detail:", record.detail.clone());
    add("Duration:", record.operation.is_none().then(|| format!("{} ms", record.ms)));
    add("Credential:", Some(record.credential.clone()));
    let kind = record.kind.as_deref().unwrap_or_default();
    add("Resource:", record.resource.as_ref().map(|id| format!("{kind} {id}").trim_start().to_owned()));
    add("Name:", name(record, names));
    add("Ignored:", (!record.ignored.is_empty()).then(|| record.ignored.join(", ")));
    if let Some(Shown { username, hidden }) = &record.shown {
        add("Shown username:", Some(username.clone()));
        add("Hidden:", Some(hidden.clone().unwrap_or_else(|| "no".to_owned())));
    }
    add("Failed operations:", (record.failed_operations > 0).then(|| operations(record)));
    add("Lost records:", (record.dropped_before > 0).then(|| dropped(record)));
    facts
}

fn operations(record: &Record) -> String {
    let failed = format_number(record.failed_operations);
    match record.unrecorded_operations {
        0 => failed,
        unrecorded => format!("{failed}, of which {} are not in the trail", format_number(unrecorded)),
    }
}
