//! Resources and memberships as items, and back.
//!
//! The item of a resource has its SCIM JSON in `doc`. It also has the attributes that conditions use: `version`,
//! `created`, `modified`, `origin`, `active` (users only) and the unique name, `userName` or `displayName`. Three markers
//! are set to true or are missing: `going` (the deletion has begun), `kept` (the client deleted the user, and operators
//! keep it) and `nested` (the group has been a member of another group).

use shared::error::{ErrorKind, ScimError};
use shared::resource::{Member, Origin, Resource, ResourceId, ResourceKind};

use super::attributes::{Item, boolean, get_number, get_text, is_true, number, text};
use super::conditions::DELETING;
use super::keys::{self, Key};
use super::transaction::Expression;

/// The most bytes of a document and its name. An item holds at most 400 KB, with its keys.
const MAX_DOCUMENT_BYTES: usize = 300_000;

/// The stored attribute that marks a user whom the client deleted and operators keep.
const RETAINED: &str = "kept";
/// The stored attribute that marks a group that has been a member of another group.
const NESTED: &str = "nested";

/// A resource with its markers.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The resource.
    pub resource: Resource,
    /// Whether its deletion has begun. Clients get 404 for it.
    pub is_deleting: bool,
    /// Whether the client deleted it and operators keep it.
    pub is_retained: bool,
    /// Whether it has been a member of another group.
    pub is_nested: bool,
}

/// The name of the unique attribute of a kind of resource.
pub fn unique_attribute(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::User => "userName",
        ResourceKind::Group | ResourceKind::LocalGroup | ResourceKind::Role => "displayName",
    }
}

/// Makes the item of a new resource.
pub fn from_resource(key: &Key, resource: &Resource) -> Result<Item, ScimError> {
    let mut item = key.attributes();
    item.insert("created".to_owned(), text(resource.created.to_string()));
    item.extend(changing_attributes(resource)?.into_iter().map(|(name, value)| (name.to_owned(), value)));
    Ok(item)
}

/// Makes the update that writes the next version of a resource.
pub fn update_to(resource: &Resource) -> Result<Expression, ScimError> {
    let attributes = changing_attributes(resource)?;
    let assignments: Vec<String> = attributes.iter().map(|(name, _)| format!("{name} = :{name}")).collect();
    let update = Expression::new(format!("SET {}", assignments.join(", ")));
    Ok(attributes.into_iter().fold(update, |update, (name, value)| update.with(format!(":{name}"), value)))
}

/// Makes the update that begins a deletion.
pub fn begin_deletion(is_retained: bool) -> Expression {
    let retained = if is_retained { format!(", {RETAINED} = :true") } else { String::new() };
    Expression::new(format!("SET {DELETING} = :true{retained}")).with(":true", boolean(true))
}

/// Makes the update that marks a group as one that has been a member of another.
pub fn mark_nested() -> Expression {
    Expression::new(format!("SET {NESTED} = :true")).with(":true", boolean(true))
}

fn changing_attributes(
    resource: &Resource,
) -> Result<Vec<(&'static str, aws_sdk_dynamodb::types::AttributeValue)>, ScimError> {
    let document = serde_json::to_string(&resource.document).map_err(ScimError::internal)?;
    let name = unique_attribute(resource.kind);
    let name_value = resource.document.get(name).and_then(|value| value.as_str());
    // The item holds the name twice.
    let length = document.len() + name_value.map_or(0, str::len);
    if length > MAX_DOCUMENT_BYTES {
        return Err(ScimError::new(
            ErrorKind::PayloadTooLarge,
            format!("The {} is {length} bytes; the maximum is {MAX_DOCUMENT_BYTES}", resource.kind.name()),
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
        attributes.push(("active", boolean(resource.is_active())));
    }
    Ok(attributes)
}

/// Reads a resource from its item.
///
/// # Errors
/// Fails when an attribute is missing or cannot be read; the cause names the item.
pub fn to_stored(kind: ResourceKind, item: &Item) -> Result<Stored, ScimError> {
    let broken = |why: String| {
        let key = |name: &str| get_text(item, name).unwrap_or("?");
        ScimError::internal(format!("item {:?} {:?} cannot be read: {why}", key("pk"), key("sk")))
    };
    let string = |name: &str| get_text(item, name).ok_or_else(|| broken(format!("{name} is missing")));
    let time = |name: &str| string(name)?.parse().map_err(|error: jiff::Error| broken(error.to_string()));
    let id = ResourceId::parse(string("sk")?).ok_or_else(|| broken("sk is no id".to_owned()))?;
    let version = get_number(item, "version").ok_or_else(|| broken("version is missing".to_owned()))?;
    Ok(Stored {
        resource: Resource {
            kind,
            id,
            version,
            created: time("created")?,
            last_modified: time("modified")?,
            origin: if string("origin")? == Origin::Local.name() { Origin::Local } else { Origin::Scim },
            document: serde_json::from_str(string("doc")?).map_err(|error| broken(error.to_string()))?,
        },
        is_deleting: is_true(item, DELETING),
        is_retained: is_true(item, RETAINED),
        is_nested: is_true(item, NESTED),
    })
}

/// Whether the user of an item is active; `None` if the item does not have this attribute.
pub fn stored_active(item: &Item) -> Option<bool> {
    item.get("active")?.as_bool().ok().copied()
}

/// Whether the deletion of a resource has begun.
pub fn is_deleting(item: &Item) -> bool {
    is_true(item, DELETING)
}

/// Whether the client deleted this user and operators keep it.
pub fn is_retained(item: &Item) -> bool {
    is_true(item, RETAINED)
}

/// Whether this group has been a member of another group.
pub fn is_nested(item: &Item) -> bool {
    is_true(item, NESTED)
}

/// Makes the group's side of a membership.
pub fn from_member(key: &Key, member: &Member) -> Item {
    let mut item = key.attributes();
    item.insert("kind".to_owned(), text(member.kind.name()));
    if let Some(display) = &member.display {
        item.insert("display".to_owned(), text(display));
    }
    item
}

/// Reads the member from a group's side of a membership.
pub fn to_member(item: &Item) -> Option<Member> {
    let is_group = get_text(item, "kind")? == ResourceKind::Group.name();
    Some(Member {
        id: ResourceId::parse(get_text(item, "sk")?)?,
        kind: if is_group { ResourceKind::Group } else { ResourceKind::User },
        display: get_text(item, "display").map(str::to_owned),
    })
}

/// Reads the ids in the sort key of an item of a partition of resources.
pub fn ids(item: &Item) -> Option<(ResourceId, Option<ResourceId>)> {
    keys::parse_resources_sk(get_text(item, "sk")?)
}

/// Reads the id that an index entry points at.
pub fn indexed_id(item: &Item) -> Option<ResourceId> {
    ResourceId::parse(get_text(item, "id")?)
}
