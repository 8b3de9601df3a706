//! Which users and groups the directory shows, and why it does not show others.

use std::collections::BTreeMap;

use directory::audit::AuditRecord;
use directory::view::{EntryMaker, Groups, Hidden, MembershipNames, ShownNames, for_each_user, is_built_in};
use jiff::Timestamp;
use shared::filter::fold_name;
use shared::resource::ResourceKind;

use super::report::{Gone, Why};
use crate::context::Context;
use crate::failure::Failure;
use crate::open_directory::OpenDirectory;

/// The users and groups of a directory, by the names that the platform sees and by their ids. Names are compared as the directory
/// compares them: after the mapping, and without regard to upper and lower case.
#[derive(Debug, Default)]
pub struct Principals {
    users: Known,
    groups: Known,
}

/// The resources of one kind. A value is `None` for a resource that the directory shows.
#[derive(Debug, Default)]
struct Known {
    by_name: BTreeMap<String, Option<Gone>>,
    by_id: BTreeMap<String, Option<Gone>>,
    /// The latest name of each id.
    names: BTreeMap<String, String>,
}

impl Principals {
    /// Reads the users and groups of a directory, and from its audit trail when those that are gone were deactivated, renamed or
    /// deleted.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn read(context: &Context, open: &OpenDirectory) -> Result<Self, Failure> {
        let connector = context.connector(&open.connector).await?;
        let table = context.table_without_deadline();
        let trail = table.audit_trail(&connector.id);
        let departures = trail.departures(connector.record.created, context.now).await?;
        let deactivated = newest(&departures, AuditRecord::is_deactivation);
        let deleted = newest(&departures, AuditRecord::is_deletion);

        let mut principals = Self::default();
        let maker = open.entry_maker()?;
        let names = ShownNames::read(&open.directory, &maker).await?;
        for_each_user(&open.directory, |user| {
            let taken_by = names.taken_by(&user.stored, &maker);
            let entry = maker.entry(&user.stored, MembershipNames::default(), taken_by);
            let gone = entry.hidden.map(|hidden| {
                let (why, times) = match hidden {
                    Hidden::Deactivated => (Why::Deactivated, Some(&deactivated)),
                    Hidden::Deleted => (Why::Deleted, Some(&deleted)),
                    other => (Why::Hidden(other.to_string()), None),
                };
                let since = times.and_then(|times| times.get(entry.id.as_str()).copied());
                Gone { id: Some(entry.id.clone()), why, since }
            });
            principals.users.add(&entry.username, &entry.id, gone);
            Ok::<_, Failure>(())
        })
        .await?;
        for group in Groups::read(&open.directory).await?.groups() {
            let id = group.id.to_string();
            let gone = maker.hidden_group(group).map(|hidden| Gone {
                id: Some(id.clone()),
                why: Why::Hidden(hidden.to_string()),
                since: None,
            });
            principals.groups.add(&maker.group_name(group), &id, gone);
        }
        principals.add_departures(&departures, &maker);
        Ok(principals)
    }

    /// Adds the names and ids that no resource has any more. `departures` are in the order of the newest first.
    fn add_departures(&mut self, departures: &[AuditRecord], maker: &EntryMaker<'_>) {
        for record in departures {
            let Some(name) = record.name_before() else { continue };
            let (known, name) = if record.kind == ResourceKind::User.name() {
                (&mut self.users, maker.username_of(name))
            } else if record.kind == ResourceKind::Role.name() {
                continue;
            } else {
                (&mut self.groups, Some(name.to_owned()))
            };
            let why = if record.is_deletion() { Why::Deleted } else { Why::Renamed };
            let since = record.time.parse::<Timestamp>().ok();
            let gone = Gone { id: Some(record.id.clone()), why, since };
            if let Some(name) = &name {
                known
                    .by_name
                    .entry(fold_name(name, false).into_owned())
                    .or_insert_with(|| Some(gone.clone()));
            }
            if record.is_deletion() {
                if let Some(name) = name {
                    known.names.entry(record.id.clone()).or_insert(name);
                }
                known.by_id.entry(record.id.clone()).or_insert(Some(gone));
            }
        }
    }

    /// Returns why the directory does not show a user with this username; `None` if it shows one.
    pub fn missing_user(&self, name: &str) -> Option<Gone> {
        found(&self.users.by_name, &fold_name(name, false))
    }

    /// Returns why the directory does not show the user with this id; `None` if it shows it.
    pub fn missing_user_id(&self, id: &str) -> Option<Gone> {
        found(&self.users.by_id, id)
    }

    /// Returns the username of the user with this id, which may be deleted; `None` if the directory does not know it.
    pub fn user_name(&self, id: &str) -> Option<&str> {
        self.users.names.get(id).map(String::as_str)
    }

    /// Returns the name of the group with this id, which may be deleted; `None` if the directory does not know it.
    pub fn group_name(&self, id: &str) -> Option<&str> {
        self.groups.names.get(id).map(String::as_str)
    }

    /// Returns why the directory does not show a group with this name; `None` if it shows one, or if it is the built-in group.
    pub fn missing_group(&self, name: &str) -> Option<Gone> {
        if is_built_in(name) { None } else { found(&self.groups.by_name, &fold_name(name, false)) }
    }

    /// Returns why the directory does not show the group with this id; `None` if it shows it.
    pub fn missing_group_id(&self, id: &str) -> Option<Gone> {
        found(&self.groups.by_id, id)
    }
}

impl Known {
    /// Adds a resource. If several have one name, the one that is shown counts.
    fn add(&mut self, name: &str, id: &str, gone: Option<Gone>) {
        self.by_id.insert(id.to_owned(), gone.clone());
        self.names.insert(id.to_owned(), name.to_owned());
        let is_shown = gone.is_none();
        let present = self.by_name.entry(fold_name(name, false).into_owned()).or_insert(gone);
        if is_shown {
            *present = None;
        }
    }
}

fn found(known: &BTreeMap<String, Option<Gone>>, key: &str) -> Option<Gone> {
    let unknown = || Some(Gone { id: None, why: Why::NotInDirectory, since: None });
    known.get(key).cloned().unwrap_or_else(unknown)
}

/// The time of the newest record of each resource that `is_wanted`. The records are in the order of the newest first.
fn newest(records: &[AuditRecord], is_wanted: fn(&AuditRecord) -> bool) -> BTreeMap<&str, Timestamp> {
    let mut times = BTreeMap::new();
    for record in records.iter().filter(|record| is_wanted(record)) {
        if let Ok(time) = record.time.parse() {
            times.entry(record.id.as_str()).or_insert(time);
        }
    }
    times
}
