//! `scimctl ranger`: Apache Ranger gets the users and groups of a directory, as it gets them from LDAP otherwise.
//!
//! | file | topic |
//! | --- | --- |
//! | `client` | calls to Ranger Admin |
//! | `accounts` | what Ranger has |
//! | `wanted` | what the directory shows |
//! | `difference`, `roles` | what to send |
//! | `brake` | what an operator has to confirm |
//! | `send` | batches, in their order |
//! | `sync` | one run |
//! | `watch` | a run after each change, by a feed |
//! | `policies`, `removal` | which places in policies name users who are gone, and how they are removed |

mod accounts;
mod brake;
mod client;
mod difference;
mod policies;
mod removal;
mod roles;
mod send;
mod sync;
mod wanted;
mod watch;

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::failure::{Failure, fail};
use crate::open_directory::OpenDirectory;

pub use accounts::Accounts;
pub use client::{Login, RangerClient};
pub use policies::{Rule, find_stale, read_export, read_rules};
pub use removal::{Options as Removal, remove};

use sync::{Options, sync};
use watch::watch;

/// The commands on Ranger.
#[derive(Subcommand)]
pub enum Command {
    /// Send the users, groups and memberships that a directory shows to Ranger
    Sync(SyncCommand),
}

/// The options of `scimctl ranger sync`.
#[derive(Args)]
#[command(after_help = "\
Sends only what differs, so a second run sends nothing, and an interrupted run can be repeated. Users and groups of other \
sources, those of Ranger itself, `admin` and the account of this command are left as they are, and listed.\n\n\
EXAMPLES:\n  scimctl ranger sync okta --url https://ranger.example.com:6182 --username rangerusersync --password - --dry-run
  scimctl ranger sync okta --url https://ranger.example.com:6182 --username rangerusersync --password - --watch --feed ranger")]
pub struct SyncCommand {
    /// Id of the connector
    connector: String,
    /// URL of Ranger Admin
    #[arg(long)]
    url: String,
    #[command(flatten)]
    login: Login,
    /// Only print what would be sent
    #[arg(long, conflicts_with = "watch")]
    dry_run: bool,
    /// Then follow a feed, and send each change. An event stays in the feed until Ranger has the change
    #[arg(long, requires = "feed")]
    watch: bool,
    /// Id of the feed to follow. Create one for this command alone with `scimctl feed create`
    #[arg(long, requires = "watch")]
    feed: Option<String>,
    /// Handle only the events that wait now
    #[arg(long, requires = "watch")]
    once: bool,
    /// Also give and take the roles of auditors in Ranger Admin: those of the directory's roles with the same names. Roles of
    /// administrators are never changed
    #[arg(long)]
    roles: bool,
    /// Percentage of the users, or of a group's members, that a run can take away without --yes
    #[arg(long, value_name = "PERCENT", default_value_t = 10)]
    max_removed: usize,
    /// Continue even if this run takes more than --max-removed away, or the directory shows no users
    #[arg(long)]
    yes: bool,
}

impl Command {
    /// Whether the command changes what the table holds.
    pub fn is_change(&self) -> bool {
        // Acknowledging events has no audit record.
        false
    }
}

/// Runs a command.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let Command::Sync(command) = command;
    if command.watch && command.yes && !command.once {
        return fail("--yes confirms one run, so --watch takes it only together with --once");
    }
    let client = RangerClient::new("--url", &command.url, &command.login)?;
    let options = Options {
        with_roles: command.roles,
        is_dry_run: command.dry_run,
        is_confirmed: command.yes,
        max_removed: command.max_removed,
    };
    if let Some(feed) = &command.feed {
        return watch(context, &command.connector, feed, &client, &options, command.once).await;
    }
    let open = OpenDirectory::open(context, &command.connector).await?;
    sync(&open, &client, &options).await
}
