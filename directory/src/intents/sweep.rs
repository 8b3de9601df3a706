//! The sweeper: finishes the work of requests that died.

use std::ops::AddAssign;

use futures_util::FutureExt as _;
use shared::error::{ScimError, chain};
use shared::resource::{ResourceId, ResourceKind};

use super::Intent;
use crate::Directory;
use crate::dynamodb::conditions::Requirement;
use crate::dynamodb::keys;
use crate::dynamodb::table::{Outcome, Range, concurrently};
use crate::memberships::groups_to_leave;

/// The intents that are read at once.
const INTENTS_AT_ONCE: i32 = 100;

/// The intents that a sweep found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Those that were finished.
    pub finished: usize,
    /// Those that were left, because the processes that carry them out may live.
    pub left: usize,
    /// A sentence for each that could not be finished. The next sweep tries again.
    pub failures: Vec<String>,
}

impl Swept {
    /// The number of changes that have not ended.
    pub fn open(&self) -> usize {
        self.left + self.failures.len()
    }
}

impl AddAssign for Swept {
    fn add_assign(&mut self, other: Self) {
        self.finished += other.finished;
        self.left += other.left;
        self.failures.extend(other.failures);
    }
}

impl Directory {
    /// Finishes all work whose processes count as dead. Several sweeps at once do no harm.
    ///
    /// # Errors
    /// Fails when the intents cannot be read.
    pub async fn sweep(&self) -> Result<Swept, ScimError> {
        let mut swept = Swept::default();
        let mut after = None;
        loop {
            let pk = keys::intents(&self.connector.id);
            let (items, next) =
                self.table.query_page(&pk, &Range::All, after.as_deref(), Some(INTENTS_AT_ONCE)).await?;
            let intents = items.iter().filter_map(Intent::from_item);
            let sweeps = intents.map(|intent| async move { Ok(self.sweep_one(&intent).await) }.boxed());
            for one in concurrently(sweeps.collect()).await? {
                swept += one;
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(swept),
            }
        }
    }

    async fn sweep_one(&self, intent: &Intent) -> Swept {
        let Intent { kind, id, due, .. } = intent;
        let result = if self.time() < *due { Ok(false) } else { self.finish(*kind, *id, false).await };
        match result {
            Ok(true) => Swept { finished: 1, ..Swept::default() },
            Ok(false) => Swept { left: 1, ..Swept::default() },
            Err(error) => {
                let cause = error.cause.as_ref().map(|cause| format!(" ({})", chain(cause.as_ref())));
                let (connector, kind) = (&self.connector.id, kind.name());
                let failure = format!("{connector}: {kind} {id}: {error}{}", cause.unwrap_or_default());
                Swept { failures: vec![failure], ..Swept::default() }
            }
        }
    }

    /// Finishes the work that a resource names. Returns `false` if the process that carries it out may live, or if another process
    /// was faster. With `by_force` it does not matter whether the process may live.
    pub(crate) async fn finish(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        by_force: bool,
    ) -> Result<bool, ScimError> {
        let Some(found) = self.read(kind, id).await? else {
            return self.delete_intent_of_settled(kind, id).await;
        };
        let stored = &found.stored;
        if let Some(progress) = &stored.intent {
            if self.time() < progress.due && !by_force {
                return Ok(false);
            }
            if progress.is_creation {
                self.roll_back(stored, progress).await?;
            } else {
                return self.take_over(kind, id, progress).await;
            }
        } else if let Some(leaving) = &stored.leaving {
            self.finish_leaving((kind, id), leaving, groups_to_leave(&found)).await?;
        } else if let Some(other) = stored.merged_into {
            self.finish_merge(&found, other).await?;
        } else if stored.is_deleting && !stored.is_retained {
            self.finish_deletion((kind, id), groups_to_leave(&found)).await?;
        } else {
            return self.delete_intent_of_settled(kind, id).await;
        }
        Ok(true)
    }

    /// Deletes the intent of a resource that names no work. The transaction that ends the work deletes it too, so this is for
    /// a read that was between the two, and for damage.
    async fn delete_intent_of_settled(&self, kind: ResourceKind, id: ResourceId) -> Result<bool, ScimError> {
        let mut transaction = self.transaction();
        let key = keys::resource(&self.connector.id, kind, id);
        transaction.check(&key, Requirement::is_settled())?;
        self.end_intent(&mut transaction, kind, id)?;
        Ok(self.commit(&transaction).await? == Outcome::Committed)
    }
}
