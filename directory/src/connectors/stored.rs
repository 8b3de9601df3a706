//! Connectors as items, and back.
//!
//! In format 2 each credential is an item of its own. In format 1 the record holds the credentials.

use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use shared::credential::Credential;
use shared::error::ScimError;

use super::format::{FORMAT, FORMAT_OF_RECORDS_WITH_CREDENTIALS, STORED_FORMAT};
use super::{Connector, ConnectorId, Record};
use crate::dynamodb::attributes::{Item, get_number, get_text, number, text};
use crate::dynamodb::conditions::{Condition, Requirement};
use crate::dynamodb::keys;
use crate::dynamodb::table::{Range, Table, concurrently};
use crate::dynamodb::transaction::{Expression, Transaction};

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
        let (key, credentials) = (keys::connector(id), self.credentials(id));
        let (item, credentials) = tokio::try_join!(self.get(&key), credentials)?;
        item.map(|item| to_connector(id, &item, credentials)).transpose()
    }

    /// Reads a connector to change it. The record is read before the credentials: if these change in between, the revision
    /// does too, and the write is refused.
    pub(super) async fn connector_in_order(&self, id: &ConnectorId) -> Result<Option<Connector>, ScimError> {
        let Some(item) = self.get(&keys::connector(id)).await? else { return Ok(None) };
        to_connector(id, &item, self.credentials(id).await?).map(Some)
    }

    /// Reads all connectors, in the order of their ids.
    ///
    /// # Errors
    /// As for one connector.
    pub async fn connectors(&self) -> Result<Vec<Connector>, ScimError> {
        let items = self.query(keys::CONNECTORS, &Range::All).await?;
        let reads = items.into_iter().filter_map(|item| {
            let id = ConnectorId::parse(get_text(&item, "sk")?)?;
            Some(async move { to_connector(&id, &item, self.credentials(&id).await?) }.boxed())
        });
        concurrently(reads.collect()).await
    }

    async fn credentials(&self, id: &ConnectorId) -> Result<Vec<Credential>, ScimError> {
        let range = Range::Prefix(keys::CREDENTIAL_PREFIX.to_owned());
        let items = self.query(&keys::connector_items(id), &range).await?;
        let mut credentials: Vec<Credential> = items
            .iter()
            .map(|item| serde_json::from_str(get_text(item, "doc").unwrap_or_default()))
            .collect::<Result<_, _>>()
            .map_err(|error| {
                ScimError::internal(format!("a credential of connector {id} cannot be read: {error}"))
            })?;
        credentials.sort_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id)));
        Ok(credentials)
    }
}

fn to_connector(id: &ConnectorId, item: &Item, credentials: Vec<Credential>) -> Result<Connector, ScimError> {
    let broken =
        |why: &str| ScimError::internal(format!("the record of connector {id} cannot be read: {why}"));
    let format = get_number(item, STORED_FORMAT).unwrap_or(FORMAT_OF_RECORDS_WITH_CREDENTIALS);
    if format > FORMAT {
        return Err(ScimError::internal(format!(
            "connector {id} is stored in format {format}, and this version knows formats up to {FORMAT}; use a newer version"
        )));
    }
    let doc = get_text(item, "doc").ok_or_else(|| broken("doc is missing"))?;
    let stored: StoredRecord = serde_json::from_str(doc).map_err(|error| broken(&error.to_string()))?;
    Ok(Connector {
        id: id.clone(),
        record: stored.record,
        credentials: stored.credentials.unwrap_or(credentials),
        revision: get_number(item, "revision").ok_or_else(|| broken("revision is missing"))?,
        format,
    })
}

/// Adds a new connector to a transaction.
pub(super) fn put_new(transaction: &mut Transaction, connector: &Connector) -> Result<(), ScimError> {
    let mut item = keys::connector(&connector.id).attributes();
    item.insert("doc".to_owned(), text(record_to_json(connector)?));
    item.insert("revision".to_owned(), number(connector.revision));
    item.insert(STORED_FORMAT.to_owned(), number(connector.format));
    transaction.put_new(item, Condition::IsNew)?;
    put_credentials(transaction, connector, &[])
}

/// Adds the next revision of a connector to a transaction, with the credentials that change.
pub(super) fn put_next(
    transaction: &mut Transaction,
    present: &Connector,
    next: &Connector,
) -> Result<(), ScimError> {
    let update = Expression::new("SET doc = :doc, stored_format = :format ADD revision :one")
        .with(":doc", text(record_to_json(next)?))
        .with(":format", number(next.format))
        .with(":one", number(1));
    let is_unchanged = Requirement::record_is_unchanged(present.revision);
    transaction.update(&keys::connector(&next.id), update, Some(is_unchanged))?;
    let stored = if has_credential_items(present.format) { present.credentials.as_slice() } else { &[] };
    put_credentials(transaction, next, stored)
}

/// Writes the credentials that are not stored yet as they are, and deletes the stored ones that the connector lacks.
fn put_credentials(
    transaction: &mut Transaction,
    connector: &Connector,
    stored: &[Credential],
) -> Result<(), ScimError> {
    if !has_credential_items(connector.format) {
        return Ok(());
    }
    for credential in connector.credentials.iter().filter(|one| !stored.contains(one)) {
        let mut item = keys::credential(&connector.id, &credential.id).attributes();
        let doc = serde_json::to_string(credential).map_err(ScimError::internal)?;
        item.insert("doc".to_owned(), text(doc));
        transaction.put(item)?;
    }
    let is_kept = |id: &str| connector.credentials.iter().any(|one| one.id == id);
    for credential in stored.iter().filter(|one| !is_kept(&one.id)) {
        transaction.delete(&keys::credential(&connector.id, &credential.id))?;
    }
    Ok(())
}

fn has_credential_items(format: u32) -> bool {
    format > FORMAT_OF_RECORDS_WITH_CREDENTIALS
}

fn record_to_json(connector: &Connector) -> Result<String, ScimError> {
    let credentials = (!has_credential_items(connector.format)).then(|| connector.credentials.clone());
    let stored = StoredRecord { record: connector.record.clone(), credentials };
    serde_json::to_string(&stored).map_err(ScimError::internal)
}
