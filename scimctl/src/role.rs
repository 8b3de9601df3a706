//! `scimctl role`: roles, which only operators create and assign.

use clap::Subcommand;
use directory::view::Groups;
use serde::Serialize;
use serde_json::json;
use shared::resource::{Resource, ResourceKind};

use crate::context::Context;
use crate::failure::Failure;
use crate::group::{add_members, create, delete, display_name, find_role, list_users, remove_members};
use crate::open_directory::OpenDirectory;
use crate::output::{count, format_facts, print_json, print_lines};
use crate::prompt::confirm;
use crate::table::{Table, print_total};

/// The commands on roles.
#[derive(Subcommand)]
pub enum Command {
    /// List the roles
    #[command(after_help = "EXAMPLE:\n  scimctl role list okta")]
    List {
        /// Id of the connector
        connector: String,
        /// Print one JSON object on each line
        #[arg(long)]
        json: bool,
    },
    /// Show one role: its id, and to how many users and groups it is assigned
    #[command(after_help = "EXAMPLE:\n  scimctl role show okta approver")]
    Show {
        /// Id of the connector
        connector: String,
        /// Name of the role
        role: String,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// List the users who have a role, including members of the groups that it is assigned to
    #[command(after_help = "EXAMPLE:\n  scimctl role members okta approver --direct")]
    Members {
        /// Id of the connector
        connector: String,
        /// Name of the role
        role: String,
        /// List only users that the role is assigned to
        #[arg(long)]
        direct: bool,
        /// List hidden users too
        #[arg(long)]
        hidden: bool,
        /// Print each user as a JSON object on one line
        #[arg(long)]
        json: bool,
    },
    /// Create a role
    #[command(after_help = "EXAMPLE:\n  scimctl role create okta approver")]
    Create {
        /// Id of the connector
        connector: String,
        /// Name of the new role
        role: String,
    },
    /// Assign a role to users or groups. Members of a group have its roles, unless a rule hides the group
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
    /// Delete a role. To confirm, enter its name on standard input
    #[command(after_help = "EXAMPLE:\n  scimctl role delete okta approver")]
    Delete {
        /// Id of the connector
        connector: String,
        /// Name of the role
        role: String,
        /// Do not ask for a confirmation
        #[arg(long)]
        yes: bool,
    },
}

impl Command {
    /// Whether the command changes what the table holds.
    pub fn is_change(&self) -> bool {
        match self {
            Self::List { .. } | Self::Show { .. } | Self::Members { .. } => false,
            Self::Create { .. } | Self::Assign { .. } | Self::Withdraw { .. } | Self::Delete { .. } => true,
        }
    }
}

/// Runs a command. A role is stored as a group of its own kind, so the commands on groups change it.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::List { connector, json } => {
            list(&OpenDirectory::open(context, &connector).await?, json).await
        }
        Command::Show { connector, role, json } => {
            show(&OpenDirectory::open(context, &connector).await?, &role, json).await
        }
        Command::Members { connector, role, direct, hidden, json } => {
            let open = OpenDirectory::open(context, &connector).await?;
            let role = find_role(&open, &role).await?;
            list_users(&open, Some(role.id), direct, hidden, json).await
        }
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
        Command::Delete { connector, role, yes } => {
            let open = OpenDirectory::open(context, &connector).await?;
            confirm_deletion(&open, &role, yes).await?;
            delete(&open, &find_role(&open, &role).await?, false).await
        }
    }
}

async fn list(open: &OpenDirectory, is_json: bool) -> Result<(), Failure> {
    let groups = Groups::read(&open.directory).await?;
    let row = |role: &Resource| [display_name(role).to_owned(), role.id.to_string()];
    let mut rows: Vec<[String; 2]> = groups.roles().map(row).collect();
    rows.sort();
    if is_json {
        return rows.iter().try_for_each(|[name, id]| print_json(&json!({ "id": id, "name": name })));
    }
    let total = rows.len();
    Table::new(["ROLE", "ID"]).print(rows.into_iter().map(Vec::from).collect())?;
    print_total(total, 0, "role", "roles")
}

/// A role, and to how many users and groups it is assigned.
#[derive(Serialize)]
struct ShownRole {
    id: String,
    name: String,
    users: usize,
    groups: usize,
}

impl ShownRole {
    async fn read(open: &OpenDirectory, role: &str) -> Result<Self, Failure> {
        let found = find_role(open, role).await?;
        let resource = open.directory.group(found.kind, found.id).await?.resource;
        let (members, _) = open.directory.memberships().members(found.id, usize::MAX).await?;
        let users = members.iter().filter(|member| member.kind == ResourceKind::User).count();
        let name = display_name(&resource).to_owned();
        Ok(Self { id: found.id.to_string(), name, users, groups: members.len() - users })
    }

    fn members(&self) -> String {
        let (users, groups) = (count(self.users, "user", "users"), count(self.groups, "group", "groups"));
        format!("{users}, {groups}")
    }
}

async fn show(open: &OpenDirectory, role: &str, is_json: bool) -> Result<(), Failure> {
    let role = ShownRole::read(open, role).await?;
    if is_json {
        return print_json(&role);
    }
    let members = role.members();
    print_lines(&format_facts([("Id:", role.id), ("Name:", role.name), ("Assigned to:", members)]))
}

async fn confirm_deletion(open: &OpenDirectory, role: &str, is_confirmed: bool) -> Result<(), Failure> {
    let shown = ShownRole::read(open, role).await?;
    let question = format!(
        "This deletes role {}, which is assigned to {}. To continue, enter its name:",
        shown.name,
        shown.members()
    );
    confirm(&question, &shown.name, is_confirmed)
}
