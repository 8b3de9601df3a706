//! Tests of PATCH: operations that clients send, and the rules of RFC 7644 §3.5.2.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{MemberOperation, MemberValue, PATCH_SCHEMA, Patch};
use crate::error::ScimError;
use crate::resource::{Document, ResourceId, ResourceKind, finish, normalise};
use crate::schema::{ResourceSchema, Schemas};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn schema(kind: ResourceKind) -> &'static ResourceSchema {
    Schemas::built_in().of(kind)
}

fn document(value: Value) -> Document {
    normalise(value.as_object().unwrap(), schema(ResourceKind::User)).unwrap()
}

fn user() -> Document {
    document(json!({
        "userName": "ann",
        "name": { "givenName": "Ann", "familyName": "Lee" },
        "title": "Guide",
        "active": true,
        "emails": [
            { "value": "a@work", "type": "work", "primary": true },
            { "value": "a@home", "type": "home" }
        ],
        "roles": [{ "value": "admin" }],
        ENTERPRISE: { "department": "Tours", "manager": { "value": "26118915" } }
    }))
}

fn body(operations: Value) -> Value {
    json!({ "schemas": [PATCH_SCHEMA], "Operations": operations })
}

fn parse(kind: ResourceKind, operations: Value) -> Result<Patch<'static>, ScimError> {
    Patch::parse(body(operations).as_object().unwrap().clone(), schema(kind))
}

fn apply(operations: Value) -> Result<Document, ScimError> {
    parse(ResourceKind::User, operations)?.apply(&user(), schema(ResourceKind::User))
}

/// Applies operations to the user, and returns the attributes that changed. The value of a removed attribute
/// is null.
fn changed(operations: Value) -> Value {
    let (before, after) =
        (user(), apply(operations.clone()).unwrap_or_else(|error| panic!("{operations}: {error}")));
    let mut out = serde_json::Map::new();
    for name in before.keys().chain(after.keys()) {
        if before.get(name) != after.get(name) {
            out.insert(name.clone(), after.get(name).cloned().unwrap_or(Value::Null));
        }
    }
    Value::Object(out)
}

#[test]
fn patch_changes_the_attributes_that_the_operations_name() {
    let work = |value: &str| json!({ "value": value, "type": "work", "primary": true });
    let home = json!({ "value": "a@home", "type": "home" });
    let core = json!(["urn:ietf:params:scim:schemas:core:2.0:User"]);
    for (operations, expected) in [
        // Okta
        (json!([{ "op": "replace", "value": { "active": false } }]), json!({ "active": false })),
        (json!([{ "op": "replace", "value": { "id": "7", "title": "Boss" } }]), json!({ "title": "Boss" })),
        // Entra ID: capitalised operations, booleans as strings, elements that do not exist yet
        (json!([{ "op": "Replace", "path": "active", "value": "False" }]), json!({ "active": false })),
        (json!([{ "op": "Replace", "value": { "active": "false" } }]), json!({ "active": false })),
        (
            json!([{ "op": "Add", "path": "displayName", "value": "Ann Lee" }]),
            json!({ "displayName": "Ann Lee" }),
        ),
        (
            json!([{ "op": "Add", "path": "emails[type eq \"work\"].value", "value": "new@work" }]),
            json!({ "emails": [work("new@work"), home] }),
        ),
        (
            json!([{ "op": "Replace", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "1" }]),
            json!({ "phoneNumbers": [{ "type": "mobile", "value": "1" }] }),
        ),
        (
            json!([
                { "op": "Add", "path": "addresses[type eq \"work\"].streetAddress", "value": "S" },
                { "op": "Add", "path": "addresses[type eq \"work\"].locality", "value": "L" },
                { "op": "Replace", "path": "addresses[type eq \"work\"].region", "value": "R" }
            ]),
            json!({ "addresses": [{ "type": "work", "streetAddress": "S", "locality": "L", "region": "R" }] }),
        ),
        (
            json!([{ "op": "Replace", "path": "roles[primary eq \"True\"].value", "value": "x" }]),
            json!({ "roles": [{ "value": "admin" }, { "primary": true, "value": "x" }] }),
        ),
        (
            json!([{ "op": "Replace", "path": format!("{ENTERPRISE}:department"), "value": "Sales" }]),
            json!({ ENTERPRISE: { "department": "Sales", "manager": { "value": "26118915" } } }),
        ),
        (
            json!([{ "op": "Add", "path": "manager", "value": [{ "$ref": "x", "value": "7" }] }]),
            json!({ ENTERPRISE: { "department": "Tours", "manager": { "value": "7", "$ref": "x" } } }),
        ),
        (
            json!([{ "op": "Replace", "path": format!("{ENTERPRISE}:manager"), "value": "7" }]),
            json!({ ENTERPRISE: { "department": "Tours", "manager": { "value": "7" } } }),
        ),
        (
            json!([{ "op": "Replace", "path": format!("{ENTERPRISE}:manager"), "value": "" }]),
            json!({ ENTERPRISE: { "department": "Tours" } }),
        ),
        (
            json!([{ "op": "Replace", "value": {
                "name.givenName": "Anna", format!("{ENTERPRISE}:costCenter"): "9", "emails[type eq \"home\"].value": "b@home"
            } }]),
            json!({
                "name": { "givenName": "Anna", "familyName": "Lee" },
                ENTERPRISE: { "department": "Tours", "manager": { "value": "26118915" }, "costCenter": "9" },
                "emails": [work("a@work"), { "value": "b@home", "type": "home" }]
            }),
        ),
        (
            json!([{ "op": "Remove", "path": "emails", "value": [{ "value": "A@HOME" }] }]),
            json!({ "emails": [work("a@work")] }),
        ),
        // RFC 7644 §3.5.2.1: existing values are not added again, new values are appended, one element is
        // primary.
        (json!([{ "op": "add", "path": "emails", "value": [{ "value": "a@home" }] }]), json!({})),
        (json!([{ "op": "add", "path": "title", "value": "Guide" }]), json!({})),
        (
            json!([{ "op": "add", "path": "name", "value": { "givenName": "Anna" } }]),
            json!({ "name": { "givenName": "Anna", "familyName": "Lee" } }),
        ),
        (
            json!([{ "op": "add", "path": "emails", "value": [{ "value": "c@x", "primary": true }] }]),
            json!({ "emails": [
                { "value": "a@work", "type": "work", "primary": false }, home, { "value": "c@x", "primary": true }
            ] }),
        ),
        (
            json!([{ "op": "replace", "path": "emails[type eq \"home\"].primary", "value": true }]),
            json!({ "emails": [
                { "value": "a@work", "type": "work", "primary": false }, { "value": "a@home", "type": "home", "primary": true }
            ] }),
        ),
        // §3.5.2.2: an attribute without values is removed, and an extension without attributes as well.
        (json!([{ "op": "remove", "path": "title" }]), json!({ "title": null })),
        (json!([{ "op": "remove", "path": "nickName" }]), json!({})),
        (json!([{ "op": "remove", "path": "name.givenName" }]), json!({ "name": { "familyName": "Lee" } })),
        (json!([{ "op": "remove", "path": "roles[value eq \"ADMIN\"]" }]), json!({ "roles": null })),
        (
            json!([{ "op": "remove", "path": "emails[type eq \"home\"].type" }]),
            json!({ "emails": [work("a@work"), { "value": "a@home" }] }),
        ),
        (json!([{ "op": "remove", "path": "emails[type eq \"fax\"]" }]), json!({})),
        (json!([{ "op": "remove", "path": ENTERPRISE }]), json!({ ENTERPRISE: null, "schemas": core })),
        (
            json!([{ "op": "remove", "path": format!("{ENTERPRISE}:manager") }, { "op": "remove", "path": format!("{ENTERPRISE}:department") }]),
            json!({ ENTERPRISE: null, "schemas": core }),
        ),
        // §3.5.2.3: replace
        (
            json!([{ "op": "replace", "path": "emails", "value": [{ "value": "z@x" }] }]),
            json!({ "emails": [{ "value": "z@x" }] }),
        ),
        (json!([{ "op": "replace", "path": "emails", "value": [] }]), json!({ "emails": null })),
        (json!([{ "op": "replace", "path": "title", "value": null }]), json!({ "title": null })),
        (
            json!([{ "op": "replace", "path": "emails[type eq \"home\"]", "value": { "value": "z@x", "type": "other" } }]),
            json!({ "emails": [work("a@work"), { "value": "z@x", "type": "other" }] }),
        ),
        // An element keeps what the value does not name.
        (
            json!([{ "op": "replace", "path": "emails[type eq \"work\"]", "value": { "value": "n@x.io" } }]),
            json!({ "emails": [work("n@x.io"), home] }),
        ),
        (
            json!([{ "op": "replace", "path": "emails[type eq \"work\"]", "value": "n@x.io" }]),
            json!({ "emails": [work("n@x.io"), home] }),
        ),
        // A filter on an attribute with one value
        (
            json!([{ "op": "remove", "path": format!("{ENTERPRISE}:manager[value eq \"26118915\"]") }]),
            json!({ ENTERPRISE: { "department": "Tours" } }),
        ),
        (json!([{ "op": "remove", "path": "manager[value eq \"7\"]" }]), json!({})),
        (
            json!([{ "op": "replace", "path": "manager[value eq \"26118915\"].value", "value": "7" }]),
            json!({ ENTERPRISE: { "department": "Tours", "manager": { "value": "7" } } }),
        ),
        // Empty values clear an attribute.
        (json!([{ "op": "replace", "path": "emails", "value": "" }]), json!({ "emails": null })),
        (
            json!([{ "op": "replace", "path": "emails", "value": [{ "value": "" }] }]),
            json!({ "emails": null }),
        ),
        (
            json!([{ "op": "replace", "value": { "emails": "", "name": "" } }]),
            json!({ "emails": null, "name": null }),
        ),
        (json!([{ "op": "add", "path": "emails", "value": [{ "value": "" }] }]), json!({})),
        // A path in a schema that users do not have
        (
            json!([
                { "op": "replace", "path": "urn:ietf:params:scim:schemas:extension:Acme:2.0:User:tag", "value": "x" },
                { "op": "remove", "path": "urn:ietf:params:scim:schemas:extension:Acme:2.0:User:tags[type eq \"x\"].value" },
                { "op": "add", "path": "title", "value": "Boss" }
            ]),
            json!({ "title": "Boss" }),
        ),
        // JSON as text
        (
            json!([{ "op": "replace", "path": "emails[value eq \"a@home\"]", "value": "{\"display\":\"H\"}" }]),
            json!({ "emails": [work("a@work"), { "value": "a@home", "type": "home", "display": "H" }] }),
        ),
        (
            json!([{ "op": "replace", "path": "emails", "value": " [{\"value\":\"z@x\"}]" }]),
            json!({ "emails": [{ "value": "z@x" }] }),
        ),
        (
            json!([{ "op": "add", "path": "emails", "value": ["{\"value\":\"y@x\"}", "{\"value\":\"z@x\"}"] }]),
            json!({ "emails": [work("a@work"), home, { "value": "y@x" }, { "value": "z@x" }] }),
        ),
        (json!([{ "op": "replace", "value": "{\"active\":false}" }]), json!({ "active": false })),
        (json!([{ "op": "replace", "value": ["{\"active\":false}"] }]), json!({ "active": false })),
        (
            json!([{ "op": "replace", "path": ENTERPRISE, "value": "{\"department\":\"Sales\"}" }]),
            json!({ ENTERPRISE: { "department": "Sales", "manager": { "value": "26118915" } } }),
        ),
        (json!([{ "op": "replace", "path": "title", "value": "{x" }]), json!({ "title": "{x" })),
        (
            json!([{ "op": "replace", "path": "name", "value": { "givenName": "Anna" } }]),
            json!({ "name": { "givenName": "Anna", "familyName": "Lee" } }),
        ),
        (
            json!([{ "op": "replace", "value": { ENTERPRISE: { "department": "Sales" } } }]),
            json!({ ENTERPRISE: { "department": "Sales", "manager": { "value": "26118915" } } }),
        ),
        (json!([{ "op": "replace", "path": "password", "value": "secret" }]), json!({})),
        (json!([{ "op": "add", "value": { "shoeSize": 7, "meta": {}, "groups": [] } }]), json!({})),
        // Sub-attributes that are not sent stay, null ones are cleared, unknown and read-only ones are
        // ignored.
        (
            json!([{ "op": "replace", "path": "name", "value": { "givenName": null } }]),
            json!({ "name": { "familyName": "Lee" } }),
        ),
        (
            json!([{ "op": "replace", "value": { "name": { "givenName": null, "familyName": "Li" } } }]),
            json!({ "name": { "familyName": "Li" } }),
        ),
        (json!([{ "op": "replace", "path": "name", "value": {} }]), json!({})),
        (json!([{ "op": "add", "path": "name", "value": { "shoeSize": 7 } }]), json!({})),
        (
            json!([{ "op": "replace", "path": format!("{ENTERPRISE}:manager"), "value": { "displayName": "x" } }]),
            json!({}),
        ),
        (
            json!([{ "op": "replace", "path": "name", "value": { "givenName": null, "familyName": null } }]),
            json!({ "name": null }),
        ),
        (
            json!([{ "op": "add", "path": "emails[type eq \"work\"]", "value": { "primary": null, "display": "W" } }]),
            json!({ "emails": [{ "value": "a@work", "type": "work", "display": "W" }, home] }),
        ),
        // A new element has the values of the filter that describes it.
        (
            json!([{ "op": "replace", "path": "emails[type eq \"fax\"]", "value": { "value": "f@x" } }]),
            json!({ "emails": [work("a@work"), home, { "type": "fax", "value": "f@x" }] }),
        ),
        // A new value removes the old $ref.
        (
            json!([
                { "op": "add", "path": "manager", "value": { "$ref": "x", "value": "7" } },
                { "op": "replace", "path": "manager", "value": { "value": "8" } }
            ]),
            json!({ ENTERPRISE: { "department": "Tours", "manager": { "value": "8" } } }),
        ),
        // RFC 7643 §2.4: two elements cannot have the same type and value; an element without primary is not
        // primary.
        (
            json!([{ "op": "add", "path": "emails", "value": [{ "value": "a@home", "type": "home", "primary": true }] }]),
            json!({ "emails": [
                { "value": "a@work", "type": "work", "primary": false }, { "value": "a@home", "type": "home", "primary": true }
            ] }),
        ),
        (
            json!([{ "op": "replace", "path": "emails[primary eq false].display", "value": "H" }]),
            json!({ "emails": [work("a@work"), { "value": "a@home", "type": "home", "display": "H" }] }),
        ),
    ] {
        assert_eq!(changed(operations.clone()), expected, "{operations}");
    }
}

#[test]
fn invalid_operation_is_rejected_with_its_number_and_the_reason() {
    for (operations, expected) in [
        (json!([{ "op": "remove" }]), "400 noTarget: Operation 1: remove requires a path"),
        (
            json!([{ "path": "title" }]),
            "400 invalidSyntax: Operation 1: op is missing; it must be add, remove or replace",
        ),
        (json!([7]), "400 invalidSyntax: Operation 1 is a number; it must be an object"),
        (json!([]), "400 invalidSyntax: Operations is empty; it must be an array of 1 to 1000 operations"),
        (
            json!([{ "op": "replace", "path": "title" }]),
            "400 invalidValue: Operation 1: value is missing; add and replace require a value",
        ),
        (
            json!([{ "op": "add" }]),
            "400 invalidValue: Operation 1: value is missing; add and replace require a value",
        ),
        (
            json!([{ "op": "replace", "path": "emails[type eq \"home\"]", "value": 7 }]),
            "400 invalidValue: Operation 1: The value for the selected elements of emails must be one object",
        ),
        (
            json!([{ "op": "add", "path": 7 }]),
            "400 invalidSyntax: Operation 1: path is a number; it must be a string",
        ),
        (
            json!([{ "op": "add", "value": 7 }]),
            "400 invalidValue: Operation 1: value is a number; without a path it must be an object",
        ),
        (
            json!([{ "op": "add", "path": "emails[type eq", "value": 7 }]),
            "400 invalidPath: Operation 1: \"emails[type eq\": Position 9 of the brackets: found the end, expected a value (a string in double quotes, a number, true, false or null)",
        ),
        (
            json!([{ "op": "add", "path": "emails[type eq \"x\"]value", "value": 7 }]),
            "400 invalidPath: Operation 1: \"emails[type eq \\\"x\\\"]value\": found \"value\" after the brackets, expected \".\" or the end",
        ),
        (
            json!([{ "op": "add", "path": "title[type eq \"x\"]", "value": 7 }]),
            "400 invalidPath: Operation 1: \"title[type eq \\\"x\\\"]\": only a complex attribute can have a filter",
        ),
        (
            json!([{ "op": "replace", "path": "manager[value eq \"7\"]", "value": { "value": "8" } }]),
            "400 noTarget: Operation 1: The value of manager does not match the filter",
        ),
        (
            json!([{ "op": "replace", "path": format!("{ENTERPRISE}:shoeSize"), "value": "x" }]),
            "400 invalidPath: Operation 1: A User has no attribute urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:shoeSize",
        ),
        (
            json!([{ "op": "replace", "path": "urn:ietf:params:scim:schemas:core:2.0:Group:members", "value": [] }]),
            "400 invalidPath: Operation 1: A User has no attribute urn:ietf:params:scim:schemas:core:2.0:Group:members",
        ),
        (
            json!([{ "op": "add", "path": "emails", "value": "[{\"value\"}]" }]),
            "400 invalidValue: Operation 1: The value is text that begins like JSON and is not JSON: expected `:` at line 1 column 10",
        ),
        (
            json!([{ "op": "add", "path": "emails[shoe eq \"x\"]", "value": 7 }]),
            "400 invalidPath: Operation 1: \"emails[shoe eq \\\"x\\\"]\": emails has no sub-attribute shoe",
        ),
        (
            json!([{ "op": "replace", "path": "groups", "value": [] }]),
            "400 mutability: Operation 1: groups is read-only",
        ),
        (
            json!([{ "op": "replace", "path": "meta.version", "value": "x" }]),
            "400 mutability: Operation 1: version is read-only",
        ),
        (
            json!([{ "op": "replace", "path": format!("{ENTERPRISE}:manager.displayName"), "value": "x" }]),
            "400 mutability: Operation 1: displayName is read-only",
        ),
        (
            json!([{ "op": "remove", "path": "userName" }]),
            "400 mutability: Operation 1: userName is required and cannot be removed",
        ),
        (
            json!([{ "op": "replace", "path": "userName", "value": null }]),
            "400 invalidValue: userName is missing or empty; it is required",
        ),
        (
            json!([{ "op": "replace", "path": "title", "value": true }]),
            "400 invalidValue: Operation 1: title is a boolean; it must be a string",
        ),
        (
            json!([{ "op": "replace", "path": "emails.primary", "value": true }]),
            "400 invalidValue: Operation 1: emails would have more than one primary value; only one is allowed",
        ),
        (
            json!([{ "op": "add", "path": "emails[type co \"x\"].value", "value": "x" }]),
            "400 noTarget: Operation 1: No element of emails matches the filter; to create one, use a filter of eq comparisons",
        ),
        (
            json!([{ "op": "add", "path": "emails[type eq \"x\"]", "value": [{ "value": "a" }, { "value": "b" }] }]),
            "400 invalidValue: Operation 1: The value for the selected elements of emails must be one object",
        ),
        (
            json!([{ "op": "add", "path": "title", "value": "x" }, { "op": "nop" }]),
            "400 invalidSyntax: Operation 2: op is \"nop\"; it must be add, remove or replace",
        ),
    ] {
        let error = apply(operations.clone()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{operations}");
    }
}

#[test]
fn unknown_schemas_of_paths_are_named() {
    let operation =
        |name: &str| json!({ "op": "add", "path": format!("urn:acme:{name}:2.0:User:tag"), "value": 1 });
    let patch = parse(ResourceKind::User, json!([operation("b"), operation("a"), operation("b")])).unwrap();
    assert_eq!(patch.unknown_schemas().collect::<Vec<_>>(), ["urn:acme:a:2.0:User", "urn:acme:b:2.0:User"]);
}

#[test]
fn operations_on_members_are_read_in_order() {
    let [a, b, c] = [1, 2, 3].map(|byte| ResourceId::from_random_bytes([byte; 16]));
    let value = |id: ResourceId| MemberValue { id, kind: None, display: None };
    let remove = |ids: &[ResourceId]| MemberOperation::Remove(ids.to_vec());
    let add = |ids: &[ResourceId]| MemberOperation::Add(ids.iter().copied().map(value).collect());
    for (operations, expected) in [
        // Okta: a rename, then the members to remove, then the members to add
        (
            json!([
                { "op": "replace", "value": { "id": "7", "displayName": "G" } },
                { "op": "remove", "path": format!("members[value eq \"{a}\"]") },
                { "op": "add", "path": "members", "value": [{ "value": b.to_string(), "display": "Bo" }] }
            ]),
            vec![
                remove(&[a]),
                MemberOperation::Add(vec![MemberValue { display: Some("Bo".into()), ..value(b) }]),
            ],
        ),
        (
            json!([{ "op": "replace", "path": "members", "value": [{ "value": a.to_string() }] }]),
            vec![MemberOperation::Replace(vec![value(a)])],
        ),
        (json!([{ "op": "replace", "value": { "members": [] } }]), vec![MemberOperation::Replace(vec![])]),
        // Entra ID: null references, and the members to remove in `value`
        (
            json!([{ "op": "Add", "path": "members", "value": [{ "$ref": null, "value": a.to_string() }] }]),
            vec![add(&[a])],
        ),
        (
            json!([{ "op": "Remove", "path": "members", "value": [{ "$ref": null, "value": a.to_string() }, { "value": "unknown" }] }]),
            vec![remove(&[a])],
        ),
        (json!([{ "op": "Remove", "path": "members", "value": [] }]), vec![remove(&[])]),
        (json!([{ "op": "remove", "path": "members" }]), vec![MemberOperation::RemoveAll]),
        (
            json!([{ "op": "remove", "path": format!("members[value eq \"{a}\" or value eq \"{b}\"]") }]),
            vec![remove(&[a, b])],
        ),
        (json!([{ "op": "remove", "path": "members[value eq \"unknown\"]" }]), vec![remove(&[])]),
        (
            json!([{ "op": "add", "value": { "members": [{ "value": a.to_string() }, { "value": a.to_string() }] } }]),
            vec![add(&[a])],
        ),
        (
            json!([{ "op": "replace", "path": format!("members[value eq \"{a}\"]"), "value": { "value": c.to_string() } }]),
            vec![remove(&[a]), add(&[c])],
        ),
        (
            json!([{ "op": "remove", "path": format!("members[$ref eq \"https://x/default/scim/v2/Users/{a}\"]") }]),
            vec![remove(&[a])],
        ),
    ] {
        let patch = parse(ResourceKind::Group, operations.clone()).unwrap();
        assert_eq!(patch.member_operations(), expected, "{operations}");
    }
    let matching =
        parse(ResourceKind::Group, json!([{ "op": "remove", "path": "members[type eq \"Group\"]" }]))
            .unwrap();
    assert!(matches!(matching.member_operations(), [MemberOperation::RemoveMatching(_)]));
    for (operation, expected) in [
        (
            json!({ "op": "replace", "path": "members" }),
            "400 invalidValue: Operation 1: value is missing; add and replace require a value",
        ),
        (
            json!({ "op": "add", "path": "members", "value": [{ "value": a.to_string(), "display": "x".repeat(1_025) }] }),
            &format!(
                "400 invalidValue: Operation 1: members: the display of {a} is 1025 bytes; the maximum is 1024"
            ),
        ),
        (
            json!({ "op": "replace", "path": format!("members[value eq \"{a}\"].display"), "value": "x" }),
            "400 mutability: Operation 1: The sub-attributes of a member are immutable; remove the member and add it with other values",
        ),
        (
            json!({ "op": "add", "path": "members", "value": [{ "value": "x" }] }),
            "400 invalidValue: Operation 1: members: there is no user or group with the id \"x\"",
        ),
    ] {
        let error = parse(ResourceKind::Group, json!([operation])).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn immutable_attribute_with_a_value_is_not_changed() {
    let badge = json!({
        "id": "urn:x:Badge", "name": "Badge", "description": "", "attributes": [
            { "name": "number", "type": "string", "multiValued": false, "mutability": "immutable" },
            { "name": "door", "type": "complex", "multiValued": false, "subAttributes": [
                { "name": "value", "type": "string", "multiValued": false, "mutability": "immutable" }
            ] }
        ]
    });
    let user_type = json!({
        "id": "User", "name": "User", "description": "", "endpoint": "/Users",
        "schema": "urn:ietf:params:scim:schemas:core:2.0:User",
        "schemaExtensions": [{ "schema": "urn:x:Badge", "required": false }]
    });
    let files = [
        badge.to_string(),
        include_str!("../../schemas/User.json").to_owned(),
        include_str!("../../schemas/Group.json").to_owned(),
    ];
    let types = [user_type.to_string(), include_str!("../../resource_types/Group.json").to_owned()];
    let schemas =
        Schemas::load(&files.each_ref().map(String::as_str), &types.each_ref().map(String::as_str)).unwrap();
    let schema = schemas.of(ResourceKind::User);
    let ann = normalise(json!({ "userName": "ann" }).as_object().unwrap(), schema).unwrap();
    let set = |document: &Document, path: &str, value: &str| {
        let body = body(json!([{ "op": "replace", "path": format!("urn:x:Badge:{path}"), "value": value }]));
        Patch::parse(body.as_object().unwrap().clone(), schema).unwrap().apply(document, schema)
    };
    for path in ["number", "door.value"] {
        let with = set(&ann, path, "7").unwrap();
        assert_eq!(with["schemas"], json!(["urn:ietf:params:scim:schemas:core:2.0:User", "urn:x:Badge"]));
        assert_eq!(set(&with, path, "7").unwrap(), with);
        assert_eq!(set(&with, path, "8").unwrap_err().kind.status(), (400, Some("mutability")), "{path}");
        let other = json!({ "userName": "ann", "urn:x:Badge": { "number": "8" } });
        let other = normalise(other.as_object().unwrap(), schema).unwrap();
        if path == "number" {
            // RFC 7644 §3.5.1
            assert_eq!(
                crate::resource::replace(&with, other, schema).unwrap_err().kind.status(),
                (400, Some("mutability"))
            );
            assert_eq!(
                crate::resource::replace(&with, ann.clone(), schema).unwrap(),
                with,
                "an immutable attribute stays"
            );
        }
    }
}

fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let name = prop::sample::select(vec![
            "value",
            "type",
            "primary",
            "emails",
            "name",
            "givenName",
            "active",
            "x",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(name.prop_map(str::to_owned), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

#[test]
fn element_whose_value_is_cleared_is_removed_and_none_is_created() {
    for operation in [
        json!({ "op": "add", "path": "emails[type eq \"TYPE\"].value", "value": "" }),
        json!({ "op": "replace", "path": "emails[type eq \"TYPE\"].value", "value": " " }),
        json!({ "op": "replace", "path": "emails[type eq \"TYPE\"].value", "value": null }),
        json!({ "op": "remove", "path": "emails[type eq \"TYPE\"].value" }),
        json!({ "op": "add", "path": "emails[type eq \"TYPE\"]", "value": "" }),
        json!({ "op": "replace", "path": "emails[type eq \"TYPE\"]", "value": { "value": " " } }),
    ] {
        let after = |kind: &str| {
            let operation = operation.to_string().replace("TYPE", kind);
            apply(json!([serde_json::from_str::<Value>(&operation).unwrap()])).unwrap()
        };
        let mut expected = user();
        assert_eq!(after("fax"), expected, "{operation}");
        expected["emails"].as_array_mut().unwrap().retain(|email| email["type"] != "work");
        assert_eq!(after("work"), expected, "{operation}");
    }
}

#[test]
fn element_without_a_value_keeps_what_else_it_says() {
    let add = json!({ "op": "add", "path": "addresses", "value": [{ "type": "work", "locality": "Rome", "country": "IT" }] });
    let clear = json!({ "op": "replace", "path": "addresses[type eq \"work\"].locality", "value": null });
    let after = apply(json!([add, clear])).unwrap();
    assert_eq!(after["addresses"], json!([{ "type": "work", "country": "IT" }]));
}

proptest! {
    #[test]
    fn patch_fails_or_returns_a_normalised_document(
        op in prop::sample::select(vec!["add", "Replace", "remove", "x"]),
        path in prop_oneof![
            Just("emails".to_owned()), Just("name".to_owned()), Just("emails[type eq \"work\"]".to_owned()),
            Just("emails[type eq \"work\"].value".to_owned()), Just("name.givenName".to_owned()), ".{0,12}"
        ],
        value in json_values(),
    ) {
        let operations = json!([{ "op": op, "path": path, "value": value }]);
        if let Ok(after) = apply(operations) {
            let mut finished = after.clone();
            finish(&mut finished, schema(ResourceKind::User)).unwrap();
            prop_assert_eq!(&finished, &after);
            let again = normalise(&after, schema(ResourceKind::User)).unwrap();
            for (name, value) in &after {
                prop_assert_eq!(again.get(name), Some(value), "{} is normalised", name);
            }
        }
    }

    #[test]
    fn adding_the_same_value_twice_changes_nothing(value in json_values(), path in prop::sample::select(vec!["emails", "roles", "name", "title"])) {
        let operation = json!({ "op": "add", "path": path, "value": value });
        if let Ok(once) = apply(json!([operation])) {
            prop_assert_eq!(apply(json!([operation, operation])).unwrap(), once);
        }
    }
}

#[test]
fn patch_that_would_do_too_much_work_is_rejected_before_it_does_it() {
    let many =
        |count: usize| -> Value { (0..count).map(|number| json!({ "value": number.to_string() })).collect() };
    let add = |count: usize| json!({ "op": "add", "path": "entitlements", "value": many(count) });
    let repeat = |count: usize, first: Value, operation: Value| {
        std::iter::once(first).chain(std::iter::repeat_n(operation, count)).collect::<Value>()
    };
    let display = json!({ "op": "replace", "path": "entitlements.display", "value": "x".repeat(50) });
    let long = json!({ "op": "replace", "path": "entitlements[value pr].display", "value": "x".repeat(200) });
    let terms = vec!["value pr"; 600].join(" or ");
    let wide = json!({ "op": "replace", "path": format!("entitlements[{terms}].display"), "value": "x" });
    let same: Value = (0..10_000).map(|number| json!({ "value": "a", "type": number.to_string() })).collect();
    let keys: Value = (0..20_001)
        .map(|number| (format!("entitlements[value eq \"{number}\"].display"), json!("x")))
        .collect();
    for (operations, expected) in [
        (json!([add(25_000)]), None),
        (json!([add(25_001)]), Some("Operation 1: entitlements has 25001 values; the maximum is 25000")),
        (
            json!([add(25_000), { "op": "add", "path": "entitlements", "value": "x" }]),
            Some("Operation 2: entitlements has 25001 values"),
        ),
        (repeat(50, add(10_000), display.clone()), None),
        (
            repeat(999, add(10_000), display),
            Some("The operations visit more than 10000000 values, the maximum"),
        ),
        (
            repeat(1, add(10_000), long),
            Some("Operation 2: A value of 202 bytes would be copied into 10000 elements"),
        ),
        (repeat(2, add(10_000), wide), Some("Operation 2: The operations visit more than 10000000 values")),
        (
            repeat(
                1,
                json!({ "op": "add", "path": "entitlements", "value": same }),
                json!({
                    "op": "add", "path": "entitlements",
                    "value": (0..10_000).map(|number| json!({ "value": "a", "type": format!("t{number}") })).collect::<Value>()
                }),
            ),
            Some("Operation 2: The operations visit more than 10000000 values"),
        ),
        (
            json!([{ "op": "add", "value": keys }]),
            Some("Operation 1: The operations name more than 20000 attributes"),
        ),
        (
            json!([{ "op": "add", "path": "x".repeat(65_537), "value": 1 }]),
            Some("Operation 1: path is 65537 bytes; the maximum is 65536"),
        ),
    ] {
        match (apply(operations), expected) {
            (Ok(_), None) => {}
            (Err(error), Some(expected)) => assert!(error.detail.contains(expected), "{error}"),
            (result, expected) => panic!("{:?}, expected {expected:?}", result.map(|_| ())),
        }
    }
}
