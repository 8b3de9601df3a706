//! Bulk requests (RFC 7644 §3.7): reading one, which of its operations wait for which, and what `bulkId:…` stands for.
//!
//! Nothing is carried out here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::error::{ErrorKind, ScimError};
use crate::filter::fold;
use crate::message::{check_message, member};
use crate::resource::type_name;

/// The schema URN of the body.
pub const BULK_REQUEST_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
/// The schema URN of the answer.
pub const BULK_RESPONSE_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
/// The most operations in one request.
pub const MOST_BULK_OPERATIONS: usize = 1_000;
/// The longest body of one request, in bytes.
pub const LONGEST_BULK: usize = 1_048_576;

const PREFIX: &str = "bulkId:";

/// A bulk request.
#[derive(Debug)]
pub struct BulkRequest {
    /// After so many errors nothing more is carried out.
    pub fail_on_errors: Option<u64>,
    /// The operations, in order.
    pub operations: Vec<BulkOperation>,
}

/// An operation of a bulk request, well-formed or not.
#[derive(Clone, Debug)]
pub struct BulkOperation {
    /// The method, as it was written.
    pub method: String,
    /// What others call the resource that it makes.
    pub bulk_id: Option<String>,
    /// The version that the resource must be at.
    pub version: Option<String>,
    /// The segments of the path below the endpoint URL.
    pub path: Vec<String>,
    /// The body.
    pub data: Value,
}

/// The ids that were given to what operations made, by their bulkIds.
pub type Resolved = BTreeMap<String, String>;

impl BulkRequest {
    /// Reads the body of a bulk request.
    ///
    /// # Errors
    /// `invalidSyntax` when it is no BulkRequest, 413 when it has too many operations, `invalidValue` when two have one
    /// bulkId.
    pub fn parse(body: &Map<String, Value>) -> Result<Self, ScimError> {
        check_message(body, BULK_REQUEST_SCHEMA)?;
        let invalid = |detail: String| ScimError::new(ErrorKind::InvalidSyntax, detail);
        let fail_on_errors = match member(body, "failOnErrors") {
            None | Some(Value::Null) => None,
            Some(value) => Some(value.as_u64().filter(|errors| *errors > 0).ok_or_else(|| {
                ScimError::invalid_value(format!("failOnErrors is {value}, and must be a number above 0"))
            })?),
        };
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
        if operations.len() > MOST_BULK_OPERATIONS {
            let detail =
                format!("There are {} operations, and may be {MOST_BULK_OPERATIONS}", operations.len());
            return Err(ScimError::new(ErrorKind::PayloadTooLarge, detail));
        }
        let operations = operations.iter().zip(1..).map(|(operation, number)| match operation {
            Value::Object(operation) => BulkOperation::parse(number, operation),
            other => {
                Err(invalid(format!("Operation {number} is {}, and must be an object", type_name(other))))
            }
        });
        let operations: Vec<BulkOperation> = operations.collect::<Result<_, _>>()?;
        let mut seen = BTreeSet::new();
        if let Some(twice) =
            operations.iter().filter_map(|one| one.bulk_id.as_ref()).find(|id| !seen.insert(*id))
        {
            return Err(ScimError::invalid_value(format!("The bulkId {twice:?} is given to two operations")));
        }
        Ok(Self { fail_on_errors, operations })
    }
}

impl BulkOperation {
    fn parse(number: usize, operation: &Map<String, Value>) -> Result<Self, ScimError> {
        let text = |name: &str| match member(operation, name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => {
                let detail =
                    format!("Operation {number}: {name} is {}, and must be a string", type_name(other));
                Err(ScimError::new(ErrorKind::InvalidSyntax, detail))
            }
        };
        let missing = |name: &str| {
            ScimError::new(ErrorKind::InvalidSyntax, format!("Operation {number}: {name} is missing"))
        };
        let path = text("path")?.ok_or_else(|| missing("path"))?;
        Ok(Self {
            method: text("method")?.ok_or_else(|| missing("method"))?.to_ascii_uppercase(),
            bulk_id: text("bulkId")?,
            version: text("version")?,
            path: path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect(),
            data: member(operation, "data").cloned().unwrap_or(Value::Null),
        })
    }

    /// Checks that it is an operation that can be carried out (RFC 7644 §3.7).
    ///
    /// # Errors
    /// What is wrong with it, for its part of the answer.
    pub fn check(&self) -> Result<(), ScimError> {
        let is_endpoint = self.path.first().is_some_and(|first| matches!(first.as_str(), "Users" | "Groups"));
        let shown = format!("{} /{}", self.method, self.path.join("/"));
        match (self.method.as_str(), self.path.len()) {
            ("POST", 1) if is_endpoint && self.bulk_id.is_none() => {
                Err(ScimError::new(ErrorKind::InvalidSyntax, format!("{shown} needs a bulkId")))
            }
            ("POST", 1) | ("PUT" | "PATCH" | "DELETE", 2) if is_endpoint => Ok(()),
            _ => {
                let detail = format!("{shown} is no operation of a bulk request");
                Err(ScimError::new(ErrorKind::InvalidSyntax, detail))
            }
        }
    }

    /// The bulkIds that it refers to.
    pub fn references(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for segment in &self.path {
            found.extend(segment.strip_prefix(PREFIX).map(str::to_owned));
        }
        collect(&self.data, &mut |text| found.extend(references(text)));
        found
    }

    /// The bulkId of the resource that it is about, where the path names it so.
    pub fn subject(&self) -> Option<&str> {
        self.path.get(1)?.strip_prefix(PREFIX)
    }

    /// Whether, of two operations, this one has to wait for an earlier one for other reasons than a bulkId: they are
    /// about the same resource, or give the same name.
    pub fn follows(&self, earlier: &Self) -> bool {
        let (Some(mine), Some(others)) = (self.path.first(), earlier.path.first()) else { return true };
        if mine == others && self.name().is_some_and(|name| earlier.name() == Some(name)) {
            return true;
        }
        earlier.path.get(1).is_some_and(|id| self.mentions(id))
            || self.path.get(1).is_some_and(|id| earlier.mentions(id))
    }

    fn mentions(&self, id: &str) -> bool {
        let mut is_found = self.path.get(1).is_some_and(|own| own == id);
        collect(&self.data, &mut |text| is_found |= text.contains(id));
        is_found
    }

    /// The name that must be unique, folded, where the body has one at its top.
    fn name(&self) -> Option<String> {
        let unique =
            if self.path.first().is_some_and(|first| first == "Users") { "userName" } else { "displayName" };
        let name = member(self.data.as_object()?, unique)?.as_str()?;
        Some(fold(name, false).into_owned())
    }

    /// The same operation with every reference replaced by the id that it stands for.
    ///
    /// # Errors
    /// `invalidValue` for a reference that stands for nothing.
    pub fn resolve(&self, resolved: &Resolved) -> Result<Self, ScimError> {
        if let Some(missing) = self.references().iter().find(|id| !resolved.contains_key(*id)) {
            let detail = format!("{PREFIX}{missing} is no resource that this request made");
            return Err(ScimError::invalid_value(detail));
        }
        let id = |name: &str| resolved.get(name).cloned().unwrap_or_default();
        let path = self.path.iter().map(|segment| match segment.strip_prefix(PREFIX) {
            Some(name) => id(name),
            None => segment.clone(),
        });
        let mut data = self.data.clone();
        replace(&mut data, resolved);
        Ok(Self { path: path.collect(), data, ..self.clone() })
    }

    /// The same operation without what refers to resources that are not made yet (RFC 7644 §3.7.1).
    pub fn without_unresolved(&self, resolved: &Resolved) -> Self {
        Self { data: strip(&self.data, resolved).unwrap_or(Value::Null), ..self.clone() }
    }
}

/// The bulkIds in a string: all of it, or quoted in it as in the filter of a path.
fn references(text: &str) -> Vec<String> {
    if let Some(name) = text.strip_prefix(PREFIX) {
        return vec![name.to_owned()];
    }
    let quoted = format!("\"{PREFIX}");
    text.split(&quoted).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
}

fn collect(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => found(text),
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Object(values) => values.values().for_each(|value| collect(value, found)),
        _ => {}
    }
}

fn replace(value: &mut Value, resolved: &Resolved) {
    match value {
        Value::String(text) => {
            for name in references(text) {
                let Some(id) = resolved.get(&name) else { continue };
                *text = if text.starts_with(PREFIX) {
                    id.clone()
                } else {
                    text.replace(&format!("\"{PREFIX}{name}\""), &format!("\"{id}\""))
                };
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| replace(value, resolved)),
        Value::Object(values) => values.values_mut().for_each(|value| replace(value, resolved)),
        _ => {}
    }
}

/// A value without what is unresolved in it; an object whose `value` is unresolved goes as a whole.
fn strip(value: &Value, resolved: &Resolved) -> Option<Value> {
    let is_unresolved = |text: &str| references(text).iter().any(|name| !resolved.contains_key(name));
    match value {
        Value::String(text) if is_unresolved(text) => None,
        Value::Array(values) => Some(values.iter().filter_map(|value| strip(value, resolved)).collect()),
        Value::Object(values) => {
            if values.get("value").and_then(Value::as_str).is_some_and(is_unresolved) {
                return None;
            }
            let kept =
                values.iter().filter_map(|(name, value)| Some((name.clone(), strip(value, resolved)?)));
            Some(Value::Object(kept.collect()))
        }
        other => Some(other.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn operation(method: &str, path: &str, data: Value) -> BulkOperation {
        let operation = json!({ "method": method, "path": path, "bulkId": "own", "data": data });
        BulkOperation::parse(1, operation.as_object().unwrap()).unwrap()
    }

    #[test]
    fn references_are_found_in_paths_values_and_filters() {
        for (path, data, expected) in [
            ("/Users", json!({ "userName": "x" }), vec![]),
            ("/Groups/bulkId:g", json!({}), vec!["g"]),
            (
                "/Groups",
                json!({ "members": [{ "value": "bulkId:a" }, { "value": "bulkId:b" }] }),
                vec!["a", "b"],
            ),
            (
                "/Groups/1",
                json!({ "path": "members[value eq \"bulkId:a\" or value eq \"bulkId:b\"]" }),
                vec!["a", "b"],
            ),
            ("/Users", json!({ "userName": "not a bulkId:x" }), vec![]),
        ] {
            let found: Vec<String> = operation("PATCH", path, data).references().into_iter().collect();
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn references_become_ids() {
        let resolved = Resolved::from([("a".to_owned(), "1".to_owned()), ("g".to_owned(), "2".to_owned())]);
        let data = json!({ "x": ["bulkId:a", { "path": "members[value eq \"bulkId:g\"]" }] });
        let operation = operation("PATCH", "/Groups/bulkId:g", data).resolve(&resolved).unwrap();
        assert_eq!(operation.path, ["Groups", "2"]);
        assert_eq!(operation.data, json!({ "x": ["1", { "path": "members[value eq \"2\"]" }] }));
    }

    #[test]
    fn a_reference_to_nothing_is_refused() {
        let error =
            operation("DELETE", "/Users/bulkId:x", Value::Null).resolve(&Resolved::new()).unwrap_err();
        assert_eq!(error.to_string(), "400 invalidValue: bulkId:x is no resource that this request made");
    }

    #[test]
    fn what_is_unresolved_is_left_out_as_a_whole() {
        let data = json!({
            "displayName": "G",
            "members": [{ "value": "bulkId:later", "display": "L" }, { "value": "bulkId:now" }],
            "manager": "bulkId:later"
        });
        let resolved = Resolved::from([("now".to_owned(), "1".to_owned())]);
        let stripped = operation("POST", "/Groups", data).without_unresolved(&resolved);
        assert_eq!(stripped.data, json!({ "displayName": "G", "members": [{ "value": "bulkId:now" }] }));
    }

    #[test]
    fn operations_on_one_resource_or_one_name_keep_their_order() {
        let id = "2819c223-7f76-453a-919d-413861904646";
        let user = |name: &str| operation("POST", "/Users", json!({ "userName": name }));
        let item = format!("/Users/{id}");
        let of_user = |method: &str| operation(method, &item, json!({ "active": false }));
        let member = operation(
            "PATCH",
            "/Groups/9",
            json!({ "Operations": [{ "path": format!("members[value eq \"{id}\"]") }] }),
        );
        for (later, earlier, expected) in [
            (user("a"), user("b"), false),
            (user("A"), user("a"), true),
            (of_user("DELETE"), of_user("PATCH"), true),
            (of_user("DELETE"), user("a"), false),
            (member.clone(), of_user("DELETE"), true),
            (of_user("DELETE"), member, true),
            (operation("POST", "/Groups", json!({ "displayName": "a" })), user("a"), false),
        ] {
            assert_eq!(later.follows(&earlier), expected, "{later:?} behind {earlier:?}");
        }
    }

    #[test]
    fn what_is_no_operation_of_a_bulk_request_is_refused() {
        for (method, path, is_good) in [
            ("POST", "/Users", true),
            ("post", "Groups/", true),
            ("PUT", "/Users/1", true),
            ("PATCH", "/Groups/1", true),
            ("DELETE", "/Users/1", true),
            ("GET", "/Users/1", false),
            ("POST", "/Users/1", false),
            ("DELETE", "/Users", false),
            ("POST", "/Bulk", false),
            ("POST", "", false),
        ] {
            assert_eq!(operation(method, path, Value::Null).check().is_ok(), is_good, "{method} {path}");
        }
    }
}
