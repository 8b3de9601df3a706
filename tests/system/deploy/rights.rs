//! The rights on the table that `template.yaml` gives functions and operators: reads and writes of other partitions are
//! refused, and nothing but a put touches audit records.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, WriteRequest};
use service::routes::{FALLBACK, OTHER_FUNCTIONS, ROUTES};
use tests::provisioning::create_user;
use tests::service::{TABLE, service};

type Attributes = HashMap<String, AttributeValue>;

async fn client_of(principal: &str) -> DynamoDb {
    runtime::dynamodb::client_at(&service().endpoint_for(principal)).await
}

/// The code of DynamoDB's error; `None` if the request succeeded.
macro_rules! code {
    ($request:expr) => {
        $request.send().await.err().and_then(|error| error.code().map(str::to_owned))
    };
}

const DENIED: Option<&str> = Some("AccessDeniedException");

fn key(pk: &str, sk: &str) -> Attributes {
    let text = |value: &str| AttributeValue::S(value.to_owned());
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

#[tokio::test]
async fn no_function_may_scan_or_write_connectors_or_read_audit_records() {
    let connector = service().connector().await;
    let id = connector.id.to_string();
    let audit = format!("{id}#audit/2026-11/a");
    let functions = ROUTES.iter().map(|route| route.function).chain(OTHER_FUNCTIONS.iter().copied());
    for function in functions.chain([FALLBACK]) {
        let client = client_of(function).await;
        let denied = [
            code!(client.scan().table_name(TABLE)),
            code!(client.get_item().table_name(TABLE).set_key(Some(key(&audit, "x")))),
            code!(client.delete_item().table_name(TABLE).set_key(Some(key("connectors", &id)))),
            code!(client.put_item().table_name(TABLE).set_item(Some(key("connectors", &id)))),
            code!(client.put_item().table_name(TABLE).set_item(Some(key(&format!("{id}#connector"), "x")))),
            code!(client.update_item().table_name(TABLE).set_key(Some(key("connectors", &id)))),
        ];
        assert!(denied.iter().all(|code| code.as_deref() == DENIED), "{function}: {denied:?}");
    }
}

#[tokio::test]
async fn audit_records_can_be_put_but_not_changed_or_deleted() {
    let connector = service().connector().await;
    let user = create_user(&connector.local(service()), "ann").await;
    let month = &jiff::Timestamp::now().to_string()[..7];
    let pk = format!("{}#audit/{month}/{}", connector.id, &user[..1]);
    let records = async || {
        let query = service().dynamodb().query().table_name(TABLE).key_condition_expression("pk = :pk");
        query
            .expression_attribute_values(":pk", AttributeValue::S(pk.clone()))
            .send()
            .await
            .unwrap()
            .items()
            .to_vec()
    };
    let before = records().await;
    // If the id begins with 0, the partition also has the record of the connector.
    assert!(!before.is_empty(), "the creation of the user is recorded");
    let record = key(&pk, before[0]["sk"].as_s().unwrap());
    let delete = DeleteRequest::builder().set_key(Some(record.clone())).build().unwrap();
    let delete = WriteRequest::builder().delete_request(delete).build();
    for principal in ["users-create", "bulk-process", FALLBACK, "OperateDirectory"] {
        let client = client_of(principal).await;
        let codes = [
            code!(client.update_item().table_name(TABLE).set_key(Some(record.clone()))),
            code!(client.delete_item().table_name(TABLE).set_key(Some(record.clone()))),
            code!(client.batch_write_item().request_items(TABLE, vec![delete.clone()])),
            code!(client.put_item().table_name(TABLE).set_item(Some(key(&pk, principal)))),
        ];
        assert_eq!(codes.each_ref().map(Option::as_deref), [DENIED, DENIED, DENIED, None], "{principal}");
    }
    assert_eq!(records().await.len(), before.len() + 4);
    assert!(records().await.contains(&before[0]), "the record is unchanged");
}

#[tokio::test]
async fn private_keys_are_read_only_by_the_functions_that_sign_with_them() {
    let connector = service().connector().await;
    let keys_of_feeds = key(&format!("key/{}", connector.id), "x");
    let token_keys = key(&format!("token-key/{}", connector.id), "x");
    let functions = ROUTES.iter().map(|route| route.function).chain(OTHER_FUNCTIONS.iter().copied());
    for principal in functions.chain([FALLBACK, "OperateDirectory", "AuditDirectory"]) {
        let client = client_of(principal).await;
        for (private, readers) in [
            (&keys_of_feeds, &["feeds-poll", "feeds-deliver", FALLBACK][..]),
            (&token_keys, &["oauth-token", FALLBACK]),
        ] {
            let read = code!(client.get_item().table_name(TABLE).set_key(Some(private.clone())));
            let expected = if readers.contains(&principal) { None } else { DENIED };
            assert_eq!(read.as_deref(), expected, "{principal} {private:?}");
        }
    }
}
