//! A stored resource as a client reads it: `id`, `meta`, `groups` and `members` are put in here.

use serde_json::{Map, Value, json};

use super::{Resource, ResourceId, ResourceKind};

/// A group that a user is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupReference {
    /// The group.
    pub id: ResourceId,
    /// Its name, as it is now.
    pub display: Option<String>,
    /// Whether the user is in it itself, or by way of a group that is (RFC 7643 §4.1.2).
    pub direct: bool,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The user or group.
    pub id: ResourceId,
    /// Which of the two.
    pub kind: ResourceKind,
    /// What the client called it when it was put in.
    pub display: Option<String>,
}

impl Member {
    /// The element of `members` (RFC 7643 §4.2).
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

/// The resource as a filter sees it: as the client does, but that a user who was never said to be active or not is.
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

/// The resource as the client sees it, every attribute there. `members` is `None` where nobody reads them.
pub fn represent(
    resource: &Resource,
    groups: &[GroupReference],
    members: Option<&[Member]>,
    base_url: &str,
) -> Map<String, Value> {
    // A copy as a whole: entry by entry, every name would have to be hashed again.
    let mut out = resource.document.clone();
    // Behind `schemas`, which documents begin with, as readers are used to.
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

/// The URL of a resource (RFC 7643 §3.1, `meta.location`).
pub fn location(base_url: &str, kind: ResourceKind, id: ResourceId) -> String {
    format!("{base_url}/{}/{id}", kind.endpoint())
}
