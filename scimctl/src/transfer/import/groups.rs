//! The import of a group or role and its members.

use std::collections::BTreeSet;

use directory::Directory;
use shared::patch::{MemberOperation, MemberValue};
use shared::resource::{Document, ResourceId, ResourceKind};

use super::super::rows::{self, Row};
use super::{Imported, find_by_name};
use crate::failure::{Failure, fail};
use crate::group::new_document;
use crate::open_directory::OpenDirectory;

/// The members of some kinds that a group is to have.
struct MemberColumn {
    kinds: &'static [ResourceKind],
    members: Vec<ResourceId>,
}

/// Creates a local group, or replaces the members of the one of this name.
pub async fn import_group(
    open: &OpenDirectory,
    name: &str,
    row: &Row,
    is_dry_run: bool,
) -> Result<Imported, Failure> {
    import(open, &[ResourceKind::LocalGroup, ResourceKind::Group], name, row, is_dry_run).await
}

/// Creates a role, or replaces the members of the one of this name.
pub async fn import_role(
    open: &OpenDirectory,
    name: &str,
    row: &Row,
    is_dry_run: bool,
) -> Result<Imported, Failure> {
    import(open, &[ResourceKind::Role], name, row, is_dry_run).await
}

/// Finds a resource of these kinds, or creates one of the first kind.
async fn import(
    open: &OpenDirectory,
    kinds: &[ResourceKind],
    name: &str,
    row: &Row,
    is_dry_run: bool,
) -> Result<Imported, Failure> {
    let directory = &open.directory;
    let new_kind = kinds.first().copied().unwrap_or(ResourceKind::LocalGroup);
    let [users, groups @ ..] = new_kind.kinds_of_members() else { return fail("users have no members") };
    let mut columns = Vec::new();
    for (kinds, column) in [(std::slice::from_ref(users), "members"), (groups, "member_groups")] {
        if let Some(names) = rows::names(row, column)? {
            columns.push(MemberColumn { kinds, members: find_members(open, kinds, &names).await? });
        }
    }
    for kind in kinds {
        if let Some(id) = find_by_name(directory, *kind, name).await? {
            return replace_members(directory, *kind, id, &columns, is_dry_run).await;
        }
    }
    let document = new_document(new_kind, name.trim())?;
    let members: Vec<ResourceId> = columns.into_iter().flat_map(|column| column.members).collect();
    let members = if members.is_empty() { Vec::new() } else { vec![add(members)] };
    if !is_dry_run {
        directory.create_group(new_kind, document, members).await?;
    }
    Ok(Imported::Created)
}

/// Replaces the members of the kinds that the file has a column for. Members of other kinds stay.
async fn replace_members(
    directory: &Directory,
    kind: ResourceKind,
    id: ResourceId,
    columns: &[MemberColumn],
    is_dry_run: bool,
) -> Result<Imported, Failure> {
    let group = directory.group(kind, id).await?.resource;
    let (present, _) = directory.memberships().members(id, usize::MAX).await?;
    let (mut leaving, mut joining) = (Vec::new(), Vec::new());
    for MemberColumn { kinds, members } in columns {
        let present = present.iter().filter(|member| kinds.contains(&member.kind));
        let present: BTreeSet<ResourceId> = present.map(|member| member.id).collect();
        let members: BTreeSet<ResourceId> = members.iter().copied().collect();
        leaving.extend(present.difference(&members));
        joining.extend(members.difference(&present));
    }
    if leaving.is_empty() && joining.is_empty() {
        return Ok(Imported::Unchanged);
    }
    if is_dry_run {
        directory.check_owner(&group)?;
        return Ok(Imported::Updated);
    }
    let unchanged = |document: &Document| Ok(document.clone());
    let operations = [MemberOperation::Remove(leaving), add(joining)];
    let changed = directory.change_group(kind, id, None, unchanged, &operations).await?;
    // The directory does not add deactivated users, so the group can be unchanged.
    Ok(if changed.version == group.version { Imported::Unchanged } else { Imported::Updated })
}

fn add(members: Vec<ResourceId>) -> MemberOperation {
    let value = |id| MemberValue { id, kind: None, display: None };
    MemberOperation::Add(members.into_iter().map(value).collect())
}

/// Finds the members that a column names, by their names or ids.
async fn find_members(
    open: &OpenDirectory,
    kinds: &[ResourceKind],
    names: &[String],
) -> Result<Vec<ResourceId>, Failure> {
    let mut members = Vec::with_capacity(names.len());
    for name in names {
        let mut found = None;
        for kind in kinds {
            if found.is_none() {
                found = find_by_name(&open.directory, *kind, name).await?;
            }
        }
        let Some(id) = found.or_else(|| ResourceId::parse(name.trim())) else {
            return fail(explain_missing(open, kinds, name));
        };
        members.push(id);
    }
    Ok(members)
}

fn explain_missing(open: &OpenDirectory, kinds: &[ResourceKind], name: &str) -> String {
    let connector = &open.connector;
    match kinds {
        [ResourceKind::User] => format!("connector {connector} has no user {name}"),
        kinds if kinds.contains(&ResourceKind::LocalGroup) => {
            format!("connector {connector} has no group {name}")
        }
        _ => format!(
            "connector {connector} has no group {name} of the identity provider, and other groups cannot be members; \
             remove the column member_groups to import without it"
        ),
    }
}
