//! Finds the user that an operator names.

use directory::Directory;
use directory::view::for_each_user;
use shared::filter::fold_name;
use shared::resource::{ResourceId, ResourceKind};

use super::attributes::user_name;
use crate::failure::{Failure, fail};
use crate::open_directory::OpenDirectory;

/// Finds a user by its userName or id. Every id is returned, even if it belongs to no user.
pub async fn find(open: &OpenDirectory, user: &str) -> Result<ResourceId, Failure> {
    if let Some(id) = open.directory.find_by_name(ResourceKind::User, user).await? {
        return Ok(id);
    }
    match ResourceId::parse(user) {
        Some(id) => Ok(id),
        None => fail(explain_missing(open, user).await?),
    }
}

/// Lists the users whom the client deleted, whom the connector keeps, and who have this userName.
pub async fn find_deleted(directory: &Directory, user: &str) -> Result<Vec<ResourceId>, Failure> {
    let mut deleted = Vec::new();
    for_each_user(directory, |candidate| {
        let resource = &candidate.stored.resource;
        let has_name = fold_name(user_name(&resource.document), false) == fold_name(user, false);
        if candidate.stored.is_retained && has_name {
            deleted.push(resource.id);
        }
        Ok::<_, Failure>(())
    })
    .await?;
    Ok(deleted)
}

/// Returns the error for an unknown name. It has the ids of deleted users that had it, because only their ids can find them.
async fn explain_missing(open: &OpenDirectory, user: &str) -> Result<String, Failure> {
    let deleted: Vec<String> =
        find_deleted(&open.directory, user).await?.iter().map(ToString::to_string).collect();
    let missing = missing(open, user);
    Ok(match &deleted[..] {
        [] => missing,
        [id] => format!("{missing}; the identity provider deleted a user of this name: use its id {id}"),
        ids => format!(
            "{missing}; the identity provider deleted {} users of this name: use an id of {}",
            ids.len(),
            ids.join(", ")
        ),
    })
}

/// Returns the error for an unknown name or id.
pub fn missing(open: &OpenDirectory, user: &str) -> String {
    format!("connector {} has no user {user}", open.connector)
}
