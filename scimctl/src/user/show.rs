//! `scimctl user show`.

use directory::view::{Entry, Groups, ShownNames, owner};
use shared::resource::Origin;

use super::attributes::user_name;
use super::find::{find, missing};
use crate::failure::{Failure, fail};
use crate::open_directory::OpenDirectory;
use crate::output::{format_facts, print_json, print_lines};

/// Shows one user, even if it is hidden.
pub async fn show(open: &OpenDirectory, user: &str, is_json: bool) -> Result<(), Failure> {
    let maker = open.entry_maker()?;
    let id = find(open, user).await?;
    let Some(found) = open.directory.user_or_retained(id).await? else { return fail(missing(open, user)) };
    let groups = Groups::read(&open.directory).await?;
    let names = ShownNames::read(&open.directory, &maker).await?;
    let entry = groups.entry(&found, &maker, &names);
    if is_json {
        return print_json(&entry);
    }
    let stored_user_name = user_name(&found.stored.resource.document).to_owned();
    print_lines(&format_entry(entry, stored_user_name, &open.connector))
}

fn format_entry(entry: Entry, stored_user_name: String, connector: &str) -> String {
    let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let list = |names: Vec<String>| if names.is_empty() { "-".to_owned() } else { names.join(", ") };
    let origin = if entry.origin == Origin::Scim.name() { Origin::Scim } else { Origin::Local };
    format_facts([
        ("Id:", entry.id),
        ("Stored userName:", stored_user_name),
        ("Shown username:", entry.username),
        ("First name:", text(entry.first_name)),
        ("Last name:", text(entry.last_name)),
        ("Display name:", entry.display_name),
        ("Email:", text(entry.email)),
        ("Groups:", list(entry.groups)),
        ("Effective groups:", list(entry.effective_groups)),
        ("Roles:", list(entry.roles)),
        ("Hidden:", entry.hidden.map_or_else(|| "no".to_owned(), |reason| reason.to_string())),
        ("Owner:", owner(origin, connector)),
    ])
}
