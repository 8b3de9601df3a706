//! The SCIM core and the store of Rollcall.
//!
//! Everything but [`store`] is free of I/O and clocks: a function of its arguments.

pub mod attribute_path;
pub mod error;
pub mod resource;
pub mod schema;
