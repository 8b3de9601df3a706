//! Folders that only the current user can read. They have personal data and passwords.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

const FOLDER_MODE: u32 = 0o700;
/// The permission bit of a folder in which all users can create files, such as `/tmp`.
const STICKY: u32 = 0o1000;

/// Creates a private folder, or makes an existing folder private.
///
/// # Errors
/// A sentence for the user if the folder cannot be created or changed, or all users of the machine share it.
pub fn create_private_folder(folder: &Path) -> Result<(), String> {
    let message = |error: io::Error| format!("{} cannot be created: {error}", folder.display());
    fs::DirBuilder::new().mode(FOLDER_MODE).recursive(true).create(folder).map_err(message)?;
    let mode = fs::metadata(folder).map_err(message)?.permissions().mode();
    if mode & STICKY != 0 {
        return Err(format!(
            "all users of this machine share the folder {}; give a folder inside it",
            folder.display()
        ));
    }
    if mode & 0o777 == FOLDER_MODE {
        return Ok(());
    }
    let message = |error: io::Error| format!("{} cannot be made private: {error}", folder.display());
    fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE)).map_err(message)
}
