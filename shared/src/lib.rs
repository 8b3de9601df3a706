//! The rules of SCIM (RFC 7643, RFC 7644): schemas, filters, PATCH, resources, messages, credentials and
//! errors.
//!
//! This crate is pure: it has no I/O, no clock and no randomness. The result of each function depends only on
//! its arguments.

pub mod attribute_path;
pub mod bulk;
pub mod credential;
pub mod entity_tags;
pub mod error;
pub mod filter;
pub mod interop_profile;
pub mod limits;
pub mod message;
pub mod patch;
pub mod projection;
pub mod resource;
pub mod schema;
pub mod sort;
