//! The check of a directory's invariants, and repairs.
//!
//! A check reads all items once and collects suspects. Other writers change the directory meanwhile, so it then reads the
//! items of each suspect again before it reports it. Repairs are conditional, like all writes, and leave audit records.

mod finding;
mod repair;
mod survey;

pub use finding::Finding;

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::SignedDuration;
use shared::error::ScimError;
use shared::resource::{ResourceId, ResourceKind};
use tokio::time::sleep;

use crate::Directory;
use crate::connectors::{Connector, ConnectorId, IndexState};
use crate::dynamodb::attributes::{Item, get_number};
use crate::dynamodb::items::{self, Stored};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::{Range, Table, concurrently};
use crate::index::{self, Entry};
use crate::intents::Intent;
use crate::settings::OnDeactivate;
use finding::Violation;
use survey::Survey;

/// The sweeper finishes interrupted work within two minutes. After this time the check reports it.
const OVERDUE: SignedDuration = SignedDuration::from_mins(5);
/// The pause after each page of every segment. A page of 1 MB costs 128 read units if it need not be the newest, so a scan uses
/// about 1,000 units a second, a third of what one partition has. If DynamoDB throttles it, it waits longer.
const PAUSE: Duration = Duration::from_millis(500);
/// The segments of the table that are read at the same time.
const SEGMENTS: i32 = 4;

impl Directory {
    /// Checks the whole directory. `passed` is called with the number of items that were read.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn check(&self, passed: impl Fn(u64) + Sync) -> Result<Vec<Finding>, ScimError> {
        Checker { directory: self }.check(passed).await
    }

    /// Repairs a finding. Returns `false` when it cannot be repaired, or when another writer was faster.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn repair(&self, finding: &Finding) -> Result<bool, ScimError> {
        Checker { directory: self }.repair(finding).await
    }
}

/// Checks and repairs the items of one directory.
#[derive(Clone, Copy)]
pub(crate) struct Checker<'d> {
    directory: &'d Directory,
}

impl<'d> Checker<'d> {
    /// The checker of a directory.
    pub fn new(directory: &'d Directory) -> Self {
        Self { directory }
    }

    async fn check(self, passed: impl Fn(u64) + Sync) -> Result<Vec<Finding>, ScimError> {
        let mut survey = Survey::new(self);
        let prefix = keys::partitions_prefix(self.connector());
        self.directory.table.read_all(&prefix, passed, |item| survey.take(item)).await?;
        let suspects = survey.suspects(self.directory.settings().on_deactivate);
        let confirmations = suspects.into_iter().map(|violation| {
            async move { Ok(self.is_violated(&violation).await?.then_some(Finding(violation))) }.boxed()
        });
        Ok(concurrently(confirmations.collect()).await?.into_iter().flatten().collect())
    }

    fn connector(self) -> &'d ConnectorId {
        &self.directory.connector.id
    }

    /// Reads the items of one violation again.
    async fn is_violated(self, violation: &Violation) -> Result<bool, ScimError> {
        Ok(match violation {
            Violation::MissingEntry(kind, id, key) => {
                self.is_still_checked(key).await?.is_some()
                    && self.owner_of_entry(key).await? != Some(*id)
                    && self.required_entry(*kind, *id, key).await?.is_some()
            }
            Violation::StrayEntry(key) => {
                self.is_still_checked(key).await?.is_some() && self.is_stray(key).await?
            }
            Violation::HalfMembership(group, member) if !self.is_changing(*group, *member).await? => {
                let membership = self.membership(*group, *member).await?;
                membership.kinds.is_some() && membership.sides.len() == 1
            }
            Violation::DanglingMembership(group, member) if !self.is_changing(*group, *member).await? => {
                let membership = self.membership(*group, *member).await?;
                membership.kinds.is_none() && !membership.sides.is_empty()
            }
            // The work that is being carried out will end this.
            Violation::HalfMembership(..) | Violation::DanglingMembership(..) => false,
            Violation::UnfinishedWork(kind, id) => {
                // Both at one moment: the work may just end or begin.
                let (resource, intent) = self.directory.with_intent(*kind, *id).await?;
                let stored = resource.map(|item| items::to_stored(*kind, &item)).transpose()?;
                match intent.map(|item| Intent::from_item(&item)) {
                    Some(intent) => intent.is_none_or(|intent| self.is_overdue(&intent)),
                    None => stored.is_some_and(|stored| stored.has_intent()),
                }
            }
            Violation::WrongCount(kind, bucket) => {
                self.recount(*kind, *bucket).await?.is_some_and(|count| count.stored != count.actual)
            }
            Violation::WrongActive(id) => {
                let Some(item) = self.directory.table.get(&self.key_of(ResourceKind::User, *id)).await?
                else {
                    return Ok(false);
                };
                let stored = items::to_stored(ResourceKind::User, &item)?;
                !stored.is_deleting && items::stored_active(&item) != Some(stored.resource.is_active())
            }
            Violation::UnmarkedGroup(id) => {
                let Some(item) = self.directory.table.get(&self.key_of(ResourceKind::Group, *id)).await?
                else {
                    return Ok(false);
                };
                let stored = items::to_stored(ResourceKind::Group, &item)?;
                let is_marked = stored.is_deleting || stored.is_nested;
                !is_marked
                    && !self.directory.memberships().groups_of(ResourceKind::Group, *id).await?.is_empty()
            }
            Violation::Unreadable(kind, key, _) => self.read_error(*kind, key).await?.is_some(),
            Violation::StrayItem(key) => self.directory.table.get(key).await?.is_some(),
        })
    }

    /// Reads the intent of a resource.
    async fn intent(self, kind: ResourceKind, id: ResourceId) -> Result<Option<Intent>, ScimError> {
        let item = self.directory.table.get(&keys::intent(self.connector(), kind, id)).await?;
        Ok(item.as_ref().and_then(Intent::from_item))
    }

    /// Whether the work of an intent should have been finished long ago.
    fn is_overdue(self, intent: &Intent) -> bool {
        self.directory.time().duration_since(intent.since) > OVERDUE
    }

    /// Whether work on a group or its member is being carried out.
    async fn is_changing(self, group: ResourceId, member: ResourceId) -> Result<bool, ScimError> {
        let groups = ResourceKind::WITH_MEMBERS.into_iter().map(|kind| (kind, group));
        let members = ResourceKind::MEMBERS.map(|kind| (kind, member));
        for (kind, id) in groups.chain(members) {
            if self.intent(kind, id).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether an index entry exists and its resource does not require it.
    async fn is_stray(self, key: &Key) -> Result<bool, ScimError> {
        let Some(id) = self.owner_of_entry(key).await? else {
            return Ok(self.directory.table.get(key).await?.is_some());
        };
        let Some((kind, _)) = keys::parse_index(self.connector(), &key.pk) else { return Ok(true) };
        // The entries that an unreadable resource requires are unknown.
        Ok(self.read_error(kind, &self.key_of(kind, id)).await?.is_none()
            && self.required_entry(kind, id, key).await?.is_none())
    }

    /// Reads the connector again, because its indexes can have changed since the check began. Returns the revision of its
    /// record if a check still looks at the index of this entry.
    async fn is_still_checked(self, entry: &Key) -> Result<Option<u64>, ScimError> {
        let connector = self.directory.table.connector(self.connector()).await?;
        let Some(connector) = connector else { return Ok(None) };
        let index = keys::parse_index(self.connector(), &entry.pk);
        let is_checked = index.is_none_or(|(kind, index)| self.checks_index(&connector, kind, index));
        Ok(is_checked.then_some(connector.revision))
    }

    /// Whether a check looks at the entries of an index: not while it is being built or removed, and not if only a newer
    /// version knows it.
    fn checks_index(self, connector: &Connector, kind: ResourceKind, index: &str) -> bool {
        let schema = self.directory.schemas.of(kind);
        let usernames = connector.record.indexes.usernames(&connector.record.settings.mapping);
        let is_known = index::names(schema).any(|known| known == index)
            || (kind == ResourceKind::User && usernames.contains(index));
        match connector.record.indexes.state(schema, index) {
            Some(state) => is_known && state == IndexState::Ready,
            None => !is_known || index == index::ACTIVE,
        }
    }

    fn key_of(self, kind: ResourceKind, id: ResourceId) -> Key {
        keys::resource(self.connector(), kind, id)
    }

    /// Reads a resource from its item, and the index entries that it requires.
    fn parse(self, kind: ResourceKind, item: &Item) -> Result<(Stored, BTreeSet<Entry>), ScimError> {
        let stored = items::to_stored(kind, item)?;
        let entries = self.directory.entries(&stored.resource);
        Ok((stored, entries))
    }

    /// Why the item of a resource cannot be read; `None` if it can be, or does not exist.
    async fn read_error(self, kind: ResourceKind, key: &Key) -> Result<Option<ScimError>, ScimError> {
        Ok(self.directory.table.get(key).await?.and_then(|item| self.parse(kind, &item).err()))
    }

    /// The resource at which an index entry points.
    pub(crate) async fn owner_of_entry(self, entry: &Key) -> Result<Option<ResourceId>, ScimError> {
        Ok(self.directory.table.get(entry).await?.and_then(|item| items::indexed_id(&item)))
    }

    /// The index entry with this key and the resource's version, if the resource exists and requires the entry.
    async fn required_entry(
        self,
        kind: ResourceKind,
        id: ResourceId,
        entry: &Key,
    ) -> Result<Option<(Entry, u64)>, ScimError> {
        let Some(item) = self.directory.table.get(&self.key_of(kind, id)).await? else { return Ok(None) };
        let (stored, mut entries) = self.parse(kind, &item)?;
        if stored.is_being_created() {
            entries.retain(|entry| entry.is_unique);
        } else if stored.is_deleting {
            return Ok(None);
        }
        let required = entries.into_iter().find(|one| one.key(self.connector(), kind, id) == *entry);
        Ok(required.map(|entry| (entry, stored.resource.version)))
    }

    async fn membership(self, group: ResourceId, member: ResourceId) -> Result<Membership, ScimError> {
        let connector = self.connector();
        let member_kinds = ResourceKind::MEMBERS;
        let mut possible = vec![keys::group_side(connector, group, member)];
        possible.extend(member_kinds.map(|kind| keys::member_side(connector, kind, member, group)));
        let mut sides = Vec::new();
        for side in possible {
            sides.extend(self.directory.table.get(&side).await?.map(|_| side));
        }
        let mut ends = (None, None);
        for kind in ResourceKind::ALL {
            for (id, end) in [(group, &mut ends.0), (member, &mut ends.1)] {
                let Some(item) = self.directory.table.get(&self.key_of(kind, id)).await? else { continue };
                let may_have_it = |stored: &Stored| {
                    !stored.is_deleting
                        && (kind != ResourceKind::User
                            || stored.resource.is_active()
                            || self.directory.settings().on_deactivate == OnDeactivate::KeepGroups)
                };
                // A resource that cannot be read exists.
                if items::to_stored(kind, &item).as_ref().map_or(true, may_have_it) {
                    *end = Some(kind);
                }
            }
        }
        let group_kind = ends.0.filter(|kind| *kind != ResourceKind::User);
        let kinds = group_kind.zip(ends.1);
        let kinds = kinds.filter(|(group, member)| group.kinds_of_members().contains(member));
        Ok(Membership { sides, kinds })
    }

    /// Counts a bucket; `None` when a resource in it cannot be read.
    async fn recount(self, kind: ResourceKind, bucket: u8) -> Result<Option<BucketCount>, ScimError> {
        let item =
            self.directory.table.get(&keys::count(self.connector(), kind, bucket)).await?.unwrap_or_default();
        let stored = (signed(&item, "n"), signed(&item, "active"));
        let pk = keys::resources(self.connector(), kind);
        let mut actual = (0, 0);
        for item in self.directory.table.query(&pk, &Range::Prefix(keys::bucket_start(bucket))).await? {
            let Some((_, None)) = items::ids(&item) else { continue };
            let Ok((resource, _)) = self.parse(kind, &item) else { return Ok(None) };
            if !resource.is_deleting {
                let is_active = kind == ResourceKind::User && resource.resource.is_active();
                actual = (actual.0 + 1, actual.1 + i64::from(is_active));
            }
        }
        Ok(Some(BucketCount { stored, actual }))
    }
}

/// A membership as it is stored.
struct Membership {
    /// The sides that exist.
    sides: Vec<Key>,
    /// The kinds of group and member, if both exist and may have the membership.
    kinds: Option<(ResourceKind, ResourceKind)>,
}

/// The counts of a bucket: all resources, and the active users among them.
struct BucketCount {
    stored: (i64, i64),
    actual: (i64, i64),
}

impl Table {
    /// Reads all items of the partitions with this prefix, in no order. `passed` is called with the number of items that
    /// were read. It reads slowly, because clients use the same partitions.
    pub(crate) async fn read_all(
        &self,
        prefix: &str,
        passed: impl Fn(u64) + Sync,
        mut take: impl FnMut(&Item),
    ) -> Result<(), ScimError> {
        let mut places: Vec<(i32, Option<Key>)> = (0..SEGMENTS).map(|segment| (segment, None)).collect();
        while !places.is_empty() {
            let reads = places.into_iter().map(|(segment, after)| {
                async move { Ok((segment, self.scan_page(segment, SEGMENTS, prefix, after).await?)) }.boxed()
            });
            let pages = concurrently(reads.collect()).await?;
            places = Vec::new();
            for (segment, (items, next)) in pages {
                passed(items.len() as u64);
                items.iter().for_each(&mut take);
                places.extend(next.map(|next| (segment, Some(next))));
            }
            if !places.is_empty() {
                sleep(PAUSE).await;
            }
        }
        Ok(())
    }
}

fn signed(item: &Item, name: &str) -> i64 {
    get_number(item, name).unwrap_or_default()
}
