//! The store: users, groups and memberships of a connector in one DynamoDB table.
//!
//! Every index is an item, written in the same transaction as what it indexes, and every read is strongly consistent,
//! so a filter sees the write before it. [`keys`] spells the keys, [`table`] talks to DynamoDB.
//!
//! A write is one transaction, or a chain of transactions each of which leaves the directory in order and which a
//! repetition of the same request completes.

pub mod audit;
pub mod check;
mod clear;
pub mod connectors;
mod counts;
mod index;
mod item;
pub mod keys;
pub mod leftovers;
mod list;
mod memberships;
mod nesting;
mod plan;
mod resources;
mod search;
pub mod table;
pub mod transaction;
pub mod trust;

pub use audit::{Actor, By};
pub use counts::{Counted, Histogram};
pub use item::Stored;
pub use list::{KindQuery, LONGEST_PAGE, Page, Position, Query, Start, too_large};
pub use search::Walk;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use jiff::Timestamp;

use crate::resource::{Origin, ResourceId};
use crate::schema::Schemas;
use crate::settings::Settings;
use connectors::Connector;
use table::Table;

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
