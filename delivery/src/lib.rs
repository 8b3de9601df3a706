//! Sends the events of feeds to URLs: as tokens (RFC 8935) and as webhooks (Standard Webhooks).
//!
//! The outbox of a feed is the truth. A delivery reads it, sends each event in a request of its own, and acknowledges exactly the
//! events that were answered with 2xx ([`Deliverer`]). The function `feeds-deliver`, `make run` and `scimctl feed deliver` use the
//! same code. [`target`] decides which URLs and addresses requests may go to. [`fetch`] uses the same connections for the keys of
//! OAuth issuers.

mod backoff;
mod deliver;
pub mod fetch;
mod message;
mod send;
pub mod target;

pub use deliver::{Delivered, Deliverer, When};
