//! `scimctl ranger sync`: one run, which reads both sides, compares them and sends the difference.

use super::accounts::Accounts;
use super::brake;
use super::client::RangerClient;
use super::difference::{Difference, Scope, Skipped};
use super::send::send;
use super::wanted::Wanted;
use crate::failure::{Failure, fail};
use crate::open_directory::OpenDirectory;
use crate::output::{count, print, print_note};

/// The most names that an error lists.
const MAX_NAMED: usize = 10;

/// How a run is made.
pub struct Options {
    /// Whether the roles in Ranger Admin are changed.
    pub with_roles: bool,
    /// Whether nothing is sent.
    pub is_dry_run: bool,
    /// Whether a mass change is confirmed.
    pub is_confirmed: bool,
    /// The percentage of users, or of a group's members, that can be taken away without a confirmation.
    pub max_removed: usize,
}

/// Makes Ranger equal to the directory. Prints what it sends and what it leaves out.
///
/// # Errors
/// Fails if Ranger does, if a mass change is not confirmed, and if Ranger did not take everything.
pub async fn sync(open: &OpenDirectory, client: &RangerClient, options: &Options) -> Result<(), Failure> {
    let wanted = Wanted::read(open).await?;
    let scope =
        Scope { connector: &open.connector, account: &client.username, with_roles: options.with_roles };
    let difference = Difference::between(&wanted, &Accounts::read(client).await?, scope);
    print_skipped(&difference.skipped)?;
    let reasons = brake::reasons(&difference, wanted.users.len(), options.max_removed);
    if options.is_dry_run {
        print_changes(&difference)?;
        reasons.iter().try_for_each(|reason| print(&format!("needs --yes: {reason}")))?;
        return print(&format!("{}; nothing is sent (--dry-run)", summary(&difference)));
    }
    if !reasons.is_empty() && !options.is_confirmed {
        reasons.iter().for_each(|reason| print_note(reason));
        return fail(
            "nothing is sent, because this run would hide or remove more than the limit. Look at it with --dry-run, and continue with --yes",
        );
    }
    if difference.is_empty() {
        return print("Ranger is up to date; nothing is sent");
    }
    let counts = send(client, &difference).await?;
    print(&summary(&difference))?;
    // Ranger passes over what it does not accept, without an error. So it is read again.
    let left = Difference::between(&wanted, &Accounts::read(client).await?, scope);
    if left.is_empty() {
        return Ok(());
    }
    counts.iter().for_each(|sentence| print_note(sentence));
    fail(format!("Ranger did not take everything: {}", names(&left)))
}

fn print_skipped(skipped: &[Skipped]) -> Result<(), Failure> {
    let mut skipped: Vec<&Skipped> = skipped.iter().collect();
    skipped.sort();
    skipped.iter().try_for_each(|Skipped { what, why }| print(&format!("skipped {what}: {why}")))
}

fn summary(difference: &Difference) -> String {
    let Difference { users, groups, members, hidden_users, hidden_groups, roles, .. } = difference;
    let added: usize = members.iter().map(|change| change.add.len()).sum();
    let removed: usize = members.iter().map(|change| change.remove.len()).sum();
    format!(
        "{} and {} sent, {} added and {} removed, {} and {} hidden, {} changed",
        count(users.len(), "user", "users"),
        count(groups.len(), "group", "groups"),
        count(added, "membership", "memberships"),
        count(removed, "membership", "memberships"),
        count(hidden_users.len(), "user", "users"),
        count(hidden_groups.len(), "group", "groups"),
        count(roles.len(), "role", "roles"),
    )
}

fn print_changes(difference: &Difference) -> Result<(), Failure> {
    changes(difference).iter().try_for_each(|change| print(change))
}

/// A line for each change.
fn changes(difference: &Difference) -> Vec<String> {
    let Difference { users, groups, members, hidden_users, hidden_groups, roles, .. } = difference;
    let name =
        |entry: &serde_json::Value| entry.get("name").and_then(|name| name.as_str().map(str::to_owned));
    let mut lines: Vec<String> = Vec::new();
    lines.extend(users.iter().filter_map(name).map(|name| format!("user {name}")));
    lines.extend(groups.iter().filter_map(name).map(|name| format!("group {name}")));
    for change in members {
        lines.extend(change.add.iter().map(|user| format!("user {user} into group {}", change.group)));
        lines.extend(change.remove.iter().map(|user| format!("user {user} out of group {}", change.group)));
    }
    lines.extend(hidden_users.iter().map(|name| format!("hide user {name}")));
    lines.extend(hidden_groups.iter().map(|name| format!("hide group {name}")));
    lines.extend(roles.iter().map(|(name, role)| format!("{role} to user {name}")));
    lines
}

/// The first changes, for an error.
fn names(difference: &Difference) -> String {
    let all = changes(difference);
    let named = all.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(MAX_NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
