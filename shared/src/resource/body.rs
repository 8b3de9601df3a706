//! Parses the body of a request as JSON, after it has counted its values.

use serde_json::{Map, Value};

use super::type_name;
use crate::error::{ErrorKind, ScimError};
use crate::limits::MAX_JSON_VALUES;

/// Parses a request body that must be a JSON object.
///
/// # Errors
/// `invalidSyntax` if the body is not JSON, is nested deeper than 128 levels, or is not an object; 413 if it has more
/// values and names than [`MAX_JSON_VALUES`].
pub fn parse_object(body: &[u8]) -> Result<Map<String, Value>, ScimError> {
    let invalid = |detail: String| ScimError::new(ErrorKind::InvalidSyntax, detail);
    let body = accepts_a_byte_order_mark(body);
    if body.is_empty() {
        return Err(invalid("The request body is empty; it must be a JSON object".to_owned()));
    }
    count_values(body, MAX_JSON_VALUES).ok_or_else(too_many_values)?;
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => {
            Err(invalid(format!("The request body is {}; it must be a JSON object", type_name(&other))))
        }
        Err(error) => Err(invalid(format!("The request body is not valid JSON: {error}"))),
    }
}

/// Parses JSON in a string of a request body. `values` counts the values and names in all such strings of the request.
///
/// # Errors
/// `invalidValue` if the text is not JSON, or is nested deeper than 127 levels; 413 if the strings have more values and
/// names than [`MAX_JSON_VALUES`].
pub(crate) fn parse_text(text: &str, values: &mut usize) -> Result<Value, ScimError> {
    *values += count_values(text.as_bytes(), MAX_JSON_VALUES - *values).ok_or_else(too_many_values)?;
    serde_json::from_str(text).map_err(|error| {
        ScimError::invalid_value(format!("The value is text that begins like JSON and is not JSON: {error}"))
    })
}

fn too_many_values() -> ScimError {
    let detail = format!(
        "Request body has more than {MAX_JSON_VALUES} JSON values and names, the maximum; send several requests"
    );
    ScimError::new(ErrorKind::PayloadTooLarge, detail)
}

/// Scripts on Windows send a byte order mark before the JSON (RFC 8259 §8.1 lets a parser ignore it).
fn accepts_a_byte_order_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// Counts the values and names in JSON. Returns `None` if there are more than a maximum. A parsed value takes many times the
/// memory of its text, so the values are counted before they are parsed. The parser stops at the first error, and the count
/// is right up to there.
fn count_values(json: &[u8], max: usize) -> Option<usize> {
    let (mut count, mut is_in_string, mut is_escaped, mut is_in_literal) = (0, false, false, false);
    for byte in json {
        if is_in_string {
            is_in_string = is_escaped || *byte != b'"';
            is_escaped = *byte == b'\\' && !is_escaped;
            continue;
        }
        let (is_start, is_literal) = match byte {
            b'[' | b'{' | b'"' => (true, false),
            b',' | b':' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r' => (false, false),
            // A character of a number, true, false or null.
            _ => (!is_in_literal, true),
        };
        is_in_string = *byte == b'"';
        is_in_literal = is_literal;
        count += usize::from(is_start);
        if count > max {
            return None;
        }
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn count(value: &Value) -> usize {
        match value {
            Value::Array(values) => 1 + values.iter().map(count).sum::<usize>(),
            Value::Object(values) => 1 + values.values().map(|value| 1 + count(value)).sum::<usize>(),
            _ => 1,
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let text = prop_oneof!["[a-z]{0,3}", "[\"\\\\,:\\[{]{0,4}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map(text.clone(), inner, 0..6)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_and_names_are_counted_exactly(value in value(), is_pretty: bool) {
            let body =
                if is_pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
            let count = count(&value);
            prop_assert_eq!(count_values(&body, count), Some(count));
            prop_assert_eq!(count_values(&body, count - 1), None);
        }
    }

    #[test]
    fn byte_order_mark_before_the_body_is_ignored() {
        assert_eq!(
            parse_object("\u{feff}{\"a\":1}".as_bytes()).unwrap(),
            *json!({ "a": 1 }).as_object().unwrap()
        );
        let empty = parse_object("\u{feff}".as_bytes()).unwrap_err();
        assert_eq!(empty.detail, "The request body is empty; it must be a JSON object");
        assert!(parse_object("{\"a\":\u{feff}1}".as_bytes()).is_err());
    }

    #[test]
    fn values_in_all_strings_of_a_request_are_counted() {
        let mut values = 0;
        assert_eq!(parse_text("[1, {\"a\": 2}]", &mut values).unwrap(), json!([1, { "a": 2 }]));
        assert_eq!(values, 5);
        let half = format!("[{}]", vec!["0"; MAX_JSON_VALUES / 2].join(","));
        assert!(parse_text(&half, &mut values).is_ok());
        assert_eq!(parse_text(&half, &mut values).unwrap_err().kind, ErrorKind::PayloadTooLarge);
        let wrong = parse_text("{\"a\"}", &mut 0).unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "400 invalidValue: The value is text that begins like JSON and is not JSON: expected `:` at line 1 column 5"
        );
    }

    #[test]
    fn body_with_too_many_values_is_rejected() {
        let body = |zeros: usize| format!("{{\"a\":[{}]}}", vec!["0"; zeros].join(","));
        assert!(parse_object(body(MAX_JSON_VALUES - 3).as_bytes()).is_ok());
        let error = parse_object(body(MAX_JSON_VALUES - 2).as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "413: Request body has more than 320000 JSON values and names, the maximum; send several requests"
        );
        let group: Value = (0..100_000).map(|number| json!({ "value": number })).collect();
        let group = json!({ "schemas": ["urn"], "displayName": "all", "members": group }).to_string();
        assert!(parse_object(group.as_bytes()).is_ok());
    }
}
