//! Operations on a document (RFC 7644 §3.5.2.1–§3.5.2.3).

use serde_json::{Map, Value};

use super::parse::numbered;
use super::{ElementFilter, Operation, Patch, Place, Verb};
use crate::error::{ErrorKind, ScimError};
use crate::filter::fold;
use crate::resource::{
    Document, accepts_an_array_of_one_for_a_single_value, finish, is_primary, normalise_attribute, parts,
};
use crate::schema::{Attribute, Mutability, ResourceSchema, Returned, Target};

impl Patch<'_> {
    /// Makes the document that the operations leave, one after the other.
    ///
    /// # Errors
    /// What RFC 7644 §3.5.2 says, with the number of the operation; the document given is as it was.
    pub fn apply(&self, document: &Document, schema: &ResourceSchema) -> Result<Document, ScimError> {
        let mut document = document.clone();
        for operation in &self.operations {
            apply(&mut document, operation).map_err(|error| numbered(operation.number, error))?;
        }
        finish(&mut document, schema)?;
        Ok(document)
    }
}

fn apply(document: &mut Document, operation: &Operation<'_>) -> Result<(), ScimError> {
    let target = match &operation.place {
        Place::Extension(extension) => {
            let present = document.get(&extension.id).and_then(Value::as_object);
            let is_kept = |attribute: &&Attribute| {
                attribute.mutability == Mutability::Immutable
                    && present.is_some_and(|present| present.contains_key(&attribute.name))
            };
            if let Some(kept) = extension.attributes.iter().find(is_kept) {
                return Err(immutable(&kept.name));
            }
            document.shift_remove(&extension.id);
            return Ok(());
        }
        Place::Attribute(target) | Place::Elements { target, .. } => target,
    };
    // A password is taken and goes nowhere.
    if target.attribute.returned == Returned::Never {
        return Ok(());
    }
    let Some(extension) = target.extension else { return apply_in(document, target, operation) };
    // The attributes of an extension stand in an object of its own, which is there while one of them is.
    let mut values = match document.get_mut(&extension.id) {
        Some(Value::Object(values)) => std::mem::take(values),
        _ => Map::new(),
    };
    apply_in(&mut values, target, operation)?;
    if values.is_empty() {
        document.shift_remove(&extension.id);
    } else {
        document.insert(extension.id.clone(), Value::Object(values));
    }
    Ok(())
}

fn apply_in(
    values: &mut Map<String, Value>,
    target: &Target<'_>,
    operation: &Operation<'_>,
) -> Result<(), ScimError> {
    let name = &target.attribute.name;
    let present = values.get(name);
    let next = match &operation.place {
        Place::Elements { filter, .. } => elements(present, target, filter, operation)?,
        _ => match target.sub_attribute {
            Some(sub_attribute) => sub_attribute_of(present, target.attribute, sub_attribute, operation)?,
            None => attribute(present, target.attribute, operation)?,
        },
    };
    if present == next.as_ref() {
        return Ok(());
    }
    if present.is_some() && target.attribute.mutability == Mutability::Immutable {
        return Err(immutable(name));
    }
    match next {
        Some(next) => {
            values.insert(name.clone(), next);
        }
        None => {
            values.shift_remove(name);
        }
    }
    Ok(())
}

/// The value of an attribute after an operation on all of it.
fn attribute(
    present: Option<&Value>,
    attribute: &Attribute,
    operation: &Operation<'_>,
) -> Result<Option<Value>, ScimError> {
    if operation.verb == Verb::Remove {
        if attribute.required {
            return Err(required(&attribute.name));
        }
        if attribute.multi_valued && !operation.value.is_null() {
            return Ok(
                present.and_then(|present| accepts_removal_by_a_list(present, attribute, &operation.value))
            );
        }
        return Ok(None);
    }
    if let (Some(Value::Object(present)), Some(given)) = (present, parts(attribute, &operation.value)) {
        let mut merged = present.clone();
        merge(&mut merged, given, attribute)?;
        return Ok((!merged.is_empty()).then_some(Value::Object(merged)));
    }
    let given = normalise_attribute(attribute, &operation.value, &attribute.name)?;
    match (operation.verb, present, given) {
        // RFC 7644 §3.5.2.1: what is there stays, what is new is appended.
        (Verb::Add, Some(Value::Array(present)), given) if attribute.multi_valued => {
            let mut elements = present.clone();
            let given = match given {
                Some(Value::Array(given)) => given,
                _ => Vec::new(),
            };
            for element in given {
                if elements.iter().any(|present| contains(present, &element)) {
                    continue;
                }
                let place = elements.iter().position(|present| is_same_value(present, &element));
                match (place.and_then(|place| elements.get_mut(place)), &element) {
                    (Some(Value::Object(present)), Value::Object(given)) => merge(present, given, attribute)?,
                    _ => elements.push(element),
                }
                let place = place.unwrap_or(elements.len() - 1);
                keep_one_primary(&mut elements, &[place], attribute)?;
            }
            Ok(Some(Value::Array(elements)))
        }
        // A manager who is said by id alone is another one with what else there is to say of managers.
        (_, Some(Value::Object(present)), Some(Value::Object(given))) => {
            let mut merged = present.clone();
            merge(&mut merged, &given, attribute)?;
            Ok(Some(Value::Object(merged)))
        }
        (_, _, given) => Ok(given),
    }
}

/// The value of an attribute after an operation on a sub-attribute of it, of every element if there are more.
fn sub_attribute_of(
    present: Option<&Value>,
    attribute: &Attribute,
    sub_attribute: &Attribute,
    operation: &Operation<'_>,
) -> Result<Option<Value>, ScimError> {
    let value = sub_attribute_value(attribute, sub_attribute, operation)?;
    match present {
        Some(Value::Array(elements)) => {
            let mut elements = elements.clone();
            let all: Vec<usize> = (0..elements.len()).collect();
            set_in(&mut elements, &all, attribute, sub_attribute, value.as_ref())?;
            Ok(non_empty(elements))
        }
        present => {
            let mut values = present.and_then(Value::as_object).cloned().unwrap_or_default();
            set(&mut values, sub_attribute, value.as_ref())?;
            let value = (!values.is_empty()).then_some(Value::Object(values));
            Ok(if attribute.multi_valued { value.map(|value| Value::Array(vec![value])) } else { value })
        }
    }
}

/// The value of a multi-valued attribute after an operation on the elements that a filter selects.
fn elements(
    present: Option<&Value>,
    target: &Target<'_>,
    filter: &ElementFilter,
    operation: &Operation<'_>,
) -> Result<Option<Value>, ScimError> {
    let attribute = target.attribute;
    let mut elements = present.and_then(Value::as_array).cloned().unwrap_or_default();
    let is_selected =
        |element: &Value| element.as_object().is_some_and(|element| filter.filter.matches(element));
    let mut selected: Vec<usize> = elements
        .iter()
        .enumerate()
        .filter(|(_, element)| is_selected(element))
        .map(|(index, _)| index)
        .collect();
    if operation.verb == Verb::Remove && target.sub_attribute.is_none() {
        // Nothing that matches is nothing to remove, and no error: a client whose answer was lost says it again.
        elements.retain(|element| !is_selected(element));
        return Ok(non_empty(elements));
    }
    let is_described = selected.is_empty() && operation.verb != Verb::Remove;
    if is_described {
        let described = accepts_a_filter_as_the_description_of_an_element(filter, attribute)?;
        elements.push(Value::Object(described));
        selected.push(elements.len() - 1);
    }
    match target.sub_attribute {
        Some(sub_attribute) => {
            let value = sub_attribute_value(attribute, sub_attribute, operation)?;
            set_in(&mut elements, &selected, attribute, sub_attribute, value.as_ref())?;
        }
        None => {
            let one_object = || {
                let detail = format!("A value for the selected {} must be one object", attribute.name);
                ScimError::invalid_value(detail)
            };
            let is_whole = operation.verb == Verb::Replace && !is_described;
            let whole = normalise_attribute(attribute, &operation.value, &attribute.name)?;
            for index in &selected {
                let Some(Value::Object(element)) = elements.get_mut(*index) else { continue };
                if is_whole {
                    *element = match whole.as_ref().and_then(Value::as_array).map(Vec::as_slice) {
                        Some([Value::Object(whole)]) => whole.clone(),
                        _ => return Err(one_object()),
                    };
                } else {
                    let given = accepts_an_array_of_one_for_a_single_value(&operation.value).as_object();
                    merge(element, given.ok_or_else(one_object)?, attribute)?;
                }
            }
            keep_one_primary(&mut elements, &selected, attribute)?;
            elements.retain(|element| element.as_object().is_none_or(|element| !element.is_empty()));
        }
    }
    Ok(non_empty(elements))
}

/// Entra ID writes to `emails[type eq "work"].value` whether there is a work address or not.
fn accepts_a_filter_as_the_description_of_an_element(
    filter: &ElementFilter,
    attribute: &Attribute,
) -> Result<Map<String, Value>, ScimError> {
    let no_target = || {
        // RFC 7644 §3.5.2.3
        let detail = format!("No value of {} matches, and the filter does not describe one", attribute.name);
        ScimError::new(ErrorKind::NoTarget, detail)
    };
    let described = Value::Object(filter.described.clone().ok_or_else(no_target)?);
    match normalise_attribute(attribute, &described, &attribute.name)? {
        Some(Value::Array(elements)) => match elements.into_iter().next() {
            Some(Value::Object(element)) => Ok(element),
            _ => Err(no_target()),
        },
        _ => Err(no_target()),
    }
}

/// Entra ID removes values by a list of them, `[{"value": "…"}]`: those go, and no others.
fn accepts_removal_by_a_list(present: &Value, attribute: &Attribute, listed: &Value) -> Option<Value> {
    let listed = listed.as_array().map_or(std::slice::from_ref(listed), Vec::as_slice);
    let value = |element: &Value| {
        let case_exact = attribute.sub_attribute("value").unwrap_or(attribute).case_exact;
        element.get("value").unwrap_or(element).as_str().map(|text| fold(text, case_exact).into_owned())
    };
    let is_listed = |element: &Value| {
        listed.iter().any(|listed| match (value(element), value(listed)) {
            (Some(one), Some(other)) => one == other,
            _ => contains(element, listed),
        })
    };
    let elements = present.as_array()?;
    non_empty(elements.iter().filter(|element| !is_listed(element)).cloned().collect())
}

fn sub_attribute_value(
    attribute: &Attribute,
    sub_attribute: &Attribute,
    operation: &Operation<'_>,
) -> Result<Option<Value>, ScimError> {
    let path = format!("{}.{}", attribute.name, sub_attribute.name);
    if operation.verb != Verb::Remove {
        return normalise_attribute(sub_attribute, &operation.value, &path);
    }
    if sub_attribute.required { Err(required(&path)) } else { Ok(None) }
}

fn set_in(
    elements: &mut Vec<Value>,
    selected: &[usize],
    attribute: &Attribute,
    sub_attribute: &Attribute,
    value: Option<&Value>,
) -> Result<(), ScimError> {
    for index in selected {
        if let Some(Value::Object(element)) = elements.get_mut(*index) {
            set(element, sub_attribute, value)?;
        }
    }
    keep_one_primary(elements, selected, attribute)?;
    elements.retain(|element| element.as_object().is_none_or(|element| !element.is_empty()));
    Ok(())
}

/// Writes an object to a complex value (RFC 7644 §3.5.2.3): what it does not name stays, what it says to be null goes
/// (RFC 7643 §2.5), what is unknown or read-only is ignored, as everywhere.
fn merge(
    values: &mut Map<String, Value>,
    given: &Map<String, Value>,
    attribute: &Attribute,
) -> Result<(), ScimError> {
    let named = given.iter().filter_map(|(name, value)| Some((attribute.sub_attribute(name)?, value)));
    let mut named: Vec<(&Attribute, &Value)> =
        named.filter(|(sub_attribute, _)| sub_attribute.mutability != Mutability::ReadOnly).collect();
    // First the value: a `$ref` that comes with it is of this one.
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

fn set(
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
        // What it referred to is not what it stands for any more.
        values.shift_remove("$ref");
    }
    Ok(())
}

/// RFC 7644 §3.5.2: when an element becomes the primary one, the one that was, is not any more.
fn keep_one_primary(
    elements: &mut [Value],
    touched: &[usize],
    attribute: &Attribute,
) -> Result<(), ScimError> {
    let is_primary_at = |index: &&usize| elements.get(**index).is_some_and(is_primary);
    match touched.iter().filter(is_primary_at).count() {
        0 => Ok(()),
        1 => {
            for (index, element) in elements.iter_mut().enumerate() {
                if !touched.contains(&index)
                    && is_primary(element)
                    && let Some(primary) = element.get_mut("primary")
                {
                    *primary = Value::Bool(false);
                }
            }
            Ok(())
        }
        _ => Err(ScimError::invalid_value(format!(
            "{} would have more than one primary value",
            attribute.name
        ))),
    }
}

/// Whether an element is there already: all that is said of it is so.
fn contains(present: &Value, given: &Value) -> bool {
    match (present, given) {
        (Value::Object(present), Value::Object(given)) => {
            given.iter().all(|(name, value)| present.get(name) == Some(value))
        }
        _ => present == given,
    }
}

/// RFC 7643 §2.4: no two elements have one type and value.
fn is_same_value(present: &Value, given: &Value) -> bool {
    let is_alike = |name: &str| present.get(name) == given.get(name);
    given.get("value").is_some() && is_alike("value") && is_alike("type")
}

fn non_empty(elements: Vec<Value>) -> Option<Value> {
    (!elements.is_empty()).then_some(Value::Array(elements))
}

/// RFC 7644 §3.5.2.2
fn required(name: &str) -> ScimError {
    ScimError::new(ErrorKind::Mutability, format!("{name} is required, and cannot be removed"))
}

fn immutable(name: &str) -> ScimError {
    ScimError::new(ErrorKind::Mutability, format!("{name} is immutable, and has a value"))
}
