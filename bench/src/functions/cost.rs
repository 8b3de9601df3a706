//! What a request costs: Lambda, API Gateway, DynamoDB and logs, from prices of AWS and measurements.

use super::warm::Warm;
use crate::report::{READ_PRICE, WRITE_PRICE};

/// The day on which the prices of Lambda were compared with copies of AWS's price page. All are for us-east-1, without free tiers.
pub const DAY_OF_PRICES: &str = "2026-11-30";
/// The price of a million requests to Lambda, in dollars.
pub const REQUEST_PRICE: f64 = 0.20;
/// The price of a million requests to an HTTP API, each up to 512 KB, in dollars.
pub const API_PRICE: f64 = 1.00;
/// The price of a GB of logs, in dollars.
pub const LOG_PRICE: f64 = 0.50;
/// The processor architectures of Lambda, and their prices of a GB-second, in dollars.
pub const ARCHITECTURES: [(&str, f64); 2] = [("x86_64", 0.000_016_666_7), ("arm64", 0.000_013_333_4)];

/// The memory size with which a function has one whole CPU, in MB. With less, it has a share in proportion.
pub const MEMORY_OF_A_CPU: f64 = 1_769.0;
/// The memory sizes of the tables, in MB.
pub const SIZES: [f64; 5] = [128.0, 256.0, 512.0, 1_024.0, 1_769.0];
/// The memory size of the functions in `template.yaml`, in MB.
pub const DEPLOYED_SIZE: f64 = 256.0;

/// How long a request waits for one round trip to DynamoDB, in seconds. It is an assumption.
pub const ROUND_TRIP: f64 = 0.004;
/// The bytes of the log lines of a request that are not the function's: two of Lambda, and the access log of the API. It is an
/// assumption.
pub const OTHER_LOG: f64 = 1_000.0;
/// Lambda bills whole milliseconds, so on average half a millisecond more, in seconds.
const ROUNDING: f64 = 0.000_5;

/// How long work takes with this memory, in seconds: its CPU time at the function's share of a CPU, and the time that it waits.
pub fn duration(cpu: f64, waiting: f64, memory: f64) -> f64 {
    cpu * (MEMORY_OF_A_CPU / memory).max(1.0) + waiting
}

/// The GB-seconds that Lambda bills for a duration in seconds.
pub fn gb_seconds(duration: f64, memory: f64) -> f64 {
    (duration + ROUNDING) * memory / 1_024.0
}

/// What a million requests cost, in dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bill {
    /// Requests to the HTTP API.
    pub api: f64,
    /// Requests to Lambda.
    pub requests: f64,
    /// Time of Lambda.
    pub time: f64,
    /// Capacity units of DynamoDB.
    pub dynamodb: f64,
    /// Logs.
    pub logs: f64,
}

impl Bill {
    /// The bill for a million requests of an operation, with the memory of the template, on x86_64.
    pub fn of(warm: &Warm) -> Self {
        let (_, price) = ARCHITECTURES[0];
        Self {
            api: API_PRICE,
            requests: REQUEST_PRICE,
            time: gb_seconds(warm.duration(DEPLOYED_SIZE), DEPLOYED_SIZE) * price * 1e6,
            dynamodb: warm.cost.read_units * READ_PRICE + warm.cost.write_units * WRITE_PRICE,
            logs: (warm.log + OTHER_LOG) * 1e6 / 1e9 * LOG_PRICE,
        }
    }

    /// This bill for another number of requests, in millions.
    pub fn times(self, millions: f64) -> Self {
        Self {
            api: self.api * millions,
            requests: self.requests * millions,
            time: self.time * millions,
            dynamodb: self.dynamodb * millions,
            logs: self.logs * millions,
        }
    }

    /// This bill and another one.
    pub fn plus(self, other: Self) -> Self {
        Self {
            api: self.api + other.api,
            requests: self.requests + other.requests,
            time: self.time + other.time,
            dynamodb: self.dynamodb + other.dynamodb,
            logs: self.logs + other.logs,
        }
    }

    /// The amounts in the order of the tables' columns, and their sum at the end.
    pub fn columns(self) -> [f64; 6] {
        let Self { api, requests, time, dynamodb, logs } = self;
        [dynamodb, api, requests, time, logs, dynamodb + api + requests + time + logs]
    }
}

impl Warm {
    /// How long a request takes with this memory, in seconds.
    pub fn duration(&self, memory: f64) -> f64 {
        duration(self.cpu, self.cost.round_trips as f64 * ROUND_TRIP, memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_memory_means_a_smaller_share_of_a_cpu() {
        // CPU time and waiting in milliseconds, memory in MB, expected milliseconds.
        for (cpu, waiting, memory, expected) in [
            (1.0, 0.0, 1_769.0, 1.0),
            (1.0, 0.0, 3_538.0, 1.0),
            (1.0, 12.0, 884.5, 14.0),
            (2.0, 8.0, 176.9, 28.0),
        ] {
            let milliseconds = duration(cpu / 1e3, waiting / 1e3, memory) * 1e3;
            assert!((milliseconds - expected).abs() < 1e-9, "{cpu} {waiting} {memory}: {milliseconds}");
        }
    }

    #[test]
    fn bill_of_a_million_requests_has_the_amounts_of_each_service() {
        let mut cost = ::tests::ledger::Cost::default();
        (cost.round_trips, cost.read_units, cost.write_units) = (2, 3.0, 4.0);
        // 0.5 ms of CPU are 3.455 ms with 256 MB, and two round trips are 8 ms.
        let warm = Warm { operation: "PATCH", function: "users-patch", cpu: 0.000_5, log: 600.0, cost };
        let bill = Bill::of(&warm);
        let time = (0.003_455_078 + 0.008 + 0.000_5) * 0.25 * 16.666_7;
        assert!((bill.time - time).abs() < 1e-6, "{bill:?}");
        assert_eq!(
            Bill { time: 0.0, ..bill },
            Bill { api: 1.0, requests: 0.2, time: 0.0, dynamodb: 2.875, logs: 0.8 }
        );
        let sum = bill.times(2.0).plus(bill).columns();
        assert!((sum[5] - 3.0 * (1.0 + 0.2 + time + 2.875 + 0.8)).abs() < 1e-5, "{sum:?}");
    }
}
