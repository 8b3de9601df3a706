//! The directory as the platform behind it reads it: users with the groups and roles that they have in the end.

use std::collections::{BTreeMap, BTreeSet};

use super::{Entry, EntryMaker, Memberships};
use crate::{Directory, StoredUser};
use shared::error::ScimError;
use shared::resource::{GroupReference, Resource, ResourceId, ResourceKind};

/// All groups and roles of a connector, and which are in which.
pub struct Groups {
    all: BTreeMap<ResourceId, (Resource, Vec<ResourceId>)>,
}

impl Groups {
    /// Reads them: all groups stay in memory, however many users there are.
    pub async fn read(directory: &Directory) -> Result<Self, ScimError> {
        let mut all = BTreeMap::new();
        for kind in ResourceKind::WITH_MEMBERS {
            let mut walk = directory.walk(kind);
            while let Some(page) = walk.next().await? {
                all.extend(
                    page.into_iter().map(|one| (one.stored.resource.id, (one.stored.resource, one.groups))),
                );
            }
        }
        Ok(Self { all })
    }

    /// The groups, roles left out.
    pub fn groups(&self) -> impl Iterator<Item = &Resource> {
        self.all.values().map(|(group, _)| group).filter(|group| group.kind != ResourceKind::Role)
    }

    /// The displayName of a group or role.
    pub fn display_name(&self, id: ResourceId) -> Option<&str> {
        self.all.get(&id)?.0.document.get("displayName")?.as_str()
    }

    /// The roles.
    pub fn roles(&self) -> impl Iterator<Item = &Resource> {
        self.all.values().map(|(role, _)| role).filter(|role| role.kind == ResourceKind::Role)
    }

    /// What the directory calls each group.
    pub fn names(&self, maker: &EntryMaker<'_>) -> Vec<String> {
        self.groups().map(|group| maker.group_name(group)).collect()
    }

    /// What somebody has who is in these groups directly.
    pub fn memberships(&self, direct: &[ResourceId], maker: &EntryMaker<'_>) -> Memberships {
        let mut seen: BTreeSet<ResourceId> = BTreeSet::new();
        let mut memberships = Memberships::default();
        let mut level = direct.to_vec();
        let mut is_direct = true;
        while !level.is_empty() {
            let mut above = Vec::new();
            for id in level {
                // A membership of a group that is gone is nobody's.
                let Some((group, parents)) = self.all.get(&id) else { continue };
                if !seen.insert(id) {
                    continue;
                }
                let name = maker.group_name(group);
                if group.kind == ResourceKind::Role {
                    memberships.roles.push(name);
                    continue;
                }
                if is_direct {
                    memberships.direct.push(name.clone());
                }
                memberships.effective.push(name);
                above.extend(parents);
            }
            level = above;
            is_direct = false;
        }
        memberships.direct.sort_unstable();
        memberships.effective.sort_unstable();
        memberships.roles.sort_unstable();
        memberships
    }

    /// The `groups` of whoever is in these directly (RFC 7643 §4.1.2), for filters.
    pub fn references(&self, direct: &[ResourceId]) -> Vec<GroupReference> {
        let of_client = |id: &ResourceId| {
            let (group, _) = self.all.get(id).filter(|(group, _)| self.is_in(direct, group.id))?;
            let display = group.document.get("displayName").and_then(|name| name.as_str()).map(str::to_owned);
            let is_group = group.kind == ResourceKind::Group;
            is_group.then(|| GroupReference { id: *id, display, direct: direct.contains(id) })
        };
        self.all.keys().filter_map(of_client).collect()
    }

    /// Whether somebody who is in these groups directly is in this one in the end.
    pub fn is_in(&self, direct: &[ResourceId], group: ResourceId) -> bool {
        let mut seen: BTreeSet<ResourceId> = BTreeSet::new();
        let mut rest = direct.to_vec();
        while let Some(id) = rest.pop() {
            if id == group {
                return true;
            }
            if let Some((_, parents)) = self.all.get(&id).filter(|_| seen.insert(id)) {
                rest.extend(parents);
            }
        }
        false
    }

    /// The entry of a user.
    pub fn entry(&self, user: &StoredUser, maker: &EntryMaker<'_>) -> Entry {
        let memberships = self.memberships(&user.groups, maker);
        maker.entry(&user.stored.resource, user.stored.is_retained, &memberships)
    }
}

/// Reads all users, one page in memory at a time.
pub async fn for_each_user<E: From<ScimError>>(
    directory: &Directory,
    mut each: impl FnMut(&StoredUser) -> Result<(), E>,
) -> Result<(), E> {
    let mut walk = directory.walk(ResourceKind::User);
    while let Some(page) = walk.next().await? {
        page.iter().try_for_each(&mut each)?;
    }
    Ok(())
}
