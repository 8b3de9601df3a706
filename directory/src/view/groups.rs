//! The groups and roles of users, as the platform sees them.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use serde::Serialize;

use super::{Entry, EntryMaker, Hidden, MembershipNames, ShownNames};
use crate::dynamodb::items::{self, Stored};
use crate::dynamodb::keys::{self, ItemKind, Key};
use crate::dynamodb::table::concurrently;
use crate::group_graph::{Belonging, GroupGraph};
use crate::{Directory, StoredUser};
use shared::error::ScimError;
use shared::resource::{GroupReference, Resource, ResourceId, ResourceKind};

/// A group or role with its name in the directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NamedGroup {
    /// The name.
    pub name: String,
    /// The id.
    pub id: String,
}

impl NamedGroup {
    /// Names a group or role.
    pub(crate) fn new(group: &Resource, maker: &EntryMaker<'_>) -> Self {
        Self { name: maker.group_name(group), id: group.id.to_string() }
    }
}

/// The groups and roles of one user, without hidden groups.
#[derive(Debug, Default)]
pub(crate) struct MemberOf {
    /// The groups that the user is a direct member of.
    pub direct: Vec<NamedGroup>,
    /// The groups that the user is a direct or indirect member of.
    pub effective: Vec<NamedGroup>,
    /// The roles of the user.
    pub roles: Vec<NamedGroup>,
}

/// All groups and roles of a connector, or some and all that contain them; and the nesting of the groups.
#[derive(Default)]
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
        Ok(Self::read_first(directory, usize::MAX).await?.0)
    }

    /// Reads the first groups and roles into memory: of each kind about `most`, up to the end of a page of DynamoDB. Also says
    /// whether these are all.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn read_first(directory: &Directory, most: usize) -> Result<(Self, bool), ScimError> {
        let kinds = ResourceKind::WITH_MEMBERS.map(|kind| read_first(directory, kind, most).boxed());
        let mut groups = Self::default();
        let read = concurrently(kinds.into()).await?;
        let are_all = read.iter().all(|(_, are_all)| *are_all);
        for found in read.into_iter().flat_map(|(found, _)| found) {
            let group = found.stored.resource;
            groups.graph.insert(group.id, found.groups);
            groups.all.insert(group.id, group);
        }
        Ok((groups, are_all))
    }

    /// Reads these groups and roles and, level by level, all groups and roles that contain them.
    pub(crate) async fn above(
        directory: &Directory,
        direct: BTreeSet<ResourceId>,
    ) -> Result<Self, ScimError> {
        let mut groups = Self::default();
        let mut level: Vec<ResourceId> = direct.iter().copied().collect();
        let mut seen = direct;
        while !level.is_empty() {
            let found = directory.groups_of_any_kind(&level).await?;
            // Only a group of the client can be a member of another group. A local group can have roles.
            let is_member = |stored: &&Stored| match stored.resource.kind {
                ResourceKind::LocalGroup => stored.joins > 0,
                _ => stored.is_nested,
            };
            let reads = found.iter().filter(is_member).map(|stored| {
                let (kind, id) = (stored.resource.kind, stored.resource.id);
                async move { Ok((id, directory.memberships().groups_of(kind, id).await?)) }.boxed()
            });
            let parents: BTreeMap<ResourceId, Vec<ResourceId>> =
                concurrently(reads.collect()).await?.into_iter().collect();
            level = parents.values().flatten().copied().filter(|id| seen.insert(*id)).collect();
            for stored in found {
                let group = stored.resource;
                groups.graph.insert(group.id, parents.get(&group.id).cloned().unwrap_or_default());
                groups.all.insert(group.id, group);
            }
        }
        Ok(groups)
    }

    /// Lists the direct and indirect members of these groups that are groups, and these groups.
    pub(crate) fn below(&self, groups: impl IntoIterator<Item = ResourceId>) -> BTreeSet<ResourceId> {
        let mut children: BTreeMap<ResourceId, Vec<ResourceId>> = BTreeMap::new();
        for id in self.all.keys() {
            for parent in self.graph.parents(*id) {
                children.entry(*parent).or_default().push(*id);
            }
        }
        let mut rest: Vec<ResourceId> = groups.into_iter().collect();
        let mut below = BTreeSet::new();
        while let Some(id) = rest.pop() {
            if below.insert(id) {
                rest.extend(children.get(&id).into_iter().flatten());
            }
        }
        below
    }

    /// Finds a group or role.
    pub fn get(&self, id: ResourceId) -> Option<&Resource> {
        self.all.get(&id)
    }

    /// Finds a shortest way from the direct groups of a member to a group: the groups between, from the direct one on. It is
    /// empty if the membership is direct, and `None` if the member is not in the group.
    pub(crate) fn path(&self, direct: &[ResourceId], target: ResourceId) -> Option<Vec<ResourceId>> {
        let mut before: BTreeMap<ResourceId, Option<ResourceId>> = BTreeMap::new();
        let known = direct.iter().filter(|id| self.all.contains_key(id));
        let mut level: Vec<ResourceId> =
            known.filter(|id| before.insert(**id, None).is_none()).copied().collect();
        while !level.is_empty() && !before.contains_key(&target) {
            let mut above = Vec::new();
            for id in level {
                for parent in self.graph.parents(id).iter().filter(|id| self.all.contains_key(id)) {
                    if !before.contains_key(parent) {
                        before.insert(*parent, Some(id));
                        above.push(*parent);
                    }
                }
            }
            level = above;
        }
        let mut path = Vec::new();
        let mut present = *before.get(&target)?;
        while let Some(id) = present {
            path.push(id);
            present = before.get(&id).copied().flatten();
        }
        path.reverse();
        Some(path)
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
        let names = |groups: Vec<NamedGroup>| groups.into_iter().map(|group| group.name).collect();
        let MemberOf { direct, effective, roles } = self.member_of(direct, maker);
        MembershipNames { direct: names(direct), effective: names(effective), roles: names(roles) }
    }

    /// Lists the same with their ids, in the order of their names.
    pub(crate) fn member_of(&self, direct: &[ResourceId], maker: &EntryMaker<'_>) -> MemberOf {
        let mut memberships = MemberOf::default();
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
            let named = NamedGroup::new(group, maker);
            if is_direct {
                memberships.direct.push(named.clone());
            }
            memberships.effective.push(named);
        }
        let roles = roles.iter().filter_map(|id| self.all.get(id));
        let roles = roles.filter(|role| role.kind == ResourceKind::Role);
        memberships.roles = roles.map(|role| NamedGroup::new(role, maker)).collect();
        memberships.direct.sort_unstable();
        memberships.effective.sort_unstable();
        memberships.roles.sort_unstable();
        memberships
    }

    /// Lists the hidden groups of a direct member of the groups `direct`.
    pub(crate) fn hidden_groups(
        &self,
        direct: &[ResourceId],
        maker: &EntryMaker<'_>,
    ) -> Vec<(NamedGroup, Hidden)> {
        let groups =
            self.graph.groups_of_member(direct).into_iter().filter_map(|found| self.get(found.group));
        groups.filter_map(|group| Some((NamedGroup::new(group, maker), maker.hidden_group(group)?))).collect()
    }

    /// Lists the groups and roles that a group is a direct member of.
    pub fn parents(&self, group: ResourceId) -> &[ResourceId] {
        self.graph.parents(group)
    }

    /// Lists the roles and the shown groups above a direct member of the groups and roles `direct`, without those that another shown
    /// group gives. The groups that contain a hidden group take its place, and it gives no roles.
    pub fn shown_parents(&self, direct: &[ResourceId], maker: &EntryMaker<'_>) -> BTreeSet<ResourceId> {
        let is_role = |id: &ResourceId| self.get(*id).is_some_and(|group| group.kind == ResourceKind::Role);
        let mut parents: BTreeSet<ResourceId> = direct.iter().copied().filter(is_role).collect();
        let mut seen = BTreeSet::new();
        let mut rest = direct.to_vec();
        while let Some(id) = rest.pop() {
            let Some(group) = self.get(id).filter(|_| !is_role(&id) && seen.insert(id)) else { continue };
            match maker.hidden_group(group) {
                Some(_) => rest.extend(self.parents(id)),
                None => {
                    parents.insert(id);
                }
            }
        }
        parents
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

    /// Makes the entry of a user. `names` are those of all users.
    pub fn entry(&self, user: &StoredUser, maker: &EntryMaker<'_>, names: &ShownNames) -> Entry {
        let memberships = self.memberships(&user.groups, maker);
        maker.entry(&user.stored, memberships, names.taken_by(&user.stored, maker))
    }
}

impl Directory {
    /// Reads those of these groups and roles that exist.
    pub(crate) async fn groups_of_any_kind(&self, ids: &[ResourceId]) -> Result<Vec<Stored>, ScimError> {
        let connector = &self.connector.id;
        let keys_of =
            |id: &ResourceId| ResourceKind::WITH_MEMBERS.map(|kind| keys::resource(connector, kind, *id));
        let keys: Vec<Key> = ids.iter().flat_map(keys_of).collect();
        let items = self.table.get_all(&keys).await?;
        let stored = items.iter().filter(|item| !items::is_deleting(item)).filter_map(|item| {
            let key = Key::of(item)?;
            match keys::classify(connector, &key.pk, &key.sk) {
                ItemKind::Resource(kind, _) => Some(items::to_stored(kind, item)),
                _ => None,
            }
        });
        stored.collect()
    }
}

/// Reads the first groups of a kind, and says whether these are all.
async fn read_first(
    directory: &Directory,
    kind: ResourceKind,
    most: usize,
) -> Result<(Vec<StoredUser>, bool), ScimError> {
    let mut walk = directory.queries().walk(kind);
    let mut groups = Vec::new();
    while let Some(page) = walk.next().await? {
        if groups.len() >= most {
            return Ok((groups, page.is_empty()));
        }
        groups.extend(page);
    }
    Ok((groups, true))
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
    call: impl FnMut(&StoredUser) -> Result<(), E>,
) -> Result<(), E> {
    for_first_users(directory, usize::MAX, call).await.map(drop)
}

/// Reads the first users in the order of their ids, at most this number, and calls a function with each. Says whether these are
/// all.
///
/// # Errors
/// Fails when DynamoDB does, and with every error of the function.
pub async fn for_first_users<E: From<ScimError>>(
    directory: &Directory,
    most: usize,
    mut call: impl FnMut(&StoredUser) -> Result<(), E>,
) -> Result<bool, E> {
    let mut walk = directory.queries().walk(ResourceKind::User);
    let mut left = most;
    while let Some(page) = walk.next().await? {
        page.iter().take(left).try_for_each(&mut call)?;
        if page.len() > left {
            return Ok(false);
        }
        left -= page.len();
    }
    Ok(true)
}
