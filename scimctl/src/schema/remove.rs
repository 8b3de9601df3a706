//! `scimctl schema remove`.

use directory::connectors::{Connectors, SchemaState};
use jiff::Timestamp;

use super::values::StoredValues;
use super::{count_with_verb, find};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::print;
use crate::progress::wait;
use crate::prompt::confirm;

/// Removes a custom schema: first from what clients see, and after all functions know that, with its index entries. An
/// interrupted removal is continued by the same command.
pub async fn remove(
    context: &Context,
    id: &str,
    urn: &str,
    is_dry_run: bool,
    is_confirmed: bool,
) -> Result<(), Failure> {
    let connector = context.connector(id).await?;
    let schema = find(&connector, urn)?.clone();
    let (connector_id, urn) = (connector.id.clone(), schema.schema.id.as_str());
    let is_begun = connector.state_of(&schema) != SchemaState::Active;
    let stored = StoredValues::read(&context.directory(connector), &schema).await?;
    let having = count_with_verb(&schema, stored.resources);
    if is_dry_run {
        return print(&format!(
            "{having} values of schema {urn}, which would stay stored and be hidden from clients"
        ));
    }
    if !is_begun {
        let question = format!(
            "This removes schema {urn} from connector {id}. {having} values of it, which stay stored and are hidden from \
             clients. To continue, enter the URN:"
        );
        confirm(&question, urn, is_confirmed)?;
    }
    // The operator can take long to enter the URN, so the time at which the command started is too early.
    let now = Timestamp::now();
    let connectors = Connectors::new(context.table_without_deadline(), context.actor().clone(), now);
    let connector = connectors.begin_schema_removal(&connector_id, urn).await?;
    let time = Connectors::time_until_removal(&connector, urn, now);
    wait("waiting until no function uses the schema", time).await;
    connectors.finish_schema_removal(&connector_id, urn).await?;
    print(&format!("schema {urn} is removed from connector {id}; no function uses it after a minute"))
}
