//! The end of a connector: everything of its directory goes, whatever state it is in.

use crate::Directory;
use crate::dynamodb::item;
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::{Item, Range, Table};
use crate::index::ACTIVE;
use shared::error::ScimError;
use shared::resource::ResourceKind;

/// Items that are read, then deleted, at once.
const AT_ONCE: i32 = 1_000;

impl Directory {
    /// Deletes all of the directory, but not the connector's record and not its audit trail, which goes by itself. What
    /// was cut off is completed by the next. `passed` is told how many users and groups went.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn clear(&self, passed: impl Fn(u64)) -> Result<(), ScimError> {
        let connector = &self.connector.id;
        // Users last: while a group is there, its members can be found.
        for kind in ResourceKind::WITH_MEMBERS.into_iter().chain([ResourceKind::User]) {
            let pk = keys::resources(connector, kind);
            loop {
                let (items, _) = self.table.query_page(&pk, &Range::All, None, Some(AT_ONCE)).await?;
                let resources = items.iter().filter_map(item::name_of).filter(|(_, group)| group.is_none());
                let ids: Vec<_> = resources.map(|(id, _)| id).collect();
                if kind != ResourceKind::User {
                    for id in &ids {
                        self.table.clear_partition(&keys::members(connector, *id)).await?;
                    }
                }
                if !self.table.delete_items(&pk, &items).await? {
                    break;
                }
                passed(ids.len() as u64);
            }
            for index in &self.schemas.of(kind).indexes {
                self.table.clear_partition(&keys::index(connector, kind, &index.name)).await?;
            }
        }
        self.table.clear_partition(&keys::index(connector, ResourceKind::User, ACTIVE)).await?;
        self.table.clear_partition(&keys::counts(connector)).await?;
        self.table.forget_all_uses(connector).await
    }
}

impl Table {
    /// Deletes all of a partition.
    pub(crate) async fn clear_partition(&self, pk: &str) -> Result<(), ScimError> {
        loop {
            let (items, _) = self.query_page(pk, &Range::All, None, Some(AT_ONCE)).await?;
            if !self.delete_items(pk, &items).await? {
                return Ok(());
            }
        }
    }

    /// Deletes these items of a partition; `false` when there are none.
    async fn delete_items(&self, pk: &str, items: &[Item]) -> Result<bool, ScimError> {
        let sk = |item: &Item| item.get("sk")?.as_s().ok().cloned();
        let keys: Vec<Key> = items.iter().filter_map(sk).map(|sk| Key { pk: pk.to_owned(), sk }).collect();
        self.delete_all(&keys).await?;
        Ok(!keys.is_empty())
    }
}
