//! Files with policies that no option tells apart: what Ranger Admin exported, and Cedar.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

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
        match read_export(path)? {
            Some(export) => {
                let rules = ranger::read_export(&export)
                    .map_err(|Failure(error)| Failure(format!("{}: {error}", path.display())))?;
                lines.extend(ranger::find_stale(&rules, principals, None, connector).0);
            }
            None => lines.extend(cedar::find_stale(std::slice::from_ref(path), principals)?),
        }
    }
    Ok(lines)
}

/// The text of a file if it is an export of Ranger Admin.
fn read_export(path: &Path) -> Result<Option<String>, Failure> {
    if path.is_dir() || path.extension().is_none_or(|extension| extension != "json") {
        return Ok(None);
    }
    let text = fs::read_to_string(path)
        .map_err(|error| Failure(format!("{}: {error}", path.display())))?;
    let json: Value = serde_json::from_str(&text).unwrap_or_default();
    let is_export = ["policies", "roles"].iter().any(|field| json.get(field).is_some_and(Value::is_array));
    Ok(is_export.then_some(text))
}
