//! Everything that the directory knows about one user, for an operator who asks why.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use shared::error::ScimError;
use shared::resource::{ResourceId, ResourceKind};

use super::{Groups, Hidden, NamedGroup, UserEntry, View};

/// A user with the ways to its groups and roles.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The user as the platform sees it, or would see it if it were not hidden.
    pub entry: UserEntry,
    /// The `userName` that is stored.
    pub user_name: String,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub last_modified: Timestamp,
    /// The userName of the user who is shown with the same username, if that hides this one.
    pub keeper: Option<String>,
    /// The groups that the user is in.
    pub groups: Vec<Way>,
    /// The groups that the user is in and that rules hide.
    pub hidden_groups: Vec<HiddenGroup>,
    /// The roles.
    pub roles: Vec<Way>,
    /// The kinds and ids of the groups and roles of which the user is a direct member.
    #[serde(skip)]
    pub direct: Vec<(ResourceKind, ResourceId)>,
}

/// How a user is in a group, or got a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Way {
    /// The group or role.
    #[serde(flatten)]
    pub group: NamedGroup,
    /// The groups between, from the direct group of the user on. Empty if the user is a direct member.
    pub through: Vec<NamedGroup>,
}

/// A group that rules hide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HiddenGroup {
    /// The group.
    #[serde(flatten)]
    pub group: NamedGroup,
    /// Why it is hidden.
    pub hidden: Hidden,
}

impl View<'_> {
    /// Explains a user, also a hidden one; `None` if there is none with this id.
    ///
    /// # Errors
    /// 503 if the index of usernames is not ready; fails when DynamoDB does.
    pub async fn explain(&self, id: ResourceId) -> Result<Option<Explanation>, ScimError> {
        let Some(user) = self.directory.user_or_retained(id).await? else { return Ok(None) };
        let direct: BTreeSet<ResourceId> = user.groups.iter().copied().collect();
        let groups = Groups::above(self.directory, direct).await?;
        let entries = self.user_entries(vec![user.clone()], Some(&groups)).await?;
        let Some((_, entry)) = entries.into_iter().next() else { return Ok(None) };
        let keeper = match &entry.hidden {
            Some(Hidden::NameTakenBy(id)) => {
                let ids = ResourceId::parse(id).into_iter().collect();
                self.directory.names_of(&ids).await?.into_values().next()
            }
            _ => None,
        };
        let way = |group: &NamedGroup| {
            let ids = groups.path(&user.groups, ResourceId::parse(&group.id)?)?;
            Some(Way { group: group.clone(), through: self.named(&groups, &ids) })
        };
        let ways: Vec<Way> = entry.effective_groups.iter().filter_map(way).collect();
        let roles =
            entry.roles.iter().map(|role| self.way_to_role(role, &user.groups, &groups, &ways)).collect();
        let hidden = groups.hidden_groups(&user.groups, &self.maker).into_iter();
        let resource = &user.stored.resource;
        let user_name = resource.document.get("userName").and_then(|name| name.as_str());
        let direct = user.groups.iter().filter_map(|id| Some((groups.get(*id)?.kind, *id))).collect();
        Ok(Some(Explanation {
            user_name: user_name.unwrap_or_default().to_owned(),
            created: resource.created,
            last_modified: resource.last_modified,
            keeper,
            groups: ways,
            hidden_groups: hidden.map(|(group, hidden)| HiddenGroup { group, hidden }).collect(),
            roles,
            direct,
            entry,
        }))
    }

    /// Finds the shortest way to a role: none if an operator gave it to the user, or else through a group that is shown.
    fn way_to_role(&self, role: &NamedGroup, direct: &[ResourceId], groups: &Groups, ways: &[Way]) -> Way {
        let id = ResourceId::parse(&role.id);
        let gives_role = |way: &&Way| {
            let group = ResourceId::parse(&way.group.id);
            group.zip(id).is_some_and(|(group, role)| groups.parents(group).contains(&role))
        };
        let through = match id.is_some_and(|id| direct.contains(&id)) {
            true => Vec::new(),
            false => {
                let shortest = ways.iter().filter(gives_role).min_by_key(|way| way.through.len());
                let through = |way: &Way| way.through.iter().cloned().chain([way.group.clone()]).collect();
                shortest.map(through).unwrap_or_default()
            }
        };
        Way { group: role.clone(), through }
    }

    fn named(&self, groups: &Groups, ids: &[ResourceId]) -> Vec<NamedGroup> {
        let found = ids.iter().filter_map(|id| groups.get(*id));
        found.map(|group| NamedGroup::new(group, &self.maker)).collect()
    }
}
