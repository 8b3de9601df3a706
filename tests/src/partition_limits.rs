//! A DynamoDB client that throttles hot partitions as AWS does, by the clock: each partition key gets the read and write
//! units a second of one partition.
//!
//! [`ceilings`](crate::ceilings) counts requests instead of time, for tests. This is for measurements. The items of one
//! partition key start on one partition. AWS splits it after some minutes of load; here it is never split.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::config::Builder;
use aws_smithy_runtime_api::client::http::{
    HttpClient as _, HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use axum::body::Body;
use http::Response;
use serde_json::Value;

use crate::call::Call;
use crate::faults::throttled;
use crate::forward::body_of;
use crate::heat::{Heat, READ_UNITS_A_SECOND, WRITE_UNITS_A_SECOND};

/// The limits of all partitions of a table.
#[derive(Clone, Debug)]
pub struct PartitionLimits(Arc<Mutex<Partitions>>);

#[derive(Debug)]
struct Partitions {
    began: Instant,
    reads: HashMap<String, Bucket>,
    writes: HashMap<String, Bucket>,
    throttled: BTreeMap<String, u64>,
}

/// The units that a partition has left. They are below 0 after a request that used more than were left: DynamoDB reports
/// the units of a request only after it.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    units: f64,
    filled_at: Duration,
}

impl Bucket {
    fn fill(&mut self, a_second: f64, now: Duration) {
        let added = now.saturating_sub(self.filled_at).as_secs_f64() * a_second;
        *self = Self { units: (self.units + added).min(a_second), filled_at: now };
    }
}

impl Default for PartitionLimits {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Partitions::new())))
    }
}

impl PartitionLimits {
    /// The configuration of this client with these limits.
    ///
    /// # Panics
    /// When the client has no HTTP client.
    pub fn limited(&self, client: &DynamoDb) -> Builder {
        let engine = client.config().http_client().expect("the client has an HTTP client");
        let limits = self.clone();
        client.config().to_builder().http_client(http_client_fn(move |settings, components| {
            SharedHttpConnector::new(LimitedConnector {
                connector: engine.http_connector(settings, components),
                limits: limits.clone(),
            })
        }))
    }

    /// How many requests were throttled because of each partition key.
    pub fn throttled(&self) -> BTreeMap<String, u64> {
        self.partitions().throttled.clone()
    }

    fn partitions(&self) -> MutexGuard<'_, Partitions> {
        self.0.lock().expect("no thread panicked with the lock")
    }
}

impl Partitions {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            reads: HashMap::new(),
            writes: HashMap::new(),
            throttled: BTreeMap::new(),
        }
    }

    /// Returns the partition keys of a request that have no units left.
    fn hot(&mut self, call: &Call, now: Duration) -> BTreeSet<String> {
        let is_write = call.is_write();
        let mut hot = call.partitions();
        hot.retain(|pk| self.bucket(pk, is_write, now).units <= 0.0);
        for pk in &hot {
            *self.throttled.entry(pk.clone()).or_default() += 1;
        }
        hot
    }

    /// Takes the units that a request used.
    fn take(&mut self, heat: &Heat, now: Duration) {
        for (pk, used) in heat.partitions() {
            for (is_write, units) in [(false, used.read), (true, used.write)] {
                if units > 0.0 {
                    self.bucket(pk, is_write, now).units -= units;
                }
            }
        }
    }

    fn bucket(&mut self, pk: &str, is_write: bool, now: Duration) -> &mut Bucket {
        let (buckets, a_second) = if is_write {
            (&mut self.writes, WRITE_UNITS_A_SECOND)
        } else {
            (&mut self.reads, READ_UNITS_A_SECOND)
        };
        let bucket = buckets.entry(pk.to_owned()).or_insert(Bucket { units: a_second, filled_at: now });
        bucket.fill(a_second, now);
        bucket
    }
}

#[derive(Debug)]
struct LimitedConnector {
    connector: SharedHttpConnector,
    limits: PartitionLimits,
}

impl HttpConnector for LimitedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (connector, limits) = (self.connector.clone(), self.limits.clone());
        HttpConnectorFuture::new(async move {
            let call = Call::of(&request);
            let hot = {
                let mut partitions = limits.partitions();
                let now = partitions.began.elapsed();
                partitions.hot(&call, now)
            };
            if !hot.is_empty() {
                return Ok(sdk_response(throttled(&call, &hot)).await);
            }
            let answer = connector.call(request).await?;
            let body: Value =
                serde_json::from_slice(answer.body().bytes().unwrap_or_default()).unwrap_or_default();
            let mut heat = Heat::default();
            heat.add(&call, &body, consumed_units(&body));
            let mut partitions = limits.partitions();
            let now = partitions.began.elapsed();
            partitions.take(&heat, now);
            Ok(answer)
        })
    }
}

/// The units that an answer of DynamoDB reports: of one table, or of a list of tables. An error reports none.
fn consumed_units(answer: &Value) -> f64 {
    let units = |capacity: &Value| capacity["CapacityUnits"].as_f64().unwrap_or_default();
    match &answer["ConsumedCapacity"] {
        Value::Array(tables) => tables.iter().map(units).sum(),
        table => units(table),
    }
}

async fn sdk_response(answer: Response<Body>) -> HttpResponse {
    let status = StatusCode::try_from(answer.status().as_u16()).expect("the status is valid");
    HttpResponse::new(status, SdkBody::from(body_of(answer).await.to_vec()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(operation: &str, pk: &str) -> Call {
        let key = json!({ "pk": { "S": pk }, "sk": { "S": "s" } });
        Call { operation: operation.to_owned(), body: json!({ "Key": key }) }
    }

    fn use_units(partitions: &mut Partitions, call: &Call, units: f64, now: Duration) {
        let mut heat = Heat::default();
        heat.add(call, &json!({}), units);
        partitions.take(&heat, now);
    }

    #[test]
    fn partition_is_throttled_until_its_units_are_back() {
        let (mut partitions, write) = (Partitions::new(), call("UpdateItem", "p"));
        let at = Duration::from_millis;
        assert!(partitions.hot(&write, at(0)).is_empty());
        // A second has 1,000 write units, so 1,500 are back after half a second more than the first 1,000 last.
        use_units(&mut partitions, &write, 1_500.0, at(0));
        assert_eq!(partitions.hot(&write, at(500)), BTreeSet::from(["p".to_owned()]));
        assert!(partitions.hot(&write, at(501)).is_empty());
        assert!(partitions.hot(&call("UpdateItem", "q"), at(0)).is_empty(), "another partition");
        assert_eq!(partitions.throttled, BTreeMap::from([("p".to_owned(), 1)]));
    }

    #[test]
    fn reads_have_units_of_their_own_and_unused_units_of_a_second_are_lost() {
        let (mut partitions, read) = (Partitions::new(), call("GetItem", "p"));
        let at = Duration::from_secs;
        use_units(&mut partitions, &call("UpdateItem", "p"), 2_000.0, at(0));
        assert!(partitions.hot(&read, at(0)).is_empty());
        use_units(&mut partitions, &read, 3_000.0, at(60));
        assert_eq!(partitions.hot(&read, at(60)).len(), 1);
    }

    #[test]
    fn units_of_one_table_and_of_a_list_are_found() {
        assert_eq!(consumed_units(&json!({ "ConsumedCapacity": { "CapacityUnits": 1.5 } })), 1.5);
        assert_eq!(consumed_units(&json!({ "ConsumedCapacity": [{ "CapacityUnits": 4.0 }] })), 4.0);
        assert_eq!(consumed_units(&json!({ "__type": "ThrottlingException" })), 0.0);
    }
}
