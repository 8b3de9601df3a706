//! Every route in one process, over an embedded DynamoDB engine: `make run`, and what the tests start.

pub mod credentials;
pub mod demo;
pub mod engine;
pub mod in_process;
pub mod instance;
pub mod server;
pub mod signals;
pub mod start_page;
mod sweeper;
pub mod table;
