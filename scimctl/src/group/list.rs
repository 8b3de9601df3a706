//! `scimctl group list`.

use directory::view::{Groups, PUBLIC};
use shared::filter::Filter;
use shared::resource::{ResourceKind, represent_to_match};

use super::show::{BUILT_IN, GroupLine, NO_ID};
use crate::failure::Failure;
use crate::open_directory::OpenDirectory;
use crate::output::print_json;
use crate::table::{Table, print_total};

/// Lists the groups that the directory shows. The built-in group is listed only without a filter, because it has no attributes.
pub async fn list(
    open: &OpenDirectory,
    with_hidden: bool,
    filter: Option<&str>,
    is_json: bool,
) -> Result<(), Failure> {
    let schema = open.directory.schemas().of(ResourceKind::Group);
    let filter = filter.map(|text| Filter::parse(text)?.resolve(schema)).transpose()?;
    let maker = open.entry_maker()?;
    let mut found: Vec<(String, &'static str, String, Option<String>)> = Vec::new();
    for group in Groups::read(&open.directory).await?.groups() {
        if let Some(filter) = &filter {
            let (members, _) = open.directory.memberships().members(group.id, usize::MAX).await?;
            if !filter.matches(&represent_to_match(group, &[], Some(&members), "")) {
                continue;
            }
        }
        let hidden = maker.hidden_group(group).map(|reason| reason.to_string());
        found.push((maker.group_name(group), group.origin.name(), group.id.to_string(), hidden));
    }
    if filter.is_none() {
        found.push((PUBLIC.to_owned(), BUILT_IN, NO_ID.to_owned(), None));
    }
    found.sort();
    let mut rows = Vec::new();
    let (mut shown, mut skipped) = (0, 0);
    for (name, origin, id, hidden) in found {
        if hidden.is_some() && !with_hidden {
            skipped += 1;
            continue;
        }
        shown += 1;
        if is_json {
            print_json(&GroupLine { id, name: &name, origin, hidden })?;
            continue;
        }
        let origin = hidden.map_or_else(|| origin.to_owned(), |reason| format!("{origin}; hidden: {reason}"));
        rows.push(vec![name, origin, id]);
    }
    if is_json {
        return Ok(());
    }
    Table::new(["GROUP", "ORIGIN", "ID"]).print(rows)?;
    print_total(shown, skipped, "group", "groups")
}
