//! The audit trail: each transaction that changes a resource holds one record of who changed what, and when. It names
//! the attributes that changed, never their values, and goes by itself when its time is over (TTL).

use std::sync::atomic::Ordering;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::Directory;
use crate::connectors::ConnectorId;
use crate::dynamodb::item::{number, text};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::{Item, Range, Table, concurrently};
use crate::dynamodb::transaction::Transaction;
use shared::error::ScimError;
use shared::resource::{Document, ResourceId, ResourceKind};

/// No record is kept for longer: ten years, and the months at both ends.
const MONTHS_KEPT: i32 = 122;

/// Who asks for a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Who.
    pub by: By,
    /// The request that it is a part of, as the log has it.
    pub request: String,
}

/// A client, or an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// The identity provider, by the id of the credential that it used.
    Client(String),
    /// Somebody at the command line.
    Operator(String),
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It was made.
    Create,
    /// It was changed.
    Update,
    /// An operator's user became the client's.
    Adopt,
    /// It was deleted.
    Delete,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Adopt => "adopt",
            Self::Delete => "delete",
        }
    }
}

/// A record, as it is read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AuditRecord {
    /// When.
    pub time: String,
    /// `client` or `operator`.
    pub by: String,
    /// The credential's id, or the operator's name.
    pub who: String,
    /// What was done.
    pub operation: String,
    /// `User`, `Group` and so on.
    pub kind: String,
    /// Of which resource.
    pub id: String,
    /// The names of the attributes that changed.
    pub attributes: Vec<String>,
    /// The request.
    pub request: String,
}

impl Directory {
    /// Puts the record of a change into the transaction that makes it.
    pub(crate) fn record(
        &self,
        transaction: &mut Transaction,
        operation: Operation,
        kind: ResourceKind,
        id: ResourceId,
        attributes: Vec<String>,
    ) -> Result<(), ScimError> {
        let days = self.settings().audit_days;
        let id = id.to_string();
        let item = record(
            &self.connector.id,
            &self.actor,
            self.now,
            days,
            (operation, kind.name(), &id),
            attributes,
            self.records.fetch_add(1, Ordering::Relaxed),
        );
        transaction.put(item)
    }
}

impl Table {
    /// Reads the records of a connector, there or deleted, from one time to another, the newest first; of one resource, if one is named.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn audit(
        &self,
        connector: &ConnectorId,
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
        // Month after month, backwards, until there is enough.
        let mut month = month_of(&last);
        let begin = month_of(&first).max(month - MONTHS_KEPT);
        while records.len() < most && month >= begin {
            let range = Range::Between(first.clone(), last.clone());
            let name = format!("{:04}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1);
            let reads = shards.iter().map(|shard| {
                let pk = keys::audit(connector, &name, *shard);
                self.newest(pk, range.clone(), resource, most).boxed()
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

    async fn newest(
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
            let (items, next) = self.query_page_in_order(&pk, &range, after.as_deref(), limit, true).await?;
            let found = items.iter().filter_map(to_record);
            records.extend(found.filter(|record| resource.is_none_or(|id| record.id == id)));
            match next {
                Some(next) if records.len() < most => after = Some(next),
                _ => return Ok(records),
            }
        }
    }
}

/// The months from the year 0 to that of a time (RFC 3339).
fn month_of(time: &str) -> i32 {
    let number =
        |range| time.get(range).and_then(|digits: &str| digits.parse::<i32>().ok()).unwrap_or_default();
    number(0..4) * 12 + number(5..7) - 1
}

/// The item of a record, `position` being its place among those of its request.
pub fn record(
    connector: &ConnectorId,
    actor: &Actor,
    now: Timestamp,
    days: u32,
    (operation, kind, id): (Operation, &str, &str),
    attributes: Vec<String>,
    position: u32,
) -> Item {
    let (by, who) = match &actor.by {
        By::Client(credential) => ("client", credential),
        By::Operator(name) => ("operator", name),
    };
    let time = format!("{now:.3}");
    let sk = format!("{time}/{position:06}{}", Uuid::new_v4().simple());
    let pk = keys::audit(connector, &time, keys::audit_shard(id));
    let mut item = Key { pk, sk }.attributes();
    let expires = now.as_second() + SignedDuration::from_hours(24 * i64::from(days)).as_secs();
    item.extend([
        ("by".to_owned(), text(by)),
        ("who".to_owned(), text(who)),
        ("op".to_owned(), text(operation.name())),
        ("kind".to_owned(), text(kind)),
        ("id".to_owned(), text(id)),
        ("request".to_owned(), text(&actor.request)),
        ("attributes".to_owned(), AttributeValue::L(attributes.into_iter().map(text).collect())),
        ("expires".to_owned(), number(expires)),
    ]);
    item
}

/// A record from its item.
pub fn to_record(item: &Item) -> Option<AuditRecord> {
    let string = |name: &str| item.get(name)?.as_s().ok().cloned();
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

/// The names of the attributes in which two documents differ.
pub fn changed(before: &Document, after: &Document) -> Vec<String> {
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
            // Of an extension, the attributes in it.
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
    fn the_names_of_what_changed_are_told_and_no_values() {
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
