//! What every process needs: settings from the environment, AWS clients, logging, metrics and private files.

pub mod data_folder;
pub mod dynamodb;
pub mod emf;
pub mod environment;
pub mod escape;
pub mod logging;
pub mod private_file;
