//! What the whole-system tests stand on: a client, a stand-in for API Gateway and Lambda, and the conversations
//! that real provisioning clients have with a service provider, as files that can be replayed.
//!
//! Nothing here knows how the service is made: it is spoken to over HTTP, in one process or in one per function.

pub mod away;
pub mod captures;
pub mod client;
pub mod corruption;
pub mod event;
pub mod faults;
pub mod filter;
pub mod fixture;
pub mod folder;
pub mod forward;
pub mod gateway;
pub mod in_process;
pub mod invariants;
pub mod lambda;
pub mod layout;
pub mod ledger;
pub mod pages;
pub mod pattern;
pub mod provisioning;
pub mod refusal;
pub mod rights;
pub mod sample;
pub mod schemas;
pub mod scimctl;
pub mod seed;
pub mod service;
pub mod table;
pub mod template;
