//! Bulk requests (RFC 7644 §3.7): parsing, the order of operations, and references (`bulkId:…`).
//!
//! This module does not run the operations.

mod references;
mod schedule;

pub use schedule::Schedule;

use std::collections::{BTreeMap, BTreeSet};

use references::{PREFIX, for_each_string};
use serde_json::{Map, Value};

use crate::error::{ErrorKind, ScimError};
use crate::filter::fold_name;
use crate::limits::MAX_BULK_OPERATIONS;
use crate::message::{check_message, member, operations, read_whole_number, take_member};
use crate::resource::type_name;

/// The schema URN of a Bulk request.
pub const BULK_REQUEST_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
/// The schema URN of the response to a Bulk request.
pub const BULK_RESPONSE_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

/// A Bulk request.
#[derive(Debug)]
pub struct BulkRequest {
    /// The number of errors after which no more operations run.
    pub fail_on_errors: Option<u64>,
    /// The operations, in order.
    pub operations: Vec<BulkOperation>,
}

/// An operation of a Bulk request. [`BulkOperation::check`] returns an error if it cannot run.
#[derive(Clone, Debug)]
pub struct BulkOperation {
    /// The HTTP method, in upper case.
    pub method: String,
    /// The name by which other operations refer to the resource that this one creates.
    pub bulk_id: Option<String>,
    /// The expected version of the resource.
    pub version: Option<String>,
    /// The segments of the path, without the base URL.
    pub path: Vec<String>,
    /// The body; null if there is none.
    pub data: Value,
}

/// The ids of the resources that operations created, by bulkId.
pub type ResolvedBulkIds = BTreeMap<String, String>;

impl BulkRequest {
    /// Reads the body of a Bulk request.
    ///
    /// # Errors
    /// `invalidSyntax` if the body is not a BulkRequest, 413 if it has too many operations, `invalidValue` if
    /// two operations have the same bulkId, or `failOnErrors` is not a whole number.
    pub fn parse(body: Map<String, Value>) -> Result<Self, ScimError> {
        check_message(&body, BULK_REQUEST_SCHEMA)?;
        let fail_on_errors = match member(&body, "failOnErrors") {
            None | Some(Value::Null) => None,
            Some(value) => {
                accepts_fail_on_errors_below_1_as_absent(read_whole_number("failOnErrors", value)?)
            }
        };
        let operations: Vec<BulkOperation> =
            operations(body, MAX_BULK_OPERATIONS, ErrorKind::PayloadTooLarge)?
                .map(|operation| operation.and_then(|(number, body)| BulkOperation::parse(number, body)))
                .collect::<Result<_, _>>()?;
        let mut seen = BTreeSet::new();
        if let Some(duplicate) =
            operations.iter().filter_map(|one| one.bulk_id.as_ref()).find(|id| !seen.insert(*id))
        {
            let detail = format!("Two operations have the bulkId {duplicate:?}; give each its own");
            return Err(ScimError::invalid_value(detail));
        }
        Ok(Self { fail_on_errors, operations })
    }
}

impl BulkOperation {
    fn parse(number: usize, mut operation: Map<String, Value>) -> Result<Self, ScimError> {
        let data = take_member(&mut operation, "data").unwrap_or_default();
        let text = |name: &str| match member(&operation, name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => {
                let detail =
                    format!("Operation {number}: {name} is {}; it must be a string", type_name(other));
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
            data,
        })
    }

    /// The id or the `bulkId:…` of the resource that the operation changes. `None` if it creates one, or if
    /// [`check`](Self::check) refuses it.
    pub fn resource(&self) -> Option<&str> {
        self.path.get(1).filter(|_| self.check().is_ok()).map(String::as_str)
    }

    /// Checks that a Bulk request can have this operation (RFC 7644 §3.7).
    ///
    /// # Errors
    /// `invalidSyntax`, for the result of this operation. The other operations can still run.
    pub fn check(&self) -> Result<(), ScimError> {
        let is_endpoint = self.path.first().is_some_and(|first| matches!(first.as_str(), "Users" | "Groups"));
        let shown = format!("{} /{}", self.method, self.path.join("/"));
        match (self.method.as_str(), self.path.len()) {
            ("POST", 1) if is_endpoint && self.bulk_id.is_none() => {
                Err(ScimError::new(ErrorKind::InvalidSyntax, format!("{shown} requires a bulkId")))
            }
            ("POST", 1) | ("PUT" | "PATCH" | "DELETE", 2) if is_endpoint => Ok(()),
            _ => {
                let detail = format!(
                    "{shown} is not supported in a Bulk request; use POST on /Users or /Groups, or PUT, PATCH or \
                     DELETE on a resource"
                );
                Err(ScimError::new(ErrorKind::InvalidSyntax, detail))
            }
        }
    }

    /// Returns the bulkIds that the path and the body refer to.
    pub fn references(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for segment in &self.path {
            found.extend(segment.strip_prefix(PREFIX).map(str::to_owned));
        }
        for_each_string(&self.data, &mut |text| found.extend(references::find(text).map(str::to_owned)));
        found
    }

    /// Returns the bulkId of the resource that the operation changes, if the path has a bulkId.
    pub fn subject(&self) -> Option<&str> {
        self.path.get(1)?.strip_prefix(PREFIX)
    }

    /// Returns the folded `userName` or `displayName` at the top level of the body.
    fn name(&self) -> Option<String> {
        let unique =
            if self.path.first().is_some_and(|first| first == "Users") { "userName" } else { "displayName" };
        let name = member(self.data.as_object()?, unique)?.as_str()?;
        Some(fold_name(name, false).into_owned())
    }

    /// Copies the operation, with each reference replaced by the id of the resource.
    ///
    /// # Errors
    /// `invalidValue` for a reference whose resource was not created.
    pub fn resolve(&self, resolved: &ResolvedBulkIds) -> Result<Self, ScimError> {
        if let Some(missing) = self.references().iter().find(|id| !resolved.contains_key(*id)) {
            let detail = format!("{PREFIX}{missing} does not refer to a resource that this request created");
            return Err(ScimError::invalid_value(detail));
        }
        let id = |name: &str| resolved.get(name).cloned().unwrap_or_default();
        let path = self.path.iter().map(|segment| match segment.strip_prefix(PREFIX) {
            Some(name) => id(name),
            None => segment.clone(),
        });
        let mut data = self.data.clone();
        references::replace(&mut data, resolved);
        Ok(Self { path: path.collect(), data, ..self.clone() })
    }

    /// Copies the operation without the values that refer to resources which do not exist yet (RFC 7644
    /// §3.7.1).
    pub fn without_unresolved(&self, resolved: &ResolvedBulkIds) -> Self {
        Self { data: without_unresolved(&self.data, resolved).unwrap_or(Value::Null), ..self.clone() }
    }
}

/// pyscim and scripts for Webex and Oracle HCM send 0 or -1 if no number of errors stops the request.
fn accepts_fail_on_errors_below_1_as_absent(errors: i64) -> Option<u64> {
    u64::try_from(errors).ok().filter(|errors| *errors > 0)
}

/// Copies a value without the strings that have unresolved references. An object whose `value` is unresolved
/// is left out.
fn without_unresolved(value: &Value, resolved: &ResolvedBulkIds) -> Option<Value> {
    let is_unresolved = |text: &str| references::find(text).any(|name| !resolved.contains_key(name));
    match value {
        Value::String(text) if is_unresolved(text) => None,
        Value::Array(values) => {
            Some(values.iter().filter_map(|value| without_unresolved(value, resolved)).collect())
        }
        Value::Object(values) => {
            if values.get("value").and_then(Value::as_str).is_some_and(is_unresolved) {
                return None;
            }
            let kept = values
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), without_unresolved(value, resolved)?)));
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
        BulkOperation::parse(1, operation.as_object().unwrap().clone()).unwrap()
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
    fn references_are_replaced_by_ids() {
        let resolved =
            ResolvedBulkIds::from([("a".to_owned(), "1".to_owned()), ("g".to_owned(), "2".to_owned())]);
        let data = json!({ "x": ["bulkId:a", { "path": "members[value eq \"bulkId:g\"]" }] });
        let operation = operation("PATCH", "/Groups/bulkId:g", data).resolve(&resolved).unwrap();
        assert_eq!(operation.path, ["Groups", "2"]);
        assert_eq!(operation.data, json!({ "x": ["1", { "path": "members[value eq \"2\"]" }] }));
    }

    #[test]
    fn reference_to_a_resource_that_was_not_created_is_rejected() {
        let error =
            operation("DELETE", "/Users/bulkId:x", Value::Null).resolve(&ResolvedBulkIds::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "400 invalidValue: bulkId:x does not refer to a resource that this request created"
        );
    }

    #[test]
    fn object_with_an_unresolved_value_is_left_out() {
        let data = json!({
            "displayName": "G",
            "members": [{ "value": "bulkId:later", "display": "L" }, { "value": "bulkId:now" }],
            "manager": "bulkId:later"
        });
        let resolved = ResolvedBulkIds::from([("now".to_owned(), "1".to_owned())]);
        let stripped = operation("POST", "/Groups", data).without_unresolved(&resolved);
        assert_eq!(stripped.data, json!({ "displayName": "G", "members": [{ "value": "bulkId:now" }] }));
    }

    #[test]
    fn bulk_allows_post_on_endpoints_and_changes_of_resources_only() {
        for (method, path, is_allowed) in [
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
            ("POST", "https://scim.example.com/okta/scim/v2/Users", false),
            ("PUT", "https://scim.example.com/okta/scim/v2/Users/1", false),
        ] {
            assert_eq!(operation(method, path, Value::Null).check().is_ok(), is_allowed, "{method} {path}");
        }
    }

    fn bulk(value: Value) -> Result<BulkRequest, ScimError> {
        BulkRequest::parse(value.as_object().unwrap().clone())
    }

    #[test]
    fn bulk_request_is_parsed_with_its_limits() {
        let create = |id: &str| json!({ "method": "post", "path": "/Users", "bulkId": id, "data": {} });
        let request =
            |operations: Value| json!({ "schemas": [BULK_REQUEST_SCHEMA], "Operations": operations });
        let parsed = bulk(request(json!([create("a"), create("b")]))).unwrap();
        assert_eq!((parsed.operations.len(), parsed.fail_on_errors), (2, None));
        assert_eq!(parsed.operations[0].method, "POST");
        let mut limited = request(json!([create("a")]));
        for (limit, expected) in [
            (json!(1), Some(1)),
            (json!("2"), Some(2)),
            (json!(0), None),
            (json!(-1), None),
            (json!("0"), None),
            (Value::Null, None),
        ] {
            limited["failOnErrors"] = limit;
            assert_eq!(bulk(limited.clone()).unwrap().fail_on_errors, expected);
        }
        limited["failOnErrors"] = json!(1.5);
        assert_eq!(bulk(limited).unwrap_err().detail, "failOnErrors is 1.5; it must be a whole number");
        let twice = bulk(request(json!([create("a"), create("a")]))).unwrap_err();
        assert_eq!(twice.detail, "Two operations have the bulkId \"a\"; give each its own");
        let many: Vec<Value> = (0..MAX_BULK_OPERATIONS).map(|number| create(&number.to_string())).collect();
        assert_eq!(bulk(request(json!(many))).unwrap().operations.len(), 1_000);
        let more: Vec<Value> = (0..=MAX_BULK_OPERATIONS).map(|number| create(&number.to_string())).collect();
        assert_eq!(bulk(request(json!(more))).unwrap_err().kind, ErrorKind::PayloadTooLarge);
    }

    #[test]
    fn operation_names_the_resource_that_it_changes() {
        for (method, path, expected) in [
            ("PUT", "/Users/1", Some("1")),
            ("PATCH", "/Groups/bulkId:g", Some("bulkId:g")),
            ("POST", "/Users", None),
            ("POST", "/Users/1", None),
            ("DELETE", "https://scim.example.com/okta/scim/v2/Users/1", None),
        ] {
            assert_eq!(operation(method, path, Value::Null).resource(), expected, "{method} {path}");
        }
        assert_eq!(operation("PATCH", "/Users/bulkId:a", Value::Null).subject(), Some("a"));
        assert_eq!(operation("PATCH", "/Users/1", Value::Null).subject(), None);
        assert_eq!(operation("POST", "/Users", Value::Null).subject(), None);
    }

    #[test]
    fn only_writes_of_users_and_groups_can_be_in_a_bulk_request() {
        for (method, path) in
            [("POST", "/Users"), ("PUT", "/Groups/1"), ("PATCH", "Users/1"), ("DELETE", "//Users//1/")]
        {
            assert!(operation(method, path, Value::Null).check().is_ok(), "{method} {path}");
        }
        for (method, path) in [
            ("GET", "/Users/1"),
            ("POST", "/Users/1"),
            ("DELETE", "/Users"),
            ("POST", "/Schemas"),
            ("PUT", "/Users/1/x"),
        ] {
            let refused = operation(method, path, Value::Null).check().unwrap_err();
            assert!(
                refused.detail.contains("is not supported in a Bulk request"),
                "{method} {path}: {refused:?}"
            );
        }
        let without_id = BulkOperation { bulk_id: None, ..operation("POST", "/Users", Value::Null) };
        assert_eq!(without_id.check().unwrap_err().detail, "POST /Users requires a bulkId");
        assert!(BulkOperation { bulk_id: None, ..operation("PUT", "/Users/1", Value::Null) }.check().is_ok());
    }
}
