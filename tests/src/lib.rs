//! The test kit: what the tests of the whole system share.
//!
//! - To start Rollcall: [`service`] (the local server and the functions), [`in_process`] (without a server),
//!   [`gateway`] and [`lambda`] (local substitutes for AWS), [`scimctl`].
//! - To send requests: [`client`], [`provisioning`], [`pages`], and conversations of real clients as files
//!   ([`fixture`]).
//! - To prepare data: [`sample`], [`seed`], [`corruption`], [`schemas`].
//! - To check results: [`invariants`] (what must be true of the table), [`filter`], [`pattern`], [`refusal`],
//!   [`ledger`] (costs).
//! - To cause much work: [`hostile`] and [`mutation`].
//! - To inject faults between the service and DynamoDB: [`faults`], [`away`], [`rights`].

use std::path::Path;

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
pub mod hostile;
pub mod in_process;
pub mod invariants;
pub mod lambda;
pub mod layout;
pub mod ledger;
pub mod mutation;
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

/// The folder of the workspace.
///
/// # Panics
/// Never: this crate is in a folder of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is in a folder of the workspace")
}
