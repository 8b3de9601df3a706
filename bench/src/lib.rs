//! What the measurements share: the cases of the core, and the users and groups.

pub mod callgrind;
pub mod cases;
pub mod directory;
