//! Checks the file of a custom schema, and reports every mistake with its place.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{CustomSchema, ExtendedType, characteristics, indexes};
use crate::attribute_path::AttributePath;
use crate::limits::{MAX_CUSTOM_ATTRIBUTES, MAX_CUSTOM_SCHEMA_BYTES, MAX_CUSTOM_URN_BYTES};
use crate::resource::type_name;
use crate::schema::{Attribute, Schema, Type};

/// The members of a file. `schemas` and `meta` are those that a served schema has.
const FILE_MEMBERS: [&str; 8] =
    ["schemas", "id", "name", "description", "resourceType", "indexes", "attributes", "meta"];
/// The members of an attribute (RFC 7643 §7).
const ATTRIBUTE_MEMBERS: [&str; 12] = [
    "name",
    "type",
    "multiValued",
    "description",
    "required",
    "canonicalValues",
    "caseExact",
    "mutability",
    "returned",
    "uniqueness",
    "referenceTypes",
    "subAttributes",
];
/// The beginnings of the URNs of RFC 7643 and RFC 7644.
const RESERVED: [&str; 2] = ["urn:ietf:params:scim:schemas:core:", "urn:ietf:params:scim:api:"];
const TYPES: &str = "string, boolean, decimal, integer, dateTime, binary, reference or complex";

/// Parses and checks a file. See [`CustomSchema::parse`].
pub fn parse(text: &str) -> Result<CustomSchema, Vec<String>> {
    if text.len() > MAX_CUSTOM_SCHEMA_BYTES {
        return Err(vec![format!(
            "the file is {} bytes; the maximum is {MAX_CUSTOM_SCHEMA_BYTES}",
            text.len()
        )]);
    }
    let file = match serde_json::from_str(text) {
        Ok(Value::Object(file)) => file,
        Ok(other) => {
            return Err(vec![format!("the file is {}; it must be a JSON object", type_name(&other))]);
        }
        Err(error) => return Err(vec![format!("the file is not valid JSON: {error}")]),
    };
    let mut checker = Checker::default();
    let custom = checker.file(&file);
    if checker.mistakes.is_empty() { Ok(custom) } else { Err(checker.mistakes) }
}

/// Collects mistakes. It goes on after a mistake with a default in place of the wrong value.
#[derive(Default)]
struct Checker {
    mistakes: Vec<String>,
}

impl Checker {
    fn add(&mut self, place: &str, mistake: impl std::fmt::Display) {
        self.mistakes.push(if place.is_empty() {
            mistake.to_string()
        } else {
            format!("{place}: {mistake}")
        });
    }

    fn file(&mut self, file: &Map<String, Value>) -> CustomSchema {
        self.check_members("", file, &FILE_MEMBERS);
        let id = self.urn(file);
        let name = self.text("", file, "name").unwrap_or_default();
        if name.trim().is_empty() && file.contains_key("name") {
            self.add("", "name is empty");
        }
        if !file.contains_key("name") {
            self.add("", "name is missing; it is a name for people");
        }
        let description = self.text("", file, "description").unwrap_or_default();
        let resource_type = match file.get("resourceType").and_then(Value::as_str) {
            Some("User") => ExtendedType::User,
            Some("Group") => ExtendedType::Group,
            _ => {
                self.add("", found(file.get("resourceType"), "resourceType", "\"User\" or \"Group\""));
                ExtendedType::User
            }
        };
        let attributes = self.attributes("", file.get("attributes"), "attributes", false);
        let schema = Schema { id, name, description, attributes };
        let count: usize = schema.attributes.iter().map(|attribute| 1 + attribute.sub_attributes.len()).sum();
        if count > MAX_CUSTOM_ATTRIBUTES {
            let mistake = format!(
                "there are {count} attributes and sub-attributes; the maximum is {MAX_CUSTOM_ATTRIBUTES}"
            );
            self.add("", mistake);
        }
        let (indexes, mistakes) = indexes::read(file.get("indexes"), &schema);
        self.mistakes.extend(mistakes);
        CustomSchema { schema, resource_type, indexes }
    }

    /// Reads the URN. It must be possible to write it in an attribute path, in a URL and in a key of the table.
    fn urn(&mut self, file: &Map<String, Value>) -> String {
        let Some(id) = file.get("id").and_then(Value::as_str) else {
            self.add("", found(file.get("id"), "id", "a URN, such as \"urn:example:schemas:2.0:Badge\""));
            return String::new();
        };
        let is_character = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '-' | '_');
        let is_path = AttributePath::parse(id).and_then(|path| path.as_urn()).is_some_and(|urn| urn == id);
        let lower = id.to_ascii_lowercase();
        if !is_path || !id.chars().all(is_character) || id.split(':').any(str::is_empty) {
            let mistake = format!(
                "id is {id:?}; it must be a URN of letters, digits, \":\", \".\", \"-\" and \"_\" whose last part begins with \
                 a letter and has no dot, such as \"urn:example:schemas:2.0:Badge\""
            );
            self.add("", mistake);
        } else if RESERVED.iter().any(|prefix| lower.starts_with(prefix)) {
            self.add(
                "",
                format!("id is {id:?}, which begins like the URNs of SCIM itself; choose another URN"),
            );
        }
        if id.len() > MAX_CUSTOM_URN_BYTES {
            self.add("", format!("id is {} bytes; the maximum is {MAX_CUSTOM_URN_BYTES}", id.len()));
        }
        id.to_owned()
    }

    /// Reads a list of attributes or sub-attributes.
    fn attributes(
        &mut self,
        place: &str,
        list: Option<&Value>,
        member: &str,
        is_sub: bool,
    ) -> Vec<Attribute> {
        let list = match list {
            Some(Value::Array(list)) if !list.is_empty() => list,
            other => {
                self.add(place, found(other, member, "an array with at least one attribute"));
                return Vec::new();
            }
        };
        let mut names = HashSet::new();
        let mut attributes = Vec::with_capacity(list.len());
        for (position, attribute) in list.iter().enumerate() {
            let prefix = if place.is_empty() { String::new() } else { format!("{place} ") };
            let unnamed = format!("{prefix}{member}[{position}]");
            let Value::Object(attribute) = attribute else {
                self.add(&unnamed, format!("it is {}; it must be an object", type_name(attribute)));
                continue;
            };
            let name = attribute.get("name").and_then(Value::as_str).unwrap_or_default();
            let place = if name.is_empty() { unnamed } else { format!("{unnamed} {name:?}") };
            if !names.insert(name.to_ascii_lowercase()) && !name.is_empty() {
                self.add(&place, "another attribute has this name; names are compared without their case");
            }
            attributes.push(self.attribute(&place, attribute, is_sub));
        }
        attributes
    }

    fn attribute(&mut self, place: &str, attribute: &Map<String, Value>, is_sub: bool) -> Attribute {
        self.check_members(place, attribute, &ATTRIBUTE_MEMBERS);
        let name = attribute.get("name").and_then(Value::as_str).unwrap_or_default();
        // RFC 7643 §2.1. `$ref` is a name too.
        let is_name = AttributePath::parse(name).is_some_and(|path| path.to_string() == path.name);
        if !is_name || (name.starts_with('$') && name != "$ref") {
            let expected = "a letter, and then letters, digits, \"-\" and \"_\"";
            self.add(place, found(attribute.get("name"), "name", expected));
        }
        let kind = self.word(place, attribute, "type", TYPES).unwrap_or(Type::String);
        if attribute.get("type").is_none() {
            self.add(place, found(None, "type", TYPES));
        }
        let read = Attribute {
            name: name.to_owned(),
            kind,
            sub_attributes: self.sub_attributes(place, attribute, kind, is_sub),
            multi_valued: self.flag(place, attribute, "multiValued"),
            description: self.text(place, attribute, "description").unwrap_or_default(),
            required: self.flag(place, attribute, "required"),
            canonical_values: self.texts(place, attribute, "canonicalValues"),
            case_exact: self.flag(place, attribute, "caseExact"),
            mutability: self
                .word(place, attribute, "mutability", "readWrite, immutable or writeOnly")
                .unwrap_or_default(),
            returned: self
                .word(place, attribute, "returned", "always, never, default or request")
                .unwrap_or_default(),
            uniqueness: self.word(place, attribute, "uniqueness", "none or server").unwrap_or_default(),
            reference_types: self.texts(place, attribute, "referenceTypes"),
        };
        for mistake in characteristics::mistakes(&read) {
            self.add(place, mistake);
        }
        read
    }

    fn sub_attributes(
        &mut self,
        place: &str,
        attribute: &Map<String, Value>,
        kind: Type,
        is_sub: bool,
    ) -> Vec<Attribute> {
        let list = attribute.get("subAttributes");
        match (kind, is_sub) {
            (Type::Complex, true) => {
                // RFC 7643 §2.3.8.
                self.add(place, "type is complex; a sub-attribute cannot have sub-attributes itself");
                Vec::new()
            }
            (Type::Complex, false) => self.attributes(place, list, "subAttributes", true),
            _ if list.is_some_and(|list| *list != Value::Array(Vec::new())) => {
                self.add(place, "only an attribute of type complex has subAttributes");
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Reports members with a name that the form does not have.
    fn check_members(&mut self, place: &str, object: &Map<String, Value>, known: &[&str]) {
        for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
            self.add(place, format!("unknown member {name:?}; the members are {}", known.join(", ")));
        }
    }

    fn flag(&mut self, place: &str, object: &Map<String, Value>, member: &str) -> bool {
        match object.get(member) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            other => {
                self.add(place, found(other, member, "true or false"));
                false
            }
        }
    }

    fn text(&mut self, place: &str, object: &Map<String, Value>, member: &str) -> Option<String> {
        match object.get(member) {
            None => None,
            Some(Value::String(text)) => Some(text.clone()),
            other => {
                self.add(place, found(other, member, "a string"));
                None
            }
        }
    }

    fn texts(&mut self, place: &str, object: &Map<String, Value>, member: &str) -> Vec<String> {
        let texts = match object.get(member) {
            None => return Vec::new(),
            Some(Value::Array(texts)) => texts.iter().map(|text| text.as_str().map(str::to_owned)).collect(),
            Some(_) => None,
        };
        texts.unwrap_or_else(|| {
            self.add(place, found(object.get(member), member, "an array of strings"));
            Vec::new()
        })
    }

    /// Reads one of several words.
    fn word<T: serde::de::DeserializeOwned>(
        &mut self,
        place: &str,
        object: &Map<String, Value>,
        member: &str,
        words: &str,
    ) -> Option<T> {
        let value = object.get(member)?;
        let word = serde_json::from_value(value.clone()).ok();
        if word.is_none() {
            self.add(place, found(Some(value), member, words));
        }
        word
    }
}

/// Says what a member is, and what it must be.
pub(super) fn found(value: Option<&Value>, member: &str, expected: &str) -> String {
    match value {
        None => format!("{member} is missing; it must be {expected}"),
        Some(Value::String(text)) => format!("{member} is {text:?}; it must be {expected}"),
        Some(other) => format!("{member} is {}; it must be {expected}", type_name(other)),
    }
}
