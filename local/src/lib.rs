//! Every route in one process, over an embedded DynamoDB engine: `make run`, and what the tests start.

pub mod credentials;
pub mod engine;
pub mod in_process;
pub mod server;
pub mod table;
