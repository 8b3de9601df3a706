//! `scimctl group conflicts`: which names of groups that an identity provider will push are taken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use directory::view::{PUBLIC, is_built_in};
use shared::filter::fold_name;
use shared::resource::{ResourceId, ResourceKind};

use super::display_name;
use crate::failure::{Failure, fail};
use crate::open_directory::OpenDirectory;
use crate::output::{format_number, print};
use crate::transfer::read_names;

/// Compares the names in a file with those of local groups and built-in groups. Fails if one is taken.
pub async fn conflicts(open: &OpenDirectory, file: &Path, column: &str) -> Result<(), Failure> {
    let local = local_groups(open).await?;
    let (mut seen, mut taken) = (BTreeSet::new(), 0);
    for name in read_names(file, column)? {
        let folded = fold_name(&name, false).into_owned();
        if folded.is_empty() || !seen.insert(folded.clone()) {
            continue;
        }
        let owner = match local.get(&folded) {
            Some((name, id)) => format!("local group {name} ({id})"),
            None if is_built_in(&folded) => format!("the built-in group {PUBLIC}"),
            None => continue,
        };
        taken += 1;
        print(&format!("{name}: taken by {owner}"))?;
    }
    let total = format_number(seen.len());
    if taken == 0 {
        return print(&format!("no conflicts in {total} names"));
    }
    fail(format!(
        "{} of {total} names are taken, so the identity provider would get 409. Rename or delete the local groups, or rename the \
         groups in the identity provider",
        format_number(taken)
    ))
}

/// The names and ids of the local groups, by their folded names.
async fn local_groups(open: &OpenDirectory) -> Result<BTreeMap<String, (String, ResourceId)>, Failure> {
    let mut groups = BTreeMap::new();
    let mut walk = open.directory.queries().walk(ResourceKind::LocalGroup);
    while let Some(page) = walk.next().await? {
        for found in page {
            let group = &found.stored.resource;
            let name = display_name(group).to_owned();
            groups.insert(fold_name(&name, false).into_owned(), (name, group.id));
        }
    }
    Ok(groups)
}
