//! Every route in one process, over an embedded DynamoDB engine: `make run`, and what the tests start.

pub mod credentials;
mod deliverer;
pub mod demo;
pub mod engine;
mod engine_port;
mod http_server;
pub mod in_process;
pub mod instance;
pub mod metrics;
mod operations;
mod private_folder;
pub mod server;
pub mod signals;
pub mod start_page;
mod sweeper;
pub mod table;
