//! Queries (RFC 7644 §3.4.2): from a filter, an order and a start to one page of resources.

pub mod cursor;
pub mod page;
pub mod plan;
pub mod search;
