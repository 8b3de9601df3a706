//! Cedar: the directory as entities.
//!
//! | file | topic |
//! | --- | --- |
//! | `entities` | the entities of a directory |
//! | `rollcall.cedarschema` | the types of these entities |
//! | `export` | `scimctl export cedar` |

mod entities;
mod export;

pub use export::export;
