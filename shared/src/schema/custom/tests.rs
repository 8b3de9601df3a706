//! Which files are valid, and what is said about those that are not.

use serde_json::{Value, json};

use super::*;
use crate::limits::{MAX_CUSTOM_ATTRIBUTES, MAX_CUSTOM_SCHEMA_BYTES};

fn file() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": "urn:example:schemas:2.0:Badge", "name": "Badge", "description": "What opens doors", "resourceType": "User",
        "indexes": ["DOORS.value"],
        "attributes": [
            { "name": "number", "type": "string", "caseExact": true, "uniqueness": "server" },
            { "name": "doors", "type": "complex", "multiValued": true, "subAttributes": [
                { "name": "value", "type": "string", "multiValued": false, "canonicalValues": ["north", "south"] },
                { "name": "$ref", "type": "reference", "referenceTypes": ["uri"] }
            ] },
            { "name": "pin", "type": "string", "mutability": "writeOnly", "returned": "never" }
        ]
    })
}

/// The mistakes of the file after its member at this JSON pointer is set to a value, or removed if the value is null.
fn mistakes_with(pointer: &str, value: Value) -> Vec<String> {
    let mut file = file();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = file.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Value::Null => drop(parent.remove(name)),
        value => drop(parent.insert(name.to_owned(), value)),
    }
    CustomSchema::parse(&file.to_string()).err().unwrap_or_default()
}

#[test]
fn valid_file_is_read_with_defaults_and_the_indexes_of_unique_attributes() {
    let custom = CustomSchema::parse(&file().to_string()).unwrap();
    assert_eq!(custom.indexes, ["doors.value", "number"]);
    assert_eq!((custom.key().as_str(), custom.attribute_count()), ("urn:example:schemas:2.0:badge", 5));
    let stored = serde_json::to_value(&custom).unwrap();
    assert_eq!(CustomSchema::parse(&stored.to_string()).unwrap(), custom);
    let number = json!({
        "name": "number", "type": "string", "multiValued": false, "description": "", "required": false, "caseExact": true,
        "mutability": "readWrite", "returned": "default", "uniqueness": "server"
    });
    assert_eq!(stored["attributes"][0], number);
}

#[test]
fn each_mistake_is_reported_with_its_place() {
    let number = "attributes[0] \"number\": ";
    let doors = "attributes[1] \"doors\": ";
    let value = "attributes[1] \"doors\" subAttributes[0] \"value\": ";
    let urn_form = "it must be a URN of letters, digits, \":\", \".\", \"-\" and \"_\" whose last part begins with a letter and \
                    has no dot, such as \"urn:example:schemas:2.0:Badge\"";
    for (pointer, wrong, expected) in [
        ("/id", json!(null), "id is missing; it must be a URN, such as \"urn:example:schemas:2.0:Badge\"".to_owned()),
        ("/id", json!("badge"), format!("id is \"badge\"; {urn_form}")),
        ("/id", json!("urn:example:2.0"), format!("id is \"urn:example:2.0\"; {urn_form}")),
        ("/id", json!("urn:example:a#b"), format!("id is \"urn:example:a#b\"; {urn_form}")),
        ("/id", json!("urn::Badge"), format!("id is \"urn::Badge\"; {urn_form}")),
        (
            "/id",
            json!("urn:ietf:params:scim:schemas:core:2.0:Badge"),
            "id is \"urn:ietf:params:scim:schemas:core:2.0:Badge\", which begins like the URNs of SCIM itself; choose another URN"
                .to_owned(),
        ),
        ("/id", json!(format!("urn:example:{}", "b".repeat(189))), "id is 201 bytes; the maximum is 200".to_owned()),
        ("/name", json!(null), "name is missing; it is a name for people".to_owned()),
        ("/name", json!(" "), "name is empty".to_owned()),
        ("/name", json!(7), "name is a number; it must be a string".to_owned()),
        ("/resourceType", json!(null), "resourceType is missing; it must be \"User\" or \"Group\"".to_owned()),
        ("/resourceType", json!("Device"), "resourceType is \"Device\"; it must be \"User\" or \"Group\"".to_owned()),
        ("/attributes", json!([]), "attributes is an array; it must be an array with at least one attribute".to_owned()),
        ("/indexes", json!("number"), "indexes is \"number\"; it must be an array of attribute paths, such as [\"doors.value\"]".to_owned()),
        ("/indexes", json!(["colour"]), "indexes contains \"colour\", which is no attribute of this schema".to_owned()),
        ("/indexes", json!(["doors"]), "indexes contains \"doors\"; only an attribute of type string or reference can have an index".to_owned()),
        ("/indexes", json!(["pin"]), "indexes contains \"pin\", which is never returned, so it cannot be in a filter".to_owned()),
        ("/indexes", json!(["number", "NUMBER"]), "indexes has \"number\" twice".to_owned()),
        (
            "/version",
            json!(1),
            "unknown member \"version\"; the members are schemas, id, name, description, resourceType, indexes, attributes, meta"
                .to_owned(),
        ),
        (
            "/attributes/0/multivalued",
            json!(true),
            format!(
                "{number}unknown member \"multivalued\"; the members are name, type, multiValued, description, required, \
                 canonicalValues, caseExact, mutability, returned, uniqueness, referenceTypes, subAttributes"
            ),
        ),
        (
            "/attributes/0/name",
            json!("2nd"),
            "attributes[0] \"2nd\": name is \"2nd\"; it must be a letter, and then letters, digits, \"-\" and \"_\"".to_owned(),
        ),
        (
            "/attributes/0/name",
            json!("Doors"),
            "attributes[1] \"doors\": another attribute has this name; names are compared without their case".to_owned(),
        ),
        (
            "/attributes/0/type",
            json!("text"),
            format!("{number}type is \"text\"; it must be string, boolean, decimal, integer, dateTime, binary, reference or complex"),
        ),
        (
            "/attributes/0/type",
            json!(null),
            format!("{number}type is missing; it must be string, boolean, decimal, integer, dateTime, binary, reference or complex"),
        ),
        (
            "/attributes/0/type",
            json!("integer"),
            format!("{number}only an attribute of type string or reference that has one value and is returned can be unique"),
        ),
        (
            "/attributes/0/multiValued",
            json!(true),
            format!("{number}only an attribute of type string or reference that has one value and is returned can be unique"),
        ),
        ("/attributes/0/multiValued", json!("no"), format!("{number}multiValued is \"no\"; it must be true or false")),
        (
            "/attributes/0/mutability",
            json!("readOnly"),
            format!("{number}mutability is readOnly, so nothing could set the attribute; it must be readWrite, immutable or writeOnly"),
        ),
        ("/attributes/0/mutability", json!("writeOnly"), format!("{number}mutability is writeOnly, so returned must be never")),
        (
            "/attributes/0/mutability",
            json!("fixed"),
            format!("{number}mutability is \"fixed\"; it must be readWrite, immutable or writeOnly"),
        ),
        ("/attributes/0/returned", json!("often"), format!("{number}returned is \"often\"; it must be always, never, default or request")),
        (
            "/attributes/0/uniqueness",
            json!("global"),
            format!("{number}uniqueness is global, which a service provider cannot check; it must be none or server"),
        ),
        ("/attributes/0/subAttributes", json!([{}]), format!("{number}only an attribute of type complex has subAttributes")),
        ("/attributes/0/canonicalValues", json!(["a", "b", "a"]), format!("{number}canonicalValues has \"a\" twice")),
        ("/attributes/0/canonicalValues", json!([1]), format!("{number}canonicalValues is an array; it must be an array of strings")),
        ("/attributes/0/referenceTypes", json!(["User"]), format!("{number}only an attribute of type reference has referenceTypes")),
        (
            "/attributes/1/subAttributes",
            json!(null),
            format!("{doors}subAttributes is missing; it must be an array with at least one attribute"),
        ),
        (
            "/attributes/1/subAttributes/0/type",
            json!("complex"),
            format!("{value}type is complex; a sub-attribute cannot have sub-attributes itself"),
        ),
        (
            "/attributes/1/subAttributes/0/canonicalValues",
            json!(["North", "north"]),
            format!("{value}canonicalValues has \"north\" twice"),
        ),
        (
            "/attributes/1/subAttributes/0/uniqueness",
            json!("server"),
            format!("{doors}value cannot be unique, because doors has several values"),
        ),
        (
            "/attributes/1/subAttributes/0/name",
            json!("primary"),
            "attributes[1] \"doors\" subAttributes[0] \"primary\": primary must have the type boolean".to_owned(),
        ),
        (
            "/attributes/2/required",
            json!(true),
            "attributes[2] \"pin\": an attribute that is never returned is not stored, so it cannot be required".to_owned(),
        ),
    ] {
        let mistakes = mistakes_with(pointer, wrong.clone());
        assert!(mistakes.contains(&expected), "{pointer} {wrong}\nexpected: {expected}\nfound: {mistakes:#?}");
    }
    assert_eq!(mistakes_with("/description", json!(null)), [""; 0]);
}

#[test]
fn all_mistakes_of_a_file_are_reported() {
    let mut file = file();
    file["id"] = json!("badge");
    file["attributes"][0]["type"] = json!("text");
    file["attributes"][1]["subAttributes"][1]["type"] = json!("string");
    let mistakes = CustomSchema::parse(&file.to_string()).unwrap_err();
    let places: Vec<&str> = mistakes.iter().map(|mistake| mistake.split(" is ").next().unwrap()).collect();
    let reference = "attributes[1] \"doors\" subAttributes[1] \"$ref\": ";
    let only = format!("{reference}only an attribute of type reference has referenceTypes");
    let must = format!("{reference}$ref must have the type reference");
    assert_eq!(places, ["id", "attributes[0] \"number\": type", &only, &must]);
}

#[test]
fn file_that_is_too_large_or_no_object_is_rejected() {
    let large = format!("{}{}", file(), " ".repeat(MAX_CUSTOM_SCHEMA_BYTES));
    let expected = format!("the file is {} bytes; the maximum is {MAX_CUSTOM_SCHEMA_BYTES}", large.len());
    assert_eq!(CustomSchema::parse(&large).unwrap_err(), [expected]);
    assert_eq!(CustomSchema::parse("[]").unwrap_err(), ["the file is an array; it must be a JSON object"]);
    assert!(CustomSchema::parse("{").unwrap_err()[0].starts_with("the file is not valid JSON: "));
    let attribute = |number: usize| json!({ "name": format!("a{number}"), "type": "string" });
    let many = |count: usize| Value::Array((0..count).map(attribute).collect());
    let mut file = file();
    file["indexes"] = json!([]);
    file["attributes"] = many(MAX_CUSTOM_ATTRIBUTES);
    assert!(CustomSchema::parse(&file.to_string()).is_ok());
    file["attributes"] = many(MAX_CUSTOM_ATTRIBUTES + 1);
    let expected = "there are 101 attributes and sub-attributes; the maximum is 100";
    assert_eq!(CustomSchema::parse(&file.to_string()).unwrap_err(), [expected]);
    file["attributes"] = many(6);
    file["indexes"] = json!(["a0", "a1", "a2", "a3", "a4", "a5"]);
    let expected = "there are 6 indexes, with those of unique attributes; the maximum is 5";
    assert_eq!(CustomSchema::parse(&file.to_string()).unwrap_err(), [expected]);
}

#[test]
fn schema_with_the_urn_of_another_or_one_below_it_is_rejected() {
    let built_in = Schemas::built_in();
    let with_id = |id: &str| {
        let mut file = file();
        file["id"] = json!(id);
        CustomSchema::parse(&file.to_string()).unwrap()
    };
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let custom = with_id("urn:example:Badge");
    assert!(custom.check_beside(built_in).is_ok());
    let schemas = built_in.with_custom([&custom]);
    for (id, expected) in [
        (enterprise, format!("there is a schema {enterprise} already")),
        ("urn:EXAMPLE:badge", "there is a schema urn:example:Badge already".to_owned()),
        (
            "urn:example:badge:Number",
            "the URNs urn:example:badge:Number and urn:example:Badge begin alike up to a colon, so attribute paths would be \
             ambiguous; choose another URN"
                .to_owned(),
        ),
    ] {
        assert_eq!(with_id(id).check_beside(&schemas).unwrap_err().detail, expected);
    }
    assert!(with_id("urn:example:Badge2").check_beside(&schemas).is_ok());
}

#[test]
fn custom_schema_extends_its_resource_type_only() {
    let custom = CustomSchema::parse(&file().to_string()).unwrap();
    let schemas = Schemas::built_in().with_custom([&custom, &custom]);
    assert_eq!(schemas.schemas.len(), Schemas::built_in().schemas.len() + 1);
    let (users, groups) = (schemas.of(ResourceKind::User), schemas.of(ResourceKind::Group));
    assert!(users.extension(&custom.schema.id).is_some() && groups.extension(&custom.schema.id).is_none());
    let index = |name: &str| users.indexes.iter().find(|index| index.name == name).unwrap();
    let (number, doors) =
        (index("urn:example:schemas:2.0:Badge:number"), index("urn:example:schemas:2.0:Badge:doors.value"));
    assert_eq!((number.unique, number.case_exact, number.required), (true, true, false));
    assert_eq!((doors.unique, doors.case_exact), (false, false));
}

#[test]
fn stored_values_fit_if_they_are_as_the_schema_would_store_them() {
    let custom = CustomSchema::parse(&file().to_string()).unwrap();
    let urn = custom.schema.id.as_str();
    for (name, values, expected) in [
        (urn, json!({ "number": "A7", "doors": [{ "value": "x" }], "colour": 1 }), Ok(())),
        (
            "urn:example:schemas:2.0:BADGE",
            json!({}),
            Err("they are stored as urn:example:schemas:2.0:BADGE; spell the URN like this"),
        ),
        (urn, json!("A7"), Err("they are not an object")),
        (urn, json!({ "Number": "A7" }), Err("Number is spelled number in the file")),
        (urn, json!({ "number": 7 }), Err("the value of number has another form in the file")),
        (urn, json!({ "number": true }), Err("number is a boolean; it must be a string")),
        (
            urn,
            json!({ "doors": [{ "value": "x", "floor": 1 }] }),
            Err("the value of doors has another form in the file"),
        ),
    ] {
        assert_eq!(custom.check_stored(name, &values), expected.map_err(str::to_owned), "{values}");
    }
}
