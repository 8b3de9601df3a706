//! The store: users, groups and memberships of a connector in one DynamoDB table.
//!
//! Every index is an item, written in the same transaction as what it indexes, and every read is strongly consistent,
//! so a filter sees the write before it. [`keys`] spells the keys, [`table`] talks to DynamoDB.
//!
//! A write is one transaction, or a chain of transactions each of which leaves the directory in order and which a
//! repetition of the same request completes.

pub mod connectors;
mod counts;
mod index;
mod item;
pub mod keys;
mod list;
mod memberships;
mod nesting;
mod plan;
mod resources;
mod search;
pub mod table;
mod transaction;

pub use item::Stored;
pub use list::{KindQuery, LONGEST_PAGE, Page, Position, Query, Start, too_large};

use jiff::Timestamp;

use crate::resource::ResourceId;
use crate::schema::Schemas;
use connectors::ConnectorId;
use table::Table;

/// The users and groups of one connector, for one request.
#[derive(Clone, Debug)]
pub struct Directory {
    table: Table,
    connector: ConnectorId,
    schemas: &'static Schemas,
    now: Timestamp,
}

impl Directory {
    /// The directory of this connector, as of `now`.
    pub fn new(table: Table, connector: ConnectorId, schemas: &'static Schemas, now: Timestamp) -> Self {
        Self { table, connector, schemas, now }
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
