//! `scimctl group members`.

use directory::view::{Groups, ShownNames, for_each_user};
use shared::resource::ResourceId;

use crate::failure::Failure;
use crate::open_directory::OpenDirectory;
use crate::output::{print, print_json};

/// Lists the users of a group or role, or all users without one: every user is a member of the built-in group.
pub async fn list_users(
    open: &OpenDirectory,
    group: Option<ResourceId>,
    is_direct: bool,
    with_hidden: bool,
    is_json: bool,
) -> Result<(), Failure> {
    let maker = open.entry_maker()?;
    let groups = Groups::read(&open.directory).await?;
    let names = ShownNames::read(&open.directory, &maker).await?;
    for_each_user(&open.directory, |user| {
        let is_member = match group {
            None => true,
            Some(group) if is_direct => user.groups.contains(&group),
            Some(group) => groups.is_in(&user.groups, group),
        };
        let entry = groups.entry(user, &maker, &names);
        if !is_member || (entry.hidden.is_some() && !with_hidden) {
            return Ok(());
        }
        if is_json { print_json(&entry) } else { print(&entry.username) }
    })
    .await
}
