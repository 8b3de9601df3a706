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
//! | `browse` | lists for operators: by name, by the beginning of a value, and hidden users |
//! | `person` | one user or group with its groups and roles, and because of which memberships |

mod browse;
mod entry;
mod explain;
mod groups;
mod member_list;
mod names;
mod person;
mod reader;
mod shown;
mod user_list;

pub use browse::{FoundUsers, HiddenUsers, ListedUser, NamePage};
pub use entry::{Entry, EntryMaker, Hidden, MembershipNames, PUBLIC, is_built_in, owner};
pub use explain::{Explanation, HiddenGroup, Way};
pub use groups::{Groups, NamedGroup, for_each_user, for_first_users};
pub use member_list::MemberEntry;
pub use names::ShownNames;
pub use person::{Belongs, GroupDetails, GroupWithPath, Person, RoleWithSource};
pub use reader::{EntryPage, GroupEntry, MemberAnswer, UserEntry, View};
pub use user_list::UserFilter;
