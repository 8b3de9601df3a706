//! Resources and memberships as items, and back.
//!
//! The item of a resource has its SCIM JSON in `doc`. It also has the attributes that conditions use: `version`,
//! `created`, `modified`, `origin`, `active` (users only) and the unique name, `userName` or `displayName`. Three markers
//! are set to true or are missing: `going` (the deletion has begun), `kept` (the client deleted the user, and operators
//! keep it) and `nested` (the group has been a member of another group).
//!
//! A member has `joins`, which counts how often it joined a group, and `last_group`, the group that it joined last. Work that
//! needs more than one transaction is named in its resource: `leaving`, or `intent` with `intent_owner`, `intent_done`,
//! `intent_due` and `creating` (see `intents`). A user of the client can have `shown_name`, which an operator entered. A local
//! user that is being deleted can have `merged_into`, the user that gets its local groups and roles.

use jiff::{SignedDuration, Timestamp};
use shared::error::{ErrorKind, ScimError};
use shared::resource::{Member, Origin, Resource, ResourceId, ResourceKind};

use super::attributes::{Item, boolean, get_number, get_text, is_true, number, text};
use super::conditions::{DELETING, INTENT, JOINS, LEAVING, OWNER, RETAINED};
use super::expressions::Update;
use super::keys::{self, Key};

/// The most bytes of a document and its name. An item holds at most 400 KB, with its keys.
const MAX_DOCUMENT_BYTES: usize = 300_000;

/// The stored attribute that marks a group that has been a member of another group.
const NESTED: &str = "nested";
/// The stored attribute with the group that a member joined last.
const LAST_GROUP: &str = "last_group";
/// The stored attribute with the display name that an operator entered for a user of the client.
const SHOWN_NAME: &str = "shown_name";
/// The stored attribute with the user that gets the local groups and roles of a local user that is being deleted.
const MERGED_INTO: &str = "merged_into";
/// The stored attribute that marks a group whose creation has not ended.
const CREATING: &str = "creating";
/// The stored attribute that counts the changes of an intent that are carried out.
const DONE: &str = "intent_done";
/// The stored attribute with the time after which the owner of an intent counts as dead, in milliseconds since 1970.
const DUE: &str = "intent_due";

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
    /// How often it has joined a group.
    pub(crate) joins: u64,
    /// The group that it joined last.
    pub(crate) last_group: Option<ResourceId>,
    /// The id of the change because of which it is leaving all its groups.
    pub(crate) leaving: Option<String>,
    /// The change of its members that is being carried out.
    pub(crate) intent: Option<Progress>,
    /// The time after which the owner of the newest intent counted as dead. It stays when the intent has ended.
    pub(crate) intent_due: Option<Timestamp>,
    /// The display name that an operator entered for a user of the client. A local user has it in its document.
    pub shown_name: Option<String>,
    /// The user that gets the local groups and roles of this local user, which is being deleted.
    pub(crate) merged_into: Option<ResourceId>,
}

/// How far the change of a group's members is carried out, which needs several transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The id of the intent.
    pub intent: String,
    /// The process that carries it out; an id that each process makes for itself.
    pub owner: String,
    /// The number of changes that are carried out.
    pub done: usize,
    /// When the owner counts as dead, unless it makes progress before.
    pub due: Timestamp,
    /// Whether the group is being created, and is invisible until all is done.
    pub is_creation: bool,
}

impl Stored {
    /// Whether it is a group whose creation has not ended.
    pub(crate) fn is_being_created(&self) -> bool {
        self.intent.as_ref().is_some_and(|progress| progress.is_creation)
    }

    /// Whether an intent changes the members of the group, or did so a short time before `now`. Clocks can differ by a minute.
    pub(crate) fn has_recent_intent(&self, now: Timestamp) -> bool {
        self.intent_due.is_some_and(|due| now < due + SignedDuration::from_mins(1))
    }

    /// Whether work that needs several transactions is named in the resource.
    pub(crate) fn has_intent(&self) -> bool {
        self.leaving.is_some() || self.intent.is_some() || (self.is_deleting && !self.is_retained)
    }
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
pub fn update_to(resource: &Resource) -> Result<Update, ScimError> {
    let attributes = changing_attributes(resource)?.into_iter();
    Ok(attributes.fold(Update::new(), |update, (name, value)| update.set(name, value)))
}

/// Makes the update that begins a deletion. It ends the work that the resource names. `leaving` is the id of the change by
/// which a user whom operators keep leaves all groups.
pub fn begin_deletion(is_retained: bool, leaving: Option<&str>) -> Update {
    let update = without_intent().set(DELETING, boolean(true));
    let update = if is_retained { update.set(RETAINED, boolean(true)) } else { update };
    match leaving {
        Some(change) => update.and(begin_leaving(change)),
        None => update.and(end_leaving()),
    }
}

/// Makes the update that begins the deletion of a local user whose local groups and roles another user gets.
pub fn begin_merge(other: ResourceId) -> Update {
    begin_deletion(false, None).set(MERGED_INTO, text(other.to_string()))
}

/// Makes the update of a member that joins a group.
pub fn join(kind: ResourceKind, group: ResourceId) -> Update {
    let update = Update::new().add(JOINS, number(1)).set(LAST_GROUP, text(group.to_string()));
    if kind == ResourceKind::Group { update.and(mark_nested()) } else { update }
}

/// Makes the update that marks a group as one that has been a member of another.
pub fn mark_nested() -> Update {
    Update::new().set(NESTED, boolean(true))
}

/// Makes the update that sets or clears the display name that an operator entered for a user of the client.
pub fn set_shown_name(name: Option<&str>) -> Update {
    match name {
        Some(name) => Update::new().set(SHOWN_NAME, text(name)),
        None => Update::new().remove(&[SHOWN_NAME]),
    }
}

/// Makes the update that marks a member as leaving all its groups, because of this change.
pub fn begin_leaving(change: &str) -> Update {
    Update::new().set(LEAVING, text(change))
}

/// Makes the update that ends the leaving of all groups.
pub fn end_leaving() -> Update {
    Update::new().remove(&[LEAVING])
}

/// Makes the update that names an intent in its group.
pub fn begin_intent(progress: &Progress) -> Update {
    take_intent(&progress.owner, progress.due)
        .set(INTENT, text(&progress.intent))
        .set(DONE, number(progress.done))
}

/// Makes the update that makes another process the owner of an intent.
pub fn take_intent(owner: &str, due: Timestamp) -> Update {
    Update::new().set(OWNER, text(owner)).set(DUE, number(due.as_millisecond()))
}

/// Makes the update that counts changes of an intent as carried out.
pub fn advance_intent(done: usize, due: Timestamp) -> Update {
    Update::new().set(DONE, number(done)).set(DUE, number(due.as_millisecond()))
}

/// Makes the update that ends an intent. Its time stays (see [`Stored::has_recent_intent`]).
pub fn without_intent() -> Update {
    Update::new().remove(&[INTENT, OWNER, DONE, CREATING])
}

/// Makes the update that ends the creation of a group, and makes it visible.
pub fn end_creation() -> Update {
    without_intent().remove(&[DELETING])
}

/// Makes the item of a group that is being created, which clients cannot see.
pub fn from_incomplete(key: &Key, group: &Resource, progress: &Progress) -> Result<Item, ScimError> {
    let mut item = from_resource(key, group)?;
    item.extend([
        (DELETING.to_owned(), boolean(true)),
        (CREATING.to_owned(), boolean(true)),
        (INTENT.to_owned(), text(&progress.intent)),
        (OWNER.to_owned(), text(&progress.owner)),
        (DONE.to_owned(), number(progress.done)),
        (DUE.to_owned(), number(progress.due.as_millisecond())),
    ]);
    Ok(item)
}

/// Reads how far the change of a group's members is carried out; `None` if no intent changes them.
pub fn to_progress(item: &Item) -> Option<Progress> {
    Some(Progress {
        intent: get_text(item, INTENT)?.to_owned(),
        owner: get_text(item, OWNER)?.to_owned(),
        done: get_number(item, DONE)?,
        due: Timestamp::from_millisecond(get_number(item, DUE)?).ok()?,
        is_creation: is_true(item, CREATING),
    })
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
        joins: get_number(item, JOINS).unwrap_or_default(),
        last_group: get_text(item, LAST_GROUP).and_then(ResourceId::parse),
        leaving: get_text(item, LEAVING).map(str::to_owned),
        intent: to_progress(item),
        intent_due: get_number(item, DUE).and_then(|due| Timestamp::from_millisecond(due).ok()),
        shown_name: get_text(item, SHOWN_NAME).map(str::to_owned),
        merged_into: get_text(item, MERGED_INTO).and_then(ResourceId::parse),
    })
}

/// Whether the user of an item is active; `None` if the item does not have this attribute.
pub fn stored_active(item: &Item) -> Option<bool> {
    item.get("active")?.as_bool().ok().copied()
}

/// Whether an operator created the resource, and no client has taken it over.
pub fn is_local(item: &Item) -> bool {
    get_text(item, "origin") == Some(Origin::Local.name())
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
    let kind = get_text(item, "kind")?;
    Some(Member {
        id: ResourceId::parse(get_text(item, "sk")?)?,
        kind: ResourceKind::MEMBERS
            .into_iter()
            .find(|known| known.name() == kind)
            .unwrap_or(ResourceKind::User),
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
