//! Makes the representation of a resource that clients read: adds `id`, `meta`, `groups` and `members` to the
//! document.

use serde_json::{Map, Value, json};

use super::{Resource, ResourceId, ResourceKind};

/// An element of a user's `groups`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupReference {
    /// The group.
    pub id: ResourceId,
    /// The current name of the group.
    pub display: Option<String>,
    /// Whether the user is a direct member, or a member of a group in this group (RFC 7643 §4.1.2).
    pub direct: bool,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The id of the user or group.
    pub id: ResourceId,
    /// The kind of the member.
    pub kind: ResourceKind,
    /// The `display` that the client sent when it added the member.
    pub display: Option<String>,
}

impl Member {
    /// Returns the element of `members` (RFC 7643 §4.2).
    pub fn to_json(&self, base_url: &str) -> Value {
        let mut member = json!({
            "value": self.id.to_string(),
            "$ref": location(base_url, self.kind, self.id),
            "type": self.kind.name(),
        });
        if let (Some(display), Some(member)) = (&self.display, member.as_object_mut()) {
            member.insert("display".into(), display.as_str().into());
        }
        member
    }
}

/// Makes the representation that filters and sorting use. It differs from [`represent`] in one point: a user
/// without `active` is active.
pub fn represent_to_match(
    resource: &Resource,
    groups: &[GroupReference],
    members: Option<&[Member]>,
    base_url: &str,
) -> Map<String, Value> {
    let mut out = represent(resource, groups, members, base_url);
    if resource.kind == ResourceKind::User && !out.contains_key("active") {
        out.insert("active".into(), true.into());
    }
    out
}

/// Makes the representation with all attributes. `members` is `None` if the response does not need them.
pub fn represent(
    resource: &Resource,
    groups: &[GroupReference],
    members: Option<&[Member]>,
    base_url: &str,
) -> Map<String, Value> {
    // The map is cloned as a whole. Inserting each entry in a new map would hash every name again.
    let mut out = resource.document.clone();
    // Documents begin with `schemas`. The id comes next, as in the examples of RFC 7643 §8.
    out.shift_insert(out.len().min(1), "id".into(), resource.id.to_string().into());
    if !groups.is_empty() {
        let groups = groups.iter().map(|group| group_to_json(group, base_url)).collect();
        out.insert("groups".into(), Value::Array(groups));
    }
    if let Some(members) = members
        && !members.is_empty()
    {
        out.insert("members".into(), members.iter().map(|member| member.to_json(base_url)).collect());
    }
    out.insert(
        "meta".into(),
        json!({
            "resourceType": resource.kind.name(),
            "created": format!("{:.3}", resource.created),
            "lastModified": format!("{:.3}", resource.last_modified),
            "location": location(base_url, resource.kind, resource.id),
            "version": resource.etag(groups),
        }),
    );
    out
}

fn group_to_json(group: &GroupReference, base_url: &str) -> Value {
    let mut out = json!({
        "value": group.id.to_string(),
        "$ref": location(base_url, ResourceKind::Group, group.id),
        "type": if group.direct { "direct" } else { "indirect" },
    });
    if let (Some(display), Some(out)) = (&group.display, out.as_object_mut()) {
        out.insert("display".into(), display.as_str().into());
    }
    out
}

/// Returns the URL of a resource (RFC 7643 §3.1, `meta.location`).
pub fn location(base_url: &str, kind: ResourceKind, id: ResourceId) -> String {
    format!("{base_url}/{}/{id}", kind.endpoint())
}
