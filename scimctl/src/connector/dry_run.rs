//! What other settings change in the directory that applications see: `--dry-run` of `scimctl connector set` and `apply`, and the
//! preview of the console.

use std::collections::BTreeMap;

use directory::Directory;
use directory::connectors::Connector;
use directory::settings::Settings;
use directory::view::{Entry, EntryMaker, Groups, Hidden, MembershipNames, ShownNames, for_first_users};

use crate::context::Context;
use crate::duplicates::Duplicates;
use crate::failure::Failure;
use crate::open_directory::entry_maker;
use crate::output::{count, format_number, print};

/// How much of a directory is compared, and how many examples of each difference are kept.
#[derive(Clone, Copy)]
pub struct Extent {
    /// The most users that are read, and about the most groups of each kind.
    pub most: usize,
    /// The most examples of each difference.
    pub examples: usize,
}

/// What the commands compare.
const EVERYTHING: Extent = Extent { most: usize::MAX, examples: 3 };

/// A kind of difference. The order is that of the output.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    GroupDisappears,
    GroupAppears,
    GroupIsRenamed,
    UserDisappears,
    UsernameIsTaken,
    UserAppears,
    /// This field of users changes.
    Field(&'static str),
}

/// The differences: how many there are of each kind, and the first examples.
struct Differences {
    found: BTreeMap<Difference, (usize, Vec<String>)>,
    /// The most examples.
    examples: usize,
}

/// What the directory would show differently.
pub struct Comparison {
    /// The differences, one of each kind.
    pub changes: Vec<Found>,
    /// A line for each value that several users would share.
    pub shared_values: Vec<String>,
    /// Whether all users were compared.
    pub has_all_users: bool,
    /// Whether all groups were compared.
    pub has_all_groups: bool,
}

/// All differences of one kind.
pub struct Found {
    /// What would happen, with the number: `2 users would disappear`.
    pub sentence: String,
    /// How many differences there are.
    pub number: usize,
    /// The first of them.
    pub examples: Vec<String>,
}

/// Prints what the directory would show differently with other settings. Also prints which
/// values users would share.
pub async fn print_comparison(
    context: &Context,
    connector: Connector,
    settings: &Settings,
) -> Result<(), Failure> {
    let (id, present) = (connector.id.to_string(), connector.record.settings.clone());
    let directory = context.directory(connector);
    let comparison = compare(&directory, &id, (&present, settings), EVERYTHING).await?;
    if comparison.changes.is_empty() {
        print("no user or group would change")?;
    }
    for Found { sentence, number, examples } in comparison.changes {
        print(&format!("{sentence}:"))?;
        let left = number - examples.len();
        for example in examples {
            print(&format!("  {example}"))?;
        }
        if left > 0 {
            print(&format!("  and {} more", format_number(left)))?;
        }
    }
    comparison.shared_values.iter().try_for_each(|line| print(line))
}

/// Compares what the directory of a connector shows with two settings.
pub async fn compare(
    directory: &Directory,
    connector: &str,
    (before, after): (&Settings, &Settings),
    extent: Extent,
) -> Result<Comparison, Failure> {
    let (before, after) = (entry_maker(connector, before)?, entry_maker(connector, after)?);
    let (groups, has_all_groups) = Groups::read_first(directory, extent.most).await?;
    let mut differences = Differences { found: BTreeMap::new(), examples: extent.examples };
    let mut duplicates = Duplicates::default();
    differences.compare_groups(&groups, &before, &after);
    let old_names = ShownNames::read_first(directory, &before, extent.most).await?;
    let new_names = ShownNames::read_first(directory, &after, extent.most).await?;
    let has_all_users = for_first_users(directory, extent.most, |user| {
        let new = groups.entry(user, &after, &new_names);
        // Also the users who would be hidden because they share a username.
        duplicates.add(user, &after.entry(&user.stored, MembershipNames::default(), None));
        differences.compare_entries(groups.entry(user, &before, &old_names), new);
        Ok::<_, Failure>(())
    })
    .await?;
    let changes = differences.found.into_iter().map(|(difference, (number, examples))| Found {
        sentence: difference.describe(number),
        number,
        examples,
    });
    Ok(Comparison {
        changes: changes.collect(),
        shared_values: duplicates.lines(),
        has_all_users,
        has_all_groups,
    })
}

impl Differences {
    fn add(&mut self, difference: Difference, example: String) {
        let (number, examples) = self.found.entry(difference).or_default();
        *number += 1;
        if examples.len() < self.examples {
            examples.push(example);
        }
    }

    fn compare_groups(&mut self, groups: &Groups, before: &EntryMaker<'_>, after: &EntryMaker<'_>) {
        for group in groups.groups() {
            let (old, new) = (before.group_name(group), after.group_name(group));
            match (before.hidden_group(group).is_none(), after.hidden_group(group).is_none()) {
                (true, false) => self.add(Difference::GroupDisappears, old),
                (false, true) => self.add(Difference::GroupAppears, new),
                (true, true) if old != new => self.add(Difference::GroupIsRenamed, format!("{old} → {new}")),
                _ => {}
            }
        }
    }

    fn compare_entries(&mut self, old: Entry, new: Entry) {
        match (old.hidden.is_none(), new.hidden.is_none()) {
            (true, false) => {
                return match &new.hidden {
                    Some(reason @ Hidden::NameTakenBy(_)) => {
                        let example = format!("{} → {}: {reason}", old.username, new.username);
                        self.add(Difference::UsernameIsTaken, example);
                    }
                    _ => self.add(Difference::UserDisappears, old.username),
                };
            }
            (false, true) => return self.add(Difference::UserAppears, new.username),
            (false, false) => return,
            (true, true) => {}
        }
        let names = |names: &[String]| (!names.is_empty()).then(|| names.join(", "));
        for (field, before, after) in [
            ("username", Some(old.username.clone()), Some(new.username)),
            ("first name", old.first_name, new.first_name),
            ("last name", old.last_name, new.last_name),
            ("display name", Some(old.display_name), Some(new.display_name)),
            ("email", old.email, new.email),
            ("groups", names(&old.groups), names(&new.groups)),
            ("effective groups", names(&old.effective_groups), names(&new.effective_groups)),
        ] {
            if before != after {
                let text = |value: Option<String>| value.unwrap_or_else(|| "(none)".to_owned());
                let example = format!("{}: {} → {}", old.username, text(before), text(after));
                self.add(Difference::Field(field), example);
            }
        }
    }
}

impl Difference {
    fn describe(self, number: usize) -> String {
        let (groups, users) = (count(number, "group", "groups"), count(number, "user", "users"));
        match self {
            Self::GroupDisappears => format!("{groups} would disappear"),
            Self::GroupAppears => format!("{groups} would appear"),
            Self::GroupIsRenamed => format!("{groups} would get another name"),
            Self::UserDisappears => format!("{users} would disappear"),
            Self::UsernameIsTaken => {
                format!("{users} would disappear, because an earlier user has the same username")
            }
            Self::UserAppears => format!("{users} would appear"),
            Self::Field(field) if field.ends_with("groups") => format!("{users} would have other {field}"),
            Self::Field(field) => format!("{users} would have another {field}"),
        }
    }
}
