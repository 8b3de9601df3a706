//! `scimctl connector set`, `apply` and `export`: the settings of a connector as text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io::Write as _;
use std::path::Path;

use directory::connectors::Connector;
use directory::settings::Settings;
use runtime::private_file;
use serde::Deserialize as _;
use shared::schema::Schemas;

use super::dry_run;
use crate::context::Context;
use crate::failure::{Failure, fail};
use crate::output::{print, print_exactly, print_note};

/// The settings that a connector is to have.
pub struct NewSettings {
    /// The settings.
    pub settings: Settings,
    /// The names of the settings that a file lacks, so that they get their defaults.
    pub missing: BTreeSet<String>,
}

/// Reads a settings file.
pub fn read_file(file: &Path) -> Result<NewSettings, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| in_file(file, error))?;
    let settings = parse(&text, file)?;
    let given = flatten(&toml::from_str(&text).unwrap_or_default());
    let missing =
        flatten(&to_table(&settings)?).into_keys().filter(|name| !given.contains_key(name)).collect();
    Ok(NewSettings { settings, missing })
}

fn parse(text: &str, file: &Path) -> Result<Settings, Failure> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        // The error does not name the setting, so the message quotes the line.
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count();
        let setting = text.lines().nth(line).unwrap_or_default().trim();
        Failure(format!("{}:{}: {setting}: {}", file.display(), line + 1, to_one_line(&error)))
    })
}

fn to_one_line(error: &toml::de::Error) -> String {
    error.message().lines().collect::<Vec<_>>().join("; ").replace("expected u32", "expected a whole number")
}

/// Writes a settings file, or writes the settings to standard output. `apply` reads them, so they are written exactly.
pub fn write(settings: &Settings, file: Option<&Path>) -> Result<(), Failure> {
    let text = to_toml(settings)?;
    let Some(file) = file else { return print_exactly(&text) };
    let written = private_file::create(file).and_then(|mut opened| opened.write_all(text.as_bytes()));
    written.map_err(|error| in_file(file, error))
}

fn in_file(file: &Path, error: impl Display) -> Failure {
    Failure(format!("{}: {error}", file.display()))
}

/// Writes settings in the format of a settings file.
pub fn to_toml(settings: &Settings) -> Result<String, Failure> {
    toml::to_string(settings).map_err(|error| Failure(error.to_string()))
}

/// Returns the settings with these changes, each of which is `SETTING=VALUE`.
pub fn with_changes(settings: &Settings, changes: &[String]) -> Result<NewSettings, Failure> {
    let mut all = to_table(settings)?;
    for change in changes {
        let Some((name, value)) = change.split_once('=') else {
            return fail(format!("{change:?} is not SETTING=VALUE"));
        };
        let setting = match name.split_once('.') {
            Some((table, name)) => all.get_mut(table).and_then(|table| table.get_mut(name)),
            None => all.get_mut(name),
        };
        match setting {
            None | Some(toml::Value::Table(_)) => {
                return fail(format!(
                    "there is no setting {name}; `scimctl connector export` prints all settings"
                ));
            }
            Some(setting) => *setting = parse_value(setting, name, value)?,
        }
        // Checked after each change, so that the message can name the setting that is wrong.
        Settings::deserialize(all.clone()).map_err(|error| {
            let message = to_one_line(&error);
            let expected = message.split_once("expected ").map_or(message.as_str(), |(_, expected)| expected);
            wrong_value(name, value, expected)
        })?;
    }
    let settings = all.try_into().map_err(|error: toml::de::Error| Failure(to_one_line(&error)))?;
    Ok(NewSettings { settings, missing: BTreeSet::new() })
}

fn wrong_value(name: &str, value: &str, expected: &str) -> Failure {
    Failure(format!("{name} is {value:?}, and must be {expected}"))
}

/// Parses a value as the type that the setting has.
fn parse_value(present: &toml::Value, name: &str, value: &str) -> Result<toml::Value, Failure> {
    let wrong = |expected: &str| wrong_value(name, value, expected);
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

/// Replaces the settings of a connector, or only prints what would change.
pub async fn replace(
    context: &Context,
    connector: Connector,
    new: NewSettings,
    is_dry_run: bool,
) -> Result<(), Failure> {
    let NewSettings { settings, missing } = new;
    let settings = settings.check(Schemas::built_in())?;
    let id = connector.id.clone();
    for Change { name, old, new } in changes(&connector.record.settings, &settings)? {
        let reason =
            if missing.contains(&name) { " (the file lacks it, so it gets its default)" } else { "" };
        print(&format!("{name}: {old} → {new}{reason}"))?;
    }
    if is_dry_run {
        return dry_run::print_comparison(context, connector, &settings).await;
    }
    if settings == connector.record.settings {
        return print(&format!("connector {id} already has these settings"));
    }
    let Some(Stored { needs_index }) = store(context, &connector, settings).await? else {
        return fail(format!(
            "another operator changed connector {id} during this command, so nothing is changed; run it again"
        ));
    };
    print(&format!("connector {id} has the new settings; all functions use them within a minute"))?;
    if needs_index {
        print_note(&format!(
            "The usernames of the new mapping are not indexed yet. Until you have run `scimctl reindex {id}`, the directory API responds \
             to requests for users with 503."
        ));
    }
    Ok(())
}

/// What the new settings need.
pub struct Stored {
    /// Whether the usernames of the new mapping are not indexed yet, so that `scimctl reindex` has to run.
    pub needs_index: bool,
}

/// Stores checked settings. Returns `None` if another operator changed the connector after it was read.
pub async fn store(
    context: &Context,
    connector: &Connector,
    settings: Settings,
) -> Result<Option<Stored>, Failure> {
    let not_ready = |mapping| connector.record.indexes.not_ready(Schemas::built_in(), mapping).len();
    let needs_index = not_ready(&settings.mapping) > not_ready(&connector.record.settings.mapping);
    let is_stored = context.connectors().replace_settings(connector, settings).await?;
    Ok(is_stored.then_some(Stored { needs_index }))
}

/// A setting that changes, with its values as in a settings file.
pub struct Change {
    /// The name: `rules.exclude-users`.
    pub name: String,
    /// The present value.
    pub old: String,
    /// The new value.
    pub new: String,
}

/// Lists the settings that change.
pub fn changes(before: &Settings, after: &Settings) -> Result<Vec<Change>, Failure> {
    let (before, after) = (flatten(&to_table(before)?), flatten(&to_table(after)?));
    let changes = after.into_iter().map(|(name, new)| {
        let old = before.get(&name).map(ToString::to_string).unwrap_or_default();
        Change { name, old, new: new.to_string() }
    });
    Ok(changes.filter(|change| change.old != change.new).collect())
}

/// Lists all settings by their names, with their values as in a settings file.
pub fn values(settings: &Settings) -> Result<Vec<(String, String)>, Failure> {
    let all = flatten(&to_table(settings)?);
    Ok(all.into_iter().map(|(name, value)| (name, value.to_string())).collect())
}

fn to_table(settings: &Settings) -> Result<toml::Table, Failure> {
    toml::Table::try_from(settings).map_err(|error| Failure(error.to_string()))
}

/// Lists the settings by their names, such as `rules.exclude-users`.
fn flatten(table: &toml::Table) -> BTreeMap<String, toml::Value> {
    let mut settings = BTreeMap::new();
    for (name, value) in table {
        match value {
            toml::Value::Table(inner) => {
                settings.extend(
                    flatten(inner).into_iter().map(|(rest, value)| (format!("{name}.{rest}"), value)),
                );
            }
            value => {
                settings.insert(name.clone(), value.clone());
            }
        }
    }
    settings
}
