//! Transactions that become visible item by item.
//!
//! On AWS, GetItem, TransactGetItems and writes see a transaction completely or not at all. A Query,
//! BatchGetItem or Scan that runs at the same time can see some of its items before and some after it
//! ("Isolation levels" in the page on transactions of the developer guide). The embedded engine never shows
//! that. [`Action::Tear`] lets the proxy show it: the proxy reads the items before it forwards the
//! transaction, and answers those reads with the earlier versions of the late items until the hook is
//! released. Then the transaction is wholly visible, and its client gets the answer. A write of a late item
//! makes it visible first.
//!
//! [`Action::Tear`]: crate::hooks::Action::Tear

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::RwLock;

use crate::call::{Call, key_of};
use crate::forward::{Forward, body_of, dynamodb_answer};
use crate::key_condition::KeyCondition;
use crate::layout::Key;

/// Earlier versions of items by their keys; `None` if the item did not exist.
type Earlier = BTreeMap<Key, Option<Value>>;

/// What readers see of transactions that are not wholly visible.
#[derive(Default)]
pub(crate) struct View(RwLock<Earlier>);

impl View {
    /// Forwards a request. Its answer shows the earlier versions of the late items.
    pub(crate) async fn send(
        &self,
        forward: &Forward,
        call: &Call,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Response<Body> {
        if call.is_write() {
            let keys = call.keys();
            self.0.write().await.retain(|key, _| !keys.contains(key));
        }
        // While a transaction is being applied, no other request is under way.
        let earlier = self.0.read().await;
        let answer = forward.send(headers, body).await;
        if earlier.is_empty() || answer.status() != StatusCode::OK {
            return answer;
        }
        let answer = serde_json::from_slice(&body_of(answer).await).expect("the engine answers JSON");
        dynamodb_answer(200, &with_earlier(call, answer, &earlier))
    }

    /// Applies a transaction. Returns the answer for its client, and the keys of the items that are late.
    pub(crate) async fn tear(
        &self,
        forward: &Forward,
        call: &Call,
        headers: &HeaderMap,
        body: Bytes,
        is_late: &(dyn Fn(&Key) -> bool + Send + Sync),
    ) -> (Response<Body>, Vec<Key>) {
        let mut view = self.0.write().await;
        let keys: Vec<Key> = call.keys().into_iter().filter(|key| is_late(key)).collect();
        let earlier = read(forward, call, headers, &keys).await;
        let answer = forward.send(headers, body).await;
        if answer.status() != StatusCode::OK {
            return (answer, Vec::new());
        }
        view.extend(earlier);
        (answer, keys)
    }

    /// Makes these items visible.
    pub(crate) async fn show(&self, keys: &[Key]) {
        self.0.write().await.retain(|key, _| !keys.contains(key));
    }
}

/// Reads items as they are at one moment.
async fn read(forward: &Forward, call: &Call, headers: &HeaderMap, keys: &[Key]) -> Earlier {
    if keys.is_empty() {
        return Earlier::new();
    }
    let table = call.actions().first().map(|(_, action)| action["TableName"].clone());
    let get = |key: &Key| {
        let attributes = json!({ "pk": { "S": key.pk }, "sk": { "S": key.sk } });
        json!({ "Get": { "TableName": table, "Key": attributes } })
    };
    let request = json!({ "TransactItems": keys.iter().map(get).collect::<Vec<_>>() });
    let mut headers = headers.clone();
    headers.insert("x-amz-target", HeaderValue::from_static("DynamoDB_20120810.TransactGetItems"));
    let answer = forward.send(&headers, Bytes::from(request.to_string())).await;
    assert_eq!(answer.status(), StatusCode::OK, "the items of the transaction are read");
    let answer: Value = serde_json::from_slice(&body_of(answer).await).expect("the engine answers JSON");
    let items = answer["Responses"].as_array().expect("a response for each item").iter();
    keys.iter().cloned().zip(items.map(|response| response.get("Item").cloned())).collect()
}

/// The answer with the earlier versions of these items.
fn with_earlier(call: &Call, mut answer: Value, earlier: &Earlier) -> Value {
    match call.operation.as_str() {
        "BatchGetItem" => {
            let unprocessed = answer["UnprocessedKeys"].clone();
            for (table, items) in answer["Responses"].as_object_mut().into_iter().flatten() {
                let list = items.as_array_mut().expect("the items of a table are a list");
                let is_read = |key: &Key| {
                    let named = |keys: &Value| {
                        let mut keys =
                            keys[table]["Keys"].as_array().into_iter().flatten().filter_map(key_of);
                        keys.any(|one| one == *key)
                    };
                    named(&call.body["RequestItems"]) && !named(&unprocessed)
                };
                replace(list, earlier, is_read);
            }
        }
        "Query" => query_with_earlier(call, &mut answer, earlier),
        // Which segment a deleted item was in is not known, so a Scan does not show it again.
        "Scan" => {
            let list = answer["Items"].as_array_mut().expect("a Scan has items");
            replace(list, earlier, |_| false);
        }
        _ => {}
    }
    answer
}

/// Replaces items by their earlier versions, removes those that did not exist, and adds those that existed
/// and that the request reads.
fn replace(items: &mut Vec<Value>, earlier: &Earlier, is_read: impl Fn(&Key) -> bool) {
    for (key, version) in earlier {
        let position = items.iter().position(|item| key_of(item).as_ref() == Some(key));
        match (position, version) {
            (Some(position), Some(version)) => items[position] = version.clone(),
            (Some(position), None) => drop(items.remove(position)),
            (None, Some(version)) if is_read(key) => items.push(version.clone()),
            (None, _) => {}
        }
    }
}

fn query_with_earlier(call: &Call, answer: &mut Value, earlier: &Earlier) {
    for unsupported in ["FilterExpression", "ProjectionExpression"] {
        assert!(call.body.get(unsupported).is_none(), "a torn Query cannot have {unsupported}");
    }
    let condition = KeyCondition::of(&call.body).expect("the engine accepted the condition");
    let is_ascending = call.body["ScanIndexForward"] != false;
    let (after, last) = (key_of(&call.body["ExclusiveStartKey"]), key_of(&answer["LastEvaluatedKey"]));
    let is_in_order = |first: &Key, second: &Key| if is_ascending { first < second } else { second < first };
    let is_read = |key: &Key| {
        condition.matches(key)
            && after.as_ref().is_none_or(|after| is_in_order(after, key))
            && last.as_ref().is_none_or(|last| is_in_order(key, last))
    };
    let items = answer["Items"].as_array_mut().expect("a Query has items");
    replace(items, earlier, is_read);
    items.sort_by_key(key_of);
    if !is_ascending {
        items.reverse();
    }
    let limit = call.body["Limit"].as_u64().and_then(|limit| usize::try_from(limit).ok());
    let cut = limit.filter(|limit| items.len() > *limit);
    if let Some(limit) = cut {
        items.truncate(limit);
    }
    let (count, end) = (items.len(), items.last().map(|item| json!({ "pk": item["pk"], "sk": item["sk"] })));
    answer["Count"] = count.into();
    if cut.is_some() {
        answer["LastEvaluatedKey"] = end.unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(sk: &str, version: u64) -> Value {
        json!({ "pk": { "S": "p" }, "sk": { "S": sk }, "version": { "N": version.to_string() } })
    }

    fn earlier(versions: &[(&str, Option<u64>)]) -> Earlier {
        let entry = |(sk, version): &(&str, Option<u64>)| {
            (Key::new("p", *sk), version.map(|version| item(sk, version)))
        };
        versions.iter().map(entry).collect()
    }

    /// The sort keys and versions of items.
    fn seen(items: &Value) -> Vec<(&str, &str)> {
        let items = items.as_array().unwrap().iter();
        items
            .map(|item| (item["sk"]["S"].as_str().unwrap(), item["version"]["N"].as_str().unwrap()))
            .collect()
    }

    fn query(more: Value) -> Call {
        let mut body = json!({
            "KeyConditionExpression": "pk = :pk AND sk >= :a",
            "ExpressionAttributeValues": { ":pk": { "S": "p" }, ":a": { "S": "b" } }
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Call { operation: "Query".to_owned(), body }
    }

    #[test]
    fn query_shows_earlier_versions_in_order() {
        let late = earlier(&[("a", Some(1)), ("c", Some(1)), ("d", None), ("e", Some(1))]);
        let answer = json!({ "Items": [item("b", 2), item("c", 2), item("d", 2)], "Count": 3 });
        let torn = with_earlier(&query(json!({})), answer, &late);
        // The first item is outside of the condition.
        assert_eq!(seen(&torn["Items"]), [("b", "2"), ("c", "1"), ("e", "1")]);
        assert_eq!((&torn["Count"], torn.get("LastEvaluatedKey")), (&json!(3), None));
        let descending = query(json!({ "ScanIndexForward": false }));
        let answer = json!({ "Items": [item("d", 2), item("c", 2), item("b", 2)], "Count": 3 });
        let torn = with_earlier(&descending, answer, &late);
        assert_eq!(seen(&torn["Items"]), [("e", "1"), ("c", "1"), ("b", "2")]);
    }

    #[test]
    fn page_of_a_query_has_no_item_of_another_page_and_keeps_its_limit() {
        let late = earlier(&[("b", Some(1)), ("d", Some(1)), ("f", Some(1))]);
        let start = json!({ "pk": { "S": "p" }, "sk": { "S": "b" } });
        let page = query(json!({ "Limit": 2, "ExclusiveStartKey": start }));
        let last = json!({ "pk": { "S": "p" }, "sk": { "S": "e" } });
        let answer = json!({ "Items": [item("c", 2), item("e", 2)], "Count": 2, "LastEvaluatedKey": last });
        let torn = with_earlier(&page, answer, &late);
        assert_eq!(seen(&torn["Items"]), [("c", "2"), ("d", "1")]);
        assert_eq!(torn["LastEvaluatedKey"], json!({ "pk": { "S": "p" }, "sk": { "S": "d" } }));
    }

    #[test]
    fn batch_shows_earlier_versions_of_the_keys_that_it_reads() {
        let key = |sk: &str| json!({ "pk": { "S": "p" }, "sk": { "S": sk } });
        let body = json!({ "RequestItems": { "t": { "Keys": [key("a"), key("b"), key("c"), key("d")] } } });
        let call = Call { operation: "BatchGetItem".to_owned(), body };
        let answer = json!({
            "Responses": { "t": [item("a", 2), item("b", 2)] },
            "UnprocessedKeys": { "t": { "Keys": [key("d")] } }
        });
        let late = earlier(&[("a", Some(1)), ("b", None), ("c", Some(1)), ("d", Some(1)), ("e", Some(1))]);
        let torn = with_earlier(&call, answer, &late);
        assert_eq!(seen(&torn["Responses"]["t"]), [("a", "1"), ("c", "1")]);
    }

    #[test]
    fn single_item_and_transaction_show_the_committed_state() {
        for operation in ["GetItem", "TransactGetItems"] {
            let call = Call { operation: operation.to_owned(), body: json!({}) };
            let answer = json!({ "Item": item("a", 2), "Responses": [{ "Item": item("a", 2) }] });
            assert_eq!(with_earlier(&call, answer.clone(), &earlier(&[("a", Some(1))])), answer);
        }
    }
}
