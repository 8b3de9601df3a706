//! Index entries. Each value of an indexed attribute is one item, written in the transaction that writes the resource.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::connectors::ConnectorId;
use crate::dynamodb::attributes::{Item, text};
use crate::dynamodb::keys::{self, Key};
use shared::error::ScimError;
use shared::filter::{fold, fold_name};
use shared::patch::ValuePath;
use shared::resource::{Document, Origin, Resource, ResourceId, ResourceKind};
use shared::schema::{Index, ResourceSchema};

/// The most index entries of one resource. A transaction holds 100 items, and an update can delete as many entries as it
/// adds. The rest is for the resource, its count, the checks of names and the audit record.
const MAX_ENTRIES: usize = 43;

/// The name of the index of inactive users.
pub const ACTIVE: &str = "active";
/// The only value in that index.
pub const INACTIVE: &str = "false";

/// The name of the index of local users, which a client's lists leave out. Its values say whether a user is active.
pub const LOCAL: &str = "local";
/// The value of an active user in that index.
pub const LOCAL_ACTIVE: &str = "true";
/// The value of an inactive user in that index.
const LOCAL_INACTIVE: &str = "false";

/// The attribute whose index holds the usernames of a connector with the default mapping.
pub const USER_NAME: &str = "userName";
/// The name of an index of the values that usernames are made of is this, the path of the attribute, and `)`.
const USERNAME_INDEX_PREFIX: &str = "username(";

/// The name of the index of the values at this path, of which usernames are made. Its values are folded and whole, so it does
/// not depend on the other options of the mapping.
pub fn username_index(path: &str) -> String {
    format!("{USERNAME_INDEX_PREFIX}{path})")
}

/// The path whose values such an index holds; `None` for another index.
pub fn username_path(index: &str) -> Option<&str> {
    index.strip_prefix(USERNAME_INDEX_PREFIX)?.strip_suffix(')')
}

/// One value of one indexed attribute of one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The index.
    pub index: String,
    /// The value, folded.
    pub value: String,
    /// Whether no other resource can have it.
    pub is_unique: bool,
}

impl Entry {
    /// The key of this entry of this resource.
    pub fn key(&self, connector: &ConnectorId, kind: ResourceKind, id: ResourceId) -> Key {
        let sk =
            if self.is_unique { keys::index_value(&self.value) } else { keys::index_entry(&self.value, id) };
        Key { pk: keys::index(connector, kind, &self.index), sk }
    }

    /// The item of this entry.
    pub fn item(&self, connector: &ConnectorId, kind: ResourceKind, id: ResourceId) -> Item {
        let mut item = self.key(connector, kind, id).attributes();
        item.insert("id".into(), text(id.to_string()));
        item
    }
}

/// Checks that a document that is written does not have too many index entries. A document of an earlier version that has more,
/// which are in `before`, can keep as many.
///
/// # Errors
/// `invalidValue` when there are too many for one transaction.
pub fn check_limit(
    before: &BTreeSet<Entry>,
    entries: &BTreeSet<Entry>,
    schema: &ResourceSchema,
) -> Result<(), ScimError> {
    // A user that has as many values as it can have must still be deactivated, so that entry does not count. The entry of a
    // local user does not count either, so that a client can send as many values when it takes the user over, and that of a
    // username does not, because an operator chooses its attribute.
    let is_counted = |entry: &&Entry| {
        entry.index != ACTIVE && entry.index != LOCAL && username_path(&entry.index).is_none()
    };
    let count = entries.iter().filter(is_counted).count();
    if count <= MAX_ENTRIES.max(before.iter().filter(is_counted).count()) {
        return Ok(());
    }
    Err(ScimError::invalid_value(format!(
        "The {} has {count} values in indexed attributes ({}); the maximum is {MAX_ENTRIES}",
        schema.kind.name(),
        schema.indexes.iter().map(|index| index.name.as_str()).collect::<Vec<_>>().join(", "),
    )))
}

/// Lists the names of the indexes that a connector's record lists.
pub fn names(schema: &ResourceSchema) -> impl Iterator<Item = &str> {
    let local = (schema.kind == ResourceKind::User).then_some(LOCAL);
    schema.indexes.iter().map(|index| index.name.as_str()).chain(local)
}

/// Returns the index entries of a resource. `usernames` are the indexes of usernames that the connector needs.
pub fn entries<'i>(
    resource: &Resource,
    schema: &ResourceSchema,
    usernames: impl IntoIterator<Item = &'i str>,
) -> BTreeSet<Entry> {
    let mut entries = BTreeSet::new();
    for index in &schema.indexes {
        for value in values(&resource.document, index) {
            let value =
                if index.unique { fold_name(value, index.case_exact) } else { fold(value, index.case_exact) };
            let value = value.into_owned();
            if !value.is_empty() {
                entries.insert(Entry { index: index.name.clone(), value, is_unique: index.unique });
            }
        }
    }
    if schema.kind == ResourceKind::User {
        let entry = |index: &str, value: &str| Entry {
            index: index.to_owned(),
            value: value.to_owned(),
            is_unique: false,
        };
        let is_active = resource.is_active();
        entries.extend((!is_active).then(|| entry(ACTIVE, INACTIVE)));
        let is_local = resource.origin == Origin::Local;
        entries.extend(is_local.then(|| entry(LOCAL, if is_active { LOCAL_ACTIVE } else { LOCAL_INACTIVE })));
        for index in usernames {
            let path = username_path(index).and_then(|path| ValuePath::parse(path, schema).ok());
            let value = path.as_ref().and_then(|path| path.find(&resource.document));
            let value = fold_name(value.unwrap_or_default(), false);
            entries.extend((!value.is_empty()).then(|| entry(index, &value)));
        }
    }
    entries
}

fn values<'d>(document: &'d Document, index: &Index) -> Vec<&'d str> {
    let attributes = match &index.extension {
        Some(urn) => document.get(urn).and_then(Value::as_object),
        None => Some(document),
    };
    let elements = match attributes.and_then(|attributes| attributes.get(&index.attribute)) {
        Some(Value::Array(elements)) => elements.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let leaf = |element: &'d Value| match &index.sub_attribute {
        Some(name) => element.get(name)?.as_str(),
        None => element.as_str(),
    };
    elements.iter().filter_map(leaf).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::schema::Schemas;

    use super::*;

    fn resource(kind: ResourceKind, origin: Origin, document: Value) -> Resource {
        let Value::Object(document) = document else { panic!("the document is not an object") };
        let id = ResourceId::from_random_bytes([1; 16]);
        let time = jiff::Timestamp::UNIX_EPOCH;
        Resource { kind, id, version: 1, created: time, last_modified: time, origin, document }
    }

    fn entries_of(kind: ResourceKind, document: Value) -> Vec<(String, String, bool)> {
        let entries = entries(&resource(kind, Origin::Scim, document), Schemas::built_in().of(kind), []);
        entries.into_iter().map(|entry| (entry.index, entry.value, entry.is_unique)).collect()
    }

    fn entry(index: &str, value: &str, is_unique: bool) -> (String, String, bool) {
        (index.to_owned(), value.to_owned(), is_unique)
    }

    #[test]
    fn each_value_of_an_indexed_attribute_is_an_entry() {
        let user = json!({
            "userName": "Ann", "externalId": "00U", "name": { "givenName": "Ann", "familyName": "" }, "title": "x",
            "emails": [{ "value": "A@x" }, { "value": "a@X" }, { "value": "b@x" }, { "type": "work" }], "active": true
        });
        let expected = [
            entry("emails.value", "a@x", false),
            entry("emails.value", "b@x", false),
            entry("externalId", "00U", false),
            entry("name.givenName", "ann", false),
            entry("userName", "ann", true),
        ];
        assert_eq!(entries_of(ResourceKind::User, user), expected);
        let inactive = entries_of(ResourceKind::User, json!({ "userName": "ann", "active": false }));
        assert_eq!(inactive, [entry("active", "false", false), entry("userName", "ann", true)]);
        let group =
            entries_of(ResourceKind::LocalGroup, json!({ "displayName": " Sales ", "active": false }));
        assert_eq!(group, [entry("displayName", "sales", true)]);
        let spaces = entries_of(ResourceKind::User, json!({ "userName": "ann", "displayName": "Ann " }));
        assert_eq!(spaces, [entry("displayName", "ann ", false), entry("userName", "ann", true)]);
    }

    #[test]
    fn index_of_usernames_has_the_whole_value_at_its_path() {
        let index = username_index("emails[primary eq true].value");
        assert_eq!(username_path(&index), Some("emails[primary eq true].value"));
        assert_eq!(username_path("userName"), None);
        let schema = Schemas::built_in().of(ResourceKind::User);
        for (emails, expected) in [
            (json!([{ "value": "x@y" }, { "value": " Ann@X ", "primary": true }]), Some("ann@x")),
            (json!([{ "value": "x@y" }]), None),
        ] {
            let user =
                resource(ResourceKind::User, Origin::Scim, json!({ "userName": "a", "emails": emails }));
            let entries = entries(&user, schema, [index.as_str()]);
            let found = entries.iter().find(|entry| entry.index == index);
            assert_eq!(
                found.map(|entry| (entry.value.as_str(), entry.is_unique)),
                expected.map(|value| (value, false))
            );
        }
    }

    #[test]
    fn local_user_has_an_entry_that_says_whether_it_is_active() {
        for (active, expected) in
            [(true, vec![("local", "true")]), (false, vec![("active", "false"), ("local", "false")])]
        {
            let user =
                resource(ResourceKind::User, Origin::Local, json!({ "userName": "ann", "active": active }));
            let entries = entries(&user, Schemas::built_in().of(ResourceKind::User), []);
            let found: Vec<(&str, &str)> =
                entries.iter().map(|entry| (entry.index.as_str(), entry.value.as_str())).collect();
            assert_eq!(found, [expected, vec![("userName", "ann")]].concat());
        }
    }

    #[test]
    fn entry_of_a_unique_index_has_the_value_alone_as_its_sort_key() {
        let connector = ConnectorId::parse("okta").unwrap();
        let id = ResourceId::from_random_bytes([1; 16]);
        for (is_unique, sk) in [(true, "ann".to_owned()), (false, format!("ann\0{id}"))] {
            let entry = Entry { index: "userName".to_owned(), value: "ann".to_owned(), is_unique };
            let key = entry.key(&connector, ResourceKind::User, id);
            assert_eq!((key.pk.as_str(), &key.sk), ("okta#user.userName", &sk));
            let item = entry.item(&connector, ResourceKind::User, id);
            assert_eq!((Key::of(&item), item.get("id")), (Some(key), Some(&text(id.to_string()))));
        }
    }

    #[test]
    fn limit_does_not_count_the_entry_of_a_deactivated_user() {
        let schema = Schemas::built_in().of(ResourceKind::User);
        let user = |emails: usize, active: bool| {
            let emails: Vec<Value> =
                (0..emails).map(|number| json!({ "value": number.to_string() })).collect();
            let user = json!({ "userName": "ann", "emails": emails, "active": active });
            entries(&resource(ResourceKind::User, Origin::Local, user), schema, [])
        };
        let new = BTreeSet::new();
        assert!(check_limit(&new, &user(42, false), schema).is_ok());
        let refused = check_limit(&new, &user(43, true), schema).unwrap_err();
        assert!(refused.detail.starts_with("The User has 44 values in indexed attributes"), "{refused}");
        assert!(
            check_limit(&user(45, true), &user(45, false), schema).is_ok(),
            "a user of an earlier version"
        );
        assert!(check_limit(&user(45, true), &user(46, true), schema).is_err());
    }
}
