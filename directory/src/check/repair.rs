//! Repairs of what a check found. Each is one conditional transaction with its audit record.
//!
//! Clients write to the directory during a repair. So a repair first reads the versions of the resources that the violation
//! depends on, then confirms the violation, and then requires these versions in its transaction.

use shared::error::ScimError;
use shared::resource::{Member, ResourceId, ResourceKind};

use super::finding::Violation;
use super::{BucketCount, Checker, Finding, Membership};
use crate::audit::{Changes, NamedIds, Operation};
use crate::connectors::ConnectorId;
use crate::dynamodb::attributes::{boolean, get_number, number};
use crate::dynamodb::conditions::{Condition, Requirement};
use crate::dynamodb::expressions::Expression;
use crate::dynamodb::items;
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::Outcome;
use crate::dynamodb::transaction::Transaction;
use crate::member_changes::Change;

impl Checker<'_> {
    pub(super) async fn repair(self, finding: &Finding) -> Result<bool, ScimError> {
        let mut transaction = self.directory.transaction();
        let connector = self.connector();
        // The resource whose audit trail gets the record; the connector's own trail if there is none.
        let mut subject = None;
        let mut changes = Changes::of_attribute(finding.name());
        match &finding.0 {
            Violation::MissingEntry(kind, id, key) => {
                let (kind, id) = (*kind, *id);
                subject = Some((kind, id));
                changes = changes.with_value(&index_entry(connector, key), None, Some("added"));
                // If another resource has the name, an operator must rename one of the two.
                if !self.require_checked(&mut transaction, key).await?
                    || !self.add_missing_entry(&mut transaction, kind, id, key).await?
                {
                    return Ok(false);
                }
            }
            Violation::StrayEntry(key) => {
                let kind = keys::parse_index(connector, &key.pk).map(|(kind, _)| kind);
                subject = kind.zip(self.owner_of_entry(key).await?);
                changes = changes.with_value(&index_entry(connector, key), Some("stray"), None);
                if !self.require_checked(&mut transaction, key).await?
                    || !self.delete_stray_entry(&mut transaction, key).await?
                {
                    return Ok(false);
                }
            }
            Violation::StrayItem(key) => {
                changes = changes.with_value(&format!("item of {}", key.pk), Some("stray"), None);
                transaction.delete(key)?;
            }
            Violation::HalfMembership(group, member) => {
                let (group, member) = (*group, *member);
                let Membership { kinds: Some((group_kind, kind)), .. } =
                    self.membership(group, member).await?
                else {
                    return Ok(false);
                };
                subject = Some((group_kind, group));
                // Every change of a group's members increments its version, except one that removes an unseen membership.
                let group_key = self.key_of(group_kind, group);
                let Some(version) = self.version(&group_key).await? else { return Ok(false) };
                // A deletion of the member requires that it has joined no group meanwhile, and this requires that it is not deleted.
                let Some(member_version) = self.version(&self.key_of(kind, member)).await? else {
                    return Ok(false);
                };
                let change = Change::Join(Member { id: member, kind, display: None });
                changes = changes.with_members([&change].into_iter());
                let joining = change.joining_group().into_iter();
                // Without one side, a search for circles can have missed the membership.
                let Ok(guard) = self.directory.nesting().guard(group, joining).await else {
                    return Ok(false);
                };
                if let Some(guard) = guard {
                    guard.write(&mut transaction, group, std::slice::from_ref(&change), false)?;
                }
                if !self.is_violated(&finding.0).await? {
                    return Ok(false);
                }
                let next_version = Expression::new("ADD version :one").with(":one", number(1));
                transaction.update(&group_key, next_version, Some(Requirement::is_unchanged(version)))?;
                let join = items::join(kind, group);
                transaction.update(
                    &self.key_of(kind, member),
                    join,
                    Some(Requirement::is_unchanged(member_version)),
                )?;
                let side = keys::group_side(connector, group, member);
                transaction.put(items::from_member(&side, &Member { id: member, kind, display: None }))?;
                transaction.put(keys::member_side(connector, kind, member, group).attributes())?;
            }
            Violation::DanglingMembership(group, member) => {
                for kind in ResourceKind::MEMBERS {
                    self.require_version(&mut transaction, kind, *member).await?;
                }
                let Membership { sides, kinds: None } = self.membership(*group, *member).await? else {
                    return Ok(false);
                };
                let mut group_kind = ResourceKind::Group;
                for kind in ResourceKind::WITH_MEMBERS {
                    if self.version(&self.key_of(kind, *group)).await?.is_some() {
                        group_kind = kind;
                    }
                }
                subject = Some((group_kind, *group));
                changes = changes.with_removed(NamedIds::of([*member].into_iter()));
                for side in sides {
                    transaction.delete(&side)?;
                }
            }
            Violation::UnfinishedWork(kind, id) => {
                self.directory.record(&mut transaction, Operation::Repair, *kind, *id, &changes)?;
                self.directory.commit(&transaction).await?;
                return self.directory.finish(*kind, *id, true).await;
            }
            Violation::WrongCount(kind, bucket) => {
                let kind = *kind;
                let Some(BucketCount { stored, actual }) = self.recount(kind, *bucket).await? else {
                    return Ok(false);
                };
                if stored == actual {
                    return Ok(false);
                }
                let what = format!("count of {} {bucket:02x}", kind.name());
                changes = changes.with_value(&what, Some(&count(kind, stored)), Some(&count(kind, actual)));
                let update = match kind {
                    ResourceKind::User => {
                        Expression::new("SET n = :n, active = :active").with(":active", number(actual.1))
                    }
                    _ => Expression::new("SET n = :n"),
                };
                let key = keys::count(connector, kind, *bucket);
                let update = update.with(":n", number(actual.0));
                transaction.update(&key, update, Some(Requirement::count_is_unchanged(stored)))?;
            }
            Violation::WrongActive(id) => {
                let user = self.directory.user(*id).await?.stored.resource;
                subject = Some((user.kind, user.id));
                // The copy is the opposite, or it is missing.
                let is_active = user.is_active();
                let (from, to) = ((!is_active).to_string(), is_active.to_string());
                changes = changes.with_value("active in the item", Some(&from), Some(&to));
                let update =
                    Expression::new("SET active = :active").with(":active", boolean(user.is_active()));
                let is_unchanged = Requirement::is_unchanged(user.version);
                transaction.update(&self.key_of(user.kind, user.id), update, Some(is_unchanged))?;
            }
            Violation::UnmarkedGroup(id) => {
                subject = Some((ResourceKind::Group, *id));
                changes = changes.with_value("nested", None, Some("true"));
                let key = self.key_of(ResourceKind::Group, *id);
                transaction.update(&key, items::mark_nested(), Some(Requirement::stays(*id)))?;
            }
            Violation::Unreadable(..) => return Ok(false),
        }
        match subject {
            Some((kind, id)) => {
                self.directory.record(&mut transaction, Operation::Repair, kind, id, &changes)?
            }
            None => self.directory.record_of_connector(&mut transaction, Operation::Repair, &changes)?,
        }
        Ok(self.directory.commit(&transaction).await? == Outcome::Committed)
    }

    /// Adds an index entry that a resource lacks to a transaction. Returns `false` if the resource does not require it (any
    /// more).
    pub(crate) async fn add_missing_entry(
        self,
        transaction: &mut Transaction,
        kind: ResourceKind,
        id: ResourceId,
        key: &Key,
    ) -> Result<bool, ScimError> {
        let Some((entry, version)) = self.required_entry(kind, id, key).await? else { return Ok(false) };
        transaction.check(&self.key_of(kind, id), Requirement::is_unchanged(version))?;
        let (index, value) = (entry.index.clone(), entry.value.clone());
        transaction.put_new(entry.item(self.connector(), kind, id), Condition::IsUnique { index, value })?;
        Ok(true)
    }

    /// Adds the deletion of an index entry to a transaction. Returns `false` if its resource requires the entry.
    pub(crate) async fn delete_stray_entry(
        self,
        transaction: &mut Transaction,
        key: &Key,
    ) -> Result<bool, ScimError> {
        let owner = self.owner_of_entry(key).await?;
        let kind = keys::parse_index(self.connector(), &key.pk).map(|(kind, _)| kind);
        if let Some((kind, id)) = kind.zip(owner) {
            self.require_version(transaction, kind, id).await?;
        }
        let is_stray = self.is_stray(key).await?;
        if is_stray {
            transaction.delete_if(key, Requirement::entry_is_unchanged(owner))?;
        }
        Ok(is_stray)
    }

    /// Adds the requirement that the connector's indexes stay as they are, so that a repair does not undo a build or a removal
    /// of an index that began meanwhile. Returns `false` if a check does not look at the entry's index any more.
    async fn require_checked(self, transaction: &mut Transaction, entry: &Key) -> Result<bool, ScimError> {
        let Some(revision) = self.is_still_checked(entry).await? else { return Ok(false) };
        transaction.check(&keys::connector(self.connector()), Requirement::record_is_unchanged(revision))?;
        Ok(true)
    }

    /// Adds the requirement that a resource has the same version as now, or does not exist as now.
    async fn require_version(
        self,
        transaction: &mut Transaction,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<(), ScimError> {
        let key = self.key_of(kind, id);
        let version = self.version(&key).await?;
        transaction.check(&key, Requirement::has_version(version))
    }

    async fn version(self, key: &Key) -> Result<Option<u64>, ScimError> {
        Ok(self.directory.table.get(key).await?.and_then(|item| get_number(&item, "version")))
    }
}

/// The index of an entry. The value in the entry's key can be personal data, so it is left out.
fn index_entry(connector: &ConnectorId, key: &Key) -> String {
    match keys::parse_index(connector, &key.pk) {
        Some((kind, index)) => format!("entry of index {}.{index}", kind.name()),
        None => format!("entry of {}", key.pk),
    }
}

/// A count: of all resources, and for users of the active ones.
fn count(kind: ResourceKind, (resources, active): (i64, i64)) -> String {
    match kind {
        ResourceKind::User => format!("{resources}, {active} active"),
        _ => resources.to_string(),
    }
}
