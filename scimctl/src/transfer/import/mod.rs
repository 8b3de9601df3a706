//! `scimctl import`: creates and updates local users, local groups or roles from the rows of a file. Importing the same file again changes
//! nothing.

mod groups;
mod users;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use directory::Directory;
use futures_util::stream::{self, StreamExt as _};
use indicatif::ProgressBar;
use shared::error::ScimError;
use shared::filter::fold_name;
use shared::resource::{ResourceId, ResourceKind};

use super::rows::{self, Format, Row, Rows};
use super::{RowKind, in_file};
use crate::context::{Context, wait_until_outdated};
use crate::failure::{Failure, fail};
use crate::open_directory::OpenDirectory;
use crate::output::{count, print, print_note};
use crate::progress::progress_bar;

/// The users that are imported at the same time.
const CONCURRENT_USERS: usize = 16;

/// The result of one row.
enum Imported {
    Created,
    Updated,
    Unchanged,
    /// The export marked the row as hidden.
    Skipped,
    Refused(String),
}

/// Imports a file, or only says what the import would do. A refused row does not stop the others.
pub async fn import(
    context: &Context,
    kind: RowKind,
    connector: &str,
    file: &Path,
    is_dry_run: bool,
) -> Result<(), Failure> {
    let format = Format::of(file)?;
    let text = std::fs::read(file).map_err(|error| in_file(file, error))?;
    let read = || rows::read(&text, format).map_err(|Failure(error)| in_file(file, error));
    let total = check_columns(read()?, &kind.columns()?).map_err(|Failure(error)| in_file(file, error))?;
    let open = &OpenDirectory::open(context, connector).await?;
    let (rows, progress) = (read()?, progress_bar("importing", total));
    let counts = tokio::select! {
        counts = import_rows(open, kind, file, rows, is_dry_run, &progress) => counts,
        // A deletion of the connector does not wait until a long import ends.
        failure = wait_until_outdated(&open.directory) => return Err(failure),
    };
    progress.finish_and_clear();
    counts.print(is_dry_run)?;
    match counts.refused {
        0 => Ok(()),
        refused if is_dry_run => fail(format!("{} would be refused", count(refused, "row", "rows"))),
        1 => fail("1 row was refused"),
        refused => fail(format!("{} were refused", count(refused, "row", "rows"))),
    }
}

async fn import_rows(
    open: &OpenDirectory,
    kind: RowKind,
    file: &Path,
    rows: Rows<'_>,
    is_dry_run: bool,
    progress: &ProgressBar,
) -> Counts {
    let mut first_lines = HashMap::new();
    let imports = stream::iter(rows).map(|(line, row)| {
        let named = row.and_then(|row| Ok((row_name(kind, line, &row, &mut first_lines)?, row)));
        async move { (line, import_row(open, kind, named, is_dry_run).await) }
    });
    let mut imports = imports.buffered(match kind {
        RowKind::Users => CONCURRENT_USERS,
        // Groups share members, so they are imported one after the other.
        RowKind::Groups | RowKind::Roles => 1,
    });
    let mut counts = Counts::default();
    while let Some((line, imported)) = imports.next().await {
        progress.inc(1);
        if let Imported::Refused(reason) = &imported {
            progress.suspend(|| print_note(&format!("{}:{line}: {reason}", file.display())));
        }
        counts.add(&imported);
    }
    counts
}

async fn import_row(
    open: &OpenDirectory,
    kind: RowKind,
    named: Result<(Option<String>, Row), Failure>,
    is_dry_run: bool,
) -> Imported {
    let imported = match named {
        Ok((Some(name), row)) => match kind {
            RowKind::Users => users::import_user(&open.directory, &name, &row, is_dry_run).await,
            RowKind::Groups => groups::import_group(open, &name, &row, is_dry_run).await,
            RowKind::Roles => groups::import_role(open, &name, &row, is_dry_run).await,
        },
        Ok((None, _)) => Ok(Imported::Skipped),
        Err(failure) => Err(failure),
    };
    imported.unwrap_or_else(|Failure(reason)| Imported::Refused(reason))
}

/// The numbers of rows by their result.
#[derive(Default)]
struct Counts {
    created: usize,
    updated: usize,
    unchanged: usize,
    skipped: usize,
    refused: usize,
}

impl Counts {
    fn add(&mut self, imported: &Imported) {
        *match imported {
            Imported::Created => &mut self.created,
            Imported::Updated => &mut self.updated,
            Imported::Unchanged => &mut self.unchanged,
            Imported::Skipped => &mut self.skipped,
            Imported::Refused(_) => &mut self.refused,
        } += 1;
    }

    fn print(&self, is_dry_run: bool) -> Result<(), Failure> {
        let Self { created, updated, unchanged, skipped, refused } = self;
        let skipped = match skipped {
            0 => String::new(),
            skipped => format!(", {} skipped", count(*skipped, "hidden row", "hidden rows")),
        };
        let end = if is_dry_run { "; nothing is written (--dry-run)" } else { "" };
        print(&format!(
            "{created} created, {updated} updated, {unchanged} unchanged, {refused} refused{skipped}{end}"
        ))
    }
}

/// Counts the rows, and refuses unknown columns. An unknown column can be a misspelled one, whose values would be ignored.
fn check_columns(rows: Rows<'_>, columns: &[String]) -> Result<usize, Failure> {
    let mut total = 0;
    let mut unknown = BTreeSet::new();
    for (_, row) in rows {
        total += 1;
        let names = row.into_iter().flatten().map(|(name, _)| name);
        unknown.extend(names.filter(|name| !columns.contains(name)));
    }
    if unknown.is_empty() {
        return Ok(total);
    }
    let quoted: Vec<String> = unknown.iter().map(|column| format!("{column:?}")).collect();
    let noun = if quoted.len() == 1 { "column" } else { "columns" };
    fail(format!("unknown {noun} {}; the columns are {}", quoted.join(", "), columns.join(", ")))
}

/// Reads the name in a row, and notes the line that has it. Returns `None` for a row that is to be skipped, because the
/// directory that it was exported from hides it.
fn row_name(
    kind: RowKind,
    line: usize,
    row: &Row,
    first_lines: &mut HashMap<String, usize>,
) -> Result<Option<String>, Failure> {
    if rows::text(row, "hidden")?.is_some_and(|reason| !reason.trim().is_empty()) {
        return Ok(None);
    }
    let name = rows::text(row, kind.name_column())?.unwrap_or_default();
    if name.trim().is_empty() {
        return fail(format!("the row has no {}", kind.name_column()));
    }
    // Two rows of one name could be written in any order, so the second is refused.
    match first_lines.insert(fold_name(&name, false).into_owned(), line) {
        None => Ok(Some(name)),
        Some(first) => fail(format!("{} {name:?} is already in line {first}", kind.name_column())),
    }
}

/// Finds a resource by its name as it is in the file, or else without the spaces around it.
async fn find_by_name(
    directory: &Directory,
    kind: ResourceKind,
    name: &str,
) -> Result<Option<ResourceId>, ScimError> {
    match directory.find_by_name(kind, name).await? {
        None => directory.find_by_name(kind, name.trim()).await,
        found => Ok(found),
    }
}
