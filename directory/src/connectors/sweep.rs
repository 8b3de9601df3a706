//! Finishing the interrupted work of all connectors.

use std::sync::Arc;

use jiff::Timestamp;
use shared::error::ScimError;
use shared::schema::Schemas;

use super::ConnectorId;
use crate::Directory;
use crate::audit::{Actor, By};
use crate::dynamodb::keys;
use crate::dynamodb::table::{Range, Table};
use crate::intents::Swept;

impl Table {
    /// Finishes the work of requests that died, in all connectors or in one. A connector that is being deleted is left out. An
    /// error of one connector does not stop the sweep of the others.
    ///
    /// # Errors
    /// Fails when the connectors cannot be listed.
    pub async fn sweep(
        &self,
        only: Option<&ConnectorId>,
        schemas: &Arc<Schemas>,
        now: Timestamp,
    ) -> Result<Swept, ScimError> {
        let mut ids = match only {
            Some(id) => vec![id.clone()],
            None => self.connector_ids().await?,
        };
        // Each sweep begins with another connector, so that none is always the last.
        let minutes = usize::try_from(now.as_second() / 60).unwrap_or_default();
        let first = minutes.checked_rem(ids.len()).unwrap_or_default();
        ids.rotate_left(first);
        let mut swept = Swept::default();
        for (position, id) in ids.iter().enumerate() {
            let table = self.with_share(ids.len() - position);
            swept += table.sweep_connector(id, schemas, now).await.unwrap_or_else(|error| {
                let failure = format!("{id}: {error}");
                Swept { failures: vec![failure], ..Swept::default() }
            });
        }
        Ok(swept)
    }
    async fn sweep_connector(
        self,
        id: &ConnectorId,
        schemas: &Arc<Schemas>,
        now: Timestamp,
    ) -> Result<Swept, ScimError> {
        let (first, _) = self.query_page(&keys::intents(id), &Range::All, None, Some(1)).await?;
        if first.is_empty() {
            return Ok(Swept::default());
        }
        let connector = self.connector_without_credentials(id).await?;
        let Some(connector) = connector.filter(|connector| !connector.record.is_deleting) else {
            return Ok(Swept::default());
        };
        // What is left of a change needs no audit record: its first transaction has it, and a creation that is rolled back was
        // never visible.
        let actor = Actor { by: By::Operator("sweeper".to_owned()), request: "sweep".to_owned() };
        Directory::new(self, Arc::new(connector), schemas, now, actor).sweep().await
    }
}
