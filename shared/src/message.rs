//! Messages of RFC 7644: SearchRequest, ListResponse, and the parts that PATCH and Bulk requests have in
//! common.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::{ErrorKind, ScimError};
use crate::limits::MAX_ATTRIBUTE_NAMES;
use crate::resource::type_name;

/// The schema URN of the response to a query (RFC 7644 §3.4.2).
pub const LIST_RESPONSE_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// The schema URN of a query in the body of a POST (RFC 7644 §3.4.3).
pub const SEARCH_REQUEST_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
/// The number of resources on a page if the request has no `count`.
pub const DEFAULT_PAGE_SIZE: usize = 100;
/// The maximum number of resources on a page.
pub const MAX_PAGE_SIZE: usize = 1_000;

/// The response to a query (RFC 7644 §3.4.2).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListResponse<'a> {
    schemas: [&'static str; 1],
    total_results: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_index: Option<usize>,
    items_per_page: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<&'a str>,
    #[serde(rename = "Resources")]
    resources: &'a [Box<RawValue>],
}

impl<'a> ListResponse<'a> {
    /// Makes the response to a query with `startIndex`, which counts from 1.
    pub fn by_index(total: usize, start_index: usize, resources: &'a [Box<RawValue>]) -> Self {
        Self {
            schemas: [LIST_RESPONSE_SCHEMA],
            total_results: total,
            start_index: Some(start_index),
            items_per_page: resources.len(),
            next_cursor: None,
            resources,
        }
    }

    /// Makes the response to a query with a cursor (RFC 9865 §2). `next_cursor` is `None` on the last page.
    pub fn by_cursor(total: usize, next_cursor: Option<&'a str>, resources: &'a [Box<RawValue>]) -> Self {
        Self { start_index: None, next_cursor, ..Self::by_index(total, 1, resources) }
    }
}

/// The parameters of a query, from the URL or from the body of a POST to `/.search` (RFC 7644 §3.4.2 and
/// §3.4.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchRequest {
    /// The text of the filter.
    pub filter: Option<String>,
    /// The attribute to sort by.
    pub sort_by: Option<String>,
    /// `ascending` or `descending`.
    pub sort_order: Option<String>,
    /// The index of the first resource on the page, counted from 1.
    pub start_index: Option<i64>,
    /// The maximum number of resources on the page.
    pub count: Option<i64>,
    /// The cursor; empty for the first page (RFC 9865 §2).
    pub cursor: Option<String>,
    /// The attributes to return (RFC 7644 §3.9).
    pub attributes: Option<Vec<String>>,
    /// The attributes not to return (RFC 7644 §3.9).
    pub excluded_attributes: Option<Vec<String>>,
}

impl SearchRequest {
    /// Reads the query parameters of a URL. The comparison of names ignores upper and lower case. Unknown parameters are ignored. An empty
    /// cursor asks for the first page; other empty parameters are ignored.
    ///
    /// # Errors
    /// `invalidValue` if `startIndex` or `count` is not a whole number, or a list of attributes is too long.
    pub fn from_query(parameters: &[(String, String)]) -> Result<Self, ScimError> {
        let mut request = Self::default();
        for (name, value) in parameters {
            let name = name.to_ascii_lowercase();
            if name != "cursor" && accepts_an_empty_parameter_as_absent(value) {
                continue;
            }
            match name.as_str() {
                "filter" => request.filter = Some(value.clone()),
                "sortby" => request.sort_by = Some(value.clone()),
                "sortorder" => request.sort_order = Some(value.clone()),
                "startindex" => request.start_index = Some(integer("startIndex", value)?),
                "count" => request.count = Some(integer("count", value)?),
                "cursor" => request.cursor = Some(value.clone()),
                "attributes" => {
                    accepts_a_repeated_list(&mut request.attributes, "attributes", value)?;
                }
                "excludedattributes" => {
                    accepts_a_repeated_list(&mut request.excluded_attributes, "excludedAttributes", value)?;
                }
                _ => {}
            }
        }
        Ok(request)
    }

    /// Reads the body of a POST to `/.search`. The comparison of names ignores upper and lower case. Unknown names are ignored.
    ///
    /// # Errors
    /// `invalidSyntax` if `schemas` is there without the URN of a SearchRequest, `invalidValue` for a value
    /// of the wrong type, or a list of attributes that is too long.
    pub fn from_body(body: &Map<String, Value>) -> Result<Self, ScimError> {
        check_message(body, SEARCH_REQUEST_SCHEMA)?;
        let mut request = Self::default();
        for (name, value) in body {
            if value.is_null() {
                continue;
            }
            match name.to_ascii_lowercase().as_str() {
                "filter" => request.filter = Some(text(name, value)?),
                "sortby" => request.sort_by = Some(text(name, value)?),
                "sortorder" => request.sort_order = Some(text(name, value)?),
                "startindex" => request.start_index = Some(read_whole_number(name, value)?),
                "count" => request.count = Some(read_whole_number(name, value)?),
                "cursor" => request.cursor = Some(text(name, value)?),
                "attributes" => request.attributes = Some(accepts_names_as_one_string(name, value)?),
                "excludedattributes" => {
                    request.excluded_attributes = Some(accepts_names_as_one_string(name, value)?);
                }
                _ => {}
            }
        }
        Ok(request)
    }
}

/// Checks that a body is the message with this schema URN.
///
/// # Errors
/// `invalidSyntax` if `schemas` is there and does not contain the URN.
pub fn check_message(body: &Map<String, Value>, urn: &str) -> Result<(), ScimError> {
    let is_expected = |value: &Value| value.as_str().is_some_and(|value| value.eq_ignore_ascii_case(urn));
    let schemas = member(body, "schemas").unwrap_or(&Value::Null);
    let urns = schemas.as_array().map(Vec::as_slice).unwrap_or_default();
    if accepts_a_message_without_schemas(schemas) || urns.iter().any(is_expected) {
        return Ok(());
    }
    Err(ScimError::new(ErrorKind::InvalidSyntax, format!("schemas must contain {urn}")))
}

/// pyscim sends PATCH and search requests without `schemas`.
fn accepts_a_message_without_schemas(schemas: &Value) -> bool {
    schemas.is_null()
}

/// The number of an operation in its request, counted from 1, and the JSON object of the operation.
pub type NumberedOperation = (usize, Map<String, Value>);

/// Reads the `Operations` of a PATCH or Bulk request. An operation that is not a JSON object is an error of
/// its own, so that the caller reports the first wrong operation.
///
/// # Errors
/// `invalidSyntax` if `Operations` is missing, empty or not an array; an error of kind `too_many` if it has
/// more than `max` elements.
pub fn operations(
    mut body: Map<String, Value>,
    max: usize,
    too_many: ErrorKind,
) -> Result<impl Iterator<Item = Result<NumberedOperation, ScimError>>, ScimError> {
    let wrong = |found: &str| {
        let detail = format!("Operations is {found}; it must be an array of 1 to {max} operations");
        ScimError::new(ErrorKind::InvalidSyntax, detail)
    };
    let operations = match take_member(&mut body, "Operations") {
        None => return Err(wrong("missing")),
        Some(Value::Array(operations)) if operations.is_empty() => return Err(wrong("empty")),
        Some(Value::Array(operations)) => operations,
        Some(other) => return Err(wrong(type_name(&other))),
    };
    if operations.len() > max {
        let detail = format!("Operations has {} elements; the maximum is {max}", operations.len());
        return Err(ScimError::new(too_many, detail));
    }
    Ok(operations.into_iter().zip(1..).map(|(operation, number)| match operation {
        Value::Object(operation) => Ok((number, operation)),
        other => {
            let detail = format!("Operation {number} is {}; it must be an object", type_name(&other));
            Err(ScimError::new(ErrorKind::InvalidSyntax, detail))
        }
    }))
}

/// Finds a member of a JSON object by its name. Ignores upper and lower case.
pub fn member<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    let in_any_case =
        || object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    object.get(name).or_else(in_any_case)
}

/// Takes a member out of a JSON object by its name. Ignores upper and lower case.
pub fn take_member(object: &mut Map<String, Value>, name: &str) -> Option<Value> {
    if let Some(value) = object.swap_remove(name) {
        return Some(value);
    }
    let key = object.keys().find(|key| key.eq_ignore_ascii_case(name))?.clone();
    object.swap_remove(&key)
}

fn names(name: &str, list: &str) -> Result<Vec<String>, ScimError> {
    check_name_count(name, list.split(',').count())?;
    Ok(list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect())
}

fn check_name_count(name: &str, count: usize) -> Result<(), ScimError> {
    if count <= MAX_ATTRIBUTE_NAMES {
        return Ok(());
    }
    Err(ScimError::invalid_value(format!("{name} has {count} names; the maximum is {MAX_ATTRIBUTE_NAMES}")))
}

fn integer(name: &str, value: &str) -> Result<i64, ScimError> {
    let invalid = || ScimError::invalid_value(format!("{name} is {value:?}; it must be a whole number"));
    value.trim().parse().map_err(|_| invalid())
}

fn text(name: &str, value: &Value) -> Result<String, ScimError> {
    let wrong = || ScimError::invalid_value(format!("{name} is {}; it must be a string", type_name(value)));
    value.as_str().map(str::to_owned).ok_or_else(wrong)
}

/// Reads a whole number.
///
/// # Errors
/// `invalidValue` for any other value.
pub fn read_whole_number(name: &str, value: &Value) -> Result<i64, ScimError> {
    let wrong = || {
        let found = if value.is_number() { value.to_string() } else { type_name(value).to_owned() };
        ScimError::invalid_value(format!("{name} is {found}; it must be a whole number"))
    };
    value.as_i64().or_else(|| accepts_a_number_as_a_string(value)).ok_or_else(wrong)
}

/// Scripts send `"failOnErrors": "1"`.
fn accepts_a_number_as_a_string(value: &Value) -> Option<i64> {
    value.as_str()?.trim().parse().ok()
}

/// Scripts send `count=` when they have no value for it.
fn accepts_an_empty_parameter_as_absent(value: &str) -> bool {
    value.trim().is_empty()
}

/// Generated clients repeat the parameter for each name: `attributes=id&attributes=userName`.
fn accepts_a_repeated_list(
    present: &mut Option<Vec<String>>,
    name: &str,
    list: &str,
) -> Result<(), ScimError> {
    let present = present.get_or_insert_default();
    present.extend(names(name, list)?);
    check_name_count(name, present.len())
}

/// Some clients send `attributes` in a body as one comma-separated string, as in a URL.
fn accepts_names_as_one_string(name: &str, value: &Value) -> Result<Vec<String>, ScimError> {
    match value {
        Value::Array(values) => {
            check_name_count(name, values.len())?;
            values.iter().map(|value| text(name, value)).collect()
        }
        Value::String(value) => names(name, value),
        other => {
            let detail = format!("{name} is {}; it must be an array of strings", type_name(other));
            Err(ScimError::invalid_value(detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn complete() -> SearchRequest {
        let text = |text: &str| Some(text.to_owned());
        SearchRequest {
            filter: text("title pr"),
            sort_by: text("userName"),
            sort_order: text("descending"),
            start_index: Some(-3),
            count: Some(25),
            cursor: text("c"),
            attributes: Some(vec!["id".to_owned(), "name.givenName".to_owned()]),
            excluded_attributes: Some(vec!["emails".to_owned()]),
        }
    }

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn every_query_parameter_is_read_in_any_case() {
        let parameters = [
            ("FILTER", "title pr"),
            ("sortBy", "userName"),
            ("sortOrder", "descending"),
            ("startindex", " -3 "),
            ("count", "25"),
            ("cursor", "c"),
            ("attributes", "id, ,"),
            ("ATTRIBUTES", "name.givenName,"),
            ("excludedAttributes", "emails"),
            ("unknown", "x"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(SearchRequest::from_query(&parameters).unwrap(), complete());
        assert_eq!(SearchRequest::from_query(&[]).unwrap(), SearchRequest::default());
        let empty = parameters.map(|(name, _)| (name, " ".to_owned()));
        let expected = SearchRequest { cursor: Some(" ".to_owned()), ..SearchRequest::default() };
        assert_eq!(SearchRequest::from_query(&empty).unwrap(), expected);
        let wrong = SearchRequest::from_query(&[("count".to_owned(), "1.5".to_owned())]).unwrap_err();
        assert_eq!(wrong.detail, "count is \"1.5\"; it must be a whole number");
    }

    #[test]
    fn every_member_of_a_search_request_is_read_in_any_case() {
        let mut body = object(json!({
            "schemas": [SEARCH_REQUEST_SCHEMA.to_uppercase()], "FILTER": "title pr", "sortBy": "userName",
            "sortOrder": "descending", "startindex": -3, "count": 25, "cursor": "c",
            "attributes": ["id", "name.givenName"], "excludedAttributes": "emails", "unknown": {}
        }));
        assert_eq!(SearchRequest::from_body(&body).unwrap(), complete());
        for (name, value, detail) in [
            ("filter", json!(1), "filter is a number; it must be a string"),
            ("count", json!("1x"), "count is a string; it must be a whole number"),
            ("startIndex", json!(1.5), "startIndex is 1.5; it must be a whole number"),
            ("attributes", json!(1), "attributes is a number; it must be an array of strings"),
            (
                "schemas",
                json!([LIST_RESPONSE_SCHEMA]),
                &format!("schemas must contain {SEARCH_REQUEST_SCHEMA}"),
            ),
        ] {
            let mut wrong = body.clone();
            wrong.retain(|known, _| !known.eq_ignore_ascii_case(name));
            wrong.insert(name.to_owned(), value);
            assert_eq!(SearchRequest::from_body(&wrong).unwrap_err().detail, detail);
        }
        body.insert("count".to_owned(), json!(" 25"));
        body.insert("startindex".to_owned(), json!("-3"));
        assert_eq!(SearchRequest::from_body(&body).unwrap(), complete());
        body.values_mut().for_each(|value| *value = Value::Null);
        assert_eq!(SearchRequest::from_body(&body).unwrap(), SearchRequest::default());
    }

    #[test]
    fn list_response_has_a_start_index_or_a_cursor() {
        let resources = [RawValue::from_string("1".to_owned()).unwrap()];
        let by_index = serde_json::to_value(ListResponse::by_index(7, 3, &resources)).unwrap();
        let expected = json!({
            "schemas": [LIST_RESPONSE_SCHEMA], "totalResults": 7, "startIndex": 3, "itemsPerPage": 1, "Resources": [1]
        });
        assert_eq!(by_index, expected);
        let by_cursor = serde_json::to_value(ListResponse::by_cursor(7, Some("c"), &resources)).unwrap();
        let expected = json!({
            "schemas": [LIST_RESPONSE_SCHEMA], "totalResults": 7, "itemsPerPage": 1, "nextCursor": "c", "Resources": [1]
        });
        assert_eq!(by_cursor, expected);
        let last = serde_json::to_value(ListResponse::by_cursor(7, None, &resources)).unwrap();
        assert_eq!(last.get("nextCursor"), None);
    }

    #[test]
    fn operations_are_counted_and_numbered() {
        let read = |operations: Value| {
            let found = operations_of(object(json!({ "operations": operations })))?;
            found.map(|operation| operation.map(|(number, _)| number)).collect::<Result<Vec<_>, _>>()
        };
        fn operations_of(
            body: Map<String, Value>,
        ) -> Result<impl Iterator<Item = Result<NumberedOperation, ScimError>>, ScimError> {
            operations(body, 2, ErrorKind::PayloadTooLarge)
        }
        assert_eq!(read(json!([{}, {}])).unwrap(), [1, 2]);
        for (wrong, detail) in [
            (json!([]), "Operations is empty; it must be an array of 1 to 2 operations"),
            (json!({}), "Operations is an object; it must be an array of 1 to 2 operations"),
            (json!([{}, {}, {}]), "Operations has 3 elements; the maximum is 2"),
            (json!([{}, 1]), "Operation 2 is a number; it must be an object"),
        ] {
            assert_eq!(read(wrong).unwrap_err().detail, detail);
        }
        let missing = operations_of(Map::new()).err().unwrap();
        assert_eq!(missing.detail, "Operations is missing; it must be an array of 1 to 2 operations");
    }

    #[test]
    fn too_many_attribute_names_are_rejected() {
        let list = |count: usize| vec!["id"; count].join(",");
        let in_query = |count| SearchRequest::from_query(&[("attributes".to_owned(), list(count))]);
        let in_body = |names: Value| {
            SearchRequest::from_body(&object(
                json!({ "schemas": [SEARCH_REQUEST_SCHEMA], "excludedAttributes": names }),
            ))
        };
        assert_eq!(in_query(MAX_ATTRIBUTE_NAMES).unwrap().attributes.unwrap().len(), MAX_ATTRIBUTE_NAMES);
        let many = MAX_ATTRIBUTE_NAMES + 1;
        for (result, name) in [
            (in_query(many), "attributes"),
            (in_body(json!(list(many))), "excludedAttributes"),
            (in_body(json!(vec!["id"; many])), "excludedAttributes"),
        ] {
            let expected = format!("400 invalidValue: {name} has 10001 names; the maximum is 10000");
            assert_eq!(result.unwrap_err().to_string(), expected);
        }
    }
}
