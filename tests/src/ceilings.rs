//! Ceilings for partitions: a DynamoDB that throttles a partition that gets too much load.
//!
//! Each partition key has a bucket of tokens, one for each read and one for each write. Requests to the proxy
//! are the clock: each of them adds tokens to every bucket. So a test with ceilings depends on counts alone,
//! not on time.

use std::collections::{BTreeMap, BTreeSet};

use crate::call::Call;

/// The ceilings of every partition key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceilings {
    /// The most tokens of a bucket. A request takes one for each of its items in the partition, at least one.
    pub burst: u64,
    /// The tokens that each request to the proxy adds to every bucket, in thousandths.
    pub refill_thousandths: u64,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    thousandths: u64,
    /// The number of requests when it was filled last.
    filled_at: u64,
}

/// The buckets of a proxy with ceilings.
#[derive(Debug)]
pub(crate) struct Buckets {
    ceilings: Ceilings,
    requests: u64,
    reads: BTreeMap<String, Bucket>,
    writes: BTreeMap<String, Bucket>,
    throttled: BTreeMap<String, usize>,
}

impl Buckets {
    pub(crate) fn new(ceilings: Ceilings) -> Self {
        Self {
            ceilings,
            requests: 0,
            reads: BTreeMap::new(),
            writes: BTreeMap::new(),
            throttled: BTreeMap::new(),
        }
    }

    /// Takes the tokens of a request. Returns the partitions that lack tokens. If there is one, no token is
    /// taken.
    pub(crate) fn take(&mut self, call: &Call) -> BTreeSet<String> {
        self.requests += 1;
        let mut wanted: BTreeMap<String, u64> = call.partitions().into_iter().map(|pk| (pk, 0)).collect();
        for key in call.keys() {
            *wanted.entry(key.pk).or_default() += 1;
        }
        let (Ceilings { burst, refill_thousandths }, requests) = (self.ceilings, self.requests);
        let full = Bucket { thousandths: burst * 1_000, filled_at: requests };
        let buckets = if call.is_write() { &mut self.writes } else { &mut self.reads };
        let mut lacking = BTreeSet::new();
        for (pk, tokens) in &wanted {
            let bucket = buckets.entry(pk.clone()).or_insert(full);
            let added = (requests - bucket.filled_at) * refill_thousandths;
            *bucket =
                Bucket { thousandths: full.thousandths.min(bucket.thousandths + added), filled_at: requests };
            // A request that needs more than a full bucket gets through when the bucket is full.
            if bucket.thousandths < (*tokens).clamp(1, burst) * 1_000 {
                lacking.insert(pk.clone());
            }
        }
        for pk in &lacking {
            *self.throttled.entry(pk.clone()).or_default() += 1;
        }
        if lacking.is_empty() {
            for (pk, tokens) in wanted {
                if let Some(bucket) = buckets.get_mut(&pk) {
                    bucket.thousandths = bucket.thousandths.saturating_sub(tokens.max(1) * 1_000);
                }
            }
        }
        lacking
    }

    /// How many requests were throttled because of each partition.
    pub(crate) fn throttled(&self) -> BTreeMap<String, usize> {
        self.throttled.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn key(pk: &str) -> Value {
        json!({ "pk": { "S": pk }, "sk": { "S": "s" } })
    }

    fn get(pk: &str) -> Call {
        Call { operation: "GetItem".to_owned(), body: json!({ "Key": key(pk) }) }
    }

    fn delete(pks: &[&str]) -> Call {
        let items: Vec<Value> = pks.iter().map(|pk| json!({ "Delete": { "Key": key(pk) } })).collect();
        Call { operation: "TransactWriteItems".to_owned(), body: json!({ "TransactItems": items }) }
    }

    fn is_served(buckets: &mut Buckets, call: &Call) -> bool {
        buckets.take(call).is_empty()
    }

    #[test]
    fn partition_is_throttled_when_its_bucket_is_empty_and_requests_refill_it() {
        let mut buckets = Buckets::new(Ceilings { burst: 2, refill_thousandths: 500 });
        let served: Vec<bool> = (0..5).map(|_| is_served(&mut buckets, &get("p"))).collect();
        // The second request adds half a token, and so does the third: 2 - 1 + 0.5 - 1 + 0.5 - 1.
        assert_eq!(served, [true, true, true, false, true]);
        assert!(is_served(&mut buckets, &get("q")), "another partition");
        assert_eq!(buckets.throttled(), BTreeMap::from([("p".to_owned(), 1)]));
    }

    #[test]
    fn reads_and_writes_have_different_buckets() {
        let mut buckets = Buckets::new(Ceilings { burst: 1, refill_thousandths: 0 });
        assert!(is_served(&mut buckets, &get("p")));
        assert!(is_served(&mut buckets, &delete(&["p"])));
        assert!(!is_served(&mut buckets, &delete(&["p"])));
    }

    #[test]
    fn throttled_request_takes_no_tokens_of_its_other_partitions() {
        let mut buckets = Buckets::new(Ceilings { burst: 1, refill_thousandths: 0 });
        assert!(is_served(&mut buckets, &delete(&["p"])));
        assert_eq!(buckets.take(&delete(&["p", "q"])), BTreeSet::from(["p".to_owned()]));
        assert!(is_served(&mut buckets, &delete(&["q"])));
    }

    #[test]
    fn request_with_more_items_than_a_full_bucket_is_served_by_a_full_bucket() {
        let mut buckets = Buckets::new(Ceilings { burst: 2, refill_thousandths: 1_000 });
        assert!(is_served(&mut buckets, &delete(&["p", "p", "p"])));
        assert!(!is_served(&mut buckets, &delete(&["p", "p", "p"])));
        assert!(is_served(&mut buckets, &delete(&["p", "p", "p"])));
    }
}
