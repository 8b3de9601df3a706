//! Writing the trail, and deleting it.

use jiff::Timestamp;
use shared::error::ScimError;

use super::{CLOCK_DIFFERENCE, KEPT, Record, Trail, days_back};
use crate::dynamodb::attributes::Item;
use crate::dynamodb::keys;

impl Trail<'_> {
    /// Writes records in one attempt, until the deadline of the table. A record has an item, and up to three entries.
    ///
    /// # Errors
    /// Fails when DynamoDB does, or at the deadline. Then some of the records can be written.
    pub async fn write(&self, records: Vec<Record>) -> Result<(), ScimError> {
        let items = records.into_iter().map(|record| record.bounded().items(self.connector));
        let items: Vec<Vec<Item>> = items.collect::<Result<_, _>>()?;
        self.table.put_once(items.concat()).await
    }

    /// Deletes the trail of a connector.
    pub(crate) async fn forget_all(&self, now: Timestamp) -> Result<(), ScimError> {
        // What is older has expired.
        for day in days_back(now + CLOCK_DIFFERENCE, now - KEPT) {
            self.table.clear_partition(&keys::trail(self.connector, &day)).await?;
            self.table.clear_partition(&keys::trail_entries(self.connector, &day)).await?;
        }
        Ok(())
    }
}
