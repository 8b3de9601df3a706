//! Leftovers: items of connectors that do not exist. The next connector with the same id would own them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{ConnectorId, Connectors};

use crate::audit::{CONNECTOR_KIND, Changes, Operation, Recorder};
use crate::dynamodb::attributes::get_text;
use crate::dynamodb::keys;
use crate::dynamodb::table::Range;
use crate::settings::Settings;
use shared::error::ScimError;

/// The partitions of a connector that has no record, without its audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The id.
    pub connector: ConnectorId,
    partitions: BTreeSet<String>,
}

impl Connectors {
    /// Reads the whole table and finds the leftovers. `passed` is called with the number of items that were read.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn leftovers(&self, passed: impl Fn(u64) + Sync) -> Result<Vec<Leftover>, ScimError> {
        let known: BTreeSet<ConnectorId> =
            self.table.connectors().await?.into_iter().map(|connector| connector.id).collect();
        let mut seen: BTreeMap<ConnectorId, BTreeSet<String>> = BTreeMap::new();
        self.table
            .read_all("", passed, |item| {
                let Some(pk) = get_text(item, "pk") else { return };
                if let Some((connector, false)) = keys::owner(pk)
                    && !known.contains(&connector)
                {
                    seen.entry(connector).or_default().insert(pk.to_owned());
                }
            })
            .await?;
        let mut leftovers = Vec::new();
        for (connector, mut partitions) in seen {
            // Since the scan, the connector may have been created, or its deletion may have ended.
            for pk in partitions.clone() {
                if self.table.query_page(&pk, &Range::All, None, Some(1)).await?.0.is_empty() {
                    partitions.remove(&pk);
                }
            }
            if !partitions.is_empty() && self.table.connector(&connector).await?.is_none() {
                leftovers.push(Leftover { connector, partitions });
            }
        }
        Ok(leftovers)
    }

    /// Deletes a leftover, and records it in the audit trail. Returns `false` when the connector exists by now.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn delete_leftover(&self, leftover: &Leftover) -> Result<bool, ScimError> {
        if self.table.connector(&leftover.connector).await?.is_some() {
            return Ok(false);
        }
        let id = leftover.connector.to_string();
        let subject = (Operation::Repair, CONNECTOR_KIND, id.as_str());
        let partitions = format!("{} partitions", leftover.partitions.len());
        let changes = Changes::of_attribute("leftover").with_value("leftover", Some(&partitions), None);
        let days = Settings::default().audit_days;
        let mut transaction = self.table.transaction();
        let recorder = Recorder { connector: &leftover.connector, actor: &self.actor, now: self.now, days };
        recorder.record(&mut transaction, subject, &changes, 0)?;
        self.table.commit(&transaction).await?;
        for pk in &leftover.partitions {
            self.table.clear_partition(pk).await?;
        }
        Ok(true)
    }
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, count) = (self.partitions.first().map(String::as_str), self.partitions.len());
        write!(
            f,
            "the connector has no record, but items in {count} partitions, for example {}",
            first.unwrap_or_default()
        )
    }
}
