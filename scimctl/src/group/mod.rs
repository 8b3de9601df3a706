//! `scimctl group`: shows the groups of a directory, and manages the local ones.

mod conflicts;
mod document;
mod edit;
mod find;
mod list;
mod members;
mod show;

use std::path::PathBuf;

use clap::Subcommand;
use directory::view::is_built_in;
use shared::resource::ResourceKind;

use crate::context::Context;
use crate::failure::Failure;
use crate::open_directory::OpenDirectory;

pub use document::{display_name, new_document};
pub use edit::{Added, add_members, create, delete, join, leave, remove_members, set_name};
pub use find::{FoundGroup, find_group, find_role};
pub use members::list_users;

/// The commands on groups.
#[derive(Subcommand)]
pub enum Command {
    /// List the groups that the directory shows
    #[command(after_help = "EXAMPLE:\n  scimctl group list okta --hidden --filter 'displayName sw \"data\"'")]
    List {
        /// Id of the connector
        connector: String,
        /// List hidden groups too, with the reason
        #[arg(long)]
        hidden: bool,
        /// List only groups that match this SCIM filter, such as 'displayName sw "a"'
        #[arg(long)]
        filter: Option<String>,
        /// Print one JSON object on each line
        #[arg(long)]
        json: bool,
    },
    /// Show one group
    #[command(after_help = "EXAMPLE:\n  scimctl group show okta 'Data Stewards'")]
    Show {
        /// Id of the connector
        connector: String,
        /// Name or id of the group
        group: String,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// List the users of a group, including members of its member groups
    #[command(after_help = "EXAMPLE:\n  scimctl group members okta 'Data Stewards' --direct")]
    Members {
        /// Id of the connector
        connector: String,
        /// Name or id of the group
        group: String,
        /// List only direct members
        #[arg(long)]
        direct: bool,
        /// List hidden users too
        #[arg(long)]
        hidden: bool,
        /// Print each user as a JSON object on one line
        #[arg(long)]
        json: bool,
    },
    /// Check which names of groups that the identity provider will push are taken by local or built-in groups
    #[command(
        after_help = "The file has one name on each line, or is a .csv file with a heading. The exit code is 1 if a name is taken.\n\n\
EXAMPLE:\n  scimctl group conflicts okta groups.csv --column displayName"
    )]
    Conflicts {
        /// Id of the connector
        connector: String,
        /// File with the names
        file: PathBuf,
        /// Column of a .csv file that has the names
        #[arg(long, default_value = "name")]
        column: String,
    },
    /// Create a local group
    #[command(after_help = "EXAMPLE:\n  scimctl group create okta 'Data Stewards'")]
    Create {
        /// Id of the connector
        connector: String,
        /// Name of the new group
        group: String,
    },
    /// Rename a local group
    #[command(after_help = "EXAMPLE:\n  scimctl group rename okta 'Data Stewards' Stewards")]
    Rename {
        /// Id of the connector
        connector: String,
        /// Name or id of the group
        group: String,
        /// New name of the group
        name: String,
    },
    /// Add users, or groups of the identity provider, to a local group
    #[command(after_help = "EXAMPLE:\n  scimctl group add okta 'Data Stewards' ann@example.com Sales")]
    Add {
        /// Id of the connector
        connector: String,
        /// Name or id of the group
        group: String,
        /// userNames, group names or ids of the members to add
        #[arg(required = true)]
        members: Vec<String>,
    },
    /// Remove members from a local group
    #[command(after_help = "EXAMPLE:\n  scimctl group remove okta 'Data Stewards' ann@example.com")]
    Remove {
        /// Id of the connector
        connector: String,
        /// Name or id of the group
        group: String,
        /// userNames, group names or ids of the members to remove
        #[arg(required = true)]
        members: Vec<String>,
    },
    /// Delete a local group, or a group that the identity provider emptied or abandoned
    #[command(after_help = "EXAMPLE:\n  scimctl group delete okta 'Data Stewards'")]
    Delete {
        /// Id of the connector
        connector: String,
        /// Name or id of the group
        group: String,
        /// Delete a group with members that the identity provider no longer manages. If the connector is disabled, this is not
        /// necessary
        #[arg(long)]
        orphaned: bool,
    },
}

impl Command {
    /// Whether the command changes what the table holds.
    pub fn is_change(&self) -> bool {
        match self {
            Self::List { .. } | Self::Show { .. } | Self::Members { .. } | Self::Conflicts { .. } => false,
            Self::Create { .. }
            | Self::Rename { .. }
            | Self::Add { .. }
            | Self::Remove { .. }
            | Self::Delete { .. } => true,
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
        Command::Show { connector, group, json } => {
            show::show(&OpenDirectory::open(context, &connector).await?, &group, json).await
        }
        Command::Members { connector, group, direct, hidden, json } => {
            let open = OpenDirectory::open(context, &connector).await?;
            let group =
                if is_built_in(&group) { None } else { Some(find::find_group(&open, &group).await?.id) };
            list_users(&open, group, direct, hidden, json).await
        }
        Command::Conflicts { connector, file, column } => {
            conflicts::conflicts(&OpenDirectory::open(context, &connector).await?, &file, &column).await
        }
        Command::Create { connector, group } => {
            let open = OpenDirectory::open(context, &connector).await?;
            create(&open, ResourceKind::LocalGroup, &group).await
        }
        Command::Rename { connector, group, name } => {
            let open = OpenDirectory::open(context, &connector).await?;
            edit::rename(&open, &find::find_group(&open, &group).await?, &name).await
        }
        Command::Add { connector, group, members } => {
            let open = OpenDirectory::open(context, &connector).await?;
            add_members(&open, &find::find_group(&open, &group).await?, &members).await
        }
        Command::Remove { connector, group, members } => {
            let open = OpenDirectory::open(context, &connector).await?;
            remove_members(&open, &find::find_group(&open, &group).await?, &members).await
        }
        Command::Delete { connector, group, orphaned } => {
            let open = OpenDirectory::open(context, &connector).await?;
            delete(&open, &find::find_group(&open, &group).await?, orphaned).await
        }
    }
}
