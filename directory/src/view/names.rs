//! Usernames that the mapping gives to several users.
//!
//! With the default mapping, usernames differ because `userName`s do. With another one, such as `username-from-email`, two users can
//! get the same name. Then one person could use what another one may. So only one user keeps the name: of those who are not hidden for
//! another reason, the one who was created first, and of several at the same time the one with the lowest id. The others are hidden.
//!
//! The users who could have a name are found in an index of the values that names are made of. The index does not depend on the
//! options of the mapping, only on its attribute.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use jiff::Timestamp;
use shared::error::{ErrorKind, ScimError};
use shared::resource::{ResourceId, ResourceKind};

use super::{EntryMaker, for_first_users};
use crate::Directory;
use crate::connectors::IndexState;
use crate::dynamodb::items::{self, Stored};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::{Range, at_once};
use crate::index::USER_NAME;

/// The users who keep the usernames of some users, or of all.
#[derive(Clone, Debug, Default)]
pub struct ShownNames(BTreeMap<String, (Timestamp, ResourceId)>);

impl ShownNames {
    /// Reads all users of a directory.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn read(directory: &Directory, maker: &EntryMaker<'_>) -> Result<Self, ScimError> {
        Self::read_first(directory, maker, usize::MAX).await
    }

    /// Reads the first users of a directory in the order of their ids, at most this number.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn read_first(
        directory: &Directory,
        maker: &EntryMaker<'_>,
        most: usize,
    ) -> Result<Self, ScimError> {
        let mut names = Self::default();
        if maker.settings().mapping.can_give_one_username_twice() {
            for_first_users::<ScimError>(directory, most, |user| {
                names.add(&user.stored, maker);
                Ok(())
            })
            .await?;
        }
        Ok(names)
    }

    /// Adds a user. All users with the same username must be added before [`Self::taken_by`] is called for one of them.
    pub fn add(&mut self, user: &Stored, maker: &EntryMaker<'_>) {
        if let Some(name) = shown_name(user, maker) {
            let claim = (user.resource.created, user.resource.id);
            let first = self.0.entry(name).or_insert(claim);
            *first = claim.min(*first);
        }
    }

    /// The users who keep the usernames.
    pub(crate) fn keepers(&self) -> impl Iterator<Item = ResourceId> {
        self.0.values().map(|(_, id)| *id)
    }

    /// Returns the user who keeps the username of this user, if it is another one.
    pub fn taken_by(&self, user: &Stored, maker: &EntryMaker<'_>) -> Option<ResourceId> {
        let (_, first) = self.0.get(&shown_name(user, maker)?)?;
        (*first != user.resource.id).then_some(*first)
    }
}

/// The username of a user who is not hidden for another reason.
fn shown_name(user: &Stored, maker: &EntryMaker<'_>) -> Option<String> {
    maker.name_key(&user.resource).filter(|_| maker.hidden_user(user).is_none())
}

impl Directory {
    /// Reads who keeps the usernames of these users.
    ///
    /// # Errors
    /// 503 if the index of usernames is not ready.
    pub(crate) async fn shown_names(
        &self,
        users: &[&Stored],
        maker: &EntryMaker<'_>,
    ) -> Result<ShownNames, ScimError> {
        let mut names = ShownNames::default();
        if !self.settings().mapping.can_give_one_username_twice() {
            return Ok(names);
        }
        let wanted = users.iter().filter_map(|user| shown_name(user, maker));
        let wanted = wanted.map(|name| keys::index_value(&name)).collect();
        let known: BTreeSet<ResourceId> = users.iter().map(|user| user.resource.id).collect();
        let found = self.ids_with_usernames(&wanted).await?;
        let others: Vec<ResourceId> = found.difference(&known).copied().collect();
        let others = self.load(ResourceKind::User, &others, false).await?;
        for user in users.iter().copied().chain(others.iter().map(|user| &user.stored)) {
            names.add(user, maker);
        }
        Ok(names)
    }

    /// Reads the ids of the users who can have one of these usernames, which must be in the form of [`EntryMaker::name_key`], and
    /// cut as in [`keys::index_value`]. Some of the users may have another username.
    ///
    /// # Errors
    /// 503 if the index of usernames is not ready.
    pub(crate) async fn ids_with_usernames(
        &self,
        names: &BTreeSet<String>,
    ) -> Result<BTreeSet<ResourceId>, ScimError> {
        let mapping = &self.settings().mapping;
        let index = mapping.username_index();
        if let Some(index) = &index {
            self.check_username_index(index)?;
        }
        let pk = keys::index(&self.connector.id, ResourceKind::User, index.as_deref().unwrap_or(USER_NAME));
        let mut ranges: Vec<Range> = Vec::new();
        if mapping.username_from_email {
            ranges.extend(names.iter().map(|name| match keys::cut_value(name) {
                // Every value that begins with the name and `@`.
                None => Range::Prefix(keys::index_prefix(&format!("{name}@")).to_owned()),
                Some(beginning) => Range::Prefix(beginning.to_owned()),
            }));
        }
        // The values that are the name itself. In the index of `userName` the value alone is the key.
        let whole: Vec<Key> = match index {
            None => names.iter().map(|name| Key { pk: pk.clone(), sk: name.clone() }).collect(),
            Some(_) => {
                ranges.extend(names.iter().map(|name| Range::Prefix(keys::entries_of_value(name))));
                Vec::new()
            }
        };
        let reads = ranges.iter().map(|range| self.table.query(&pk, range).boxed()).collect();
        let (whole, ranges) = tokio::try_join!(self.table.get_all(&whole), at_once(reads))?;
        let entries = whole.into_iter().chain(ranges.into_iter().flatten());
        Ok(entries.filter_map(|entry| items::indexed_id(&entry)).collect())
    }

    /// The name of the index of the values that usernames are made of, if that is not the index of `userName` and is ready.
    pub(super) fn ready_username_index(&self) -> Option<String> {
        let index = self.settings().mapping.username_index()?;
        self.check_username_index(&index).is_ok().then_some(index)
    }

    /// Without this index, two users could be shown with one username.
    fn check_username_index(&self, index: &str) -> Result<(), ScimError> {
        let schema = self.schemas.of(ResourceKind::User);
        if self.connector.record.indexes.state(schema, index) == Some(IndexState::Ready) {
            return Ok(());
        }
        let id = &self.connector.id;
        let detail = format!(
            "The usernames of connector {id} are not indexed yet; an operator builds the index with `scimctl reindex {id}`"
        );
        Err(ScimError::new(ErrorKind::Unavailable, detail))
    }
}
