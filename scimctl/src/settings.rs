//! The settings of a connector as text, and what a change of them would do.

use std::collections::BTreeSet;
use std::path::Path;

use directory::connectors::Connector;
use directory::settings::Settings;
use directory::view::{EntryMaker, PUBLIC};
use serde::Deserialize as _;
use shared::schema::Schemas;

use crate::context::{Context, Failure, fail, say};
use directory::view::{Groups, for_each_user};

/// Reads a file of settings.
pub fn read(file: &Path) -> Result<Settings, Failure> {
    let named = |error: &dyn std::fmt::Display| Failure(format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| named(&error))?;
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        // The line names the setting, which the error does not.
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count();
        let setting = text.lines().nth(line).unwrap_or_default().trim();
        Failure(format!("{}:{}: {setting}: {}", file.display(), line + 1, in_one_line(&error)))
    })
}

fn in_one_line(error: &toml::de::Error) -> String {
    error.message().lines().collect::<Vec<_>>().join("; ").replace("expected u32", "expected a whole number")
}

/// Settings as a file has them.
pub fn write(settings: &Settings) -> Result<String, Failure> {
    toml::to_string(settings).map_err(|error| Failure(error.to_string()))
}

/// Settings after `name=value`s, each of the type that the setting has.
pub fn changed(settings: &Settings, changes: &[String]) -> Result<Settings, Failure> {
    let mut all = toml::Table::try_from(settings).map_err(|error| Failure(error.to_string()))?;
    for change in changes {
        let Some((name, value)) = change.split_once('=') else {
            return fail(format!("{change:?} is not SETTING=VALUE"));
        };
        let place = match name.split_once('.') {
            Some((table, name)) => all.get_mut(table).and_then(|table| table.get_mut(name)),
            None => all.get_mut(name),
        };
        match place {
            None | Some(toml::Value::Table(_)) => {
                return fail(format!("there is no setting {name}; `scimctl connector export` names them"));
            }
            Some(place) => *place = like(place, name, value)?,
        }
        // After each, so that it is known whose the error is.
        Settings::deserialize(all.clone()).map_err(|error| {
            let message = in_one_line(&error);
            wrong(name, value, message.split_once("expected ").map_or(message.as_str(), |(_, what)| what))
        })?;
    }
    all.try_into().map_err(|error: toml::de::Error| Failure(in_one_line(&error)))
}

fn wrong(name: &str, value: &str, expected: &str) -> Failure {
    Failure(format!("{name} is {value:?}, and must be {expected}"))
}

fn like(present: &toml::Value, name: &str, value: &str) -> Result<toml::Value, Failure> {
    let wrong = |expected: &str| wrong(name, value, expected);
    Ok(match present {
        toml::Value::Boolean(_) => toml::Value::Boolean(value.parse().map_err(|_| wrong("true or false"))?),
        toml::Value::Integer(_) => {
            let number: u32 = value.parse().map_err(|_| wrong("a whole number"))?;
            toml::Value::Integer(number.into())
        }
        toml::Value::Array(_) => {
            let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
            toml::Value::Array(parts.map(|part| toml::Value::String(part.to_owned())).collect())
        }
        _ => toml::Value::String(value.to_owned()),
    })
}

/// Gives a connector other settings; or prints what they would do.
pub async fn put(
    context: &Context,
    connector: Connector,
    settings: Settings,
    is_dry_run: bool,
) -> Result<(), Failure> {
    let settings = settings.check(Schemas::built_in())?;
    if is_dry_run {
        return compare(context, connector, &settings).await;
    }
    if settings == connector.record.settings {
        return say("nothing changes");
    }
    if !context.connectors().replace_settings(&connector, settings).await? {
        return fail("somebody else changed the connector meanwhile; nothing is written");
    }
    say(&format!("{} has these settings; every function knows within a minute", connector.id))
}

/// Prints who would appear, with a plus, and who would disappear, with a minus.
async fn compare(context: &Context, connector: Connector, settings: &Settings) -> Result<(), Failure> {
    let id = connector.id.to_string();
    let present = connector.record.settings.clone();
    let before = EntryMaker::new(&id, &present, Schemas::built_in())?;
    let after = EntryMaker::new(&id, settings, Schemas::built_in())?;
    let directory = context.directory(connector);
    let groups = Groups::read(&directory).await?;
    let mut changes = 0;
    let mut say_change = |what: &str, before: Option<String>, after: Option<String>| {
        if before == after {
            return Ok(());
        }
        changes += 1;
        let (before, after) =
            (before.map(|name| format!("- {what} {name}\n")), after.map(|name| format!("+ {what} {name}\n")));
        say(&format!("{}{}", before.unwrap_or_default(), after.unwrap_or_default()))
    };
    let shown = |names: BTreeSet<String>, maker: &EntryMaker<'_>| -> BTreeSet<String> {
        names.into_iter().filter(|name| maker.hidden_group(name).is_none()).collect()
    };
    let all = |maker: &EntryMaker<'_>| groups.names(maker).into_iter().chain([PUBLIC.to_owned()]).collect();
    let names = |maker: &EntryMaker<'_>| shown(all(maker), maker);
    let (old, new) = (names(&before), names(&after));
    for name in old.difference(&new) {
        say_change("group", Some(name.clone()), None)?;
    }
    for name in new.difference(&old) {
        say_change("group", None, Some(name.clone()))?;
    }
    for_each_user(&directory, |user| {
        let of = |maker: &EntryMaker<'_>| {
            let entry = maker.entry(&user.stored.resource, user.stored.is_retained, &Default::default());
            entry.hidden.is_none().then_some(entry.username)
        };
        say_change("user", of(&before), of(&after))
    })
    .await?;
    if changes == 0 { say("nobody appears and nobody disappears") } else { Ok(()) }
}
