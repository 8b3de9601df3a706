//! Finds out who hid a user, and when.

use directory::audit::{AuditRecord, AuditTrail, ChangedValue};
use directory::view::Hidden;
use jiff::Timestamp;
use serde::Serialize;

use super::find::MAX_AUDIT_RECORDS;
use crate::failure::Failure;

/// The change that hides a user, or the last change of the setting that hides it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct HidingChange {
    /// When.
    pub time: Timestamp,
    /// What was done: `deactivated`, `deleted`, `created`, or the setting with its values before and after. Of lists of users, the audit
    /// trail has only the length.
    pub what: String,
    /// Whether it is a change of a setting.
    pub is_setting: bool,
    /// `client` or `operator`.
    pub by: String,
    /// The id of the credential, or the operator.
    pub who: String,
    /// The id of the request.
    pub request: String,
}

/// Finds the change. `records` are those of the user, the newest first. For a rule or the mapping, reads the records of the connector.
/// `None` if no record has the change, and for a username that is taken.
///
/// # Errors
/// Fails when DynamoDB does.
pub async fn find(
    audit: &AuditTrail<'_>,
    hidden: &Hidden,
    records: &[AuditRecord],
    (since, until): (Timestamp, Timestamp),
) -> Result<Option<HidingChange>, Failure> {
    let settings: &[&str] = match hidden {
        Hidden::NotIncluded => &["rules.include-users"],
        Hidden::Excluded(_) => &["rules.exclude-users"],
        Hidden::NoUsername => &["mapping.username", "mapping.username-from-email"],
        Hidden::NameTakenBy(_) => return Ok(None),
        Hidden::Deactivated => {
            return Ok(find_own(records, AuditRecord::is_deactivation, "deactivated"));
        }
        Hidden::Deleted => return Ok(find_own(records, AuditRecord::is_deletion, "deleted")),
    };
    let is_wanted = |value: &&ChangedValue| settings.contains(&value.what.as_str());
    let has_setting = |record: &AuditRecord| record.changes.values.iter().any(|value| is_wanted(&value));
    let record = audit.last_of_connector(has_setting, since, until, MAX_AUDIT_RECORDS).await?;
    Ok(record.and_then(|record| {
        let what: Vec<String> = record.changes.values.iter().filter(is_wanted).map(describe).collect();
        change(&record, what.join("; "), true)
    }))
}

/// The newest record of the user that hides it. A user can be created inactive, and then only the creation is recorded.
fn find_own(
    records: &[AuditRecord],
    is_wanted: fn(&AuditRecord) -> bool,
    what: &str,
) -> Option<HidingChange> {
    match records.iter().find(|record| is_wanted(record)) {
        Some(record) => change(record, what.to_owned(), false),
        None => {
            let record = records.iter().find(|record| record.is_creation())?;
            change(record, "created".to_owned(), false)
        }
    }
}

fn describe(value: &ChangedValue) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    format!("{} from {} to {}", value.what, text(&value.from), text(&value.to))
}

fn change(record: &AuditRecord, what: String, is_setting: bool) -> Option<HidingChange> {
    Some(HidingChange {
        time: record.time.parse().ok()?,
        what,
        is_setting,
        by: record.by.clone(),
        who: record.who.clone(),
        request: record.request.clone(),
    })
}
