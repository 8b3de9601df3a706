//! Reading users, groups and roles.

use std::collections::{BTreeMap, BTreeSet};

use shared::error::ScimError;
use shared::filter::fold_name;
use shared::resource::{ResourceId, ResourceKind};

use crate::dynamodb::attributes::get_text;
use crate::dynamodb::items::{self, Stored};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::Range;
use crate::{Directory, StoredUser};

impl Directory {
    /// Finds the resource with this unique name.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn find_by_name(
        &self,
        kind: ResourceKind,
        name: &str,
    ) -> Result<Option<ResourceId>, ScimError> {
        let attribute = items::unique_attribute(kind);
        let Some(index) = self.schemas.of(kind).indexes.iter().find(|index| index.name == attribute) else {
            return Ok(None);
        };
        self.find_by_unique_value(kind, attribute, &fold_name(name, index.case_exact)).await
    }

    /// Finds the resource with this folded value in a unique index.
    pub(super) async fn find_by_unique_value(
        &self,
        kind: ResourceKind,
        index: &str,
        folded: &str,
    ) -> Result<Option<ResourceId>, ScimError> {
        let pk = keys::index(&self.connector.id, kind, index);
        let entry = self.table.get(&Key { pk, sk: keys::index_value(folded) }).await?;
        Ok(entry.and_then(|entry| items::indexed_id(&entry)))
    }

    /// Reads a user and the ids of its groups.
    ///
    /// # Errors
    /// 404 when there is no such user or its deletion has begun.
    pub async fn user(&self, id: ResourceId) -> Result<StoredUser, ScimError> {
        let user = self.read(ResourceKind::User, id).await?;
        user.filter(|user| !user.stored.is_deleting).ok_or_else(|| ScimError::not_found(id))
    }

    /// Reads the userNames of these users, in no order. Deleted users are left out.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn user_names(&self, ids: &[ResourceId]) -> Result<Vec<String>, ScimError> {
        let users = self.load(ResourceKind::User, ids, false).await?;
        let name =
            |user: &StoredUser| user.stored.resource.document.get("userName")?.as_str().map(str::to_owned);
        Ok(users.iter().filter_map(name).collect())
    }

    /// Reads the userNames and displayNames of these resources of any kind. Resources that do not exist are left out.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn names_of(
        &self,
        ids: &BTreeSet<ResourceId>,
    ) -> Result<BTreeMap<ResourceId, String>, ScimError> {
        let mut names = BTreeMap::new();
        for kind in ResourceKind::ALL {
            let unknown = ids.iter().filter(|id| !names.contains_key(*id));
            let keys: Vec<Key> = unknown.map(|id| keys::resource(&self.connector.id, kind, *id)).collect();
            for item in self.table.get_all(&keys).await? {
                let name = get_text(&item, items::unique_attribute(kind)).map(str::to_owned);
                names.extend(items::ids(&item).map(|(id, _)| id).zip(name));
            }
        }
        Ok(names)
    }

    /// Reads a user, also one whom the client deleted and operators keep.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn user_or_retained(&self, id: ResourceId) -> Result<Option<StoredUser>, ScimError> {
        let user = self.read(ResourceKind::User, id).await?;
        Ok(user.filter(|user| !user.stored.is_deleting || user.stored.is_retained))
    }

    /// Reads a resource and the ids of its groups, also while it is being deleted.
    pub(crate) async fn read(
        &self,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<StoredUser>, ScimError> {
        let range = Range::Prefix(id.to_string());
        let found = self.table.query(&keys::resources(&self.connector.id, kind), &range).await?;
        let Some((first, memberships)) = found.split_first() else { return Ok(None) };
        // A membership can remain for a moment after its member is deleted.
        let Some((_, None)) = items::ids(first) else { return Ok(None) };
        let groups = memberships.iter().filter_map(|item| items::ids(item)?.1).collect();
        Ok(Some(StoredUser { stored: items::to_stored(kind, first)?, groups, has_groups: true }))
    }

    /// Reads a group or role, without its members.
    ///
    /// # Errors
    /// 404 when there is none or its deletion has begun.
    pub async fn group(&self, kind: ResourceKind, id: ResourceId) -> Result<Stored, ScimError> {
        let key = keys::resource(&self.connector.id, kind, id);
        let item = self.table.get(&key).await?;
        let stored = item.map(|item| items::to_stored(kind, &item)).transpose()?;
        stored.filter(|stored| !stored.is_deleting).ok_or_else(|| ScimError::not_found(id))
    }
}
