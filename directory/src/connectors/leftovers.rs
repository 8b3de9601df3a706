//! What must be true of the table: each partition is of a connector that there is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::connectors::ConnectorId;
use crate::dynamodb::table::{Range, Table};
use shared::error::ScimError;

/// What is left of a connector that has no record, its audit trail aside: the next connector of that id would have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The id.
    pub connector: ConnectorId,
    partitions: BTreeSet<String>,
}

impl Table {
    /// Reads all of the table and says what is left of connectors that have no record. `passed` is told how many items
    /// were read.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn leftovers(&self, passed: impl Fn(u64) + Sync) -> Result<Vec<Leftover>, ScimError> {
        let known: BTreeSet<ConnectorId> =
            self.connectors().await?.into_iter().map(|connector| connector.id).collect();
        let mut seen: BTreeMap<ConnectorId, BTreeSet<String>> = BTreeMap::new();
        self.read_all("", passed, |item| {
            let pk = item.get("pk").and_then(|pk| pk.as_s().ok());
            let Some((pk, (connector, space))) = pk.and_then(|pk| Some((pk, pk.split_once('#')?))) else {
                return;
            };
            let connector = ConnectorId::parse(connector).filter(|id| !known.contains(id));
            if let Some(connector) = connector.filter(|_| !space.starts_with("audit/")) {
                seen.entry(connector).or_default().insert(pk.clone());
            }
        })
        .await?;
        let mut leftovers = Vec::new();
        for (connector, mut partitions) in seen {
            // It may have been made, or its deletion may have ended, since.
            for pk in partitions.clone() {
                if self.query_page(&pk, &Range::All, None, Some(1)).await?.0.is_empty() {
                    partitions.remove(&pk);
                }
            }
            if !partitions.is_empty() && self.connector(&connector).await?.is_none() {
                leftovers.push(Leftover { connector, partitions });
            }
        }
        Ok(leftovers)
    }

    /// Deletes what was left; `false` when there is a connector of that id by now.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn delete_leftover(&self, leftover: &Leftover) -> Result<bool, ScimError> {
        if self.connector(&leftover.connector).await?.is_some() {
            return Ok(false);
        }
        for pk in &leftover.partitions {
            self.clear_partition(pk).await?;
        }
        Ok(true)
    }
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, count) = (self.partitions.first().map(String::as_str), self.partitions.len());
        write!(f, "it has no record, and items in {count} partitions, as {}", first.unwrap_or_default())
    }
}
