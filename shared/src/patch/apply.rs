//! Applies PATCH operations to a document (RFC 7644 §3.5.2.1–§3.5.2.3).

use serde_json::{Map, Value};

use super::add::{add, remove_listed};
use super::parse::with_operation_number;
use super::values::{finish_elements, immutable, merge, non_empty, required, set, set_in};
use super::work::{Work, check_copies, visits};
use super::{ElementFilter, Op, Operation, Patch, TargetLocation};
use crate::error::{ErrorKind, ScimError};
use crate::interop_profile;
use crate::resource::{
    Document, accepts_a_string_for_a_complex_attribute, accepts_an_array_of_one_for_a_single_value,
    check_count, finish, keep_immutable_attributes, normalise_attribute, normalise_value,
    sub_attributes_of_value,
};
use crate::schema::{Attribute, Mutability, ResourceSchema, Returned, Target};

impl Patch<'_> {
    /// Applies the operations one after the other, and returns the changed copy of the document.
    ///
    /// # Errors
    /// `mutability`, `noTarget` or `invalidValue` (RFC 7644 §3.5.2); 413 if the operations visit too many values. The
    /// detail has the number of the operation.
    pub fn apply(&self, document: &Document, schema: &ResourceSchema) -> Result<Document, ScimError> {
        let mut document = document.clone();
        let mut work = Work::default();
        for operation in &self.operations {
            apply(&mut document, operation, &mut work)
                .map_err(|error| with_operation_number(operation.number, error))?;
        }
        finish(&mut document, schema)?;
        Ok(document)
    }
}

/// Applies one operation. If it fails, the document is not complete any more.
fn apply(document: &mut Document, operation: &Operation<'_>, work: &mut Work) -> Result<(), ScimError> {
    let target = match &operation.location {
        TargetLocation::Extension(extension) => {
            let present = document.get(&extension.id).and_then(Value::as_object);
            let is_immutable = |attribute: &&Attribute| {
                attribute.mutability == Mutability::Immutable
                    && present.is_some_and(|present| present.contains_key(&attribute.name))
            };
            if let Some(attribute) = extension.attributes.iter().find(is_immutable) {
                return Err(immutable(&attribute.name));
            }
            document.shift_remove(&extension.id);
            return Ok(());
        }
        TargetLocation::Attribute(target) | TargetLocation::Elements { target, .. } => target,
    };
    // A password is accepted, but not stored.
    if target.attribute.returned == Returned::Never {
        return Ok(());
    }
    let Some(extension) = target.extension else { return apply_in(document, target, operation, work) };
    // The attributes of an extension are in an object of their own. The object is removed with its last
    // attribute.
    let mut values = match document.get_mut(&extension.id) {
        Some(Value::Object(values)) => std::mem::take(values),
        _ => Map::new(),
    };
    apply_in(&mut values, target, operation, work)?;
    if values.is_empty() {
        document.shift_remove(&extension.id);
    } else {
        document.insert(extension.id.clone(), Value::Object(values));
    }
    Ok(())
}

/// Applies an operation to the core attributes, or to the attributes of an extension.
fn apply_in(
    values: &mut Map<String, Value>,
    target: &Target<'_>,
    operation: &Operation<'_>,
    work: &mut Work,
) -> Result<(), ScimError> {
    let name = &target.attribute.name;
    let is_immutable = target.attribute.mutability == Mutability::Immutable;
    let before = values.get(name).filter(|_| is_immutable).cloned();
    // The value is moved, because it can be large and a PATCH can have many operations on it.
    let present = values.get_mut(name).map(Value::take);
    let next = match &operation.location {
        TargetLocation::Elements { filter, .. } if target.attribute.multi_valued => {
            let present = match present {
                Some(Value::Array(elements)) => elements,
                _ => Vec::new(),
            };
            non_empty(elements(present, target, filter, operation, work)?)
        }
        TargetLocation::Elements { filter, .. } => {
            accepts_a_filter_on_a_single_value(present, target, filter, operation, work)?
        }
        _ => match target.sub_attribute {
            Some(sub_attribute) => {
                sub_attribute_of(present, target.attribute, sub_attribute, operation, work)?
            }
            None => attribute(present, target.attribute, operation, work)?,
        },
    };
    if before.is_some() && before != next {
        return Err(immutable(name));
    }
    match next {
        Some(next) => {
            if let Value::Array(elements) = &next {
                check_count(target.attribute, elements.len())?;
            }
            values.insert(name.clone(), next);
        }
        None => {
            values.shift_remove(name);
        }
    }
    Ok(())
}

/// Returns the value of an attribute after an operation on the whole attribute.
fn attribute(
    present: Option<Value>,
    attribute: &Attribute,
    operation: &Operation<'_>,
    work: &mut Work,
) -> Result<Option<Value>, ScimError> {
    if operation.op == Op::Remove {
        if attribute.required {
            return Err(required(&attribute.name));
        }
        return match present {
            Some(Value::Array(present)) if attribute.multi_valued && !operation.value.is_null() => {
                visit_all(&present, 1, work)?;
                accepts_removal_by_a_list(present, attribute, &operation.value, work)
            }
            _ => Ok(None),
        };
    }
    if operation.is_strict && operation.op == Op::Replace && !attribute.multi_valued {
        let given = normalise_attribute(attribute, &operation.value, &attribute.name)?;
        return replaced_as_a_whole(present, given, attribute);
    }
    match (present, sub_attributes_of_value(attribute, &operation.value)) {
        (Some(Value::Object(mut present)), Some(given)) => {
            merge(&mut present, given, attribute)?;
            Ok((!present.is_empty()).then_some(Value::Object(present)))
        }
        (present, _) => {
            let given = normalise_attribute(attribute, &operation.value, &attribute.name)?;
            match (operation.op, present, given) {
                // RFC 7644 §3.5.2.1: existing values stay, and new values are appended.
                (Op::Add, Some(Value::Array(present)), given) if attribute.multi_valued => {
                    let Some(Value::Array(given)) = given else { return Ok(Some(Value::Array(present))) };
                    visit_all(&present, 1, work)?;
                    Ok(Some(Value::Array(add(present, given, attribute, work)?)))
                }
                // A simple value for a complex attribute, such as the id of a manager, sets `value` and keeps
                // other sub-attributes.
                (_, Some(Value::Object(mut present)), Some(Value::Object(given))) => {
                    merge(&mut present, &given, attribute)?;
                    Ok(Some(Value::Object(present)))
                }
                (_, _, given) => Ok(given),
            }
        }
    }
}

/// Returns the value of an attribute after the interoperability profile's `replace`, which keeps no sub-attribute of a complex
/// value (§6.5.2) except immutable ones.
fn replaced_as_a_whole(
    present: Option<Value>,
    given: Option<Value>,
    attribute: &Attribute,
) -> Result<Option<Value>, ScimError> {
    let (Some(Value::Object(present)), Some(Value::Object(mut given))) = (present, given.clone()) else {
        return Ok(given);
    };
    keep_immutable_attributes(
        &attribute.sub_attributes,
        &format!("{}.", attribute.name),
        &present,
        &mut given,
    )?;
    Ok(Some(Value::Object(given)))
}

/// Counts the visits of an operation that reads all elements this number of times.
fn visit_all(elements: &[Value], times: usize, work: &mut Work) -> Result<(), ScimError> {
    work.add(elements.iter().map(visits).sum::<usize>().saturating_mul(times))
}

/// Returns the value of an attribute after an operation on a sub-attribute. In a multi-valued attribute, the
/// operation applies to every element.
fn sub_attribute_of(
    present: Option<Value>,
    attribute: &Attribute,
    sub_attribute: &Attribute,
    operation: &Operation<'_>,
    work: &mut Work,
) -> Result<Option<Value>, ScimError> {
    let value = sub_attribute_value(attribute, sub_attribute, operation)?;
    match present {
        Some(Value::Array(mut elements)) => {
            visit_all(&elements, 1, work)?;
            if let Some(value) = &value {
                check_copies(value, elements.len(), &attribute.name)?;
            }
            let all: Vec<usize> = (0..elements.len()).collect();
            set_in(&mut elements, &all, attribute, sub_attribute, value.as_ref())?;
            Ok(non_empty(elements))
        }
        present => {
            let mut values = match present {
                Some(Value::Object(values)) => values,
                _ => Map::new(),
            };
            set(&mut values, sub_attribute, value.as_ref())?;
            let value = (!values.is_empty()).then_some(Value::Object(values));
            Ok(if attribute.multi_valued { value.map(|value| Value::Array(vec![value])) } else { value })
        }
    }
}

/// Some clients select the value of an attribute with one value by a filter, as those based on scim-patch do to remove a
/// manager: `manager[value eq "7"]`.
///
/// Returns the value after an operation on it. A value that does not match stays.
fn accepts_a_filter_on_a_single_value(
    present: Option<Value>,
    target: &Target<'_>,
    filter: &ElementFilter,
    operation: &Operation<'_>,
    work: &mut Work,
) -> Result<Option<Value>, ScimError> {
    let mut values = elements(present.into_iter().collect(), target, filter, operation, work)?;
    if values.len() > 1 {
        // The filter describes another value than the present one.
        let detail = format!("The value of {} does not match the filter", target.attribute.name);
        return Err(ScimError::new(ErrorKind::NoTarget, detail));
    }
    Ok(values.pop())
}

/// Returns the values of an attribute after an operation on the elements that a filter selects.
fn elements(
    mut elements: Vec<Value>,
    target: &Target<'_>,
    filter: &ElementFilter,
    operation: &Operation<'_>,
    work: &mut Work,
) -> Result<Vec<Value>, ScimError> {
    let attribute = target.attribute;
    visit_all(&elements, filter.filter.comparisons(), work)?;
    let is_selected =
        |element: &Value| element.as_object().is_some_and(|element| filter.filter.matches(element));
    let mut selected: Vec<usize> = elements
        .iter()
        .enumerate()
        .filter(|(_, element)| is_selected(element))
        .map(|(index, _)| index)
        .collect();
    if operation.is_strict {
        interop_profile::check_selected(selected.len(), attribute)?;
    }
    if operation.op == Op::Remove && target.sub_attribute.is_none() {
        // It is not an error if no element matches: a client repeats a request when it did not get the
        // response.
        elements.retain(|element| !is_selected(element));
        return Ok(elements);
    }
    if selected.is_empty() && (operation.op == Op::Remove || clears(target, operation)) {
        // There is nothing to clear.
        return Ok(elements);
    }
    if selected.is_empty() {
        let described = accepts_a_filter_as_the_description_of_an_element(filter, attribute)?;
        elements.push(Value::Object(described));
        selected.push(elements.len() - 1);
    }
    check_copies(&operation.value, selected.len(), &attribute.name)?;
    work.add(visits(&operation.value).saturating_mul(selected.len()))?;
    match target.sub_attribute {
        Some(sub_attribute) => {
            let value = sub_attribute_value(attribute, sub_attribute, operation)?;
            set_in(&mut elements, &selected, attribute, sub_attribute, value.as_ref())?;
        }
        None => {
            let given = accepts_a_part_of_an_element(attribute, &operation.value)?;
            for index in &selected {
                if let Some(Value::Object(element)) = elements.get_mut(*index) {
                    merge(element, &given, attribute)?;
                }
            }
            finish_elements(&mut elements, &selected, attribute)?;
        }
    }
    Ok(elements)
}

/// Whether an operation clears a sub-attribute of the selected elements: it gives null or an empty text.
fn clears(target: &Target<'_>, operation: &Operation<'_>) -> bool {
    let is_empty =
        |value: &Value| value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty());
    target.sub_attribute.is_some() && is_empty(&operation.value)
}

/// SimpleIdServer, scim-patch and scim2-models replace `emails[type eq "work"]` by `{"value": "n@x.io"}` and mean only this
/// sub-attribute. So the element keeps what the value does not name, although RFC 7644 §3.5.2.3 replaces it as a whole.
fn accepts_a_part_of_an_element(
    attribute: &Attribute,
    value: &Value,
) -> Result<Map<String, Value>, ScimError> {
    match accepts_an_array_of_one_for_a_single_value(value) {
        Value::Object(given) => Ok(given.clone()),
        other => accepts_a_string_for_a_complex_attribute(attribute, other).ok_or_else(|| {
            let detail =
                format!("The value for the selected elements of {} must be one object", attribute.name);
            ScimError::invalid_value(detail)
        }),
    }
}

/// Entra ID writes to `emails[type eq "work"].value` even if there is no work address. The filter then
/// describes the new element.
fn accepts_a_filter_as_the_description_of_an_element(
    filter: &ElementFilter,
    attribute: &Attribute,
) -> Result<Map<String, Value>, ScimError> {
    let no_target = || {
        // RFC 7644 §3.5.2.3: replace with a filter that selects nothing is noTarget.
        let detail = format!(
            "No element of {} matches the filter; to create one, use a filter of eq comparisons",
            attribute.name
        );
        ScimError::new(ErrorKind::NoTarget, detail)
    };
    let described = Value::Object(filter.described.clone().ok_or_else(no_target)?);
    match normalise_value(attribute, &described, &attribute.name)? {
        Some(Value::Object(element)) => Ok(element),
        _ => Err(no_target()),
    }
}

/// Entra ID sends the values to remove in `value`, as `[{"value": "…"}]`. Only these are removed.
fn accepts_removal_by_a_list(
    present: Vec<Value>,
    attribute: &Attribute,
    listed: &Value,
    work: &mut Work,
) -> Result<Option<Value>, ScimError> {
    remove_listed(present, listed, attribute, work)
}

/// Returns the value that an operation gives to a sub-attribute, or `None` if it clears the sub-attribute.
fn sub_attribute_value(
    attribute: &Attribute,
    sub_attribute: &Attribute,
    operation: &Operation<'_>,
) -> Result<Option<Value>, ScimError> {
    let path = format!("{}.{}", attribute.name, sub_attribute.name);
    if operation.op != Op::Remove {
        return normalise_attribute(sub_attribute, &operation.value, &path);
    }
    if sub_attribute.required { Err(required(&path)) } else { Ok(None) }
}
