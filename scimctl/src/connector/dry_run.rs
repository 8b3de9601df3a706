//! `--dry-run` of `scimctl connector set` and `apply`.

use std::collections::BTreeSet;

use directory::connectors::Connector;
use directory::settings::Settings;
use directory::view::{EntryMaker, Groups, MembershipNames, PUBLIC, for_each_user};

use crate::context::Context;
use crate::failure::Failure;
use crate::open_directory::entry_maker;
use crate::output::print;

/// Prints what the directory would show (`+`) and hide (`-`) with other settings. A renamed user is printed with both names.
pub async fn compare(context: &Context, connector: Connector, settings: &Settings) -> Result<(), Failure> {
    let id = connector.id.to_string();
    let present = connector.record.settings.clone();
    let (before, after) = (entry_maker(&id, &present)?, entry_maker(&id, settings)?);
    let directory = context.directory(connector);
    let groups = Groups::read(&directory).await?;
    let mut changes = 0;
    let mut print_change = |noun: &str, before: Option<&str>, after: Option<&str>| -> Result<(), Failure> {
        if before == after {
            return Ok(());
        }
        changes += 1;
        for (sign, name) in [('-', before), ('+', after)] {
            if let Some(name) = name {
                print(&format!("{sign} {noun} {name}"))?;
            }
        }
        Ok(())
    };
    let (old, new) = (shown_groups(&groups, &before), shown_groups(&groups, &after));
    for name in old.difference(&new) {
        print_change("group", Some(name), None)?;
    }
    for name in new.difference(&old) {
        print_change("group", None, Some(name))?;
    }
    for_each_user(&directory, |user| {
        let shown_name = |maker: &EntryMaker<'_>| {
            let (resource, is_deleted) = (&user.stored.resource, user.stored.is_retained);
            let entry = maker.entry(resource, is_deleted, &MembershipNames::default());
            entry.hidden.is_none().then_some(entry.username)
        };
        print_change("user", shown_name(&before).as_deref(), shown_name(&after).as_deref())
    })
    .await?;
    if changes == 0 { print("no user or group would appear or disappear") } else { Ok(()) }
}

fn shown_groups(groups: &Groups, maker: &EntryMaker<'_>) -> BTreeSet<String> {
    let names = groups.names(maker).into_iter().chain([PUBLIC.to_owned()]);
    names.filter(|name| maker.hidden_group(name).is_none()).collect()
}
