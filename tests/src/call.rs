//! One request to DynamoDB, as the proxies between the service and the engine see it.

use std::collections::BTreeSet;

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::layout::Key;

/// The operations of a TransactWriteItems request, as its items name them.
const TRANSACTION_ACTIONS: [&str; 5] = ["Put", "Update", "Delete", "ConditionCheck", "Get"];

/// One request to DynamoDB.
#[derive(Clone, Debug)]
pub struct Call {
    /// The operation, such as `GetItem`.
    pub operation: String,
    /// The body.
    pub body: Value,
}

impl Call {
    /// Reads a request.
    ///
    /// # Panics
    /// When the body is not JSON.
    pub fn new(headers: &HeaderMap, body: &[u8]) -> Self {
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        Self { operation, body: serde_json::from_slice(body).expect("a request to DynamoDB is JSON") }
    }

    /// Reads a request of the SDK.
    ///
    /// # Panics
    /// When the body is not in memory, or is not JSON.
    pub fn of(request: &HttpRequest) -> Self {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let target = HeaderValue::from_str(target).expect("the header is text");
        let headers = HeaderMap::from_iter([(HeaderName::from_static("x-amz-target"), target)]);
        Self::new(&headers, request.body().bytes().expect("the body is in memory"))
    }

    /// Whether the request is a transaction.
    pub fn is_transaction(&self) -> bool {
        self.operation.starts_with("Transact")
    }

    /// Whether the request is a transaction that writes.
    pub fn is_change(&self) -> bool {
        self.operation == "TransactWriteItems"
    }

    /// Whether the request writes items.
    pub fn is_write(&self) -> bool {
        let writes = ["TransactWriteItems", "BatchWriteItem", "PutItem", "UpdateItem", "DeleteItem"];
        writes.contains(&self.operation.as_str())
    }

    /// The keys that the request names, in its order. A Query and a Scan name none.
    pub fn keys(&self) -> Vec<Key> {
        let single = ["Key", "Item"].into_iter().filter_map(|name| key_of(self.body.get(name)?));
        let actions = self.actions().into_iter().filter_map(|(_, action)| {
            key_of(action.get("Key").or_else(|| action.get("Item")).unwrap_or(&Value::Null))
        });
        let tables = self.body["RequestItems"].as_object().into_iter().flat_map(|tables| tables.values());
        let batched = tables.flat_map(|table| {
            let keys = table["Keys"].as_array().into_iter().flatten().filter_map(key_of);
            let writes = table.as_array().into_iter().flatten().filter_map(|write| {
                key_of(&write["DeleteRequest"]["Key"]).or_else(|| key_of(&write["PutRequest"]["Item"]))
            });
            keys.chain(writes).collect::<Vec<_>>()
        });
        single.chain(actions).chain(batched).collect()
    }

    /// The operations of a transaction: the name of each (`Put`, `Update`, `Delete`, `ConditionCheck` or
    /// `Get`) and its content.
    pub fn actions(&self) -> Vec<(&'static str, &Value)> {
        let items = self.body["TransactItems"].as_array().into_iter().flatten();
        items
            .filter_map(|item| TRANSACTION_ACTIONS.iter().find_map(|name| Some((*name, item.get(*name)?))))
            .collect()
    }

    /// The partitions that the request reads or writes. A Scan names none.
    pub fn partitions(&self) -> BTreeSet<String> {
        if self.operation == "Query" {
            let pk = self.body["ExpressionAttributeValues"][":pk"]["S"].as_str();
            return pk.map(str::to_owned).into_iter().collect();
        }
        self.keys().into_iter().map(|key| key.pk).collect()
    }
}

/// The key in these attributes.
pub fn key_of(attributes: &Value) -> Option<Key> {
    Some(Key::new(attributes["pk"]["S"].as_str()?, attributes["sk"]["S"].as_str()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(operation: &str, body: Value) -> Call {
        Call { operation: operation.to_owned(), body }
    }

    #[test]
    fn keys_of_every_operation_are_found() {
        let key = |sk: &str| json!({ "pk": { "S": "p" }, "sk": { "S": sk } });
        for (operation, body, expected) in [
            ("GetItem", json!({ "Key": key("a") }), vec!["a"]),
            ("UpdateItem", json!({ "Key": key("a"), "UpdateExpression": "SET x = :x" }), vec!["a"]),
            ("PutItem", json!({ "Item": key("a") }), vec!["a"]),
            (
                "TransactWriteItems",
                json!({ "TransactItems": [
                    { "Put": { "Item": key("a") } }, { "Update": { "Key": key("b") } },
                    { "Delete": { "Key": key("c") } }, { "ConditionCheck": { "Key": key("d") } }
                ] }),
                vec!["a", "b", "c", "d"],
            ),
            ("TransactGetItems", json!({ "TransactItems": [{ "Get": { "Key": key("a") } }] }), vec!["a"]),
            (
                "BatchGetItem",
                json!({ "RequestItems": { "t": { "Keys": [key("a"), key("b")] } } }),
                vec!["a", "b"],
            ),
            (
                "BatchWriteItem",
                json!({ "RequestItems": { "t": [
                    { "DeleteRequest": { "Key": key("a") } }, { "PutRequest": { "Item": key("b") } }
                ] } }),
                vec!["a", "b"],
            ),
            ("Scan", json!({ "TableName": "t" }), vec![]),
        ] {
            let call = call(operation, body);
            let keys: Vec<String> = call.keys().into_iter().map(|key| key.sk).collect();
            assert_eq!(keys, expected, "{operation}");
            assert_eq!(call.partitions().len(), usize::from(!expected.is_empty()), "{operation}");
        }
    }

    #[test]
    fn partition_of_a_query_is_the_value_of_its_condition() {
        let body = json!({ "ExpressionAttributeValues": { ":pk": { "S": "c#user" }, ":a": { "S": "x" } } });
        assert_eq!(call("Query", body).partitions(), BTreeSet::from(["c#user".to_owned()]));
    }
}
