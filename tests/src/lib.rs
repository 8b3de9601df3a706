//! The test kit: what the tests of the whole system share.
//!
//! - To start Rollcall: [`service`] (the local server and the functions), [`in_process`] (without a server),
//!   [`gateway`] and [`lambda`] (local substitutes for AWS), [`scimctl`].
//! - To send requests: [`client`], [`provisioning`], [`pages`], and conversations of real clients as files
//!   ([`fixture`]).
//! - To prepare data: [`sample`], [`seed`], [`corruption`], [`schemas`].
//! - To check results: [`invariants`] (what must be true of the table), [`trail`] (the request trail), [`filter`], [`pattern`], [`refusal`],
//!   [`ledger`] (costs), [`heat`] (the hottest partitions).
//! - To inject faults between the service and DynamoDB: [`faults`], [`hooks`] ([`call`] is one request), [`torn`],
//!   [`ceilings`], [`partition_limits`], [`away`], [`tls_endpoint`], [`rights`] (by the policies of the template, as in [`iam`]), [`strict`] (AWS's limits, in [`limits`]).
//! - To interrupt requests and finish their work: [`faulty_service`], [`interrupted`].
//! - To check functions that run elsewhere: [`deployment`].
//! - To simulate clients, faults and kills, and check every answer: [`storm`].
//! - To receive what `scimctl` sends elsewhere: [`ranger`]. To use its console as a browser does: [`console`]
//!   (without JavaScript), [`chromium`] (a real one).
//! - To write the generated pages of the documentation, and check the errors that tests receive: [`mod@reference`].
//! - To run the commands of the documentation: [`documents`].
//! - To cause much work: [`hostile`] and [`mutation`].

use std::path::Path;

pub mod away;
pub mod call;
pub mod captures;
pub mod ceilings;
pub mod certificate;
pub mod chromium;
pub mod client;
pub mod console;
pub mod consumer;
pub mod corruption;
pub mod deployment;
pub mod documents;
pub mod emf;
pub mod event;
pub mod event_bus;
pub mod faults;
pub mod faulty_service;
pub mod filter;
pub mod fixture;
pub mod folder;
pub mod forward;
pub mod gateway;
pub mod heat;
pub mod hooks;
pub mod hostile;
pub mod iam;
pub mod in_process;
pub mod interrupted;
pub mod invariants;
pub mod issuer;
pub mod key_condition;
pub mod lambda;
pub mod layout;
pub mod ledger;
pub mod limits;
pub mod logged;
pub mod mutation;
pub mod oauth;
pub mod pages;
pub mod partition_limits;
pub mod pattern;
pub mod provisioning;
pub mod ranger;
pub mod receiver;
pub mod reference;
pub mod refusal;
pub mod rights;
pub mod sample;
pub mod schemas;
pub mod scimctl;
pub mod seed;
pub mod service;
pub mod storm;
pub mod strict;
pub mod stub;
pub mod table;
pub mod template;
pub mod terminal;
pub mod tls_endpoint;
pub mod token;
pub mod torn;
pub mod trail;

/// The folder of the workspace.
///
/// # Panics
/// Never: this crate is in a folder of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is in a folder of the workspace")
}
