//! Local users, which operators created. A client's lists, totals and searches leave them out. Otherwise an import of the
//! client would take all of them over. A filter that names a user by its userName or id finds local users too, so that the
//! client can link them.
//!
//! An index holds the ids of all local users. A list subtracts them from the counts. While that index is not ready, lists
//! show local users, as versions before this index did.

use std::collections::BTreeMap;

use shared::error::ScimError;
use shared::resource::{Origin, ResourceId, ResourceKind};

use crate::Directory;
use crate::connectors::IndexState;
use crate::counts::Counted;
use crate::dynamodb::attributes::get_text;
use crate::dynamodb::items;
use crate::dynamodb::keys;
use crate::dynamodb::table::Range;
use crate::index::{LOCAL, LOCAL_ACTIVE};

/// The users that a list leaves out. The value says whether a user is active.
#[derive(Debug, Default)]
pub(super) struct LocalUsers(BTreeMap<ResourceId, bool>);

impl LocalUsers {
    /// Whether this user is one of them.
    pub fn contains(&self, id: ResourceId) -> bool {
        self.0.contains_key(&id)
    }

    /// Lists those that are among the counted users.
    pub fn counted(&self, counted: Counted) -> impl Iterator<Item = ResourceId> {
        let is_counted = move |is_active: bool| match counted {
            Counted::All => true,
            Counted::Active => is_active,
            Counted::Inactive => !is_active,
        };
        self.0.iter().filter(move |(_, is_active)| is_counted(**is_active)).map(|(id, _)| *id)
    }
}

impl Directory {
    /// Whether lists of this kind leave out local users: those of a client do.
    pub(super) fn hides_local_users(&self, kind: ResourceKind) -> bool {
        let state = || self.connector.record.indexes.state(self.schemas.of(kind), LOCAL);
        kind == ResourceKind::User && self.origin() == Origin::Scim && state() == Some(IndexState::Ready)
    }

    /// Reads which local users the lists of this kind leave out.
    pub(super) async fn local_users_to_hide(&self, kind: ResourceKind) -> Result<LocalUsers, ScimError> {
        if !self.hides_local_users(kind) {
            return Ok(LocalUsers::default());
        }
        let pk = keys::index(&self.connector.id, kind, LOCAL);
        let active = keys::index_entry_prefix(LOCAL_ACTIVE);
        let entries = self.table.query(&pk, &Range::All).await?;
        let user = |entry| Some((items::indexed_id(entry)?, get_text(entry, "sk")?.starts_with(&active)));
        Ok(LocalUsers(entries.iter().filter_map(user).collect()))
    }
}
