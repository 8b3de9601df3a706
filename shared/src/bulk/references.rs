//! References of Bulk operations to resources that other operations create (RFC 7644 §3.7.2): `bulkId:NAME`.
//!
//! A string is a reference, or has quoted ones, as in the filter of a PATCH path: `members[value eq "bulkId:ann"]`.

use serde_json::Value;

use super::ResolvedBulkIds;

/// The beginning of a reference.
pub const PREFIX: &str = "bulkId:";
const QUOTED_PREFIX: &str = "\"bulkId:";

/// Finds the bulkIds in a string.
pub fn find(text: &str) -> impl Iterator<Item = &str> {
    let whole = text.strip_prefix(PREFIX);
    let parts = whole.is_none().then(|| text.split(QUOTED_PREFIX).skip(1)).into_iter().flatten();
    whole.into_iter().chain(parts.filter_map(|part| Some(part.split_once('"')?.0)))
}

/// Replaces each reference in a value by the id of its resource.
pub fn replace(value: &mut Value, resolved: &ResolvedBulkIds) {
    match value {
        Value::String(text) => {
            if let Some(replaced) = with_ids(text, resolved) {
                *text = replaced;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| replace(value, resolved)),
        Value::Object(values) => values.values_mut().for_each(|value| replace(value, resolved)),
        _ => {}
    }
}

/// Copies a string with ids instead of references. Returns `None` if it has no reference.
fn with_ids(text: &str, resolved: &ResolvedBulkIds) -> Option<String> {
    if let Some(name) = text.strip_prefix(PREFIX) {
        return resolved.get(name).cloned();
    }
    let mut parts = text.split(QUOTED_PREFIX);
    let mut out = parts.next().filter(|first| first.len() < text.len())?.to_owned();
    for part in parts {
        let resolved = part.split_once('"').and_then(|(name, rest)| Some((resolved.get(name)?, rest)));
        match resolved {
            Some((id, rest)) => out.extend(["\"", id, "\"", rest]),
            None => out.extend([QUOTED_PREFIX, part]),
        }
    }
    Some(out)
}

/// Calls a function with each string in a value.
pub fn for_each_string<'v>(value: &'v Value, call: &mut impl FnMut(&'v str)) {
    match value {
        Value::String(text) => call(text),
        Value::Array(values) => values.iter().for_each(|value| for_each_string(value, call)),
        Value::Object(values) => values.values().for_each(|value| for_each_string(value, call)),
        _ => {}
    }
}
