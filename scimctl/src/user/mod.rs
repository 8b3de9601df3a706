//! `scimctl user`: shows the users of a directory, and manages the local ones.

mod attributes;
mod edit;
mod find;
mod list;
mod merge;
mod show;

use clap::Subcommand;

use crate::context::Context;
use crate::failure::Failure;
use crate::open_directory::OpenDirectory;

pub use attributes::{UserAttributes, new_document, user_name};
pub use find::find_deleted;

/// The commands on users.
#[derive(Subcommand)]
pub enum Command {
    /// List the users that the directory shows
    #[command(after_help = "EXAMPLE:\n  scimctl user list okta --hidden --filter 'userName sw \"ann\"'")]
    List {
        /// Id of the connector
        connector: String,
        /// List hidden users too, with the reason and their ids
        #[arg(long)]
        hidden: bool,
        /// List only users that match this SCIM filter, such as 'userName sw "a" and active eq true'
        #[arg(long)]
        filter: Option<String>,
        /// Print one JSON object on each line
        #[arg(long)]
        json: bool,
    },
    /// Show one user
    #[command(after_help = "EXAMPLE:\n  scimctl user show okta ann@example.com")]
    Show {
        /// Id of the connector
        connector: String,
        /// userName or id of the user
        user: String,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Create a local user
    #[command(
        after_help = "EXAMPLE:\n  scimctl user create okta ann@example.com --first-name Ann --last-name Ash"
    )]
    Create {
        /// Id of the connector
        connector: String,
        /// userName of the new user
        user: String,
        #[command(flatten)]
        attributes: UserAttributes,
    },
    /// Update a local user
    #[command(after_help = "An empty value ('') clears the attribute.\n\n\
EXAMPLE:\n  scimctl user set okta ann@example.com --email ann@example.org --display-name ''")]
    Set {
        /// Id of the connector
        connector: String,
        /// userName or id of the user
        user: String,
        #[command(flatten)]
        attributes: UserAttributes,
    },
    /// Set the display name that the directory shows for a user, also for a user of the identity provider
    #[command(
        after_help = "It wins over the names that the identity provider sends. An empty name ('') clears it.\n\n\
EXAMPLE:\n  scimctl user set-display-name okta ann@example.com 'Dr. Ann Ash'"
    )]
    SetDisplayName {
        /// Id of the connector
        connector: String,
        /// userName or id of the user
        user: String,
        /// Display name
        name: String,
    },
    /// Give the roles and local groups of a local user to a user of the identity provider, and delete the local user
    #[command(
        after_help = "For a person whom you created, and whom the identity provider then created with another userName. To confirm, enter \
                      the name of the local user on standard input. The local user leaves the groups of the identity provider, which \
                      decides about their members.\n\nEXAMPLE:\n  scimctl user merge okta ann ann@example.com --dry-run"
    )]
    Merge {
        /// Id of the connector
        connector: String,
        /// userName or id of the local user, which is deleted
        local_user: String,
        /// userName or id of the identity provider's user, which gets the roles and groups
        user: String,
        /// Do not ask for a confirmation
        #[arg(long)]
        yes: bool,
        /// Only print which roles and groups would move
        #[arg(long)]
        dry_run: bool,
    },
    /// Delete a local user, or a user that the identity provider deactivated, deleted or abandoned
    #[command(after_help = "EXAMPLE:\n  scimctl user delete okta ann@example.com")]
    Delete {
        /// Id of the connector
        connector: String,
        /// userName or id of the user
        user: String,
        /// Delete an active user whom the identity provider no longer manages. If the connector is disabled, this is not necessary
        #[arg(long)]
        orphaned: bool,
    },
}

impl Command {
    /// Whether the command changes what the table holds.
    pub fn is_change(&self) -> bool {
        match self {
            Self::List { .. } | Self::Show { .. } => false,
            Self::Merge { dry_run, .. } => !dry_run,
            Self::Create { .. } | Self::Set { .. } | Self::SetDisplayName { .. } | Self::Delete { .. } => {
                true
            }
        }
    }
}

/// Runs a command.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::List { connector, hidden, filter, json } => {
            let open = OpenDirectory::open(context, &connector).await?;
            list::list(&open, hidden, filter.as_deref(), json).await
        }
        Command::Show { connector, user, json } => {
            show::show(&OpenDirectory::open(context, &connector).await?, &user, json).await
        }
        Command::Create { connector, user, attributes } => {
            edit::create(&OpenDirectory::open(context, &connector).await?, &user, &attributes).await
        }
        Command::Set { connector, user, attributes } => {
            edit::update(&OpenDirectory::open(context, &connector).await?, &user, &attributes).await
        }
        Command::SetDisplayName { connector, user, name } => {
            edit::set_display_name(&OpenDirectory::open(context, &connector).await?, &user, name.trim()).await
        }
        Command::Merge { connector, local_user, user, yes, dry_run } => {
            let open = OpenDirectory::open(context, &connector).await?;
            merge::merge(&open, &local_user, &user, yes, dry_run).await
        }
        Command::Delete { connector, user, orphaned } => {
            edit::delete(&OpenDirectory::open(context, &connector).await?, &user, orphaned).await
        }
    }
}
