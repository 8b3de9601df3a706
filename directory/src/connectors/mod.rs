//! Connectors. Each is the connection of one identity provider: its endpoint URL, credentials, settings and directory.

mod clear;
pub mod credential_usage;
pub mod failed_sign_ins;
mod format;
mod id;
mod indexes;
mod leftovers;
mod operations;
pub mod password_limit;
mod reindex;
mod schemas;
mod stored;
mod sweep;

pub(crate) use format::format_of;
pub use format::{FORMAT, Migrated};
pub use id::ConnectorId;
pub(crate) use id::is_id;
pub use indexes::{IndexState, Indexes};
pub use leftovers::Leftover;
pub(crate) use operations::unknown_connector;
pub use operations::{Connectors, being_deleted, scheme};
pub use reindex::Reindexed;
use schemas::CachedSchemas;
pub use schemas::{ListedSchema, SchemaState};

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use shared::credential::Credential;
use shared::schema::CustomSchema;

use crate::feeds::FeedId;
use crate::settings::Settings;
use crate::signing::PublicKey;

/// How long a process may use a connector that it read. After this time every process knows a change.
pub const CONNECTOR_CACHE_TTL: Duration = Duration::from_secs(60);

/// The longest time that a request takes, which is the timeout of the functions in `template.yaml`.
pub const MAX_REQUEST_TIME: Duration = Duration::from_secs(29);

/// A connector as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Connector {
    /// The id.
    pub id: ConnectorId,
    /// The name, state and settings.
    pub record: Record,
    /// The credentials that its requests can present.
    pub credentials: Vec<Credential>,
    /// The number of writes to the connector.
    pub revision: u64,
    /// The format in which it is stored.
    pub format: u32,
    /// The custom schemas that the record lists, in the order of their URNs.
    pub custom_schemas: Vec<CustomSchema>,
    /// Its schemas, once they were needed.
    schemas: CachedSchemas,
}

/// The name, state and settings of a connector.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Record {
    /// A name for people.
    pub name: String,
    /// When it was created.
    pub created: Timestamp,
    /// When it was disabled; `None` while its requests are served.
    pub disabled: Option<Timestamp>,
    /// Whether its deletion has begun.
    #[serde(rename = "is_going")]
    pub is_deleting: bool,
    /// The key that authenticates its cursors.
    pub cursor_key: String,
    /// The settings.
    pub settings: Settings,
    /// The states of the indexes.
    #[serde(default = "Indexes::before_the_list")]
    pub indexes: Indexes,
    /// The feeds for which every change is also written to an outbox.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feeds: Vec<FeedId>,
    /// The keys that verify the tokens of the feeds, in the order of their times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signing_keys: Vec<PublicKey>,
    /// The keys that verify its access tokens, in the order of their times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_keys: Vec<PublicKey>,
    /// The custom schemas, by their URNs in lower case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schemas: BTreeMap<String, ListedSchema>,
}

/// The time of a change in a connector's record is taken before it is written, by the clock of the operator's machine. The
/// write can take some seconds, and another operator's clock can differ. This is added to a wait for both.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// How long to wait until every process knows what changed in a connector's record at `since`, and no request still uses
/// the record from before.
pub(crate) fn time_until_known(since: Timestamp, now: Timestamp) -> SignedDuration {
    let known = SignedDuration::try_from(CONNECTOR_CACHE_TTL + MAX_REQUEST_TIME + CLOCK_TOLERANCE);
    known.unwrap_or(SignedDuration::MAX) - now.duration_since(since)
}
