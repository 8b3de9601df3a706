//! `scimctl export` and `scimctl import`: users and groups to and from files, a row each.
//!
//! A row says a thing twice where the directory shows it in another way than it is kept: import reads what is kept, so
//! that an export says nothing new to the directory it comes from, whatever its mapping.

mod rows;

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use directory::view::{Entry, EntryMaker};
use directory::{Counted, Directory};
use futures_util::stream::{self, StreamExt as _};
use serde::Serialize;
use shared::error::ScimError;
use shared::filter::fold;
use shared::patch::{MemberOperation, MemberValue};
use shared::resource::{Document, Resource, ResourceId, ResourceKind, normalise};
use shared::schema::Schemas;

use crate::context::{Context, Failure, fail, printable, progress, remark, say};
use crate::group;
use crate::user::{self, Names};
use directory::view::{Groups, for_each_user};
use rows::{Format, Row, Writer};

/// Users that are written at the same time.
const AT_ONCE: usize = 16;

/// What is exported or imported.
#[derive(Clone, Copy, ValueEnum)]
pub enum What {
    /// Users. Import reads username, first_name, last_name, display_name and email; the other columns are shown only
    Users,
    /// Groups. Import reads name, members (userNames) and member_groups (names); the other columns are shown only
    Groups,
}

impl What {
    /// The column that names a row.
    fn name(self) -> &'static str {
        match self {
            Self::Users => "username",
            Self::Groups => "name",
        }
    }

    fn columns(self) -> Result<Vec<String>, Failure> {
        match self {
            Self::Users => rows::columns_of::<UserRow>(),
            Self::Groups => rows::columns_of::<GroupRow>(),
        }
    }
}

/// A user as a row: first what import reads, then what the directory shows.
#[derive(Default, Serialize)]
struct UserRow {
    username: String,
    first_name: Option<String>,
    last_name: Option<String>,
    display_name: Option<String>,
    email: Option<String>,
    shown_username: String,
    shown_first_name: Option<String>,
    shown_last_name: Option<String>,
    shown_display_name: String,
    shown_email: Option<String>,
    groups: Vec<String>,
    effective_groups: Vec<String>,
    roles: Vec<String>,
    origin: &'static str,
    hidden: Option<String>,
    id: String,
}

/// A group as a row: first what import reads, then what the directory shows.
#[derive(Default, Serialize)]
struct GroupRow {
    name: String,
    members: Vec<String>,
    member_groups: Vec<String>,
    shown_name: String,
    origin: &'static str,
    hidden: Option<String>,
    id: String,
}

/// Writes the users or groups that a directory shows to a file, or to standard output.
pub async fn export(
    context: &Context,
    what: What,
    id: &str,
    file: Option<&Path>,
    with_hidden: bool,
) -> Result<(), Failure> {
    let format = file.map_or(Ok(Format::Csv), Format::of)?;
    let connector = context.connector(id).await?;
    let settings = connector.record.settings.clone();
    let maker = EntryMaker::new(id, &settings, Schemas::built_in())?;
    let directory = context.directory(connector);
    let out: Box<dyn Write> = match file {
        Some(file) => Box::new(BufWriter::new(File::create(file).map_err(|error| of_file(file, &error))?)),
        None => Box::new(std::io::stdout().lock()),
    };
    let mut rows = Writer::new(out, format, &what.columns()?)?;
    let groups = Groups::read(&directory).await?;
    match what {
        What::Users => {
            let total = directory.histogram(ResourceKind::User, Counted::All).await?.total();
            let bar = progress("exporting users", total);
            for_each_user(&directory, |user| {
                bar.inc(1);
                let entry = groups.entry(user, &maker);
                if entry.hidden.is_some() && !with_hidden {
                    return Ok(());
                }
                rows.write(&user_row(&user.stored.resource, entry))
            })
            .await?;
            bar.finish_and_clear();
        }
        What::Groups => {
            let bar = progress("exporting groups", groups.groups().count());
            for group in groups.groups() {
                bar.inc(1);
                let row = group_row(&directory, &groups, group, &maker).await?;
                if row.hidden.is_none() || with_hidden {
                    rows.write(&row)?;
                }
            }
            bar.finish_and_clear();
        }
    }
    rows.finish()
}

fn user_row(user: &Resource, entry: Entry) -> UserRow {
    let Names { first_name, last_name, display_name, email } = Names::of(&user.document);
    UserRow {
        username: user::user_name(&user.document).to_owned(),
        first_name,
        last_name,
        display_name,
        email,
        shown_username: entry.username,
        shown_first_name: entry.first_name,
        shown_last_name: entry.last_name,
        shown_display_name: entry.display_name,
        shown_email: entry.email,
        groups: entry.groups,
        effective_groups: entry.effective_groups,
        roles: entry.roles,
        origin: entry.origin,
        hidden: entry.hidden.map(|why| why.to_string()),
        id: entry.id,
    }
}

async fn group_row(
    directory: &Directory,
    groups: &Groups,
    group: &Resource,
    maker: &EntryMaker<'_>,
) -> Result<GroupRow, Failure> {
    let (members, _) = directory.memberships().members(group.id, usize::MAX).await?;
    let of_kind = |kind| members.iter().filter(move |member| member.kind == kind).map(|member| member.id);
    let users: Vec<ResourceId> = of_kind(ResourceKind::User).collect();
    let mut members = directory.user_names(&users).await?;
    members.sort_unstable();
    let shown_name = maker.group_name(group);
    Ok(GroupRow {
        name: group::name_of(group),
        members,
        member_groups: of_kind(ResourceKind::Group)
            .filter_map(|id| groups.display_name(id).map(str::to_owned))
            .collect(),
        hidden: maker.hidden_group(&shown_name).map(|why| why.to_string()),
        shown_name,
        origin: group.origin.name(),
        id: group.id.to_string(),
    })
}

fn of_file(file: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure(format!("{}: {error}", file.display()))
}

/// What became of a row.
enum Imported {
    Made,
    Changed,
    Unchanged,
    Hidden,
    Refused(String),
}

/// Makes users or groups of a file by hand, or changes them to what the file says. Importing it again changes nothing.
pub async fn import(context: &Context, what: What, id: &str, file: PathBuf) -> Result<(), Failure> {
    let format = Format::of(&file)?;
    let text = std::fs::read(&file).map_err(|error| of_file(&file, &error))?;
    let read = || rows::read(&text, format).map_err(|Failure(error)| of_file(&file, &error));
    let total = check_columns(read()?, &what.columns()?).map_err(|Failure(error)| of_file(&file, &error))?;
    let directory = &context.directory(context.connector(id).await?);
    let mut first_lines = HashMap::new();
    let imports = stream::iter(read()?).map(|(line, row)| {
        let named = row.and_then(|row| Ok((name(what, line, &row, &mut first_lines)?, row)));
        async move {
            let imported = match named {
                Ok((Some(name), row)) => match what {
                    What::Users => import_user(directory, &name, &row).await,
                    What::Groups => import_group(directory, id, &name, &row).await,
                },
                Ok((None, _)) => Ok(Imported::Hidden),
                Err(error) => Err(error),
            };
            (line, imported.unwrap_or_else(|Failure(why)| Imported::Refused(why)))
        }
    });
    let mut done = imports.buffered(match what {
        What::Users => AT_ONCE,
        // One after the other: they share their members.
        What::Groups => 1,
    });
    let (mut made, mut changed, mut unchanged, mut hidden, mut refused) = (0, 0, 0, 0, 0);
    let bar = progress("importing", total);
    while let Some((line, imported)) = done.next().await {
        bar.inc(1);
        match imported {
            Imported::Made => made += 1,
            Imported::Changed => changed += 1,
            Imported::Unchanged => unchanged += 1,
            Imported::Hidden => hidden += 1,
            Imported::Refused(why) => {
                refused += 1;
                bar.suspend(|| remark(&printable(&format!("{}:{line}: {why}", file.display()))));
            }
        }
    }
    bar.finish_and_clear();
    let hidden =
        if hidden == 0 { String::new() } else { format!(", {hidden} passed over as they were hidden") };
    say(&format!("{made} made, {changed} changed, {unchanged} as they were, {refused} refused{hidden}"))?;
    if refused == 0 { Ok(()) } else { fail(format!("{refused} rows were refused")) }
}

/// Counts the rows. A column that nothing is known of may be one that is misspelled, and what it says would be lost.
fn check_columns(rows: rows::Rows<'_>, columns: &[String]) -> Result<usize, Failure> {
    let mut total = 0;
    let mut unknown = BTreeSet::new();
    for (_, row) in rows {
        total += 1;
        unknown
            .extend(row.into_iter().flatten().map(|(name, _)| name).filter(|name| !columns.contains(name)));
    }
    if unknown.is_empty() {
        return Ok(total);
    }
    let unknown: Vec<String> = unknown.iter().map(|column| format!("{column:?}")).collect();
    fail(format!("there is no column {}; there are {}", unknown.join(", "), columns.join(", ")))
}

/// Whom or what a row is about; `None` where the directory that it comes from did not show it.
fn name(
    what: What,
    line: usize,
    row: &Row,
    first_lines: &mut HashMap<String, usize>,
) -> Result<Option<String>, Failure> {
    if rows::text(row, "hidden")?.is_some_and(|why| !why.trim().is_empty()) {
        return Ok(None);
    }
    let name = rows::text(row, what.name())?.unwrap_or_default();
    if name.trim().is_empty() {
        return fail(format!("there is no {}", what.name()));
    }
    // Which of two would be the last to be written is nobody's to say.
    match first_lines.insert(fold(name.trim(), false).into_owned(), line) {
        None => Ok(Some(name)),
        Some(first) => fail(format!("{name} is in line {first} already")),
    }
}

async fn import_user(directory: &Directory, name: &str, row: &Row) -> Result<Imported, Failure> {
    let said = Names {
        first_name: rows::text(row, "first_name")?,
        last_name: rows::text(row, "last_name")?,
        display_name: rows::text(row, "display_name")?,
        email: rows::text(row, "email")?,
    };
    let Some(id) = named(directory, ResourceKind::User, name).await? else {
        let new = said.unlike(Names::default());
        directory.create_user(new.put_into(&user::document(name.trim()))?).await?;
        return Ok(Imported::Made);
    };
    let present = directory.user(id).await?.stored.resource;
    let new = said.unlike(Names::of(&present.document));
    if new == Names::default() {
        return Ok(Imported::Unchanged);
    }
    let change = |document: &Document| {
        new.put_into(document).map_err(|Failure(error)| ScimError::invalid_value(error))
    };
    directory.change_user(id, None, change).await?;
    Ok(Imported::Changed)
}

async fn import_group(
    directory: &Directory,
    connector: &str,
    name: &str,
    row: &Row,
) -> Result<Imported, Failure> {
    let mut wanted = Vec::new();
    for (kind, column) in [(ResourceKind::User, "members"), (ResourceKind::Group, "member_groups")] {
        if let Some(names) = rows::names(row, column)? {
            wanted.push((kind, members(directory, connector, kind, &names).await?));
        }
    }
    for kind in [ResourceKind::LocalGroup, ResourceKind::Group] {
        if let Some(id) = named(directory, kind, name).await? {
            return change_members(directory, kind, id, &wanted).await;
        }
    }
    let document =
        normalise(&group::document(name.trim()), Schemas::built_in().of(ResourceKind::LocalGroup))?;
    let members: Vec<ResourceId> = wanted.into_iter().flat_map(|(_, members)| members).collect();
    let members = if members.is_empty() { Vec::new() } else { vec![add(members)] };
    directory.create_group(ResourceKind::LocalGroup, document, members).await?;
    Ok(Imported::Made)
}

fn add(members: Vec<ResourceId>) -> MemberOperation {
    MemberOperation::Add(
        members.into_iter().map(|id| MemberValue { id, kind: None, display: None }).collect(),
    )
}

/// Those of a kind who are to be in a group take the place of those of that kind who are in it.
async fn change_members(
    directory: &Directory,
    kind: ResourceKind,
    id: ResourceId,
    wanted: &[(ResourceKind, Vec<ResourceId>)],
) -> Result<Imported, Failure> {
    let group = directory.group(kind, id).await?.resource;
    let (present, _) = directory.memberships().members(id, usize::MAX).await?;
    let (mut leaving, mut joining) = (Vec::new(), Vec::new());
    for (kind, wanted) in wanted {
        let present: BTreeSet<ResourceId> =
            present.iter().filter(|member| member.kind == *kind).map(|member| member.id).collect();
        let wanted: BTreeSet<ResourceId> = wanted.iter().copied().collect();
        leaving.extend(present.difference(&wanted));
        joining.extend(wanted.difference(&present));
    }
    if leaving.is_empty() && joining.is_empty() {
        return Ok(Imported::Unchanged);
    }
    let unchanged = |document: &Document| Ok(document.clone());
    let changes = [MemberOperation::Remove(leaving), add(joining)];
    let changed = directory.change_group(kind, id, None, unchanged, &changes).await?;
    // Deactivated users are passed over.
    Ok(if changed.version == group.version { Imported::Unchanged } else { Imported::Changed })
}

/// Who has this name, or has it without the spaces around it that somebody typed.
async fn named(
    directory: &Directory,
    kind: ResourceKind,
    name: &str,
) -> Result<Option<ResourceId>, ScimError> {
    match directory.find_by_name(kind, name).await? {
        None => directory.find_by_name(kind, name.trim()).await,
        found => Ok(found),
    }
}

/// Whoever stands in a column of members.
async fn members(
    directory: &Directory,
    connector: &str,
    kind: ResourceKind,
    names: &[String],
) -> Result<Vec<ResourceId>, Failure> {
    let mut members = Vec::with_capacity(names.len());
    for name in names {
        match named(directory, kind, name).await?.or_else(|| ResourceId::parse(name.trim())) {
            Some(id) => members.push(id),
            None if kind == ResourceKind::User => {
                return fail(format!("connector {connector} has no user {name}"));
            }
            None => {
                return fail(format!(
                    "connector {connector} has no group {name} of the identity provider, and no other can be in a group; \
                     without the column member_groups it is left out"
                ));
            }
        }
    }
    Ok(members)
}
