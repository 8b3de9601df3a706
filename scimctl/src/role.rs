//! `scimctl role`: roles, which only operators create and assign.

use clap::Subcommand;
use directory::view::Groups;
use shared::resource::ResourceKind;

use crate::context::Context;
use crate::failure::Failure;
use crate::group::{add_members, create, delete, display_name, find_role, remove_members};
use crate::open_directory::OpenDirectory;
use crate::output::{format_table, print};

/// The commands on roles.
#[derive(Subcommand)]
pub enum Command {
    /// List the roles
    #[command(after_help = "EXAMPLE:\n  scimctl role list okta")]
    List {
        /// Id of the connector
        connector: String,
    },
    /// Create a role
    #[command(after_help = "EXAMPLE:\n  scimctl role create okta approver")]
    Create {
        /// Id of the connector
        connector: String,
        /// Name of the new role
        role: String,
    },
    /// Assign a role to users, or to groups of the identity provider
    #[command(after_help = "EXAMPLE:\n  scimctl role assign okta approver ann@example.com Sales")]
    Assign {
        /// Id of the connector
        connector: String,
        /// Name of the role
        role: String,
        /// userNames, group names or ids that get the role
        #[arg(required = true)]
        members: Vec<String>,
    },
    /// Withdraw a role from users or groups
    #[command(after_help = "EXAMPLE:\n  scimctl role withdraw okta approver ann@example.com")]
    Withdraw {
        /// Id of the connector
        connector: String,
        /// Name of the role
        role: String,
        /// userNames, group names or ids that lose the role
        #[arg(required = true)]
        members: Vec<String>,
    },
    /// Delete a role
    #[command(after_help = "EXAMPLE:\n  scimctl role delete okta approver")]
    Delete {
        /// Id of the connector
        connector: String,
        /// Name of the role
        role: String,
    },
}

/// Runs a command. A role is stored as a group of its own kind, so the commands on groups change it.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::List { connector } => list(&OpenDirectory::open(context, &connector).await?).await,
        Command::Create { connector, role } => {
            let open = OpenDirectory::open(context, &connector).await?;
            create(&open, ResourceKind::Role, &role).await
        }
        Command::Assign { connector, role, members } => {
            let open = OpenDirectory::open(context, &connector).await?;
            add_members(&open, &find_role(&open, &role).await?, &members).await
        }
        Command::Withdraw { connector, role, members } => {
            let open = OpenDirectory::open(context, &connector).await?;
            remove_members(&open, &find_role(&open, &role).await?, &members).await
        }
        Command::Delete { connector, role } => {
            let open = OpenDirectory::open(context, &connector).await?;
            delete(&open, &find_role(&open, &role).await?, false).await
        }
    }
}

async fn list(open: &OpenDirectory) -> Result<(), Failure> {
    let mut rows = vec![["ROLE", "ID"].map(str::to_owned).to_vec()];
    let groups = Groups::read(&open.directory).await?;
    rows.extend(groups.roles().map(|role| vec![display_name(role).to_owned(), role.id.to_string()]));
    print(&format_table(&rows))
}
