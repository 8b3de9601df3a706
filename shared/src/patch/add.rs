//! Adds values to a multi-valued attribute that has values already (RFC 7644 §3.5.2.1), and removes listed ones.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::values::{contains, is_same_value, keep_one_primary, merge, non_empty};
use super::work::{Work, visits};
use crate::error::ScimError;
use crate::filter::fold;
use crate::resource::is_primary;
use crate::schema::Attribute;

/// An index is made for more values than this. Fewer are compared with all elements.
const MAX_VALUES_WITHOUT_AN_INDEX: usize = 8;

/// The positions of elements, by their `value` if there is an index. An element that is not an object is its own value.
struct Positions {
    by_value: Option<HashMap<Value, Vec<usize>>>,
    count: usize,
}

impl Positions {
    fn of(elements: &[Value], has_index: bool) -> Self {
        let mut positions = Self { by_value: has_index.then(HashMap::new), count: 0 };
        elements.iter().for_each(|element| positions.push(element));
        positions
    }

    fn push(&mut self, element: &Value) {
        let position = self.count;
        self.count += 1;
        if let (Some(by_value), Some(value)) = (&mut self.by_value, value_of(element)) {
            by_value.entry(value.clone()).or_default().push(position);
        }
    }

    /// Looks for an element that contains this one, or else for one that is the same.
    fn find(&self, elements: &[Value], element: &Value, work: &mut Work) -> Result<Found, ScimError> {
        let (found, all) = match (&self.by_value, value_of(element)) {
            (Some(by_value), Some(value)) => {
                (by_value.get(value).map(Vec::as_slice).unwrap_or_default(), 0..0)
            }
            _ => (&[][..], 0..self.count),
        };
        work.add((found.len() + all.len()).saturating_mul(visits(element)))?;
        let positions = found.iter().copied().chain(all);
        let mut present = positions.filter_map(|position| Some((position, elements.get(position)?)));
        if present.clone().any(|(_, present)| contains(present, element)) {
            return Ok(Found::Contained);
        }
        let same = present.find(|(_, present)| is_same_value(present, element));
        Ok(same.map_or(Found::Nothing, |(position, _)| Found::Same(position)))
    }
}

/// What the elements have of a given value.
enum Found {
    /// An element has all parts of the value.
    Contained,
    /// The element at this position has the same type and value.
    Same(usize),
    /// No element has it.
    Nothing,
}

fn value_of(element: &Value) -> Option<&Value> {
    if element.is_object() { element.get("value") } else { Some(element) }
}

/// Adds values to the elements. A value that an element contains is left out. A value with the type and value of an
/// element is merged into it.
pub fn add(
    mut elements: Vec<Value>,
    given: Vec<Value>,
    attribute: &Attribute,
    work: &mut Work,
) -> Result<Vec<Value>, ScimError> {
    let mut positions = Positions::of(&elements, given.len() > MAX_VALUES_WITHOUT_AN_INDEX);
    let mut primary = None;
    for element in given {
        let same = match positions.find(&elements, &element, work)? {
            Found::Contained => continue,
            Found::Same(position) => Some(position),
            Found::Nothing => None,
        };
        let position = same.unwrap_or(elements.len());
        match (elements.get_mut(position), &element) {
            (Some(Value::Object(present)), Value::Object(given)) => merge(present, given, attribute)?,
            _ => {
                positions.push(&element);
                elements.push(element);
            }
        }
        // Once an element is the only primary one, later changes of it need no comparison with the others.
        if primary != Some(position) && elements.get(position).is_some_and(is_primary) {
            keep_one_primary(&mut elements, &[position], attribute)?;
            primary = Some(position);
        }
    }
    Ok(elements)
}

/// Removes the elements that are in a list.
pub fn remove_listed(
    mut elements: Vec<Value>,
    listed: &Value,
    attribute: &Attribute,
    work: &mut Work,
) -> Result<Option<Value>, ScimError> {
    let listed = listed.as_array().map_or(std::slice::from_ref(listed), Vec::as_slice);
    let case_exact = attribute.sub_attribute("value").unwrap_or(attribute).case_exact;
    let text = |element: &Value| {
        let text = element.get("value").unwrap_or(element).as_str();
        text.map(|text| fold(text, case_exact).into_owned())
    };
    let texts: HashSet<String> = listed.iter().filter_map(text).collect();
    let others: Vec<&Value> = listed.iter().filter(|listed| text(listed).is_none()).collect();
    let visits: usize = others.iter().map(|other| visits(other)).sum();
    work.add(visits.saturating_mul(elements.len()))?;
    let is_listed = |element: &Value| {
        text(element).is_some_and(|text| texts.contains(&text))
            || others.iter().any(|other| contains(element, other))
    };
    elements.retain(|element| !is_listed(element));
    Ok(non_empty(elements))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::resource::ResourceKind;
    use crate::schema::Schemas;

    fn emails() -> &'static Attribute {
        Schemas::built_in().of(ResourceKind::User).core.attribute("emails").unwrap()
    }

    fn element() -> impl Strategy<Value = Value> {
        let text = || prop::option::of(prop::sample::select(vec!["a", "A", "b"]));
        let element = (text(), text(), text(), prop::option::weighted(0.1, any::<bool>()));
        element.prop_map(|(value, kind, display, primary)| {
            let members = [
                ("value", value.map(Value::from)),
                ("type", kind.map(Value::from)),
                ("display", display.map(Value::from)),
                ("primary", primary.map(Value::from)),
            ];
            members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
        })
    }

    /// Adds values by comparing each with each.
    fn add_by_comparison(mut elements: Vec<Value>, given: Vec<Value>) -> Result<Vec<Value>, ScimError> {
        for element in given {
            if elements.iter().any(|present| contains(present, &element)) {
                continue;
            }
            let same = elements.iter().position(|present| is_same_value(present, &element));
            match same.and_then(|index| elements.get_mut(index)) {
                Some(present) => {
                    merge(present.as_object_mut().unwrap(), element.as_object().unwrap(), emails())?;
                }
                None => elements.push(element),
            }
            let index = same.unwrap_or(elements.len() - 1);
            keep_one_primary(&mut elements, &[index], emails())?;
        }
        Ok(elements)
    }

    /// Removes listed elements by comparing each with each.
    fn remove_by_comparison(mut elements: Vec<Value>, listed: &[Value]) -> Vec<Value> {
        let text =
            |element: &Value| element.get("value").unwrap_or(element).as_str().map(str::to_ascii_lowercase);
        elements.retain(|element| {
            !listed.iter().any(|listed| match (text(element), text(listed)) {
                (Some(one), Some(other)) => one == other,
                _ => contains(element, listed),
            })
        });
        elements
    }

    proptest! {
        #[test]
        fn adding_and_removing_gives_the_same_as_comparing_each_with_each(
            present in prop::collection::vec(element(), 0..6),
            given in prop::collection::vec(element(), 0..16),
            simple in prop::sample::select(vec!["a", "b", "c"]),
        ) {
            let mut present = present;
            let mut has_primary = false;
            for element in &mut present {
                if is_primary(element) && std::mem::replace(&mut has_primary, true) {
                    element["primary"] = json!(false);
                }
            }
            let mut listed = given.clone();
            listed.push(json!(simple));
            let removed = remove_listed(present.clone(), &json!(listed), emails(), &mut Work::default()).unwrap();
            prop_assert_eq!(removed, non_empty(remove_by_comparison(present.clone(), &listed)));
            let added = add(present.clone(), given.clone(), emails(), &mut Work::default());
            let expected = add_by_comparison(present, given);
            prop_assert_eq!(added.map_err(|error| error.to_string()), expected.map_err(|error| error.to_string()));
        }
    }

    #[test]
    fn simple_values_are_added_once() {
        let roles = Attribute { sub_attributes: Vec::new(), ..emails().clone() };
        let added =
            add(vec![json!("a")], vec![json!("b"), json!("a"), json!("b")], &roles, &mut Work::default());
        assert_eq!(added.unwrap(), [json!("a"), json!("b")]);
    }
}
