//! Files with personal data or secrets. Only the current user can read them; the umask has no influence.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

const MODE: u32 = 0o600;

/// Opens a file, or creates it, and makes it private. Its content stays.
///
/// # Errors
/// If the file cannot be opened or created, or belongs to another user.
pub fn open(file: &Path) -> io::Result<File> {
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(MODE).open(file)?;
    // The umask can take rights away from a new file, and an existing file can be readable by others. A device stays as it is.
    if opened.metadata()?.is_file() {
        opened.set_permissions(Permissions::from_mode(MODE))?;
    }
    Ok(opened)
}

/// Creates an empty private file, or makes an existing file private and empties it.
///
/// # Errors
/// As [`open`].
pub fn create(file: &Path) -> io::Result<File> {
    let opened = open(file)?;
    if opened.metadata()?.is_file() {
        opened.set_len(0)?;
    }
    Ok(opened)
}
