//! Connectors as items, and back.
//!
//! In format 2 each credential is an item of its own, and the record's item lists their ids. In format 1 the record holds the
//! credentials, and all of them are for the SCIM API. Custom schemas are items too, and the record lists their URNs.
//!
//! Credentials for the directory API have keys and a list of their own. Earlier versions read neither, so they refuse such a
//! credential with 401. If they could read it, they would let it write, because they know no scopes.
//!
//! A Query can see a part of a transaction, so a reader compares the items with the lists: without that, a process that reads
//! during a migration or a rotation could cache a connector without the credential in use.
//!
//! One Query reads all items of the connector's partition at the same time as the record is read. So custom schemas cost no
//! further request.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::FutureExt as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::credential::{Credential, CredentialScope};
use shared::error::ScimError;
use shared::schema::CustomSchema;

use super::format::{FORMAT_OF_RECORDS_WITH_CREDENTIALS, NEWEST_FORMAT, STORED_FORMAT};
use super::{CachedSchemas, Connector, ConnectorId, Record};
use crate::dynamodb::attributes::{Item, get_number, get_text, number, text};
use crate::dynamodb::conditions::{Condition, Requirement};
use crate::dynamodb::expressions::Expression;
use crate::dynamodb::keys;
use crate::dynamodb::table::{Range, Table, concurrently};
use crate::dynamodb::transaction::Transaction;

/// The maximum size of a record. An item of DynamoDB holds at most 400 KB.
const MAX_RECORD_BYTES: usize = 300_000;
/// The attribute of a record's item that lists the ids of the credentials for the SCIM API.
const CREDENTIAL_IDS: &str = "credential_ids";
/// The attribute of a record's item that lists the ids of the credentials for the directory API.
const DIRECTORY_CREDENTIAL_IDS: &str = "directory_credential_ids";
/// The most reads of a connector that lack a credential or custom schema which its record lists. A transaction is visible in parts for
/// milliseconds, so the last of these reads is long after it.
const MAX_TORN_READS: usize = 8;
/// The id that [`Table::warm_up`] reads.
const UNUSED_ID: &str = "-";

/// The stored form of a record.
#[derive(Deserialize, Serialize)]
struct StoredRecord {
    #[serde(flatten)]
    record: Record,
    /// The credentials, in format 1 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credentials: Option<Vec<Credential>>,
}

impl Table {
    /// Reads a connector; `None` when there is none with this id.
    ///
    /// # Errors
    /// Fails when DynamoDB does, or when the connector is stored in a format that this version does not know.
    pub async fn connector(&self, id: &ConnectorId) -> Result<Option<Connector>, ScimError> {
        let (record, partition) = (keys::connector(id), keys::connector_items(id));
        let mut backoff = self.backoff();
        let mut torn_reads = 0;
        loop {
            let (item, items) = tokio::try_join!(self.get(&record), self.query(&partition, &Range::All))?;
            let Some(item) = item else { return Ok(None) };
            let (connector, is_whole) = to_connector(id, &item, &items)?;
            torn_reads += usize::from(!is_whole);
            if torn_reads == MAX_TORN_READS {
                // The item is lost. If it is a credential, the next change of the credentials writes the list again.
                tracing::error!(connector = %id, "a credential or custom schema that the record lists is missing");
            }
            if is_whole || torn_reads == MAX_TORN_READS {
                return Ok(Some(connector));
            }
            backoff.wait().await?;
        }
    }

    /// Loads the credentials of AWS, and opens the two connections to DynamoDB that the first request of a process needs. For that
    /// it reads a connector that does not exist, which costs two read units.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn warm_up(&self) -> Result<(), ScimError> {
        let Some(id) = ConnectorId::parse(UNUSED_ID) else { return Ok(()) };
        self.connector(&id).await.map(|_| ())
    }

    /// Reads a connector without its credentials and custom schemas, for work that is no client's request. The record has the
    /// indexes of the custom schemas.
    pub(crate) async fn connector_without_credentials(
        &self,
        id: &ConnectorId,
    ) -> Result<Option<Connector>, ScimError> {
        let item = self.get(&keys::connector(id)).await?;
        let connector = item.map(|item| to_connector(id, &item, &[])).transpose()?;
        Ok(connector.map(|(connector, _)| connector))
    }

    /// Reads the ids of all connectors, in order.
    pub(crate) async fn connector_ids(&self) -> Result<Vec<ConnectorId>, ScimError> {
        let items = self.query(keys::CONNECTORS, &Range::All).await?;
        Ok(items.iter().filter_map(|item| ConnectorId::parse(get_text(item, "sk")?)).collect())
    }

    /// Reads all connectors, in the order of their ids.
    ///
    /// # Errors
    /// As for one connector.
    pub async fn connectors(&self) -> Result<Vec<Connector>, ScimError> {
        let ids = self.connector_ids().await?.into_iter();
        let reads = ids.map(|id| async move { self.connector(&id).await }.boxed());
        Ok(concurrently(reads.collect()).await?.into_iter().flatten().collect())
    }
}

/// The ids of the credentials that the item of a record lists. An item of format 1 lists none.
fn listed_ids(item: &Item) -> Option<BTreeSet<&str>> {
    let ids = item.get(CREDENTIAL_IDS)?.as_l().ok()?;
    let directory_ids = item.get(DIRECTORY_CREDENTIAL_IDS).and_then(|ids| ids.as_l().ok());
    let ids = ids.iter().chain(directory_ids.into_iter().flatten());
    Some(ids.filter_map(|id| id.as_s().ok().map(String::as_str)).collect())
}

fn credential_ids(connector: &Connector, scope: CredentialScope) -> AttributeValue {
    let in_scope = connector.credentials.iter().filter(|credential| credential.scope == scope);
    AttributeValue::L(in_scope.map(|credential| text(&credential.id)).collect())
}

/// Makes a connector from the item of its record and the items of its own partition. Says whether all items are there that the
/// record lists.
fn to_connector(id: &ConnectorId, item: &Item, items: &[Item]) -> Result<(Connector, bool), ScimError> {
    let broken =
        |why: &str| ScimError::internal(format!("the record of connector {id} cannot be read: {why}"));
    let format = get_number(item, STORED_FORMAT).unwrap_or(FORMAT_OF_RECORDS_WITH_CREDENTIALS);
    if format > NEWEST_FORMAT {
        return Err(ScimError::internal(format!(
            "connector {id} is stored in format {format}, and this version knows formats up to \
             {NEWEST_FORMAT}; use a newer version"
        )));
    }
    let doc = get_text(item, "doc").ok_or_else(|| broken("doc is missing"))?;
    let StoredRecord { record, credentials } =
        serde_json::from_str(doc).map_err(|error| broken(&error.to_string()))?;
    let mut stored: Vec<Credential> = parse_items(id, items, keys::CREDENTIALS_PREFIX)?;
    stored.sort_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id)));
    let listed = listed_ids(item);
    if let Some(listed) = &listed {
        stored.retain(|credential| listed.contains(credential.id.as_str()));
    }
    let mut custom_schemas: Vec<CustomSchema> = parse_items(id, items, keys::SCHEMA_PREFIX)?;
    custom_schemas.retain(|schema| record.schemas.contains_key(&schema.key()));
    let is_whole = listed.is_none_or(|listed| listed.len() == stored.len())
        && record.schemas.len() == custom_schemas.len();
    let connector = Connector {
        id: id.clone(),
        record,
        credentials: credentials.unwrap_or(stored),
        revision: get_number(item, "revision").ok_or_else(|| broken("revision is missing"))?,
        format,
        custom_schemas,
        schemas: CachedSchemas::default(),
    };
    Ok((connector, is_whole))
}

/// Parses the items of a connector's partition whose sort keys have this prefix.
fn parse_items<T: DeserializeOwned>(
    id: &ConnectorId,
    items: &[Item],
    prefix: &str,
) -> Result<Vec<T>, ScimError> {
    let has_prefix = |item: &&Item| get_text(item, "sk").is_some_and(|sk| sk.starts_with(prefix));
    let parsed = items.iter().filter(has_prefix).map(|item| {
        serde_json::from_str(get_text(item, "doc").unwrap_or_default()).map_err(|error| {
            let sk = get_text(item, "sk").unwrap_or_default();
            ScimError::internal(format!("{sk} of connector {id} cannot be read: {error}"))
        })
    });
    parsed.collect()
}

/// Adds a new connector to a transaction.
pub(super) fn put_new(transaction: &mut Transaction, connector: &Connector) -> Result<(), ScimError> {
    let mut item = keys::connector(&connector.id).attributes();
    item.insert("doc".to_owned(), text(record_to_json(connector)?));
    item.insert("revision".to_owned(), number(connector.revision));
    item.insert(STORED_FORMAT.to_owned(), number(connector.format));
    if has_credential_items(connector.format) {
        item.insert(CREDENTIAL_IDS.to_owned(), credential_ids(connector, CredentialScope::Scim));
        item.insert(
            DIRECTORY_CREDENTIAL_IDS.to_owned(),
            credential_ids(connector, CredentialScope::Directory),
        );
    }
    transaction.put_new(item, Condition::IsNew)?;
    put_credentials(transaction, connector, &[])
}

/// Adds the next revision of a connector to a transaction, with the credentials that change.
pub(super) fn put_next(
    transaction: &mut Transaction,
    present: &Connector,
    next: &Connector,
) -> Result<(), ScimError> {
    let assignments = format!("SET doc = :doc, {STORED_FORMAT} = :format");
    let update = if has_credential_items(next.format) {
        let ids = format!("{CREDENTIAL_IDS} = :ids, {DIRECTORY_CREDENTIAL_IDS} = :directory_ids");
        Expression::new(format!("{assignments}, {ids} ADD revision :one"))
            .with(":ids", credential_ids(next, CredentialScope::Scim))
            .with(":directory_ids", credential_ids(next, CredentialScope::Directory))
    } else {
        Expression::new(format!("{assignments} ADD revision :one"))
    };
    let update = update
        .with(":doc", text(record_to_json(next)?))
        .with(":format", number(next.format))
        .with(":one", number(1));
    let is_unchanged = Requirement::record_is_unchanged(present.revision);
    transaction.update(&keys::connector(&next.id), update, Some(is_unchanged))?;
    let stored = if has_credential_items(present.format) { present.credentials.as_slice() } else { &[] };
    put_credentials(transaction, next, stored)?;
    put_custom_schemas(transaction, next, present)
}

/// Writes the custom schemas that are new, and deletes those that the connector no longer has.
fn put_custom_schemas(
    transaction: &mut Transaction,
    next: &Connector,
    present: &Connector,
) -> Result<(), ScimError> {
    for schema in next.custom_schemas.iter().filter(|schema| !present.custom_schemas.contains(schema)) {
        let mut item = keys::custom_schema(&next.id, &schema.key()).attributes();
        item.insert("doc".to_owned(), text(serde_json::to_string(schema).map_err(ScimError::internal)?));
        transaction.put(item)?;
    }
    for schema in present.custom_schemas.iter().filter(|schema| !next.custom_schemas.contains(schema)) {
        transaction.delete(&keys::custom_schema(&next.id, &schema.key()))?;
    }
    Ok(())
}

/// Writes the credentials that are not stored yet as they are, and deletes the stored ones that the connector lacks.
fn put_credentials(
    transaction: &mut Transaction,
    connector: &Connector,
    stored: &[Credential],
) -> Result<(), ScimError> {
    if !has_credential_items(connector.format) {
        let is_for_scim = |one: &Credential| one.scope == CredentialScope::Scim;
        return if connector.credentials.iter().all(is_for_scim) {
            Ok(())
        } else {
            Err(ScimError::invalid_value(format!(
                "connector {} is stored in format {}, which has only credentials for the SCIM API; run `scimctl migrate` first",
                connector.id, connector.format
            )))
        };
    }
    for credential in connector.credentials.iter().filter(|one| !stored.contains(one)) {
        let mut item = keys::credential(&connector.id, credential.scope, &credential.id).attributes();
        let doc = serde_json::to_string(credential).map_err(ScimError::internal)?;
        item.insert("doc".to_owned(), text(doc));
        transaction.put(item)?;
    }
    let is_kept = |id: &str| connector.credentials.iter().any(|one| one.id == id);
    for credential in stored.iter().filter(|one| !is_kept(&one.id)) {
        transaction.delete(&keys::credential(&connector.id, credential.scope, &credential.id))?;
    }
    Ok(())
}

fn has_credential_items(format: u32) -> bool {
    format > FORMAT_OF_RECORDS_WITH_CREDENTIALS
}

fn record_to_json(connector: &Connector) -> Result<String, ScimError> {
    let credentials = (!has_credential_items(connector.format)).then(|| connector.credentials.clone());
    let stored = StoredRecord { record: connector.record.clone(), credentials };
    let json = serde_json::to_string(&stored).map_err(ScimError::internal)?;
    if json.len() > MAX_RECORD_BYTES {
        return Err(ScimError::invalid_value(format!(
            "the settings of connector {} would be {} bytes; the maximum is {MAX_RECORD_BYTES}",
            connector.id,
            json.len()
        )));
    }
    Ok(json)
}
