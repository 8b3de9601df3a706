//! `scimctl export`.

use std::io::{BufWriter, IsTerminal as _, Write, stdout};

use directory::view::{Entry, EntryMaker, Groups, ShownNames, for_each_user};
use directory::{Counted, Directory};
use runtime::private_file;
use shared::resource::{Member, Resource, ResourceId, ResourceKind};

use super::rows::{Format, Writer};
use super::{ExportedRows, GroupRow, RoleRow, RowKind, UserRow, in_file};
use crate::context::Context;
use crate::failure::Failure;
use crate::group;
use crate::open_directory::OpenDirectory;
use crate::output::{count, format_number, print_note};
use crate::progress::progress_bar;
use crate::user::{self, UserAttributes};

/// Writes the users or groups that the directory shows, or the roles, to a file, or as CSV to standard output.
pub async fn export(
    context: &Context,
    kind: RowKind,
    ExportedRows { connector, file, hidden }: &ExportedRows,
) -> Result<(), Failure> {
    let (file, with_hidden) = (file.as_deref(), *hidden);
    let format = file.map_or(Ok(Format::Csv), Format::of)?;
    let open = OpenDirectory::open(context, connector).await?;
    let maker = open.entry_maker()?;
    let (out, is_terminal): (Box<dyn Write>, bool) = match file {
        Some(file) => (
            Box::new(BufWriter::new(private_file::create(file).map_err(|error| in_file(file, error))?)),
            false,
        ),
        None => (Box::new(stdout().lock()), stdout().is_terminal()),
    };
    let mut rows = Writer::new(out, is_terminal, format, &kind.columns()?)?;
    let groups = Groups::read(&open.directory).await?;
    let exported = match kind {
        RowKind::Users => export_users(&open.directory, &groups, &maker, with_hidden, &mut rows).await?,
        RowKind::Groups => export_groups(&open.directory, &groups, &maker, with_hidden, &mut rows).await?,
        RowKind::Roles => export_roles(&open.directory, &groups, &mut rows).await?,
    };
    rows.finish()?;
    let Exported { written, hidden } = exported;
    let written = match kind {
        RowKind::Users => count(written, "user", "users"),
        RowKind::Groups => count(written, "group", "groups"),
        RowKind::Roles => count(written, "role", "roles"),
    };
    let hidden = match hidden {
        0 => String::new(),
        hidden => format!(", and {} hidden left out (--hidden)", format_number(hidden)),
    };
    print_note(&format!("{written} exported{hidden}"));
    Ok(())
}

/// The numbers of rows that are written, and that are left out because they are hidden.
#[derive(Default)]
struct Exported {
    written: usize,
    hidden: usize,
}

async fn export_users(
    directory: &Directory,
    groups: &Groups,
    maker: &EntryMaker<'_>,
    with_hidden: bool,
    rows: &mut Writer,
) -> Result<Exported, Failure> {
    let mut exported = Exported::default();
    let bar =
        progress_bar("exporting users", directory.histogram(ResourceKind::User, Counted::All).await?.total());
    let names = ShownNames::read(directory, maker).await?;
    for_each_user(directory, |user| {
        bar.inc(1);
        let entry = groups.entry(user, maker, &names);
        if entry.hidden.is_some() && !with_hidden {
            exported.hidden += 1;
            return Ok(());
        }
        exported.written += 1;
        rows.write(&user_row(&user.stored.resource, entry))
    })
    .await?;
    bar.finish_and_clear();
    Ok(exported)
}

fn user_row(user: &Resource, entry: Entry) -> UserRow {
    let UserAttributes { first_name, last_name, display_name, email } = UserAttributes::of(&user.document);
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
        hidden: entry.hidden.map(|reason| reason.to_string()),
        id: entry.id,
    }
}

async fn export_groups(
    directory: &Directory,
    groups: &Groups,
    maker: &EntryMaker<'_>,
    with_hidden: bool,
    rows: &mut Writer,
) -> Result<Exported, Failure> {
    let mut exported = Exported::default();
    let bar = progress_bar("exporting groups", groups.groups().count());
    for group in groups.groups() {
        bar.inc(1);
        let row = group_row(directory, groups, group, maker).await?;
        if row.hidden.is_some() && !with_hidden {
            exported.hidden += 1;
            continue;
        }
        exported.written += 1;
        rows.write(&row)?;
    }
    bar.finish_and_clear();
    Ok(exported)
}

async fn group_row(
    directory: &Directory,
    groups: &Groups,
    group: &Resource,
    maker: &EntryMaker<'_>,
) -> Result<GroupRow, Failure> {
    let (members, member_groups) = member_names(directory, groups, group).await?;
    let shown_name = maker.group_name(group);
    Ok(GroupRow {
        name: group::display_name(group).to_owned(),
        members,
        member_groups,
        hidden: maker.hidden_group(group).map(|reason| reason.to_string()),
        shown_name,
        origin: group.origin.name(),
        id: group.id.to_string(),
    })
}

async fn export_roles(
    directory: &Directory,
    groups: &Groups,
    rows: &mut Writer,
) -> Result<Exported, Failure> {
    let mut exported = Exported::default();
    for role in groups.roles() {
        let (members, member_groups) = member_names(directory, groups, role).await?;
        let (name, id) = (group::display_name(role).to_owned(), role.id.to_string());
        rows.write(&RoleRow { name, members, member_groups, id })?;
        exported.written += 1;
    }
    Ok(exported)
}

/// Reads the userNames and the group names of the direct members of a group or role.
async fn member_names(
    directory: &Directory,
    groups: &Groups,
    group: &Resource,
) -> Result<(Vec<String>, Vec<String>), Failure> {
    let (members, _) = directory.memberships().members(group.id, usize::MAX).await?;
    let (users, member_groups): (Vec<&Member>, Vec<&Member>) =
        members.iter().partition(|member| member.kind == ResourceKind::User);
    let users: Vec<ResourceId> = users.into_iter().map(|user| user.id).collect();
    let mut user_names = directory.user_names(&users).await?;
    user_names.sort_unstable();
    let group_names = member_groups.into_iter().filter_map(|group| groups.display_name(group.id));
    Ok((user_names, group_names.map(str::to_owned).collect()))
}
