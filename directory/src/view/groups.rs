//! The groups and roles of users, as the platform sees them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Entry, EntryMaker, MembershipNames};
use crate::group_graph::{Belonging, GroupGraph};
use crate::{Directory, StoredUser};
use shared::error::ScimError;
use shared::resource::{GroupReference, Resource, ResourceId, ResourceKind};

/// All groups and roles of a connector, and the nesting of the groups.
pub struct Groups {
    all: BTreeMap<ResourceId, Resource>,
    graph: GroupGraph,
}

impl Groups {
    /// Reads all groups and roles into memory.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn read(directory: &Directory) -> Result<Self, ScimError> {
        let mut groups = Self { all: BTreeMap::new(), graph: GroupGraph::default() };
        for kind in ResourceKind::WITH_MEMBERS {
            let mut walk = directory.queries().walk(kind);
            while let Some(page) = walk.next().await? {
                for found in page {
                    let group = found.stored.resource;
                    groups.graph.insert(group.id, found.groups);
                    groups.all.insert(group.id, group);
                }
            }
        }
        Ok(groups)
    }

    /// Lists the groups, without the roles.
    pub fn groups(&self) -> impl Iterator<Item = &Resource> {
        self.all.values().filter(|group| group.kind != ResourceKind::Role)
    }

    /// Finds the displayName of a group or role.
    pub fn display_name(&self, id: ResourceId) -> Option<&str> {
        display_name(self.all.get(&id)?)
    }

    /// Lists the roles.
    pub fn roles(&self) -> impl Iterator<Item = &Resource> {
        self.all.values().filter(|role| role.kind == ResourceKind::Role)
    }

    /// Lists the groups and roles of a direct member of the groups and roles `direct`, by their names in the
    /// directory. Hidden groups are left out, and give no roles.
    pub fn memberships(&self, direct: &[ResourceId], maker: &EntryMaker<'_>) -> MembershipNames {
        let mut memberships = MembershipNames::default();
        // These hold groups too, which are left out below.
        let mut roles: BTreeSet<ResourceId> = direct.iter().copied().collect();
        for Belonging { group: id, is_direct } in self.graph.groups_of_member(direct) {
            let Some(group) = self.all.get(&id).filter(|group| group.kind != ResourceKind::Role) else {
                continue;
            };
            if maker.hidden_group(group).is_some() {
                continue;
            }
            roles.extend(self.graph.parents(id));
            let name = maker.group_name(group);
            if is_direct {
                memberships.direct.push(name.clone());
            }
            memberships.effective.push(name);
        }
        let roles = roles.iter().filter_map(|id| self.all.get(id));
        let roles = roles.filter(|role| role.kind == ResourceKind::Role);
        memberships.roles = roles.map(|role| maker.group_name(role)).collect();
        memberships.direct.sort_unstable();
        memberships.effective.sort_unstable();
        memberships.roles.sort_unstable();
        memberships
    }

    /// Lists the `groups` of a direct member of the groups `direct` (RFC 7643 §4.1.2), for filters. Only
    /// groups of the client are listed.
    pub fn references(&self, direct: &[ResourceId]) -> Vec<GroupReference> {
        let reference = |Belonging { group, is_direct }| {
            let found = self.all.get(&group).filter(|found| found.kind == ResourceKind::Group)?;
            let display = display_name(found).map(str::to_owned);
            Some(GroupReference { id: group, display, direct: is_direct })
        };
        self.graph.groups_of_member(direct).into_iter().filter_map(reference).collect()
    }

    /// Whether a direct member of the groups `direct` is a direct or indirect member of `group`.
    pub fn is_in(&self, direct: &[ResourceId], group: ResourceId) -> bool {
        self.graph.groups_of_member(direct).iter().any(|belonging| belonging.group == group)
    }

    /// Makes the entry of a user.
    pub fn entry(&self, user: &StoredUser, maker: &EntryMaker<'_>) -> Entry {
        let memberships = self.memberships(&user.groups, maker);
        maker.entry(&user.stored, memberships)
    }
}

fn display_name(group: &Resource) -> Option<&str> {
    group.document.get("displayName")?.as_str()
}

/// Reads all users, and calls a function with each. Only one page of users is in memory at a time.
///
/// # Errors
/// Fails when DynamoDB does, and with every error of the function.
pub async fn for_each_user<E: From<ScimError>>(
    directory: &Directory,
    mut call: impl FnMut(&StoredUser) -> Result<(), E>,
) -> Result<(), E> {
    let mut walk = directory.queries().walk(ResourceKind::User);
    while let Some(page) = walk.next().await? {
        page.iter().try_for_each(&mut call)?;
    }
    Ok(())
}
