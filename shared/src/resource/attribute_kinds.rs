//! Tests that each leniency about values applies to every attribute of its kind, in POST, PUT and PATCH.

use serde_json::{Map, Value, json};

use super::{Document, ResourceKind, normalise, normalise_attribute, replace};
use crate::patch::{PATCH_SCHEMA, Patch};
use crate::schema::{Attribute, Mutability, ResourceSchema, Returned, Schemas, Type};

/// An attribute that clients write, with its path and the path of its values in a document.
struct Case<'s> {
    schema: &'s ResourceSchema,
    path: String,
    pointer: String,
    attribute: &'s Attribute,
}

/// Lists the attributes of users and groups that clients write and that are stored, without sub-attributes.
fn attributes() -> impl Iterator<Item = Case<'static>> {
    let kinds = [ResourceKind::User, ResourceKind::Group];
    let schemas = kinds.into_iter().map(|kind| Schemas::built_in().of(kind));
    schemas.flat_map(|schema| {
        let of = move |prefix: String, pointer: String, attribute: &'static Attribute| Case {
            schema,
            path: format!("{prefix}{}", attribute.name),
            pointer: format!("{pointer}/{}", attribute.name),
            attribute,
        };
        let core =
            schema.core.attributes.iter().map(move |attribute| of(String::new(), String::new(), attribute));
        let extensions = schema.extensions.iter().flat_map(move |extension| {
            let (prefix, pointer) = (format!("{}:", extension.id), format!("/{}", extension.id));
            extension.attributes.iter().map(move |attribute| of(prefix.clone(), pointer.clone(), attribute))
        });
        core.chain(extensions).filter(|case| {
            case.attribute.mutability != Mutability::ReadOnly
                && case.attribute.returned != Returned::Never
                && case.attribute.name != "members"
        })
    })
}

fn required(schema: &ResourceSchema) -> Value {
    match schema.kind {
        ResourceKind::User => json!({ "userName": "ann" }),
        _ => json!({ "displayName": "Sales" }),
    }
}

impl Case<'_> {
    /// The stored value after an operation with this path and value, on a resource that has `before` as the value.
    fn patched(&self, before: &Value, op: &str, path: &str, value: &Value) -> Option<Value> {
        let operations = json!([{ "op": op, "path": path, "value": value }]);
        let body = json!({ "schemas": [PATCH_SCHEMA], "Operations": operations });
        let patch = Patch::parse(body.as_object().unwrap().clone(), self.schema).unwrap();
        let document = self.posted(before);
        let changed = patch.apply(&document, self.schema).unwrap_or_else(|error| panic!("{path}: {error}"));
        Value::Object(changed).pointer(&self.pointer).cloned()
    }

    /// The document that a POST with this value creates.
    fn posted(&self, value: &Value) -> Document {
        let mut body = required(self.schema);
        let mut object = body.as_object_mut().unwrap();
        if let Some((urn, _)) = self.path.rsplit_once(':') {
            object = object.entry(urn).or_insert_with(|| json!({})).as_object_mut().unwrap();
        }
        object.insert(self.attribute.name.clone(), value.clone());
        normalise(body.as_object().unwrap(), self.schema)
            .unwrap_or_else(|error| panic!("{}: {error}", self.path))
    }

    fn stored(&self, value: &Value) -> Option<Value> {
        Value::Object(self.posted(value)).pointer(&self.pointer).cloned()
    }

    /// A value that is stored as it is.
    fn example(&self) -> Value {
        let element = example(self.attribute);
        if self.attribute.multi_valued { json!([element]) } else { element }
    }
}

/// A value of an attribute, or an element of a multi-valued one.
fn example(attribute: &Attribute) -> Value {
    match attribute.kind {
        Type::Boolean => json!(true),
        Type::Integer | Type::Decimal => json!(7),
        Type::DateTime => json!("2011-05-13T04:42:34Z"),
        Type::Binary => json!("aGk="),
        Type::String | Type::Reference => json!("text"),
        Type::Complex => {
            let written = |sub: &&Attribute| sub.mutability != Mutability::ReadOnly;
            let subs = attribute.sub_attributes.iter().filter(written);
            Value::Object(subs.map(|sub| (sub.name.clone(), example(sub))).collect::<Map<_, _>>())
        }
    }
}

#[test]
fn number_for_each_string_attribute_becomes_its_text() {
    let mut count = 0;
    for case in attributes() {
        let texts: Vec<&Attribute> = match case.attribute.kind {
            Type::String => vec![case.attribute],
            _ => case.attribute.sub_attributes.iter().filter(|sub| sub.kind == Type::String).collect(),
        };
        for text in texts.into_iter().filter(|text| text.mutability != Mutability::ReadOnly) {
            count += 1;
            let of = |value: Value| match (case.attribute.kind, case.attribute.multi_valued) {
                (Type::Complex, true) => json!([{ text.name.as_str(): value }]),
                (Type::Complex, false) => json!({ text.name.as_str(): value }),
                _ => value,
            };
            for (number, expected) in [(json!(701), "701"), (json!(-7.5), "-7.5")] {
                let expected = Some(of(json!(expected)));
                assert_eq!(case.stored(&of(number.clone())), expected, "{}.{}", case.path, text.name);
                let before = if case.attribute.required { case.example() } else { Value::Null };
                let patched = case.patched(&before, "replace", &case.path, &of(number));
                assert_eq!(patched, expected, "{}.{}", case.path, text.name);
            }
        }
    }
    assert!(count >= 40, "{count}");
}

#[test]
fn number_as_a_string_is_the_value_of_a_number_attribute() {
    let title = Schemas::built_in().of(ResourceKind::User).core.attribute("title").unwrap();
    for (kind, given, expected) in [
        (Type::Integer, json!(" 7 "), Some(json!(7))),
        (Type::Integer, json!("7.5"), None),
        (Type::Integer, json!("seven"), None),
        (Type::Decimal, json!("7.5"), Some(json!(7.5))),
        (Type::Decimal, json!(""), None),
    ] {
        let attribute = Attribute { kind, ..title.clone() };
        let value = normalise_attribute(&attribute, &given, "title").ok().flatten();
        assert_eq!(value, expected, "{kind:?} {given}");
    }
}

#[test]
fn empty_value_clears_each_complex_attribute() {
    let mut count = 0;
    for case in attributes().filter(|case| case.attribute.kind == Type::Complex) {
        for empty in [json!(""), json!([""]), json!({ "value": "" }), json!([{ "value": "" }])] {
            count += 1;
            assert_eq!(case.stored(&empty), None, "{}: {empty}", case.path);
            let patched = case.patched(&case.example(), "replace", &case.path, &empty);
            assert_eq!(patched, None, "{}: {empty}", case.path);
        }
    }
    assert!(count >= 40, "{count}");
}

#[test]
fn object_with_only_a_value_is_the_value_of_each_simple_attribute() {
    let mut count = 0;
    for case in
        attributes().filter(|case| case.attribute.kind != Type::Complex && !case.attribute.multi_valued)
    {
        count += 1;
        let example = case.example();
        let wrapped = json!([{ "$ref": null, "value": example }]);
        assert_eq!(case.stored(&wrapped), Some(example.clone()), "{}", case.path);
        let patched = case.patched(&example, "replace", &case.path, &wrapped);
        assert_eq!(patched, Some(example), "{}", case.path);
    }
    assert!(count > 15, "{count}");
}

#[test]
fn json_as_text_is_the_value_of_each_complex_attribute() {
    let mut count = 0;
    for case in attributes().filter(|case| case.attribute.kind == Type::Complex) {
        count += 1;
        let example = case.example();
        for text in [json!(example.to_string()), json!([self::example(case.attribute).to_string()])] {
            let added = case.patched(&Value::Null, "add", &case.path, &text);
            assert_eq!(added, Some(example.clone()), "{}: {text}", case.path);
        }
    }
    assert!(count >= 10, "{count}");
}

#[test]
fn filter_selects_the_value_of_each_complex_attribute_with_one_value() {
    let mut count = 0;
    let is_single = |case: &Case<'_>| case.attribute.kind == Type::Complex && !case.attribute.multi_valued;
    for case in attributes().filter(is_single) {
        count += 1;
        let example = case.example();
        let name = example.as_object().unwrap().keys().next().unwrap();
        let path = |value: &str| format!("{}[{name} eq \"{value}\"]", case.path);
        assert_eq!(case.patched(&example, "remove", &path("text"), &Value::Null), None, "{}", case.path);
        let other = case.patched(&example, "remove", &path("other"), &Value::Null);
        assert_eq!(other, Some(example.clone()), "{}", case.path);
    }
    assert!(count >= 2, "{count}");
}

#[test]
fn inactive_user_stays_inactive_after_a_put_without_active() {
    let schema = Schemas::built_in().of(ResourceKind::User);
    let put = |before: Value, body: Value| {
        let document = |value: Value| normalise(value.as_object().unwrap(), schema).unwrap();
        replace(&document(before), document(body), schema).unwrap().get("active").cloned()
    };
    let user = |active: Value| json!({ "userName": "ann", "active": active });
    for (before, body, expected) in [
        (user(json!(false)), json!({ "userName": "ann", "title": "x" }), Some(json!(false))),
        (user(json!(false)), user(Value::Null), Some(json!(false))),
        (user(json!(false)), user(json!(true)), Some(json!(true))),
        (user(json!(true)), json!({ "userName": "ann" }), None),
        (user(json!(true)), user(json!("False")), Some(json!(false))),
    ] {
        assert_eq!(put(before.clone(), body.clone()), expected, "{before} {body}");
    }
}
