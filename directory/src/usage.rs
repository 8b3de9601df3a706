//! What requests to DynamoDB cost: counted for each request of a client, from what DynamoDB reports anyway.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemOutput;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsOutput;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsOutput;
use aws_sdk_dynamodb::operation::update_item::UpdateItemOutput;
use aws_sdk_dynamodb::types::ConsumedCapacity;

/// What the requests of a handle to DynamoDB cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Requests that were sent, also those that failed and were sent again.
    pub calls: u64,
    /// Capacity units of reads. DynamoDB reports none for a request that failed.
    pub read_units: f64,
    /// Capacity units of writes.
    pub write_units: f64,
    /// How often a request or a change was tried again: it was throttled, its answer was lost, or another writer was faster.
    pub retries: u64,
    /// Requests that DynamoDB refused because there were too many.
    pub throttles: u64,
}

/// Counts for all handles that share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct UsageCounter(Arc<Mutex<Usage>>);

impl UsageCounter {
    /// What was counted so far.
    pub fn usage(&self) -> Usage {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add_call(&self) {
        self.change(|usage| usage.calls += 1);
    }

    pub fn add_retry(&self) {
        self.change(|usage| usage.retries += 1);
    }

    pub fn add_throttle(&self) {
        self.change(|usage| usage.throttles += 1);
    }

    pub fn add_units(&self, answer: &impl Consumed) {
        self.change(|usage| match answer.units() {
            Units::Read(units) => usage.read_units += units,
            Units::Write(units) => usage.write_units += units,
        });
    }

    fn change(&self, change: impl FnOnce(&mut Usage)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Capacity units.
pub(crate) enum Units {
    Read(f64),
    Write(f64),
}

/// An answer of DynamoDB, which reports the capacity units that it took.
pub(crate) trait Consumed {
    fn units(&self) -> Units;
}

fn total<'c>(capacities: impl IntoIterator<Item = &'c ConsumedCapacity>) -> f64 {
    capacities.into_iter().filter_map(ConsumedCapacity::capacity_units).sum()
}

macro_rules! consumed {
    ($($answer:ty: $units:path),+ $(,)?) => {
        $(impl Consumed for $answer {
            fn units(&self) -> Units {
                $units(total(self.consumed_capacity()))
            }
        })+
    };
}

consumed! {
    GetItemOutput: Units::Read,
    QueryOutput: Units::Read,
    ScanOutput: Units::Read,
    BatchGetItemOutput: Units::Read,
    TransactGetItemsOutput: Units::Read,
    TransactWriteItemsOutput: Units::Write,
    BatchWriteItemOutput: Units::Write,
    UpdateItemOutput: Units::Write,
}
