//! Finds the group, role or member that an operator names.

use directory::view::{PUBLIC, is_built_in};
use shared::resource::{ResourceId, ResourceKind};

use crate::failure::{Failure, fail};
use crate::open_directory::OpenDirectory;

/// A group or role that an operator named.
pub struct FoundGroup {
    /// Whether it is a group of the identity provider, a local group or a role.
    pub kind: ResourceKind,
    /// The id.
    pub id: ResourceId,
    /// The name or id that the operator entered.
    pub entered: String,
}

/// Finds a local group, or else a group of the identity provider, by its name or id.
pub async fn find_group(open: &OpenDirectory, group: &str) -> Result<FoundGroup, Failure> {
    if is_built_in(group) {
        return fail(format!("{PUBLIC} is built in: every user is a member, and it cannot be changed"));
    }
    for kind in [ResourceKind::LocalGroup, ResourceKind::Group] {
        if let Some(id) = open.directory.find_by_name(kind, group).await? {
            return Ok(FoundGroup { kind, id, entered: group.to_owned() });
        }
        if let Some(id) = ResourceId::parse(group)
            && open.directory.group(kind, id).await.is_ok()
        {
            return Ok(FoundGroup { kind, id, entered: group.to_owned() });
        }
    }
    fail(format!("connector {} has no group {group}", open.connector))
}

/// Finds a role by its name.
pub async fn find_role(open: &OpenDirectory, role: &str) -> Result<FoundGroup, Failure> {
    let kind = ResourceKind::Role;
    match open.directory.find_by_name(kind, role).await? {
        Some(id) => Ok(FoundGroup { kind, id, entered: role.to_owned() }),
        None => fail(format!("connector {} has no role {role}", open.connector)),
    }
}

/// Finds members of a group or role of kind `of`. A member is a user, or a group of the identity provider. A role can also be
/// assigned to local groups.
pub async fn find_members(
    open: &OpenDirectory,
    of: ResourceKind,
    members: &[String],
) -> Result<Vec<ResourceId>, Failure> {
    let mut ids = Vec::with_capacity(members.len());
    for member in members {
        ids.push(find_member(open, of, member).await?);
    }
    Ok(ids)
}

async fn find_member(open: &OpenDirectory, of: ResourceKind, member: &str) -> Result<ResourceId, Failure> {
    for kind in of.kinds_of_members() {
        if let Some(id) = open.directory.find_by_name(*kind, member).await? {
            return Ok(id);
        }
    }
    match ResourceId::parse(member) {
        Some(id) => Ok(id),
        None if of == ResourceKind::Role => {
            fail(format!("connector {} has no user and no group {member}", open.connector))
        }
        None => fail(format!(
            "connector {} has no user {member}, and no group of the identity provider with this name",
            open.connector
        )),
    }
}
