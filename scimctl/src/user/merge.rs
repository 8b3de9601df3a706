//! `scimctl user merge`.

use directory::Merge;
use shared::resource::ResourceId;

use super::find::find;
use crate::failure::Failure;
use crate::open_directory::OpenDirectory;
use crate::output::print;
use crate::prompt::confirm;

/// Merges a local user into a user of the identity provider, or only prints what would move.
pub async fn merge(
    open: &OpenDirectory,
    local_user: &str,
    user: &str,
    is_confirmed: bool,
    is_dry_run: bool,
) -> Result<(), Failure> {
    let (local, other) = (find(open, local_user).await?, find(open, user).await?);
    let plan = open.directory.plan_merge(local, other).await?;
    print_plan(open, plan, user).await?;
    if is_dry_run {
        return print("nothing is written (--dry-run)");
    }
    let question = format!("This deletes local user {local_user}. To continue, enter its name:");
    confirm(&question, local_user, is_confirmed)?;
    open.directory.merge_users(local, other).await?;
    print(&format!("user {local_user} is merged into {user}, and deleted"))
}

async fn print_plan(open: &OpenDirectory, plan: Merge, user: &str) -> Result<(), Failure> {
    let Merge { joined, kept, left } = plan;
    for (ids, label) in [
        (joined, format!("{user} gets")),
        (kept, format!("{user} already has")),
        (left, "the local user only leaves, as groups of the identity provider".to_owned()),
    ] {
        print(&format!("{label}: {}", names(open, ids).await?))?;
    }
    Ok(())
}

async fn names(open: &OpenDirectory, ids: Vec<ResourceId>) -> Result<String, Failure> {
    let names = open.directory.names_of(&ids.into_iter().collect()).await?;
    let mut names: Vec<String> = names.into_values().collect();
    names.sort_unstable();
    Ok(if names.is_empty() { "nothing".to_owned() } else { names.join(", ") })
}
