//! Files with Cedar policies or entities.

use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use cedar_policy::{Entities, ParseErrors, PolicySet};
use miette::Diagnostic as _;
use serde_json::Value;
use shared::error::chain;

use crate::failure::{Failure, fail};

/// The endings of the files that are read in a folder.
const ENDINGS: [&str; 2] = [".cedar", ".cedar.json"];

/// What a file holds.
pub enum Content {
    /// Policies and templates, and their text if it is in Cedar's own syntax.
    Policies(Box<PolicySet>, Option<String>),
    /// Entities, as Cedar reads them and as JSON.
    Entities(Entities, Vec<Value>),
}

/// Reads a file: policies in Cedar's own syntax, or, if its name ends in .json, a JSON policy set or an array of entities.
///
/// # Errors
/// Fails with the file, the line and Cedar's message. Some errors in JSON have no line.
pub fn read(file: &Path) -> Result<Content, Failure> {
    let text = fs::read_to_string(file).map_err(|error| in_file(file, error))?;
    if file.extension().is_none_or(|extension| extension != "json") {
        let policies: PolicySet = text.parse().map_err(|error| in_line(file, &text, &error))?;
        return Ok(Content::Policies(policies.into(), Some(text)));
    }
    if text.trim_start().starts_with('[') {
        let entities = Entities::from_json_str(&text, None).map_err(|error| in_json(file, &error))?;
        return Ok(Content::Entities(entities, serde_json::from_str(&text)?));
    }
    let policies = PolicySet::from_json_str(&text).map_err(|error| in_json(file, &error))?;
    Ok(Content::Policies(policies.into(), None))
}

/// Lists the files that an operator names. A folder stands for the .cedar and .cedar.json files in it and its subfolders.
///
/// # Errors
/// Fails if a folder has no such file.
pub fn list(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let found = list_folder(path).map_err(|error| in_file(path, error))?;
        if found.is_empty() {
            return fail(format!(
                "{}: no file in this folder ends in {}",
                path.display(),
                ENDINGS.join(" or ")
            ));
        }
        files.extend(found);
    }
    Ok(files)
}

fn list_folder(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // This does not follow links to folders, which can form a cycle.
        if entry.file_type()?.is_dir() {
            files.extend(list_folder(&entry.path())?);
        } else if ENDINGS.iter().any(|ending| entry.file_name().to_string_lossy().ends_with(ending)) {
            files.push(entry.path());
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Adds the name of the file to an error.
pub fn in_file(file: &Path, error: impl Display) -> Failure {
    Failure(format!("{}: {error}", file.display()))
}

/// Adds the name of the file to an error in JSON, and the line if the error has one.
pub fn in_json(file: &Path, error: &(dyn Error + 'static)) -> Failure {
    let mut cause = Some(error);
    let mut line = String::new();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<serde_json::Error>() {
            line = format!(":{}", error.line());
        }
        cause = error.source();
    }
    Failure(format!("{}{line}: {}", file.display(), chain(error)))
}

/// Adds the name of the file and the line to the first error of the parser.
fn in_line(file: &Path, text: &str, error: &ParseErrors) -> Failure {
    let label = error.labels().and_then(|mut labels| labels.next());
    let line = label.as_ref().map(|label| format!(":{}", line_at(text, label.offset()))).unwrap_or_default();
    let hints =
        [label.and_then(|label| label.label().map(str::to_owned)), error.help().map(|help| help.to_string())];
    let hints: String = hints.into_iter().flatten().map(|hint| format!("; {hint}")).collect();
    Failure(format!("{}{line}: {error}{hints}", file.display()))
}

/// The number of the line at an offset in bytes. The first line is 1.
pub fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
