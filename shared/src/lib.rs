//! What SCIM is (RFC 7643, RFC 7644): schemas, filters, PATCH, resources, messages, credentials and errors.
//!
//! This crate is pure. It does no I/O, reads no clock and draws no randomness: every function depends on its arguments alone.

pub mod attribute_path;
pub mod bulk;
pub mod credential;
pub mod entity_tags;
pub mod error;
pub mod filter;
pub mod message;
pub mod patch;
pub mod projection;
pub mod resource;
pub mod schema;
pub mod sort;
