//! Projection: which attributes a response holds (RFC 7644 §3.9, RFC 7643 §7 `returned`).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::attribute_path::AttributePath;
use crate::error::ScimError;
use crate::schema::{Attribute, Resolved, ResourceSchema, Returned};

/// The attributes that a client asks for.
#[derive(Clone, Debug)]
pub struct Projection {
    selection: Selection,
}

#[derive(Clone, Debug)]
enum Selection {
    /// The attributes that are returned by default.
    Default,
    /// These attributes, and those that are always returned.
    Only(BTreeSet<Name>),
    /// The attributes that are returned by default, except these.
    Except(BTreeSet<Name>),
}

/// An attribute that the client names, spelled as in the schema.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    extension: Option<String>,
    /// `None` for all attributes of the extension.
    attribute: Option<String>,
    sub_attribute: Option<String>,
}

impl Projection {
    /// Reads `attributes` and `excludedAttributes`. The comparison of names ignores upper and lower case. Unknown names are ignored.
    ///
    /// # Errors
    /// `invalidValue` if the request has both (RFC 7644 §3.9 does not allow it).
    pub fn new(
        attributes: Option<&[String]>,
        excluded: Option<&[String]>,
        schema: &ResourceSchema,
    ) -> Result<Self, ScimError> {
        // A set: a client can repeat a name, and every resource is compared with every name.
        let names = |names: &[String]| names.iter().filter_map(|name| Name::parse(name, schema)).collect();
        let is_given = |names: &&[String]| !names.is_empty();
        let selection = match (attributes.filter(is_given), excluded.filter(is_given)) {
            (None, None) => Selection::Default,
            (Some(attributes), None) => Selection::Only(names(attributes)),
            (None, Some(excluded)) => Selection::Except(names(excluded)),
            (Some(_), Some(_)) => {
                return Err(ScimError::invalid_value(
                    "The request has both attributes and excludedAttributes; send only one of them",
                ));
            }
        };
        Ok(Self { selection })
    }

    /// Whether the response holds a core attribute, or a part of it. The attribute must be one that is
    /// returned by default.
    pub fn wants(&self, attribute: &str) -> bool {
        match &self.selection {
            Selection::Default => true,
            Selection::Only(names) => names.iter().any(|name| name.is_of(None, attribute)),
            Selection::Except(names) => {
                !names.iter().any(|name| name.is_of(None, attribute) && name.sub_attribute.is_none())
            }
        }
    }

    /// Removes from a resource the attributes that are not returned. The names in the resource must be
    /// spelled as in the schema.
    pub fn apply(&self, resource: &mut Map<String, Value>, schema: &ResourceSchema) {
        list_schemas(resource, schema);
        self.keep_wanted(resource, None, &schema.core.attributes, |name| schema.extension(name).is_some());
        for extension in &schema.extensions {
            let Some(Value::Object(attributes)) = resource.get_mut(&extension.id) else { continue };
            self.keep_wanted(attributes, Some(&extension.id), &extension.attributes, |_| false);
            if attributes.is_empty() {
                resource.shift_remove(&extension.id);
            }
        }
    }

    fn keep_wanted(
        &self,
        values: &mut Map<String, Value>,
        extension: Option<&str>,
        attributes: &[Attribute],
        is_extension: impl Fn(&str) -> bool,
    ) {
        values.retain(|name, value| {
            let Some(attribute) = attributes.iter().find(|attribute| attribute.name == *name) else {
                return is_extension(name);
            };
            let requested = |sub: Option<&str>| self.requested(extension, &attribute.name, sub);
            if !is_returned(attribute.returned, requested(None)) {
                return false;
            }
            let keep_sub_attributes = |element: &mut Map<String, Value>| {
                element.retain(|name, _| {
                    let sub = attribute.sub_attributes.iter().find(|sub| sub.name == *name);
                    sub.is_none_or(|sub| is_returned(sub.returned, requested(Some(&sub.name))))
                });
            };
            match value {
                Value::Object(element) => keep_sub_attributes(element),
                Value::Array(elements) => {
                    elements.iter_mut().filter_map(Value::as_object_mut).for_each(keep_sub_attributes);
                    elements.retain(|element| !is_empty(element));
                }
                _ => {}
            }
            !is_empty(value)
        });
    }

    /// Finds what the client requests for an attribute, or for a sub-attribute of an attribute that is
    /// returned.
    fn requested(&self, extension: Option<&str>, attribute: &str, sub_attribute: Option<&str>) -> Requested {
        let of_attribute = |name: &&Name| name.is_of(extension, attribute);
        let whole = |name: &Name| name.sub_attribute.is_none();
        let exact = |name: &Name| name.sub_attribute.as_deref() == sub_attribute;
        match &self.selection {
            Selection::Default => Requested::Default,
            Selection::Only(names) => {
                let mut of_attribute = names.iter().filter(of_attribute).peekable();
                match (of_attribute.peek(), sub_attribute) {
                    (None, _) => Requested::Excluded,
                    (Some(_), None) => Requested::Included,
                    (Some(_), Some(_)) => {
                        of_attribute.fold(Requested::Excluded, |requested, name| match requested {
                            _ if exact(name) => Requested::Included,
                            Requested::Excluded if whole(name) => Requested::Default,
                            requested => requested,
                        })
                    }
                }
            }
            Selection::Except(names) => {
                if names.iter().filter(of_attribute).any(exact) {
                    Requested::Excluded
                } else {
                    Requested::Default
                }
            }
        }
    }
}

/// Makes `schemas` list exactly the schemas of the resource. A stored document can list an extension that the connector no longer
/// has, or lack one that it has again: custom schemas are added and removed without writing the documents.
fn list_schemas(resource: &mut Map<String, Value>, schema: &ResourceSchema) {
    let present: Vec<&str> = schema
        .extensions
        .iter()
        .map(|extension| extension.id.as_str())
        .filter(|urn| resource.contains_key(*urn))
        .collect();
    let Some(Value::Array(listed)) = resource.get_mut("schemas") else { return };
    let is_listed = |urn: &&str| listed.iter().any(|listed| listed == urn);
    if listed.len() != 1 + present.len() || !present.iter().all(is_listed) {
        let urns = std::iter::once(schema.core.id.as_str()).chain(present);
        *listed = urns.map(Value::from).collect();
    }
}

/// What a client requests for one attribute or sub-attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Requested {
    /// The client names it in `attributes`.
    Included,
    /// The client excludes it, or names other attributes only.
    Excluded,
    /// The default of the schema applies.
    Default,
}

/// Whether the response holds an attribute (RFC 7643 §7, `returned`).
fn is_returned(returned: Returned, requested: Requested) -> bool {
    match returned {
        Returned::Always => true,
        Returned::Never => false,
        Returned::Default => requested != Requested::Excluded,
        Returned::Request => requested == Requested::Included,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(element) => element.is_empty(),
        Value::Array(elements) => elements.iter().all(is_empty),
        _ => false,
    }
}

impl Name {
    fn parse(text: &str, schema: &ResourceSchema) -> Option<Self> {
        let path = AttributePath::parse(text.trim())?;
        Some(match schema.resolve(&path)? {
            Resolved::Extension(extension) => {
                Self { extension: Some(extension.id.clone()), attribute: None, sub_attribute: None }
            }
            Resolved::Attribute(target) => Self {
                extension: target.extension.map(|extension| extension.id.clone()),
                attribute: Some(target.attribute.name.clone()),
                sub_attribute: target.sub_attribute.map(|sub| sub.name.clone()),
            },
        })
    }

    /// Whether this names the attribute, a sub-attribute of it, or the whole extension that has it.
    fn is_of(&self, extension: Option<&str>, attribute: &str) -> bool {
        self.extension.as_deref() == extension
            && self.attribute.as_deref().is_none_or(|name| name == attribute)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::ResourceKind;
    use crate::schema::Schemas;

    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

    fn user() -> Value {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
            "id": "1",
            "userName": "ann",
            "name": { "givenName": "Ann", "familyName": "Lee" },
            "emails": [{ "value": "a@x", "type": "work" }, { "value": "b@x", "type": "home" }],
            ENTERPRISE: { "department": "D", "manager": { "value": "2", "displayName": "Bo" } },
            "meta": { "resourceType": "User", "version": "W/\"1\"" }
        })
    }

    fn project(attributes: &[&str], excluded: &[&str]) -> Value {
        let schema = Schemas::built_in().of(ResourceKind::User);
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (attributes, excluded) = (owned(attributes), owned(excluded));
        let projection = Projection::new(Some(&attributes), Some(&excluded), schema).unwrap();
        let Value::Object(mut user) = user() else { unreachable!() };
        projection.apply(&mut user, schema);
        Value::Object(user)
    }

    #[test]
    fn attributes_keeps_named_and_always_returned_attributes() {
        let schemas = json!(["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE]);
        for (attributes, expected) in [
            (vec!["userName"], json!({ "userName": "ann" })),
            (vec!["USERNAME", "unknown", "members[x]"], json!({ "userName": "ann" })),
            (vec!["unknown"], json!({})),
            (vec!["name.givenName"], json!({ "name": { "givenName": "Ann" } })),
            (vec!["name.givenName", "name"], json!({ "name": { "givenName": "Ann", "familyName": "Lee" } })),
            (vec!["emails.value"], json!({ "emails": [{ "value": "a@x" }, { "value": "b@x" }] })),
            (vec!["meta.version"], json!({ "meta": { "version": "W/\"1\"" } })),
            (
                vec![ENTERPRISE],
                json!({ ENTERPRISE: { "department": "D", "manager": { "value": "2", "displayName": "Bo" } } }),
            ),
            (
                vec![
                    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user:manager.value",
                    " userName ",
                ],
                json!({ "userName": "ann", ENTERPRISE: { "manager": { "value": "2" } } }),
            ),
            (vec!["department"], json!({ ENTERPRISE: { "department": "D" } })),
        ] {
            let mut expected = expected;
            expected["schemas"] = schemas.clone();
            expected["id"] = json!("1");
            assert_eq!(project(&attributes, &[]), expected, "{attributes:?}");
        }
    }

    #[test]
    fn excluded_attributes_are_removed_unless_always_returned() {
        for (excluded, removed) in [
            (vec!["id", "schemas"], vec![]),
            (vec!["userName", "meta"], vec!["/userName", "/meta"]),
            (vec!["name.givenName"], vec!["/name/givenName"]),
            (vec!["emails.type"], vec!["/emails/0/type", "/emails/1/type"]),
            (
                vec!["department"],
                vec!["/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/department"],
            ),
            (vec![ENTERPRISE], vec!["/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]),
        ] {
            let mut expected = user();
            for pointer in removed {
                let (parent, name) = pointer.rsplit_once('/').unwrap();
                expected.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
            }
            assert_eq!(project(&[], &excluded), expected, "{excluded:?}");
        }
    }

    #[test]
    fn attributes_with_excluded_attributes_is_rejected() {
        let schema = Schemas::built_in().of(ResourceKind::User);
        let names = ["id".to_owned()];
        let error = Projection::new(Some(&names), Some(&names), schema).unwrap_err();
        assert_eq!(error.kind.status(), (400, Some("invalidValue")));
    }

    #[test]
    fn members_are_wanted_unless_excluded_or_not_named() {
        let schema = Schemas::built_in().of(ResourceKind::Group);
        let wants = |attributes: &[String], excluded: &[String]| {
            Projection::new(Some(attributes), Some(excluded), schema).unwrap().wants("members")
        };
        let name = |name: &str| [name.to_owned()];
        assert!(wants(&[], &[]));
        assert!(wants(&name("members.value"), &[]));
        assert!(wants(&[], &name("members.display")));
        assert!(!wants(&name("displayName"), &[]));
        assert!(!wants(&[], &name("MEMBERS")));
    }
}
