//! Connectors: one identity provider's connection each, with its credentials.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::item::text;
use super::keys;
use super::table::{Item, Outcome, Range, Table};
use crate::auth::{Credential, CredentialKind};
use crate::error::ScimError;

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

/// A connector as it is stored.
#[derive(Clone, Debug)]
pub struct Connector {
    /// The id.
    pub id: ConnectorId,
    /// A name for people.
    pub name: String,
    /// Whether its requests are served.
    pub is_enabled: bool,
    /// What its requests may carry.
    pub credentials: Vec<Credential>,
    /// The key that its cursors are sealed with.
    pub cursor_key: Vec<u8>,
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

    /// Makes a connector; `false` when there is one of the same id.
    pub async fn create_connector(&self, connector: &Connector) -> Result<bool, ScimError> {
        let mut transaction = self.transaction();
        transaction.put_new(from_connector(connector))?;
        Ok(self.commit(&transaction).await? == Outcome::Committed)
    }

    /// Writes a connector, in place of one of the same id.
    pub async fn put_connector(&self, connector: &Connector) -> Result<(), ScimError> {
        let mut transaction = self.transaction();
        transaction.put(from_connector(connector))?;
        match self.commit(&transaction).await? {
            Outcome::Committed => Ok(()),
            Outcome::Refused(_) => Err(ScimError::internal("a connector was refused")),
        }
    }
}

fn from_connector(connector: &Connector) -> Item {
    let mut item = keys::connector(&connector.id).attributes();
    item.insert("name".into(), text(&connector.name));
    item.insert("enabled".into(), AttributeValue::Bool(connector.is_enabled));
    item.insert("cursorKey".into(), AttributeValue::B(Blob::new(connector.cursor_key.clone())));
    let credentials = connector.credentials.iter().map(|credential| {
        let mut out = HashMap::from([("secret".to_owned(), text(&credential.secret))]);
        if let CredentialKind::Basic { username } = &credential.kind {
            out.insert("username".to_owned(), text(username));
        }
        AttributeValue::M(out)
    });
    item.insert("credentials".into(), AttributeValue::L(credentials.collect()));
    item
}

fn to_connector(id: &ConnectorId, item: &Item) -> Result<Connector, ScimError> {
    let broken = || ScimError::internal(format!("broken item of connector {id}"));
    let credentials = item.get("credentials").and_then(|value| value.as_l().ok()).ok_or_else(broken)?;
    let to_credential = |value: &AttributeValue| {
        let map = value.as_m().ok()?;
        let string = |name: &str| map.get(name).and_then(|value| value.as_s().ok()).cloned();
        let kind = match string("username") {
            Some(username) => CredentialKind::Basic { username },
            None => CredentialKind::Bearer,
        };
        Some(Credential { kind, secret: string("secret")? })
    };
    Ok(Connector {
        id: id.clone(),
        name: item.get("name").and_then(|value| value.as_s().ok()).cloned().unwrap_or_default(),
        is_enabled: item.get("enabled").is_some_and(|value| value.as_bool() == Ok(&true)),
        cursor_key: item
            .get("cursorKey")
            .and_then(|value| value.as_b().ok())
            .ok_or_else(broken)?
            .as_ref()
            .to_vec(),
        credentials: credentials.iter().map(to_credential).collect::<Option<_>>().ok_or_else(broken)?,
    })
}
