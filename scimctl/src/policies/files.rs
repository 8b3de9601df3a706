//! Files with policies that no option tells apart: what Ranger Admin exported, and Cedar.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Principals, Stale};
use crate::failure::Failure;
use crate::{cedar, ranger};

/// Finds the places in these files and folders that name users and groups whom the directory does not show. A .json file with a list
/// `policies` or `roles` is an export of Ranger Admin; all others are Cedar.
///
/// # Errors
/// Fails with the file if one cannot be read or parsed.
pub fn check_files(
    paths: &[PathBuf],
    principals: &Principals,
    connector: &str,
) -> Result<Vec<Stale>, Failure> {
    let mut lines = Vec::new();
    for path in paths {
        match read_ranger_export(path)? {
            Some(rules) => lines.extend(ranger::find_stale(&rules, principals, None, connector).0),
            None => lines.extend(cedar::find_stale(std::slice::from_ref(path), principals)?),
        }
    }
    Ok(lines)
}

/// The rules in a file; `None` if it is a folder, or no export of Ranger.
///
/// # Errors
/// Fails with the file if it cannot be read.
pub fn read_ranger_export(path: &Path) -> Result<Option<Vec<ranger::Rule>>, Failure> {
    if path.is_dir() || path.extension().is_none_or(|extension| extension != "json") {
        return Ok(None);
    }
    let in_file = |error: std::io::Error| Failure(format!("{}: {error}", path.display()));
    Ok(ranger::read_export(&fs::read_to_string(path).map_err(in_file)?).ok())
}
