//! `--dry-run` of `scimctl connector set` and `apply`: what other settings change in the directory that applications see.

use std::collections::BTreeMap;

use directory::connectors::Connector;
use directory::settings::Settings;
use directory::view::{Entry, EntryMaker, Groups, Hidden, MembershipNames, ShownNames, for_each_user};

use crate::context::Context;
use crate::duplicates::Duplicates;
use crate::failure::Failure;
use crate::open_directory::entry_maker;
use crate::output::{count, format_number, print};

/// How many examples of each difference are printed.
const EXAMPLES: usize = 3;

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
#[derive(Default)]
struct Differences(BTreeMap<Difference, (usize, Vec<String>)>);

/// Prints what the directory would show differently with other settings. Also prints which
/// values users would share.
pub async fn compare(context: &Context, connector: Connector, settings: &Settings) -> Result<(), Failure> {
    let id = connector.id.to_string();
    let present = connector.record.settings.clone();
    let (before, after) = (entry_maker(&id, &present)?, entry_maker(&id, settings)?);
    let directory = context.directory(connector);
    let groups = Groups::read(&directory).await?;
    let mut differences = Differences::default();
    let mut duplicates = Duplicates::default();
    differences.compare_groups(&groups, &before, &after);
    let old_names = ShownNames::read(&directory, &before).await?;
    let new_names = ShownNames::read(&directory, &after).await?;
    for_each_user(&directory, |user| {
        let new = groups.entry(user, &after, &new_names);
        // Also the users who would be hidden because they share a username.
        duplicates.add(user, &after.entry(&user.stored, MembershipNames::default(), None));
        differences.compare_entries(groups.entry(user, &before, &old_names), new);
        Ok::<_, Failure>(())
    })
    .await?;
    differences.print()?;
    duplicates.lines().iter().try_for_each(|line| print(line))
}

impl Differences {
    fn add(&mut self, difference: Difference, example: String) {
        let (number, examples) = self.0.entry(difference).or_default();
        *number += 1;
        if examples.len() < EXAMPLES {
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

    fn print(self) -> Result<(), Failure> {
        if self.0.is_empty() {
            return print("no user or group would change");
        }
        for (difference, (number, examples)) in self.0 {
            print(&format!("{}:", difference.describe(number)))?;
            let left = number - examples.len();
            for example in examples {
                print(&format!("  {example}"))?;
            }
            if left > 0 {
                print(&format!("  and {} more", format_number(left)))?;
            }
        }
        Ok(())
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
