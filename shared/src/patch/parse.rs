//! Parses the body of a PATCH to operations with resolved paths (RFC 7644 §3.5.2).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::json_text::{accepts_json_as_text, is_complex};
use super::members;
use super::{MemberOperation, Op, Operation, Patch, TargetLocation, path};
use crate::error::{ErrorKind, ScimError};
use crate::interop_profile;
use crate::limits::{MAX_PATCH_OPERATIONS, MAX_PATCH_TARGETS};
use crate::message::{check_message, member, operations, take_member};
use crate::resource::{ResourceKind, type_name};
use crate::schema::{Attribute, Mutability, ResourceSchema, Schema, Target};

/// The schema URN of the body (RFC 7644 §3.5.2).
pub const PATCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// The most unknown attributes that are named.
const MAX_UNKNOWN_ATTRIBUTES: usize = 20;

impl<'s> Patch<'s> {
    /// Reads the body of a PATCH.
    ///
    /// # Errors
    /// `invalidSyntax` if the body is not a PatchOp, `invalidPath` or `noTarget` for a path that does not
    /// name an attribute of a known schema, `mutability` for a path to a read-only attribute, `invalidValue` for a value of the
    /// wrong type or too many operations, 413 for too many attributes or comparisons. The detail has the number of the
    /// operation.
    pub fn parse(body: Map<String, Value>, schema: &'s ResourceSchema) -> Result<Self, ScimError> {
        check_message(&body, PATCH_SCHEMA)?;
        let mut patch = Self {
            operations: Vec::new(),
            members: Vec::new(),
            targets: 0,
            json_values: 0,
            unknown_schemas: BTreeSet::new(),
            unknown_attributes: Vec::new(),
        };
        for operation in operations(body, MAX_PATCH_OPERATIONS, ErrorKind::InvalidValue)? {
            let (number, operation) = operation?;
            Reader { number, schema, patch: &mut patch }
                .read(operation)
                .map_err(|error| with_operation_number(number, error))?;
        }
        Ok(patch)
    }
}

/// Adds the number of the operation to the detail of an error.
pub(super) fn with_operation_number(number: usize, error: ScimError) -> ScimError {
    ScimError { detail: format!("Operation {number}: {}", error.detail).into(), ..error }
}

/// Reads one operation and adds it to the PATCH.
struct Reader<'p, 's> {
    number: usize,
    schema: &'s ResourceSchema,
    patch: &'p mut Patch<'s>,
}

impl<'s> Reader<'_, 's> {
    fn read(&mut self, mut operation: Map<String, Value>) -> Result<(), ScimError> {
        let value = take_member(&mut operation, "value");
        let op = read_op(member(&operation, "op"))?;
        let path = match member(&operation, "path") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text).filter(|text| !accepts_an_empty_path(text)),
            Some(other) => {
                let detail = format!("path is {}; it must be a string", type_name(other));
                return Err(ScimError::new(ErrorKind::InvalidSyntax, detail));
            }
        };
        if self.schema.is_strict {
            let path = path.ok_or_else(interop_profile::missing_path)?;
            interop_profile::check_path(path, op == Op::Remove, self.schema)?;
        }
        let value = match value {
            Some(value) => value,
            None if op == Op::Remove => Value::Null,
            // RFC 7644 §3.5.2.1: add has a value. To clear an attribute, a client sends null or remove.
            None => {
                return Err(ScimError::invalid_value("value is missing; add and replace require a value"));
            }
        };
        let Some(path) = path else { return self.read_without_path(op, value) };
        match path::parse(path, self.schema)? {
            Some(location) => self.read_with_path(op, location, value),
            None if self.schema.is_strict => Err(interop_profile::undefined(path, self.schema)),
            None => self.accepts_a_path_in_an_unknown_schema(path),
        }
    }

    /// Entra ID sends paths of a custom mapping, which name extensions that the service provider does not have:
    /// `urn:ietf:params:scim:schemas:extension:Acme:2.0:User:tag`. They are ignored, as in the body of a POST.
    fn accepts_a_path_in_an_unknown_schema(&mut self, path: &str) -> Result<(), ScimError> {
        match path::unknown_schema(path, self.schema) {
            Some(urn) => {
                self.patch.unknown_schemas.insert(urn);
                Ok(())
            }
            None => Err(path::invalid(format!("A {} has no attribute {path}", self.schema.kind.name()))),
        }
    }

    fn read_with_path(
        &mut self,
        op: Op,
        location: TargetLocation<'s>,
        value: Value,
    ) -> Result<(), ScimError> {
        if let (TargetLocation::Extension(extension), Op::Add | Op::Replace) = (&location, op) {
            return self.read_extension(op, extension, value);
        }
        let is_read_only = |attribute: &Attribute| attribute.mutability == Mutability::ReadOnly;
        if let Some(target) = location.target()
            && (is_read_only(target.attribute) || is_read_only(target.leaf()))
        {
            let detail = format!("{} is read-only", target.leaf().name);
            return Err(ScimError::new(ErrorKind::Mutability, detail));
        }
        self.push(op, location, value)
    }

    /// Reads an operation without a path. RFC 7644 §3.5.2.1 and §3.5.2.3: the value is then an object with
    /// attributes of the resource. Unknown and read-only attributes are ignored, as in the body of a PUT.
    fn read_without_path(&mut self, op: Op, value: Value) -> Result<(), ScimError> {
        if op == Op::Remove {
            // RFC 7644 §3.5.2.2: remove without a path is noTarget.
            return Err(ScimError::new(ErrorKind::NoTarget, "remove requires a path"));
        }
        let value = accepts_json_as_text(value, &mut self.patch.json_values)?;
        let value = match value {
            Value::Array(mut elements) if elements.len() == 1 => elements.remove(0),
            value => value,
        };
        let Value::Object(values) = value else {
            let detail = format!("value is {}; without a path it must be an object", type_name(&value));
            return Err(ScimError::invalid_value(detail));
        };
        for (name, value) in values {
            match accepts_a_path_as_a_name(&name, self.schema) {
                Ok(Some(TargetLocation::Extension(extension))) => {
                    self.read_extension(op, extension, value)?
                }
                Ok(Some(location)) if is_writable(&location) => self.push(op, location, value)?,
                Ok(Some(_)) => {}
                // A name with a filter was meant as a path, so its error is reported. Other invalid names are
                // unknown attributes.
                Err(error) if name.contains('[') => return Err(error),
                Ok(None) | Err(_) => self.ignore(name),
            }
        }
        Ok(())
    }

    fn ignore(&mut self, name: String) {
        let ignored = &mut self.patch.unknown_attributes;
        if ignored.len() < MAX_UNKNOWN_ATTRIBUTES && !ignored.contains(&name) {
            ignored.push(name);
        }
    }

    fn read_extension(&mut self, op: Op, extension: &'s Schema, value: Value) -> Result<(), ScimError> {
        let value = if self.schema.is_strict {
            interop_profile::check_extension(extension, &value)?;
            value
        } else {
            accepts_json_as_text(value, &mut self.patch.json_values)?
        };
        match value {
            Value::Null if op == Op::Replace => {
                self.push(Op::Remove, TargetLocation::Extension(extension), Value::Null)
            }
            Value::Null => Ok(()),
            Value::Object(values) => {
                for (name, value) in values {
                    let Some(attribute) = extension.attribute(&name) else {
                        self.ignore(format!("{}:{name}", extension.id));
                        continue;
                    };
                    let target = Target { extension: Some(extension), attribute, sub_attribute: None };
                    let location = TargetLocation::Attribute(target);
                    if is_writable(&location) {
                        self.push(op, location, value)?;
                    }
                }
                Ok(())
            }
            other => {
                let detail = format!("{} is {}; it must be an object", extension.id, type_name(&other));
                Err(ScimError::invalid_value(detail))
            }
        }
    }

    /// Adds an operation on attributes, or on the members of a group.
    fn push(&mut self, op: Op, location: TargetLocation<'s>, mut value: Value) -> Result<(), ScimError> {
        if self.schema.is_strict {
            if let Some(leaf) = location.leaf().filter(|_| op != Op::Remove) {
                interop_profile::check_value(leaf, &value)?;
            }
        } else if is_complex(&location) {
            value = accepts_json_as_text(value, &mut self.patch.json_values)?;
        }
        let is_member = |target: &Target<'_>| {
            self.schema.kind == ResourceKind::Group
                && target.extension.is_none()
                && target.attribute.name == "members"
        };
        if location.target().is_some_and(is_member) {
            let before = self.patch.members.len();
            members::read(op, location, &value, &mut self.patch.members)?;
            let read = self.patch.members.iter().skip(before);
            return self.count(1 + read.map(MemberOperation::comparisons).sum::<usize>());
        }
        self.count(1 + location.comparisons())?;
        let (number, is_strict) = (self.number, self.schema.is_strict);
        self.patch.operations.push(Operation { number, op, location, value, is_strict });
        Ok(())
    }

    /// Counts attributes and comparisons.
    fn count(&mut self, targets: usize) -> Result<(), ScimError> {
        self.patch.targets += targets;
        if self.patch.targets <= MAX_PATCH_TARGETS {
            return Ok(());
        }
        let detail = format!(
            "The operations name more than {MAX_PATCH_TARGETS} attributes and comparisons, the maximum; send fewer \
             operations in one request"
        );
        Err(ScimError::new(ErrorKind::PayloadTooLarge, detail))
    }
}

fn is_writable(location: &TargetLocation<'_>) -> bool {
    let is_read_only = |attribute: &Attribute| attribute.mutability == Mutability::ReadOnly;
    location.target().is_none_or(|target| !is_read_only(target.attribute))
        && location.leaf().is_none_or(|leaf| !is_read_only(leaf))
}

fn read_op(op: Option<&Value>) -> Result<Op, ScimError> {
    let invalid = |found: &str| {
        Err(ScimError::new(
            ErrorKind::InvalidSyntax,
            format!("op is {found}; it must be add, remove or replace"),
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

/// Some clients send an empty path instead of none.
fn accepts_an_empty_path(text: &str) -> bool {
    text.trim().is_empty()
}

/// Entra ID sends paths as the names of attributes, with and without filters: `{"name.givenName": …}`.
fn accepts_a_path_as_a_name<'s>(
    name: &str,
    schema: &'s ResourceSchema,
) -> Result<Option<TargetLocation<'s>>, ScimError> {
    path::parse(name, schema)
}

/// Entra ID sends `Add`, `Remove` and `Replace` with a capital letter.
fn accepts_an_op_in_any_case(op: &str) -> Option<Op> {
    match op.to_ascii_lowercase().as_str() {
        "add" => Some(Op::Add),
        "remove" => Some(Op::Remove),
        "replace" => Some(Op::Replace),
        _ => None,
    }
}
