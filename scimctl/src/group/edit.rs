//! Changes of a local group or role: create, rename, add and remove members, delete.

use shared::patch::{MemberOperation, MemberValue};
use shared::resource::{Document, ResourceId, ResourceKind};

use super::document::{new_document, with_name};
use super::find::{FoundGroup, find_members};
use crate::failure::{Failure, fail};
use crate::open_directory::OpenDirectory;
use crate::orphaned::{self, confirm_orphaned};
use crate::output::print;

/// Creates a local group or a role.
pub async fn create(open: &OpenDirectory, kind: ResourceKind, name: &str) -> Result<(), Failure> {
    let document = new_document(kind, name)?;
    let created = open.directory.create_group(kind, document, Vec::new()).await?;
    print(&format!("{} {name} is created with id {}", noun(kind), created.group.id))
}

/// Changes the name of a local group.
pub async fn set_name(open: &OpenDirectory, group: &FoundGroup, name: &str) -> Result<(), Failure> {
    let change = |document: &Document| with_name(group.kind, document, name);
    open.directory.change_group(group.kind, group.id, None, change, &[]).await?;
    Ok(())
}

/// Renames a local group, and prints that.
pub async fn rename(open: &OpenDirectory, group: &FoundGroup, name: &str) -> Result<(), Failure> {
    set_name(open, group, name).await?;
    print(&format!("{} {} is renamed to {name}", noun(group.kind), group.entered))
}

/// The members that were to be added, as they were named.
pub struct Added {
    /// Those who are members now.
    pub added: Vec<String>,
    /// Those who are not, because they are deactivated users.
    pub skipped: Vec<String>,
}

/// Adds members, except deactivated users.
pub async fn join(open: &OpenDirectory, group: &FoundGroup, members: &[String]) -> Result<Added, Failure> {
    let ids = find_members(open, group.kind, members).await?;
    let value = |id: &ResourceId| MemberValue { id: *id, kind: None, display: None };
    change_members(open, group, MemberOperation::Add(ids.iter().map(value).collect())).await?;
    let mut joined = Added { added: Vec::new(), skipped: Vec::new() };
    for (member, id) in members.iter().zip(ids) {
        // A member that is not a user is a group, and groups are never skipped.
        let user = open.directory.user_or_retained(id).await?;
        let is_skipped =
            user.is_some_and(|user| !user.stored.resource.is_active() && !user.groups.contains(&group.id));
        let list = if is_skipped { &mut joined.skipped } else { &mut joined.added };
        list.push(member.clone());
    }
    Ok(joined)
}

/// Adds members, and prints them. Deactivated users are not added: they are named in an error after the others are added.
pub async fn add_members(
    open: &OpenDirectory,
    group: &FoundGroup,
    members: &[String],
) -> Result<(), Failure> {
    let Added { added, skipped } = join(open, group, members).await?;
    let is_role = group.kind == ResourceKind::Role;
    let name = &group.entered;
    if !added.is_empty() {
        let added = added.join(", ");
        print(&match is_role {
            true => format!("role {name} is assigned to: {added}"),
            false => format!("added to group {name}: {added}"),
        })?;
    }
    if skipped.is_empty() {
        return Ok(());
    }
    let skipped = skipped.join(", ");
    fail(match is_role {
        true => format!("role {name} is not assigned to deactivated users: {skipped}"),
        false => format!("deactivated users are not added to group {name}: {skipped}"),
    })
}

/// Removes members.
pub async fn leave(open: &OpenDirectory, group: &FoundGroup, members: &[String]) -> Result<(), Failure> {
    let ids = find_members(open, group.kind, members).await?;
    change_members(open, group, MemberOperation::Remove(ids)).await
}

/// Removes members, and prints them.
pub async fn remove_members(
    open: &OpenDirectory,
    group: &FoundGroup,
    members: &[String],
) -> Result<(), Failure> {
    leave(open, group, members).await?;
    let (name, removed) = (&group.entered, members.join(", "));
    print(&match group.kind {
        ResourceKind::Role => format!("role {name} is withdrawn from: {removed}"),
        _ => format!("removed from group {name}: {removed}"),
    })
}

async fn change_members(
    open: &OpenDirectory,
    group: &FoundGroup,
    operation: MemberOperation,
) -> Result<(), Failure> {
    let unchanged = |document: &Document| Ok(document.clone());
    open.directory.change_group(group.kind, group.id, None, unchanged, &[operation]).await?;
    Ok(())
}

/// Deletes a group or role. A group of the identity provider that has members is deleted only if it is orphaned and the
/// operator confirms it.
pub async fn delete(open: &OpenDirectory, group: &FoundGroup, is_orphaned: bool) -> Result<(), Failure> {
    let is_used = orphaned::is_used(&open.directory, group.kind, group.id).await?;
    if is_used {
        confirm_orphaned(open, &format!("group {}", group.entered), &group.entered, is_orphaned)?;
    }
    orphaned::delete(&open.directory, group.kind, group.id, is_used).await?;
    print(&format!("{} {} is deleted", noun(group.kind), group.entered))
}

fn noun(kind: ResourceKind) -> &'static str {
    if kind == ResourceKind::Role { "role" } else { "group" }
}
