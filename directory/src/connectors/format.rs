//! The format version of the table, and the migration to the newest one.
//!
//! | format | difference to the one before |
//! | --- | --- |
//! | 1 | the record of a connector holds its credentials |
//! | 2 | each credential is an item of its own |
//! | 3 | the record lists custom schemas or feeds. Only connectors that have one have this format |
//! | 4 | the record lists keys for access tokens. Only connectors that have had an OAuth credential have this format |
//!
//! Every connector says in which format it is stored; one that says nothing has format 1. A process reads and writes each
//! connector in the connector's own format, so it works before, during and after a migration. It refuses a connector in a
//! format that it does not know.
//!
//! An upgrade has two steps. First deploy a version that knows both formats to all functions. Then run `scimctl migrate`,
//! while the service runs. The item `table`/`format` says in which format new connectors are stored.

use shared::error::ScimError;

use super::{Connector, ConnectorId, Connectors, Record};
use crate::audit::Operation;
use crate::dynamodb::attributes::{get_number, number};
use crate::dynamodb::keys;
use crate::dynamodb::table::{Range, Table};

/// The newest format of connectors without custom schemas, feeds and OAuth credentials, which a migration writes.
pub const FORMAT: u32 = 2;
/// The format of a connector with custom schemas or feeds. A version that does not know it would ignore the values of custom
/// schemas in a PUT without deleting their index entries, and would not tell feeds what it changes.
const FORMAT_WITH_SCHEMAS_OR_FEEDS: u32 = 3;
/// The format of a connector with keys for access tokens. A version that does not know it cannot read OAuth credentials, and would
/// lose the keys when it writes the record.
pub(super) const NEWEST_FORMAT: u32 = 4;

/// The format of a connector of [`FORMAT`] or newer with this record.
pub(crate) fn format_of(record: &Record) -> u32 {
    if !record.token_keys.is_empty() {
        NEWEST_FORMAT
    } else if !record.schemas.is_empty() || !record.feeds.is_empty() {
        FORMAT_WITH_SCHEMAS_OR_FEEDS
    } else {
        FORMAT
    }
}
/// The format in which records hold the credentials.
pub(super) const FORMAT_OF_RECORDS_WITH_CREDENTIALS: u32 = 1;

/// The stored attribute that holds a format. `format` itself is a reserved word of DynamoDB.
pub(super) const STORED_FORMAT: &str = "stored_format";

/// What a migration changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrated {
    /// The connectors that are stored in the newest format now and were not before.
    pub connectors: Vec<ConnectorId>,
}

impl Table {
    /// Reads the format in which new connectors are stored. A table without connectors gets the newest one.
    pub(super) async fn format_of_new_connectors(&self) -> Result<u32, ScimError> {
        if let Some(item) = self.get(&keys::table_format()).await? {
            return get_number(&item, STORED_FORMAT)
                .ok_or_else(|| ScimError::internal("the item with the table's format cannot be read"));
        }
        let (first, _) = self.query_page(keys::CONNECTORS, &Range::All, None, Some(1)).await?;
        if !first.is_empty() {
            return Ok(FORMAT_OF_RECORDS_WITH_CREDENTIALS);
        }
        self.set_format_of_new_connectors().await?;
        Ok(FORMAT)
    }

    pub(super) async fn set_format_of_new_connectors(&self) -> Result<(), ScimError> {
        let mut item = keys::table_format().attributes();
        item.insert(STORED_FORMAT.to_owned(), number(FORMAT));
        let mut transaction = self.transaction();
        transaction.put(item)?;
        self.commit(&transaction).await.map(|_| ())
    }
}

impl Connectors {
    /// Stores all connectors in the newest format, while the service runs. A migration that was interrupted can be
    /// repeated.
    ///
    /// # Errors
    /// Fails when DynamoDB does, or when a connector is stored in a format that this version does not know.
    pub async fn migrate(&self) -> Result<Migrated, ScimError> {
        // First the format of new connectors: a connector that is created meanwhile is stored in the newest format.
        self.table.set_format_of_new_connectors().await?;
        let mut migrated = Migrated::default();
        for connector in self.table.connectors().await? {
            if connector.format < FORMAT {
                let id = connector.id;
                self.change_any(&id, Operation::Migrate, |present| {
                    Ok((Connector { format: FORMAT, ..present.clone() }, vec!["format".to_owned()]))
                })
                .await?;
                migrated.connectors.push(id);
            }
        }
        Ok(migrated)
    }
}
