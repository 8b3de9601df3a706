//! What every process needs: settings from the environment, AWS clients and logging.

pub mod data_folder;
pub mod dynamodb;
pub mod environment;
pub mod logging;
