//! Cedar: the directory as entities, and policies that decide about them.
//!
//! | file | topic |
//! | --- | --- |
//! | `entities` | the entities of a directory |
//! | `rollcall.cedarschema` | the types of these entities |
//! | `export` | `scimctl export cedar` |
//! | `file` | files with policies or entities |
//! | `policies` | the policies of several files, and where each is from |
//! | `question` | the options of `policies try` and `policies who`, and Cedar's decision |
//! | `decide` | `scimctl policies try` |
//! | `who` | `scimctl policies who` |
//! | `stale` | the users and groups in policies that are gone, for `scimctl policies check` |

mod decide;
mod entities;
mod export;
mod file;
mod policies;
mod question;
mod stale;
mod who;

pub use decide::{Try, decide};
pub use export::export;
pub use stale::{find_mentions, find_stale};
pub use who::{Who, who};
