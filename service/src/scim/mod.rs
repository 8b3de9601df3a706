//! The handlers of the SCIM API.

pub mod bulk;
pub mod discovery;
pub mod groups;
pub mod search;
pub mod users;
