//! Sends the events of feeds: to URLs as tokens (RFC 8935) and as webhooks (Standard Webhooks), and to Amazon EventBridge.
//!
//! The outbox of a feed is the truth. A delivery reads it, sends some events, and acknowledges exactly those that the consumer
//! accepted ([`Deliverer`]). The function `feeds-deliver`, `make run` and `scimctl feed deliver` use the
//! same code. [`target`] decides which URLs and addresses requests may go to. [`fetch`] uses the same connections for the keys of
//! OAuth issuers.

mod backoff;
mod deliver;
mod event_bus;
pub mod fetch;
mod message;
mod send;
mod sender;
pub mod target;

pub use deliver::{Delivered, Deliverer, When};
pub use event_bus::EventBuses;
pub use message::type_of;
