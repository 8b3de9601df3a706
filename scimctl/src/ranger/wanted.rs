//! What Ranger has to have: the users, groups and memberships that the directory shows.

use std::collections::{BTreeMap, BTreeSet};

use directory::view::{Groups, ShownNames, for_each_user};

use super::difference::{Skipped, fold};
use crate::failure::Failure;
use crate::open_directory::OpenDirectory;
use crate::user;

/// A user that the directory shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedUser {
    /// The id.
    pub id: String,
    /// The username after the mapping.
    pub username: String,
    /// The `userName` that the client sent.
    pub user_name: String,
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
    /// The email address.
    pub email: Option<String>,
    /// The names of the groups that the user is in, directly or through other groups: Ranger's groups have no groups as members.
    pub groups: Vec<String>,
    /// The names of the user's roles.
    pub roles: Vec<String>,
}

/// A group that the directory shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedGroup {
    /// The id.
    pub id: String,
    /// The name after the mapping.
    pub name: String,
}

/// What the directory shows.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The users.
    pub users: Vec<WantedUser>,
    /// The groups.
    pub groups: Vec<WantedGroup>,
    /// The folded names that several groups have. These groups are not sent.
    pub repeated_groups: BTreeSet<String>,
    /// The groups that are not sent, and why.
    pub skipped: Vec<Skipped>,
}

impl Wanted {
    /// Reads the directory.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn read(open: &OpenDirectory) -> Result<Self, Failure> {
        let maker = open.entry_maker()?;
        let groups = Groups::read(&open.directory).await?;
        let names = ShownNames::read(&open.directory, &maker).await?;
        let mut users = Vec::new();
        for_each_user(&open.directory, |user| {
            let entry = groups.entry(user, &maker, &names);
            if entry.hidden.is_none() {
                users.push(WantedUser {
                    id: entry.id,
                    username: entry.username,
                    user_name: user::user_name(&user.stored.resource.document).to_owned(),
                    first_name: entry.first_name,
                    last_name: entry.last_name,
                    email: entry.email,
                    groups: entry.effective_groups,
                    roles: entry.roles,
                });
            }
            Ok::<_, Failure>(())
        })
        .await?;
        let shown = groups.groups().filter(|group| maker.hidden_group(group).is_none());
        let shown =
            shown.map(|group| WantedGroup { id: group.id.to_string(), name: maker.group_name(group) });
        Ok(Self::new(users, shown.collect()))
    }

    /// Leaves out the groups whose name another group has, because the members of one would get what the other may.
    pub fn new(users: Vec<WantedUser>, groups: Vec<WantedGroup>) -> Self {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for group in &groups {
            *counts.entry(fold(&group.name)).or_default() += 1;
        }
        let repeated_groups: BTreeSet<String> =
            counts.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect();
        let (repeated, groups): (Vec<WantedGroup>, Vec<WantedGroup>) =
            groups.into_iter().partition(|group| repeated_groups.contains(&fold(&group.name)));
        let skipped = repeated.into_iter().map(|group| Skipped {
            what: format!("group {}", group.name),
            why: format!("group {} is not the only one of the directory with this name", group.id),
        });
        Self { users, groups, repeated_groups, skipped: skipped.collect() }
    }
}
