//! The audit trail. Every transaction that changes a resource or a connector holds one record of who changed what, and when.
//! [`Changes`] says what a record has of a change. DynamoDB deletes a record when it expires (TTL).

mod changes;
mod page;
mod policy;
mod trail;

pub use changes::{ChangedValue, Changes, NamedIds};
pub use page::{AuditPage, PageSize};
pub use policy::RemovedName;
pub use trail::{AuditRecord, AuditTrail};

use std::sync::atomic::Ordering;

use jiff::{SignedDuration, Timestamp};
use shared::error::ScimError;
use shared::resource::{ResourceId, ResourceKind};
use uuid::Uuid;

use crate::Directory;
use crate::connectors::ConnectorId;
use crate::dynamodb::attributes::{number, text};
use crate::dynamodb::conditions::Condition;
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::transaction::{Subject, Transaction};

/// The stored attribute that has the [`Changes`], as JSON.
const CHANGES: &str = "changes";

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
    /// A user of the client got the roles and local groups of an operator's user.
    Merge,
    /// It was deleted.
    Delete,
    /// `check --repair` repaired it.
    Repair,
    /// It was stored in a newer format.
    Migrate,
    /// The states of its indexes changed.
    Reindex,
    /// Names of its users and groups were taken out of a policy of another system.
    CleanPolicy,
}

impl Operation {
    /// The name in audit records and in outboxes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Adopt => "adopt",
            Self::Merge => "merge",
            Self::Delete => "delete",
            Self::Repair => "repair",
            Self::Migrate => "migrate",
            Self::Reindex => "reindex",
            Self::CleanPolicy => "clean-policy",
        }
    }
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
        changes: &Changes,
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
            (CHANGES.to_owned(), text(serde_json::to_string(changes).map_err(ScimError::internal)?)),
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
        changes: &Changes,
    ) -> Result<(), ScimError> {
        let attributes = changes.attributes.clone();
        transaction.add_subject(Subject { operation: operation.name(), kind, id, attributes });
        self.record_subject(transaction, (operation, kind.name(), &id.to_string()), changes)
    }

    /// Adds the record of a change that belongs to no resource.
    pub(crate) fn record_of_connector(
        &self,
        transaction: &mut Transaction,
        operation: Operation,
        changes: &Changes,
    ) -> Result<(), ScimError> {
        let id = self.connector.id.to_string();
        self.record_subject(transaction, (operation, CONNECTOR_KIND, &id), changes)
    }

    fn record_subject(
        &self,
        transaction: &mut Transaction,
        subject: About<'_>,
        changes: &Changes,
    ) -> Result<(), ScimError> {
        let (connector, days) = (&self.connector.id, self.settings().audit_days);
        let recorder = Recorder { connector, actor: &self.actor, now: self.now, days };
        let position = self.records.fetch_add(1, Ordering::Relaxed);
        recorder.record(transaction, subject, changes, position)
    }
}
