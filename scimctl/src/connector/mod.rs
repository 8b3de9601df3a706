//! `scimctl connector`: manages connectors, each of which connects one identity provider.

pub mod create;
pub mod credentials;
mod delete;
pub mod dry_run;
mod list;
pub mod new_credential;
pub mod settings;
mod show;
mod sign_ins;

pub use list::state;

use std::path::PathBuf;

use clap::Subcommand;
use shared::credential::CredentialScope;

use crate::context::{Context, parse_connector_id};
use crate::failure::Failure;
use crate::output::print;
use crate::service_url::NO_URL;
use crate::time::DateOrTime;

use new_credential::CredentialOptions;

/// The commands on connectors.
#[derive(Subcommand)]
pub enum Command {
    /// Create a connector, and print its endpoint URL and credential once
    #[command(after_help = "EXAMPLE:\n  scimctl connector create --name okta --url https://scim.example.com")]
    Create {
        /// Id of the connector, which is part of the endpoint URL: 1 to 63 of a-z, 0-9 and -
        #[arg(long, value_name = "ID")]
        name: String,
        /// URL of the service: the stack's output BaseUrl
        #[arg(long, value_name = "URL", default_value = NO_URL)]
        url: String,
        /// Append random characters to the id, so that the endpoint URL cannot be guessed
        #[arg(long)]
        unguessable: bool,
        #[command(flatten)]
        credential: CredentialOptions,
    },
    /// List all connectors
    #[command(after_help = "EXAMPLE:\n  scimctl connector list")]
    List {
        /// Print one JSON object on each line
        #[arg(long)]
        json: bool,
    },
    /// Show a connector: its state, size, credentials with their last use, and settings
    #[command(after_help = "EXAMPLE:\n  scimctl connector show okta")]
    Show {
        /// Id of the connector
        id: String,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Serve the requests of a disabled connector again
    #[command(after_help = "EXAMPLE:\n  scimctl connector enable okta")]
    Enable {
        /// Id of the connector
        id: String,
    },
    /// Refuse every request of a connector with 403
    #[command(after_help = "EXAMPLE:\n  scimctl connector disable okta")]
    Disable {
        /// Id of the connector
        id: String,
    },
    /// Change the display name of a connector. Its id and endpoint URL stay the same
    #[command(after_help = "EXAMPLE:\n  scimctl connector rename okta 'Okta, production'")]
    Rename {
        /// Id of the connector
        id: String,
        /// New display name
        name: String,
    },
    /// Delete a connector with all its users, groups and roles. To confirm, enter its id on standard input
    #[command(after_help = "EXAMPLE:\n  scimctl connector delete okta")]
    Delete {
        /// Id of the connector
        id: String,
    },
    /// Add a credential for the identity provider, and print it once. The present credential stays valid until you retire it
    #[command(after_help = "EXAMPLE:\n  scimctl connector rotate okta")]
    Rotate {
        /// Id of the connector
        id: String,
        #[command(flatten)]
        credential: CredentialOptions,
    },
    /// Delete a credential, so that clients can no longer use it
    #[command(after_help = "EXAMPLE:\n  scimctl connector retire okta 1f3a5b7c")]
    Retire {
        /// Id of the connector
        id: String,
        /// Id of the credential, as `connector show` prints it
        credential: String,
        /// Do not ask for a confirmation if no other credential is valid
        #[arg(long)]
        yes: bool,
    },
    /// Set when a credential expires
    #[command(after_help = "EXAMPLE:\n  scimctl connector expires okta 1f3a5b7c 2027-01-31")]
    Expires {
        /// Id of the connector
        id: String,
        /// Id of the credential, as `connector show` prints it
        credential: String,
        /// Date such as 2027-01-31, which begins at 00:00 UTC, time with its zone such as 2027-01-31T12:00:00Z, or `never`
        #[arg(value_name = "TIME")]
        when: String,
    },
    /// List the requests with wrong credentials, by day and address. They are kept for 90 days
    #[command(
        after_help = "Each day has at most 100 addresses; requests from further ones are counted together. Requests that get 429, \
                      because they come too fast, are not counted.\n\nEXAMPLE:\n  scimctl connector sign-ins okta --since 2026-11-01"
    )]
    SignIns {
        /// Id of the connector
        id: String,
        /// List only days from this date (UTC) on
        #[arg(long, value_name = "TIME", value_parser = DateOrTime::parse)]
        since: Option<DateOrTime>,
        /// Print one JSON object on each line
        #[arg(long)]
        json: bool,
    },
    /// Change some settings, and keep the others
    #[command(
        after_help = "EXAMPLE:\n  scimctl connector set okta on-delete=refuse rules.exclude-users='svc-*,root' --dry-run"
    )]
    Set {
        /// Id of the connector
        id: String,
        /// Settings by their names in `connector export`. Separate the values of a list with commas
        #[arg(required = true, value_name = "SETTING=VALUE")]
        settings: Vec<String>,
        /// Only print which settings, users and groups would change
        #[arg(long)]
        dry_run: bool,
    },
    /// Replace all settings with those of a file. A setting that the file lacks gets its default
    #[command(after_help = "EXAMPLE:\n  scimctl connector apply okta okta.toml --dry-run")]
    Apply {
        /// Id of the connector
        id: String,
        /// Settings file, as `connector export` prints it
        file: PathBuf,
        /// Only print which settings, users and groups would change
        #[arg(long)]
        dry_run: bool,
    },
    /// Write all settings as TOML, for `connector apply`
    #[command(after_help = "EXAMPLE:\n  scimctl connector export okta okta.toml")]
    Export {
        /// Id of the connector
        id: String,
        /// File to write, which only you can read. Without it, the settings are written to standard output
        file: Option<PathBuf>,
    },
}

impl Command {
    /// Whether the command changes what the table holds.
    pub fn is_change(&self) -> bool {
        match self {
            Self::Set { dry_run, .. } | Self::Apply { dry_run, .. } => !dry_run,
            Self::List { .. } | Self::Show { .. } | Self::SignIns { .. } | Self::Export { .. } => false,
            Self::Create { .. }
            | Self::Enable { .. }
            | Self::Disable { .. }
            | Self::Rename { .. }
            | Self::Delete { .. }
            | Self::Rotate { .. }
            | Self::Retire { .. }
            | Self::Expires { .. } => true,
        }
    }
}

/// Runs a command.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Create { name, url, unguessable, credential } => {
            create::create(context, &name, &url, unguessable, credential).await
        }
        Command::List { json } => list::list(context, json).await,
        Command::Show { id, json } => show::show(context, &id, json).await,
        Command::Enable { id } => {
            context.connectors().enable(&parse_connector_id(&id)?).await?;
            print(&format!("connector {id} is enabled; all functions serve its requests within a minute"))
        }
        Command::Disable { id } => {
            context.connectors().disable(&parse_connector_id(&id)?).await?;
            print(&format!("connector {id} is disabled; all functions refuse its requests within a minute"))
        }
        Command::Rename { id, name } => {
            context.connectors().rename(&parse_connector_id(&id)?, &name).await?;
            print(&format!("connector {id} is now named {name}"))
        }
        Command::Delete { id } => delete::delete(context, &id).await,
        Command::Rotate { id, credential } => {
            credentials::add(context, &id, (CredentialScope::Scim, None), credential).await
        }
        Command::Retire { id, credential, yes } => credentials::retire(context, &id, &credential, yes).await,
        Command::Expires { id, credential, when } => {
            credentials::set_expiry(context, &id, &credential, &when).await
        }
        Command::SignIns { id, since, json } => sign_ins::list(context, &id, since, json).await,
        Command::Set { id, settings: changes, dry_run } => {
            let connector = context.connector(&id).await?;
            let new = settings::with_changes(&connector.record.settings, &changes)?;
            settings::replace(context, connector, new, dry_run).await
        }
        Command::Apply { id, file, dry_run } => {
            let connector = context.connector(&id).await?;
            let new = settings::read_file(&file)?;
            settings::replace(context, connector, new, dry_run).await
        }
        Command::Export { id, file } => {
            let connector = context.connector_or_deleting(&id).await?;
            settings::write(&connector.record.settings, file.as_deref())
        }
    }
}
