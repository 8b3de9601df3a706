//! `scimctl group show`.

use directory::view::{PUBLIC, is_built_in, owner};
use serde::Serialize;
use shared::resource::ResourceKind;

use super::find::find_group;
use crate::failure::Failure;
use crate::open_directory::OpenDirectory;
use crate::output::{count, format_facts, print_json, print_lines};

/// The origin of the built-in group `public`.
pub const BUILT_IN: &str = "built-in";
/// What the built-in group has instead of an id.
pub const NO_ID: &str = "-";

/// A group as `--json` prints it.
#[derive(Serialize)]
pub struct GroupLine<'a> {
    /// The id.
    pub id: String,
    /// The name that the directory shows.
    pub name: &'a str,
    /// `scim`, `local` or `built-in`.
    pub origin: &'a str,
    /// Why the group is hidden; `None` if it is shown.
    pub hidden: Option<String>,
}

/// Shows one group, even if it is hidden.
pub async fn show(open: &OpenDirectory, group: &str, is_json: bool) -> Result<(), Failure> {
    if is_built_in(group) {
        let line = GroupLine { id: NO_ID.to_owned(), name: PUBLIC, origin: BUILT_IN, hidden: None };
        return print_group(line, "all users".to_owned(), "none; the group is built in".to_owned(), is_json);
    }
    let maker = open.entry_maker()?;
    let found = find_group(open, group).await?;
    let resource = open.directory.group(found.kind, found.id).await?.resource;
    let (members, _) = open.directory.memberships().members(found.id, usize::MAX).await?;
    let users = members.iter().filter(|member| member.kind == ResourceKind::User).count();
    let groups = members.len() - users;
    let members = format!("{}, {}", count(users, "user", "users"), count(groups, "group", "groups"));
    let name = maker.group_name(&resource);
    let hidden = maker.hidden_group(&resource).map(|reason| reason.to_string());
    let line = GroupLine { id: resource.id.to_string(), name: &name, origin: resource.origin.name(), hidden };
    print_group(line, members, owner(resource.origin, &open.connector), is_json)
}

fn print_group(line: GroupLine<'_>, members: String, owner: String, is_json: bool) -> Result<(), Failure> {
    if is_json {
        return print_json(&line);
    }
    print_lines(&format_facts([
        ("Id:", line.id),
        ("Name:", line.name.to_owned()),
        ("Members:", members),
        ("Hidden:", line.hidden.unwrap_or_else(|| "no".to_owned())),
        ("Owner:", owner),
    ]))
}
