//! Deleting a connector and its directory, complete or damaged.

use std::collections::BTreeSet;

use crate::Directory;
use crate::dynamodb::attributes::{Item, get_text};
use crate::dynamodb::items;
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::{Range, Table};
use crate::index::{self, ACTIVE};
use shared::error::ScimError;
use shared::resource::ResourceKind;

/// The items that are read and deleted at once.
const ITEMS_AT_ONCE: i32 = 1_000;

impl Directory {
    /// Deletes a connector whose deletion has begun: first its directory and credentials, then its record. The audit trail
    /// stays until it expires. A call that was interrupted can be repeated. `passed` is called with the number of users and
    /// groups that were deleted.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn delete_connector(&self, passed: impl Fn(u64)) -> Result<(), ScimError> {
        let connector = &self.connector.id;
        // Users are deleted last: while a group exists, its members can be found.
        for kind in ResourceKind::WITH_MEMBERS.into_iter().chain([ResourceKind::User]) {
            let pk = keys::resources(connector, kind);
            loop {
                let (items, _) = self.table.query_page(&pk, &Range::All, None, Some(ITEMS_AT_ONCE)).await?;
                let resources = items.iter().filter_map(items::ids).filter(|(_, group)| group.is_none());
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
            let schema = self.schemas.of(kind);
            let known = index::names(schema);
            let mut indexes: BTreeSet<String> = known.map(str::to_owned).collect();
            indexes.extend(self.connector.record.indexes.of(schema).map(str::to_owned));
            indexes.extend(self.settings().mapping.username_index().filter(|_| kind == ResourceKind::User));
            for index in indexes {
                self.table.clear_partition(&keys::index(connector, kind, &index)).await?;
            }
        }
        // The indexes of a custom schema that is being removed are not listed any more.
        for schema in &self.connector.custom_schemas {
            self.table.clear_indexes(connector, schema).await?;
        }
        self.table.clear_partition(&keys::index(connector, ResourceKind::User, ACTIVE)).await?;
        self.table.clear_partition(&keys::counts(connector)).await?;
        // The member changes that do not fit into an intent expire by themselves.
        self.table.clear_partition(&keys::intents(connector)).await?;
        self.table.credential_usage(connector).forget_all().await?;
        for feed in self.table.feeds(connector).await? {
            self.table.clear_partition(&keys::outbox(connector, &feed.id)).await?;
            self.table.delete_all(&feed.settings.delivery.secret_keys(connector, &feed.id)).await?;
        }
        self.table.clear_partition(&keys::feeds(connector)).await?;
        // Operators may not read private keys, so these are deleted by their ids.
        let kids =
            self.connector.record.signing_keys.iter().map(|key| keys::signing_key(connector, &key.kid));
        self.table.delete_all(&kids.collect::<Vec<_>>()).await?;
        let kids = self.connector.record.token_keys.iter().map(|key| keys::token_key(connector, &key.kid));
        self.table.delete_all(&kids.collect::<Vec<_>>()).await?;
        self.table.clear_partition(&keys::all_issuer_keys(connector)).await?;
        self.table.clear_partition(&keys::used_assertions(connector)).await?;
        self.table.failed_sign_ins(connector).forget_all().await?;
        self.table.trail(connector).forget_all(self.now).await?;
        self.table.clear_partition(&keys::connector_items(connector)).await?;
        self.table.delete_all(&[keys::connector(connector)]).await
    }
}

impl Table {
    /// Deletes all items of a partition.
    pub(crate) async fn clear_partition(&self, pk: &str) -> Result<(), ScimError> {
        loop {
            let (items, _) = self.query_page(pk, &Range::All, None, Some(ITEMS_AT_ONCE)).await?;
            if !self.delete_items(pk, &items).await? {
                return Ok(());
            }
        }
    }

    /// Deletes these items of a partition. Returns `false` when there are none.
    async fn delete_items(&self, pk: &str, items: &[Item]) -> Result<bool, ScimError> {
        let sk = |item: &Item| get_text(item, "sk").map(str::to_owned);
        let keys: Vec<Key> = items.iter().filter_map(sk).map(|sk| Key { pk: pk.to_owned(), sk }).collect();
        self.delete_all(&keys).await?;
        Ok(!keys.is_empty())
    }
}
