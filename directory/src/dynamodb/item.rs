//! Users, groups and memberships as items, and back.
//!
//! A resource is its `doc` (SCIM JSON) beside the attributes that conditions ask and that consumers of the stream read:
//! `version`, `created`, `modified`, `origin`, `active` (users), and the name that is unique, `userName` or
//! `displayName`. `going` marks one whose deletion has begun, `nested` a group that has been a member of another.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;

use super::keys::{self, Key};
use super::table::Item;
use super::transaction::Expression;
use shared::error::{ErrorKind, ScimError};
use shared::resource::{Member, Origin, Resource, ResourceId, ResourceKind};

/// The largest document with its name, in bytes; an item holds 400 KB at most, keys and all.
pub const MAX_DOCUMENT_BYTES: usize = 300_000;

/// A resource as it was read, with what only the store cares for.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The resource.
    pub resource: Resource,
    /// Its deletion has begun: to everybody else it is gone.
    pub is_going: bool,
    /// The client deleted it, and it is kept for operators.
    pub is_kept: bool,
    /// It has been a member of another group.
    pub is_nested: bool,
}

/// The name that is unique among the resources of this kind.
pub fn unique_name(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::User => "userName",
        ResourceKind::Group | ResourceKind::LocalGroup | ResourceKind::Role => "displayName",
    }
}

/// Text as an attribute value.
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number as an attribute value.
pub fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The item of a new resource.
pub fn from_resource(key: &Key, resource: &Resource) -> Result<Item, ScimError> {
    let mut item = key.attributes();
    item.insert("created".into(), text(resource.created.to_string()));
    item.extend(changing_attributes(resource)?.into_iter().map(|(name, value)| (name.to_owned(), value)));
    Ok(item)
}

/// The update that writes what a new version of a resource changes.
pub fn update_to(resource: &Resource) -> Result<Expression, ScimError> {
    let attributes = changing_attributes(resource)?;
    let assignments: Vec<String> = attributes.iter().map(|(name, _)| format!("{name} = :{name}")).collect();
    let update = Expression::new(format!("SET {}", assignments.join(", ")));
    Ok(attributes.into_iter().fold(update, |update, (name, value)| update.with(placeholder(name), value)))
}

fn placeholder(name: &'static str) -> &'static str {
    match name {
        "doc" => ":doc",
        "version" => ":version",
        "modified" => ":modified",
        "userName" => ":userName",
        "displayName" => ":displayName",
        "origin" => ":origin",
        _ => ":active",
    }
}

fn changing_attributes(resource: &Resource) -> Result<Vec<(&'static str, AttributeValue)>, ScimError> {
    let document = serde_json::to_string(&resource.document).map_err(ScimError::internal)?;
    let name = unique_name(resource.kind);
    let name_value = resource.document.get(name).and_then(Value::as_str);
    // The name stands in the item a second time.
    let length = document.len() + name_value.map_or(0, str::len);
    if length > MAX_DOCUMENT_BYTES {
        return Err(ScimError::new(
            ErrorKind::PayloadTooLarge,
            format!("The {} would be {length} bytes, and may be {MAX_DOCUMENT_BYTES}", resource.kind.name()),
        ));
    }
    let mut attributes = vec![
        ("doc", text(document)),
        ("version", number(resource.version)),
        ("modified", text(resource.last_modified.to_string())),
        ("origin", text(resource.origin.name())),
    ];
    if let Some(value) = name_value {
        attributes.push((name, text(value)));
    }
    if resource.kind == ResourceKind::User {
        attributes.push(("active", AttributeValue::Bool(resource.is_active())));
    }
    Ok(attributes)
}

/// A resource from its item.
pub fn to_stored(kind: ResourceKind, item: &Item) -> Result<Stored, ScimError> {
    let key = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).map_or("?", String::as_str);
    let broken_by = |why: String| {
        ScimError::internal(format!("the item {:?} {:?} cannot be read{why}", key("pk"), key("sk")))
    };
    let broken = || broken_by(String::new());
    let time = |text: &str| text.parse().map_err(|error: jiff::Error| broken_by(format!(": {error}")));
    let string = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).ok_or_else(broken);
    let is_set = |name: &str| item.get(name).is_some_and(|value| value.as_bool() == Ok(&true));
    let version = item.get("version").and_then(|value| value.as_n().ok()).and_then(|text| text.parse().ok());
    Ok(Stored {
        resource: Resource {
            kind,
            id: ResourceId::parse(string("sk")?).ok_or_else(broken)?,
            version: version.ok_or_else(broken)?,
            created: time(string("created")?)?,
            last_modified: time(string("modified")?)?,
            origin: if string("origin")? == Origin::Local.name() { Origin::Local } else { Origin::Scim },
            document: serde_json::from_str(string("doc")?)
                .map_err(|error| broken_by(format!(": {error}")))?,
        },
        is_going: is_set("going"),
        is_kept: is_set("kept"),
        is_nested: is_set("nested"),
    })
}

/// The group's side of a membership.
pub fn from_member(key: &Key, member: &Member) -> Item {
    let mut item = key.attributes();
    item.insert("kind".into(), text(member.kind.name()));
    if let Some(display) = &member.display {
        item.insert("display".into(), text(display));
    }
    item
}

/// The member of a group's side of a membership.
pub fn to_member(item: &Item) -> Option<Member> {
    let string = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
    Some(Member {
        id: ResourceId::parse(string("sk")?)?,
        kind: if string("kind")? == ResourceKind::Group.name() {
            ResourceKind::Group
        } else {
            ResourceKind::User
        },
        display: string("display").cloned(),
    })
}

/// What the sort key of an item among resources names.
pub fn name_of(item: &Item) -> Option<(ResourceId, Option<ResourceId>)> {
    keys::parse_resources_sk(item.get("sk")?.as_s().ok()?)
}

/// The id that an index entry points at.
pub fn indexed_id(item: &Item) -> Option<ResourceId> {
    ResourceId::parse(item.get("id")?.as_s().ok()?)
}
