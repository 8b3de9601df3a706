//! What answers each route.

pub mod bulk;
pub mod discovery;
pub mod groups;
pub mod search;
pub mod users;
