//! Feeds over HTTP: polling (RFC 8936), and the keys that verify the tokens (RFC 7517).

pub(crate) mod error;
pub mod jwks;
pub mod poll;
