//! Finds out everything that explains a user. The result is a value, which the command and the console show.

use std::path::PathBuf;

use directory::audit::AuditRecord;
use directory::feeds::{Delivery, Feed, WaitingForUser};
use directory::trail::{Filter, Record, Subject};
use directory::view::Explanation;
use jiff::Timestamp;
use serde::Serialize;
use shared::resource::ResourceId;

use super::asked::Person;
use super::hiding::{self, HidingChange};
use super::policies::{Mention, mentions};
use crate::context::Context;
use crate::failure::Failure;
use crate::open_directory::OpenDirectory;
use crate::requests;

/// The most audit records that are read to find the events of one user, or the last change of a setting.
pub(super) const MAX_AUDIT_RECORDS: usize = 100_000;
/// The requests that are looked through for failed ones, and the failed ones that are listed.
const REQUESTS: (usize, usize) = (200, 5);

/// What explains a user.
#[derive(Debug, Serialize)]
pub struct Why {
    /// The connector.
    pub connector: String,
    /// The name or id that was asked for.
    pub asked: String,
    /// Whether the user was found because a name of it begins with this text.
    pub is_by_search: bool,
    /// Whether the directory has the user.
    pub state: State,
    /// The id of the user, if it is or was in the directory.
    pub id: Option<String>,
    /// The ids of other users who had the name and are deleted.
    pub others: Vec<String>,
    /// The user as the platform sees it, with its groups and roles. `None` if the user is not in the directory.
    pub user: Option<Explanation>,
    /// Who hid the user, or last changed the setting that hides it. `None` if it is not hidden, if no audit record says so, and if
    /// another user has the same username.
    pub hidden_by: Option<HidingChange>,
    /// The last change of the user that the identity provider asked for, and what came of it.
    pub last_push: Option<Push>,
    /// Who created, linked, renamed, deactivated and deleted the user, the oldest event first.
    pub events: Vec<Event>,
    /// Whether there are older audit records that were not read.
    pub has_older_events: bool,
    /// The last failed requests about the user, the newest first.
    pub failed_requests: Vec<Record>,
    /// The feeds of the connector. Empty if the user is not in the directory.
    pub feeds: Vec<FeedState>,
    /// The places in the policies that name the user. `None` if no policies were given.
    pub policies: Option<Vec<Mention>>,
}

/// Whether the directory has a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is shown to the platform.
    Shown,
    /// It is hidden.
    Hidden,
    /// It was deleted.
    Deleted,
    /// The directory never had it, as far as the audit trail says.
    NeverSeen,
}

/// A change of a user that the identity provider asked for.
#[derive(Debug, Serialize)]
pub struct Push {
    /// When.
    pub time: Timestamp,
    /// The id of the request.
    pub request: String,
    /// The id of the credential.
    pub credential: String,
    /// What was asked for: the method and path, or what the audit record says was done.
    pub what: String,
    /// The status, if the request trail has the request.
    pub status: Option<u16>,
    /// What the identity provider was told about an error.
    pub detail: Option<String>,
}

/// An event in the life of a user.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When.
    pub time: Timestamp,
    /// What happened: `created`, `linked`, `renamed`, `deactivated`, `reactivated` or `deleted`.
    pub what: &'static str,
    /// The userName before a renaming.
    pub name_before: Option<String>,
    /// `client` or `operator`.
    pub by: String,
    /// The id of the credential, or the operator.
    pub who: String,
    /// The id of the request.
    pub request: String,
}

/// A feed, and what waits in it about a user.
#[derive(Debug, Serialize)]
pub struct FeedState {
    /// The id.
    pub feed: String,
    /// `poll`, `push`, `webhook` or `event-bus`.
    pub delivery: &'static str,
    /// Whether its events are not delivered now.
    pub is_paused: bool,
    /// What waits about the user and its memberships.
    #[serde(flatten)]
    pub waiting: WaitingForUser,
    /// When the consumer last accepted an event, or acknowledged events that it polled. `None` if it never did.
    pub delivered: Option<Timestamp>,
    /// When the next delivery after a failed one is due.
    pub next_delivery: Option<Timestamp>,
    /// The last error of the consumer.
    pub last_error: Option<String>,
}

/// Finds out what explains a user.
///
/// # Errors
/// Fails when DynamoDB does, and if a file of policies cannot be read.
pub async fn find(
    context: &Context,
    open: &OpenDirectory,
    person: &Person,
    policies: &[PathBuf],
) -> Result<Why, Failure> {
    let connector = context.connector(&open.connector).await?;
    let table = context.table_without_deadline();
    let audit = table.audit_trail(&connector.id);
    let created = connector.record.created;
    let id = person.id;
    let view = open.directory.view(true)?;
    let user = match id {
        Some(id) => view.explain(id).await?,
        None => None,
    };
    let (records, has_older_events) = match id {
        Some(id) => {
            let since = user.as_ref().map_or(created, |user| user.created);
            audit.own(id, since, context.now, MAX_AUDIT_RECORDS).await?
        }
        None => (Vec::new(), false),
    };
    let hidden_by = match user.as_ref().and_then(|user| user.entry.hidden.as_ref()) {
        Some(hidden) => hiding::find(&audit, hidden, &records, (created, context.now)).await?,
        None => None,
    };
    // A text that is only the beginning of a name can be another user's name.
    let asked = Some(person.text.as_str()).filter(|_| !person.is_by_search);
    let requests = requests_about(context, open, asked, id, user.as_ref()).await?;
    let last_push = last_push(&records, &requests);
    let failed = requests.into_iter().filter(Record::is_failure).take(REQUESTS.1).collect();
    let state = match &user {
        Some(user) if user.entry.hidden.is_some() => State::Hidden,
        Some(_) => State::Shown,
        None if records.is_empty() => State::NeverSeen,
        None => State::Deleted,
    };
    let mut feeds = Vec::new();
    if let Some((user, id)) = user.as_ref().zip(id) {
        for feed in table.feeds(&connector.id).await? {
            let waiting = table.waiting_for_user(&connector.id, &feed.id, id, &user.direct).await?;
            feeds.push(feed_state(feed, waiting));
        }
    }
    let mut names: Vec<&str> = asked.into_iter().collect();
    names.extend(user.iter().flat_map(|user| [user.entry.username.as_str(), user.user_name.as_str()]));
    let id = id.filter(|_| state != State::NeverSeen).map(|id| id.to_string());
    Ok(Why {
        connector: open.connector.clone(),
        asked: person.text.clone(),
        is_by_search: person.is_by_search,
        state,
        policies: (!policies.is_empty()).then(|| mentions(policies, &names, id.as_deref())).transpose()?,
        id,
        others: person.others.iter().map(ToString::to_string).collect(),
        user,
        hidden_by,
        last_push,
        events: records.iter().rev().filter_map(event).collect(),
        has_older_events,
        failed_requests: failed,
        feeds,
    })
}

/// Reads the newest requests about a user.
async fn requests_about(
    context: &Context,
    open: &OpenDirectory,
    asked: Option<&str>,
    id: Option<ResourceId>,
    user: Option<&Explanation>,
) -> Result<Vec<Record>, Failure> {
    let connector = crate::context::parse_connector_id(&open.connector)?;
    let mut filter = Filter::until(context.now);
    let names = user.map(|user| user.user_name.clone()).into_iter().chain(asked.map(str::to_owned));
    filter.subjects = names.map(Subject::Name).chain(id.map(Subject::Id)).collect();
    requests::newest(context, &connector, &filter, REQUESTS.0).await
}

/// The last change that the identity provider asked for, by the newest of the audit records and of the requests.
fn last_push(records: &[AuditRecord], requests: &[Record]) -> Option<Push> {
    let is_write = |record: &&Record| !matches!(record.method.as_str(), "GET" | "HEAD");
    let asked = requests.iter().find(is_write).map(|record| Push {
        time: record.time,
        request: record.request.clone(),
        credential: record.credential.clone(),
        what: format!("{} {}", record.method, record.path),
        status: Some(record.status),
        detail: record.detail.clone(),
    });
    let done = records.iter().find(|record| record.is_by_client()).and_then(|record| {
        let attributes = record.changes.attributes.iter().filter(|name| *name != "schemas");
        let attributes: Vec<&str> = attributes.map(String::as_str).collect();
        let what = match attributes.is_empty() || record.is_creation() {
            true => record.operation.clone(),
            false => format!("{} {}", record.operation, attributes.join(", ")),
        };
        Some(Push {
            time: record.time.parse().ok()?,
            request: record.request.clone(),
            credential: record.who.clone(),
            what,
            status: None,
            detail: None,
        })
    });
    match (asked, done) {
        // A request that was carried out can be in both. Its record has the status.
        (Some(asked), Some(done)) if asked.request == done.request => Some(Push { what: done.what, ..asked }),
        (Some(asked), Some(done)) => Some(if asked.time >= done.time { asked } else { done }),
        (asked, done) => asked.or(done),
    }
}

/// The event that an audit record of a user tells of.
fn event(record: &AuditRecord) -> Option<Event> {
    let name_before = record.name_before().filter(|_| !record.is_deletion());
    let what = if record.is_creation() {
        "created"
    } else if record.is_link() {
        "linked"
    } else if record.is_deletion() {
        "deleted"
    } else if record.is_deactivation() {
        "deactivated"
    } else if record.is_reactivation() {
        "reactivated"
    } else if name_before.is_some() {
        "renamed"
    } else {
        return None;
    };
    Some(Event {
        time: record.time.parse().ok()?,
        what,
        name_before: name_before.map(str::to_owned),
        by: record.by.clone(),
        who: record.who.clone(),
        request: record.request.clone(),
    })
}

fn feed_state(feed: Feed, waiting: WaitingForUser) -> FeedState {
    let delivery = match feed.settings.delivery {
        Delivery::Poll => "poll",
        Delivery::Push(_) => "push",
        Delivery::Webhook(_) => "webhook",
        Delivery::EventBus(_) => "event-bus",
    };
    FeedState {
        delivery,
        is_paused: feed.is_paused(),
        feed: feed.id.to_string(),
        waiting,
        delivered: feed.delivered,
        next_delivery: feed.retry_at,
        last_error: feed.last_error.map(|(_, error)| error),
    }
}
