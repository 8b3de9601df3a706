//! The SCIM core and the store of Rollcall.
//!
//! Everything but [`store`] is free of I/O and clocks: a function of its arguments.

pub mod attribute_path;
pub mod auth;
pub mod bulk;
pub mod cursor;
pub mod entry;
pub mod error;
pub mod filter;
pub mod message;
pub mod patch;
pub mod projection;
pub mod resource;
pub mod schema;
pub mod settings;
pub mod sort;
pub mod store;
pub mod version;
