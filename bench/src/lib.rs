//! What the measurements have in common: the work of the core by itself, and the directory that everything is measured on.

pub mod cases;
pub mod directory;
