//! The registers of the model, and what a request does to each.
//!
//! | register | values |
//! | --- | --- |
//! | the document of a resource | it does not exist; or its name, `active`, and the tags of its creation and its last change |
//! | the owner of a name | none, or the id of a resource |
//! | a membership | whether the member is in the group |

use super::history::{Change, Document};
use super::linear::Effect;

/// What a request does to the document of a resource.
#[derive(Clone, Debug, PartialEq)]
pub enum DocumentEffect {
    /// It shows this document, or that the resource does not exist.
    Shows(Option<Document>),
    /// It makes this change. The answer shows the document afterwards, or nothing of it.
    Changes(Change, Option<Document>),
    /// It makes this change once more, or does nothing: see [`MembershipEffect::MayRepeat`].
    MayRepeat(Change),
}

impl DocumentEffect {
    /// The document after a change.
    fn changed(present: &Document, change: &Change) -> Document {
        let mut next = present.clone();
        if let Some(name) = &change.name {
            next.name.clone_from(name);
        }
        if let Some(active) = change.active {
            next.active = active;
        }
        if let Some(tag) = &change.tag {
            next.tag.clone_from(tag);
        }
        next
    }
}

impl Effect<Option<Document>> for DocumentEffect {
    fn states_after(&self, state: &Option<Document>) -> [Option<Option<Document>>; 2] {
        match self {
            Self::Shows(shown) => [(shown == state).then(|| state.clone()), None],
            // Two deletions at the same time can both succeed.
            Self::Changes(change, _) if change.deletes => [Some(None), None],
            Self::Changes(change, shown) => {
                let Some(present) = state else { return [None, None] };
                if change.required_tag.as_ref().is_some_and(|required| *required != present.tag) {
                    return [None, None];
                }
                let next = Self::changed(present, change);
                if shown.as_ref().is_some_and(|shown| *shown != next) {
                    return [None, None];
                }
                [Some(Some(next)), None]
            }
            Self::MayRepeat(change) => {
                let changed = state.as_ref().map(|present| Self::changed(present, change));
                [Some(state.clone()), changed.map(Some)]
            }
        }
    }

    fn is_read(&self) -> bool {
        match self {
            Self::Shows(_) => true,
            // A change that changes only members is a read of the document, because its answer shows the document.
            Self::Changes(change, _) => !change.deletes && change.tag.is_none(),
            Self::MayRepeat(_) => false,
        }
    }

    fn is_repetition(&self) -> bool {
        matches!(self, Self::MayRepeat(_))
    }
}

/// What a request does to the owner of a name.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnerEffect {
    /// A filter finds this owner, or none.
    Shows(Option<String>),
    /// The resource takes the name, which must be free or its own.
    Takes(String),
    /// The resource gives the name up, if it has it.
    Releases(String),
    /// The resource takes the name once more if it is free, or does nothing: see [`MembershipEffect::MayRepeat`].
    MayTakeAgain(String),
    /// The resource gives the name up once more, or does nothing.
    MayReleaseAgain(String),
    /// A request is refused, because another resource than this one has the name.
    IsTaken(Option<String>),
}

impl OwnerEffect {
    /// The effect of making it once more, or not.
    pub fn repeated(&self) -> Self {
        match self {
            Self::Takes(id) => Self::MayTakeAgain(id.clone()),
            Self::Releases(id) => Self::MayReleaseAgain(id.clone()),
            other => other.clone(),
        }
    }
}

impl Effect<Option<String>> for OwnerEffect {
    fn states_after(&self, state: &Option<String>) -> [Option<Option<String>>; 2] {
        let next = match self {
            Self::MayTakeAgain(id) => {
                return [Some(state.clone()), state.is_none().then(|| Some(id.clone()))];
            }
            Self::MayReleaseAgain(id) => {
                return [Some(state.clone()), (state.as_ref() == Some(id)).then_some(None)];
            }
            Self::Shows(owner) => (owner == state).then(|| state.clone()),
            Self::Takes(id) => state.as_ref().is_none_or(|owner| owner == id).then(|| Some(id.clone())),
            Self::Releases(id) => Some(state.clone().filter(|owner| owner != id)),
            Self::IsTaken(own) => (state.is_some() && state != own).then(|| state.clone()),
        };
        [next, None]
    }

    fn is_read(&self) -> bool {
        matches!(self, Self::Shows(_) | Self::IsTaken(_))
    }
}

/// What a request does to a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembershipEffect {
    /// It shows whether the membership exists.
    Shows(bool),
    /// It writes the membership or deletes it.
    Writes(bool),
    /// It writes the membership or deletes it, or does nothing.
    MayWrite(bool),
    /// It writes the membership or deletes it once more, or does nothing: a change that takes several transactions
    /// begins again if another writer is faster.
    MayRepeat(bool),
}

impl Effect<bool> for MembershipEffect {
    fn states_after(&self, state: &bool) -> [Option<bool>; 2] {
        match self {
            Self::Shows(value) => [(value == state).then_some(*state), None],
            Self::Writes(value) => [Some(*value), None],
            Self::MayWrite(value) | Self::MayRepeat(value) => {
                [Some(*value), (value != state).then_some(*state)]
            }
        }
    }

    fn is_read(&self) -> bool {
        matches!(self, Self::Shows(_))
    }

    fn is_repetition(&self) -> bool {
        matches!(self, Self::MayRepeat(_))
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::Kind;
    use super::*;

    fn document(name: &str, active: bool, tag: &str) -> Document {
        Document { name: name.to_owned(), active, creation: "c".to_owned(), tag: tag.to_owned() }
    }

    #[test]
    fn change_of_some_attributes_keeps_the_others() {
        let change =
            Change { active: Some(false), tag: Some("t2".to_owned()), ..Change::of(Kind::User, "u") };
        let after = |shown| {
            DocumentEffect::Changes(change.clone(), shown).states_after(&Some(document("ann", true, "t1")))
        };
        assert_eq!(after(None)[0], Some(Some(document("ann", false, "t2"))));
        assert_eq!(after(Some(document("bob", false, "t2"))), [None, None], "the answer shows a lost rename");
        let on_nothing = DocumentEffect::Changes(change.clone(), None).states_after(&None);
        assert_eq!(on_nothing, [None, None], "a resource that does not exist cannot be changed");
        let required = Change { required_tag: Some("t0".to_owned()), ..change.clone() };
        let refused =
            DocumentEffect::Changes(required, None).states_after(&Some(document("ann", true, "t1")));
        assert_eq!(refused, [None, None], "If-Match requires another version");
    }

    #[test]
    fn name_has_at_most_one_owner() {
        let takes = OwnerEffect::Takes("a".to_owned());
        assert_eq!(takes.states_after(&None)[0], Some(Some("a".to_owned())));
        assert_eq!(takes.states_after(&Some("a".to_owned()))[0], Some(Some("a".to_owned())));
        assert_eq!(takes.states_after(&Some("b".to_owned())), [None, None]);
        let releases = OwnerEffect::Releases("a".to_owned());
        assert_eq!(releases.states_after(&Some("a".to_owned()))[0], Some(None));
        assert_eq!(releases.states_after(&Some("b".to_owned()))[0], Some(Some("b".to_owned())));
        let is_taken = OwnerEffect::IsTaken(Some("a".to_owned()));
        assert_eq!(is_taken.states_after(&Some("a".to_owned())), [None, None]);
        assert_eq!(is_taken.states_after(&None), [None, None]);
    }
}
