//! Evaluates a filter on a resource (RFC 7644 §3.4.2.2).
//!
//! A multi-valued attribute matches if any of its values matches. An attribute without a value matches
//! `eq null`, matches `ne` with a value, and matches no other comparison.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use super::expression::Operator;
use super::resolve::{Field, Node, Operand, ResolvedFilter};
use super::{fold, fold_name};
use crate::resource::decode_base64;
use crate::schema::Type;

impl ResolvedFilter {
    /// Whether a resource matches, or an element if this is a value filter. Names in it must be spelled as in
    /// the schema.
    pub fn matches(&self, resource: &Map<String, Value>) -> bool {
        matches(&self.root, resource)
    }
}

fn matches(node: &Node, resource: &Map<String, Value>) -> bool {
    match node {
        Node::And(nodes) => nodes.iter().all(|node| matches(node, resource)),
        Node::Or(nodes) => nodes.iter().any(|node| matches(node, resource)),
        Node::Not(node) => !matches(node, resource),
        Node::Never => false,
        Node::Present(field) => values(field, resource).any(is_present),
        Node::ValueFilter(field, node) => values(field, resource)
            .any(|element| element.as_object().is_some_and(|element| matches(node, element))),
        Node::Compare(field, operator, operand) => {
            let mut values = values_to_compare(field, resource).filter(|value| !value.is_null()).peekable();
            if values.peek().is_none() {
                return *operator == Operator::NotEqual;
            }
            values.any(|value| matches_value(field, value, *operator, operand))
        }
    }
}

/// Returns the values that a comparison uses. RFC 7643 §2.4: an element without `primary` is not the primary
/// one, so its value is false.
fn values_to_compare<'v>(
    field: &'v Field,
    resource: &'v Map<String, Value>,
) -> impl Iterator<Item = &'v Value> {
    let leaf = field.sub_attribute.as_ref().unwrap_or(&field.attribute);
    let is_primary = field.kind == Type::Boolean && leaf == "primary";
    let default_of_element = (is_primary && field.sub_attribute.is_some()).then_some(NOT_PRIMARY);
    let elements = elements(field, resource);
    // In a value filter, `resource` is the element itself.
    let default_in_value_filter =
        (is_primary && field.sub_attribute.is_none() && elements.is_empty()).then_some(NOT_PRIMARY);
    elements
        .iter()
        .filter_map(move |element| value_of(field, element).or(default_of_element))
        .chain(default_in_value_filter)
}

const NOT_PRIMARY: &Value = &Value::Bool(false);

/// Returns the values of a field: at most one, or one for each element of a multi-valued attribute.
fn values<'v>(field: &'v Field, resource: &'v Map<String, Value>) -> impl Iterator<Item = &'v Value> {
    elements(field, resource).iter().filter_map(|element| value_of(field, element))
}

fn elements<'v>(field: &Field, resource: &'v Map<String, Value>) -> &'v [Value] {
    let attributes = match &field.extension {
        Some(urn) => resource.get(urn).and_then(Value::as_object),
        None => Some(resource),
    };
    match attributes.and_then(|attributes| attributes.get(&field.attribute)) {
        Some(Value::Array(elements)) => elements,
        Some(single) => std::slice::from_ref(single),
        None => &[],
    }
}

fn value_of<'v>(field: &Field, element: &'v Value) -> Option<&'v Value> {
    match &field.sub_attribute {
        Some(name) => element.as_object()?.get(name),
        None => Some(element),
    }
}

/// Whether `pr` matches a value: it is not null, not an empty string, and not an object or array of such
/// values only.
fn is_present(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => values.iter().any(is_present),
        Value::Object(values) => values.values().any(is_present),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn matches_value(field: &Field, value: &Value, operator: Operator, operand: &Operand) -> bool {
    match (operand, value) {
        (Operand::Text(operand), Value::String(text)) => {
            let text =
                if field.is_name { fold_name(text, field.case_exact) } else { fold(text, field.case_exact) };
            match operator {
                Operator::Contains => text.contains(operand.as_str()),
                Operator::StartsWith => text.starts_with(operand.as_str()),
                Operator::EndsWith => text.ends_with(operand.as_str()),
                _ => is_satisfied(operator, Some(text.as_ref().cmp(operand.as_str()))),
            }
        }
        (Operand::Number(operand), Value::Number(number)) => {
            is_satisfied(operator, compare_numbers(number, operand))
        }
        (Operand::Boolean(operand), Value::Bool(boolean)) => {
            is_satisfied(operator, Some(boolean.cmp(operand)))
        }
        (Operand::Instant(operand), Value::String(text)) => {
            is_satisfied(operator, text.parse::<jiff::Timestamp>().ok().map(|instant| instant.cmp(operand)))
        }
        (Operand::Bytes(operand), Value::String(text)) => {
            is_satisfied(operator, decode_base64(text).map(|bytes| bytes.cmp(operand)))
        }
        _ => operator == Operator::NotEqual,
    }
}

/// Whether an order of the value and the operand matches the operator. Values that cannot be ordered match
/// only `ne`.
fn is_satisfied(operator: Operator, ordering: Option<Ordering>) -> bool {
    let Some(ordering) = ordering else { return operator == Operator::NotEqual };
    match operator {
        Operator::Equal => ordering.is_eq(),
        Operator::NotEqual => ordering.is_ne(),
        Operator::Greater => ordering.is_gt(),
        Operator::GreaterOrEqual => ordering.is_ge(),
        Operator::Less => ordering.is_lt(),
        Operator::LessOrEqual => ordering.is_le(),
        Operator::Contains | Operator::StartsWith | Operator::EndsWith => false,
    }
}

fn compare_numbers(one: &Number, other: &Number) -> Option<Ordering> {
    match (one.as_i64(), other.as_i64()) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::filter::Filter;
    use crate::resource::ResourceKind;
    use crate::schema::Schemas;

    /// Evaluates a filter on the user below. Returns the error of a filter that cannot be resolved.
    fn evaluate(filter: &str) -> Result<bool, String> {
        let user = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": "2819c223-7f76-453a-919d-413861904646",
            "externalId": "Ab",
            "userName": "BJensen@Example.com",
            "name": { "givenName": "Barbara", "familyName": "Jénsen" },
            "title": "Tour Guide",
            "nickName": "",
            "active": true,
            "emails": [
                { "value": "bjensen@example.com", "type": "work", "primary": true },
                { "value": "babs@jensen.org", "type": "home" }
            ],
            "x509Certificates": [{ "value": "AQID" }],
            "groups": [{ "value": "e9e30dba-f08f-4109-8486-d5c6a331660a", "display": "Tour Guides" }],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
                "department": "Tours", "manager": { "value": "26118915" }
            },
            "meta": { "resourceType": "User", "created": "2011-05-13T04:42:34Z", "lastModified": "2011-05-13T06:42:34+02:00" }
        });
        let schema = Schemas::built_in().of(ResourceKind::User);
        let resolved = Filter::parse(filter).and_then(|filter| filter.resolve(schema));
        resolved.map(|filter| filter.matches(user.as_object().unwrap())).map_err(|error| error.to_string())
    }

    #[test]
    fn filter_matches_as_rfc_7644_3_4_2_2_specifies() {
        for (filter, expected) in [
            ("userName eq \"bjensen@example.com\"", true),
            ("USERNAME EQ \"bjensen@example.com\"", true),
            ("urn:ietf:params:scim:schemas:core:2.0:User:userName sw \"BJ\"", true),
            ("userName ne \"bjensen@example.com\"", false),
            ("userName co \"JENSEN\"", true),
            ("userName ew \".COM\"", true),
            ("userName ew \"bjensen\"", false),
            ("userName gt \"bj\"", true),
            ("userName lt \"bj\"", false),
            ("externalId eq \"Ab\"", true),
            ("externalId eq \"ab\"", false),
            ("externalId sw \"a\"", false),
            ("name.familyName co \"JE\u{301}N\"", true),
            ("familyName eq \"jénsen\"", true),
            ("lastName eq \"jénsen\"", true),
            ("firstName eq \"barbara\"", true),
            ("givenName eq \"x\"", false),
            ("title pr", true),
            ("nickName pr", false),
            ("displayName pr", false),
            ("name pr", true),
            ("emails pr", true),
            ("photos pr", false),
            ("displayName eq null", true),
            ("title eq null", false),
            ("title ne null", true),
            ("displayName eq \"\"", false),
            ("displayName ne \"x\"", true),
            ("active eq true", true),
            ("active eq \"True\"", true),
            ("active ne true", false),
            ("emails eq \"BABS@jensen.org\"", true),
            ("emails.value co \"example.com\"", true),
            ("emails.type eq \"home\" and emails.value co \"example.com\"", true),
            ("emails[type eq \"home\" and value co \"example.com\"]", false),
            ("emails[type eq \"work\" and value co \"EXAMPLE.com\"]", true),
            ("emails[type eq \"work\"].value eq \"bjensen@example.com\"", true),
            ("emails[type eq \"work\"].value eq \"babs@jensen.org\"", false),
            ("emails[primary eq \"True\"]", true),
            ("emails[not (type eq \"work\")]", true),
            ("emails[primary pr and type eq \"home\"]", false),
            ("emails[primary eq false and type eq \"home\"]", true),
            ("emails[primary eq false and type eq \"work\"]", false),
            ("emails[primary ne false and type eq \"home\"]", false),
            ("emails.primary eq false", true),
            ("phoneNumbers.primary eq false", false),
            ("emails.value ne \"bjensen@example.com\"", true),
            ("not (emails.value eq \"bjensen@example.com\")", false),
            ("groups eq \"e9e30dba-f08f-4109-8486-d5c6a331660a\"", true),
            ("groups.display sw \"tour\"", true),
            ("schemas eq \"urn:ietf:params:scim:schemas:core:2.0:User\"", true),
            ("id eq \"2819c223-7f76-453a-919d-413861904646\"", true),
            ("id eq \"2819C223-7f76-453a-919d-413861904646\"", false),
            ("meta.resourceType eq \"User\"", true),
            ("meta.lastModified eq \"2011-05-13T04:42:34Z\"", true),
            ("meta.lastModified gt \"2011-05-13T04:42:33.999Z\"", true),
            ("meta.lastModified ge \"2011-05-13T00:42:34-04:00\"", true),
            ("meta.lastModified lt \"2011-05-13T04:42:34Z\"", false),
            ("meta.created sw \"2011-05\"", true),
            ("x509Certificates eq \"AQID\"", true),
            ("x509Certificates.value ne \"AQID\"", false),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq \"tours\"", true),
            ("URN:IETF:params:scim:schemas:extension:enterprise:2.0:user:manager eq \"26118915\"", true),
            ("manager.value eq \"26118915\"", true),
            ("department eq \"x\"", false),
            (
                "userType ne \"Employee\" and not (emails co \"example.net\" or emails.value co \"example.net\")",
                true,
            ),
            ("title pr and userType eq \"Employee\"", false),
            ("title pr or userType eq \"Intern\"", true),
            ("title pr or userType pr and active eq false", true),
            ("(title pr or userType pr) and active eq false", false),
        ] {
            assert_eq!(evaluate(filter), Ok(expected), "{filter}");
        }
    }

    #[test]
    fn unknown_attribute_or_unsupported_comparison_is_rejected_with_the_reason() {
        for (filter, expected) in [
            ("shoeSize eq 1", "A User has no attribute shoeSize"),
            ("name.nick eq \"x\"", "A User has no attribute name.nick"),
            ("urn:x:y eq \"x\"", "A User has no attribute urn:x:y"),
            ("password eq \"x\"", "password cannot be used in a filter, because it is never returned"),
            ("password pr", "password cannot be used in a filter, because it is never returned"),
            ("name eq \"x\"", "name is a complex attribute; compare one of its sub-attributes"),
            ("userName eq 1", "userName eq 1: compare userName with a string in double quotes"),
            ("active eq \"x\"", "active eq \"x\": compare active with true or false"),
            ("active gt true", "active gt true: compare active with true or false, using eq or ne"),
            (
                "x509Certificates co \"A\"",
                "x509Certificates co \"A\": compare x509Certificates with base64 in double quotes, using eq or ne",
            ),
            (
                "meta.created gt \"x\"",
                "meta.created gt \"x\": compare meta.created with a date and time, such as \"2011-05-13T04:42:34Z\"",
            ),
            ("title gt null", "title gt null is not supported; compare with null using eq or ne"),
            (
                "userName[value eq \"x\"]",
                "userName is not a complex attribute; it cannot have a filter in brackets",
            ),
            ("emails[shoe eq \"x\"]", "emails has no sub-attribute shoe"),
            (
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User pr",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User is a schema; name one of its attributes",
            ),
        ] {
            assert_eq!(evaluate(filter), Err(format!("400 invalidFilter: {expected}")), "{filter}");
        }
    }

    #[test]
    fn attribute_that_a_resource_type_lacks_has_no_value_in_a_lenient_filter() {
        let schema = Schemas::built_in().of(ResourceKind::Group);
        let group = json!({ "displayName": "Tour Guides" });
        for (filter, expected) in [
            ("userName eq \"x\"", false),
            ("userName eq \"x\" or displayName eq \"tour guides\"", true),
            ("userName pr and displayName pr", false),
            ("emails[type eq \"work\"]", false),
            ("userName ne \"x\"", true),
            ("userName eq null", true),
            ("userName ne null", false),
            ("not (userName pr)", true),
        ] {
            let filter = Filter::parse(filter).unwrap().resolve_lenient(schema).unwrap();
            assert_eq!(filter.matches(group.as_object().unwrap()), expected);
        }
    }
}
