//! OAuth 2.0: access tokens, the assertions that clients exchange for them, and the keys of both.
//!
//! A client proves who it is at the token endpoint with a secret, or with an assertion: a JWT that it signs itself
//! (`private_key_jwt`), or that an issuer signs which an operator trusts (federation). It gets an access token, which it sends to the
//! APIs as a bearer token.

pub mod access_token;
mod assertion;
mod check;
mod jwt;
mod key_set;
mod replay;
mod stored_keys;
mod token_key;

pub use assertion::Expectation;
pub use check::{Check, first_failure};
pub use jwt::Jwt;
pub use key_set::KeySet;
pub use stored_keys::MAX_KEY_SET_AGE;
