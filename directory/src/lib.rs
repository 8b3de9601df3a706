//! Users, groups, memberships, connectors and their audit trail, in one DynamoDB table.
//!
//! Callers see operations on a [`Directory`] (one connector's users and groups) and on a [`Table`] (all connectors). They
//! see no key, no item and no transaction.

pub mod audit;
mod check;
pub mod connectors;
mod counts;
mod dynamodb;
pub mod feeds;
mod group_graph;
mod health;
mod hex;
mod index;
mod intents;
mod member_changes;
mod memberships;
mod nesting;
pub mod oauth;
pub mod query;
mod resources;
pub mod secrets;
pub mod settings;
pub mod signing;
pub mod trail;
mod usage;
pub mod view;

pub use audit::{Actor, By};
pub use check::Finding;
pub use counts::{Counted, Histogram};
pub use dynamodb::calls::{Answer, DynamoDb};
pub use dynamodb::items::Stored;
pub use dynamodb::table::Table;
pub use health::{ConnectorHealth, Measured, Waiting};
pub use intents::Swept;
pub use memberships::Memberships;
pub use query::{Found, KindQuery, Page, Position, Queries, Query, Start, Walk};
pub use resources::{CreatedGroup, Merge};
pub use usage::Usage;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::Mutex;

use crate::dynamodb::table::Outcome;
use crate::dynamodb::transaction::Transaction;
use crate::feeds::{Feed, FeedId, KnownFeeds, MAX_FEEDS, Outbox};
use crate::settings::Settings;
use crate::signing::Signer;
use connectors::{Connector, IndexState};
use shared::error::ScimError;
use shared::resource::{Origin, ResourceId, ResourceKind};
use shared::schema::{Index, Schemas};

/// The users and groups of one connector, for one request.
#[derive(Clone, Debug)]
pub struct Directory {
    table: Table,
    connector: Arc<Connector>,
    schemas: Arc<Schemas>,
    now: Timestamp,
    started: Instant,
    actor: Actor,
    /// The number of audit records of this request, which keeps them in order.
    records: Arc<AtomicU32>,
    known_feeds: Arc<Mutex<KnownFeeds>>,
}

impl Directory {
    /// Makes the directory of this connector as of `now`, whose changes are recorded as those of this actor. `schemas` are
    /// those of the service provider. The connector was read at `now` or later, or for a request at most a minute before.
    pub fn new(
        table: Table,
        connector: Arc<Connector>,
        schemas: &Arc<Schemas>,
        now: Timestamp,
        actor: Actor,
    ) -> Self {
        let schemas = connector.schemas(schemas);
        let known_feeds = Arc::new(Mutex::new(KnownFeeds::of(&connector, now)));
        let (started, records) = (Instant::now(), Arc::default());
        Self { table, connector, schemas, now, started, actor, records, known_feeds }
    }

    /// The present time. `now` is the time at which the request began.
    fn time(&self) -> Timestamp {
        self.now + self.started.elapsed()
    }

    /// Begins a transaction, which keeps room for the changes that it writes to the outboxes of the feeds.
    pub(crate) fn transaction(&self) -> Transaction {
        let feeds = match self.actor.by {
            By::Client(_) => self.connector.record.feeds.len(),
            // A feed can be created while a command runs.
            By::Operator(_) | By::Reader => MAX_FEEDS,
        };
        self.table.transaction().reserve(feeds)
    }

    /// Applies a transaction as a whole or not at all, with what the consumers of the feeds have to learn of it.
    pub(crate) async fn commit(&self, transaction: &Transaction) -> Result<Outcome, ScimError> {
        if let By::Client(_) = self.actor.by {
            // A request ends by its deadline, before a feed that it does not know is marked.
            return self.commit_for(&self.connector.record.feeds, &self.table, transaction).await;
        }
        let known = self.known_feeds().await?;
        self.commit_for(&known.feeds, &known.limit(&self.table), transaction).await
    }

    /// Applies a transaction with its changes for the consumers of these feeds.
    async fn commit_for(
        &self,
        feeds: &[FeedId],
        table: &Table,
        transaction: &Transaction,
    ) -> Result<Outcome, ScimError> {
        match feeds::with_outbox(&self.connector, feeds, transaction, self.time())? {
            Some(with_outbox) => table.commit(&with_outbox).await,
            None => table.commit(transaction).await,
        }
    }

    /// Reads a feed; `None` when the connector has none with this id.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn feed(&self, id: &FeedId) -> Result<Option<Feed>, ScimError> {
        self.table.feed(&self.connector.id, id).await
    }

    /// The outbox of a feed, which may not exist.
    pub fn outbox(&self, feed: &FeedId) -> Outbox {
        Outbox::new(self.clone(), feed.clone())
    }

    /// Stores the error of a feed's consumer, for operators.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn record_feed_error(&self, feed: &FeedId, error: &str) -> Result<(), ScimError> {
        self.table.record_feed_error(&self.connector.id, feed, error, self.now).await
    }

    /// Stores that the consumer of a feed that was just read has acknowledged events, for operators. Does so at most once a minute.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn record_acknowledgement(&self, feed: &Feed) -> Result<(), ScimError> {
        self.table.record_acknowledgement(&self.connector.id, feed, self.now).await
    }

    /// Reads the key that signs for the connector; `None` when it has none.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn signer(&self) -> Result<Option<Signer>, ScimError> {
        self.table.signer(&self.connector, self.now).await
    }

    fn settings(&self) -> &Settings {
        &self.connector.record.settings
    }

    /// Who owns the resources that this actor writes.
    fn origin(&self) -> Origin {
        match self.actor.by {
            By::Client(_) => Origin::Scim,
            By::Operator(_) | By::Reader => Origin::Local,
        }
    }

    /// Lists the indexes that filters can use: every resource has its entries in them.
    fn ready_indexes(&self, kind: ResourceKind) -> impl Iterator<Item = &Index> {
        let schema = self.schemas.of(kind);
        let state = |index: &Index| self.connector.record.indexes.state(schema, &index.name);
        schema.indexes.iter().filter(move |index| state(index) == Some(IndexState::Ready))
    }

    /// The schemas of its users and groups.
    pub fn schemas(&self) -> &Schemas {
        &self.schemas
    }
}

/// A user (or a group, where it is a member) and the ids of the groups of which it is a direct member.
#[derive(Clone, Debug)]
pub struct StoredUser {
    /// The resource.
    pub stored: Stored,
    /// The groups.
    pub groups: Vec<ResourceId>,
    /// Whether the groups were read.
    pub has_groups: bool,
}

impl StoredUser {
    /// The group that the member joined last, if the membership was not read. It was ended since then, or the transaction that
    /// began it was not visible as a whole: a query is not isolated from transactions.
    fn unseen_group(&self) -> Option<ResourceId> {
        self.stored.last_group.filter(|group| !self.groups.contains(group))
    }
}
