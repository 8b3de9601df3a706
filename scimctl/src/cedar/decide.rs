//! `scimctl policies try`.

use std::process::ExitCode;

use cedar_policy::{AuthorizationError, Decision};
use clap::Args;
use shared::error::chain;

use super::question::Question;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{format_facts, print_lines, print_note};

/// The options of `scimctl policies try`.
#[derive(Args)]
#[command(after_help = "\
The entities are those of `scimctl export cedar`, and yours. A user whom the directory hides is no entity: it is in no group and has no
attributes.

EXAMPLE:
  scimctl policies try okta --policies policies/ --user ann@example.com --action read --resource 'Document::\"plan\"'

EXIT CODES:
  0  Cedar allows it
  1  Cedar denies it
  2  Cedar could not decide; standard error says why")]
pub struct Try {
    #[command(flatten)]
    question: Question,
    /// userName, username in the directory, or id of the user
    #[arg(long)]
    user: String,
}

/// Prints Cedar's decision about a user, the policies that decide it, and the policies that Cedar could not evaluate.
pub async fn decide(command: Try, context: &Context) -> Result<ExitCode, Failure> {
    let case = command.question.open(context).await?;
    let user = case.directory.find_user(&command.user)?;
    let response = case.decide(&user.id)?;
    let is_allowed = response.decision() == Decision::Allow;
    let mut lines = format_facts([
        ("Decision:", if is_allowed { "allow" } else { "deny" }.to_owned()),
        ("User:", format!("{} {}", user.username, user.id)),
        ("Action:", case.action.to_string()),
        ("Resource:", case.resource.to_string()),
    ]);
    let mut reasons: Vec<String> =
        response.diagnostics().reason().map(|id| case.policies.origin(id)).collect();
    reasons.sort_unstable();
    if reasons.is_empty() {
        reasons.push("no policy allows it".to_owned());
    }
    lines.extend(reasons.into_iter().map(|reason| format_facts([("Reason:  ", reason)])));
    for error in response.diagnostics().errors() {
        let AuthorizationError::PolicyEvaluationError(error) = error;
        let policy = case.policies.origin(error.policy_id());
        lines.push_str(&format_facts([("Error:   ", format!("{policy}: {}", chain(error.inner())))]));
    }
    print_lines(&lines)?;
    if let Some(reason) = &user.hidden {
        let applies = if is_allowed { "; the policy applies without them" } else { "" };
        print_note(&format!(
            "the directory hides this user ({reason}), so it has no groups, roles or attributes in Cedar{applies}"
        ));
    }
    Ok(if is_allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
