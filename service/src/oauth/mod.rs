//! OAuth 2.0: the token endpoint (RFC 6749 §3.2) and its metadata (RFC 8414).

pub(crate) mod error;
mod issuer_keys;
pub mod metadata;
mod request;
pub mod token;

pub(crate) use error::unknown_client;
pub use issuer_keys::{Fetch, Fetched, IssuerKeys};
