//! Rollcall as Lambda functions. Each binary in `src/bin` is a function: it runs its handler through
//! [`lambda`], which turns the events of API Gateway into requests, and responses into what API Gateway
//! expects. [`sweep`] and [`deliver`] are functions with other triggers: a schedule, and the table's stream.

pub mod deliver;
mod health;
pub mod lambda;
pub mod metrics;
pub mod sweep;
