//! Shared by the measurements: the work of the core, and the directory that they measure.

pub mod cases;
pub mod directory;
