//! One HTTP request in, one response out. This crate knows neither Lambda nor sockets: `functions` and `local` bring the
//! requests and take the responses.

pub mod authentication;
pub mod request;
pub mod response;
pub mod routes;
pub mod scim;
mod service;

pub use service::{Call, Handler, MAX_BODY_BYTES, Service};
