//! Connectors: one identity provider's connection each, with its credentials and settings.

pub mod clear;
pub mod credential_usage;
pub mod leftovers;

use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::dynamodb::item::{number, text};
use crate::dynamodb::keys;
use crate::dynamodb::table::{Item, Outcome, Range, Table};
use crate::dynamodb::transaction::{Expression, Transaction};
use crate::settings::Settings;
use shared::credential::Credential;
use shared::error::ScimError;

/// The id of a connector, which is the first segment of its endpoint URL: 1 to 63 of `a`–`z`, `0`–`9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectorId(String);

impl ConnectorId {
    /// Reads an id; `None` when it cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = (1..=63).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        is_id.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for ConnectorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A connector: who it is, and its record.
#[derive(Clone, Debug, PartialEq)]
pub struct Connector {
    /// The id.
    pub id: ConnectorId,
    /// What is stored of it.
    pub record: Record,
    /// Counts the writes to the record.
    pub revision: u64,
}

/// What is stored of a connector.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Record {
    /// A name for people.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Since when its requests are refused; `None` while they are served.
    pub disabled: Option<Timestamp>,
    /// Whether its deletion has begun.
    pub is_going: bool,
    /// What its requests may carry.
    pub credentials: Vec<Credential>,
    /// The key that its cursors are sealed with.
    pub cursor_key: String,
    /// How it is to behave.
    pub settings: Settings,
}

impl Record {
    /// The record of a new connector.
    pub fn new(name: String, created: Timestamp, credentials: Vec<Credential>, cursor_key: String) -> Self {
        let settings = Settings::default();
        Self { name, created, disabled: None, is_going: false, credentials, cursor_key, settings }
    }
}

impl Table {
    /// Reads a connector.
    pub async fn connector(&self, id: &ConnectorId) -> Result<Option<Connector>, ScimError> {
        self.get(&keys::connector(id)).await?.map(|item| to_connector(id, &item)).transpose()
    }

    /// Reads all connectors, in the order of their ids.
    pub async fn connectors(&self) -> Result<Vec<Connector>, ScimError> {
        let items = self.query(keys::CONNECTORS, &Range::All).await?;
        let id = |item: &Item| ConnectorId::parse(item.get("sk")?.as_s().ok()?);
        items.iter().filter_map(|item| Some(to_connector(&id(item)?, item))).collect()
    }

    /// Makes a connector, and writes what belongs to it; `false` when there is one of the same id.
    pub async fn create_connector(
        &self,
        id: &ConnectorId,
        record: &Record,
        mut beside: Transaction,
    ) -> Result<bool, ScimError> {
        let mut item = keys::connector(id).attributes();
        item.insert("doc".into(), text(to_json(record)?));
        item.insert("revision".into(), number(1));
        beside.put_new(item)?;
        Ok(self.commit(&beside).await? == Outcome::Committed)
    }

    /// Deletes the record of a connector, when nothing else of it is left but the audit trail.
    pub async fn delete_connector(&self, id: &ConnectorId) -> Result<(), ScimError> {
        self.delete_all(&[keys::connector(id)]).await
    }

    /// Writes a new record of a connector, and what belongs to it; `false` when another writer came between.
    pub async fn write_connector(
        &self,
        present: &Connector,
        record: &Record,
        mut beside: Transaction,
    ) -> Result<bool, ScimError> {
        let update = Expression::new("SET doc = :doc ADD revision :one")
            .with(":doc", text(to_json(record)?))
            .with(":one", number(1));
        let is_present = Expression::new("revision = :revision").with(":revision", number(present.revision));
        beside.update(&keys::connector(&present.id), update, Some(is_present))?;
        Ok(self.commit(&beside).await? == Outcome::Committed)
    }
}

fn to_json(record: &Record) -> Result<String, ScimError> {
    serde_json::to_string(record).map_err(ScimError::internal)
}

fn to_connector(id: &ConnectorId, item: &Item) -> Result<Connector, ScimError> {
    let broken = || ScimError::internal(format!("broken item of connector {id}"));
    let unreadable = |error: serde_json::Error| {
        ScimError::internal(format!("the record of connector {id} cannot be read: {error}"))
    };
    let string = |name: &str| item.get(name).and_then(|value: &AttributeValue| value.as_s().ok());
    let revision = item.get("revision").and_then(|value| value.as_n().ok()?.parse().ok());
    Ok(Connector {
        id: id.clone(),
        record: serde_json::from_str(string("doc").ok_or_else(broken)?).map_err(unreadable)?,
        revision: revision.ok_or_else(broken)?,
    })
}
