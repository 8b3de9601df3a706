//! Temporary folders, removed when a test ends.

use std::fs;
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// A temporary folder with a random name. It and its files are removed when it is dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Creates a folder.
    ///
    /// # Panics
    /// When it cannot be created.
    pub fn new() -> Self {
        let folder = Self::missing();
        fs::create_dir(&folder.0).expect("a temporary folder can be created");
        folder
    }

    /// A path without a folder. The program under test creates the folder.
    pub fn missing() -> Self {
        Self(std::env::temp_dir().join(format!("rollcall-test-{}", Uuid::new_v4())))
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in the folder, as text.
    ///
    /// # Panics
    /// When the path is not UTF-8.
    pub fn file_path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a temporary path is UTF-8").to_owned()
    }

    /// Writes a file in the folder and returns its path.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.file_path(name);
        fs::write(&path, text).expect("a file in a temporary folder can be written");
        path
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // This fails if the folder was never created. If files remain, they are in the temporary folder of
        // the system.
        let _ = fs::remove_dir_all(&self.0);
    }
}
