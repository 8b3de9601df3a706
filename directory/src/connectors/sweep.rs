//! Finishing the interrupted work of all connectors.

use std::sync::Arc;

use shared::error::ScimError;
use shared::schema::Schemas;

use super::{ConnectorId, Connectors};
use crate::Directory;
use crate::dynamodb::keys;
use crate::dynamodb::table::Range;
use crate::intents::Swept;

impl Connectors {
    /// Finishes the work of requests that died, in all connectors or in one. A connector that is being deleted is left out.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn sweep(
        &self,
        only: Option<&ConnectorId>,
        schemas: &'static Schemas,
    ) -> Result<Swept, ScimError> {
        let ids = match only {
            Some(id) => vec![id.clone()],
            None => self.table.connector_ids().await?,
        };
        let mut swept = Swept::default();
        for id in ids {
            let (first, _) = self.table.query_page(&keys::intents(&id), &Range::All, None, Some(1)).await?;
            if first.is_empty() {
                continue;
            }
            let connector = self.table.connector_without_credentials(&id).await?;
            let Some(connector) = connector.filter(|connector| !connector.record.is_deleting) else {
                continue;
            };
            let (table, actor) = (self.table.clone(), self.actor.clone());
            swept += Directory::new(table, Arc::new(connector), schemas, self.now, actor).sweep().await?;
        }
        Ok(swept)
    }
}
