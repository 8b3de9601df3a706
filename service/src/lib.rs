//! Turns an HTTP request into a response: routes, authentication and handlers. This crate depends on neither
//! Lambda nor sockets. `functions` and `local` read the requests and send the responses.

pub mod api;
pub mod authentication;
mod call;
pub mod directory;
pub mod events;
pub mod oauth;
pub mod origin_secret;
mod problem;
pub mod request;
pub mod response;
pub mod routes;
pub mod scim;
mod service;
mod trail;

pub use call::{Call, FindHandler, Handler, PublicCall, ResponseFuture, TokenCall};
pub use service::{MAX_BODY_BYTES, Service};
pub use trail::Notes;
