//! What the requests of a phase cost in AWS, with the prices of docs/operate/cost.md (us-east-1, without free tiers).

use super::meter::Counts;
use crate::prices::{API_PRICE, LAMBDA_PRICE, LAMBDA_TIME_PRICE, LOG_PRICE, READ_PRICE, WRITE_PRICE};

/// The memory of a function in `template.yaml`, in gigabytes.
const MEMORY: f64 = 0.25;
/// The bytes that a request logs: 0.8 kB of the function (docs/functions_performance.md), and 1 kB of Lambda and the API, which is an
/// assumption.
const LOG_BYTES: f64 = 1_800.0;

/// The cost in dollars.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Capacity units of DynamoDB.
    pub dynamodb: f64,
    /// Requests of API Gateway.
    pub gateway: f64,
    /// Requests of Lambda.
    pub lambda_requests: f64,
    /// Time of Lambda.
    pub lambda_time: f64,
    /// Log lines.
    pub logs: f64,
}

impl Cost {
    /// The cost of these requests.
    pub fn of(counts: &Counts) -> Self {
        let millions = counts.requests() as f64 / 1e6;
        Self {
            dynamodb: (counts.usage.write_units * WRITE_PRICE + counts.usage.read_units * READ_PRICE) / 1e6,
            gateway: millions * API_PRICE,
            lambda_requests: millions * LAMBDA_PRICE,
            lambda_time: counts.billed.as_secs_f64() * MEMORY * LAMBDA_TIME_PRICE,
            logs: counts.requests() as f64 * LOG_BYTES / 1e9 * LOG_PRICE,
        }
    }

    /// The sum.
    pub fn sum(&self) -> f64 {
        self.dynamodb + self.gateway + self.lambda_requests + self.lambda_time + self.logs
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use directory::Usage;

    use super::*;

    #[test]
    fn a_million_requests_of_100_ms_cost_what_the_page_says() {
        let latencies = [("users-get", vec![Duration::from_millis(100); 1_000])].into();
        let usage = Usage { read_units: 3_000.0, write_units: 2_000.0, ..Usage::default() };
        let counts = Counts { latencies, usage, billed: Duration::from_secs(100), ..Counts::default() };
        let cost = Cost::of(&counts);
        let thousandth = |dollars: f64| (dollars * 1e6).round() / 1e3;
        assert_eq!(
            [cost.dynamodb, cost.gateway, cost.lambda_requests, cost.lambda_time, cost.logs].map(thousandth),
            // For a million requests: 2 million write units and 3 million read units, $1.00, $0.20, 25,000 GB-seconds, 1.8 GB.
            [1.625, 1.0, 0.2, 0.417, 0.9]
        );
    }

    #[test]
    fn prices_are_those_of_the_page_about_cost() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operate/cost.md"));
        let page = page.expect("the page");
        for price in [
            format!("API Gateway: ${API_PRICE:.2} a million"),
            format!("Lambda requests: ${LAMBDA_PRICE:.2} a million"),
            format!("at 256 MB, ${LAMBDA_TIME_PRICE} a GB-second"),
            format!("logs, ${LOG_PRICE:.2} a GB"),
            format!("${WRITE_PRICE} for a million write units"),
            format!("${READ_PRICE} for a million read units"),
        ] {
            assert!(page.contains(&price), "docs/operate/cost.md does not say {price:?}");
        }
    }
}
