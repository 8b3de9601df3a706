//! What an audit record says about a change.
//!
//! A record names the attributes that change. It has values only where they are neither personal data nor secrets, with one
//! exception: it keeps the names of resources, so that the records of a deleted resource can be found by its name. Ids of
//! resources are no personal data by themselves.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::credential::{Credential, CredentialKind};
use shared::filter::fold_name;
use shared::resource::{Document, Resource, ResourceId, ResourceKind};

use crate::connectors::{Connector, scheme};
use crate::dynamodb::items::unique_attribute;
use crate::member_changes::Change;

/// The most ids that a list of a record names. A list of this length has 39 KB; an item of DynamoDB holds at most 400 KB.
const MAX_NAMED: usize = 1_000;
/// The most bytes of a name or value. A longer one is cut.
const MAX_VALUE_BYTES: usize = 1_024;

/// The value of a merge that has the id of the local user.
const MERGED_USER: &str = "merged user";

/// What changed.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct Changes {
    /// The name of the resource after the change, or before its deletion: userName or displayName. A record of a user has it
    /// only if the user was created, linked, renamed, merged or deleted.
    pub name: Option<String>,
    /// The names of the attributes that changed.
    pub attributes: Vec<String>,
    /// The values that changed.
    pub values: Vec<ChangedValue>,
    /// The members that joined this group, or got this role.
    pub added: NamedIds,
    /// The members that left this group, or lost this role.
    pub removed: NamedIds,
    /// The groups and roles that this user or group got.
    pub joined: NamedIds,
    /// The groups and roles that this user or group lost.
    pub left: NamedIds,
}

/// A value before and after a change.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct ChangedValue {
    /// What has the value: an attribute, a setting, or a credential with its id.
    pub what: String,
    /// The value before; `None` if there was none.
    pub from: Option<String>,
    /// The value after; `None` if there is none.
    pub to: Option<String>,
}

/// The ids of resources, as many as a record can name.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct NamedIds {
    /// The first ids.
    pub ids: Vec<String>,
    /// The number of resources that are not named.
    pub more: usize,
}

impl NamedIds {
    pub(crate) fn of(ids: impl Iterator<Item = ResourceId>) -> Self {
        let mut named = Self::default();
        ids.for_each(|id| named.add(id));
        named
    }

    /// Adds a resource: its id, or only one to the number of those that are not named.
    pub(crate) fn add(&mut self, id: ResourceId) {
        if self.ids.len() < MAX_NAMED {
            self.ids.push(id.to_string());
        } else {
            self.more += 1;
        }
    }

    /// The number of resources.
    pub(crate) fn len(&self) -> usize {
        self.ids.len() + self.more
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

impl Changes {
    /// A change of one attribute without values.
    pub(crate) fn of_attribute(name: &str) -> Self {
        Self { attributes: vec![name.to_owned()], ..Self::default() }
    }

    /// The creation of a resource.
    pub(crate) fn of_creation(resource: &Resource) -> Self {
        let attributes = changed(&Document::new(), &resource.document);
        Self { attributes, ..Self::of_deletion(resource) }
    }

    /// The deletion of a resource.
    pub(crate) fn of_deletion(resource: &Resource) -> Self {
        Self { name: name(resource).map(cut), ..Self::default() }
    }

    /// A change of a resource's document. A user's userName is kept only if it changes.
    pub(crate) fn of_update(before: &Resource, after: &Resource) -> Self {
        let mut changes = Self { attributes: changed(&before.document, &after.document), ..Self::default() };
        let (old, new) = (name(before), name(after));
        if old != new {
            changes = changes.with_value(unique_attribute(after.kind), old, new);
        }
        if after.kind != ResourceKind::User || old != new {
            changes.name = new.map(cut);
        }
        if before.is_active() != after.is_active() && after.kind == ResourceKind::User {
            let text = |resource: &Resource| resource.is_active().to_string();
            changes = changes.with_value("active", Some(&text(before)), Some(&text(after)));
        }
        changes
    }

    /// A merge: a user gets the groups and roles of a local user.
    pub(crate) fn of_merge(user: &Resource, local: ResourceId, joined: &[ResourceId]) -> Self {
        let mut changes = Self::of_deletion(user).with_value(MERGED_USER, None, Some(&local.to_string()));
        changes.joined = NamedIds::of(joined.iter().copied());
        changes.with_attribute_if("groups", |changes| !changes.joined.is_empty())
    }

    /// A change of a connector, or the creation of one; `attributes` are what changes.
    pub(crate) fn of_connector(
        before: Option<&Connector>,
        after: &Connector,
        attributes: Vec<String>,
    ) -> Self {
        let mut changes = Self { attributes, ..Self::default() };
        changes.compare_credentials(before.map_or(&[], |before| &before.credentials), &after.credentials);
        match before {
            None => {
                let name = Some(after.record.name.as_str());
                changes.with_value("name", None, name)
            }
            Some(before) => {
                let (old, new) = (facts(before), facts(after));
                for (what, from) in &old {
                    let to = new.iter().find(|(name, _)| name == what).map(|(_, value)| value);
                    if Some(from) != to {
                        changes = changes.with_value(
                            what,
                            Some(&shown(what, from)),
                            to.map(|to| shown(what, to)).as_deref(),
                        );
                    }
                }
                for (what, to) in new.iter().filter(|(what, _)| old.iter().all(|(name, _)| name != what)) {
                    changes = changes.with_value(what, None, Some(&shown(what, to)));
                }
                changes
            }
        }
    }

    /// Adds the members that join and leave a group.
    pub(crate) fn with_members<'c>(mut self, changes: impl Iterator<Item = &'c Change> + Clone) -> Self {
        let joining = changes.clone().filter(|change| matches!(change, Change::Join(_)));
        let leaving = changes.filter(|change| matches!(change, Change::Leave(_)));
        self.added = NamedIds::of(joining.map(|change| change.member().id));
        self.removed = NamedIds::of(leaving.map(|change| change.member().id));
        self.with_attribute_if("members", |changes| !changes.added.is_empty() || !changes.removed.is_empty())
    }

    /// Adds the members that leave a group because it is deleted.
    pub(crate) fn with_removed(mut self, members: NamedIds) -> Self {
        self.removed = members;
        self.with_attribute_if("members", |changes| !changes.removed.is_empty())
    }

    /// Adds the groups and roles that a member leaves.
    pub(crate) fn with_left(mut self, groups: &[ResourceId]) -> Self {
        self.left = NamedIds::of(groups.iter().copied());
        self.with_attribute_if("groups", |changes| !changes.left.is_empty())
    }

    /// Adds a value.
    pub(crate) fn with_value(mut self, what: &str, from: Option<&str>, to: Option<&str>) -> Self {
        self.values.push(ChangedValue { what: cut(what), from: from.map(cut), to: to.map(cut) });
        self
    }

    fn with_attribute_if(mut self, attribute: &str, has_changed: impl Fn(&Self) -> bool) -> Self {
        if has_changed(&self) {
            self.attributes.push(attribute.to_owned());
        }
        self
    }

    fn compare_credentials(&mut self, before: &[Credential], after: &[Credential]) {
        let same = |credentials: &[Credential], id: &str| {
            credentials.iter().find(|credential| credential.id == id).map(describe)
        };
        let added = after.iter().filter(|one| before.iter().all(|other| other.id != one.id));
        for credential in before.iter().chain(added) {
            let (from, to) = (same(before, &credential.id), same(after, &credential.id));
            if from != to {
                let what = format!("credential {}", credential.id);
                self.values.push(ChangedValue { what, from, to });
            }
        }
    }

    /// Whether the record is about this resource from the other side of a membership or merge.
    pub fn names(&self, id: &str) -> bool {
        let is_merged = |value: &ChangedValue| value.what == MERGED_USER && value.to.as_deref() == Some(id);
        let lists = [&self.added, &self.removed, &self.joined, &self.left];
        self.values.iter().any(is_merged)
            || lists.into_iter().any(|list| list.ids.iter().any(|named| named == id))
    }

    /// Whether the resource has this name before or after the change. Ignores upper and lower case.
    pub fn has_name(&self, name: &str) -> bool {
        let name = cut(&fold_name(name, false));
        let is_name = |value: &ChangedValue| matches!(value.what.as_str(), "userName" | "displayName");
        let values = self.values.iter().filter(|value| is_name(value));
        let names = values.flat_map(|value| [&value.from, &value.to]).chain([&self.name]).flatten();
        names.into_iter().any(|kept| cut(&fold_name(kept, false)) == name)
    }
}

fn name(resource: &Resource) -> Option<&str> {
    resource.document.get(unique_attribute(resource.kind))?.as_str()
}

/// A text of at most [`MAX_VALUE_BYTES`].
fn cut(text: &str) -> String {
    let mut end = text.len().min(MAX_VALUE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// A credential without its secret.
fn describe(credential: &Credential) -> String {
    let username = match &credential.kind {
        CredentialKind::Basic { username } => Some(username.as_str()),
        kind => kind.client_id(),
    };
    let username = username.map_or_else(String::new, |username| format!(" {}", cut(username)));
    let expires = credential.expires.map_or_else(|| "never expires".to_owned(), |at| format!("expires {at}"));
    format!("{}{username}, {expires}", scheme(credential))
}

/// What an audit record may say of a connector's record: each field with its value, and never the key of its cursors.
fn facts(connector: &Connector) -> Vec<(String, Value)> {
    let record = serde_json::to_value(&connector.record).unwrap_or_default();
    let mut facts = vec![("format".to_owned(), connector.format.into())];
    for field in ["name", "disabled"] {
        facts.push((field.to_owned(), record.get(field).cloned().unwrap_or_default()));
    }
    for (name, value) in record.get("settings").and_then(Value::as_object).into_iter().flatten() {
        match value.as_object() {
            Some(table) => {
                facts.extend(table.iter().map(|(inner, value)| (format!("{name}.{inner}"), value.clone())));
            }
            None => facts.push((name.clone(), value.clone())),
        }
    }
    for (name, state) in record.get("indexes").and_then(Value::as_object).into_iter().flatten() {
        facts.push((format!("index {name}"), state.clone()));
    }
    facts
}

/// A value of a connector as a record shows it. Patterns of users can be userNames, so only their number is kept.
fn shown(what: &str, value: &Value) -> String {
    match (value, what) {
        (Value::Array(patterns), "rules.include-users" | "rules.exclude-users") => {
            format!("{} {}", patterns.len(), if patterns.len() == 1 { "pattern" } else { "patterns" })
        }
        (Value::Array(values), _) => {
            values.iter().map(|value| value.as_str().unwrap_or_default()).collect::<Vec<_>>().join(", ")
        }
        (Value::String(text), _) => text.clone(),
        (Value::Null, _) => "no".to_owned(),
        (other, _) => other.to_string(),
    }
}

/// Lists the names of the attributes in which two documents differ. For an extension, lists the attributes in it.
fn changed(before: &Document, after: &Document) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, value) in before.iter().chain(after) {
        let (one, other) = (before.get(name), after.get(name));
        if one == other
            || names.contains(name)
            || names.iter().any(|known| known.starts_with(&format!("{name}:")))
        {
            continue;
        }
        match (value.as_object(), name.contains(':')) {
            (Some(_), true) => {
                let empty = Document::new();
                let attributes = |document: Option<&Value>| {
                    document.and_then(|document| document.as_object()).unwrap_or(&empty).clone()
                };
                let inner = changed(&attributes(one), &attributes(other));
                names.extend(inner.into_iter().map(|inner| format!("{name}:{inner}")));
            }
            _ => names.push(name.clone()),
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changed_attributes_are_named_without_values() {
        let document = |value: Value| value.as_object().unwrap().clone();
        let before = document(json!({
            "userName": "a", "title": "x", "name": { "givenName": "A" },
            "urn:x:2.0:User": { "department": "d", "division": "v" }
        }));
        let after = document(json!({
            "userName": "a", "name": { "givenName": "B" }, "active": false,
            "urn:x:2.0:User": { "department": "e", "division": "v" }
        }));
        assert_eq!(changed(&before, &after), ["title", "name", "urn:x:2.0:User:department", "active"]);
        assert_eq!(changed(&before, &before), [""; 0]);
        assert_eq!(changed(&Document::new(), &document(json!({ "userName": "a" }))), ["userName"]);
    }

    #[test]
    fn long_lists_and_values_are_cut() {
        let id = |number: u32| {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            ResourceId::from_random_bytes(bytes)
        };
        let changes = Changes::default().with_removed(NamedIds::of((0..1_234).map(id)));
        assert_eq!((changes.removed.ids.len(), changes.removed.more), (1_000, 234));
        assert!(changes.names(&id(999).to_string()) && !changes.names(&id(1_000).to_string()));
        let long = "é".repeat(600);
        let changes = changes.with_value("userName", Some(&long), None);
        assert_eq!(changes.values[0].from.as_deref().map(str::len), Some(1_024));
        assert!(changes.has_name(&long.to_uppercase()) && !changes.has_name("é"));
    }
}
