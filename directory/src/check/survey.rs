//! One pass over all items of a directory, which collects what may violate an invariant. It keeps hashes, not items.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sha2::{Digest, Sha256};
use shared::error::{ScimError, chain};
use shared::resource::{ResourceId, ResourceKind};

use super::finding::Violation;
use super::{Checker, signed};
use crate::dynamodb::attributes::{Item, get_text};
use crate::dynamodb::items::{self, Stored};
use crate::dynamodb::keys::{self, ItemKind, Key};
use crate::intents::Intent;
use crate::settings::OnDeactivate;

/// What is known of a resource.
#[derive(Clone, Copy)]
struct Known {
    kind: ResourceKind,
    is_active: bool,
    is_deleting: bool,
    is_nested: bool,
}

/// A bit for each side of a membership.
const GROUP_SIDE: u8 = 1;
const MEMBER_SIDE: u8 = 2;

/// What was read so far.
pub(super) struct Survey<'d> {
    checker: Checker<'d>,
    resources: HashMap<ResourceId, Known>,
    /// Index entries that were required and not seen yet, or seen and not required yet, by a hash of key and id.
    entries: HashMap<[u8; 16], Violation>,
    /// The sides that were seen of each membership (group, member).
    memberships: HashMap<(ResourceId, ResourceId), u8>,
    /// For each bucket, the resources that were seen less the count: all, and the active ones.
    counts: BTreeMap<(ResourceKind, u8), (i64, i64)>,
    /// The resources of which work is being carried out.
    changing: HashSet<ResourceId>,
    /// The resources that name work, and whose intent was not seen yet.
    without_intent: BTreeSet<(ResourceKind, ResourceId)>,
    found: BTreeSet<Violation>,
}

impl<'d> Survey<'d> {
    /// Begins a survey.
    pub fn new(checker: Checker<'d>) -> Self {
        Self {
            checker,
            resources: HashMap::new(),
            entries: HashMap::new(),
            memberships: HashMap::new(),
            counts: BTreeMap::new(),
            changing: HashSet::new(),
            without_intent: BTreeSet::new(),
            found: BTreeSet::new(),
        }
    }

    /// Takes the next item.
    pub fn take(&mut self, item: &Item) {
        let string = |name: &str| get_text(item, name).unwrap_or_default();
        let key = Key { pk: string("pk").to_owned(), sk: string("sk").to_owned() };
        match keys::classify(self.checker.connector(), &key.pk, &key.sk) {
            ItemKind::Resource(kind, id) => self.take_resource(kind, id, item),
            ItemKind::MemberSide { group, member } => {
                *self.memberships.entry((group, member)).or_default() |= MEMBER_SIDE;
            }
            ItemKind::GroupSide { group, member } => {
                *self.memberships.entry((group, member)).or_default() |= GROUP_SIDE;
            }
            ItemKind::Count(kind, bucket) => {
                let count = self.counts.entry((kind, bucket)).or_default();
                *count = (count.0 - signed(item, "n"), count.1 - signed(item, "active"));
            }
            ItemKind::IndexEntry(kind, index) => {
                if self.checker.checks_index(&self.checker.directory.connector, kind, index) {
                    self.pair_entry(&key, string("id"), Violation::StrayEntry(key.clone()));
                }
            }
            ItemKind::Intent(kind, id) => {
                self.changing.insert(id);
                let intent = Intent::from_item(item);
                if intent.is_none_or(|intent| self.checker.is_overdue(&intent)) {
                    self.found.insert(Violation::UnfinishedWork(kind, id));
                }
            }
            ItemKind::Other => {}
            ItemKind::Unknown => drop(self.found.insert(Violation::StrayItem(key))),
        }
    }

    fn take_resource(&mut self, kind: ResourceKind, id: ResourceId, item: &Item) {
        let (stored, entries) = match self.checker.parse(kind, item) {
            Ok(parsed) => parsed,
            Err(error) => {
                let key = self.checker.key_of(kind, id);
                self.found.insert(Violation::Unreadable(kind, key, reason(&error)));
                return;
            }
        };
        if stored.has_intent() {
            self.without_intent.insert((kind, id));
        }
        let is_creation = stored.is_being_created();
        let Stored { resource, is_deleting, is_nested, .. } = stored;
        let is_active = kind != ResourceKind::User || resource.is_active();
        self.resources.insert(id, Known { kind, is_active, is_deleting, is_nested });
        if is_creation {
            // A group that is being created has only its name.
            for entry in entries.iter().filter(|entry| entry.is_unique) {
                let key = entry.key(self.checker.connector(), kind, id);
                self.pair_entry(&key, &id.to_string(), Violation::MissingEntry(kind, id, key.clone()));
            }
        }
        if is_deleting {
            return;
        }
        if kind == ResourceKind::User && items::stored_active(item) != Some(is_active) {
            self.found.insert(Violation::WrongActive(id));
        }
        let checker = self.checker;
        for entry in entries
            .into_iter()
            .filter(|entry| checker.checks_index(&checker.directory.connector, kind, &entry.index))
        {
            let key = entry.key(checker.connector(), kind, id);
            self.pair_entry(&key, &id.to_string(), Violation::MissingEntry(kind, id, key.clone()));
        }
        let count = self.counts.entry((kind, id.bucket())).or_default();
        *count = (count.0 + 1, count.1 + i64::from(kind == ResourceKind::User && is_active));
    }

    /// Pairs an entry that was seen with the resource that requires it. Whichever comes second removes the first.
    fn pair_entry(&mut self, key: &Key, id: &str, violation: Violation) {
        let digest = Sha256::digest(format!("{}\0{}\0{id}", key.pk, key.sk));
        let mut hash = [0; 16];
        hash.iter_mut().zip(digest).for_each(|(byte, digest)| *byte = digest);
        if self.entries.remove(&hash).is_none() {
            self.entries.insert(hash, violation);
        }
    }

    /// The possible violations, after all items were taken.
    pub fn suspects(self, on_deactivate: OnDeactivate) -> BTreeSet<Violation> {
        let mut found = self.found;
        found.extend(self.entries.into_values());
        let without_intent = self.without_intent.into_iter().filter(|(_, id)| !self.changing.contains(id));
        found.extend(without_intent.map(|(kind, id)| Violation::UnfinishedWork(kind, id)));
        for ((group, member), sides) in self.memberships {
            if self.changing.contains(&group) || self.changing.contains(&member) {
                continue;
            }
            let (of_group, of_member) = (self.resources.get(&group), self.resources.get(&member));
            let kinds = of_group.map_or(&[][..], |known| known.kind.kinds_of_members());
            let is_group = |known: &&Known| known.kind != ResourceKind::User && !known.is_deleting;
            let is_member = |known: &&Known| {
                !known.is_deleting
                    && kinds.contains(&known.kind)
                    && (known.is_active || on_deactivate == OnDeactivate::KeepGroups)
            };
            if of_group.filter(is_group).is_none() || of_member.filter(is_member).is_none() {
                found.insert(Violation::DanglingMembership(group, member));
            } else if sides != GROUP_SIDE | MEMBER_SIDE {
                found.insert(Violation::HalfMembership(group, member));
            } else if of_member.is_some_and(|known| known.kind == ResourceKind::Group && !known.is_nested) {
                found.insert(Violation::UnmarkedGroup(member));
            }
        }
        let wrong = self.counts.into_iter().filter(|(_, difference)| *difference != (0, 0));
        found.extend(wrong.map(|((kind, bucket), _)| Violation::WrongCount(kind, bucket)));
        found
    }
}

fn reason(error: &ScimError) -> String {
    error.cause.as_ref().map_or_else(|| error.detail.to_string(), |cause| chain(cause.as_ref()))
}
