//! Pages of users.

use std::collections::BTreeSet;

use futures_util::FutureExt as _;
use shared::error::{ErrorKind, ScimError};
use shared::filter::{fold, fold_name};
use shared::resource::{ResourceId, ResourceKind};

use super::reader::cut;
use super::{EntryPage, Groups, UserEntry, View};
use crate::StoredUser;
use crate::dynamodb::items;
use crate::dynamodb::keys;
use crate::dynamodb::table::{Range, at_once};

/// Which users a page has. A user must match all that are given.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// The username. The comparison ignores upper and lower case.
    pub username: Option<String>,
    /// The email address. The comparison ignores upper and lower case.
    pub email: Option<String>,
    /// The id or name of a group that the user is in, directly or through other groups.
    pub group: Option<String>,
    /// The id or name of a role.
    pub role: Option<String>,
}

/// The users that can match, and the groups that were read to find them.
struct Candidates {
    users: Vec<StoredUser>,
    next: Option<ResourceId>,
    groups: Option<Groups>,
}

impl View<'_> {
    /// Reads a page of users.
    ///
    /// # Errors
    /// - 400 if the email addresses are not indexed, or several groups have the name.
    /// - 503 if the index of usernames is not ready.
    pub async fn users(
        &self,
        filter: &UserFilter,
        after: Option<ResourceId>,
        limit: usize,
    ) -> Result<EntryPage<UserEntry>, ScimError> {
        let (group, role) = tokio::try_join!(
            async {
                match &filter.group {
                    Some(group) => self.find_group(group).await.map(Some),
                    None => Ok(None),
                }
            },
            async {
                match &filter.role {
                    Some(role) => self.find_role(role).await.map(Some),
                    None => Ok(None),
                }
            }
        )?;
        if group == Some(None) || role == Some(None) {
            return Ok(EntryPage::empty());
        }
        let (group, role) = (group.flatten(), role.flatten());
        let Candidates { users, next, groups } = if let Some(name) = &filter.username {
            let names = BTreeSet::from([fold_name(name, false).into_owned()]);
            self.among(self.directory.ids_with_usernames(&names).await?, after, limit).await?
        } else if let Some(email) = &filter.email {
            self.among(self.ids_with_email(email).await?, after, limit).await?
        } else if let Some(id) = group.or(role) {
            self.inside(id, group.is_none(), after, limit).await?
        } else {
            let kind = ResourceKind::User;
            let mut users = self.directory.resources_after(kind, after, limit, self.with_hidden).await?;
            let next = cut(&mut users, limit, |user| user.stored.resource.id);
            Candidates { users, next, groups: None }
        };
        let users = users.into_iter().filter(|user| {
            let has_name = |name: &String| {
                self.maker.name_key(&user.stored.resource).as_deref() == Some(&fold_name(name, false))
            };
            filter.username.as_ref().is_none_or(has_name)
        });
        let mut entries = self.user_entries(users.collect(), groups.as_ref()).await?;
        let (group, role) = (group.map(|id| id.to_string()), role.map(|id| id.to_string()));
        entries.retain(|(_, user)| {
            let has_email = |email: &String| {
                user.email.as_ref().is_some_and(|address| fold(address, false) == fold(email, false))
            };
            filter.email.as_ref().is_none_or(has_email)
                && group.as_ref().is_none_or(|id| user.effective_groups.iter().any(|group| group.id == *id))
                && role.as_ref().is_none_or(|id| user.roles.iter().any(|role| role.id == *id))
        });
        Ok(EntryPage { entries, next })
    }

    /// Reads the users with these ids.
    async fn among(
        &self,
        ids: BTreeSet<ResourceId>,
        after: Option<ResourceId>,
        limit: usize,
    ) -> Result<Candidates, ScimError> {
        let is_later = |id: &ResourceId| after.is_none_or(|after| *id > after);
        let mut ids: Vec<ResourceId> = ids.into_iter().filter(is_later).collect();
        let next = cut(&mut ids, limit, |id| *id);
        Ok(Candidates { users: self.with_groups(&ids).await?, next, groups: None })
    }

    /// Reads the users in a group or role, directly or through groups. It may find more, such as those whom only a hidden group
    /// gives the role.
    async fn inside(
        &self,
        id: ResourceId,
        is_role: bool,
        after: Option<ResourceId>,
        limit: usize,
    ) -> Result<Candidates, ScimError> {
        let groups = match self.nested_groups().await? {
            None if is_role => self.groups_beside_local_ones().await?,
            groups => groups,
        };
        let sources = groups.as_ref().map_or_else(|| BTreeSet::from([id]), |groups| groups.below([id]));
        let mut members = self.members_after(&sources, after, limit).await?;
        let next = cut(&mut members, limit, |member| member.id);
        let users = members.iter().filter(|member| member.kind == ResourceKind::User);
        let ids: Vec<ResourceId> = users.map(|user| user.id).collect();
        Ok(Candidates { users: self.with_groups(&ids).await?, next, groups })
    }

    /// Reads users with the ids of their groups, in this order. Deleted users are left out.
    async fn with_groups(&self, ids: &[ResourceId]) -> Result<Vec<StoredUser>, ScimError> {
        let reads = ids.iter().map(|id| self.directory.read(ResourceKind::User, *id).boxed()).collect();
        let found = at_once(reads).await?.into_iter().flatten();
        Ok(found.filter(|user| !user.stored.is_deleting).collect())
    }

    /// Reads the ids of the users who have an email address, and of some who have it at another path than the mapped one.
    async fn ids_with_email(&self, email: &str) -> Result<BTreeSet<ResourceId>, ScimError> {
        let path = self.maker.email_path();
        let mut indexes = self.directory.ready_indexes(ResourceKind::User);
        let Some(index) = indexes.find(|index| Some(&index.name) == path.as_ref()) else {
            return Err(ScimError::new(
                ErrorKind::InvalidFilter,
                format!(
                    "email cannot be filtered, because the attribute {} that the mapping uses for it is not indexed",
                    self.maker.settings().mapping.email
                ),
            ));
        };
        let pk = keys::index(&self.directory.connector.id, ResourceKind::User, &index.name);
        let folded = fold(email, index.case_exact);
        let range = match index.unique {
            true => Range::Between(keys::index_value(folded.trim()), keys::index_value(folded.trim())),
            false => Range::Prefix(keys::index_entry_prefix(&folded)),
        };
        let entries = self.directory.table.query(&pk, &range).await?;
        Ok(entries.iter().filter_map(items::indexed_id).collect())
    }

    /// Finds the group with this id or name; `None` if there is none that is shown.
    async fn find_group(&self, group: &str) -> Result<Option<ResourceId>, ScimError> {
        let known = match ResourceId::parse(group) {
            Some(id) => vec![id],
            None => self.ids_of_group_name(group).await?,
        };
        let found = self.directory.groups_of_any_kind(&known).await?;
        let shown = found
            .iter()
            .map(|stored| &stored.resource)
            .filter(|resource| resource.kind != ResourceKind::Role && self.shows_group(resource));
        let ids: Vec<ResourceId> = shown.map(|resource| resource.id).collect();
        match ids[..] {
            [] => Ok(None),
            [id] => Ok(Some(id)),
            _ => {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                Err(ScimError::invalid_value(format!(
                    "group: {} groups have the name {group:?}; use an id: {}",
                    ids.len(),
                    ids.join(", ")
                )))
            }
        }
    }

    /// Reads the ids of the groups that are shown with a name. If the mapping names another attribute than `displayName`, it reads
    /// all groups.
    async fn ids_of_group_name(&self, name: &str) -> Result<Vec<ResourceId>, ScimError> {
        if self.maker.settings().mapping.group_name != "displayName" {
            let groups = Groups::read(self.directory).await?;
            let name = fold_name(name, false);
            let named =
                groups.groups().filter(|group| fold_name(&self.maker.group_name(group), false) == name);
            return Ok(named.map(|group| group.id).collect());
        }
        let find = |kind| self.directory.find_by_name(kind, name);
        let (of_client, local) = tokio::try_join!(find(ResourceKind::Group), find(ResourceKind::LocalGroup))?;
        Ok(of_client.into_iter().chain(local).collect())
    }

    /// Finds the role with this id or name; `None` if there is none.
    async fn find_role(&self, role: &str) -> Result<Option<ResourceId>, ScimError> {
        match ResourceId::parse(role) {
            Some(id) => {
                let found = self.directory.groups_of_any_kind(&[id]).await?;
                let mut roles = found.iter().filter(|stored| stored.resource.kind == ResourceKind::Role);
                Ok(roles.next().map(|_| id))
            }
            None => self.directory.find_by_name(ResourceKind::Role, role).await,
        }
    }
}
