//! The DynamoDB table: keys, items, conditions, transactions and retries. The rest of the crate reads and writes the table
//! through this module alone, and only the opaque handle [`Table`](table::Table) leaves the crate.

pub mod attributes;
pub mod calls;
pub mod conditions;
mod errors;
pub mod expressions;
pub mod items;
pub mod keys;
pub mod table;
pub mod transaction;
