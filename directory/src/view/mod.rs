//! The directory as the platform sees it: rules, mapping and effective groups.

mod entry;
mod groups;

pub use entry::{Entry, EntryMaker, Hidden, MembershipNames, PUBLIC, is_built_in, owner};
pub use groups::{Groups, for_each_user};
