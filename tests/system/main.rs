//! Whole-system tests: the service is spoken to over HTTP and by nothing else.

mod budgets;
mod concurrency;
mod conversations;
mod harness;
