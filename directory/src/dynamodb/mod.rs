//! The DynamoDB table: keys, items, transactions and retries. Only the handle [`Table`](table::Table) leaves the crate.
//!
//! Every index is an item. It is written in the same transaction as the resource that it indexes, and every read is
//! strongly consistent, so a filter finds what was written just before.

pub mod item;
pub mod keys;
pub mod table;
pub mod transaction;
