//! `scimctl credential`: creates and lists the credentials of a connector.

use clap::{Subcommand, ValueEnum};
use shared::credential::CredentialScope;

use crate::connector::credentials::{add, print_credentials, read_credentials};
use crate::connector::new_credential::CredentialOptions;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::print_json;

/// The commands on credentials.
#[derive(Subcommand)]
pub enum Command {
    /// Add a credential, and print it once
    #[command(after_help = "EXAMPLE:\n  scimctl credential create okta --scope directory --bearer")]
    Create {
        /// Id of the connector
        connector: String,
        /// What the credential is for
        #[arg(long, value_enum)]
        scope: Scope,
        #[command(flatten)]
        credential: CredentialOptions,
    },
    /// List the credentials of a connector, with their last use
    #[command(after_help = "EXAMPLE:\n  scimctl credential list okta")]
    List {
        /// Id of the connector
        connector: String,
        /// Print one JSON object on each line
        #[arg(long)]
        json: bool,
    },
}

/// What a credential is for.
#[derive(Clone, Copy, ValueEnum)]
pub enum Scope {
    /// Provisioning: an identity provider writes users and groups over SCIM
    Scim,
    /// The directory API: an application reads users, groups and roles
    Directory,
}

impl Command {
    /// Whether the command changes what the table holds.
    pub fn is_change(&self) -> bool {
        matches!(self, Self::Create { .. })
    }
}

/// Runs a command.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Create { connector, scope, credential } => {
            let scope = match scope {
                Scope::Scim => CredentialScope::Scim,
                Scope::Directory => CredentialScope::Directory,
            };
            add(context, &connector, scope, credential).await
        }
        Command::List { connector, json } => {
            let connector = context.connector_or_deleting(&connector).await?;
            let credentials = read_credentials(context, &connector).await?;
            if json {
                return credentials.iter().try_for_each(print_json);
            }
            print_credentials(context, &credentials)
        }
    }
}
