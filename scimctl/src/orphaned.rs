//! Deleting what an identity provider sent, still uses as far as the directory knows, and no longer manages.

use directory::Directory;
use shared::resource::{Origin, ResourceId, ResourceKind};

use crate::failure::{Failure, fail};
use crate::open_directory::OpenDirectory;
use crate::prompt::confirm;

/// Asks the operator to confirm the deletion of a user or group of the identity provider. `resource` says which, as in
/// `user ann`, and the operator enters `name`. Fails if the connector is enabled and the operator does not say that the
/// identity provider has abandoned the resource.
pub fn confirm_orphaned(
    open: &OpenDirectory,
    resource: &str,
    name: &str,
    is_orphaned: bool,
) -> Result<(), Failure> {
    let connector = &open.connector;
    if !is_orphaned && !open.is_disabled {
        return fail(format!(
            "{resource} belongs to the identity provider of connector {connector}; delete it there, or use --orphaned if the \
             identity provider no longer manages it"
        ));
    }
    let question = format!(
        "This deletes {resource}, which the identity provider of connector {connector} has not deactivated or deleted. An \
         identity provider that still manages it can get 404. To continue, enter {name}:"
    );
    confirm(&question, name, false)
}

/// Whether the identity provider still uses a user or group, as far as the directory knows: an active user, or a group with members.
/// Such a resource is deleted only if the operator confirms that the identity provider no longer manages it.
pub async fn is_used(directory: &Directory, kind: ResourceKind, id: ResourceId) -> Result<bool, Failure> {
    Ok(match kind {
        ResourceKind::User => directory.user_or_retained(id).await?.is_some_and(|found| {
            let resource = &found.stored.resource;
            resource.origin == Origin::Scim && resource.is_active() && !found.stored.is_retained
        }),
        ResourceKind::Group => directory.memberships().members(id, 0).await?.1,
        ResourceKind::LocalGroup | ResourceKind::Role => false,
    })
}

/// Deletes a user, group or role. `is_used` says that the identity provider still uses it, and that the operator confirmed the
/// deletion.
pub async fn delete(
    directory: &Directory,
    kind: ResourceKind,
    id: ResourceId,
    is_used: bool,
) -> Result<(), Failure> {
    match is_used {
        true => directory.delete_orphaned(kind, id).await?,
        false => directory.delete(kind, id, None).await?,
    }
    Ok(())
}
