//! The request trail never changes or delays a response: its write is one attempt, within a budget, and what gets lost is counted.
//! Pages of it are read without the rest.

use std::sync::atomic::{AtomicI64, Ordering};

use directory::connectors::ConnectorId;
use directory::trail::{Filter, Page, Record, StatusFilter, Subject};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shared::resource::ResourceId;
use tests::call::Call;
use tests::faults::Fault;
use tests::faulty_service::FaultyService;
use tests::hooks::Action;
use tests::in_process::{InProcess, json_of};
use tests::provisioning::USER;
use tests::service::{TIME_LIMIT, service};
use tests::trail::{read_records, read_trail};

/// Whether a request to DynamoDB writes the trail.
fn writes_trail(call: &Call) -> bool {
    call.operation == "BatchWriteItem" && call.partitions().iter().any(|pk| pk.starts_with("trail/"))
}

fn without_a_name() -> Value {
    json!({ "schemas": [USER] })
}

#[tokio::test]
async fn response_is_the_same_after_one_attempt_if_the_trail_cannot_be_written() {
    let faulty = FaultyService::new().await;
    let expected = faulty.send("POST", "/Users", &without_a_name()).await;
    let mut lost = 0;
    for fault in [
        Fault::Throttled,
        Fault::NoCapacity,
        Fault::ServerError,
        Fault::LostRequest,
        Fault::Denied,
        Fault::Unprocessed,
    ] {
        let hook = faulty.dynamodb.at_call(0, writes_trail, Action::Fail(fault));
        let reply = faulty.send("POST", "/Users", &without_a_name()).await;
        assert!(hook.was_reached(), "{fault:?}");
        assert_eq!(hook.calls(), 1, "{fault:?}: one attempt");
        assert_eq!((reply.status(), json_of(&reply)), (expected.status(), json_of(&expected)), "{fault:?}");
        faulty.dynamodb.heal();
        lost += 1;
    }
    // The next record says how many were lost. What DynamoDB processed of a batch is there anyway.
    faulty.send("POST", "/Users", &without_a_name()).await;
    faulty.send("POST", "/Users", &without_a_name()).await;
    let records = read_records(&faulty.service, &faulty.connector.id).await;
    let counts: Vec<u64> =
        records.iter().map(|record| record["dropped_before"].as_u64().unwrap_or_default()).collect();
    assert_eq!(counts[counts.len() - 2..], [lost, 0], "{records:?}");
}

#[tokio::test]
async fn response_does_not_wait_for_a_trail_that_hangs() {
    let faulty = FaultyService::new().await;
    let dynamodb = runtime::dynamodb::client_at(&faulty.dynamodb.endpoint).await;
    let process = InProcess::with_short_trail_timeout(dynamodb, faulty.client());
    for action in [Action::HoldRequest, Action::HoldAnswer] {
        let hook = faulty.dynamodb.at_call(0, writes_trail, action);
        // The write would hang until the hook is released, which is after the response.
        let reply = process.send("POST", "/Users", Some(&without_a_name()), TIME_LIMIT).await;
        assert_eq!(reply.status(), 400);
        assert_eq!(hook.calls(), 1);
        hook.release();
    }
}

#[tokio::test]
async fn successful_requests_write_no_trail() {
    let faulty = FaultyService::new().await;
    let hook = faulty.dynamodb.at_call(usize::MAX, writes_trail, Action::HoldRequest);
    let created = faulty.send("POST", "/Users", &json!({ "schemas": [USER], "userName": "ann" })).await;
    assert_eq!(created.status(), 201);
    assert_eq!(faulty.send("GET", "/Users", &Value::Null).await.status(), 200);
    assert_eq!(hook.calls(), 0);
}

/// The clock of the process in the test of its budget, in seconds since 1970.
static CLOCK: AtomicI64 = AtomicI64::new(0);

fn clock() -> Timestamp {
    Timestamp::from_second(CLOCK.load(Ordering::SeqCst)).unwrap()
}

#[tokio::test]
async fn process_writes_a_limited_number_of_records_a_minute_and_counts_the_others() {
    let connector = service().connector().await;
    let start = Timestamp::now().as_second();
    CLOCK.store(start - start.rem_euclid(60), Ordering::SeqCst);
    let process = InProcess::with_clock(service().dynamodb(), connector.local(service()), clock);
    let post = |number: usize| json!({ "method": "POST", "path": "/Users", "bulkId": number.to_string(), "data": {} });
    let operations: Vec<Value> = (0..20).map(post).collect();
    let bulk = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations
    });
    // Each request makes 21 records: 57 of them make 1,197, and 3 of the next one fit.
    for _ in 0..60 {
        assert_eq!(process.send("POST", "/Bulk", Some(&bulk), TIME_LIMIT).await.status(), 200);
    }
    CLOCK.fetch_add(60, Ordering::SeqCst);
    process.send("POST", "/Bulk", Some(&bulk), TIME_LIMIT).await;
    let items = read_trail(service(), &connector.id).await;
    let documents = items.values().filter_map(|item| item.get("doc")?.as_s().ok());
    let records: Vec<Value> = documents.map(|doc| serde_json::from_str(doc).unwrap()).collect();
    // All requests of this process have the same id and, in one minute, the same time. So they share the keys of their records.
    assert_eq!(records.len(), 42);
    let last = records.iter().rfind(|record| record["operation"].is_null()).unwrap();
    // The 18 operations of the 58th request, and the records of 2 requests.
    assert_eq!(last["dropped_before"], 60);
}

fn record(number: usize, minutes_ago: i64, status: u16, name: &str, id: Option<ResourceId>) -> Record {
    let now = Timestamp::now();
    Record {
        time: now - SignedDuration::from_mins(minutes_ago),
        request: format!("request-{number}"),
        operation: None,
        method: "POST".to_owned(),
        path: "/okta/scim/v2/Users".to_owned(),
        status,
        scim_type: None,
        detail: Some(format!("failure {number}")),
        ms: 12,
        credential: "c".to_owned(),
        kind: Some("User".to_owned()),
        resource: id.map(|id| id.to_string()),
        name: Some(name.to_owned()),
        ignored: Vec::new(),
        shown: None,
        failed_operations: 0,
        unrecorded_operations: 0,
        dropped_before: 0,
    }
}

/// The numbers of the requests on all pages of this size.
async fn numbers(connector: &ConnectorId, filter: &Filter, limit: usize) -> Vec<usize> {
    let table = service().table();
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let Page { records, next } =
            table.trail(connector).page(filter, cursor.as_deref(), limit).await.unwrap();
        assert!(records.len() <= limit);
        found.extend(records.iter().map(|record| record.request[8..].parse::<usize>().unwrap()));
        match next {
            Some(next) => cursor = Some(next),
            None => return found,
        }
    }
}

#[tokio::test]
async fn pages_have_the_newest_records_of_their_filter() {
    let connector = service().connector().await.id;
    let ann = ResourceId::from_random_bytes([7; 16]);
    // Record 0 is the newest. They are 19 minutes apart, so they are in six days. Every third is about Ann: by name or by id.
    let all: Vec<Record> = (0..400)
        .map(|number| {
            let (name, id) = match number % 6 {
                0 => ("Ann@Example.com", None),
                3 => ("other", Some(ann)),
                _ => ("bob", None),
            };
            record(
                number,
                1 + 19 * i64::try_from(number).unwrap(),
                if number % 4 == 0 { 409 } else { 500 },
                name,
                id,
            )
        })
        .collect();
    let table = service().table();
    for some in all.chunks(50) {
        table.trail(&connector).write(some.to_vec()).await.unwrap();
    }
    let now = Timestamp::now();
    let every = Filter::until(now);
    assert_eq!(numbers(&connector, &every, 7).await, (0..400).collect::<Vec<_>>());
    assert_eq!(numbers(&connector, &every, 1_000).await.len(), 400);
    let conflicts = Filter { status: Some(StatusFilter::Code(409)), ..every.clone() };
    assert_eq!(numbers(&connector, &conflicts, 30).await, (0..400).step_by(4).collect::<Vec<_>>());
    let failures = Filter { status: Some(StatusFilter::Class(5)), ..every.clone() };
    assert_eq!(numbers(&connector, &failures, 100).await.len(), 300);
    let subjects = vec![Subject::Name("ann@example.COM".to_owned()), Subject::Id(ann)];
    let about_ann = Filter { subjects, ..every.clone() };
    for limit in [1, 10, 1_000] {
        assert_eq!(numbers(&connector, &about_ann, limit).await, (0..400).step_by(3).collect::<Vec<_>>());
    }
    let recent = Filter { since: now - SignedDuration::from_mins(60), ..about_ann.clone() };
    assert_eq!(numbers(&connector, &recent, 10).await, [0, 3]);
    let older = Filter { until: now - SignedDuration::from_mins(19 * 390), ..about_ann };
    assert_eq!(numbers(&connector, &older, 10).await, [390, 393, 396, 399]);
    assert_eq!(table.trail(&connector).one("request-123", now).await.unwrap(), [all[123].clone()].map(at_ms));
    assert_eq!(table.trail(&connector).one("request-12", now).await.unwrap(), [all[12].clone()].map(at_ms));
    assert_eq!(table.trail(&connector).one("request-999", now).await.unwrap(), []);
    for cursor in ["x", "2026-11-30", "/"] {
        let error = table.trail(&connector).page(&every, Some(cursor), 1).await.unwrap_err();
        assert_eq!(error.kind.status(), (400, Some("invalidCursor")), "{cursor}");
    }
}

/// A record as it is read: the time has milliseconds.
fn at_ms(record: Record) -> Record {
    Record { time: Timestamp::from_millisecond(record.time.as_millisecond()).unwrap(), ..record }
}

#[tokio::test]
async fn deletion_of_a_connector_deletes_its_trail() {
    let connector = service().connector().await.id;
    let records: Vec<Record> =
        (0..8).map(|day| record(day, 24 * 60 * i64::try_from(day).unwrap() - 60, 400, "ann", None)).collect();
    service().table().trail(&connector).write(records).await.unwrap();
    assert_eq!(read_trail(service(), &connector).await.len(), 24);
    let directory = service().directory(&connector).await;
    let leftovers = service().connectors().leftovers(|_| ()).await.unwrap();
    assert!(leftovers.iter().all(|leftover| leftover.connector != connector));
    directory.delete_connector(|_| ()).await.unwrap();
    assert_eq!(read_trail(service(), &connector).await.len(), 0);
}
