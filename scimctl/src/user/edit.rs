//! `scimctl user create`, `set` and `delete`.

use shared::resource::ResourceKind;

use super::attributes::{UserAttributes, new_document};
use super::find::find;
use crate::failure::Failure;
use crate::open_directory::OpenDirectory;
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

/// Deletes a user.
pub async fn delete(open: &OpenDirectory, user: &str) -> Result<(), Failure> {
    let id = find(open, user).await?;
    open.directory.delete(ResourceKind::User, id, None).await?;
    print(&format!("user {user} is deleted"))
}
