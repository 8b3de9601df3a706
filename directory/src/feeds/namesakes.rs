//! Users with one username. When a user gives up or takes a username, another user can become visible or hidden, although nothing
//! was written to it. So a poll or a delivery that reads the event of the first user marks the other user.
//!
//! The mark is made from the state at that time. A change that is committed later has an event of its own, and then the other user is
//! looked for again. The mark is the same item each time the event is read.

use std::collections::BTreeSet;

use shared::error::ScimError;
use shared::resource::{ResourceId, ResourceKind};

use super::Outbox;
use super::event::{Present, RESOURCES_AT_ONCE};
use super::outbox::{Change, order_of_consequence};
use crate::dynamodb::items::{self, Stored};
use crate::dynamodb::keys::{self, Key};
use crate::view::{EntryMaker, ShownNames};

/// Whether users are marked who may have become visible or hidden because another user changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Namesakes {
    /// They are marked.
    Mark,
    /// Nothing is written.
    Leave,
}

impl Outbox {
    /// Reads who keeps the usernames of these users, and marks those who may have become visible or hidden because of a change.
    pub(super) async fn shown_names(
        &self,
        present: &[Present<'_>],
        namesakes: Namesakes,
        maker: &EntryMaker<'_>,
    ) -> Result<ShownNames, ScimError> {
        let mut names = ShownNames::default();
        if !maker.settings().mapping.can_give_one_username_twice() {
            return Ok(names);
        }
        let users: Vec<&Present<'_>> =
            present.iter().filter(|one| one.waiting.kind == ResourceKind::User).collect();
        let (changed, others): (Vec<&Present<'_>>, Vec<_>) =
            users.iter().copied().partition(|user| user.waiting.is_changed);

        let of_changed: BTreeSet<String> = changed
            .iter()
            .flat_map(|user| own_name(user, maker).into_iter().chain(names_in_index(user, maker)))
            .collect();
        // Those who changed have events already.
        for other in self.users_named(&of_changed, &ids(&changed)).await? {
            names.add(&other, maker);
        }
        if namesakes == Namesakes::Mark
            && let Some(order) = changed.iter().filter_map(|user| user.waiting.orders.last()).max()
        {
            let connector = &self.directory.connector.id;
            let order = order_of_consequence(order);
            let mark = |id| Change::mark(ResourceKind::User, id).item(connector, &self.feed, &order);
            self.directory.table.put_all(names.keepers().map(mark).collect()).await?;
        }

        // An event that says whether a user is shown needs to know who keeps its name.
        let marked = others.iter().filter(|user| user.waiting.is_marked);
        let of_marked: BTreeSet<String> = marked.filter_map(|user| own_name(user, maker)).collect();
        let of_marked = of_marked.difference(&of_changed).cloned().collect();
        for other in self.users_named(&of_marked, &ids(&users)).await? {
            names.add(&other, maker);
        }
        for stored in users.iter().filter_map(|user| user.stored.as_ref()) {
            names.add(stored, maker);
        }
        Ok(names)
    }

    /// Reads the users who can have one of these usernames, without those with these ids.
    async fn users_named(
        &self,
        names: &BTreeSet<String>,
        without: &BTreeSet<ResourceId>,
    ) -> Result<Vec<Stored>, ScimError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.directory.ids_with_usernames(names).await?;
        let key = |id: &ResourceId| keys::resource(&self.directory.connector.id, ResourceKind::User, *id);
        let keys: Vec<Key> = found.difference(without).map(key).collect();
        let mut users = Vec::new();
        for keys in keys.chunks(RESOURCES_AT_ONCE) {
            let items = self.directory.table.get_at_once(&keys.iter().cloned().collect()).await?;
            // A user that cannot be read is not shown. `check` finds it.
            users.extend(items.iter().filter_map(|item| items::to_stored(ResourceKind::User, item).ok()));
        }
        Ok(users)
    }
}

fn ids(users: &[&Present<'_>]) -> BTreeSet<ResourceId> {
    users.iter().map(|user| user.waiting.id).collect()
}

/// The username of a user, whether it is shown or not, as in the index.
fn own_name(user: &Present<'_>, maker: &EntryMaker<'_>) -> Option<String> {
    maker.name_key(&user.stored.as_ref()?.resource).map(|name| keys::index_value(&name))
}

/// The usernames that a user gave up or took, as in the index.
fn names_in_index<'p>(
    user: &'p Present<'_>,
    maker: &'p EntryMaker<'_>,
) -> impl Iterator<Item = String> + use<'p> {
    user.waiting.usernames.iter().flat_map(|value| maker.names_of_indexed(value)).map(str::to_owned)
}
