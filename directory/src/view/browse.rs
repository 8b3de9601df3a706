//! Lists for operators: users, groups and roles in the order of their names, users found by the beginning of a value, and hidden users.
//!
//! Each function reads one page, so it takes as long in a large directory as in a small one.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use shared::error::ScimError;
use shared::filter::{fold, fold_name};
use shared::resource::{ResourceId, ResourceKind};

use super::reader::cut;
use super::{GroupEntry, Hidden, MembershipNames, NamedGroup, View};
use crate::StoredUser;
use crate::dynamodb::attributes::get_text;
use crate::dynamodb::items;
use crate::dynamodb::keys;
use crate::dynamodb::table::{Range, at_once};

/// The most users that are read for one word of a display name.
const MAX_OF_WORD: usize = 100;

/// A user in a list, without its groups.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedUser {
    /// The id.
    pub id: ResourceId,
    /// The username that the platform sees.
    pub username: String,
    /// The `userName` that is stored, before the mapping.
    pub user_name: String,
    /// The display name.
    pub display_name: String,
    /// The email address.
    pub email: Option<String>,
    /// Who created the user: `scim` or `local`.
    pub origin: &'static str,
    /// The reason why the user is hidden; `None` if the user is shown.
    pub hidden: Option<Hidden>,
}

/// A page in the order of names.
#[derive(Debug)]
pub struct NamePage<T> {
    /// The entries.
    pub entries: Vec<T>,
    /// The folded name after which the next page begins; `None` if this is the last page.
    pub next: Option<String>,
}

/// Users that a search found.
#[derive(Debug)]
pub struct FoundUsers {
    /// The users. Those whose `userName` matches come first.
    pub users: Vec<ListedUser>,
    /// Whether there are more.
    pub is_cut: bool,
}

/// The hidden users among some users in the order of their ids.
#[derive(Debug)]
pub struct HiddenUsers {
    /// The hidden users.
    pub users: Vec<ListedUser>,
    /// How many users were read.
    pub looked_at: usize,
    /// The id after which the next page begins; `None` if this is the last page.
    pub next: Option<ResourceId>,
}

impl View<'_> {
    /// Reads a page of users in the order of their `userName`s. Users whom the client deleted, and whom the connector keeps, have no
    /// entry in this order; [`View::hidden_users`] finds them.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn users_by_name(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<NamePage<ListedUser>, ScimError> {
        let mut found = self.names(ResourceKind::User, "", after, limit).await?;
        let next = cut_names(&mut found, limit);
        let ids: Vec<ResourceId> = found.into_iter().map(|(_, id)| id).collect();
        Ok(NamePage { entries: self.listed_users(&ids).await?, next })
    }

    /// Finds at most `most` users by the beginning of an indexed attribute, such as userName, displayName, a part of the name or an
    /// email address, by the beginning of the username or display name that the mapping makes, or by the whole id.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn search_users(&self, text: &str, most: usize) -> Result<FoundUsers, ScimError> {
        let text = text.trim();
        let found = self.search_indexes(text, most).await?;
        let mut words = text.split_whitespace();
        let (Some(first), Some(last)) = (words.next(), words.next_back()) else { return Ok(found) };
        if !found.users.is_empty() {
            return Ok(found);
        }
        // A display name that is made of a first and a last name is in no index.
        let (by_first, by_last) = tokio::try_join!(
            self.search_indexes(first, MAX_OF_WORD),
            self.search_indexes(last, MAX_OF_WORD)
        )?;
        let mut seen = BTreeSet::new();
        let wanted = fold(text, false);
        let is_wanted = |user: &ListedUser| fold(&user.display_name, false).starts_with(&*wanted);
        let mut users: Vec<ListedUser> = by_first.users.into_iter().chain(by_last.users).collect();
        users.retain(|user| is_wanted(user) && seen.insert(user.id));
        let is_cut = by_first.is_cut || by_last.is_cut || users.len() > most;
        users.truncate(most);
        Ok(FoundUsers { users, is_cut })
    }

    async fn search_indexes(&self, text: &str, most: usize) -> Result<FoundUsers, ScimError> {
        if text.is_empty() {
            return Ok(FoundUsers { users: Vec::new(), is_cut: false });
        }
        let by_id = async {
            match ResourceId::parse(text) {
                Some(id) => self.directory.user_or_retained(id).await,
                None => Ok(None),
            }
        };
        let limit = i32::try_from(most + 1).ok();
        let indexes = self.directory.ready_indexes(ResourceKind::User).map(|index| {
            let folded =
                if index.unique { fold_name(text, index.case_exact) } else { fold(text, index.case_exact) };
            (index.name.clone(), folded)
        });
        let usernames = self.directory.ready_username_index().map(|index| (index, fold_name(text, false)));
        let reads = indexes.chain(usernames).map(|(index, folded)| {
            let pk = keys::index(&self.directory.connector.id, ResourceKind::User, &index);
            let range = Range::Prefix(keys::index_prefix(&folded).to_owned());
            async move { self.directory.table.query_page(&pk, &range, None, limit).await }.boxed()
        });
        let (by_id, indexes) = tokio::try_join!(by_id, at_once(reads.collect()))?;
        let mut seen = BTreeSet::new();
        let found = indexes.iter().flat_map(|(entries, _)| entries.iter().filter_map(items::indexed_id));
        let mut ids: Vec<ResourceId> = found.filter(|id| seen.insert(*id)).collect();
        let is_cut = ids.len() > most;
        ids.truncate(most);
        let mut users = self.listed_users(&ids).await?;
        if let Some(user) = by_id.filter(|user| !seen.contains(&user.stored.resource.id)) {
            users.extend(self.list(vec![user]).await?);
        }
        Ok(FoundUsers { users, is_cut })
    }

    /// Reads the next `most` users after an id, in the order of their ids, and keeps those who are hidden. These include the users whom
    /// the client deleted and the connector keeps.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn hidden_users(
        &self,
        after: Option<ResourceId>,
        most: usize,
    ) -> Result<HiddenUsers, ScimError> {
        let mut found = self.directory.resources_after(ResourceKind::User, after, most, true).await?;
        let next = cut(&mut found, most, |user| user.stored.resource.id);
        let looked_at = found.len();
        let mut users = self.list(found).await?;
        users.retain(|user| user.hidden.is_some());
        Ok(HiddenUsers { users, looked_at, next })
    }

    /// Reads a page of the groups of the client and of operators whose displayName begins with this text, in the order of these names.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn groups_by_name(
        &self,
        beginning: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<NamePage<GroupEntry>, ScimError> {
        let read = |kind| self.names(kind, beginning, after, limit);
        let (of_client, local) = tokio::try_join!(read(ResourceKind::Group), read(ResourceKind::LocalGroup))?;
        let of_client = of_client.into_iter().map(|(name, id)| (name, (ResourceKind::Group, id)));
        let local = local.into_iter().map(|(name, id)| (name, (ResourceKind::LocalGroup, id)));
        let mut found: Vec<_> = of_client.chain(local).collect();
        found.sort();
        let next = cut_names(&mut found, limit);
        let ids_of = |wanted| -> Vec<ResourceId> {
            found.iter().filter(|(_, (kind, _))| *kind == wanted).map(|(_, (_, id))| *id).collect()
        };
        let (of_client, local) = (ids_of(ResourceKind::Group), ids_of(ResourceKind::LocalGroup));
        let (of_client, local) = tokio::try_join!(
            self.directory.load(ResourceKind::Group, &of_client, false),
            self.directory.load(ResourceKind::LocalGroup, &local, false)
        )?;
        let groups = of_client.iter().chain(&local).map(|group| &group.stored.resource);
        let groups: BTreeMap<ResourceId, GroupEntry> =
            groups.map(|group| (group.id, self.group_entry(group))).collect();
        let entries = found.iter().filter_map(|(_, (_, id))| groups.get(id).cloned()).collect();
        Ok(NamePage { entries, next })
    }

    /// Reads a page of the roles whose name begins with this text, in the order of their names.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn roles_by_name(
        &self,
        beginning: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<NamePage<NamedGroup>, ScimError> {
        let kind = ResourceKind::Role;
        let mut found = self.names(kind, beginning, after, limit).await?;
        let next = cut_names(&mut found, limit);
        let ids: Vec<ResourceId> = found.into_iter().map(|(_, id)| id).collect();
        let roles = self.directory.load(kind, &ids, false).await?;
        let roles: BTreeMap<ResourceId, NamedGroup> = roles
            .iter()
            .map(|role| (role.stored.resource.id, NamedGroup::new(&role.stored.resource, &self.maker)))
            .collect();
        Ok(NamePage { entries: ids.iter().filter_map(|id| roles.get(id).cloned()).collect(), next })
    }

    /// Reads one entry more than `limit` from the index of the unique names of a kind.
    async fn names(
        &self,
        kind: ResourceKind,
        beginning: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, ResourceId)>, ScimError> {
        let pk = keys::index(&self.directory.connector.id, kind, items::unique_attribute(kind));
        let folded = fold_name(beginning, false);
        let beginning = keys::index_prefix(&folded);
        let range = if beginning.is_empty() { Range::All } else { Range::Prefix(beginning.to_owned()) };
        // DynamoDB refuses a start outside the range.
        let after = after.filter(|after| !after.is_empty() && after.starts_with(beginning));
        let limit = i32::try_from(limit + 1).ok();
        let (entries, _) = self.directory.table.query_page(&pk, &range, after, limit).await?;
        let named = entries
            .iter()
            .filter_map(|entry| Some((get_text(entry, "sk")?.to_owned(), items::indexed_id(entry)?)));
        Ok(named.collect())
    }

    /// Reads users by their ids, in the order of these. Users who do not exist any more are left out.
    async fn listed_users(&self, ids: &[ResourceId]) -> Result<Vec<ListedUser>, ScimError> {
        let users = self.list(self.directory.load(ResourceKind::User, ids, false).await?).await?;
        let mut users: BTreeMap<ResourceId, ListedUser> =
            users.into_iter().map(|user| (user.id, user)).collect();
        Ok(ids.iter().filter_map(|id| users.remove(id)).collect())
    }

    async fn list(&self, users: Vec<StoredUser>) -> Result<Vec<ListedUser>, ScimError> {
        let stored: Vec<_> = users.iter().map(|user| &user.stored).collect();
        let names = self.directory.shown_names(&stored, &self.maker).await?;
        let listed = stored.into_iter().map(|user| {
            let taken_by = names.taken_by(user, &self.maker);
            let entry = self.maker.entry(user, MembershipNames::default(), taken_by);
            let user_name = user.resource.document.get("userName").and_then(|name| name.as_str());
            ListedUser {
                id: user.resource.id,
                username: entry.username,
                user_name: user_name.unwrap_or_default().to_owned(),
                display_name: entry.display_name,
                email: entry.email,
                origin: entry.origin,
                hidden: entry.hidden,
            }
        });
        Ok(listed.collect())
    }
}

/// Ends a list after the page size. Returns its last name if there were more.
fn cut_names<T>(found: &mut Vec<(String, T)>, limit: usize) -> Option<String> {
    let has_more = found.len() > limit;
    found.truncate(limit);
    found.last().filter(|_| has_more).map(|(name, _)| name.clone())
}
