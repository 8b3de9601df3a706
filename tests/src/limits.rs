//! The limits of DynamoDB on AWS for one request. The embedded engine does not enforce all of them.
//!
//! The source is "Constraints in Amazon DynamoDB" in the developer guide, and the page of each call in the
//! API reference. [`check`] sees the request alone, so it cannot know the sizes of items that the request
//! updates, deletes or reads; [`check_answer`] sees what a transaction read.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::call::Call;
use crate::key_condition::{KeyCondition, tokens};

const MAX_PARTITION_KEY_BYTES: usize = 2_048;
const MAX_SORT_KEY_BYTES: usize = 1_024;
const MAX_ITEM_BYTES: usize = 400 * 1_024;
const MAX_EXPRESSION_BYTES: usize = 4 * 1_024;
const MAX_TRANSACTION_ITEMS: usize = 100;
const MAX_TRANSACTION_BYTES: usize = 4 * 1_024 * 1_024;
const MAX_TOKEN_BYTES: usize = 36;
const MAX_BATCH_READS: usize = 100;
const MAX_BATCH_WRITES: usize = 25;
const MAX_BATCH_BYTES: usize = 16 * 1_024 * 1_024;
const MAX_NESTING: usize = 32;

/// The names of the expressions of a request or of one operation in a transaction.
const EXPRESSIONS: [&str; 5] = [
    "ConditionExpression",
    "FilterExpression",
    "KeyConditionExpression",
    "ProjectionExpression",
    "UpdateExpression",
];

/// Checks a request.
///
/// # Errors
/// A sentence that names the limit that the request breaks.
pub fn check(call: &Call) -> Result<(), String> {
    let body = &call.body;
    match call.operation.as_str() {
        "TransactWriteItems" | "TransactGetItems" => check_transaction(call)?,
        "BatchWriteItem" => check_batch_write(call)?,
        "BatchGetItem" => {
            check_count("keys of a batch", call.keys().len(), MAX_BATCH_READS)?;
            for key in tables(body).flat_map(|table| list(&table["Keys"])) {
                check_key(key)?;
            }
            check_distinct(call)?;
        }
        "Query" => {
            check_operation(body)?;
            check_query(body)?;
        }
        "GetItem" | "PutItem" | "UpdateItem" | "DeleteItem" | "Scan" => check_operation(body)?,
        _ => {}
    }
    Ok(())
}

/// Checks the answer to a request that this module accepted.
///
/// # Errors
/// A sentence that names the limit.
pub fn check_answer(call: &Call, answer: &Value) -> Result<(), String> {
    if call.operation != "TransactGetItems" {
        return Ok(());
    }
    let read: usize = list(&answer["Responses"]).map(|response| size_of_item(&response["Item"])).sum();
    check_size("the items that a transaction reads", read, MAX_TRANSACTION_BYTES)
}

/// The size of an item in bytes, as DynamoDB counts it: its names, and its values without their types.
pub fn size_of_item(item: &Value) -> usize {
    attributes(item).map(|(name, value)| name.len() + size_of(value)).sum()
}

fn check_transaction(call: &Call) -> Result<(), String> {
    let actions = call.actions();
    check_count("items of a transaction", actions.len(), MAX_TRANSACTION_ITEMS)?;
    let mut bytes = 0;
    for (_, action) in actions {
        check_operation(action)?;
        bytes += size_of_item(&action["Item"])
            + size_of_item(&action["Key"])
            + size_of_item(&action["ExpressionAttributeValues"]);
    }
    check_size("a transaction", bytes, MAX_TRANSACTION_BYTES)?;
    if let Some(token) = call.body["ClientRequestToken"].as_str()
        && !(1..=MAX_TOKEN_BYTES).contains(&token.len())
    {
        return Err(format!(
            "the token of a transaction is {} bytes; the maximum is {MAX_TOKEN_BYTES}",
            token.len()
        ));
    }
    check_distinct(call)
}

fn check_batch_write(call: &Call) -> Result<(), String> {
    check_count("requests of a batch", call.keys().len(), MAX_BATCH_WRITES)?;
    for write in tables(&call.body).flat_map(list) {
        let (item, key) = (&write["PutRequest"]["Item"], &write["DeleteRequest"]["Key"]);
        if item.is_object() {
            check_item(item)?;
        } else {
            check_key(key)?;
        }
    }
    // The items of a batch are smaller together, but the request can be longer than they are.
    check_size("the request of a batch", call.body.to_string().len(), MAX_BATCH_BYTES)?;
    check_distinct(call)
}

/// Checks a request for one item, an operation in a transaction, or a Query or Scan.
fn check_operation(operation: &Value) -> Result<(), String> {
    if let Some(key) = operation.get("Key") {
        check_key(key)?;
    }
    if let Some(item) = operation.get("Item") {
        check_item(item)?;
    }
    if let Some(start) = operation.get("ExclusiveStartKey") {
        check_key(start)?;
    }
    if operation.get("Limit").is_some_and(|limit| limit.as_u64().is_none_or(|limit| limit == 0)) {
        return Err(format!("Limit is {}; the minimum is 1", operation["Limit"]));
    }
    check_expressions(operation)
}

fn check_query(query: &Value) -> Result<(), String> {
    let condition = KeyCondition::of(query)?;
    check_key_text("pk", &condition.pk, MAX_PARTITION_KEY_BYTES)?;
    if let Some(sort) = &condition.sort {
        for operand in &sort.operands {
            check_key_text("sk", operand, MAX_SORT_KEY_BYTES)?;
        }
        if let [first, last] = &sort.operands[..]
            && first > last
        {
            return Err(format!("BETWEEN {first:?} AND {last:?} has its bounds in the wrong order"));
        }
    }
    match query.get("ExclusiveStartKey").and_then(crate::call::key_of) {
        Some(start) if !condition.matches(&start) => {
            Err(format!("the start key {start:?} is outside of the condition {condition:?}"))
        }
        _ => Ok(()),
    }
}

fn check_key(key: &Value) -> Result<(), String> {
    let names: BTreeSet<&str> = attributes(key).map(|(name, _)| name).collect();
    if names != BTreeSet::from(["pk", "sk"]) {
        return Err(format!("a key has the attributes {names:?} instead of pk and sk"));
    }
    check_key_attributes(key)
}

fn check_key_attributes(item: &Value) -> Result<(), String> {
    for (name, max_bytes) in [("pk", MAX_PARTITION_KEY_BYTES), ("sk", MAX_SORT_KEY_BYTES)] {
        let text =
            item[name]["S"].as_str().ok_or_else(|| format!("the key attribute {name} is not a string"))?;
        check_key_text(name, text, max_bytes)?;
    }
    Ok(())
}

fn check_key_text(name: &str, text: &str, max_bytes: usize) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("the key attribute {name} is an empty string"));
    }
    check_size(&format!("the key attribute {name}"), text.len(), max_bytes)
}

fn check_item(item: &Value) -> Result<(), String> {
    check_key_attributes(item)?;
    for (name, value) in attributes(item) {
        check_value(name, value, 1)?;
    }
    check_size("an item", size_of_item(item), MAX_ITEM_BYTES)
}

fn check_value(name: &str, value: &Value, depth: usize) -> Result<(), String> {
    if depth > MAX_NESTING {
        return Err(format!("{name} is nested more than {MAX_NESTING} levels deep"));
    }
    let Some((kind, content)) = value.as_object().and_then(|value| value.iter().next()) else {
        return Err(format!("{name} has no type"));
    };
    match kind.as_str() {
        "SS" | "NS" | "BS" => {
            let members: Vec<String> = list(content).map(Value::to_string).collect();
            if members.is_empty() {
                return Err(format!("{name} is an empty set"));
            }
            if members.iter().collect::<BTreeSet<_>>().len() < members.len() {
                return Err(format!("the set {name} has a member twice"));
            }
            Ok(())
        }
        "L" => list(content).try_for_each(|value| check_value(name, value, depth + 1)),
        "M" => attributes(content).try_for_each(|(name, value)| check_value(name, value, depth + 1)),
        _ => Ok(()),
    }
}

fn check_expressions(operation: &Value) -> Result<(), String> {
    let expressions = EXPRESSIONS.iter().filter_map(|name| Some((*name, operation.get(*name)?.as_str()?)));
    let mut used = BTreeSet::new();
    for (name, text) in expressions {
        if text.is_empty() {
            return Err(format!("{name} is empty"));
        }
        check_size(name, text.len(), MAX_EXPRESSION_BYTES)?;
        let tokens = tokens(text);
        check_prefixes(name, &tokens, operation)?;
        let placeholders = tokens.iter().flat_map(|token| token.split('.'));
        used.extend(placeholders.filter(|part| part.starts_with([':', '#'])).map(str::to_owned));
    }
    let mut defined = BTreeSet::new();
    for (name, first) in [("ExpressionAttributeValues", ':'), ("ExpressionAttributeNames", '#')] {
        let Some(map) = operation.get(name).and_then(Value::as_object) else { continue };
        if map.is_empty() {
            return Err(format!("{name} is empty"));
        }
        check_placeholders(name, first, map)?;
        defined.extend(map.keys().cloned());
    }
    if let Some(undefined) = used.difference(&defined).next() {
        return Err(format!("{undefined} is used in an expression and has no value"));
    }
    match defined.difference(&used).next() {
        Some(unused) => Err(format!("{unused} has a value and is used in no expression")),
        None => Ok(()),
    }
}

fn check_placeholders(name: &str, first: char, map: &Map<String, Value>) -> Result<(), String> {
    for (placeholder, value) in map {
        if !placeholder.starts_with(first) {
            return Err(format!("{placeholder} of {name} does not begin with {first:?}"));
        }
        if first == ':' {
            check_value(placeholder, value, 1)?;
        }
    }
    Ok(())
}

/// Refuses an empty prefix in `begins_with`.
fn check_prefixes(name: &str, tokens: &[String], operation: &Value) -> Result<(), String> {
    let mut calls = tokens.windows(5).filter(|window| window[0].eq_ignore_ascii_case("begins_with"));
    let empty = calls.find(|call| operation["ExpressionAttributeValues"][&call[4]]["S"] == "");
    match empty {
        Some(call) => Err(format!("{} in begins_with of {name} is an empty string", call[4])),
        None => Ok(()),
    }
}

fn check_distinct(call: &Call) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    match call.keys().into_iter().find(|key| !seen.insert(key.clone())) {
        Some(twice) => Err(format!("{} has two operations on {twice:?}", call.operation)),
        None => Ok(()),
    }
}

fn check_count(what: &str, count: usize, max: usize) -> Result<(), String> {
    if (1..=max).contains(&count) {
        Ok(())
    } else {
        Err(format!("{count} {what}; from 1 to {max} are allowed"))
    }
}

fn check_size(what: &str, bytes: usize, max_bytes: usize) -> Result<(), String> {
    if bytes <= max_bytes {
        Ok(())
    } else {
        Err(format!("{what} is {bytes} bytes; the maximum is {max_bytes}"))
    }
}

fn size_of(value: &Value) -> usize {
    let Some((kind, content)) = value.as_object().and_then(|value| value.iter().next()) else { return 0 };
    let text = content.as_str().unwrap_or_default();
    match kind.as_str() {
        "S" => text.len(),
        "N" => size_of_number(text),
        // Base64 has 4 characters for 3 bytes.
        "B" => text.len() / 4 * 3,
        "SS" => list(content).map(|member| member.as_str().unwrap_or_default().len()).sum(),
        "NS" => list(content).map(|member| size_of_number(member.as_str().unwrap_or_default())).sum(),
        "BS" => list(content).map(|member| member.as_str().unwrap_or_default().len() / 4 * 3).sum(),
        "L" => 3 + list(content).map(|value| 1 + size_of(value)).sum::<usize>(),
        "M" => 3 + attributes(content).map(|(name, value)| 1 + name.len() + size_of(value)).sum::<usize>(),
        // Booleans and null.
        _ => 1,
    }
}

/// About one byte for two significant digits, and one more.
fn size_of_number(text: &str) -> usize {
    text.chars().filter(char::is_ascii_digit).count().div_ceil(2) + 1
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn attributes(item: &Value) -> impl Iterator<Item = (&str, &Value)> {
    item.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn tables(body: &Value) -> impl Iterator<Item = &Value> {
    body["RequestItems"].as_object().into_iter().flat_map(|tables| tables.values())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(sk: impl Into<String>) -> Value {
        json!({ "pk": { "S": "p" }, "sk": { "S": sk.into() } })
    }

    fn item(sk: impl Into<String>, name: &str, value: Value) -> Value {
        let mut item = key(sk);
        item[name] = value;
        item
    }

    fn put(sk: impl Into<String>, name: &str, value: Value) -> Value {
        json!({ "Put": { "Item": item(sk, name, value) } })
    }

    fn text(bytes: usize) -> Value {
        json!({ "S": "x".repeat(bytes) })
    }

    fn refusal(operation: &str, body: Value) -> Option<String> {
        check(&Call { operation: operation.to_owned(), body }).err()
    }

    fn assert_limit(operation: &str, allowed: Value, refused: Value, part: &str) {
        assert_eq!(refusal(operation, allowed), None, "{operation}, {part}");
        let refusal = refusal(operation, refused);
        assert!(
            refusal.as_ref().is_some_and(|text| text.contains(part)),
            "{operation}: {refusal:?}, not {part}"
        );
    }

    fn transaction(items: impl IntoIterator<Item = Value>) -> Value {
        json!({ "TransactItems": items.into_iter().collect::<Vec<_>>() })
    }

    fn batch(requests: impl IntoIterator<Item = Value>) -> Value {
        json!({ "RequestItems": { "t": requests.into_iter().collect::<Vec<_>>() } })
    }

    fn batch_get(keys: impl IntoIterator<Item = Value>) -> Value {
        json!({ "RequestItems": { "t": { "Keys": keys.into_iter().collect::<Vec<_>>() } } })
    }

    fn query(condition: &str, values: Value) -> Value {
        json!({ "KeyConditionExpression": condition, "ExpressionAttributeValues": values })
    }

    #[test]
    fn transaction_has_at_most_4_mb() {
        let puts = |count: usize| transaction((0..count).map(|n| put(n.to_string(), "doc", text(400_000))));
        assert_limit("TransactWriteItems", puts(10), puts(11), "a transaction is 4400");
    }

    #[test]
    fn values_of_updates_count_for_the_size_of_a_transaction() {
        let update = |sk: String| {
            json!({ "Update": {
                "Key": key(sk), "UpdateExpression": "SET doc = :d", "ExpressionAttributeValues": { ":d": text(400_000) }
            } })
        };
        let updates = |count: usize| transaction((0..count).map(|n| update(n.to_string())));
        assert_limit("TransactWriteItems", updates(10), updates(11), "a transaction is");
    }

    #[test]
    fn transaction_reads_at_most_4_mb() {
        let call = Call { operation: "TransactGetItems".to_owned(), body: json!({}) };
        let answer = |count: usize| {
            let item = json!({ "Item": item("a", "doc", text(400_000)) });
            json!({ "Responses": vec![item; count] })
        };
        assert_eq!(check_answer(&call, &answer(10)), Ok(()));
        assert!(check_answer(&call, &answer(11)).unwrap_err().contains("transaction reads"));
    }

    #[test]
    fn transaction_has_1_to_100_items() {
        let puts = |count: usize| transaction((0..count).map(|n| put(n.to_string(), "a", text(1))));
        let gets =
            |count: usize| transaction((0..count).map(|n| json!({ "Get": { "Key": key(n.to_string()) } })));
        assert_limit("TransactWriteItems", puts(100), puts(101), "101 items");
        assert_limit("TransactGetItems", gets(100), gets(101), "101 items");
        assert_limit("TransactWriteItems", puts(1), puts(0), "0 items");
    }

    #[test]
    fn transaction_has_one_operation_for_each_item() {
        let delete = |sk: &str| json!({ "Delete": { "Key": key(sk) } });
        let two = |sk| transaction([put("a", "x", text(1)), delete(sk)]);
        assert_limit("TransactWriteItems", two("b"), two("a"), "two operations");
    }

    #[test]
    fn token_of_a_transaction_has_at_most_36_bytes() {
        let with_token = |bytes| {
            let mut body = transaction([put("a", "x", text(1))]);
            body["ClientRequestToken"] = "x".repeat(bytes).into();
            body
        };
        assert_limit("TransactWriteItems", with_token(36), with_token(37), "token");
    }

    #[test]
    fn batch_write_has_1_to_25_requests() {
        let deletes = |count: usize| {
            batch((0..count).map(|n| json!({ "DeleteRequest": { "Key": key(n.to_string()) } })))
        };
        assert_limit("BatchWriteItem", deletes(25), deletes(26), "26 requests");
        assert_limit("BatchWriteItem", deletes(1), deletes(0), "0 requests");
    }

    #[test]
    fn batch_write_has_one_operation_for_each_item() {
        let delete = |sk: &str| json!({ "DeleteRequest": { "Key": key(sk) } });
        let put = json!({ "PutRequest": { "Item": key("a") } });
        let two = |sk| batch([put.clone(), delete(sk)]);
        assert_limit("BatchWriteItem", two("b"), two("a"), "two operations");
    }

    #[test]
    fn request_of_a_batch_write_has_at_most_16_mb() {
        // JSON needs 6 bytes for a control character.
        let value = json!({ "S": "\u{1}".repeat(400_000) });
        let put = |n: usize| json!({ "PutRequest": { "Item": item(n.to_string(), "doc", value.clone()) } });
        let puts = |count: usize| batch((0..count).map(put));
        assert_limit("BatchWriteItem", puts(6), puts(7), "the request of a batch is 16");
    }

    #[test]
    fn batch_get_has_1_to_100_different_keys() {
        let keys = |count: usize| batch_get((0..count).map(|n| key(n.to_string())));
        assert_limit("BatchGetItem", keys(100), keys(101), "101 keys");
        assert_limit("BatchGetItem", keys(1), keys(0), "0 keys");
        let two = |sk| batch_get([key("a"), key(sk)]);
        assert_limit("BatchGetItem", two("b"), two("a"), "two operations");
    }

    #[test]
    fn partition_key_has_1_to_2048_bytes() {
        let with = |pk: String| json!({ "pk": { "S": pk }, "sk": { "S": "s" } });
        for operation in ["GetItem", "DeleteItem"] {
            let get = |bytes: usize| json!({ "Key": with("x".repeat(bytes)) });
            assert_limit(operation, get(2_048), get(2_049), "pk is 2049 bytes");
            assert_limit(operation, get(1), get(0), "pk is an empty string");
        }
        let put = |bytes: usize| json!({ "Item": with("x".repeat(bytes)) });
        assert_limit("PutItem", put(2_048), put(2_049), "pk is 2049 bytes");
        let query = |bytes: usize| query("pk = :pk", json!({ ":pk": text(bytes) }));
        assert_limit("Query", query(2_048), query(2_049), "pk is 2049 bytes");
        assert_limit("Query", query(1), query(0), "pk is an empty string");
    }

    #[test]
    fn sort_key_has_1_to_1024_bytes() {
        let get = |bytes: usize| json!({ "Key": key("x".repeat(bytes)) });
        assert_limit("GetItem", get(1_024), get(1_025), "sk is 1025 bytes");
        assert_limit("GetItem", get(1), get(0), "sk is an empty string");
        let batch = |bytes: usize| batch_get([key("x".repeat(bytes))]);
        assert_limit("BatchGetItem", batch(1_024), batch(1_025), "sk is 1025 bytes");
        for condition in ["pk = :pk AND sk >= :a", "pk = :pk AND begins_with(sk, :a)", "sk = :a AND pk = :pk"]
        {
            let query = |bytes: usize| query(condition, json!({ ":pk": text(1), ":a": text(bytes) }));
            assert_limit("Query", query(1_024), query(1_025), "sk is 1025 bytes");
            assert_limit("Query", query(1), query(0), "an empty string");
        }
    }

    #[test]
    fn key_has_no_other_attribute() {
        let get = |key: Value| json!({ "Key": key });
        assert_limit("GetItem", get(key("a")), get(item("a", "x", text(1))), "instead of pk and sk");
    }

    #[test]
    fn item_has_at_most_400_kb() {
        let rest = size_of_item(&item("a", "doc", text(0)));
        let put = |bytes: usize| json!({ "Item": item("a", "doc", text(bytes - rest)) });
        assert_limit("PutItem", put(409_600), put(409_601), "an item is 409601 bytes");
        let batch =
            |bytes: usize| batch([json!({ "PutRequest": { "Item": item("a", "doc", text(bytes - rest)) } })]);
        assert_limit("BatchWriteItem", batch(409_600), batch(409_601), "an item is 409601 bytes");
    }

    #[test]
    fn size_of_an_item_counts_names_and_values() {
        for (value, expected) in [
            (json!({ "S": "äb" }), 3),
            (json!({ "N": "12345" }), 4),
            (json!({ "B": "AAAA" }), 3),
            (json!({ "BOOL": true }), 1),
            (json!({ "NULL": true }), 1),
            (json!({ "SS": ["a", "bc"] }), 3),
            (json!({ "L": [{ "S": "a" }, { "BOOL": true }] }), 3 + 2 + 2),
            (json!({ "M": { "xy": { "S": "a" } } }), 3 + 1 + 2 + 1),
        ] {
            let size = size_of_item(&item("a", "name", value.clone()));
            assert_eq!(size, "pk".len() + 1 + "sk".len() + 1 + "name".len() + expected, "{value}");
        }
    }

    #[test]
    fn expression_has_at_most_4_kb() {
        let condition = |bytes: usize| {
            let text = format!("attribute_exists({})", "x".repeat(bytes - "attribute_exists()".len()));
            json!({ "Key": key("a"), "ConditionExpression": text })
        };
        assert_limit("DeleteItem", condition(4_096), condition(4_097), "ConditionExpression is 4097 bytes");
    }

    #[test]
    fn expression_is_not_empty() {
        let condition = |text: &str| json!({ "Key": key("a"), "ConditionExpression": text });
        assert_limit("DeleteItem", condition("attribute_exists(pk)"), condition(""), "is empty");
    }

    #[test]
    fn every_value_is_used_and_every_placeholder_has_a_value() {
        let update = |expression: &str, values: Value| {
            transaction([json!({ "Update": {
                "Key": key("a"), "UpdateExpression": expression, "ExpressionAttributeValues": values,
                "ConditionExpression": "version = :v"
            } })])
        };
        let (one, two) = (json!({ ":v": { "N": "1" } }), json!({ ":v": { "N": "1" }, ":x": { "N": "1" } }));
        let set = "SET x = :x";
        assert_limit("TransactWriteItems", update(set, two.clone()), update(set, one.clone()), ":x is used");
        assert_limit(
            "TransactWriteItems",
            update("REMOVE x", one),
            update("REMOVE x", two),
            "used in no expression",
        );
        let get = |names: Value| json!({ "Key": key("a"), "ProjectionExpression": "#n.x", "ExpressionAttributeNames": names });
        assert_limit(
            "GetItem",
            get(json!({ "#n": "doc" })),
            get(json!({ "#n": "doc", "#m": "x" })),
            "#m has a value",
        );
        let none = json!({ "Key": key("a"), "ExpressionAttributeValues": {} });
        assert_limit("DeleteItem", json!({ "Key": key("a") }), none, "ExpressionAttributeValues is empty");
    }

    #[test]
    fn prefix_is_not_empty() {
        let scan = |bytes: usize| json!({ "FilterExpression": "begins_with(pk, :p)", "ExpressionAttributeValues": { ":p": text(bytes) } });
        assert_limit("Scan", scan(1), scan(0), ":p in begins_with of FilterExpression");
    }

    #[test]
    fn set_is_not_empty_and_has_no_member_twice() {
        for kind in ["SS", "NS", "BS"] {
            let put = |members: Value| json!({ "Item": item("a", "x", json!({ kind: members })) });
            assert_limit("PutItem", put(json!(["1"])), put(json!([])), "x is an empty set");
            assert_limit("PutItem", put(json!(["1", "2"])), put(json!(["1", "1"])), "twice");
        }
        let nested = |members: Value| json!({ "Item": item("a", "x", json!({ "L": [{ "SS": members }] })) });
        assert_limit("PutItem", nested(json!(["1"])), nested(json!([])), "x is an empty set");
        let value = |members: Value| json!({ "Key": key("a"), "UpdateExpression": "ADD x :x", "ExpressionAttributeValues": { ":x": { "SS": members } } });
        assert_limit("UpdateItem", value(json!(["1"])), value(json!([])), ":x is an empty set");
    }

    #[test]
    fn value_is_nested_at_most_32_levels_deep() {
        let nested = |levels: usize| {
            let value = (1..levels).fold(json!({ "S": "x" }), |value, _| json!({ "L": [value] }));
            json!({ "Item": item("a", "x", value) })
        };
        assert_limit("PutItem", nested(32), nested(33), "32 levels");
    }

    #[test]
    fn limit_of_a_query_is_at_least_1() {
        let limited = |limit: usize| {
            let mut query = query("pk = :pk", json!({ ":pk": text(1) }));
            query["Limit"] = limit.into();
            query
        };
        assert_limit("Query", limited(1), limited(0), "the minimum is 1");
    }

    #[test]
    fn bounds_of_between_are_in_order() {
        let between = |first: &str, last: &str| {
            let values = json!({ ":pk": { "S": "p" }, ":a": { "S": first }, ":b": { "S": last } });
            query("pk = :pk AND sk BETWEEN :a AND :b", values)
        };
        assert_limit("Query", between("a", "a"), between("b", "a"), "wrong order");
    }

    #[test]
    fn start_key_of_a_query_fulfils_its_condition() {
        let after = |sk: &str| {
            let mut query =
                query("pk = :pk AND sk >= :a", json!({ ":pk": { "S": "p" }, ":a": { "S": "b" } }));
            query["ExclusiveStartKey"] = key(sk);
            query
        };
        assert_limit("Query", after("b"), after("a"), "outside of the condition");
    }
}
