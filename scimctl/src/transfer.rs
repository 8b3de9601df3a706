//! `scimctl export` and `scimctl import`: users and groups from and to files, a row at a time.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use futures_util::stream::{self, StreamExt as _};
use serde::{Deserialize, Deserializer, Serialize};
use shared::entry::{Entry, EntryMaker};
use shared::error::ScimError;
use shared::patch::MemberOperation;
use shared::resource::{Document, Origin, ResourceKind, normalise};
use shared::schema::Schemas;
use shared::store::{Counted, Directory};

use crate::context::{Context, Failure, fail, progress, remark, say};
use crate::entries::{Groups, for_each_user};
use crate::group;
use crate::user::{self, Names};

/// Rows that are written at the same time.
const AT_ONCE: usize = 16;

/// What is exported or imported.
#[derive(Clone, Copy, ValueEnum)]
pub enum What {
    /// Users
    Users,
    /// Groups, with the userNames of their members
    Groups,
}

/// A user as a row of a file: what `export` writes, and `import` reads of it.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct UserRow {
    username: String,
    #[serde(deserialize_with = "said")]
    first_name: Option<String>,
    #[serde(deserialize_with = "said")]
    last_name: Option<String>,
    #[serde(deserialize_with = "said")]
    display_name: Option<String>,
    #[serde(deserialize_with = "said")]
    email: Option<String>,
    groups: String,
    effective_groups: String,
    roles: String,
    origin: String,
    hidden: Option<String>,
    id: String,
}

/// An empty cell says that there is none; a column that is not there says nothing.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Some(Option::deserialize(deserializer)?.unwrap_or_default()))
}

/// A group as a row of a file.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct GroupRow {
    name: String,
    #[serde(deserialize_with = "said")]
    members: Option<String>,
    origin: String,
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
    let is_json = file.map(is_json_lines).transpose()?.unwrap_or(false);
    let connector = context.connector(id).await?;
    let settings = connector.record.settings.clone();
    let maker = EntryMaker::new(id, &settings, Schemas::built_in())?;
    let directory = context.directory(connector);
    let out: Box<dyn Write> = match file {
        Some(file) => Box::new(BufWriter::new(File::create(file).map_err(|error| of_file(file, &error))?)),
        None => Box::new(std::io::stdout().lock()),
    };
    let mut rows = Rows::new(out, is_json);
    let groups = Groups::read(&directory).await?;
    let total = directory.histogram(ResourceKind::User, Counted::All).await?.total();
    match what {
        What::Users => {
            let bar = progress("exporting users", total);
            for_each_user(&directory, |user| {
                bar.inc(1);
                let entry = groups.entry(user, &maker);
                if entry.hidden.is_some() && !with_hidden { Ok(()) } else { rows.write(user_row(entry)) }
            })
            .await?;
            bar.finish_and_clear();
        }
        What::Groups => {
            let bar = progress("exporting groups", groups.groups().count());
            for one in groups.groups() {
                bar.inc(1);
                let name = maker.group_name(one);
                let hidden = maker.hidden_group(&name).map(|why| why.to_string());
                if hidden.is_some() && !with_hidden {
                    continue;
                }
                let (members, _) = directory.members(one.id, usize::MAX).await?;
                let users: Vec<_> =
                    members.iter().filter(|one| one.kind == ResourceKind::User).map(|one| one.id).collect();
                let members = Some(join(&directory.user_names(&users).await?));
                let origin = one.origin.name().to_owned();
                rows.write(GroupRow { name, members, origin, hidden, id: one.id.to_string() })?;
            }
            bar.finish_and_clear();
        }
    }
    rows.finish()
}

fn user_row(entry: Entry) -> UserRow {
    UserRow {
        username: entry.username,
        first_name: entry.first_name,
        last_name: entry.last_name,
        display_name: Some(entry.display_name),
        email: entry.email,
        groups: join(&entry.groups),
        effective_groups: join(&entry.effective_groups),
        roles: join(&entry.roles),
        origin: entry.origin.to_owned(),
        hidden: entry.hidden.map(|why| why.to_string()),
        id: entry.id,
    }
}

/// Several names in one cell.
fn join(names: &[String]) -> String {
    names.join(";")
}

fn split(names: &str) -> Vec<String> {
    names.split(';').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Where rows go.
enum Rows {
    Csv(Box<csv::Writer<Box<dyn Write>>>),
    JsonLines(Box<dyn Write>),
}

impl Rows {
    fn new(out: Box<dyn Write>, is_json: bool) -> Self {
        if is_json { Self::JsonLines(out) } else { Self::Csv(Box::new(csv::Writer::from_writer(out))) }
    }

    fn write(&mut self, row: impl Serialize) -> Result<(), Failure> {
        match self {
            Self::Csv(csv) => csv.serialize(row).map_err(|error| Failure(error.to_string())),
            Self::JsonLines(out) => {
                serde_json::to_writer(&mut *out, &row).map_err(|error| Failure(error.to_string()))?;
                Ok(out.write_all(b"\n")?)
            }
        }
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Csv(mut csv) => Ok(csv.flush()?),
            Self::JsonLines(mut out) => Ok(out.flush()?),
        }
    }
}

fn is_json_lines(file: &Path) -> Result<bool, Failure> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Ok(false),
        Some("jsonl" | "ndjson") => Ok(true),
        _ => fail(format!("{} ends in neither .csv nor .jsonl", file.display())),
    }
}

fn of_file(file: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure(format!("{}: {error}", file.display()))
}

/// What became of a row.
enum Imported {
    Made,
    Changed,
    Unchanged,
    Refused(String),
}

/// Makes users or groups of a file by hand, or changes them to what the file says. Importing it again changes nothing.
pub async fn import(context: &Context, what: What, id: &str, file: PathBuf) -> Result<(), Failure> {
    let is_json = is_json_lines(&file)?;
    let directory = context.directory(context.connector(id).await?);
    let total = count_rows(&file, is_json)?;
    let (mut made, mut changed, mut unchanged, mut refused) = (0, 0, 0, 0);
    let bar = progress("importing", total);
    let mut tally = |place: String, imported: Imported| {
        bar.inc(1);
        match imported {
            Imported::Made => made += 1,
            Imported::Changed => changed += 1,
            Imported::Unchanged => unchanged += 1,
            Imported::Refused(why) => {
                refused += 1;
                bar.suspend(|| remark(&format!("{place}: {why}")));
            }
        }
    };
    match what {
        What::Users => {
            let rows = stream::iter(read::<UserRow>(&file, is_json)?);
            let directory = &directory;
            let imports = rows.map(|(place, row)| async move {
                (place, refuse(row, |row| import_user(directory, row)).await)
            });
            let mut done = imports.buffered(AT_ONCE);
            while let Some((place, imported)) = done.next().await {
                tally(place, imported);
            }
        }
        What::Groups => {
            // One after the other: they share their members.
            for (place, row) in read::<GroupRow>(&file, is_json)? {
                let imported = refuse(row, |row| import_group(&directory, id, row)).await;
                tally(place, imported);
            }
        }
    }
    bar.finish_and_clear();
    say(&format!("{made} made, {changed} changed, {unchanged} as they were, {refused} refused"))?;
    if refused == 0 { Ok(()) } else { fail(format!("{refused} rows were refused")) }
}

async fn refuse<T, Fut>(row: Result<T, String>, import: impl FnOnce(T) -> Fut) -> Imported
where
    Fut: Future<Output = Result<Imported, Failure>>,
{
    match row {
        Err(why) => Imported::Refused(why),
        Ok(row) => import(row).await.unwrap_or_else(|Failure(why)| Imported::Refused(why)),
    }
}

fn count_rows(file: &Path, is_json: bool) -> Result<usize, Failure> {
    Ok(read::<serde::de::IgnoredAny>(file, is_json)?.count())
}

/// Rows, each with its place in a file.
type PlacedRows<T> = Box<dyn Iterator<Item = (String, Result<T, String>)>>;

/// The rows of a file, each with its place in it; what is no such row says why.
fn read<T: serde::de::DeserializeOwned + 'static>(
    file: &Path,
    is_json: bool,
) -> Result<PlacedRows<T>, Failure> {
    let open = File::open(file).map_err(|error| of_file(file, &error))?;
    let name = file.display().to_string();
    if is_json {
        let lines = BufReader::new(open).lines().zip(1..);
        let lines = lines
            .filter(|(line, _)| line.as_ref().is_ok_and(|line| !line.trim().is_empty()) || line.is_err());
        return Ok(Box::new(lines.map(move |(line, number)| {
            let row = line.map_err(|error| error.to_string());
            let row = row.and_then(|line| serde_json::from_str(&line).map_err(|error| error.to_string()));
            (format!("{name}:{number}"), row)
        })));
    }
    let rows = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(false).from_reader(open);
    Ok(Box::new(rows.into_deserialize().zip(2..).map(move |(row, number)| {
        let row = row.map_err(|error: csv::Error| match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("the row has {len} cells, and the heading {expected_len}")
            }
            _ => error.to_string(),
        });
        (format!("{name}:{number}"), row)
    })))
}

async fn import_user(directory: &Directory, row: UserRow) -> Result<Imported, Failure> {
    if row.username.is_empty() {
        return fail("there is no username");
    }
    let UserRow { first_name, last_name, display_name, email, .. } = row;
    let names = Names { first_name, last_name, display_name, email };
    let Some(id) = directory.named(ResourceKind::User, &row.username).await? else {
        directory.create_user(names.put_into(&user::document(&row.username))?).await?;
        return Ok(Imported::Made);
    };
    let present = directory.user(id).await?.stored.resource;
    let change = |document: &Document| {
        names.put_into(document).map_err(|Failure(error)| ScimError::invalid_value(error))
    };
    let (user, _) = directory.change_user(id, None, change).await?;
    Ok(if user.version == present.version { Imported::Unchanged } else { Imported::Changed })
}

async fn import_group(directory: &Directory, connector: &str, row: GroupRow) -> Result<Imported, Failure> {
    if row.name.is_empty() {
        return fail("there is no name");
    }
    let members = match &row.members {
        Some(names) => Some(group::members_of(directory, connector, &split(names)).await?),
        None => None,
    };
    let Some(id) = directory.named(ResourceKind::LocalGroup, &row.name).await? else {
        let document =
            normalise(&group::document(&row.name), Schemas::built_in().of(ResourceKind::LocalGroup))?;
        let members = members.filter(|members| !members.is_empty());
        let members = members.map(MemberOperation::Add).into_iter().collect();
        directory.create_group_of(ResourceKind::LocalGroup, document, members).await?;
        return Ok(Imported::Made);
    };
    let present = directory.group_of(ResourceKind::LocalGroup, id).await?.resource;
    if present.origin == Origin::Scim {
        return fail("it belongs to the identity provider");
    }
    let unchanged = |document: &Document| Ok(document.clone());
    let replace: Vec<MemberOperation> = members.map(MemberOperation::Replace).into_iter().collect();
    let group = directory.change_group_of(ResourceKind::LocalGroup, id, None, unchanged, &replace).await?;
    Ok(if group.version == present.version { Imported::Unchanged } else { Imported::Changed })
}
