//! Users and groups: their ids, kinds and versions, and what a stored one is made of.

mod normalise;
mod replace;
mod representation;

pub use normalise::{
    accepts_an_array_of_one_for_a_single_value, decode_base64, finish, is_primary, normalise,
    normalise_attribute, parse_object, parts, type_name,
};
pub use replace::replace;
pub use representation::{GroupReference, Member, location, represent, represent_to_match};

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The SCIM JSON of a resource as it is stored: canonical names, checked values, and nothing that is derived
/// (no `id`, `meta`, `groups` or `members`).
pub type Document = Map<String, Value>;

/// The two kinds of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceKind {
    /// RFC 7643 §4.1.
    User,
    /// RFC 7643 §4.2.
    Group,
    /// A group that an operator made: clients neither see it nor change it.
    LocalGroup,
    /// What an operator lets users be, beside their groups.
    Role,
}

impl ResourceKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::User, Self::Group, Self::LocalGroup, Self::Role];
    /// Those that have members.
    pub const WITH_MEMBERS: [Self; 3] = [Self::Group, Self::LocalGroup, Self::Role];

    /// The name of the resource type, as in `meta.resourceType`.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::LocalGroup => "LocalGroup",
            Self::Role => "Role",
        }
    }

    /// The endpoint below the base URL, without slashes.
    pub fn endpoint(self) -> &'static str {
        match self {
            Self::User => "Users",
            Self::Group | Self::LocalGroup | Self::Role => "Groups",
        }
    }
}

/// The id of a user or group: a random UUID, unique, never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId(Uuid);

impl ResourceId {
    /// Makes an id of 16 random bytes (a UUID of version 4).
    pub fn from_random_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// Reads an id as this service provider writes it: lower-case, hyphens in place. Anything else is nobody's id.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(Uuid::try_parse(text).ok()?);
        (id.to_string() == text).then_some(id)
    }

    /// The first byte, which spreads resources over 256 buckets.
    pub fn bucket(self) -> u8 {
        let [first, ..] = *self.0.as_bytes();
        first
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Who made a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The identity provider; operators only read it.
    Scim,
    /// An operator.
    Local,
}

impl Origin {
    /// The word in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scim => "scim",
            Self::Local => "local",
        }
    }
}

/// A user or group as it is stored, without its memberships.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// User or group.
    pub kind: ResourceKind,
    /// The id.
    pub id: ResourceId,
    /// Counts the writes to it; a group's counts those to its members too.
    pub version: u64,
    /// When it was made.
    pub created: Timestamp,
    /// When `version` last changed.
    pub last_modified: Timestamp,
    /// Who made it.
    pub origin: Origin,
    /// Its SCIM JSON.
    pub document: Document,
}

impl Resource {
    /// Whether a user may be in groups and in the directory: unless `active` is false (RFC 7643 §4.1.1).
    pub fn is_active(&self) -> bool {
        is_active(&self.document)
    }

    /// The version as an ETag (RFC 7644 §3.14). A user's `groups` are part of what a client reads, and are
    /// written with the group, so the ids and names of a user's groups are part of the user's version.
    pub fn etag(&self, groups: &[GroupReference]) -> String {
        if groups.is_empty() {
            return format!("W/\"{}\"", self.version);
        }
        let mut shown: Vec<String> = groups
            .iter()
            .map(|GroupReference { id, display, direct }| format!("{id}{direct}{display:?}"))
            .collect();
        shown.sort_unstable();
        let digest = Sha256::digest(shown.concat());
        let hash: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        format!("W/\"{}-{hash}\"", self.version)
    }
}

/// Whether the user of this document is active.
pub fn is_active(document: &Document) -> bool {
    document.get("active").and_then(Value::as_bool) != Some(false)
}
