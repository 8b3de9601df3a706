//! Every error code that AWS documents, at every call to DynamoDB that the service sends: the call is
//! repeated and the request succeeds, or the client gets 500 without AWS's message and nothing is changed.
//! The same for the reasons of cancelled transactions and for batches that DynamoDB processes in part.

use std::sync::Arc;

use directory::{Directory, Table};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::error::ScimError;
use shared::schema::Schemas;
use tests::faults::{Fault, FaultyDynamoDb, RAW_MESSAGE};
use tests::hooks::Action;
use tests::in_process::{InProcess, json_of};
use tests::invariants::assert_invariants;
use tests::provisioning::{USER, add_members_body, create_group, create_users, members_of, patch_body};
use tests::service::{TABLE, TIME_LIMIT, TestConnector, actor, service};

/// The error codes that pass: their HTTP status and code. The list is that of AWS's documentation, not that
/// of the code under test.
const PASSING: [(u16, &str); 14] = [
    (400, "ProvisionedThroughputExceededException"),
    (400, "RequestLimitExceeded"),
    (400, "ThrottlingException"),
    (400, "LimitExceededException"),
    (400, "TransactionConflictException"),
    (400, "TransactionInProgressException"),
    (400, "ReplicatedWriteConflictException"),
    (400, "RequestAbortedException"),
    (408, "RequestTimeoutException"),
    (500, "InternalFailure"),
    (500, "InternalServerError"),
    (500, "UnknownError"),
    (503, "ServiceUnavailable"),
    (503, "ServiceUnavailableException"),
];

/// The error codes that stay.
const STAYING: [(u16, &str); 26] = [
    (400, "TransactionCanceledException"),
    (400, "IdempotentParameterMismatchException"),
    (400, "ConditionalCheckFailedException"),
    (400, "ItemCollectionSizeLimitExceededException"),
    (400, "DuplicateItemException"),
    (400, "ResourceInUseException"),
    (421, "InvalidEndpointException"),
    (400, "ResourceNotFoundException"),
    (400, "ValidationException"),
    (400, "ValidationError"),
    (400, "SerializationException"),
    (400, "MalformedHttpRequestException"),
    (413, "RequestEntityTooLargeException"),
    (404, "UnknownOperationException"),
    (400, "AccessDeniedException"),
    (401, "NotAuthorized"),
    (403, "OptInRequired"),
    (403, "MissingAuthenticationTokenException"),
    (400, "IncompleteSignatureException"),
    (403, "InvalidSignatureException"),
    (403, "InvalidClientTokenId"),
    (400, "UnrecognizedClientException"),
    (403, "ExpiredTokenException"),
    (400, "RequestExpired"),
    (403, "RequestTimeTooSkewed"),
    (400, "InaccessibleEncryptionCredentialsException"),
];

/// The calls to DynamoDB that the service sends.
const CALLS: [&str; 8] = [
    "GetItem",
    "BatchGetItem",
    "Query",
    "Scan",
    "TransactGetItems",
    "TransactWriteItems",
    "UpdateItem",
    "BatchWriteItem",
];

/// What the client reads in a 500.
const DETAIL: &str = "The service provider has an internal error; its operator can find the cause in the log";

/// One connector with a few resources, and a service over a faulty DynamoDB.
struct Setting {
    connector: TestConnector,
    faulty: FaultyDynamoDb,
    requests: InProcess,
    table: Table,
    directory: Directory,
    users: Vec<String>,
    group: String,
}

/// The status and the body of an answer.
type Answer = (u16, Value);

impl Setting {
    async fn new() -> Self {
        let connector = service().connector().await;
        let faulty = FaultyDynamoDb::start(service().endpoint()).await;
        let dynamodb = runtime::dynamodb::client_at(&faulty.endpoint).await;
        let client = connector.local(service());
        let users = create_users(&client, 50).await;
        let group = create_group(&client, "Tour Guides", &users[..3]).await;
        let requests = InProcess::new(dynamodb.clone(), client).await;
        let table =
            Table::new(dynamodb, TABLE.to_owned()).until(tokio::time::Instant::now() + TIME_LIMIT * 10);
        let stored = Arc::new(table.connector(&connector.id).await.unwrap().unwrap());
        let directory = Directory::new(table.clone(), stored, Schemas::built_in(), Timestamp::now(), actor());
        Self { connector, faulty, requests, table, directory, users, group }
    }

    async fn send(&self, method: &str, target: &str, body: &Value) -> Answer {
        let answer = self.requests.send(method, target, Some(body), TIME_LIMIT).await;
        let body = if answer.body().is_empty() { Value::Null } else { json_of(&answer) };
        (answer.status().as_u16(), body)
    }

    /// Sends a request that causes this call, and returns the answer.
    async fn cause(&self, call: &str, name: &str) -> Answer {
        match call {
            "GetItem" => {
                let body = add_members_body(&self.users[..1]);
                self.send("PATCH", &format!("/Groups/{}", self.group), &body).await
            }
            "BatchGetItem" => {
                let target = "/Groups?filter=displayName%20sw%20%22tour%22&excludedAttributes=members";
                self.send("GET", target, &Value::Null).await
            }
            "Query" => self.send("GET", &format!("/Users/{}", self.users[0]), &Value::Null).await,
            "TransactGetItems" => {
                let target = "/Users?filter=userName%20eq%20%22a%22%20or%20userName%20eq%20%22b%22";
                self.send("GET", target, &Value::Null).await
            }
            "TransactWriteItems" => {
                self.send("POST", "/Users", &json!({ "schemas": [USER], "userName": name })).await
            }
            // A group with more members than a transaction can remove.
            "BatchWriteItem" => {
                let group = create_group(&self.connector.local(service()), name, &self.users).await;
                self.send("DELETE", &format!("/Groups/{group}"), &Value::Null).await
            }
            // Only operators' commands scan.
            "Scan" => {
                answer_of(self.directory.check(|_| {}).await.map(|findings| assert_eq!(findings.len(), 0)))
            }
            "UpdateItem" => {
                let usage = self.table.credential_usage(&self.connector.id);
                answer_of(usage.record_use(name, Timestamp::now()).await)
            }
            other => panic!("no request causes {other}"),
        }
    }

    /// The number of users whose userName is this.
    async fn users_named(&self, name: &str) -> Value {
        let client = self.connector.local(service());
        let name = name.replace(' ', "%20");
        let found = client.get(&format!("/Users?filter=userName%20eq%20%22{name}%22")).await.json();
        found["totalResults"].clone()
    }
}

fn answer_of(result: Result<(), ScimError>) -> Answer {
    match result {
        Ok(()) => (200, Value::Null),
        Err(error) => (error.kind.status().0, error.to_json()),
    }
}

fn is_success(answer: &Answer) -> bool {
    (200..300).contains(&answer.0)
}

fn assert_internal_error((status, body): &Answer, context: &str) {
    assert_eq!((*status, &body["detail"]), (500, &json!(DETAIL)), "{context}: {body}");
    assert!(!body.to_string().contains(RAW_MESSAGE), "{context}: {body}");
}

#[tokio::test]
async fn passing_error_at_any_call_is_retried() {
    let setting = Setting::new().await;
    for call in CALLS {
        for (status, code) in PASSING {
            let name = format!("{call} {code}");
            let fault = Action::Fail(Fault::Error { status, code });
            let hook = setting.faulty.at_call(0, move |one| one.operation == call, fault);
            let answer = setting.cause(call, &name).await;
            assert!(is_success(&answer), "{name}: {answer:?}");
            assert!(hook.was_reached() && hook.calls() > 1, "{name}: {} calls", hook.calls());
            if call == "TransactWriteItems" {
                assert_eq!(setting.users_named(&name).await, 1, "{name}");
            }
        }
    }
    assert_invariants(service(), &setting.connector.id).await;
}

#[tokio::test]
async fn staying_error_at_any_call_gives_500_and_changes_nothing() {
    let setting = Setting::new().await;
    let client = setting.connector.local(service());
    for call in CALLS {
        for (status, code) in STAYING {
            let name = format!("{call} {code}");
            let fault = Action::Fail(Fault::Error { status, code });
            let hook = setting.faulty.at_call(0, move |one| one.operation == call, fault);
            let answer = setting.cause(call, &name).await;
            assert!(hook.was_reached(), "{name}");
            if (call, code) == ("UpdateItem", "ConditionalCheckFailedException") {
                // The failed condition of this call is no error: another update follows.
                assert!(is_success(&answer), "{name}: {answer:?}");
                continue;
            }
            assert_internal_error(&answer, &name);
            match call {
                "TransactWriteItems" => assert_eq!(setting.users_named(&name).await, 0, "{name}"),
                // The deletion began in a transaction before this call. The repeated request completes it.
                "BatchWriteItem" => {
                    let target = "/Groups?filter=displayName%20sw%20%22BatchWriteItem%22&count=0";
                    let found = client.get(target).await.json();
                    assert_eq!(found["totalResults"], 0, "{name}");
                }
                _ => {}
            }
            let again = setting.cause(call, &format!("{name} again")).await;
            assert!(is_success(&again), "{name}: {again:?}");
        }
    }
    assert_eq!(members_of(&client, &setting.group).await, setting.users[..3].iter().cloned().collect());
}

#[tokio::test]
async fn cancelled_transaction_is_retried_or_gives_500() {
    let setting = Setting::new().await;
    for call in ["TransactGetItems", "TransactWriteItems"] {
        for (reason, is_retried) in [
            ("None", false),
            ("TransactionConflict", true),
            ("ProvisionedThroughputExceeded", true),
            ("ThrottlingError", true),
            ("ItemCollectionSizeLimitExceeded", false),
            ("ValidationError", false),
            ("DuplicateItem", false),
            ("UnknownReason", false),
        ] {
            let name = format!("{call} {reason}");
            let fault = Action::Fail(Fault::Cancelled(reason));
            let hook = setting.faulty.at_call(0, move |one| one.operation == call, fault);
            let answer = setting.cause(call, &name).await;
            assert!(hook.was_reached(), "{name}");
            if is_retried {
                assert!(is_success(&answer) && hook.calls() == 2, "{name}: {answer:?}");
            } else {
                assert_internal_error(&answer, &name);
                assert_eq!(hook.calls(), 1, "{name}");
            }
            if call == "TransactWriteItems" {
                assert_eq!(setting.users_named(&name).await, usize::from(is_retried), "{name}");
            }
        }
    }
    assert_invariants(service(), &setting.connector.id).await;
}

#[tokio::test]
async fn keys_and_items_that_a_batch_leaves_unprocessed_are_sent_again() {
    let setting = Setting::new().await;
    let client = setting.connector.local(service());
    for number in 0..4 {
        create_group(&client, &format!("tour {number}"), &[]).await;
    }
    for call in ["BatchGetItem", "BatchWriteItem"] {
        // Each half of the rest is left unprocessed once more, until DynamoDB processes nothing of one item.
        let hooks: Vec<_> = (0..4)
            .map(|position| {
                let fault = Action::Fail(Fault::Unprocessed);
                setting.faulty.at_call(position, move |one| one.operation == call, fault)
            })
            .collect();
        let answer = setting.cause(call, &format!("unprocessed {call}")).await;
        assert!(is_success(&answer), "{call}: {answer:?}");
        assert!(hooks.iter().all(|hook| hook.was_reached()), "{call}");
        if call == "BatchGetItem" {
            assert_eq!(answer.1["Resources"].as_array().unwrap().len(), 5, "{}", answer.1);
        }
    }
    assert_invariants(service(), &setting.connector.id).await;
}

#[tokio::test]
async fn failed_condition_of_a_change_repeats_the_change() {
    let setting = Setting::new().await;
    let fault = Action::Fail(Fault::Cancelled("ConditionalCheckFailed"));
    // The first item of the transaction is the user, whose version another request changed meanwhile.
    let hook = setting.faulty.at_call(0, |one| one.operation == "TransactWriteItems", fault);
    let body = patch_body(json!([{ "op": "replace", "path": "title", "value": "Guide" }]));
    let (status, user) = setting.send("PATCH", &format!("/Users/{}", setting.users[0]), &body).await;
    assert_eq!((status, &user["title"]), (200, &json!("Guide")));
    assert!(user["meta"]["version"].as_str().unwrap().starts_with("W/\"2"), "{user}");
    assert_eq!(hook.calls(), 2);
    assert_invariants(service(), &setting.connector.id).await;
}

#[tokio::test]
async fn table_is_created_after_an_error_that_passes() {
    let faulty = FaultyDynamoDb::start(service().endpoint()).await;
    let dynamodb = runtime::dynamodb::client_at(&faulty.endpoint).await;
    for call in ["DescribeTable", "CreateTable", "DescribeTimeToLive", "UpdateTimeToLive"] {
        for (status, code) in
            [(400, "LimitExceededException"), (400, "ThrottlingException"), (500, "InternalServerError")]
        {
            let table = format!("created-{call}-{code}");
            let fault = Action::Fail(Fault::Error { status, code });
            let hook = faulty.at_call(0, move |one| one.operation == call, fault);
            assert_eq!(local::table::ensure(&dynamodb, &table).await, Ok(()), "{table}");
            assert!(hook.was_reached() && hook.calls() > 1, "{table}");
        }
    }
}

#[tokio::test]
async fn table_is_not_created_after_an_error_that_stays() {
    let faulty = FaultyDynamoDb::start(service().endpoint()).await;
    let dynamodb = runtime::dynamodb::client_at(&faulty.endpoint).await;
    for call in ["DescribeTable", "CreateTable", "DescribeTimeToLive", "UpdateTimeToLive"] {
        for (status, code) in
            [(400, "AccessDeniedException"), (400, "ValidationException"), (403, "ExpiredTokenException")]
        {
            let table = format!("refused-{call}-{code}");
            let fault = Action::Fail(Fault::Error { status, code });
            let hook = faulty.at_call(0, move |one| one.operation == call, fault);
            // The operator who starts the service reads the code in one sentence.
            let error = local::table::ensure(&dynamodb, &table).await.unwrap_err();
            assert!(error.contains(code), "{table}: {error}");
            assert!(hook.was_reached() && hook.calls() == 1, "{table}: {} calls", hook.calls());
        }
    }
}

#[tokio::test]
async fn table_that_another_process_creates_at_the_same_time_is_used() {
    let faulty = FaultyDynamoDb::start(service().endpoint()).await;
    let dynamodb = runtime::dynamodb::client_at(&faulty.endpoint).await;
    let table = "created-by-two";
    let other = service().dynamodb();
    let creation = Action::run(async move { local::table::ensure(&other, table).await.unwrap() });
    let hook = faulty.at_call(0, |one| one.operation == "CreateTable", creation);
    assert_eq!(local::table::ensure(&dynamodb, table).await, Ok(()));
    assert!(hook.was_reached());
    faulty.heal();
}
