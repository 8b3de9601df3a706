//! A local substitute for IAM's check of requests: a proxy before DynamoDB that refuses every request for which
//! `template.yaml` gives no right.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use http::{HeaderMap, Response, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::call::{Call, key_of};
use crate::forward::{Forward, dynamodb_answer};
use crate::iam::{Access, Statement, is_allowed};
use crate::template;

/// The statements that apply to each principal: a function, or a person who has only one managed policy.
type Rights = HashMap<String, Vec<Statement>>;

#[derive(Clone)]
struct Proxy {
    forward: Forward,
    rights: Arc<Rights>,
}

/// Starts the proxy and returns its URL. `{function}` in the URL is a placeholder for the principal: the name of a
/// function, or the id of a managed policy.
///
/// # Panics
/// When no port is free, or the template cannot be read.
pub async fn start(engine: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let endpoint =
        format!("http://{}/{{function}}", listener.local_addr().expect("the listener has an address"));
    let rights = Arc::new(rights(&template::resolved(&[])));
    let router = Router::new().fallback(answer).with_state(Proxy { forward: Forward::to(engine), rights });
    tokio::spawn(async move { axum::serve(listener, router).await.expect("the proxy is served") });
    endpoint
}

async fn answer(State(proxy): State<Proxy>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let principal = uri.path().trim_matches('/');
    let statements = proxy.rights.get(principal).map(Vec::as_slice).unwrap_or_default();
    for access in accesses(&Call::new(&headers, &body)) {
        if !is_allowed(statements, &access) {
            let Access { action, leading_keys } = access;
            let message =
                format!("{principal} is not authorized to perform dynamodb:{action} on {leading_keys:?}");
            let kind = "com.amazon.coral.service#AccessDeniedException";
            return dynamodb_answer(400, &json!({ "__type": kind, "Message": message }));
        }
    }
    proxy.forward.send(&headers, body).await
}

/// The accesses that a request needs. IAM checks the action of each item of a transaction. The documentation does not say
/// whether it checks the items with one action together. This does, because it is the stricter rule.
fn accesses(call: &Call) -> Vec<Access> {
    if !call.is_transaction() {
        let leading_keys = Some(call.partitions()).filter(|partitions| !partitions.is_empty());
        return vec![Access { action: call.operation.clone(), leading_keys }];
    }
    let mut partitions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (action, content) in call.actions() {
        let key = key_of(&content["Key"]).or_else(|| key_of(&content["Item"]));
        let key = key.expect("each item of a transaction has a key");
        partitions.entry(format!("{action}Item")).or_default().insert(key.pk);
    }
    let access = |(action, partitions)| Access { action, leading_keys: Some(partitions) };
    partitions.into_iter().map(access).collect()
}

/// The statements about the table of each function's policies, and those of each managed policy alone.
fn rights(template: &Value) -> Rights {
    let mut rights: Rights = template::resources(template, "AWS::IAM::ManagedPolicy")
        .into_iter()
        .map(|(id, policy)| {
            let statements = policy["Properties"]["PolicyDocument"]["Statement"].as_array();
            let statements = statements.expect("a policy has a list of statements").iter();
            let on_table = statements.filter(|one| one["Resource"] == json!({ "Fn::GetAtt": "Table.Arn" }));
            (id.to_owned(), on_table.map(Statement::parse).collect())
        })
        .collect();
    for (function, properties) in template::functions(template) {
        let policies = template::policies(properties).into_iter();
        let statements = policies.flat_map(|policy| rights[policy].clone()).collect();
        rights.insert(function.to_owned(), statements);
    }
    rights
}

#[cfg(test)]
mod tests {
    use service::routes::{OTHER_FUNCTIONS, ROUTES};

    use super::*;

    fn access(action: &str, keys: Option<&[&str]>) -> Access {
        let leading_keys = keys.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect());
        Access { action: action.to_owned(), leading_keys }
    }

    fn call(operation: &str, body: Value) -> Call {
        let target = format!("DynamoDB_20120810.{operation}").parse().unwrap();
        Call::new(
            &HeaderMap::from_iter([("x-amz-target".parse().unwrap(), target)]),
            body.to_string().as_bytes(),
        )
    }

    #[test]
    fn request_needs_a_right_for_each_of_its_actions_and_partitions() {
        let key = |pk: &str| json!({ "pk": { "S": pk }, "sk": { "S": "x" } });
        let query = json!({ "ExpressionAttributeValues": { ":pk": { "S": "a" } } });
        let batch = json!({ "RequestItems": { "t": { "Keys": [key("a"), key("b")] } } });
        let writes = json!({ "RequestItems": { "t": [
            { "DeleteRequest": { "Key": key("a") } }, { "PutRequest": { "Item": key("b") } },
        ] } });
        let transaction = json!({ "TransactItems": [
            { "Put": { "Item": key("a") } },
            { "Update": { "Key": key("b") } },
            { "ConditionCheck": { "Key": key("c") } },
            { "Put": { "Item": key("d") } },
        ] });
        let reads = json!({ "TransactItems": [{ "Get": { "Key": key("a") } }] });
        let keys: [&[&str]; 4] = [&["a"], &["b"], &["c"], &["a", "b"]];
        for (operation, body, expected) in [
            ("GetItem", json!({ "Key": key("a") }), vec![access("GetItem", Some(keys[0]))]),
            ("PutItem", json!({ "Item": key("a") }), vec![access("PutItem", Some(keys[0]))]),
            ("Query", query, vec![access("Query", Some(keys[0]))]),
            ("BatchGetItem", batch, vec![access("BatchGetItem", Some(keys[3]))]),
            ("BatchWriteItem", writes, vec![access("BatchWriteItem", Some(keys[3]))]),
            ("Scan", json!({}), vec![access("Scan", None)]),
            ("DescribeTable", json!({}), vec![access("DescribeTable", None)]),
            ("TransactGetItems", reads, vec![access("GetItem", Some(keys[0]))]),
            (
                "TransactWriteItems",
                transaction,
                vec![
                    access("ConditionCheckItem", Some(keys[2])),
                    access("PutItem", Some(&["a", "d"])),
                    access("UpdateItem", Some(keys[1])),
                ],
            ),
        ] {
            assert_eq!(accesses(&call(operation, body)), expected, "{operation}");
        }
    }

    #[test]
    fn principals_have_only_the_rights_that_they_need() {
        let rights = rights(&template::resolved(&[]));
        let audit = "okta#audit/2026-11/a";
        for (principal, action, keys, expected) in [
            ("schemas-list", "GetItem", &["connectors"][..], true),
            ("schemas-list", "Query", &["okta#connector"], true),
            ("schemas-list", "Query", &["okta#user"], false),
            ("schemas-list", "GetItem", &["okta#user"], false),
            ("schemas-list", "GetItem", &["attempts/okta/192.0.2.1"], true),
            ("schemas-list", "UpdateItem", &["attempts/okta/192.0.2.1"], true),
            ("schemas-list", "UpdateItem", &["attempts/okta"], true),
            ("schemas-list", "Query", &["attempts/okta"], false),
            ("schemas-list", "UpdateItem", &["connectors"], false),
            (
                "schemas-list",
                "BatchWriteItem",
                &["trail/okta/2026-11-30", "trail/okta/2026-11-30/entries"],
                true,
            ),
            ("schemas-list", "BatchWriteItem", &["trail/okta/2026-11-30", "okta#user"], false),
            ("schemas-list", "PutItem", &["trail/okta/2026-11-30"], false),
            ("users-create", "Query", &["trail/okta/2026-11-30"], false),
            ("AuditDirectory", "Query", &["trail/okta/2026-11-30"], true),
            ("AuditDirectory", "BatchWriteItem", &["trail/okta/2026-11-30"], false),
            ("OperateDirectory", "Query", &["trail/okta/2026-11-30"], true),
            ("directory-sweep", "BatchWriteItem", &["trail/okta/2026-11-30"], false),
            ("feeds-deliver", "BatchWriteItem", &["trail/okta/2026-11-30"], false),
            ("users-get", "Query", &["okta#user"], true),
            ("users-get", "BatchGetItem", &["okta#group", "okta#user"], true),
            ("users-get", "BatchGetItem", &["okta#user", audit], false),
            ("users-get", "Query", &["okta#connector"], true),
            ("users-get", "Query", &[audit], false),
            ("users-get", "Query", &["okta#role"], false),
            ("users-get", "Query", &["okta#intent"], false),
            ("users-get", "GetItem", &["table"], false),
            ("users-get", "UpdateItem", &["used/okta"], true),
            ("users-get", "UpdateItem", &["okta#user"], false),
            ("users-get", "PutItem", &["okta#user"], false),
            ("users-create", "PutItem", &["okta#user", "okta#user.userName", audit], true),
            ("users-create", "PutItem", &["connectors"], false),
            ("users-create", "PutItem", &["okta#connector"], false),
            ("users-create", "PutItem", &["okta#user", "connectors"], false),
            ("users-create", "UpdateItem", &["okta#count"], true),
            ("users-create", "UpdateItem", &["connectors"], false),
            ("users-create", "UpdateItem", &[audit], false),
            ("users-create", "DeleteItem", &["connectors"], false),
            ("users-create", "DeleteItem", &[audit], false),
            ("users-create", "DeleteItem", &["okta#role"], false),
            ("users-create", "BatchWriteItem", &["okta#group/1"], true),
            ("users-create", "BatchWriteItem", &["okta#group/1", audit], false),
            ("users-create", "GetItem", &["used/okta"], false),
            ("users-create", "GetItem", &["token-key/okta"], false),
            ("feeds-poll", "GetItem", &["token-key/okta"], false),
            ("oauth-token", "GetItem", &["token-key/okta"], true),
            ("oauth-token", "GetItem", &["key/okta"], false),
            ("oauth-token", "UpdateItem", &["token-key/okta"], false),
            ("oauth-token", "UpdateItem", &["issuer-keys/okta"], true),
            ("oauth-token", "UpdateItem", &["used-assertion/okta"], true),
            ("oauth-token", "GetItem", &["okta#user"], false),
            ("oauth-metadata-get", "GetItem", &["token-key/okta"], false),
            ("OperateDirectory", "GetItem", &["token-key/okta"], false),
            ("OperateDirectory", "PutItem", &["token-key/okta"], true),
            ("AuditDirectory", "GetItem", &["token-key/okta"], false),
            ("directory-sweep", "Query", &["connectors"], true),
            ("directory-sweep", "Query", &["okta#connector"], false),
            ("directory-sweep", "PutItem", &[audit], false),
            ("directory-sweep", "Query", &["used/okta"], false),
            ("feeds-deliver", "Query", &["used/okta"], true),
            ("feeds-deliver", "UpdateItem", &["used/okta"], false),
            ("feeds-deliver", "GetItem", &["key/okta", "feeds/okta", "okta#user"], true),
            ("feeds-deliver", "BatchWriteItem", &["outbox/okta/platform"], true),
            ("feeds-deliver", "BatchWriteItem", &["okta#user"], false),
            ("feeds-deliver", "UpdateItem", &["feeds/okta"], true),
            ("feeds-deliver", "UpdateItem", &["connectors"], false),
            ("feeds-deliver", "PutItem", &["key/okta"], false),
            ("feeds-deliver", "PutItem", &[audit], false),
            ("OperateDirectory", "PutItem", &["key/okta"], true),
            ("OperateDirectory", "DeleteItem", &["key/okta"], true),
            ("OperateDirectory", "Query", &["key/okta"], false),
            ("OperateDirectory", "PutItem", &[audit], true),
            ("OperateDirectory", "Query", &[audit], true),
            ("OperateDirectory", "UpdateItem", &[audit], false),
            ("OperateDirectory", "DeleteItem", &["okta#user", audit], false),
            ("OperateDirectory", "BatchWriteItem", &["okta#user", audit], false),
            ("OperateDirectory", "BatchWriteItem", &["okta#user", "connectors"], true),
            ("AuditDirectory", "Query", &[audit], true),
            ("AuditDirectory", "GetItem", &["connectors", "okta#user"], true),
            ("AuditDirectory", "PutItem", &[audit], false),
            ("AuditDirectory", "UpdateItem", &["okta#user"], false),
            ("AuditDirectory", "DeleteItem", &["okta#user"], false),
            ("AuditDirectory", "BatchWriteItem", &["okta#user"], false),
        ] {
            let found = is_allowed(&rights[principal], &access(action, Some(keys)));
            assert_eq!(found, expected, "{principal} {action} {keys:?}");
        }
    }

    /// How a principal can read an item of a partition, in the words of docs/trust/security.md. A write and a check of a condition can
    /// return the item.
    fn way_to_read(statements: &[Statement], partition: &str) -> String {
        let may = |action: &&str| is_allowed(statements, &access(action, Some(&[partition])));
        if ["GetItem", "BatchGetItem", "Query"].iter().any(may) {
            return "read".to_owned();
        }
        let by_scan = is_allowed(statements, &access("Scan", None)).then_some("by `Scan`");
        let by_write = ["PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem"].iter().any(may);
        let ways: Vec<&str> = by_scan.into_iter().chain(by_write.then_some("by a write")).collect();
        if ways.is_empty() { "no".to_owned() } else { ways.join(", or ") }
    }

    #[test]
    fn readers_of_private_keys_and_secrets_are_those_that_the_security_page_lists() {
        let rights = rights(&template::resolved(&[]));
        let page = std::fs::read_to_string(crate::workspace().join("docs/trust/security.md")).unwrap();
        let section =
            page.split_once("## Who can read private keys and secrets\n").expect("the page has the table").1;
        let rows: Vec<Vec<&str>> = section
            .lines()
            .skip_while(|line| !line.starts_with('|'))
            .take_while(|line| line.starts_with('|'))
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
            .collect();
        let partitions = ["key/okta", "token-key/okta", "okta#connector", "connectors"];
        let patterns = ["`key/*`", "`token-key/*`", "`*#connector`", "`connectors`"];
        let heading = rows[0][1..].iter().map(|cell| cell.split(':').next().unwrap());
        assert!(heading.eq(patterns), "{:?}", rows[0]);

        let functions = ROUTES.iter().map(|route| route.function).chain(OTHER_FUNCTIONS.iter().copied());
        let mut left: BTreeSet<&str> = functions.chain(["fallback"]).collect();
        for function in &left {
            for (partition, action) in partitions.iter().flat_map(|partition| {
                ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"].map(|action| (partition, action))
            }) {
                let may_write = is_allowed(&rights[*function], &access(action, Some(&[*partition])));
                assert!(!may_write, "{function} {action} {partition}");
            }
        }
        left.extend(["DeliverFeeds", "AuditDirectory", "OperateDirectory"]);
        let outputs = [
            ("DelivererPolicy", "DeliverFeeds"),
            ("AuditorPolicy", "AuditDirectory"),
            ("OperatorPolicy", "OperateDirectory"),
        ];
        let named = |row: &[&str]| -> Vec<String> {
            let names = row[0].split('`').skip(1).step_by(2);
            names
                .map(|name| {
                    outputs.iter().find(|(output, _)| *output == name).map_or(name, |(_, policy)| *policy)
                })
                .map(str::to_owned)
                .collect()
        };
        let check = |principal: &str, row: &[&str]| {
            let found = partitions.map(|partition| way_to_read(&rights[principal], partition));
            assert_eq!(row[1..], found, "{principal}");
        };
        let (others, rows): (Vec<_>, Vec<_>) =
            rows[2..].iter().partition(|row| row[0] == "every other function of a route");
        for row in rows.iter().filter(|row| row[0] != "an administrator of the AWS account") {
            for principal in named(row) {
                assert!(left.remove(principal.as_str()), "{principal} is in one row");
                check(&principal, row);
            }
        }
        for principal in left {
            check(principal, others[0]);
        }
    }

    /// A statement without `Null` would also match a request without partition keys.
    #[test]
    fn functions_may_do_nothing_without_naming_partitions() {
        let rights = rights(&template::resolved(&[]));
        let functions = ROUTES.iter().map(|route| route.function).chain(OTHER_FUNCTIONS.iter().copied());
        for function in functions.chain(["fallback"]) {
            let statements = &rights[function];
            let actions = statements.iter().flat_map(|statement| &statement.actions).map(String::as_str);
            for action in actions.chain(["Scan", "ExecuteStatement", "PartiQLSelect"]) {
                assert!(!is_allowed(statements, &access(action, None)), "{function} {action}");
            }
        }
        for principal in ["OperateDirectory", "AuditDirectory"] {
            assert!(is_allowed(&rights[principal], &access("Scan", None)));
        }
    }
}
