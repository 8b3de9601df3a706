//! `scimctl policies who`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use cedar_policy::{AuthorizationError, Decision};
use clap::Args;
use shared::error::chain;

use super::entities::User;
use super::question::Question;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{count, print_note};
use crate::table::{Table, print_total};

/// The options of `scimctl policies who`.
#[derive(Args)]
#[command(after_help = "\
Users whom the directory hides are not listed; `scimctl policies check` finds policies that name them.

EXAMPLE:
  scimctl policies who okta --policies policies/ --action read --resource 'Document::\"plan\"'

EXIT CODES:
  0  success
  2  Cedar could not decide; standard error says why")]
pub struct Who {
    #[command(flatten)]
    question: Question,
}

/// The first error of a policy, and the number of users for whom it has one.
struct Failed {
    users: usize,
    first: String,
}

/// Lists the users whom the policies allow an action, each with the policies that do so.
pub async fn who(command: Who, context: &Context) -> Result<ExitCode, Failure> {
    let case = command.question.open(context).await?;
    let mut users: Vec<&User> = case.directory.shown_users().collect();
    users.sort_unstable_by(|a, b| (&a.username, &a.id).cmp(&(&b.username, &b.id)));
    let (mut rows, mut failed) = (Vec::new(), BTreeMap::new());
    for user in users {
        let response = case.decide(&user.id)?;
        for error in response.diagnostics().errors() {
            let AuthorizationError::PolicyEvaluationError(error) = error;
            let first = || Failed { users: 0, first: format!("{}: {}", user.username, chain(error.inner())) };
            failed.entry(case.policies.origin(error.policy_id())).or_insert_with(first).users += 1;
        }
        if response.decision() == Decision::Allow {
            let mut policies: Vec<String> =
                response.diagnostics().reason().map(|id| case.policies.origin(id)).collect();
            policies.sort_unstable();
            rows.push(vec![user.username.clone(), policies.join(", "), user.id.clone()]);
        }
    }
    let allowed = rows.len();
    Table::new(["USERNAME", "POLICIES", "ID"]).print(rows)?;
    print_total(allowed, 0, "user", "users")?;
    for (policy, Failed { users, first }) in failed {
        print_note(&format!("{policy} has an error for {}; {first}", count(users, "user", "users")));
    }
    Ok(ExitCode::SUCCESS)
}
