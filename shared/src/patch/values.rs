//! Changes complex values and the elements of multi-valued attributes, for PATCH (RFC 7644 §3.5.2).

use serde_json::{Map, Value};

use crate::error::{ErrorKind, ScimError};
use crate::resource::{accepts_an_empty_element_as_unassigned, is_primary, normalise_attribute};
use crate::schema::{Attribute, Mutability};

/// Sets a sub-attribute of the selected elements, or clears it.
pub fn set_in(
    elements: &mut Vec<Value>,
    selected: &[usize],
    attribute: &Attribute,
    sub_attribute: &Attribute,
    value: Option<&Value>,
) -> Result<(), ScimError> {
    for index in selected {
        if let Some(Value::Object(element)) = elements.get_mut(*index) {
            set(element, sub_attribute, value)?;
            if value.is_none() && accepts_a_cleared_value_as_a_removal(sub_attribute, element) {
                element.clear();
            }
        }
    }
    finish_elements(elements, selected, attribute)
}

/// Entra ID clears `emails[type eq "work"].value` by null or by a removal. Without its value, the rest of the element says nothing.
fn accepts_a_cleared_value_as_a_removal(cleared: &Attribute, rest: &Map<String, Value>) -> bool {
    let says_nothing = |name: &String| ["$ref", "display", "primary", "type"].contains(&name.as_str());
    cleared.name == "value" && rest.keys().all(says_nothing)
}

/// Makes the elements valid after these were changed: at most one is primary, and those that the change has cleared are
/// removed.
pub fn finish_elements(
    elements: &mut Vec<Value>,
    changed: &[usize],
    attribute: &Attribute,
) -> Result<(), ScimError> {
    keep_one_primary(elements, changed, attribute)?;
    elements.retain(|element| {
        let is_empty = element.as_object().is_some_and(Map::is_empty);
        !is_empty && !accepts_an_empty_element_as_unassigned(attribute, element)
    });
    Ok(())
}

/// Merges an object into a complex value (RFC 7644 §3.5.2.3). Sub-attributes that the object does not have
/// stay. Those that are null are cleared (RFC 7643 §2.5). Unknown and read-only ones are ignored.
pub fn merge(
    values: &mut Map<String, Value>,
    given: &Map<String, Value>,
    attribute: &Attribute,
) -> Result<(), ScimError> {
    let named = given.iter().filter_map(|(name, value)| Some((attribute.sub_attribute(name)?, value)));
    let mut named: Vec<(&Attribute, &Value)> =
        named.filter(|(sub_attribute, _)| sub_attribute.mutability != Mutability::ReadOnly).collect();
    // `value` is set first, because setting it removes the old `$ref`. The object's own `$ref` must stay.
    named.sort_by_key(|(sub_attribute, _)| sub_attribute.name != "value");
    for (sub_attribute, value) in named {
        let path = format!("{}.{}", attribute.name, sub_attribute.name);
        let value = normalise_attribute(sub_attribute, value, &path)?;
        if value.is_none() && sub_attribute.required {
            return Err(required(&path));
        }
        set(values, sub_attribute, value.as_ref())?;
    }
    Ok(())
}

/// Sets or clears one attribute.
pub fn set(
    values: &mut Map<String, Value>,
    attribute: &Attribute,
    value: Option<&Value>,
) -> Result<(), ScimError> {
    let present = values.get(&attribute.name);
    if present == value {
        return Ok(());
    }
    if present.is_some() && attribute.mutability == Mutability::Immutable {
        return Err(immutable(&attribute.name));
    }
    match value {
        Some(value) => {
            values.insert(attribute.name.clone(), value.clone());
        }
        None => {
            values.shift_remove(&attribute.name);
        }
    }
    if attribute.name == "value" {
        // The old `$ref` belongs to the old value.
        values.shift_remove("$ref");
    }
    Ok(())
}

/// Sets `primary` of the other elements to false if one of the touched elements is the primary one (RFC 7644
/// §3.5.2). The indexes of the touched elements must be sorted.
pub fn keep_one_primary(
    elements: &mut [Value],
    touched: &[usize],
    attribute: &Attribute,
) -> Result<(), ScimError> {
    let is_primary_at = |index: &&usize| elements.get(**index).is_some_and(is_primary);
    match touched.iter().filter(is_primary_at).count() {
        0 => Ok(()),
        1 => {
            for (index, element) in elements.iter_mut().enumerate() {
                if touched.binary_search(&index).is_err()
                    && is_primary(element)
                    && let Some(primary) = element.get_mut("primary")
                {
                    *primary = Value::Bool(false);
                }
            }
            Ok(())
        }
        _ => Err(ScimError::invalid_value(format!(
            "{} would have more than one primary value; only one is allowed",
            attribute.name
        ))),
    }
}

/// Whether an existing element already has all values of a given one.
pub fn contains(present: &Value, given: &Value) -> bool {
    match (present, given) {
        (Value::Object(present), Value::Object(given)) => {
            given.iter().all(|(name, value)| present.get(name) == Some(value))
        }
        _ => present == given,
    }
}

/// Whether two elements have the same type and value, which RFC 7643 §2.4 does not allow.
pub fn is_same_value(present: &Value, given: &Value) -> bool {
    let is_alike = |name: &str| present.get(name) == given.get(name);
    given.get("value").is_some() && is_alike("value") && is_alike("type")
}

/// Returns the array of the elements, or `None` if there are none.
pub fn non_empty(elements: Vec<Value>) -> Option<Value> {
    (!elements.is_empty()).then_some(Value::Array(elements))
}

/// Makes the error for the removal of a required attribute (RFC 7644 §3.5.2.2).
pub fn required(name: &str) -> ScimError {
    ScimError::new(ErrorKind::Mutability, format!("{name} is required and cannot be removed"))
}

/// Makes the error for a change of an immutable attribute that has a value (RFC 7643 §7).
pub fn immutable(name: &str) -> ScimError {
    ScimError::new(ErrorKind::Mutability, format!("{name} is immutable and already has a value"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn element_contains_another_if_it_has_all_its_values() {
        let present = json!({ "value": "a", "type": "work" });
        assert!(contains(&present, &json!({ "value": "a" })));
        assert!(!contains(&present, &json!({ "value": "a", "type": "home" })));
        assert!(contains(&json!("a"), &json!("a")) && !contains(&json!("a"), &json!("b")));
    }

    #[test]
    fn elements_with_the_same_type_and_value_are_the_same() {
        let present = json!({ "value": "a", "type": "work", "display": "x" });
        assert!(is_same_value(&present, &json!({ "value": "a", "type": "work" })));
        for other in
            [json!({ "value": "a" }), json!({ "value": "b", "type": "work" }), json!({ "type": "work" })]
        {
            assert!(!is_same_value(&present, &other), "{other}");
        }
    }
}
