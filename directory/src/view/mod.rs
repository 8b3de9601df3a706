//! The directory as the platform sees it: rules, mapping and effective groups.
//!
//! | file | topic |
//! | --- | --- |
//! | `entry` | one user: its attributes, and why it is hidden |
//! | `explain` | everything about one user: the way to each group and role, and hidden groups |
//! | `groups` | the groups and roles of users |
//! | `names` | which of several users with one username keeps it |
//! | `reader` | users, groups and roles by id, and whether a user is in a group |
//! | `shown` | what is made of a user that was just written, without further reads |
//! | `user_list`, `member_list` | pages of users, and of the members of a group |

mod entry;
mod explain;
mod groups;
mod member_list;
mod names;
mod reader;
mod shown;
mod user_list;

pub use entry::{Entry, EntryMaker, Hidden, MembershipNames, PUBLIC, is_built_in, owner};
pub use explain::{Explanation, HiddenGroup, Way};
pub use groups::{Groups, NamedGroup, for_each_user, for_first_users};
pub use member_list::MemberEntry;
pub use names::ShownNames;
pub use reader::{EntryPage, GroupEntry, MemberAnswer, UserEntry, View};
pub use user_list::UserFilter;
