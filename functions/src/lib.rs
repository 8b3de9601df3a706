//! The routes of Rollcall. Each binary under `src/bin` hands one of the [`handlers`] to the Lambda runtime; the local
//! server and the fallback function reach all of them through [`routes`].

pub mod authentication;
pub mod configuration;
pub mod handlers;
pub mod lambda;
pub mod request;
pub mod response;
pub mod routes;
pub mod service;
