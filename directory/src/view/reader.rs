//! Users, groups and roles as the platform reads them.

use std::collections::BTreeSet;

use serde::Serialize;
use shared::error::ScimError;
use shared::resource::{Resource, ResourceId, ResourceKind};

use super::groups::MemberOf;
use super::{EntryMaker, Groups, Hidden, MembershipNames, NamedGroup};
use crate::dynamodb::items::Stored;
use crate::dynamodb::keys;
use crate::{Counted, Directory, StoredUser};

/// A directory as the platform sees it.
#[derive(Debug)]
pub struct View<'d> {
    pub(super) directory: &'d Directory,
    pub(super) maker: EntryMaker<'d>,
    /// Whether hidden users and groups are shown, with the reason.
    pub(super) with_hidden: bool,
}

/// A page of entries.
#[derive(Debug)]
pub struct EntryPage<T> {
    /// The entries with their ids, in the order of the ids. They can be fewer than the page size, because hidden ones are left out.
    pub entries: Vec<(ResourceId, T)>,
    /// The id after which the next page begins; `None` if this is the last page.
    pub next: Option<ResourceId>,
}

impl<T> EntryPage<T> {
    pub(super) fn empty() -> Self {
        Self { entries: Vec::new(), next: None }
    }
}

/// A user.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UserEntry {
    /// The id.
    pub id: String,
    /// Who created the user: `scim` or `local`.
    pub origin: &'static str,
    /// The username.
    pub username: String,
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
    /// The display name.
    pub display_name: String,
    /// The email address.
    pub email: Option<String>,
    /// The groups that the user is a direct member of.
    pub groups: Vec<NamedGroup>,
    /// The groups that the user is a direct or indirect member of.
    pub effective_groups: Vec<NamedGroup>,
    /// The roles.
    pub roles: Vec<NamedGroup>,
    /// The reason why the user is hidden; `None` if the user is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Hidden>,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupEntry {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// Who created the group: `scim` or `local`.
    pub origin: &'static str,
    /// The reason why the group is hidden; `None` if the group is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Hidden>,
}

/// How a user is in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemberAnswer {
    /// Whether the user is a direct member.
    pub direct: bool,
    /// The groups between the user and the group, from the user's direct group on. Hidden groups are left out.
    pub path: Vec<NamedGroup>,
}

impl Directory {
    /// Makes the view of this directory. `with_hidden` shows hidden users and groups too.
    ///
    /// # Errors
    /// Fails if a path of the mapping does not name an attribute any more.
    pub fn view(&self, with_hidden: bool) -> Result<View<'_>, ScimError> {
        let maker = EntryMaker::new(&self.connector.id.to_string(), self.settings(), &self.schemas)?;
        Ok(View { directory: self, maker, with_hidden })
    }
}

impl View<'_> {
    /// Reads a user.
    ///
    /// # Errors
    /// 404 if there is none, or it is hidden.
    pub async fn user(&self, id: ResourceId) -> Result<UserEntry, ScimError> {
        let user = self.directory.user_or_retained(id).await?;
        let entries = self.user_entries(user.into_iter().collect(), None).await?;
        entries.into_iter().next().map(|(_, entry)| entry).ok_or_else(|| ScimError::not_found(id))
    }

    /// Reads a group.
    ///
    /// # Errors
    /// 404 if there is none, or it is hidden.
    pub async fn group(&self, id: ResourceId) -> Result<GroupEntry, ScimError> {
        Ok(self.group_entry(&self.shown_group(id).await?))
    }

    /// Reads a role.
    ///
    /// # Errors
    /// 404 if there is none.
    pub async fn role(&self, id: ResourceId) -> Result<NamedGroup, ScimError> {
        let role = self.directory.group(ResourceKind::Role, id).await?;
        Ok(NamedGroup::new(&role.resource, &self.maker))
    }

    /// Reads a page of the groups of the client and of operators.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn groups(
        &self,
        after: Option<ResourceId>,
        limit: usize,
    ) -> Result<EntryPage<GroupEntry>, ScimError> {
        let read = |kind| self.directory.resources_after(kind, after, limit, false);
        let (of_client, local) = tokio::try_join!(read(ResourceKind::Group), read(ResourceKind::LocalGroup))?;
        let mut found: Vec<StoredUser> = of_client.into_iter().chain(local).collect();
        found.sort_by_key(|group| group.stored.resource.id);
        let next = cut(&mut found, limit, |group| group.stored.resource.id);
        let shown = found.iter().map(|group| &group.stored.resource).filter(|group| self.shows_group(group));
        Ok(EntryPage { entries: shown.map(|group| (group.id, self.group_entry(group))).collect(), next })
    }

    /// Reads a page of the roles.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn roles(
        &self,
        after: Option<ResourceId>,
        limit: usize,
    ) -> Result<EntryPage<NamedGroup>, ScimError> {
        let mut found = self.directory.resources_after(ResourceKind::Role, after, limit, false).await?;
        let next = cut(&mut found, limit, |role| role.stored.resource.id);
        let roles = found.iter().map(|role| &role.stored.resource);
        Ok(EntryPage {
            entries: roles.map(|role| (role.id, NamedGroup::new(role, &self.maker))).collect(),
            next,
        })
    }

    /// Finds out whether a user is in a group, directly or through other groups.
    ///
    /// # Errors
    /// 404 if the user is not in the group, or if one of them does not exist or is hidden.
    pub async fn member(&self, group: ResourceId, user: ResourceId) -> Result<MemberAnswer, ScimError> {
        let (group, found) =
            tokio::try_join!(self.shown_group(group), self.directory.user_or_retained(user))?;
        let found = found.ok_or_else(|| ScimError::not_found(user))?;
        let direct: BTreeSet<ResourceId> = found.groups.iter().copied().collect();
        let stored = [&found.stored];
        let (groups, names) = tokio::try_join!(
            Groups::above(self.directory, direct),
            self.directory.shown_names(&stored, &self.maker)
        )?;
        let is_hidden = self.maker.hidden_user(&found.stored).is_some()
            || names.taken_by(&found.stored, &self.maker).is_some();
        if is_hidden && !self.with_hidden {
            return Err(ScimError::not_found(user));
        }
        let Some(path) = groups.path(&found.groups, group.id) else {
            let detail = format!("User {user} is not a member of group {}", group.id);
            return Err(ScimError::new(shared::error::ErrorKind::NotFound, detail));
        };
        let between = path.iter().filter_map(|id| groups.get(*id)).filter(|group| self.shows_group(group));
        let named = between.map(|group| NamedGroup::new(group, &self.maker)).collect();
        Ok(MemberAnswer { direct: path.is_empty(), path: named })
    }

    /// Reads a group that is shown.
    pub(super) async fn shown_group(&self, id: ResourceId) -> Result<Resource, ScimError> {
        let found = self.directory.groups_of_any_kind(&[id]).await?;
        let mut found = found.into_iter().map(|stored| stored.resource);
        let group = found.find(|group| group.kind != ResourceKind::Role && self.shows_group(group));
        group.ok_or_else(|| ScimError::not_found(id))
    }

    /// Whether a group is an entry of this view.
    pub(super) fn shows_group(&self, group: &Resource) -> bool {
        self.with_hidden || self.maker.hidden_group(group).is_none()
    }

    pub(super) fn group_entry(&self, group: &Resource) -> GroupEntry {
        let NamedGroup { id, name } = NamedGroup::new(group, &self.maker);
        GroupEntry { id, name, origin: group.origin.name(), hidden: self.maker.hidden_group(group) }
    }

    /// Makes the entries of users whose groups were read. `groups` are those that contain them; they are read if it is `None`.
    pub(super) async fn user_entries(
        &self,
        users: Vec<StoredUser>,
        groups: Option<&Groups>,
    ) -> Result<Vec<(ResourceId, UserEntry)>, ScimError> {
        let stored: Vec<&Stored> = users.iter().map(|user| &user.stored).collect();
        let direct: BTreeSet<ResourceId> =
            users.iter().flat_map(|user| user.groups.iter().copied()).collect();
        let above = async {
            match groups {
                Some(_) => Ok(None),
                None => Groups::above(self.directory, direct).await.map(Some),
            }
        };
        let (above, names) = tokio::try_join!(above, self.directory.shown_names(&stored, &self.maker))?;
        let none = Groups::default();
        let groups = groups.or(above.as_ref()).unwrap_or(&none);
        let mut entries = Vec::with_capacity(users.len());
        for user in &users {
            let taken_by = names.taken_by(&user.stored, &self.maker);
            let entry = self.maker.entry(&user.stored, MembershipNames::default(), taken_by);
            if entry.hidden.is_some() && !self.with_hidden {
                continue;
            }
            let MemberOf { direct, effective, roles } = groups.member_of(&user.groups, &self.maker);
            let entry = UserEntry {
                id: entry.id,
                origin: entry.origin,
                username: entry.username,
                first_name: entry.first_name,
                last_name: entry.last_name,
                display_name: entry.display_name,
                email: entry.email,
                groups: direct,
                effective_groups: effective,
                roles,
                hidden: entry.hidden,
            };
            entries.push((user.stored.resource.id, entry));
        }
        Ok(entries)
    }

    /// Reads all groups and roles if groups can be nested in this directory, and `None` if no group was ever a member of another.
    pub(super) async fn nested_groups(&self) -> Result<Option<Groups>, ScimError> {
        let key = keys::nesting(&self.directory.connector.id);
        match self.directory.table.get(&key).await? {
            Some(_) => Groups::read(self.directory).await.map(Some),
            None => Ok(None),
        }
    }

    /// Reads all groups and roles if there are local groups, and `None` if there are none. A local group can have roles, and this
    /// counts as no nesting of groups.
    pub(super) async fn groups_beside_local_ones(&self) -> Result<Option<Groups>, ScimError> {
        match self.directory.histogram(ResourceKind::LocalGroup, Counted::All).await?.total() {
            0 => Ok(None),
            _ => Groups::read(self.directory).await.map(Some),
        }
    }
}

/// Ends a list after the page size. Returns the id of its last element if there were more.
pub(super) fn cut<T>(found: &mut Vec<T>, limit: usize, id: impl Fn(&T) -> ResourceId) -> Option<ResourceId> {
    let has_more = found.len() > limit;
    found.truncate(limit);
    found.last().filter(|_| has_more).map(id)
}
