//! The characteristics of an attribute that depend on each other (RFC 7643 §2.2 and §7).

use std::collections::HashSet;

use super::is_unique;
use crate::filter::fold;
use crate::schema::{Attribute, Mutability, Returned, Type, Uniqueness};

/// Returns the mistakes in the characteristics of an attribute of a custom schema.
pub(super) fn mistakes(attribute: &Attribute) -> Vec<String> {
    let is_text = matches!(attribute.kind, Type::String | Type::Reference);
    let is_never_returned = attribute.returned == Returned::Never;
    let name = attribute.name.as_str();
    let rules = [
        (
            attribute.mutability == Mutability::ReadOnly,
            "mutability is readOnly, so nothing could set the attribute; it must be readWrite, immutable or writeOnly",
        ),
        (
            attribute.mutability == Mutability::WriteOnly && !is_never_returned,
            "mutability is writeOnly, so returned must be never",
        ),
        (
            is_never_returned && attribute.required,
            "an attribute that is never returned is not stored, so it cannot be required",
        ),
        (
            attribute.uniqueness == Uniqueness::Global,
            "uniqueness is global, which a service provider cannot check; it must be none or server",
        ),
        (
            is_unique(attribute) && (!is_text || attribute.multi_valued || is_never_returned),
            "only an attribute of type string or reference that has one value and is returned can be unique",
        ),
        (
            !attribute.canonical_values.is_empty() && !is_text,
            "only an attribute of type string or reference has canonicalValues",
        ),
        (
            !attribute.reference_types.is_empty() && attribute.kind != Type::Reference,
            "only an attribute of type reference has referenceTypes",
        ),
        (name == "primary" && attribute.kind != Type::Boolean, "primary must have the type boolean"),
        (name == "$ref" && attribute.kind != Type::Reference, "$ref must have the type reference"),
    ];
    let mut mistakes: Vec<String> =
        rules.iter().filter(|(is_wrong, _)| *is_wrong).map(|(_, mistake)| (*mistake).to_owned()).collect();
    let mut seen = HashSet::new();
    for value in &attribute.canonical_values {
        if !seen.insert(fold(value, attribute.case_exact)) {
            mistakes.push(format!("canonicalValues has {value:?} twice"));
        }
    }
    let of_elements = attribute.sub_attributes.iter().filter(|sub| is_unique(sub) && attribute.multi_valued);
    mistakes.extend(
        of_elements.map(|sub| format!("{} cannot be unique, because {name} has several values", sub.name)),
    );
    mistakes
}
