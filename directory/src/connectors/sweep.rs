//! Finishing the interrupted work of all connectors.

use std::sync::Arc;

use shared::error::ScimError;
use shared::schema::Schemas;

use super::{ConnectorId, Connectors};
use crate::Directory;
use crate::dynamodb::keys;
use crate::dynamodb::table::{Range, Table};
use crate::intents::Swept;

impl Connectors {
    /// Finishes the work of requests that died, in all connectors or in one. A connector that is being deleted is left out. An
    /// error of one connector does not stop the sweep of the others.
    ///
    /// # Errors
    /// Fails when the connectors cannot be listed.
    pub async fn sweep(
        &self,
        only: Option<&ConnectorId>,
        schemas: &'static Schemas,
    ) -> Result<Swept, ScimError> {
        let mut ids = match only {
            Some(id) => vec![id.clone()],
            None => self.table.connector_ids().await?,
        };
        // Each sweep begins with another connector, so that none is always the last.
        let minutes = usize::try_from(self.now.as_second() / 60).unwrap_or_default();
        let first = minutes.checked_rem(ids.len()).unwrap_or_default();
        ids.rotate_left(first);
        let mut swept = Swept::default();
        for (position, id) in ids.iter().enumerate() {
            let table = self.table.with_share(ids.len() - position);
            swept += self.sweep_connector(table, id, schemas).await.unwrap_or_else(|error| {
                let failure = format!("{id}: {error}");
                Swept { failures: vec![failure], ..Swept::default() }
            });
        }
        Ok(swept)
    }
    async fn sweep_connector(
        &self,
        table: Table,
        id: &ConnectorId,
        schemas: &'static Schemas,
    ) -> Result<Swept, ScimError> {
        let (first, _) = table.query_page(&keys::intents(id), &Range::All, None, Some(1)).await?;
        if first.is_empty() {
            return Ok(Swept::default());
        }
        let connector = table.connector_without_credentials(id).await?;
        let Some(connector) = connector.filter(|connector| !connector.record.is_deleting) else {
            return Ok(Swept::default());
        };
        Directory::new(table, Arc::new(connector), schemas, self.now, self.actor.clone()).sweep().await
    }
}
