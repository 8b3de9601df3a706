//! What every process needs: settings from the environment, AWS clients, logging.

pub mod configuration;
