//! The import of a user.

use directory::Directory;
use shared::resource::ResourceKind;

use super::super::rows::{self, Row};
use super::{Imported, find_by_name};
use crate::failure::Failure;
use crate::user::{UserAttributes, new_document};

/// Creates a local user, or updates the one of this name to the attributes in the row.
pub async fn import_user(
    directory: &Directory,
    name: &str,
    row: &Row,
    is_dry_run: bool,
) -> Result<Imported, Failure> {
    let attributes = UserAttributes {
        first_name: rows::text(row, "first_name")?,
        last_name: rows::text(row, "last_name")?,
        display_name: rows::text(row, "display_name")?,
        email: rows::text(row, "email")?,
    };
    let Some(id) = find_by_name(directory, ResourceKind::User, name).await? else {
        let attributes = attributes.changes_from(UserAttributes::default());
        let document = attributes.apply_to(&new_document(name.trim()))?;
        if !is_dry_run {
            directory.create_user(document).await?;
        }
        return Ok(Imported::Created);
    };
    let present = directory.user(id).await?.stored.resource;
    let changes = attributes.changes_from(UserAttributes::of(&present.document));
    if changes == UserAttributes::default() {
        return Ok(Imported::Unchanged);
    }
    if is_dry_run {
        directory.check_owner(&present)?;
        changes.apply_to(&present.document)?;
        return Ok(Imported::Updated);
    }
    directory.change_user(id, None, |document| changes.apply_to(document)).await?;
    Ok(Imported::Updated)
}
