//! `scimctl export cedar`.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use runtime::private_file;

use super::entities::{DirectoryEntities, SCHEMA};
use crate::context::Context;
use crate::failure::{Failure, fail};
use crate::open_directory::OpenDirectory;
use crate::output::{count, print_note};

/// Writes the entities of a directory to a file, one on each line, and their schema beside it.
pub async fn export(context: &Context, connector: &str, file: &Path) -> Result<(), Failure> {
    let schema_file = schema_file(file)?;
    let open = OpenDirectory::open(context, connector).await?;
    let read = DirectoryEntities::read(&open).await?;
    // Nothing is written if the entities do not fit their schema.
    read.to_cedar()?;
    let lines: Result<Vec<String>, _> = read.entities.iter().map(serde_json::to_string).collect();
    write(&schema_file, SCHEMA)?;
    write(file, &format!("[\n{}\n]\n", lines?.join(",\n")))?;
    let shown = read.shown_users().count();
    print_note(&format!(
        "{}, {} and {} exported, and {} and {} left out; the schema is {}",
        count(shown, "user", "users"),
        count(read.groups, "group", "groups"),
        count(read.roles, "role", "roles"),
        count(read.users.len() - shown, "hidden user", "hidden users"),
        count(read.hidden_groups, "hidden group", "hidden groups"),
        schema_file.display()
    ));
    Ok(())
}

/// The file of the schema: `entities.cedarschema` beside `entities.json`.
fn schema_file(file: &Path) -> Result<PathBuf, Failure> {
    if file.extension() == Some(OsStr::new("json")) {
        return Ok(file.with_extension("cedarschema"));
    }
    fail(format!("{}: the file name must end in .json", file.display()))
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let written = private_file::create(file).and_then(|mut opened| opened.write_all(text.as_bytes()));
    written.map_err(|error| Failure(format!("{}: {error}", file.display())))
}
