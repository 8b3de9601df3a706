//! Partitions at their ceiling: DynamoDB throttles a partition that gets too much load. The client gets 429
//! with Retry-After, no accepted change is lost, and look-ups are answered during a bulk load. The proxy
//! counts requests instead of seconds.

use std::time::Duration;

use futures_util::future::join_all;
use http::HeaderValue;
use serde_json::{Value, json};
use tests::ceilings::Ceilings;
use tests::faults::FaultyDynamoDb;
use tests::in_process::{InProcess, json_of};
use tests::invariants::assert_invariants;
use tests::provisioning::{USER, create_users};
use tests::service::{TIME_LIMIT, service};

/// The users that a bulk load creates.
const LOADED: usize = 60;
/// The writes that a partition takes before it throttles.
const WRITES: u64 = 25;

fn user(name: &str) -> Value {
    json!({ "schemas": [USER], "userName": name })
}

#[tokio::test]
async fn client_gets_429_at_the_ceiling_and_a_retry_creates_each_user_once() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let faulty = FaultyDynamoDb::start(service().endpoint()).await;
    let dynamodb = runtime::dynamodb::client_at(&faulty.endpoint).await;
    let requests = InProcess::new(dynamodb, client.clone()).await;
    let names: Vec<String> = (0..LOADED).map(|number| format!("loaded{number:03}")).collect();
    faulty.set_ceilings(Ceilings { burst: WRITES, refill_thousandths: 0 });
    let (mut created, mut refused) = (Vec::new(), Vec::new());
    for name in &names {
        let answer = requests.send("POST", "/Users", Some(&user(name)), Duration::from_millis(100)).await;
        match answer.status().as_u16() {
            201 => created.push(name),
            status => {
                assert_eq!(status, 429, "{name}");
                assert_eq!(
                    answer.headers().get("retry-after"),
                    Some(&HeaderValue::from_static("2")),
                    "{name}"
                );
                refused.push(name);
            }
        }
    }
    // Each creation writes the partition of users once.
    assert!(created.len() <= WRITES.try_into().unwrap(), "{} users were created", created.len());
    let throttled = faulty.throttled();
    assert!(throttled.keys().any(|pk| pk.ends_with("#user")), "{throttled:?}");
    faulty.heal();
    for name in refused {
        let again = requests.send("POST", "/Users", Some(&user(name)), TIME_LIMIT).await;
        // A request that got 429 did everything or nothing.
        assert!(matches!(again.status().as_u16(), 201 | 409), "{name}: {}", again.status());
    }
    for name in &names {
        let found = client.get(&format!("/Users?filter=userName%20eq%20%22{name}%22")).await.json();
        assert_eq!(found["totalResults"], 1, "{name}");
    }
    assert_eq!(client.get("/Users?count=0").await.json()["totalResults"], LOADED);
    assert_invariants(service(), &connector.id).await;
}

#[tokio::test]
async fn look_ups_are_answered_while_a_bulk_load_is_at_the_ceiling() {
    let connector = service().connector().await;
    let client = connector.local(service());
    let present = create_users(&client, 5).await;
    let faulty = FaultyDynamoDb::start(service().endpoint()).await;
    let dynamodb = runtime::dynamodb::client_at(&faulty.endpoint).await;
    let requests = InProcess::new(dynamodb, client.clone()).await;
    let names: Vec<String> = (0..LOADED).map(|number| format!("loaded{number:03}")).collect();
    // Without a refill the load cannot end before the look-ups have ended.
    faulty.set_ceilings(Ceilings { burst: WRITES, refill_thousandths: 0 });
    let load = join_all(names.iter().map(async |name| {
        requests.send("POST", "/Users", Some(&user(name)), TIME_LIMIT).await.status().as_u16()
    }));
    let look_ups = async {
        // The load is at the ceiling when a partition throttles.
        while faulty.throttled().is_empty() {
            tokio::task::yield_now().await;
        }
        for id in &present {
            let read = requests.send("GET", &format!("/Users/{id}"), None, TIME_LIMIT).await;
            assert_eq!(read.status(), 200);
            let name = json_of(&read)["userName"].as_str().unwrap().to_owned();
            let filter = format!("/Users?filter=userName%20eq%20%22{name}%22");
            let found = json_of(&requests.send("GET", &filter, None, TIME_LIMIT).await);
            assert_eq!(found["Resources"][0]["id"], **id);
        }
        assert!(faulty.throttled().keys().any(|pk| pk.ends_with("#user")), "{:?}", faulty.throttled());
        // From now on the load gets half a write in each partition for each request to DynamoDB.
        faulty.set_ceilings(Ceilings { burst: WRITES, refill_thousandths: 500 });
    };
    let (statuses, ()) = tokio::join!(load, look_ups);
    assert_eq!(statuses, vec![201; LOADED]);
    assert_eq!(client.get("/Users?count=0").await.json()["totalResults"], LOADED + present.len());
    assert_invariants(service(), &connector.id).await;
}
