//! The directory of the connector that a page is about.

use std::sync::Arc;

use directory::Directory;
use directory::connectors::{Connector, ConnectorId, being_deleted};
use directory::settings::TrailScope;
use directory::view::View;
use jiff::Timestamp;
use shared::resource::ResourceId;
use shared::schema::Schemas;

use super::Console;
use super::page::{Part, Section};
use super::problem::Problem;
use crate::context::Context;
use crate::open_directory::OpenDirectory;

/// A connector and its directory, for one request.
pub struct Opened {
    /// The table and the operator.
    pub context: Context,
    /// The id of the connector.
    pub id: ConnectorId,
    /// When the connector was created. No audit record is older.
    pub created: Timestamp,
    /// Which requests the request trail keeps.
    pub trail: TrailScope,
    /// The directory, as commands on it expect it.
    pub open: OpenDirectory,
}

impl Opened {
    /// Reads the connector of a path.
    ///
    /// # Errors
    /// 404 if there is none, and 409 if it is being deleted.
    pub async fn read(console: &Console, id: &str) -> Result<Self, Problem> {
        let context = console.context();
        let connector = console.connector(&context, id).await?;
        if connector.record.is_deleting {
            return Err(Problem::conflict(being_deleted(&connector.id)));
        }
        Ok(Self::new(context, connector))
    }

    fn new(context: Context, connector: Connector) -> Self {
        let (id, created, trail) =
            (connector.id.clone(), connector.record.created, connector.record.settings.trail);
        let (schemas, actor) = (Schemas::built_in(), context.actor().clone());
        let connector = Arc::new(connector);
        // Every request of the page ends at one deadline.
        let directory = Directory::new(context.table(), connector.clone(), schemas, context.now, actor);
        Self { context, id, created, trail, open: OpenDirectory::new(&connector, directory) }
    }

    /// The users and groups.
    pub fn directory(&self) -> &Directory {
        &self.open.directory
    }

    /// What the platform sees, with hidden users and groups.
    ///
    /// # Errors
    /// 409 if the mapping names an attribute that does not exist any more.
    pub fn view(&self) -> Result<View<'_>, Problem> {
        Ok(self.open.directory.view(true)?)
    }

    /// The path of the pages of a part: `/connectors/okta/users`.
    pub fn path(&self, part: Part) -> String {
        part.path(&self.id)
    }

    /// The path of the page of a user, group or role.
    pub fn page_of(&self, part: Part, id: impl std::fmt::Display) -> String {
        format!("{}/{id}", part.path(&self.id))
    }

    /// The place in the navigation.
    pub fn section(&self, part: Part) -> Section<'_> {
        Section::Of(&self.id, part)
    }
}

/// Parses the id of a user, group or role in a path.
///
/// # Errors
/// 404 if it is none.
pub fn parse_id(id: &str) -> Result<ResourceId, Problem> {
    ResourceId::parse(id).ok_or_else(|| Problem::not_found(format!("There is nothing with the id {id}.")))
}
