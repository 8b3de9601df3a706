//! Resources: ids, kinds, versions and stored documents.

#[cfg(test)]
mod attribute_kinds;
mod body;
mod normalise;
mod replace;
mod representation;
mod unknown;

pub use body::parse_object;
pub(crate) use body::parse_text;
pub(crate) use normalise::{
    accepts_a_string_for_a_complex_attribute, accepts_an_empty_element_as_unassigned,
};
pub use normalise::{
    accepts_an_array_of_one_for_a_single_value, check_count, decode_base64, finish, is_primary, normalise,
    normalise_attribute, normalise_value, sub_attributes_of_value, type_name, values_of,
};
pub(crate) use replace::keep_immutable_attributes;
pub use replace::replace;
pub use representation::{GroupReference, Member, location, represent, represent_to_match};
pub use unknown::unknown_attributes;

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The stored SCIM JSON of a resource. Its names are spelled as in the schema and its values are checked. It
/// does not have the derived attributes `id`, `meta`, `groups` and `members`.
pub type Document = Map<String, Value>;

/// The kind of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceKind {
    /// A user (RFC 7643 §4.1).
    User,
    /// A group of the client (RFC 7643 §4.2).
    Group,
    /// A group that an operator created. Clients cannot see or change it.
    LocalGroup,
    /// A role that operators assign to users. Clients cannot see or change it.
    Role,
}

impl ResourceKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::User, Self::Group, Self::LocalGroup, Self::Role];
    /// The kinds that can be members. Only roles have local groups as members.
    pub const MEMBERS: [Self; 3] = [Self::User, Self::Group, Self::LocalGroup];
    /// The kinds that have members.
    pub const WITH_MEMBERS: [Self; 3] = [Self::Group, Self::LocalGroup, Self::Role];

    /// Returns the name of the resource type, as in `meta.resourceType`.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::LocalGroup => "LocalGroup",
            Self::Role => "Role",
        }
    }

    /// Returns the kinds of members that a group or role of this kind can have. A local group is no member of a group, so that no
    /// group can contain itself.
    pub fn kinds_of_members(self) -> &'static [Self] {
        match self {
            Self::User => &[],
            Self::Group | Self::LocalGroup => &[Self::User, Self::Group],
            Self::Role => &Self::MEMBERS,
        }
    }

    /// Returns the endpoint relative to the base URL, without slashes.
    pub fn endpoint(self) -> &'static str {
        match self {
            Self::User => "Users",
            Self::Group | Self::LocalGroup | Self::Role => "Groups",
        }
    }
}

/// The id of a resource: a random UUID, which is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId(Uuid);

impl ResourceId {
    /// Makes an id from 16 random bytes (a UUID of version 4).
    pub fn from_random_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// Makes the id with these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The bytes of the id.
    pub fn to_bytes(self) -> [u8; 16] {
        *self.0.as_bytes()
    }

    /// Parses an id in the form that this service provider writes: in lower case, with hyphens. Returns
    /// `None` for other text, which cannot be the id of a resource.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(Uuid::try_parse(text).ok()?);
        (id.to_string() == text).then_some(id)
    }

    /// Returns the first byte, which distributes resources over 256 buckets.
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

/// Who created a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The identity provider. Operators can only read the resource.
    Scim,
    /// An operator.
    Local,
}

impl Origin {
    /// Returns the name that is stored in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scim => "scim",
            Self::Local => "local",
        }
    }
}

/// A stored resource, without its memberships.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// The kind.
    pub kind: ResourceKind,
    /// The id.
    pub id: ResourceId,
    /// The number of writes to the resource. For a group, changes of its members count as well.
    pub version: u64,
    /// When the resource was created.
    pub created: Timestamp,
    /// When `version` last changed.
    pub last_modified: Timestamp,
    /// Who created the resource.
    pub origin: Origin,
    /// The SCIM JSON.
    pub document: Document,
}

impl Resource {
    /// Whether a user is active: `active` is true or missing (RFC 7643 §4.1.1).
    pub fn is_active(&self) -> bool {
        is_active(&self.document)
    }

    /// Returns the entity tag (RFC 7644 §3.14). A write to a group can change the `groups` of a user without
    /// a write to the user. So the entity tag of a user also has a hash of the ids and names of the groups.
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

/// Whether the user with this document is active.
pub fn is_active(document: &Document) -> bool {
    document.get("active").and_then(Value::as_bool) != Some(false)
}
