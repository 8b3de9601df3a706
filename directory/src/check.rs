//! What must be true of a directory whatever happened to it, looked for in all of it: each index entry has its resource
//! and the reverse, memberships stand on both sides and between those who are there, counts equal what they count.
//! What is not so is looked at again before it is said, since others write meanwhile; and can be repaired.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use futures_util::FutureExt as _;
use sha2::{Digest, Sha256};

use crate::Directory;
use crate::dynamodb::item::{self, Stored, number};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::{Item, Outcome, Range, Table, concurrently};
use crate::dynamodb::transaction::Expression;
use crate::index::{self, Entry};
use crate::resources::{is_staying, is_version, true_value};
use crate::settings::OnDeactivate;
use shared::error::{ScimError, chain};
use shared::resource::{Member, ResourceId, ResourceKind};

/// Parts of the table that are read at the same time.
const SEGMENTS: i32 = 4;

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// A resource lacks this index entry, so a filter does not find it.
    MissingEntry(ResourceKind, ResourceId, Key),
    /// An index entry points at nobody, or at one who does not have that value.
    StrayEntry(Key),
    /// A membership, of this group and this member, stands on one side only.
    HalfMembership(ResourceId, ResourceId),
    /// A membership, of this group and this member, one of whom is not there, or is deactivated.
    DanglingMembership(ResourceId, ResourceId),
    /// A deletion that began and did not end.
    UnfinishedDeletion(ResourceKind, ResourceId),
    /// The count of those whose ids begin with this byte is not what it counts.
    WrongCount(ResourceKind, u8),
    /// A user whose item says otherwise than its document whether it is active.
    WrongActive(ResourceId),
    /// A group that is in another and is not marked so, so that nobody finds the groups above it.
    UnmarkedGroup(ResourceId),
    /// A resource whose item cannot be read, and why. Nobody can say what it should be.
    Unreadable(ResourceKind, Key, String),
    /// An item that is nothing.
    StrayItem(Key),
}

impl Finding {
    /// What kind of finding it is, for machines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::MissingEntry(..) => "missing-entry",
            Self::StrayEntry(_) => "stray-entry",
            Self::HalfMembership(..) => "half-membership",
            Self::DanglingMembership(..) => "dangling-membership",
            Self::UnfinishedDeletion(..) => "unfinished-deletion",
            Self::WrongCount(..) => "wrong-count",
            Self::WrongActive(_) => "wrong-active",
            Self::UnmarkedGroup(_) => "unmarked-group",
            Self::Unreadable(..) => "unreadable",
            Self::StrayItem(_) => "stray-item",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingEntry(kind, id, key) => {
                write!(f, "{} {id} lacks the index entry {:?} of {}", kind.name(), key.sk, key.pk)
            }
            Self::StrayEntry(key) => write!(f, "the index entry {:?} of {} is nobody's", key.sk, key.pk),
            Self::HalfMembership(group, member) => {
                write!(f, "{member} is in group {group} on one side only")
            }
            Self::DanglingMembership(group, member) => {
                write!(f, "{member} is in group {group}, and one of them is gone or deactivated")
            }
            Self::UnfinishedDeletion(kind, id) => {
                write!(f, "the deletion of {} {id} has not ended", kind.name())
            }
            Self::WrongCount(kind, bucket) => {
                write!(f, "{}s whose ids begin with {bucket:02x} are counted wrong", kind.name())
            }
            Self::WrongActive(id) => write!(f, "user {id} is active in one place and not in the other"),
            Self::UnmarkedGroup(id) => {
                write!(
                    f,
                    "group {id} is in another group, and is not marked so: the groups above it are not found"
                )
            }
            Self::Unreadable(kind, key, why) => {
                write!(
                    f,
                    "the {} {:?} of {} cannot be read, and is left as it is: {why}",
                    kind.name(),
                    key.sk,
                    key.pk
                )
            }
            Self::StrayItem(key) => write!(f, "the item {:?} of {} is nothing", key.sk, key.pk),
        }
    }
}

/// What is known of a resource while the table is read.
#[derive(Clone, Copy)]
struct Known {
    kind: ResourceKind,
    is_active: bool,
    is_going: bool,
    is_kept: bool,
    is_nested: bool,
}

/// What was read of the table.
#[derive(Default)]
struct Survey {
    resources: HashMap<ResourceId, Known>,
    /// Entries that were expected and not seen yet, or the reverse, by a hash of key and id: each pair takes itself out.
    entries: HashMap<[u8; 16], Finding>,
    /// The sides of memberships: 1 the group's, 2 the member's.
    memberships: HashMap<(ResourceId, ResourceId), u8>,
    counts: BTreeMap<(ResourceKind, u8), (i64, i64)>,
    found: BTreeSet<Finding>,
}

impl Directory {
    /// Reads all of the directory and says what is not in order. `passed` is told how many items were read.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn check(&self, passed: impl Fn(u64) + Sync) -> Result<Vec<Finding>, ScimError> {
        let mut survey = Survey::default();
        let prefix = format!("{}#", self.connector.id);
        self.table.read_all(&prefix, passed, |item| self.take(&mut survey, item)).await?;
        let suspects = self.suspects(survey);
        let confirmations = suspects.into_iter().map(|finding| {
            async move { Ok(if self.is_so(&finding).await? { Some(finding) } else { None }) }.boxed()
        });
        Ok(concurrently(confirmations.collect()).await?.into_iter().flatten().collect())
    }

    fn take(&self, survey: &mut Survey, item: &Item) {
        let connector = &self.connector.id;
        let string =
            |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
        let (pk, sk) = (string("pk"), string("sk"));
        let space = pk.strip_prefix(&format!("{connector}#")).unwrap_or_default();
        if space.starts_with("audit/") || (space == "count" && sk == "nesting") {
            return;
        }
        if let Some(kind) = ResourceKind::ALL.into_iter().find(|kind| pk == keys::resources(connector, *kind))
        {
            match keys::parse_resources_sk(&sk) {
                Some((id, None)) => self.take_resource(survey, kind, id, item),
                Some((member, Some(group))) => *survey.memberships.entry((group, member)).or_default() |= 2,
                None => drop(survey.found.insert(Finding::StrayItem(Key { pk, sk }))),
            }
        } else if let Some((group, member)) = space
            .strip_prefix("group/")
            .and_then(|group| Some((ResourceId::parse(group)?, ResourceId::parse(&sk)?)))
        {
            *survey.memberships.entry((group, member)).or_default() |= 1;
        } else if space == "count" {
            let kind = ResourceKind::ALL.into_iter().find(|kind| sk.starts_with(&keys::counts_prefix(*kind)));
            let bucket = sk.rsplit_once('/').and_then(|(_, bucket)| u8::from_str_radix(bucket, 16).ok());
            match kind.zip(bucket) {
                Some(place) => {
                    let count = survey.counts.entry(place).or_default();
                    *count = (count.0 - signed(item, "n"), count.1 - signed(item, "active"));
                }
                None => drop(survey.found.insert(Finding::StrayItem(Key { pk, sk }))),
            }
        } else if space.contains('.') {
            let finding = Finding::StrayEntry(Key { pk: pk.clone(), sk: sk.clone() });
            survey.meet(&pk, &sk, &string("id"), finding);
        } else {
            survey.found.insert(Finding::StrayItem(Key { pk, sk }));
        }
    }

    fn take_resource(&self, survey: &mut Survey, kind: ResourceKind, id: ResourceId, item: &Item) {
        let (stored, entries) = match self.parse(kind, item) {
            Ok(parsed) => parsed,
            Err(error) => {
                survey.found.insert(Finding::Unreadable(kind, self.key_of(kind, id), why(&error)));
                return;
            }
        };
        let Stored { resource, is_going, is_kept, is_nested } = stored;
        let is_active = kind != ResourceKind::User || resource.is_active();
        survey.resources.insert(id, Known { kind, is_active, is_going, is_kept, is_nested });
        if is_going {
            if !is_kept {
                survey.found.insert(Finding::UnfinishedDeletion(kind, id));
            }
            return;
        }
        if kind == ResourceKind::User
            && item.get("active").and_then(|value| value.as_bool().ok()) != Some(&is_active)
        {
            survey.found.insert(Finding::WrongActive(id));
        }
        for entry in entries {
            let key = entry.key(&self.connector.id, kind, id);
            survey.meet(&key.pk, &key.sk, &id.to_string(), Finding::MissingEntry(kind, id, key.clone()));
        }
        let count = survey.counts.entry((kind, id.bucket())).or_default();
        *count = (count.0 + 1, count.1 + i64::from(kind == ResourceKind::User && is_active));
    }

    /// A resource from its item, and the index entries that it must have.
    fn parse(&self, kind: ResourceKind, item: &Item) -> Result<(Stored, BTreeSet<Entry>), ScimError> {
        let stored = item::to_stored(kind, item)?;
        let entries = index::entries(&stored.resource.document, self.schemas.of(kind))?;
        Ok((stored, entries))
    }

    /// Why the item of a resource cannot be read, if it is there and cannot.
    async fn why_unreadable(&self, kind: ResourceKind, key: &Key) -> Result<Option<ScimError>, ScimError> {
        Ok(self.table.get(key).await?.and_then(|item| self.parse(kind, &item).err()))
    }

    /// What does not fit together in what was read.
    fn suspects(&self, survey: Survey) -> BTreeSet<Finding> {
        let mut found = survey.found;
        found.extend(survey.entries.into_values());
        for ((group, member), sides) in survey.memberships {
            let is_group = |known: &&Known| known.kind != ResourceKind::User && !known.is_going;
            let is_member = |known: &&Known| {
                !known.is_going
                    && (known.is_active || self.settings().on_deactivate == OnDeactivate::KeepGroups)
            };
            let (of_group, of_member) = (survey.resources.get(&group), survey.resources.get(&member));
            if let Some(known) = of_member.filter(|known| known.is_kept) {
                found.insert(Finding::UnfinishedDeletion(known.kind, member));
            } else if of_group.filter(is_group).is_none() || of_member.filter(is_member).is_none() {
                found.insert(Finding::DanglingMembership(group, member));
            } else if sides != 3 {
                found.insert(Finding::HalfMembership(group, member));
            } else if of_member.is_some_and(|known| known.kind == ResourceKind::Group && !known.is_nested) {
                found.insert(Finding::UnmarkedGroup(member));
            }
        }
        let wrong = survey.counts.into_iter().filter(|(_, rest)| *rest != (0, 0));
        found.extend(wrong.map(|((kind, bucket), _)| Finding::WrongCount(kind, bucket)));
        found
    }

    /// Looks again, at the items of one finding.
    async fn is_so(&self, finding: &Finding) -> Result<bool, ScimError> {
        Ok(match finding {
            Finding::MissingEntry(kind, id, key) => {
                self.holder(key).await? != Some(*id) && self.needs(*kind, *id, key).await?.is_some()
            }
            Finding::StrayEntry(key) => match self.holder(key).await? {
                None => self.table.get(key).await?.is_some(),
                Some(id) => match self.kind_of_index(key) {
                    // Nobody knows which entries one must have that cannot be read.
                    Some(kind) => {
                        self.why_unreadable(kind, &self.key_of(kind, id)).await?.is_none()
                            && self.needs(kind, id, key).await?.is_none()
                    }
                    None => true,
                },
            },
            Finding::HalfMembership(group, member) => {
                let (sides, ends) = self.membership(*group, *member).await?;
                ends.is_some() && sides.len() == 1
            }
            Finding::DanglingMembership(group, member) => {
                let (sides, ends) = self.membership(*group, *member).await?;
                ends.is_none() && !sides.is_empty()
            }
            Finding::UnfinishedDeletion(kind, id) => self.read(*kind, *id).await?.is_some_and(|found| {
                found.stored.is_going && (!found.stored.is_kept || !found.groups.is_empty())
            }),
            Finding::WrongCount(kind, bucket) => {
                self.recount(*kind, *bucket).await?.is_some_and(|(counted, there)| counted != there)
            }
            Finding::WrongActive(id) => {
                let Some(item) = self.table.get(&self.key_of(ResourceKind::User, *id)).await? else {
                    return Ok(false);
                };
                let stored = item::to_stored(ResourceKind::User, &item)?;
                let says = item.get("active").and_then(|value| value.as_bool().ok()).copied();
                !stored.is_going && says != Some(stored.resource.is_active())
            }
            Finding::UnmarkedGroup(id) => {
                let Some(item) = self.table.get(&self.key_of(ResourceKind::Group, *id)).await? else {
                    return Ok(false);
                };
                let stored = item::to_stored(ResourceKind::Group, &item)?;
                let is_marked = stored.is_going || stored.is_nested;
                !is_marked && !self.groups_of(ResourceKind::Group, *id).await?.is_empty()
            }
            Finding::Unreadable(kind, key, _) => self.why_unreadable(*kind, key).await?.is_some(),
            Finding::StrayItem(key) => self.table.get(key).await?.is_some(),
        })
    }

    fn kind_of_index(&self, entry: &Key) -> Option<ResourceKind> {
        let is_of = |kind: &ResourceKind| {
            entry.pk.starts_with(&format!("{}.", keys::resources(&self.connector.id, *kind)))
        };
        ResourceKind::ALL.into_iter().find(is_of)
    }

    /// Mends what was found; `false` when it cannot be, or somebody else was faster.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn repair(&self, finding: &Finding) -> Result<bool, ScimError> {
        let mut transaction = self.table.transaction();
        match finding {
            Finding::MissingEntry(kind, id, key) => {
                let (kind, id) = (*kind, *id);
                let Some((entry, version)) = self.needs(kind, id, key).await? else {
                    return Ok(false);
                };
                transaction.check(&self.key_of(kind, id), is_version(version))?;
                // Who has the name of another has to be given one of its own.
                transaction.put_new(entry.item(&self.connector.id, kind, id))?;
            }
            Finding::StrayEntry(key) => {
                if !self.is_so(finding).await? {
                    return Ok(false);
                }
                transaction.delete(key)?;
            }
            Finding::StrayItem(key) => transaction.delete(key)?,
            Finding::HalfMembership(group, member) => {
                let (group, member) = (*group, *member);
                let (_, Some((of_group, kind))) = self.membership(group, member).await? else {
                    return Ok(false);
                };
                let one_more = Expression::new("ADD version :one").with(":one", number(1));
                transaction.update(&self.key_of(of_group, group), one_more, Some(is_staying()))?;
                transaction.check(&self.key_of(kind, member), is_staying())?;
                let side = keys::group_side(&self.connector.id, group, member);
                transaction.put(item::from_member(&side, &Member { id: member, kind, display: None }))?;
                transaction.put(keys::member_side(&self.connector.id, kind, member, group).attributes())?;
            }
            Finding::DanglingMembership(group, member) => {
                let (sides, None) = self.membership(*group, *member).await? else {
                    return Ok(false);
                };
                for side in sides {
                    transaction.delete(&side)?;
                }
            }
            Finding::UnfinishedDeletion(kind, id) => {
                let (kind, id) = (*kind, *id);
                let Some(found) = self.read(kind, id).await? else { return Ok(false) };
                self.finish_deletion(kind, id, found.groups, found.stored.is_kept).await?;
                return Ok(true);
            }
            Finding::WrongCount(kind, bucket) => {
                let kind = *kind;
                let Some((counted, there)) = self.recount(kind, *bucket).await? else { return Ok(false) };
                // What counts nobody is not written where nothing is.
                if counted == there {
                    return Ok(false);
                }
                let update = match kind {
                    ResourceKind::User => {
                        Expression::new("SET n = :n, active = :active").with(":active", number(there.1))
                    }
                    _ => Expression::new("SET n = :n"),
                };
                let is_counted = Expression::new("attribute_not_exists(n) OR n = :counted")
                    .with(":counted", number(counted.0));
                let key = keys::count(&self.connector.id, kind, *bucket);
                transaction.update(&key, update.with(":n", number(there.0)), Some(is_counted))?;
            }
            Finding::WrongActive(id) => {
                let user = self.user(*id).await?.stored.resource;
                let value = aws_sdk_dynamodb::types::AttributeValue::Bool(user.is_active());
                let update = Expression::new("SET active = :active").with(":active", value);
                transaction.update(
                    &self.key_of(user.kind, user.id),
                    update,
                    Some(is_version(user.version)),
                )?;
            }
            Finding::UnmarkedGroup(id) => {
                let nested = Expression::new("SET nested = :true").with(":true", true_value());
                transaction.update(&self.key_of(ResourceKind::Group, *id), nested, Some(is_staying()))?;
            }
            Finding::Unreadable(..) => return Ok(false),
        }
        Ok(self.table.commit(&transaction).await? == Outcome::Committed)
    }

    fn key_of(&self, kind: ResourceKind, id: ResourceId) -> Key {
        keys::resource(&self.connector.id, kind, id)
    }

    /// Whom an index entry points at.
    async fn holder(&self, entry: &Key) -> Result<Option<ResourceId>, ScimError> {
        Ok(self.table.get(entry).await?.and_then(|item| item::indexed_id(&item)))
    }

    /// The entry of this key, if the resource is there and must have it; and the resource's version.
    async fn needs(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        entry: &Key,
    ) -> Result<Option<(Entry, u64)>, ScimError> {
        let Some(item) = self.table.get(&self.key_of(kind, id)).await? else { return Ok(None) };
        let (stored, entries) = self.parse(kind, &item)?;
        if stored.is_going {
            return Ok(None);
        }
        let needed = entries.into_iter().find(|one| one.key(&self.connector.id, kind, id) == *entry);
        Ok(needed.map(|entry| (entry, stored.resource.version)))
    }

    /// The sides of a membership that are there; and the kinds of both ends, where both may have it.
    async fn membership(
        &self,
        group: ResourceId,
        member: ResourceId,
    ) -> Result<(Vec<Key>, Option<(ResourceKind, ResourceKind)>), ScimError> {
        let connector = &self.connector.id;
        let of_members = [ResourceKind::User, ResourceKind::Group];
        let mut sides = vec![keys::group_side(connector, group, member)];
        sides.extend(of_members.map(|kind| keys::member_side(connector, kind, member, group)));
        let mut there = Vec::new();
        for side in sides {
            there.extend(self.table.get(&side).await?.map(|_| side));
        }
        let mut ends = (None, None);
        for kind in ResourceKind::ALL {
            for (id, end) in [(group, &mut ends.0), (member, &mut ends.1)] {
                let Some(item) = self.table.get(&self.key_of(kind, id)).await? else { continue };
                let may_join = |stored: &Stored| {
                    !stored.is_going
                        && (kind != ResourceKind::User
                            || stored.resource.is_active()
                            || self.settings().on_deactivate == OnDeactivate::KeepGroups)
                };
                // One that cannot be read is there.
                if item::to_stored(kind, &item).as_ref().map_or(true, may_join) {
                    *end = Some(kind);
                }
            }
        }
        let of_group = ends.0.filter(|kind| *kind != ResourceKind::User);
        Ok((there, of_group.zip(ends.1.filter(|kind| of_members.contains(kind)))))
    }

    /// What a bucket's counts say, and what they should; `None` when one in it cannot be read.
    async fn recount(
        &self,
        kind: ResourceKind,
        bucket: u8,
    ) -> Result<Option<((i64, i64), (i64, i64))>, ScimError> {
        let counted =
            self.table.get(&keys::count(&self.connector.id, kind, bucket)).await?.unwrap_or_default();
        let counted = (signed(&counted, "n"), signed(&counted, "active"));
        let pk = keys::resources(&self.connector.id, kind);
        let mut there = (0, 0);
        for item in self.table.query(&pk, &Range::Prefix(format!("{bucket:02x}"))).await? {
            let Some((_, None)) = item::name_of(&item) else { continue };
            let Ok((stored, _)) = self.parse(kind, &item) else { return Ok(None) };
            if !stored.is_going {
                let is_active = kind == ResourceKind::User && stored.resource.is_active();
                there = (there.0 + 1, there.1 + i64::from(is_active));
            }
        }
        Ok(Some((counted, there)))
    }
}

impl Table {
    /// Reads all items of the partitions whose names begin so, in no order. `passed` is told how many were read.
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
        }
        Ok(())
    }
}

fn why(error: &ScimError) -> String {
    error.cause.as_ref().map_or_else(|| error.detail.to_string(), |cause| chain(cause.as_ref()))
}

impl Survey {
    /// An entry that was seen, or must be: the second of the two takes the first away.
    fn meet(&mut self, pk: &str, sk: &str, id: &str, finding: Finding) {
        let digest = Sha256::digest(format!("{pk}\0{sk}\0{id}"));
        let mut hash = [0; 16];
        hash.iter_mut().zip(digest).for_each(|(byte, digest)| *byte = digest);
        if self.entries.remove(&hash).is_none() {
            self.entries.insert(hash, finding);
        }
    }
}

fn signed(item: &Item, name: &str) -> i64 {
    item.get(name).and_then(|value| value.as_n().ok()?.parse().ok()).unwrap_or_default()
}
