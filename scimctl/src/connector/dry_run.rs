//! `--dry-run` of `scimctl connector set` and `apply`.

use directory::connectors::Connector;
use directory::settings::Settings;
use directory::view::{Entry, EntryMaker, Groups, MembershipNames, for_each_user};

use crate::context::Context;
use crate::duplicates::Duplicates;
use crate::failure::Failure;
use crate::open_directory::entry_maker;
use crate::output::print;

/// Prints what the directory would show (`+`) and hide (`-`) with other settings, and which values users would share (`!`). A
/// renamed user is printed with both names.
pub async fn compare(context: &Context, connector: Connector, settings: &Settings) -> Result<(), Failure> {
    let id = connector.id.to_string();
    let present = connector.record.settings.clone();
    let (before, after) = (entry_maker(&id, &present)?, entry_maker(&id, settings)?);
    let directory = context.directory(connector);
    let groups = Groups::read(&directory).await?;
    let mut changes = 0;
    let mut print_change = |noun: &str, before: Option<&str>, after: Option<&str>| {
        if before == after {
            return Ok(());
        }
        changes += 1;
        let line = |sign: char, name: &str| format!("{sign} {noun} {name}\n");
        let before = before.map(|name| line('-', name)).unwrap_or_default();
        let after = after.map(|name| line('+', name)).unwrap_or_default();
        print(&format!("{before}{after}"))
    };
    let (old, new) = (groups.shown_names(&before), groups.shown_names(&after));
    for name in old.difference(&new) {
        print_change("group", Some(name), None)?;
    }
    for name in new.difference(&old) {
        print_change("group", None, Some(name))?;
    }
    let mut duplicates = Duplicates::default();
    for_each_user(&directory, |user| {
        let entry = |maker: &EntryMaker<'_>| maker.entry(&user.stored, MembershipNames::default());
        let (old, new) = (entry(&before), entry(&after));
        duplicates.add(user, &new);
        let shown_name = |entry: Entry| entry.hidden.is_none().then_some(entry.username);
        print_change("user", shown_name(old).as_deref(), shown_name(new).as_deref())
    })
    .await?;
    if changes == 0 {
        print("no user or group would appear or disappear")?;
    }
    duplicates.lines().iter().try_for_each(|line| print(&format!("! {line}")))
}
