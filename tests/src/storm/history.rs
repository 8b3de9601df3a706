//! What happened: requests with the changes that they ask for, their answers, and what their answers show.

use std::collections::{BTreeMap, BTreeSet};

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A user.
    User,
    /// A group.
    Group,
}

impl Kind {
    /// The path of the endpoint.
    pub fn endpoint(self) -> &'static str {
        match self {
            Self::User => "/Users",
            Self::Group => "/Groups",
        }
    }

    /// The attribute that is unique among resources of this kind.
    pub fn name_attribute(self) -> &'static str {
        match self {
            Self::User => "userName",
            Self::Group => "displayName",
        }
    }
}

/// The attributes of a resource that the model knows. Every write sets a new `tag`, so the tag tells which
/// request was the last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Document {
    /// The userName of a user, the displayName of a group.
    pub name: String,
    /// Whether a user is active. `true` for groups.
    pub active: bool,
    /// The tag of the request that created the resource. It never changes.
    pub creation: String,
    /// The tag of the last request that wrote the document.
    pub tag: String,
}

/// The members that a change removes without naming them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Removal {
    /// None.
    #[default]
    Nothing,
    /// All members.
    All,
    /// The members of this kind.
    OfKind(Kind),
}

/// A change of one resource that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The kind of the resource.
    pub kind: Kind,
    /// The id of the resource. `None` for a creation.
    pub id: Option<String>,
    /// Whether the change deletes the resource.
    pub deletes: bool,
    /// The new name.
    pub name: Option<String>,
    /// The new value of `active`.
    pub active: Option<bool>,
    /// The tag of the creation. Only a creation has one.
    pub creation: Option<String>,
    /// The new tag.
    pub tag: Option<String>,
    /// The tag that the resource must have, because of If-Match.
    pub required_tag: Option<String>,
    /// The members that are removed without being named.
    pub removal: Removal,
    /// The named members: `true` for those that are members afterwards, `false` for those that are not.
    pub members: BTreeMap<String, bool>,
}

impl Change {
    /// A change of this resource that changes nothing yet.
    pub fn of(kind: Kind, id: &str) -> Self {
        Self { id: Some(id.to_owned()), ..Self::creation_of(kind) }
    }

    /// The creation of a resource without attributes.
    pub fn creation_of(kind: Kind) -> Self {
        Self {
            kind,
            id: None,
            deletes: false,
            name: None,
            active: None,
            creation: None,
            tag: None,
            required_tag: None,
            removal: Removal::Nothing,
            members: BTreeMap::new(),
        }
    }

    /// Whether this user or group is a member after the change. `None` if the change does not concern it.
    pub fn membership(&self, kind: Kind, member: &str) -> Option<bool> {
        let is_removed = self.removal == Removal::All || self.removal == Removal::OfKind(kind);
        self.members.get(member).copied().or(is_removed.then_some(false))
    }

    /// Whether it changes members.
    pub fn changes_members(&self) -> bool {
        self.removal != Removal::Nothing || !self.members.is_empty()
    }
}

/// What the answer says about a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was made. The id of the resource, and its document if the answer shows it.
    Done {
        /// The id of the resource.
        id: String,
        /// The document in the answer.
        shown: Option<Document>,
    },
    /// It was refused with this status, and must not have been made.
    Refused(u16),
    /// There was no definite answer: 429, 5xx, or none at all.
    Unknown,
}

/// What an answer shows of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The kind of the resource.
    pub kind: Kind,
    /// The id of the resource.
    pub id: String,
    /// The document; `Some(None)` if the resource does not exist, `None` if the answer says nothing about it.
    pub document: Option<Option<Document>>,
    /// The direct groups of a user, or the members of a group. `None` if the answer says nothing about them.
    pub links: Option<BTreeSet<String>>,
}

/// What a filter by name finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The kind of the resources.
    pub kind: Kind,
    /// The name in the filter.
    pub name: String,
    /// The id of the resource that was found.
    pub found: Option<String>,
}

/// One request. Times are microseconds since the start of the run.
#[derive(Clone, Debug)]
pub struct Record {
    /// The client that sent it.
    pub client: String,
    /// The time before the request was sent.
    pub sent: u64,
    /// The time after the answer was read, or after the client gave up.
    pub answered: u64,
    /// The request, as text.
    pub request: String,
    /// The answer, as text.
    pub answer: String,
    /// The changes, with what the answer says about each.
    pub changes: Vec<(Change, Outcome)>,
    /// The resources in the answer.
    pub sightings: Vec<Sighting>,
    /// The results of filters by name.
    pub lookups: Vec<Lookup>,
}

/// A resource at a rest point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its kind.
    pub kind: Kind,
    /// Its document.
    pub document: Document,
    /// The direct groups of a user, or the members of a group.
    pub links: BTreeSet<String>,
}

/// The resources that existed at a rest point, by id.
pub type State = BTreeMap<String, Resource>;
