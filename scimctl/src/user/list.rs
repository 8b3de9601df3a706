//! `scimctl user list`.

use directory::StoredUser;
use directory::view::{Entry, Groups, ShownNames, for_each_user};
use shared::filter::Filter;
use shared::resource::{ResourceKind, represent_to_match};
use shared::schema::ResourceSchema;

use crate::failure::Failure;
use crate::open_directory::OpenDirectory;
use crate::output::print_json;
use crate::table::{Table, print_total};

/// The rows that are formatted and printed together, so that a large directory does not fill the memory.
const ROWS_PER_PART: usize = 500;

/// Lists the users that the directory shows.
pub async fn list(
    open: &OpenDirectory,
    with_hidden: bool,
    filter: Option<&str>,
    is_json: bool,
) -> Result<(), Failure> {
    let matches = parse_filter(filter, open.directory.schemas().of(ResourceKind::User))?;
    let maker = open.entry_maker()?;
    let groups = Groups::read(&open.directory).await?;
    let names = ShownNames::read(&open.directory, &maker).await?;
    let mut rows = Vec::new();
    let mut table = match with_hidden {
        // Another user can have the name of a hidden one, so only the id is unique.
        true => Table::new(["USERNAME", "NAME", "EMAIL", "GROUPS", "ORIGIN", "ID"]),
        false => Table::new(["USERNAME", "NAME", "EMAIL", "GROUPS", "ORIGIN"]),
    };
    let (mut shown, mut hidden) = (0, 0);
    for_each_user(&open.directory, |user| {
        let entry = groups.entry(user, &maker, &names);
        if !matches(user, &groups) {
            return Ok(());
        }
        if entry.hidden.is_some() && !with_hidden {
            hidden += 1;
            return Ok(());
        }
        shown += 1;
        if is_json {
            return print_json(&entry);
        }
        rows.push(row(entry, with_hidden));
        if rows.len() == ROWS_PER_PART {
            table.print(std::mem::take(&mut rows))?;
        }
        Ok(())
    })
    .await?;
    if is_json {
        return Ok(());
    }
    table.print(rows)?;
    print_total(shown, hidden, "user", "users")
}

/// Parses a SCIM filter into a function that returns whether it matches a user. Without a filter, all users match.
fn parse_filter(
    filter: Option<&str>,
    schema: &ResourceSchema,
) -> Result<impl Fn(&StoredUser, &Groups) -> bool + use<>, Failure> {
    let filter = filter.map(|text| Filter::parse(text)?.resolve(schema)).transpose()?;
    Ok(move |user: &StoredUser, groups: &Groups| {
        filter.as_ref().is_none_or(|filter| {
            let references = groups.references(&user.groups);
            filter.matches(&represent_to_match(&user.stored.resource, &references, None, ""))
        })
    })
}

fn row(entry: Entry, with_id: bool) -> Vec<String> {
    let email = entry.email.unwrap_or_else(|| "-".to_owned());
    let groups = if entry.groups.is_empty() { "-".to_owned() } else { entry.groups.join(", ") };
    let origin = match entry.hidden {
        Some(reason) => format!("{}; hidden: {reason}", entry.origin),
        None => entry.origin.to_owned(),
    };
    let mut row = vec![entry.username, entry.display_name, email, groups, origin];
    row.extend(with_id.then_some(entry.id));
    row
}
