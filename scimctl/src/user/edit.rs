//! `scimctl user create`, `set`, `set-display-name` and `delete`.

use shared::resource::ResourceKind;

use super::attributes::{UserAttributes, new_document};
use super::find::find;
use crate::failure::Failure;
use crate::open_directory::OpenDirectory;
use crate::orphaned::{self, confirm_orphaned};
use crate::output::print;

/// Creates a local user.
pub async fn create(open: &OpenDirectory, user: &str, attributes: &UserAttributes) -> Result<(), Failure> {
    let document = attributes.apply_to(&new_document(user))?;
    let created = open.directory.create_user(document).await?;
    print(&format!("user {user} is created with id {}", created.id))
}

/// Updates a local user.
pub async fn update(open: &OpenDirectory, user: &str, attributes: &UserAttributes) -> Result<(), Failure> {
    let id = find(open, user).await?;
    let present = open.directory.user(id).await?.stored.resource.document;
    let is_changed = attributes.apply_to(&present)? != present;
    open.directory.change_user(id, None, |document| attributes.apply_to(document)).await?;
    print(&format!("user {user} is {}", if is_changed { "updated" } else { "unchanged" }))
}

/// Sets or clears the display name that the directory shows for a user.
pub async fn set_display_name(open: &OpenDirectory, user: &str, name: &str) -> Result<(), Failure> {
    let id = find(open, user).await?;
    let name = Some(name).filter(|name| !name.is_empty());
    open.directory.set_display_name(id, name).await?;
    print(&match name {
        Some(name) => format!("user {user} is shown as {name}"),
        None => format!("the display name of user {user} is cleared"),
    })
}

/// Deletes a user. A user that the identity provider still uses is deleted only if it is orphaned and the operator confirms it.
pub async fn delete(open: &OpenDirectory, user: &str, is_orphaned: bool) -> Result<(), Failure> {
    let id = find(open, user).await?;
    let is_used = orphaned::is_used(&open.directory, ResourceKind::User, id).await?;
    if is_used {
        confirm_orphaned(open, &format!("user {user}"), user, is_orphaned)?;
    }
    orphaned::delete(&open.directory, ResourceKind::User, id, is_used).await?;
    print(&format!("user {user} is deleted"))
}
