//! Compares the directory with the plan. It reads the directory as an application does: over the directory API.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use bench::directory::user_name;
use serde_json::Value;

use super::client::Provider;
use super::plan::{Plan, group_name};
use super::requests::Requests;

/// The most differences that are named.
const NAMED_DIFFERENCES: usize = 5;

/// The users and groups of a directory, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    users: BTreeMap<String, User>,
    /// The usernames of the members of each group, as the group's list of members shows them.
    groups: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct User {
    first_name: String,
    last_name: String,
    display_name: String,
    email: String,
    is_hidden: bool,
    /// The names of the groups, as the user's entry shows them.
    groups: BTreeSet<String>,
}

/// What is left of a leaver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leavers {
    /// They have not left.
    Present,
    /// They are deactivated: hidden, and in no group.
    Deactivated,
    /// They are deleted.
    Deleted,
}

impl Content {
    /// What the plan says.
    pub fn planned(plan: &Plan, leavers: Leavers) -> Self {
        let left: BTreeSet<usize> = match leavers {
            Leavers::Present => BTreeSet::new(),
            Leavers::Deactivated | Leavers::Deleted => plan.leavers.iter().copied().collect(),
        };
        let mut content = Self::default();
        for number in 0..plan.users {
            let is_hidden = left.contains(&number);
            if is_hidden && leavers == Leavers::Deleted {
                continue;
            }
            let (first_name, last_name) = (format!("Given{number:07}"), format!("Family{number:07}"));
            let user = User {
                display_name: format!("{first_name} {last_name}"),
                first_name,
                last_name,
                email: user_name(number),
                is_hidden,
                groups: BTreeSet::new(),
            };
            content.users.insert(user_name(number), user);
        }
        for (number, members) in plan.groups.iter().enumerate() {
            let members: BTreeSet<String> =
                members.iter().filter(|user| !left.contains(user)).map(|user| user_name(*user)).collect();
            for member in &members {
                content.users.entry(member.clone()).or_default().groups.insert(group_name(number));
            }
            content.groups.insert(group_name(number), members);
        }
        content
    }

    /// Reads all users, all groups and all members.
    ///
    /// # Panics
    /// When a name comes twice, or a response is not 200.
    pub async fn read(reader: &Requests) -> Self {
        let mut content = Self::default();
        for entry in entries(reader, "/users?hidden=true").await {
            let groups = entry["groups"].as_array().into_iter().flatten();
            let user = User {
                first_name: text(&entry["first_name"]),
                last_name: text(&entry["last_name"]),
                display_name: text(&entry["display_name"]),
                email: text(&entry["email"]),
                is_hidden: !entry["hidden"].is_null(),
                groups: groups.map(|group| text(&group["name"])).collect(),
            };
            let earlier = content.users.insert(text(&entry["username"]), user);
            assert_eq!(earlier, None, "two users have one name");
        }
        for group in entries(reader, "/groups?hidden=true").await {
            let path = format!("/groups/{}/members?hidden=true", text(&group["id"]));
            let members = entries(reader, &path).await;
            let count = members.len();
            let members: BTreeSet<String> = members.iter().map(|member| text(&member["name"])).collect();
            assert_eq!(members.len(), count, "a member comes twice");
            let earlier = content.groups.insert(text(&group["name"]), members);
            assert_eq!(earlier, None, "two groups have one name");
        }
        content
    }

    /// The number of users, groups and memberships.
    pub fn counts(&self) -> [usize; 3] {
        [self.users.len(), self.groups.len(), self.groups.values().map(BTreeSet::len).sum()]
    }

    /// Compares what was found with what was planned.
    ///
    /// # Errors
    /// The first differences.
    pub fn compare(&self, planned: &Self) -> Result<(), String> {
        let users = differences("user", &self.users, &planned.users);
        let groups = differences("group", &self.groups, &planned.groups);
        let all: Vec<String> = users.into_iter().chain(groups).collect();
        let named = all.get(..NAMED_DIFFERENCES).unwrap_or(&all).join("\n");
        match all.len() {
            0 => Ok(()),
            1 => Err(format!("1 difference:\n{named}")),
            count => Err(format!("{count} differences:\n{named}")),
        }
    }
}

/// Reads the directory and compares it with the plan. Returns the number of users, groups and memberships.
///
/// # Panics
/// When there is a difference.
pub async fn check(reader: &Requests, plan: &Plan, leavers: Leavers, provider: Provider) -> [usize; 3] {
    let found = Content::read(reader).await;
    if let Err(differences) = found.compare(&Content::planned(plan, leavers)) {
        panic!("the directory that {} filled differs from the plan: {differences}", provider.name());
    }
    found.counts()
}

fn differences<T: Debug + PartialEq>(
    kind: &str,
    found: &BTreeMap<String, T>,
    planned: &BTreeMap<String, T>,
) -> Vec<String> {
    let names: BTreeSet<&String> = found.keys().chain(planned.keys()).collect();
    let different = names.into_iter().filter(|name| found.get(*name) != planned.get(*name));
    let short = |value: Option<&T>| format!("{value:?}").chars().take(300).collect::<String>();
    different
        .map(|name| {
            format!("{kind} {name}: found {}, planned {}", short(found.get(name)), short(planned.get(name)))
        })
        .collect()
}

/// Reads all pages of a list.
async fn entries(reader: &Requests, target: &str) -> Vec<Value> {
    let (mut entries, mut cursor) = (Vec::new(), String::new());
    loop {
        let mut page = reader.get(&format!("{target}&limit=1000{cursor}")).await;
        let Value::Array(of_page) = page["entries"].take() else { panic!("{target} has no entries") };
        entries.extend(of_page);
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return entries,
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_found() {
        let plan = Plan::new(60, 3);
        let planned = Content::planned(&plan, Leavers::Present);
        assert_eq!(planned.compare(&planned), Ok(()));
        assert_eq!(planned.counts(), [60, 3, plan.memberships()]);
        let (user, group) = (user_name(plan.groups[0][0]), group_name(0));
        type Change = fn(&mut Content, &str, &str);
        let changes: [(&str, Change); 6] = [
            ("no member", |content, user, group| {
                content.groups.get_mut(group).unwrap().remove(user);
            }),
            ("another member", |content, _, group| {
                content.groups.get_mut(group).unwrap().insert("stranger".to_owned());
            }),
            ("no group", |content, _, group| {
                content.groups.remove(group);
            }),
            ("the user lacks the group", |content, user, group| {
                content.users.get_mut(user).unwrap().groups.remove(group);
            }),
            ("no user", |content, user, _| {
                content.users.remove(user);
            }),
            ("hidden", |content, user, _| content.users.get_mut(user).unwrap().is_hidden = true),
        ];
        for (what, change) in changes {
            let mut found = planned.clone();
            change(&mut found, &user, &group);
            assert!(found.compare(&planned).unwrap_err().starts_with("1 difference:\n"), "{what}");
        }
    }

    #[test]
    fn leavers_are_hidden_or_gone_and_in_no_group() {
        let plan = Plan::new(100, 4);
        let leaver = user_name(plan.leavers[0]);
        let left = plan.memberships() - plan.memberships_of_leavers();
        let deactivated = Content::planned(&plan, Leavers::Deactivated);
        assert_eq!(deactivated.counts(), [100, 4, left]);
        assert!(deactivated.users[&leaver].is_hidden && deactivated.users[&leaver].groups.is_empty());
        let deleted = Content::planned(&plan, Leavers::Deleted);
        assert_eq!(deleted.counts(), [100 - plan.leavers.len(), 4, left]);
        assert!(!deleted.users.contains_key(&leaver));
    }
}
