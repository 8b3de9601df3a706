//! Whole-system tests: the service is spoken to over HTTP and by nothing else.

mod answers;
mod authentication;
mod bad_input;
mod budgets;
mod bulk;
mod check;
mod concurrency;
mod conformance;
mod conversations;
mod directory;
mod events;
mod extensions;
mod faults;
mod harness;
mod names;
mod operator;
mod paging;
mod process;
mod queries;
mod settings;
mod transfer;
