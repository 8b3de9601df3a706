//! PUT: replaces a document (RFC 7644 §3.5.1).

use serde_json::{Map, Value};

use super::{Document, ResourceKind, is_active};
use crate::error::{ErrorKind, ScimError};
use crate::schema::{Attribute, Mutability, ResourceSchema, Schema};

/// Returns the document after a PUT. Attributes that the client did not send are cleared, except immutable
/// ones. An inactive user stays inactive if the client did not send `active`.
///
/// # Errors
/// `mutability` if the PUT would change the value of an immutable attribute.
pub fn replace(
    present: &Document,
    mut new: Document,
    schema: &ResourceSchema,
) -> Result<Document, ScimError> {
    keep_immutable(&schema.core, "", present, &mut new)?;
    if schema.kind == ResourceKind::User {
        accepts_an_update_without_active(present, &mut new);
    }
    for extension in &schema.extensions {
        let Some(Value::Object(present)) = present.get(&extension.id) else { continue };
        let mut values = match new.shift_remove(&extension.id) {
            Some(Value::Object(values)) => values,
            _ => Map::new(),
        };
        keep_immutable(extension, &format!("{}:", extension.id), present, &mut values)?;
        if !values.is_empty() {
            new.insert(extension.id.clone(), Value::Object(values));
        }
    }
    super::finish(&mut new, schema)?;
    Ok(new)
}

/// HR systems send a PUT without `active` to update a profile. It must not reactivate a user who left.
fn accepts_an_update_without_active(present: &Document, new: &mut Document) {
    if !is_active(present) && !new.contains_key("active") {
        new.insert("active".into(), Value::Bool(false));
    }
}

/// Copies the immutable attributes and sub-attributes of a schema to the new values.
fn keep_immutable(
    schema: &Schema,
    prefix: &str,
    present: &Map<String, Value>,
    new: &mut Map<String, Value>,
) -> Result<(), ScimError> {
    for attribute in schema.attributes.iter().filter(|attribute| !attribute.multi_valued) {
        let Some(Value::Object(values)) = present.get(&attribute.name) else { continue };
        let mut new_values = match new.get(&attribute.name) {
            Some(Value::Object(new)) => new.clone(),
            _ => Map::new(),
        };
        let path = format!("{prefix}{}.", attribute.name);
        keep_immutable_attributes(&attribute.sub_attributes, &path, values, &mut new_values)?;
        if !new_values.is_empty() {
            new.insert(attribute.name.clone(), Value::Object(new_values));
        }
    }
    keep_immutable_attributes(&schema.attributes, prefix, present, new)
}

/// Copies immutable attributes that the new values lack.
///
/// # Errors
/// `mutability` if the new values change one.
pub(crate) fn keep_immutable_attributes(
    attributes: &[Attribute],
    prefix: &str,
    present: &Map<String, Value>,
    new: &mut Map<String, Value>,
) -> Result<(), ScimError> {
    let is_immutable = |attribute: &&Attribute| attribute.mutability == Mutability::Immutable;
    for attribute in attributes.iter().filter(is_immutable) {
        let Some(value) = present.get(&attribute.name) else { continue };
        match new.get(&attribute.name) {
            None => {
                new.insert(attribute.name.clone(), value.clone());
            }
            Some(other) if other == value => {}
            Some(_) => {
                let detail = format!("{prefix}{} is immutable and already has a value", attribute.name);
                return Err(ScimError::new(ErrorKind::Mutability, detail));
            }
        }
    }
    Ok(())
}
