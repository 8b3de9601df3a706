//! Prices of AWS in us-east-1, in dollars, without free tiers.

/// The day on which the prices of Lambda were compared with copies of AWS's price page.
pub const DAY_OF_PRICES: &str = "2026-11-30";
/// A million units written to DynamoDB, on demand.
pub const WRITE_PRICE: f64 = 0.625;
/// A million units read from DynamoDB, on demand.
pub const READ_PRICE: f64 = 0.125;
/// A million requests to an HTTP API of API Gateway, each up to 512 KB.
pub const API_PRICE: f64 = 1.0;
/// A million requests to Lambda.
pub const LAMBDA_PRICE: f64 = 0.2;
/// The processor architectures of Lambda, and a GB-second of each.
pub const ARCHITECTURES: [(&str, f64); 2] = [("x86_64", LAMBDA_TIME_PRICE), ("arm64", 0.000_013_333_4)];
/// A GB-second of Lambda on x86_64.
pub const LAMBDA_TIME_PRICE: f64 = 0.000_016_666_7;
/// A GB of logs.
pub const LOG_PRICE: f64 = 0.5;
