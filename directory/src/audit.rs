//! The audit trail. Every transaction that changes a resource or a connector holds one record of who changed what, and when.
//! A record names the attributes that changed, never their values. DynamoDB deletes it when it expires (TTL).

use std::sync::atomic::Ordering;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::Directory;
use crate::connectors::ConnectorId;
use crate::dynamodb::attributes::{Item, get_text, number, text};
use crate::dynamodb::conditions::Condition;
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::{Range, Table, concurrently};
use crate::dynamodb::transaction::{Subject, Transaction};
use shared::error::ScimError;
use shared::resource::{Document, ResourceId, ResourceKind};

/// The months in which records can exist: ten years, and the months at both ends.
const MAX_MONTHS: i32 = 122;

/// The kind of resource in the records about connectors.
pub(crate) const CONNECTOR_KIND: &str = "Connector";

/// Who makes a change, and in which request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Who.
    pub by: By,
    /// The id of the request, as in the log.
    pub request: String,
}

/// A client, an operator, or a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// A program that only reads. Its changes fail, because no audit record could name who made them.
    Reader,
    /// The identity provider; the value is the id of its credential.
    Client(String),
    /// An operator at the command line; the value is the AWS identity or the system's user.
    Operator(String),
}

/// The kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The resource or connector was created.
    Create,
    /// It was changed.
    Update,
    /// An operator's user became the client's.
    Adopt,
    /// It was deleted.
    Delete,
    /// `check --repair` repaired it.
    Repair,
    /// It was stored in a newer format.
    Migrate,
    /// The states of its indexes changed.
    Reindex,
}

impl Operation {
    /// The name in audit records and in the outbox.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Adopt => "adopt",
            Self::Delete => "delete",
            Self::Repair => "repair",
            Self::Migrate => "migrate",
            Self::Reindex => "reindex",
        }
    }
}

/// An audit record.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AuditRecord {
    /// The time (RFC 3339, UTC, milliseconds).
    pub time: String,
    /// `client` or `operator`.
    pub by: String,
    /// The credential's id, or the operator's name.
    pub who: String,
    /// The kind of change: `create`, `update`, `adopt`, `delete`, `repair`, `migrate` or `reindex`.
    pub operation: String,
    /// The kind of resource: `User`, `Group`, `LocalGroup`, `Role` or `Connector`.
    pub kind: String,
    /// The id of the resource or connector.
    pub id: String,
    /// The names of the attributes that changed.
    pub attributes: Vec<String>,
    /// The id of the request.
    pub request: String,
}

/// What a record is about: the kind of change, the kind of resource, and the id of the resource or connector.
pub(crate) type About<'s> = (Operation, &'s str, &'s str);

/// Writes the audit records of one actor about one connector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorder<'r> {
    /// The connector.
    pub connector: &'r ConnectorId,
    /// Who makes the changes.
    pub actor: &'r Actor,
    /// When.
    pub now: Timestamp,
    /// For how many days the records are kept.
    pub days: u32,
}

impl Recorder<'_> {
    /// Adds a record to the transaction of the change. `position` is its position among the records of its request.
    pub(crate) fn record(
        &self,
        transaction: &mut Transaction,
        (operation, kind, id): About<'_>,
        attributes: Vec<String>,
        position: u32,
    ) -> Result<(), ScimError> {
        let (by, who) = match &self.actor.by {
            By::Client(credential) => ("client", credential),
            By::Operator(name) => ("operator", name),
            By::Reader => return Err(ScimError::internal("a reader cannot change the table")),
        };
        let time = format!("{:.3}", self.now);
        let sk = format!("{time}/{position:06}{}", Uuid::new_v4().simple());
        let pk = keys::audit(self.connector, &time, keys::audit_shard(id));
        let mut item = Key { pk, sk }.attributes();
        let expires = self.now.as_second() + SignedDuration::from_hours(24 * i64::from(self.days)).as_secs();
        item.extend([
            ("by".to_owned(), text(by)),
            ("who".to_owned(), text(who)),
            ("op".to_owned(), text(operation.name())),
            ("kind".to_owned(), text(kind)),
            ("id".to_owned(), text(id)),
            ("request".to_owned(), text(&self.actor.request)),
            ("attributes".to_owned(), AttributeValue::L(attributes.into_iter().map(text).collect())),
            ("expires".to_owned(), number(expires)),
        ]);
        // The rights of the functions allow a put in the partitions of the audit trail. This never replaces a record.
        transaction.put_new(item, Condition::IsNew)
    }
}

impl Directory {
    /// Adds the record of a change to its transaction.
    pub(crate) fn record(
        &self,
        transaction: &mut Transaction,
        operation: Operation,
        kind: ResourceKind,
        id: ResourceId,
        attributes: Vec<String>,
    ) -> Result<(), ScimError> {
        transaction.set_subject(Subject { operation, kind, id, attributes: attributes.clone() });
        self.record_subject(transaction, (operation, kind.name(), &id.to_string()), attributes)
    }

    /// Adds the record of a change that belongs to no resource.
    pub(crate) fn record_of_connector(
        &self,
        transaction: &mut Transaction,
        operation: Operation,
        attributes: Vec<String>,
    ) -> Result<(), ScimError> {
        let id = self.connector.id.to_string();
        self.record_subject(transaction, (operation, CONNECTOR_KIND, &id), attributes)
    }

    fn record_subject(
        &self,
        transaction: &mut Transaction,
        subject: About<'_>,
        attributes: Vec<String>,
    ) -> Result<(), ScimError> {
        let (connector, days) = (&self.connector.id, self.settings().audit_days);
        let recorder = Recorder { connector, actor: &self.actor, now: self.now, days };
        let position = self.records.fetch_add(1, Ordering::Relaxed);
        recorder.record(transaction, subject, attributes, position)
    }
}

/// The audit trail of one connector, which may be deleted.
#[derive(Debug)]
pub struct AuditTrail<'t> {
    table: &'t Table,
    connector: &'t ConnectorId,
}

impl Table {
    /// The audit trail of a connector.
    pub fn audit_trail<'t>(&'t self, connector: &'t ConnectorId) -> AuditTrail<'t> {
        AuditTrail { table: self, connector }
    }
}

impl AuditTrail<'_> {
    /// Reads at most `most` records from one time to another, the newest first. If a resource is given, only its records
    /// are read.
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
        let shards: Vec<char> = match resource {
            Some(id) => vec![keys::audit_shard(id)],
            None => keys::AUDIT_SHARDS.chars().collect(),
        };
        let (first, last) = (format!("{since:.3}"), format!("{until:.3}~"));
        let mut records: Vec<AuditRecord> = Vec::new();
        // Read the months backwards until there are enough records.
        let mut month = month_of(&last);
        let begin = month_of(&first).max(month - MAX_MONTHS);
        while records.len() < most && month >= begin {
            let range = Range::Between(first.clone(), last.clone());
            let name = format!("{:04}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1);
            let reads = shards.iter().map(|shard| {
                let pk = keys::audit(self.connector, &name, *shard);
                self.newest_of_partition(pk, range.clone(), resource, most).boxed()
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
        resource: Option<&str>,
        most: usize,
    ) -> Result<Vec<AuditRecord>, ScimError> {
        let mut records = Vec::new();
        let mut after = None;
        loop {
            let limit = i32::try_from(most).ok();
            let page = self.table.query_page_in_order(&pk, &range, after.as_deref(), limit, true);
            let (items, next) = page.await?;
            let found = items.iter().filter_map(to_record);
            records.extend(found.filter(|record| resource.is_none_or(|id| record.id == id)));
            match next {
                Some(next) if records.len() < most => after = Some(next),
                _ => return Ok(records),
            }
        }
    }
}

/// The number of months from the year 0 to the month of a time (RFC 3339).
fn month_of(time: &str) -> i32 {
    let number =
        |range| time.get(range).and_then(|digits: &str| digits.parse::<i32>().ok()).unwrap_or_default();
    number(0..4) * 12 + number(5..7) - 1
}

/// Reads a record from its item.
fn to_record(item: &Item) -> Option<AuditRecord> {
    let string = |name: &str| get_text(item, name).map(str::to_owned);
    let attributes = item.get("attributes")?.as_l().ok()?;
    Some(AuditRecord {
        time: string("sk")?.split_once('/')?.0.to_owned(),
        by: string("by")?,
        who: string("who")?,
        operation: string("op")?,
        kind: string("kind")?,
        id: string("id")?,
        attributes: attributes.iter().filter_map(|name| name.as_s().ok().cloned()).collect(),
        request: string("request")?,
    })
}

/// Lists the names of the attributes in which two documents differ. For an extension, lists the attributes in it.
pub(crate) fn changed(before: &Document, after: &Document) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, value) in before.iter().chain(after) {
        let (one, other) = (before.get(name), after.get(name));
        if one == other
            || names.contains(name)
            || names.iter().any(|known| known.starts_with(&format!("{name}:")))
        {
            continue;
        }
        match (value.as_object(), name.contains(':')) {
            (Some(_), true) => {
                let empty = Document::new();
                let attributes = |document: Option<&serde_json::Value>| {
                    document.and_then(|document| document.as_object()).unwrap_or(&empty).clone()
                };
                let inner = changed(&attributes(one), &attributes(other));
                names.extend(inner.into_iter().map(|inner| format!("{name}:{inner}")));
            }
            _ => names.push(name.clone()),
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn changed_attributes_are_named_without_values() {
        let document = |value: Value| value.as_object().unwrap().clone();
        let before = document(json!({
            "userName": "a", "title": "x", "name": { "givenName": "A" },
            "urn:x:2.0:User": { "department": "d", "division": "v" }
        }));
        let after = document(json!({
            "userName": "a", "name": { "givenName": "B" }, "active": false,
            "urn:x:2.0:User": { "department": "e", "division": "v" }
        }));
        assert_eq!(changed(&before, &after), ["title", "name", "urn:x:2.0:User:department", "active"]);
        assert_eq!(changed(&before, &before), [""; 0]);
        assert_eq!(changed(&Document::new(), &document(json!({ "userName": "a" }))), ["userName"]);
    }
}
