//! The directory of the connector that a command names.

use directory::Directory;
use directory::connectors::Connector;
use directory::settings::Settings;
use directory::view::EntryMaker;
use shared::schema::Schemas;

use crate::context::Context;
use crate::failure::Failure;

/// The directory of one connector, with the settings that decide what the directory shows.
pub struct OpenDirectory {
    /// The id of the connector.
    pub connector: String,
    /// The users and groups.
    pub directory: Directory,
    /// Whether the connector is disabled, so that its identity provider can send nothing.
    pub is_disabled: bool,
    settings: Settings,
}

impl OpenDirectory {
    /// Opens the directory of a connector. Fails if the connector does not exist or is being deleted.
    pub async fn open(context: &Context, id: &str) -> Result<Self, Failure> {
        let connector = context.connector(id).await?;
        Ok(Self::new(&connector.clone(), context.directory(connector)))
    }

    /// Joins a connector and its directory.
    pub fn new(connector: &Connector, directory: Directory) -> Self {
        let settings = connector.record.settings.clone();
        let is_disabled = connector.record.disabled.is_some();
        Self { connector: connector.id.to_string(), directory, is_disabled, settings }
    }

    /// Makes the [`EntryMaker`] of the directory, which turns users into the entries that the directory shows.
    pub fn entry_maker(&self) -> Result<EntryMaker<'_>, Failure> {
        entry_maker(&self.connector, &self.settings)
    }
}

/// Makes the [`EntryMaker`] of a connector with these settings.
pub fn entry_maker<'s>(connector: &str, settings: &'s Settings) -> Result<EntryMaker<'s>, Failure> {
    Ok(EntryMaker::new(connector, settings, Schemas::built_in())?)
}
