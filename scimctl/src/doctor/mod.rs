//! `scimctl doctor`: checks that a deployed stack is as `template.yaml` defines it, and that the service serves a connector.

mod connector;
mod service;
mod table;

use clap::Args;
use console::style;

use crate::context::Context;
use crate::failure::{Failure, fail};
use crate::output::{count, print, print_marked};
use crate::prompt::read_secret;
use crate::service_url::ServiceUrl;

use service::Login;

/// The options of `scimctl doctor`.
#[derive(Args)]
#[command(
    after_help = "EXAMPLE:\n  scimctl doctor okta --table TABLE --url https://scim.example.com --username okta --password -"
)]
pub struct Command {
    /// Id of a connector to check. Without it, only the table is checked
    connector: Option<String>,
    /// URL of the service to check: the stack's output BaseUrl
    #[arg(long, requires = "connector")]
    url: Option<String>,
    /// Username that the identity provider uses
    #[arg(long, requires = "password", requires = "url")]
    username: Option<String>,
    /// Id of an OAuth client, for which the service has to issue a token
    #[arg(long, requires = "password", requires = "url", conflicts_with = "username")]
    client_id: Option<String>,
    /// Enter `-` to be asked for the password, the secret of the client, or for the token if there is no --username. It can also come from a pipe
    #[arg(long, value_name = "-", value_parser = ["-"], requires = "url")]
    password: Option<String>,
}

/// The result of one check.
enum CheckResult {
    /// The check succeeded.
    Passed(String),
    /// An operator should know this, and it can be on purpose.
    Noted(String),
    /// The check failed.
    Failed {
        /// What is wrong.
        problem: String,
        /// What to do.
        advice: String,
    },
}

fn passed(state: impl Into<String>) -> CheckResult {
    CheckResult::Passed(state.into())
}

fn failed(problem: impl Into<String>, advice: impl Into<String>) -> CheckResult {
    CheckResult::Failed { problem: problem.into(), advice: advice.into() }
}

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let url = command.url.as_deref().map(ServiceUrl::parse).transpose()?;
    let question = match (&command.username, &command.client_id) {
        (Some(username), _) => format!("Enter the password of {username}:"),
        (None, Some(client_id)) => format!("Enter the secret of the client {client_id}:"),
        (None, None) => "Enter the token:".to_owned(),
    };
    let secret = command.password.as_ref().map(|_| read_secret(&question)).transpose()?;
    let mut results = table::check(context).await;
    if let Some(id) = &command.connector {
        results.extend(connector::check(context, id).await?);
        if let Some(url) = &url {
            let token_url = url.token_url(id);
            let url = format!("{}/Users?count=0", url.endpoint(id));
            let login = secret.map(|secret| match (command.username, command.client_id) {
                (Some(username), _) => Login::Basic { username, secret },
                (None, Some(client_id)) => Login::Client { client_id, secret, token_url },
                (None, None) => Login::Bearer { token: secret },
            });
            results.extend(service::check(&url, login.as_ref()).await);
        }
    }
    let mut failures = 0;
    for result in results {
        match result {
            CheckResult::Passed(state) => print_marked(style("ok      ").green(), &state)?,
            CheckResult::Noted(fact) => print_marked(style("note    ").cyan(), &fact)?,
            CheckResult::Failed { problem, advice } => {
                failures += 1;
                print_marked(style("FAILED  ").red(), &problem)?;
                print(&format!("        {advice}"))?;
            }
        }
    }
    if failures == 0 { Ok(()) } else { fail(format!("{} failed", count(failures, "check", "checks"))) }
}
