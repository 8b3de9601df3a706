//! The member changes of an intent, as they are stored.
//!
//! The item of the intent holds them as JSON. If they are too many for it, the first ones are in the item, and the rest in
//! items of their own, which are written before the intent. If the intent is then never written, they expire (TTL).

use std::collections::HashSet;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use shared::error::ScimError;
use shared::resource::{Member, ResourceId, ResourceKind};
use uuid::Uuid;

use crate::Directory;
use crate::dynamodb::attributes::{Item, get_number, get_text, number, text};
use crate::dynamodb::items::Progress;
use crate::dynamodb::keys;
use crate::dynamodb::table::Range;
use crate::member_changes::Change;

/// The most bytes of JSON in one item. An item holds at most 400 KB.
const MAX_PART_BYTES: usize = 250_000;
/// When items without an intent expire. The sweeper finishes an intent within minutes.
const EXPIRES_AFTER: SignedDuration = SignedDuration::from_hours(24 * 30);

/// A member change as it is stored.
#[derive(Deserialize, Serialize)]
struct StoredChange {
    #[serde(rename = "j")]
    is_join: bool,
    #[serde(rename = "g")]
    is_group: bool,
    #[serde(rename = "l", default, skip_serializing_if = "std::ops::Not::not")]
    is_local_group: bool,
    id: String,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    display: Option<String>,
}

/// The member changes of an intent, split into parts that fit into an item.
#[derive(Clone, Debug)]
pub(crate) struct StagedChanges {
    /// The id of the intent.
    pub intent: String,
    first: String,
    others: Vec<String>,
}

impl StagedChanges {
    /// Splits the changes of a new intent.
    ///
    /// # Errors
    /// Fails when a change cannot be written as JSON.
    pub fn new(changes: &[Change]) -> Result<Self, ScimError> {
        let mut parts = vec![String::new()];
        for change in changes {
            let json = serde_json::to_string(&StoredChange::from(change)).map_err(ScimError::internal)?;
            let is_full =
                parts.last().is_some_and(|part| !part.is_empty() && part.len() + json.len() > MAX_PART_BYTES);
            if is_full {
                parts.push(String::new());
            }
            if let Some(part) = parts.last_mut() {
                part.push_str(&json);
                part.push('\n');
            }
        }
        let mut parts = parts.into_iter();
        let first = parts.next().unwrap_or_default();
        Ok(Self { intent: Uuid::new_v4().simple().to_string(), first, others: parts.collect() })
    }

    /// The number of parts beside the item of the intent.
    pub fn parts(&self) -> usize {
        self.others.len()
    }

    /// The attributes of the item of the intent.
    pub(super) fn attributes(&self) -> Item {
        Item::from([
            ("intent".to_owned(), text(&self.intent)),
            ("changes".to_owned(), text(&self.first)),
            ("parts".to_owned(), number(self.others.len())),
        ])
    }
}

impl From<&Change> for StoredChange {
    fn from(change: &Change) -> Self {
        let (is_join, member) = match change {
            Change::Join(member) => (true, member),
            Change::Leave(member) => (false, member),
        };
        Self {
            is_join,
            is_group: member.kind == ResourceKind::Group,
            is_local_group: member.kind == ResourceKind::LocalGroup,
            id: member.id.to_string(),
            display: member.display.clone().filter(|_| is_join),
        }
    }
}

impl StoredChange {
    fn into_change(self) -> Option<Change> {
        let kind = match (self.is_group, self.is_local_group) {
            (true, _) => ResourceKind::Group,
            (false, true) => ResourceKind::LocalGroup,
            (false, false) => ResourceKind::User,
        };
        let member = Member { id: ResourceId::parse(&self.id)?, kind, display: self.display };
        Some(if self.is_join { Change::Join(member) } else { Change::Leave(member) })
    }
}

fn parse(part: &str) -> Result<Vec<Change>, ScimError> {
    let broken = || ScimError::internal("the changes of an intent cannot be read");
    let change = |line: &str| serde_json::from_str::<StoredChange>(line).ok()?.into_change();
    part.lines().map(|line| change(line).ok_or_else(broken)).collect()
}

impl Directory {
    /// Writes the parts that do not fit into the item of the intent.
    pub(crate) async fn write_parts(&self, staged: &StagedChanges) -> Result<(), ScimError> {
        let expires = (self.time() + EXPIRES_AFTER).as_second();
        let item = |(part, changes): (usize, &String)| {
            let mut item = keys::intent_part(&self.connector.id, &staged.intent, part).attributes();
            item.insert("changes".to_owned(), text(changes));
            item.insert("expires".to_owned(), number(expires));
            item
        };
        self.table.put_all(staged.others.iter().enumerate().map(item).collect()).await
    }

    /// Deletes the parts of an intent that ended, or never began.
    pub(crate) async fn delete_parts(&self, intent: &str, parts: usize) -> Result<(), ScimError> {
        let keys: Vec<_> =
            (0..parts).map(|part| keys::intent_part(&self.connector.id, intent, part)).collect();
        self.table.delete_all(&keys).await
    }

    /// Deletes the parts of an intent that was never written.
    pub(crate) async fn discard(&self, staged: &StagedChanges) -> Result<(), ScimError> {
        self.delete_parts(&staged.intent, staged.others.len()).await
    }

    /// Reads the changes of the intent with this item, and the number of its parts. `None` if it has ended, or is another intent.
    pub(crate) async fn changes_of(
        &self,
        item: &Item,
        intent: &str,
    ) -> Result<Option<(Vec<Change>, usize)>, ScimError> {
        if get_text(item, "intent") != Some(intent) {
            return Ok(None);
        }
        let mut changes = parse(get_text(item, "changes").unwrap_or_default())?;
        let parts = get_number(item, "parts").unwrap_or_default();
        if parts > 0 {
            let items =
                self.table.query(&keys::intent_changes(&self.connector.id, intent), &Range::All).await?;
            if items.len() != parts {
                // The intent ended, and its parts are being deleted; or they expired.
                return Ok(None);
            }
            for part in &items {
                changes.extend(parse(get_text(part, "changes").unwrap_or_default())?);
            }
        }
        Ok(Some((changes, parts)))
    }

    /// Whether a change of these members can go on while an intent is carried out: the intent will change none of them.
    pub(crate) async fn is_independent(
        &self,
        kind: ResourceKind,
        group: ResourceId,
        progress: &Progress,
        members: &HashSet<ResourceId>,
    ) -> Result<bool, ScimError> {
        if members.is_empty() {
            return Ok(true);
        }
        let Some(item) = self.table.get(&keys::intent(&self.connector.id, kind, group)).await? else {
            return Ok(false);
        };
        let Some((changes, _)) = self.changes_of(&item, &progress.intent).await? else { return Ok(false) };
        let mut left = changes.iter().skip(progress.done);
        Ok(!left.any(|change| members.contains(&change.member().id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> ResourceId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        ResourceId::from_random_bytes(bytes)
    }

    #[test]
    fn changes_are_read_as_they_were_written() {
        let member =
            |number, kind| Member { id: id(number), kind, display: Some("line\nbreak \"x\"".to_owned()) };
        let changes: Vec<Change> = (0..5_000)
            .map(|number| match number % 4 {
                0 => Change::Join(member(number, ResourceKind::User)),
                1 => Change::Join(member(number, ResourceKind::Group)),
                2 => Change::Join(member(number, ResourceKind::LocalGroup)),
                _ => Change::Leave(Member { display: None, ..member(number, ResourceKind::User) }),
            })
            .collect();
        let staged = StagedChanges::new(&changes).unwrap();
        assert!(!staged.others.is_empty());
        let mut read = Vec::new();
        for part in std::iter::once(&staged.first).chain(&staged.others) {
            assert!(part.len() <= MAX_PART_BYTES + 1);
            read.extend(parse(part).unwrap());
        }
        assert_eq!(read, changes);
    }
}
