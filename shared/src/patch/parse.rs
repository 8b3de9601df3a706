//! From the body of a PATCH to operations whose paths are resolved (RFC 7644 §3.5.2).

use serde_json::{Map, Value};

use super::members;
use super::{Operation, Patch, Place, Verb, path};
use crate::error::{ErrorKind, ScimError};
use crate::message::{check_message, member};
use crate::resource::{ResourceKind, type_name};
use crate::schema::{Attribute, Mutability, ResourceSchema, Schema, Target};

/// The schema URN of the body (RFC 7644 §3.5.2).
pub const PATCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// The most operations in one request.
pub const MOST_OPERATIONS: usize = 1_000;

impl<'s> Patch<'s> {
    /// Reads the body of a PATCH.
    ///
    /// # Errors
    /// `invalidSyntax` when it is no PatchOp, `invalidPath` or `noTarget` for a path that leads nowhere, `mutability`
    /// for one to what is read-only, `invalidValue` for a value of the wrong type; with the number of the operation.
    pub fn parse(body: &Map<String, Value>, schema: &'s ResourceSchema) -> Result<Self, ScimError> {
        check_message(body, PATCH_SCHEMA)?;
        let invalid = |detail: String| ScimError::new(ErrorKind::InvalidSyntax, detail);
        let operations = match member(body, "Operations") {
            Some(Value::Array(operations)) => operations,
            Some(other) => {
                return Err(invalid(format!("Operations is {}, and must be an array", type_name(other))));
            }
            None => return Err(invalid("Operations is missing".to_owned())),
        };
        if operations.is_empty() {
            return Err(invalid("Operations is empty, and must hold one at least".to_owned()));
        }
        if operations.len() > MOST_OPERATIONS {
            let detail = format!("There are {} operations, and may be {MOST_OPERATIONS}", operations.len());
            return Err(ScimError::invalid_value(detail));
        }
        let mut patch = Self { operations: Vec::new(), members: Vec::new() };
        for (operation, number) in operations.iter().zip(1..) {
            let Value::Object(operation) = operation else {
                let detail = format!("Operation {number} is {}, and must be an object", type_name(operation));
                return Err(invalid(detail));
            };
            Reader { number, schema, patch: &mut patch }
                .read(operation)
                .map_err(|error| numbered(number, error))?;
        }
        Ok(patch)
    }
}

/// Puts the number of the operation in front of what was wrong with it.
pub(super) fn numbered(number: usize, error: ScimError) -> ScimError {
    ScimError { detail: format!("Operation {number}: {}", error.detail).into(), ..error }
}

struct Reader<'p, 's> {
    number: usize,
    schema: &'s ResourceSchema,
    patch: &'p mut Patch<'s>,
}

impl<'s> Reader<'_, 's> {
    fn read(&mut self, operation: &Map<String, Value>) -> Result<(), ScimError> {
        let verb = verb(member(operation, "op"))?;
        let path = match member(operation, "path") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text).filter(|text| !accepts_an_empty_path(text)),
            Some(other) => {
                let detail = format!("path is {}, and must be a string", type_name(other));
                return Err(ScimError::new(ErrorKind::InvalidSyntax, detail));
            }
        };
        let value = match member(operation, "value") {
            Some(value) => value,
            None if verb == Verb::Remove => &Value::Null,
            // RFC 7644 §3.5.2.1. A client that means to take a value away says so.
            None => return Err(ScimError::invalid_value("value is missing")),
        };
        let Some(path) = path else { return self.read_without_path(verb, value) };
        match path::parse(path, self.schema)? {
            Some(place) => self.read_with_path(verb, place, value),
            None => Err(path::invalid(format!("A {} has no attribute {path}", self.schema.kind.name()))),
        }
    }

    fn read_with_path(&mut self, verb: Verb, place: Place<'s>, value: &Value) -> Result<(), ScimError> {
        if let (Place::Extension(extension), Verb::Add | Verb::Replace) = (&place, verb) {
            return self.read_extension(verb, extension, value);
        }
        let is_read_only = |attribute: &Attribute| attribute.mutability == Mutability::ReadOnly;
        if let Some(target) = place.target()
            && (is_read_only(target.attribute) || is_read_only(target.leaf()))
        {
            let detail = format!("{} is read-only", target.leaf().name);
            return Err(ScimError::new(ErrorKind::Mutability, detail));
        }
        self.push(verb, place, value)
    }

    /// RFC 7644 §3.5.2.1 and §3.5.2.3: without a path the value is a part of the resource; what is unknown or read-only is
    /// ignored, as in the body of a PUT.
    fn read_without_path(&mut self, verb: Verb, value: &Value) -> Result<(), ScimError> {
        if verb == Verb::Remove {
            // RFC 7644 §3.5.2.2
            return Err(ScimError::new(ErrorKind::NoTarget, "remove needs a path"));
        }
        let Value::Object(values) = value else {
            let detail = format!("Without a path the value must be an object, and is {}", type_name(value));
            return Err(ScimError::invalid_value(detail));
        };
        for (name, value) in values {
            match accepts_a_path_as_a_name(name, self.schema) {
                Ok(Some(Place::Extension(extension))) => self.read_extension(verb, extension, value)?,
                Ok(Some(place)) if is_writable(&place) => self.push(verb, place, value)?,
                Ok(_) => {}
                // Only what looks like a filter was meant as a path.
                Err(error) if name.contains('[') => return Err(error),
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn read_extension(&mut self, verb: Verb, extension: &'s Schema, value: &Value) -> Result<(), ScimError> {
        match value {
            Value::Null if verb == Verb::Replace => {
                self.push(Verb::Remove, Place::Extension(extension), &Value::Null)
            }
            Value::Null => Ok(()),
            Value::Object(values) => {
                for (name, value) in values {
                    let Some(attribute) = extension.attribute(name) else { continue };
                    let target = Target { extension: Some(extension), attribute, sub_attribute: None };
                    let place = Place::Attribute(target);
                    if is_writable(&place) {
                        self.push(verb, place, value)?;
                    }
                }
                Ok(())
            }
            other => {
                let detail = format!("{} is {}, and must be an object", extension.id, type_name(other));
                Err(ScimError::invalid_value(detail))
            }
        }
    }

    fn push(&mut self, verb: Verb, place: Place<'s>, value: &Value) -> Result<(), ScimError> {
        let is_member = |target: &Target<'_>| {
            self.schema.kind == ResourceKind::Group
                && target.extension.is_none()
                && target.attribute.name == "members"
        };
        if place.target().is_some_and(is_member) {
            return members::read(verb, place, value, &mut self.patch.members);
        }
        let value = value.clone();
        self.patch.operations.push(Operation { number: self.number, verb, place, value });
        Ok(())
    }
}

fn is_writable(place: &Place<'_>) -> bool {
    let is_read_only = |attribute: &Attribute| attribute.mutability == Mutability::ReadOnly;
    place.target().is_none_or(|target| !is_read_only(target.attribute))
        && place.leaf().is_none_or(|leaf| !is_read_only(leaf))
}

fn verb(op: Option<&Value>) -> Result<Verb, ScimError> {
    let invalid = |found: &str| {
        Err(ScimError::new(
            ErrorKind::InvalidSyntax,
            format!("op is {found}, and must be add, remove or replace"),
        ))
    };
    match op {
        Some(Value::String(op)) => {
            accepts_an_op_in_any_case(op).map_or_else(|| invalid(&format!("{op:?}")), Ok)
        }
        Some(other) => invalid(type_name(other)),
        None => invalid("missing"),
    }
}

/// An empty path is none.
fn accepts_an_empty_path(text: &str) -> bool {
    text.trim().is_empty()
}

/// Entra ID sends `{"name.givenName": …}`, and whole filters in such names.
fn accepts_a_path_as_a_name<'s>(
    name: &str,
    schema: &'s ResourceSchema,
) -> Result<Option<Place<'s>>, ScimError> {
    path::parse(name, schema)
}

/// Entra ID sends `Add`, `Remove` and `Replace`.
fn accepts_an_op_in_any_case(op: &str) -> Option<Verb> {
    match op.to_ascii_lowercase().as_str() {
        "add" => Some(Verb::Add),
        "remove" => Some(Verb::Remove),
        "replace" => Some(Verb::Replace),
        _ => None,
    }
}
