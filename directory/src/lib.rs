//! Users, groups, memberships, connectors and their audit trail, in one DynamoDB table.
//!
//! Callers see operations on a [`Directory`] (one connector's users and groups) and on a [`Table`] (all connectors). They
//! see no key, no item and no transaction.

pub mod audit;
mod check;
pub mod connectors;
mod counts;
mod dynamodb;
mod group_graph;
mod index;
mod member_changes;
mod memberships;
mod nesting;
pub mod query;
mod resources;
pub mod secrets;
pub mod settings;
pub mod view;

pub use audit::{Actor, By};
pub use check::Finding;
pub use counts::{Counted, Histogram};
pub use dynamodb::items::Stored;
pub use dynamodb::table::Table;
pub use memberships::Memberships;
pub use query::{Found, KindQuery, Page, Position, Queries, Query, Start, Walk};

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use jiff::Timestamp;

use crate::settings::Settings;
use connectors::Connector;
use shared::resource::{Origin, ResourceId};
use shared::schema::Schemas;

/// The users and groups of one connector, for one request.
#[derive(Clone, Debug)]
pub struct Directory {
    table: Table,
    connector: Arc<Connector>,
    schemas: &'static Schemas,
    now: Timestamp,
    actor: Actor,
    /// Records that this request has left, so that they stay in order.
    records: Arc<AtomicU32>,
}

impl Directory {
    /// The directory of this connector, as of `now`, in the hands of whoever asks.
    pub fn new(
        table: Table,
        connector: Arc<Connector>,
        schemas: &'static Schemas,
        now: Timestamp,
        actor: Actor,
    ) -> Self {
        Self { table, connector, schemas, now, actor, records: Arc::default() }
    }

    fn settings(&self) -> &Settings {
        &self.connector.record.settings
    }

    /// Who owns what is written here.
    fn origin(&self) -> Origin {
        match self.actor.by {
            By::Client(_) => Origin::Scim,
            By::Operator(_) => Origin::Local,
        }
    }

    /// The schemas of its users and groups.
    pub fn schemas(&self) -> &'static Schemas {
        self.schemas
    }
}

/// A user (or a group, where it is a member) and the ids of the groups that it is in itself.
#[derive(Clone, Debug)]
pub struct StoredUser {
    /// The resource.
    pub stored: Stored,
    /// The groups.
    pub groups: Vec<ResourceId>,
    /// Whether the groups were read.
    pub has_groups: bool,
}
