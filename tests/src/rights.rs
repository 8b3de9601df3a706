//! A local substitute for IAM: a proxy before DynamoDB that refuses every request for which `template.yaml` gives the
//! function no right.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use http::{HeaderMap, Response, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::forward::{Forward, dynamodb_answer};
use crate::template;

/// What one statement of an IAM policy allows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Statement {
    actions: BTreeSet<String>,
    /// The partitions to which the statement is limited. `None` means all partitions.
    leading_keys: Option<Vec<String>>,
}

#[derive(Clone)]
struct Proxy {
    forward: Forward,
    rights: Arc<HashMap<String, Vec<Statement>>>,
}

/// Starts the proxy and returns its URL. `{function}` in the URL is a placeholder for the name of the function.
///
/// # Panics
/// When no port is free, or the template cannot be read.
pub async fn start(engine: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let endpoint =
        format!("http://{}/{{function}}", listener.local_addr().expect("the listener has an address"));
    let rights = Arc::new(rights(&template::read()));
    let router = Router::new().fallback(answer).with_state(Proxy { forward: Forward::to(engine), rights });
    tokio::spawn(async move { axum::serve(listener, router).await.expect("the proxy is served") });
    endpoint
}

async fn answer(State(proxy): State<Proxy>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let function = uri.path().trim_matches('/');
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default();
    let request: Value = serde_json::from_slice(&body).expect("the request is JSON");
    for (action, pk) in required_rights(operation, &request) {
        let allows = |statement: &Statement| {
            let matches = |pattern: &String| is_like(&pk, pattern);
            statement.actions.contains(action)
                && statement.leading_keys.as_ref().is_none_or(|keys| keys.iter().any(matches))
        };
        if !proxy.rights.get(function).is_some_and(|statements| statements.iter().any(allows)) {
            let message = format!("{function} is not authorized to perform dynamodb:{action} on {pk:?}");
            let kind = "com.amazon.coral.service#AccessDeniedException";
            return dynamodb_answer(400, &json!({ "__type": kind, "Message": message }));
        }
    }
    proxy.forward.send(&headers, body).await
}

/// The IAM actions that a request needs, each with its partition. The partition is empty if the request names
/// none.
fn required_rights<'r>(operation: &'r str, request: &Value) -> Vec<(&'r str, String)> {
    let pk = |key: &Value| key["pk"]["S"].as_str().unwrap_or_default().to_owned();
    if operation == "Query" {
        let pk = request["ExpressionAttributeValues"][":pk"]["S"].as_str().unwrap_or_default();
        return vec![(operation, pk.to_owned())];
    }
    if operation == "TransactGetItems" {
        let items = request["TransactItems"].as_array().expect("a transaction has items").iter();
        return items.map(|item| ("GetItem", pk(&item["Get"]["Key"]))).collect();
    }
    if operation == "BatchWriteItem" {
        let tables = request["RequestItems"].as_object().expect("a batch names its tables");
        let requests =
            tables.values().flat_map(|requests| requests.as_array().expect("a table has requests"));
        let pks = requests.map(|request| match request.get("DeleteRequest") {
            Some(delete) => pk(&delete["Key"]),
            None => pk(&request["PutRequest"]["Item"]),
        });
        return pks.map(|pk| (operation, pk)).collect();
    }
    if operation != "TransactWriteItems" {
        return vec![(operation, pk(&request["Key"]))];
    }
    let items = request["TransactItems"].as_array().expect("a transaction has items").iter();
    let action = |item: &Value| match item {
        item if item.get("Put").is_some() => ("PutItem", pk(&item["Put"]["Item"])),
        item if item.get("Update").is_some() => ("UpdateItem", pk(&item["Update"]["Key"])),
        item if item.get("Delete").is_some() => ("DeleteItem", pk(&item["Delete"]["Key"])),
        item => ("ConditionCheckItem", pk(&item["ConditionCheck"]["Key"])),
    };
    items.map(action).collect()
}

/// Whether a text matches a pattern of IAM, in which `*` stands for any characters.
fn is_like(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| is_like(&rest[at..], after))
        }),
    }
}

/// The statements of the policies of each function.
fn rights(template: &Value) -> HashMap<String, Vec<Statement>> {
    let policies: HashMap<&str, Vec<Statement>> = template::resources(template, "AWS::IAM::ManagedPolicy")
        .into_iter()
        .map(|(id, policy)| {
            let statements = policy["Properties"]["PolicyDocument"]["Statement"].as_array();
            (id, statements.expect("a policy has a list of statements").iter().map(statement).collect())
        })
        .collect();
    template::functions(template)
        .into_iter()
        .map(|(function, properties)| {
            let statements = template::policies(properties).into_iter().flat_map(|id| policies[id].clone());
            (function.to_owned(), statements.collect())
        })
        .collect()
}

fn statement(statement: &Value) -> Statement {
    assert_eq!(statement["Effect"], "Allow", "{statement}");
    assert_eq!(statement["Resource"], json!({ "Fn::GetAtt": "Table.Arn" }), "{statement}");
    let action =
        |action: &str| action.strip_prefix("dynamodb:").expect("the action is one of DynamoDB").to_owned();
    let leading_keys = statement.get("Condition").map(|condition| {
        strings(&condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]).map(str::to_owned).collect()
    });
    Statement { actions: strings(&statement["Action"]).map(action).collect(), leading_keys }
}

/// The strings of a list. IAM also accepts one string in place of a list.
fn strings(value: &Value) -> impl Iterator<Item = &str> {
    let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    values.iter().map(|value| value.as_str().expect("each value is a string"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_stands_for_any_characters() {
        for (text, pattern, expected) in [
            ("okta#user", "*#user", true),
            ("okta#group/1", "*#group/*", true),
            ("okta#group", "*#group/*", false),
            ("used/okta", "used/*", true),
            ("connectors", "connectors", true),
            ("okta#user", "*#group", false),
        ] {
            assert_eq!(is_like(text, pattern), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn rights_of_each_function_are_read_from_the_template() {
        let rights = rights(&template::read());
        let set =
            |actions: &[&str]| actions.iter().map(|action| (*action).to_owned()).collect::<BTreeSet<_>>();
        let keys = vec!["used/*".to_owned(), "attempts/*".to_owned()];
        let expected = [
            Statement { actions: set(&["GetItem", "Query", "BatchGetItem"]), leading_keys: None },
            Statement { actions: set(&["UpdateItem"]), leading_keys: Some(keys) },
        ];
        assert_eq!((rights.len(), &rights["users-get"][..]), (23, &expected[..]));
        assert_eq!(rights["fallback"].len(), 3);
        let credentials =
            Statement { actions: set(&["Query"]), leading_keys: Some(vec!["*#connector".to_owned()]) };
        assert!(rights["schemas-get"].contains(&credentials));
    }
}
