//! What a check can find.

use std::fmt;

use shared::resource::{ResourceId, ResourceKind};

use crate::dynamodb::keys::Key;

/// A violated invariant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding(pub(super) Violation);

/// The invariant that is violated, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Violation {
    /// A resource lacks this index entry, so a filter does not find it.
    MissingEntry(ResourceKind, ResourceId, Key),
    /// An index entry points at no resource, or at one that does not have the value.
    StrayEntry(Key),
    /// A membership of this group and this member is stored on one side only.
    HalfMembership(ResourceId, ResourceId),
    /// A membership of this group and this member remains, but one of them is deleted or inactive.
    DanglingMembership(ResourceId, ResourceId),
    /// Work that a resource names (see `intents`) began more than five minutes ago, or has no intent.
    UnfinishedWork(ResourceKind, ResourceId),
    /// The count of a bucket is wrong.
    WrongCount(ResourceKind, u8),
    /// The item of a user and its document disagree about whether the user is active.
    WrongActive(ResourceId),
    /// A group is a member of another group and is not marked as nested.
    UnmarkedGroup(ResourceId),
    /// The item of a resource cannot be read; with the reason.
    Unreadable(ResourceKind, Key, String),
    /// An item has a key that this version does not write.
    StrayItem(Key),
}

impl Finding {
    /// The name of the kind of finding, for programs.
    pub fn name(&self) -> &'static str {
        match &self.0 {
            Violation::MissingEntry(..) => "missing-entry",
            Violation::StrayEntry(_) => "stray-entry",
            Violation::HalfMembership(..) => "half-membership",
            Violation::DanglingMembership(..) => "dangling-membership",
            Violation::UnfinishedWork(..) => "unfinished-work",
            Violation::WrongCount(..) => "wrong-count",
            Violation::WrongActive(_) => "wrong-active",
            Violation::UnmarkedGroup(_) => "unmarked-group",
            Violation::Unreadable(..) => "unreadable",
            Violation::StrayItem(_) => "stray-item",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Violation::MissingEntry(kind, id, key) => {
                write!(f, "{} {id} lacks the index entry {:?} of {}", kind.name(), key.sk, key.pk)
            }
            Violation::StrayEntry(key) => {
                write!(f, "the index entry {:?} of {} belongs to no resource", key.sk, key.pk)
            }
            Violation::HalfMembership(group, member) => {
                write!(f, "the membership of {member} in group {group} is stored on one side only")
            }
            Violation::DanglingMembership(group, member) => {
                write!(f, "{member} is a member of group {group}, but one of them is deleted or inactive")
            }
            Violation::UnfinishedWork(kind, id) => {
                write!(f, "a change of {} {id} was interrupted and not finished", kind.name())
            }
            Violation::WrongCount(kind, bucket) => {
                write!(f, "the count of {}s whose ids begin with {bucket:02x} is wrong", kind.name())
            }
            Violation::WrongActive(id) => {
                write!(f, "the item of user {id} and its document disagree about active")
            }
            Violation::UnmarkedGroup(id) => {
                write!(f, "group {id} is a member of another group, but is not marked as nested")
            }
            Violation::Unreadable(kind, key, why) => {
                write!(
                    f,
                    "the {} {:?} of {} cannot be read, and is not repaired: {why}",
                    kind.name(),
                    key.sk,
                    key.pk
                )
            }
            Violation::StrayItem(key) => {
                write!(f, "the item {:?} of {} has a key that this version does not write", key.sk, key.pk)
            }
        }
    }
}
