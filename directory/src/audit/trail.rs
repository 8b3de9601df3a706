//! Reading the audit trail of a connector.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use shared::error::ScimError;
use shared::resource::ResourceId;

use super::{CHANGES, CONNECTOR_KIND, ChangedValue, Changes, Operation};
use crate::connectors::ConnectorId;
use crate::dynamodb::attributes::{Item, get_text};
use crate::dynamodb::keys;
use crate::dynamodb::table::{Range, Table, concurrently};

/// The months in which records can exist: ten years, and the months at both ends.
const MAX_MONTHS: i32 = 122;

/// An audit record.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AuditRecord {
    /// The time (RFC 3339, UTC, milliseconds).
    pub time: String,
    /// `client` or `operator`.
    pub by: String,
    /// The credential's id, or the operator's name.
    pub who: String,
    /// The kind of change: `create`, `update`, `adopt`, `merge`, `delete`, `repair`, `migrate`, `reindex` or
    /// `clean-policy`.
    pub operation: String,
    /// The kind of resource: `User`, `Group`, `LocalGroup`, `Role` or `Connector`.
    pub kind: String,
    /// The id of the resource or connector.
    pub id: String,
    /// What changed.
    #[serde(flatten)]
    pub changes: Changes,
    /// The id of the request.
    pub request: String,
}

/// The audit trail of one connector, which may be deleted.
#[derive(Debug)]
pub struct AuditTrail<'t> {
    pub(super) table: &'t Table,
    pub(super) connector: &'t ConnectorId,
}

impl Table {
    /// The audit trail of a connector.
    pub fn audit_trail<'t>(&'t self, connector: &'t ConnectorId) -> AuditTrail<'t> {
        AuditTrail { table: self, connector }
    }
}

impl AuditRecord {
    /// Whether the record is about this resource or connector, also as a member or a group of what changed.
    pub fn is_about(&self, id: &str) -> bool {
        self.id == id || self.changes.names(id)
    }

    /// Whether the record says that a resource was deleted.
    pub fn is_deletion(&self) -> bool {
        self.operation == Operation::Delete.name()
    }

    /// Whether the record says that a user was deactivated.
    pub fn is_deactivation(&self) -> bool {
        let is_off = |value: &ChangedValue| value.what == "active" && value.to.as_deref() == Some("false");
        self.changes.values.iter().any(is_off)
    }

    /// The unique name that the change took from the resource: the one before a renaming, or the one of a deleted resource.
    pub fn name_before(&self) -> Option<&str> {
        if self.is_deletion() {
            return self.changes.name.as_deref();
        }
        let is_name = |value: &&ChangedValue| matches!(value.what.as_str(), "userName" | "displayName");
        self.changes.values.iter().find(is_name)?.from.as_deref()
    }

    /// Whether the record says that a user was activated again.
    pub fn is_reactivation(&self) -> bool {
        let is_on = |value: &ChangedValue| value.what == "active" && value.to.as_deref() == Some("true");
        self.changes.values.iter().any(is_on)
    }

    /// Whether the record says that a resource was created.
    pub fn is_creation(&self) -> bool {
        self.operation == Operation::Create.name()
    }

    /// Whether the record says that an operator's user became the client's.
    pub fn is_link(&self) -> bool {
        self.operation == Operation::Adopt.name()
    }

    /// Whether the client made the change.
    pub fn is_by_client(&self) -> bool {
        self.by == "client"
    }

    fn is_departure(&self) -> bool {
        self.kind != CONNECTOR_KIND && (self.name_before().is_some() || self.is_deactivation())
    }
}

impl AuditTrail<'_> {
    /// Reads at most `most` records from one time to another, the newest first. If a resource or the connector is given, reads
    /// only the records about it. A membership has one record, which the group's id and the member's id find. So for a resource
    /// the whole trail of this time is read.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn newest(
        &self,
        resource: Option<&str>,
        since: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<AuditRecord>, ScimError> {
        match resource {
            Some(id) => self.newest_of(|record| record.is_about(id), None, since, until, most).await,
            None => self.newest_of(|_| true, i32::try_from(most).ok(), since, until, most).await,
        }
    }

    /// Reads the records of one resource itself, without those of its groups or members: the newest first. It reads only the part of
    /// the trail with this resource, and at most about `most` records of that. Also returns whether older ones were not read.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn own(
        &self,
        id: ResourceId,
        since: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> Result<(Vec<AuditRecord>, bool), ScimError> {
        let (mut records, id) = (Vec::new(), id.to_string());
        let has_older = self.walk(&id, (since, until), most, |record| {
            records.push(record);
            false
        });
        let has_older = has_older.await?;
        Ok((records, has_older))
    }

    /// Finds the newest record of the connector itself that `is_wanted`. It reads only the part of the trail with the connector, and
    /// at most about `most` records of that.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn last_of_connector(
        &self,
        is_wanted: impl Fn(&AuditRecord) -> bool + Send + Sync,
        since: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> Result<Option<AuditRecord>, ScimError> {
        let mut found = None;
        let id = self.connector.to_string();
        let walk = self.walk(&id, (since, until), most, |record| {
            found = Some(record).filter(&is_wanted);
            found.is_some()
        });
        walk.await?;
        Ok(found)
    }

    /// Visits the records of one resource or connector itself, the newest first, until `visit` returns true or about `most` records
    /// of this part of the trail were read. Returns whether older ones were not read.
    async fn walk(
        &self,
        id: &str,
        (since, until): (Timestamp, Timestamp),
        most: usize,
        mut visit: impl FnMut(AuditRecord) -> bool + Send,
    ) -> Result<bool, ScimError> {
        let (first, last) = (format!("{since:.3}"), format!("{until:.3}~"));
        let range = Range::Between(first.clone(), last.clone());
        let mut read = 0;
        let mut month = month_of(&last);
        let begin = month_of(&first).max(month - MAX_MONTHS);
        while month >= begin {
            let pk = keys::audit(self.connector, &name_of_month(month), keys::audit_shard(id));
            let mut after = None;
            loop {
                let (items, next) =
                    self.table.query_page_in_order(&pk, &range, after.as_deref(), None, true).await?;
                read += items.len();
                for record in items.iter().filter_map(to_record).filter(|record| record.id == id) {
                    if visit(record) {
                        return Ok(true);
                    }
                }
                if read >= most {
                    return Ok(next.is_some() || month > begin);
                }
                match next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            month -= 1;
        }
        Ok(false)
    }

    /// Reads the ids of the resources that have or had this name, with their kinds. Reads the whole trail of this time.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn named(
        &self,
        name: &str,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<BTreeMap<ResourceId, String>, ScimError> {
        let has_name = |record: &AuditRecord| record.changes.has_name(name);
        let records = self.newest_of(has_name, None, since, until, usize::MAX).await?;
        let resource = |record: AuditRecord| Some((ResourceId::parse(&record.id)?, record.kind));
        Ok(records.into_iter().filter_map(resource).collect())
    }

    /// Reads the records of this time that end the use of a name, the newest first: a user was deactivated, or a user or group was
    /// renamed or deleted. Reads the whole trail of this time.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn departures(
        &self,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<AuditRecord>, ScimError> {
        self.newest_of(AuditRecord::is_departure, None, since, until, usize::MAX).await
    }

    /// Reads records that `is_wanted`, in pages of `limit`.
    async fn newest_of(
        &self,
        is_wanted: impl Fn(&AuditRecord) -> bool + Sync,
        limit: Option<i32>,
        since: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<AuditRecord>, ScimError> {
        let (first, last) = (format!("{since:.3}"), format!("{until:.3}~"));
        let mut records: Vec<AuditRecord> = Vec::new();
        // Read the months backwards until there are enough records.
        let mut month = month_of(&last);
        let begin = month_of(&first).max(month - MAX_MONTHS);
        while records.len() < most && month >= begin {
            let range = Range::Between(first.clone(), last.clone());
            let name = name_of_month(month);
            let reads = keys::AUDIT_SHARDS.chars().map(|shard| {
                let pk = keys::audit(self.connector, &name, shard);
                self.newest_of_partition(pk, range.clone(), &is_wanted, limit, most).boxed()
            });
            let mut found: Vec<AuditRecord> =
                concurrently(reads.collect()).await?.into_iter().flatten().collect();
            found.sort_by(|one, other| other.time.cmp(&one.time));
            records.extend(found);
            month -= 1;
        }
        records.truncate(most);
        Ok(records)
    }

    async fn newest_of_partition(
        &self,
        pk: String,
        range: Range,
        is_wanted: &(impl Fn(&AuditRecord) -> bool + Sync),
        limit: Option<i32>,
        most: usize,
    ) -> Result<Vec<AuditRecord>, ScimError> {
        let mut records = Vec::new();
        let mut after = None;
        loop {
            let page = self.table.query_page_in_order(&pk, &range, after.as_deref(), limit, true);
            let (items, next) = page.await?;
            records.extend(items.iter().filter_map(to_record).filter(is_wanted));
            match next {
                Some(next) if records.len() < most => after = Some(next),
                _ => return Ok(records),
            }
        }
    }
}

/// The number of months from the year 0 to the month of a time (RFC 3339).
pub(super) fn month_of(time: &str) -> i32 {
    let number =
        |range| time.get(range).and_then(|digits: &str| digits.parse::<i32>().ok()).unwrap_or_default();
    number(0..4) * 12 + number(5..7) - 1
}

/// The month that is this number of months after the year 0, as in the keys of partitions.
pub(super) fn name_of_month(month: i32) -> String {
    format!("{:04}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1)
}

/// Reads a record from its item.
pub(super) fn to_record(item: &Item) -> Option<AuditRecord> {
    let string = |name: &str| get_text(item, name).map(str::to_owned);
    Some(AuditRecord {
        time: string("sk")?.split_once('/')?.0.to_owned(),
        by: string("by")?,
        who: string("who")?,
        operation: string("op")?,
        kind: string("kind")?,
        id: string("id")?,
        changes: to_changes(item),
        request: string("request")?,
    })
}

/// Reads what a record says about the change. A record of an earlier version has only the names of the attributes.
fn to_changes(item: &Item) -> Changes {
    if let Some(changes) = get_text(item, CHANGES).and_then(|json| serde_json::from_str(json).ok()) {
        return changes;
    }
    let names = item.get("attributes").and_then(|names| names.as_l().ok()).into_iter().flatten();
    let attributes = names.filter_map(|name| name.as_s().ok().cloned()).collect();
    Changes { attributes, ..Changes::default() }
}
