//! Carrying out the member changes of an intent, transaction by transaction.

use std::collections::{BTreeSet, HashSet};

use shared::error::ScimError;
use shared::resource::{Resource, ResourceId, ResourceKind};
use uuid::Uuid;

use crate::Directory;
use crate::dynamodb::attributes::{Item, get_text};
use crate::dynamodb::conditions::{Condition, Requirement};
use crate::dynamodb::expressions::Update;
use crate::dynamodb::items::{self, Progress};
use crate::dynamodb::keys;
use crate::dynamodb::table::{Backoff, Outcome};
use crate::dynamodb::transaction::Transaction;
use crate::index::Entry;
use crate::member_changes::Change;
use crate::resources::unexpected_refusal;

/// The member changes of an intent that this process owns.
#[derive(Debug)]
pub(crate) struct Work {
    /// The group as the first transaction wrote it.
    pub group: Resource,
    /// How far the changes are carried out.
    pub progress: Progress,
    /// All changes.
    pub changes: Vec<Change>,
    /// The number of items with changes beside the item of the intent.
    pub parts: usize,
}

/// How the work of a process ended.
pub(crate) enum Ended {
    /// All changes are carried out, except those of members who were deleted or deactivated meanwhile.
    Done {
        /// The members who did not join.
        skipped: HashSet<ResourceId>,
        /// The number of transactions.
        transactions: u64,
    },
    /// Another process took the work over, or the group was deleted.
    Lost,
}

impl Directory {
    /// Makes the progress of a new intent, which this process owns.
    pub(crate) fn new_progress(&self, intent: &str, done: usize, is_creation: bool) -> Progress {
        Progress { intent: intent.to_owned(), owner: new_owner(), done, due: self.due(), is_creation }
    }

    /// Carries out what is left of the work, and ends the intent. No client's condition is checked here: a member who was
    /// deleted or deactivated meanwhile is skipped.
    pub(crate) async fn carry_out(&self, work: &Work) -> Result<Ended, ScimError> {
        let Work { group, progress, changes, parts } = work;
        let mut done = progress.done;
        let mut skipped = HashSet::new();
        let mut transactions = 0;
        loop {
            let mut transaction = self.transaction();
            let position = {
                let rest = changes.get(done..).unwrap_or_default();
                done + self.memberships().fill(&mut transaction, group.id, rest, &skipped, 1)?
            };
            let written = changes.get(done..position).unwrap_or_default();
            let is_last =
                position >= changes.len() && self.end_work(&mut transaction, work, written, &skipped)?;
            if !is_last {
                if progress.is_creation {
                    transaction.hide();
                }
                let mut update = items::advance_intent(position, self.due());
                if !progress.is_creation {
                    update = update.and(self.memberships().next_group_version());
                }
                self.update_owned(&mut transaction, work, update)?;
            }
            match self.commit(&transaction).await? {
                Outcome::Committed if is_last => {
                    if let Err(error) = self.delete_parts(&progress.intent, *parts).await {
                        tracing::debug!(%error, "the changes of a finished intent remain until they expire");
                    }
                    return Ok(Ended::Done { skipped, transactions: transactions + 1 });
                }
                Outcome::Committed => {
                    done = position;
                    transactions += 1;
                }
                Outcome::Refused(failed) if failed.contains(&Condition::OwnsIntent) => {
                    return Ok(Ended::Lost);
                }
                Outcome::Refused(failed) => {
                    let count = skipped.len();
                    skipped.extend(failed.iter().filter_map(|failed| match failed {
                        Condition::MayBeMember(id) | Condition::Stays(id) => Some(*id),
                        _ => None,
                    }));
                    if skipped.len() == count {
                        return Err(unexpected_refusal(&failed));
                    }
                }
            }
        }
    }

    /// Adds what ends the intent to a transaction, which also writes the changes `written`. The members in `skipped` did not join.
    /// Returns `false` when it does not fit.
    fn end_work(
        &self,
        transaction: &mut Transaction,
        work: &Work,
        written: &[Change],
        skipped: &HashSet<ResourceId>,
    ) -> Result<bool, ScimError> {
        let Work { group, progress, .. } = work;
        let (kind, id) = (group.kind, group.id);
        let entries: Vec<Entry> = if progress.is_creation {
            self.index_entries(group)?.into_iter().filter(|entry| !entry.is_unique).collect()
        } else {
            Vec::new()
        };
        // The group, the intent, the guard of nesting, the count and the audit record.
        if transaction.remaining_items() < entries.len() + 5 {
            return Ok(false);
        }
        let update = if progress.is_creation {
            items::end_creation()
        } else {
            items::without_intent().and(self.memberships().next_group_version())
        };
        self.update_owned(transaction, work, update)?;
        self.end_intent(transaction, kind, id)?;
        let may_nest =
            work.changes.is_empty() || work.changes.iter().any(|change| change.joining_group().is_some());
        if kind == ResourceKind::Group && may_nest {
            self.nesting().end_intent(transaction, id, written)?;
        }
        if progress.is_creation {
            for entry in &entries {
                transaction.put(entry.item(&self.connector.id, kind, id))?;
            }
            self.count_created(transaction, group)?;
            let joined = work.changes.iter().filter(|change| !skipped.contains(&change.member().id));
            self.record_creation(transaction, group, joined)?;
        }
        Ok(true)
    }

    fn update_owned(
        &self,
        transaction: &mut Transaction,
        Work { group, progress, .. }: &Work,
        update: Update,
    ) -> Result<(), ScimError> {
        let key = keys::resource(&self.connector.id, group.kind, group.id);
        transaction.update(&key, update, Some(Requirement::owns_intent(&progress.owner)))
    }

    /// Waits until an intent has ended, or carries out what is left of it if its owner is dead.
    ///
    /// # Errors
    /// 429 when it has not ended at the deadline.
    pub(crate) async fn complete_intent(
        &self,
        kind: ResourceKind,
        group: ResourceId,
        intent: &str,
    ) -> Result<(), ScimError> {
        let mut backoff = self.table.backoff();
        while let Some(progress) =
            self.progress(kind, group).await?.filter(|progress| progress.intent == intent)
        {
            self.wait_or_take_over(kind, group, &progress, &mut backoff).await?;
        }
        Ok(())
    }

    /// Waits for a moment if the owner of an intent lives, and otherwise carries out what is left.
    pub(crate) async fn wait_or_take_over(
        &self,
        kind: ResourceKind,
        group: ResourceId,
        progress: &Progress,
        backoff: &mut Backoff,
    ) -> Result<(), ScimError> {
        if self.time() < progress.due {
            return backoff.wait().await;
        }
        self.take_over(kind, group, progress).await.map(drop)
    }

    /// Becomes the owner of an intent whose owner is dead, and carries out what is left. Returns `false` when another process
    /// was faster.
    pub(crate) async fn take_over(
        &self,
        kind: ResourceKind,
        group: ResourceId,
        progress: &Progress,
    ) -> Result<bool, ScimError> {
        let Some(owner) = self.take(kind, group, progress).await? else { return Ok(false) };
        // The old owner can have made progress before it lost the work. Both items are read at one moment: the first transaction
        // may just be committed, and only a part of it be visible.
        let (item, intent) = self.with_intent(kind, group).await?;
        let Some(stored) = item.map(|item| items::to_stored(kind, &item)).transpose()? else {
            return Ok(false);
        };
        let Some(progress) = stored.intent.filter(|progress| progress.owner == owner) else {
            return Ok(false);
        };
        let found = match intent {
            Some(intent) => self.changes_of(&intent, &progress.intent).await?,
            None => None,
        };
        let (changes, parts) = found.unwrap_or_else(|| {
            // The group must not wait for ever. `check` finds what is wrong with its memberships.
            tracing::error!(kind = kind.name(), %group, "the table lost the changes of an intent; it ends without them");
            (Vec::new(), 0)
        });
        let work = Work { group: stored.resource, progress, changes, parts };
        Ok(matches!(self.carry_out(&work).await?, Ended::Done { .. }))
    }

    /// Makes this process the owner of an intent. The process that carried it out changes nothing more. Returns the id of the new
    /// owner, or `None` when another process was faster.
    pub(crate) async fn take(
        &self,
        kind: ResourceKind,
        group: ResourceId,
        progress: &Progress,
    ) -> Result<Option<String>, ScimError> {
        let mut transaction = self.transaction();
        let key = keys::resource(&self.connector.id, kind, group);
        let owner = new_owner();
        let requirement = Requirement::owns_intent(&progress.owner);
        transaction.update(&key, items::take_intent(&owner, self.due()), Some(requirement))?;
        Ok((self.commit(&transaction).await? == Outcome::Committed).then_some(owner))
    }

    /// Reads the items of a resource and of its intent as they are at one moment.
    pub(crate) async fn with_intent(
        &self,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<(Option<Item>, Option<Item>), ScimError> {
        let intent = keys::intent(&self.connector.id, kind, id);
        let both = BTreeSet::from([keys::resource(&self.connector.id, kind, id), intent.clone()]);
        let items = self.table.get_at_once(&both).await?.into_iter();
        let (mut intents, mut resources): (Vec<Item>, Vec<Item>) =
            items.partition(|item| get_text(item, "pk") == Some(intent.pk.as_str()));
        Ok((resources.pop(), intents.pop()))
    }

    /// Reads how far the intent of a group is carried out.
    pub(crate) async fn progress(
        &self,
        kind: ResourceKind,
        group: ResourceId,
    ) -> Result<Option<Progress>, ScimError> {
        let item = self.table.get(&keys::resource(&self.connector.id, kind, group)).await?;
        Ok(item.as_ref().and_then(items::to_progress))
    }
}

fn new_owner() -> String {
    Uuid::new_v4().simple().to_string()
}
