//! Changes that need more than one transaction, which nothing may leave half-done.
//!
//! Everything that can refuse such a change is in its first transaction. That transaction also writes an *intent*: an item
//! that says what is left to do. What follows cannot be refused, only delayed. The last transaction deletes the intent. If
//! the process dies in between, the next request for the resource (or for the name of a group that is being created) or the
//! [sweeper](sweep) finishes the work.
//!
//! | intent | named in the resource by | what is left to do |
//! | --- | --- | --- |
//! | deletion | `going` | to remove all memberships, and the item last |
//! | merge of a local user | `going`, `merged_into` | to move its local groups and roles to another user, then the deletion |
//! | leaving | `leaving` | to remove a deactivated (or retained) user from all groups |
//! | member changes | `intent` | the changes that the intent lists |
//! | creation of a group | `creating` | the same; the group is invisible until then |
//!
//! Several processes can carry out a deletion, a merge or a leaving at once without harm. The changes of members have an order: a
//! member whom the intent adds may be removed by the next request. So member changes and creations have one owner, each of
//! their transactions requires it, and each also counts the changes that are done. Another process takes the work over by
//! changing the owner. It tries this only after the time that the intent names. If its clock is ahead, it takes the work from
//! a process that lives, which then changes nothing more: every transaction requires the owner. An incomplete creation is not
//! continued but rolled back, so that the client can repeat its request.

mod changes;
mod sweep;
mod work;

pub use sweep::Swept;

pub(crate) use changes::StagedChanges;
pub(crate) use work::{Ended, Work};

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::error::ScimError;
use shared::resource::{ResourceId, ResourceKind};

use crate::Directory;
use crate::dynamodb::attributes::{Item, get_number, get_text, number, text};
use crate::dynamodb::conditions::{Condition, Requirement};
use crate::dynamodb::items;
use crate::dynamodb::keys;
use crate::dynamodb::table::Outcome;
use crate::dynamodb::transaction::Transaction;
use crate::memberships::{GroupToLeave, learn_versions};
use crate::resources::unexpected_refusal;

/// After this time without progress, the process that carries out an intent counts as dead.
pub(crate) const LEASE: Duration = Duration::from_secs(6);

/// An intent of a resource, as the sweeper and the check find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub kind: ResourceKind,
    pub id: ResourceId,
    /// When the work began.
    pub since: Timestamp,
    /// When the process that began it counts as dead, unless the resource names a later time.
    pub due: Timestamp,
}

impl Intent {
    /// Reads an intent from its item.
    pub(crate) fn from_item(item: &Item) -> Option<Self> {
        let (kind, id) = keys::parse_intent(get_text(item, "sk")?)?;
        let since = get_text(item, "since")?.parse().ok()?;
        let due = Timestamp::from_millisecond(get_number(item, "due")?).ok()?;
        Some(Self { kind, id, since, due })
    }
}

impl Directory {
    /// The time after which a process that begins or continues work now counts as dead.
    pub(crate) fn due(&self) -> Timestamp {
        self.time() + SignedDuration::try_from(LEASE).unwrap_or_default()
    }

    /// Adds the intent of a resource to the first transaction of its work. `staged` are the changes of its members.
    pub(crate) fn write_intent(
        &self,
        transaction: &mut Transaction,
        kind: ResourceKind,
        id: ResourceId,
        staged: Option<&StagedChanges>,
    ) -> Result<(), ScimError> {
        let mut item = keys::intent(&self.connector.id, kind, id).attributes();
        item.insert("since".to_owned(), text(self.time().to_string()));
        item.insert("due".to_owned(), number(self.due().as_millisecond()));
        item.extend(staged.map(StagedChanges::attributes).unwrap_or_default());
        transaction.put(item)
    }

    /// Adds the deletion of a resource's intent to the last transaction of its work.
    pub(crate) fn end_intent(
        &self,
        transaction: &mut Transaction,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<(), ScimError> {
        transaction.delete(&keys::intent(&self.connector.id, kind, id))
    }

    /// Removes a member from groups, and then ends the change `leaving` because of which it leaves them. Does nothing if that
    /// change has ended.
    pub(crate) async fn finish_leaving(
        &self,
        member: (ResourceKind, ResourceId),
        leaving: &str,
        groups: Vec<GroupToLeave>,
    ) -> Result<(), ScimError> {
        let key = keys::resource(&self.connector.id, member.0, member.1);
        self.leave(member, groups, |transaction, is_last| {
            let is_leaving = Requirement::is_leaving(leaving);
            if !is_last {
                return transaction.check(&key, is_leaving);
            }
            transaction.update(&key, items::end_leaving(), Some(is_leaving))?;
            self.end_intent(transaction, member.0, member.1)
        })
        .await
    }

    /// Removes a member from groups, in as many transactions as are necessary. `complete` adds at most two more items to each; its
    /// second argument says whether the transaction is the last one. Stops when [`Condition::OwnsIntent`] fails.
    pub(crate) async fn leave(
        &self,
        member: (ResourceKind, ResourceId),
        mut groups: Vec<GroupToLeave>,
        complete: impl Fn(&mut Transaction, bool) -> Result<(), ScimError>,
    ) -> Result<(), ScimError> {
        loop {
            let mut transaction = self.transaction();
            let count = self.memberships().fill_leaving(&mut transaction, member, &groups, 2)?;
            let is_last = count == groups.len();
            complete(&mut transaction, is_last)?;
            match self.commit(&transaction).await? {
                Outcome::Committed if is_last => return Ok(()),
                Outcome::Committed => drop(groups.drain(..count)),
                Outcome::Refused(failed) if failed.contains(&Condition::OwnsIntent) => return Ok(()),
                Outcome::Refused(failed) if learn_versions(&mut groups, &failed) => {}
                Outcome::Refused(failed) => return Err(unexpected_refusal(&failed)),
            }
        }
    }
}
