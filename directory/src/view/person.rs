//! Everything about one user or group that says which groups and roles it has, and because of which memberships.

use std::collections::BTreeSet;

use shared::error::ScimError;
use shared::resource::{GroupReference, Resource, ResourceId};

use super::{Groups, Hidden, NamedGroup, UserEntry, View};
use crate::dynamodb::items::Stored;

/// A user with its memberships.
#[derive(Debug)]
pub struct Person {
    /// The user as the platform sees it.
    pub user: UserEntry,
    /// The stored user.
    pub stored: Stored,
    /// The groups of the client, as SCIM shows them.
    pub references: Vec<GroupReference>,
    /// The groups and roles.
    pub belongs: Belongs,
}

/// A group with the groups and roles that it belongs to.
#[derive(Debug)]
pub struct GroupDetails {
    /// The stored group.
    pub group: Resource,
    /// The name that the platform sees.
    pub name: String,
    /// The reason why the group is hidden; `None` if it is shown.
    pub hidden: Option<Hidden>,
    /// The groups that contain it, and its roles.
    pub belongs: Belongs,
}

/// The groups and roles of a user or group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Belongs {
    /// The groups, also the hidden ones, in the order of their names.
    pub groups: Vec<GroupWithPath>,
    /// The roles, in the order of their names.
    pub roles: Vec<RoleWithSource>,
}

/// A group and how a member is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupWithPath {
    /// The group.
    pub group: NamedGroup,
    /// Who created it: `scim` or `local`.
    pub origin: &'static str,
    /// The reason why the group is hidden; `None` if it is shown.
    pub hidden: Option<Hidden>,
    /// A shortest way to the group: the groups between, from the direct one on. It is empty if the membership is direct.
    pub path: Vec<NamedGroup>,
}

/// A role and what gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleWithSource {
    /// The role.
    pub role: NamedGroup,
    /// Whether it is assigned directly.
    pub is_direct: bool,
    /// The groups that give it. A hidden group gives no roles.
    pub through: Vec<NamedGroup>,
}

impl View<'_> {
    /// Reads a user with its groups and roles; `None` if there is none, or it is hidden and this view leaves hidden users out.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn person(&self, id: ResourceId) -> Result<Option<Person>, ScimError> {
        let Some(found) = self.directory.user_or_retained(id).await? else { return Ok(None) };
        let direct = found.groups.clone();
        let groups = Groups::above(self.directory, direct.iter().copied().collect()).await?;
        let stored = found.stored.clone();
        let entries = self.user_entries(vec![found], Some(&groups)).await?;
        let person = entries.into_iter().next().map(|(_, user)| Person {
            user,
            stored,
            references: groups.references(&direct),
            belongs: self.belongs(&groups, &direct),
        });
        Ok(person)
    }

    /// Reads a group of the client, a local group or a role, also a hidden one, with the groups and roles that it belongs to; `None`
    /// if there is none.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn group_details(&self, id: ResourceId) -> Result<Option<GroupDetails>, ScimError> {
        let groups = Groups::above(self.directory, BTreeSet::from([id])).await?;
        let Some(group) = groups.get(id).cloned() else { return Ok(None) };
        let belongs = self.belongs(&groups, groups.parents(id));
        let (name, hidden) = (self.maker.group_name(&group), self.maker.hidden_group(&group));
        Ok(Some(GroupDetails { group, name, hidden, belongs }))
    }

    /// Explains the groups and roles of a direct member of these groups and roles. `groups` are all that contain it.
    fn belongs(&self, groups: &Groups, direct: &[ResourceId]) -> Belongs {
        let named = |ids: &[ResourceId]| -> Vec<NamedGroup> {
            let known = ids.iter().filter_map(|id| groups.get(*id));
            known.map(|group| NamedGroup::new(group, &self.maker)).collect()
        };
        let mut belongs = Belongs::default();
        for group in groups.groups() {
            let Some(path) = groups.path(direct, group.id) else { continue };
            belongs.groups.push(GroupWithPath {
                group: NamedGroup::new(group, &self.maker),
                origin: group.origin.name(),
                hidden: self.maker.hidden_group(group),
                path: named(&path),
            });
        }
        for role in groups.roles() {
            let gives = |group: &&Resource| {
                groups.parents(group.id).contains(&role.id)
                    && groups.path(direct, group.id).is_some()
                    && self.maker.hidden_group(group).is_none()
            };
            let through: Vec<ResourceId> = groups.groups().filter(gives).map(|group| group.id).collect();
            let is_direct = direct.contains(&role.id);
            if is_direct || !through.is_empty() {
                let role = NamedGroup::new(role, &self.maker);
                belongs.roles.push(RoleWithSource { role, is_direct, through: named(&through) });
            }
        }
        belongs.groups.sort_by(|one, other| one.group.cmp(&other.group));
        belongs.roles.sort_by(|one, other| one.role.cmp(&other.role));
        belongs
    }
}
