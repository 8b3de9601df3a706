//! How the events of a feed reach its consumer, and the secrets that this needs.
//!
//! Secrets are items in the partition of the connector's private keys, which only the functions that deliver events can read.
//! Operators can write and delete them. So the feed's settings name the secrets by ids.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use shared::error::ScimError;
use uuid::Uuid;

use super::FeedId;
use crate::connectors::ConnectorId;
use crate::dynamodb::attributes::{get_text, text};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::Table;
use crate::dynamodb::transaction::Transaction;
use crate::secrets::random_bytes;

/// The most secrets of a webhook: the newest, and the one before it, until the consumer knows the newest.
const MAX_WEBHOOK_SECRETS: usize = 2;
/// The prefix of the secret of a webhook (Standard Webhooks, "Signature scheme").
const WEBHOOK_SECRET_PREFIX: &str = "whsec_";

/// How the events of a feed reach its consumer.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// The consumer polls them (RFC 8936).
    #[default]
    Poll,
    /// Each is sent to a URL as a token (RFC 8935).
    Push(Endpoint),
    /// Each is sent to a URL as JSON, as Standard Webhooks says.
    Webhook(Endpoint),
    /// Each is sent to an event bus of Amazon EventBridge.
    EventBus(Bus),
}

/// An event bus of Amazon EventBridge.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Bus {
    /// Its name or ARN.
    pub name: String,
    /// The claim `iss` of the events: `https://HOST/{connector}`.
    pub issuer: String,
}

/// Where events are sent.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Endpoint {
    /// The URL.
    pub url: String,
    /// The claim `iss` of the events: `https://HOST/{connector}`.
    pub issuer: String,
    /// The ids of the secrets, the newest last.
    pub(crate) secrets: Vec<String>,
}

/// The delivery of a feed that an operator creates.
#[derive(Clone, Debug)]
pub enum NewDelivery {
    /// The consumer polls.
    Poll,
    /// Tokens are sent to a URL.
    Push {
        /// The URL.
        url: String,
        /// The claim `iss` of the events.
        issuer: String,
        /// The bearer token (RFC 6750) that the consumer requires.
        token: Option<String>,
    },
    /// JSON is sent to a URL.
    Webhook {
        /// The URL.
        url: String,
        /// The claim `iss` of the events.
        issuer: String,
        /// The secret that signs: a text of [`generate_webhook_secret`].
        secret: String,
    },
    /// Events are sent to an event bus of Amazon EventBridge.
    EventBus(Bus),
}

/// A secret that is not stored yet.
pub(super) struct NewSecret {
    id: String,
    secret: String,
}

impl Delivery {
    /// The URL to which events are sent, if they are sent to one.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::Poll | Self::EventBus(_) => None,
            Self::Push(endpoint) | Self::Webhook(endpoint) => Some(endpoint),
        }
    }

    /// The claim `iss` of the events that are sent; `None` if the consumer polls.
    pub fn issuer(&self) -> Option<&str> {
        match self {
            Self::Poll => None,
            Self::Push(Endpoint { issuer, .. }) | Self::Webhook(Endpoint { issuer, .. }) => Some(issuer),
            Self::EventBus(bus) => Some(&bus.issuer),
        }
    }

    /// Whether the consumer polls the events.
    pub fn is_poll(&self) -> bool {
        matches!(self, Self::Poll)
    }

    /// The keys of the secrets of a feed with this delivery.
    pub(crate) fn secret_keys(&self, connector: &ConnectorId, feed: &FeedId) -> Vec<Key> {
        let secrets = self.endpoint().map(|endpoint| endpoint.secrets.as_slice()).unwrap_or_default();
        secrets.iter().map(|id| keys::delivery_secret(connector, feed, id)).collect()
    }

    /// Makes the delivery that an operator chose, and its secret.
    pub(super) fn of_new(new: &NewDelivery) -> (Self, Option<NewSecret>) {
        let (url, issuer, secret) = match new {
            NewDelivery::Poll => return (Self::Poll, None),
            NewDelivery::EventBus(bus) => return (Self::EventBus(bus.clone()), None),
            NewDelivery::Push { url, issuer, token } => (url, issuer, token.as_deref()),
            NewDelivery::Webhook { url, issuer, secret } => (url, issuer, Some(secret.as_str())),
        };
        let secret = secret.map(NewSecret::new);
        let secrets = secret.iter().map(|secret| secret.id.clone()).collect();
        let endpoint = Endpoint { url: url.clone(), issuer: issuer.clone(), secrets };
        match new {
            NewDelivery::Webhook { .. } => (Self::Webhook(endpoint), secret),
            _ => (Self::Push(endpoint), secret),
        }
    }

    /// Adds a secret. A token replaces the present one. The present secret of a webhook also signs until the next one is added.
    pub(super) fn with_secret(&self, new: &NewSecret) -> Self {
        let with = |endpoint: &Endpoint, most: usize| {
            let mut endpoint = endpoint.clone();
            endpoint.secrets.push(new.id.clone());
            let surplus = endpoint.secrets.len().saturating_sub(most);
            endpoint.secrets.drain(..surplus);
            endpoint
        };
        match self {
            Self::Poll | Self::EventBus(_) => self.clone(),
            Self::Push(endpoint) => Self::Push(with(endpoint, 1)),
            Self::Webhook(endpoint) => Self::Webhook(with(endpoint, MAX_WEBHOOK_SECRETS)),
        }
    }
}

impl NewSecret {
    pub(super) fn new(secret: &str) -> Self {
        Self { id: Uuid::new_v4().simple().to_string(), secret: secret.to_owned() }
    }

    /// Adds the item of the secret to a transaction.
    pub(super) fn put(
        &self,
        transaction: &mut Transaction,
        connector: &ConnectorId,
        feed: &FeedId,
    ) -> Result<(), ScimError> {
        let mut item = keys::delivery_secret(connector, feed, &self.id).attributes();
        item.insert("secret".to_owned(), text(self.secret.clone()));
        transaction.put(item)
    }
}

/// Generates the secret of a webhook: `whsec_` and 32 random bytes in base64.
///
/// # Errors
/// Fails when the operating system cannot provide randomness.
pub fn generate_webhook_secret() -> Result<String, ScimError> {
    Ok(format!("{WEBHOOK_SECRET_PREFIX}{}", STANDARD.encode(random_bytes::<32>()?)))
}

/// Decodes the secret of a webhook; `None` if the text is none.
pub fn decode_webhook_secret(secret: &str) -> Option<Vec<u8>> {
    STANDARD.decode(secret.strip_prefix(WEBHOOK_SECRET_PREFIX)?).ok()
}

impl Table {
    /// Reads the secrets of a feed's delivery, the newest last.
    ///
    /// # Errors
    /// Fails when DynamoDB does, when a secret is missing, or when the caller may not read secrets.
    pub async fn delivery_secrets(
        &self,
        connector: &ConnectorId,
        feed: &FeedId,
        delivery: &Delivery,
    ) -> Result<Vec<String>, ScimError> {
        let mut secrets = Vec::new();
        for key in delivery.secret_keys(connector, feed) {
            let item = self.get(&key).await?;
            let secret = item.as_ref().and_then(|item| get_text(item, "secret")).map(str::to_owned);
            secrets.push(secret.ok_or_else(|| ScimError::internal("the secret of a feed is missing"))?);
        }
        Ok(secrets)
    }
}
