//! Pages of the members of groups and roles.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use serde::Serialize;
use shared::error::ScimError;
use shared::resource::{Member, ResourceId, ResourceKind};

use super::reader::cut;
use super::{EntryPage, Hidden, MembershipNames, NamedGroup, View};
use crate::StoredUser;
use crate::dynamodb::items::{self, Stored};
use crate::dynamodb::keys;
use crate::dynamodb::table::concurrently;

/// A member of a group or role.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MemberEntry {
    /// `user` or `group`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The id.
    pub id: String,
    /// The username of a user, or the name of a group.
    pub name: String,
    /// The reason why the member is hidden; `None` if it is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Hidden>,
}

impl View<'_> {
    /// Reads a page of the members of a group: users and groups. `is_effective` adds the members of the groups in it.
    ///
    /// # Errors
    /// 404 if there is no such group, or it is hidden.
    pub async fn members(
        &self,
        group: ResourceId,
        is_effective: bool,
        after: Option<ResourceId>,
        limit: usize,
    ) -> Result<EntryPage<MemberEntry>, ScimError> {
        if !is_effective {
            let sources = BTreeSet::from([group]);
            let (_, members) =
                tokio::try_join!(self.shown_group(group), self.members_after(&sources, after, limit))?;
            return self.member_entries(members, limit).await;
        }
        let (_, groups) = tokio::try_join!(self.shown_group(group), self.nested_groups())?;
        let sources = groups.map_or_else(|| BTreeSet::from([group]), |groups| groups.below([group]));
        let members = self.members_after(&sources, after, limit).await?;
        self.member_entries(members, limit).await
    }

    /// Reads a page of the users and groups that a role is assigned to.
    ///
    /// # Errors
    /// 404 if there is no such role.
    pub async fn role_members(
        &self,
        role: ResourceId,
        after: Option<ResourceId>,
        limit: usize,
    ) -> Result<EntryPage<MemberEntry>, ScimError> {
        let sources = BTreeSet::from([role]);
        let (_, members) = tokio::try_join!(self.role(role), self.members_after(&sources, after, limit))?;
        self.member_entries(members, limit).await
    }

    /// Reads the first members of these groups after an id, in the order of their ids: at least one more than the page size, if
    /// there are so many.
    pub(super) async fn members_after(
        &self,
        groups: &BTreeSet<ResourceId>,
        after: Option<ResourceId>,
        limit: usize,
    ) -> Result<Vec<Member>, ScimError> {
        let reads = groups.iter().map(|group| self.members_of(*group, after, limit).boxed()).collect();
        let found = concurrently(reads).await?.into_iter().flatten();
        let members: BTreeMap<ResourceId, Member> = found.map(|member| (member.id, member)).collect();
        Ok(members.into_values().collect())
    }

    async fn members_of(
        &self,
        group: ResourceId,
        after: Option<ResourceId>,
        limit: usize,
    ) -> Result<Vec<Member>, ScimError> {
        let pk = keys::members(&self.directory.connector.id, group);
        let range = keys::range_after(after);
        let mut members = Vec::new();
        let mut start: Option<String> = None;
        loop {
            let missing = i32::try_from(limit + 1 - members.len()).ok();
            let page = self.directory.table.query_page(&pk, &range, start.as_deref(), missing).await?;
            members.extend(page.0.iter().filter_map(items::to_member));
            match page.1 {
                Some(next) if members.len() <= limit => start = Some(next),
                _ => return Ok(members),
            }
        }
    }

    /// Makes the page of these members, without the hidden ones.
    async fn member_entries(
        &self,
        mut members: Vec<Member>,
        limit: usize,
    ) -> Result<EntryPage<MemberEntry>, ScimError> {
        let next = cut(&mut members, limit, |member| member.id);
        let ids_of = |kind| -> Vec<ResourceId> {
            members.iter().filter(|member| member.kind == kind).map(|member| member.id).collect()
        };
        let [users, groups, local] = ResourceKind::MEMBERS.map(ids_of);
        let (users, groups, local) = tokio::try_join!(
            self.directory.load(ResourceKind::User, &users, false),
            self.directory.load(ResourceKind::Group, &groups, false),
            self.directory.load(ResourceKind::LocalGroup, &local, false)
        )?;
        let stored: Vec<&Stored> = users.iter().map(|user| &user.stored).collect();
        let names = self.directory.shown_names(&stored, &self.maker).await?;
        let user = |StoredUser { stored, .. }: &StoredUser| {
            let taken_by = names.taken_by(stored, &self.maker);
            let entry = self.maker.entry(stored, MembershipNames::default(), taken_by);
            let (id, name) = (entry.id, entry.username);
            (stored.resource.id, MemberEntry { kind: "user", id, name, hidden: entry.hidden })
        };
        let group = |StoredUser { stored, .. }: &StoredUser| {
            let NamedGroup { id, name } = NamedGroup::new(&stored.resource, &self.maker);
            let hidden = self.maker.hidden_group(&stored.resource);
            (stored.resource.id, MemberEntry { kind: "group", id, name, hidden })
        };
        let entries = users.iter().map(user).chain(groups.iter().chain(&local).map(group));
        let mut entries: Vec<(ResourceId, MemberEntry)> =
            entries.filter(|(_, member)| self.with_hidden || member.hidden.is_none()).collect();
        entries.sort_by_key(|(id, _)| *id);
        Ok(EntryPage { entries, next })
    }
}
