//! The checks over HTTP of `make aws-check`. The environment names the table (`TABLE_NAME`) and the AWS credentials for it.
//!
//! `deployment-check URL`. It prints one line for each check. The exit code is 1 if one failed, and 2 if the command line is
//! wrong.

use std::fmt::Display;
use std::process::ExitCode;

use directory::Table;
use runtime::{dynamodb, environment};
use tests::deployment::Deployment;

#[tokio::main]
async fn main() -> ExitCode {
    let [_, url] = &std::env::args().collect::<Vec<_>>()[..] else {
        eprintln!("deployment-check: usage: deployment-check URL");
        return ExitCode::from(2);
    };
    let table = Table::new(dynamodb::client().await, environment::table_name());
    let deployment = Deployment::new(url, table);
    let conversations = deployment.check_okta_conversations().await;
    let forged = deployment.check_forged_addresses().await;
    let are_passed = [
        print(conversations, |number| format!("{number} conversations of Okta get the expected answers")),
        print(forged, |number| {
            format!(
                "X-Forwarded-For does not change the address that counts: 429 after {number} wrong passwords"
            )
        }),
    ];
    if are_passed.iter().all(|is_passed| *is_passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the result of one check. Returns whether it passed.
fn print<Value, Failure: Display>(result: Result<Value, Failure>, passed: impl Fn(Value) -> String) -> bool {
    let is_passed = result.is_ok();
    match result {
        Ok(value) => println!("ok      {}", passed(value)),
        Err(failure) => println!("FAILED  {failure}"),
    }
    is_passed
}
